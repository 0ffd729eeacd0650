"""Where a trail delivers to, and whether it may: each destination's own policy decides, as on AWS.

Invariant: a trail that was created could deliver at that moment, for it has done so: the first object is put by the same way as all others.
"""

from __future__ import annotations

from typing import Any

import msgspec

from windtunnel.kernel.cloud import BlobRef
from windtunnel.kernel.context import Context
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.scope import Arn, Scope
from windtunnel.services.cloudtrail.trails import SERVICE, Trail, trail_arn

DENIED = ("AccessDenied", "AccessDeniedException", "AuthorizationError")


def acting(ctx: Context, home: Scope, trail: Trail) -> Context:
    return ctx.in_scope(home.account, home.region).as_service(SERVICE, trail_arn(home, trail.name))


def base(trail: Trail, account: str, kind: str = "CloudTrail") -> str:
    return f"{trail.prefix + '/' if trail.prefix else ''}AWSLogs/{account}/{kind}"


def put(ctx: Context, home: Scope, trail: Trail, key: str, body: bytes | BlobRef, metadata: dict[str, str] | None = None) -> None:
    """An object in the trail's bucket, by CloudTrail itself: the bucket's policy must allow it."""
    sealed: dict[str, Any] = (
        {"server_side_encryption": "aws:kms", "ssekms_key_id": trail.kms_key} if trail.kms_key else {"server_side_encryption": "AES256"}
    )
    acting(ctx, home, trail).call(
        "s3",
        "PutObject",
        bucket=trail.bucket,
        key=key,
        body=body,
        acl="bucket-owner-full-control",
        content_type="application/json",
        **({"content_encoding": "gzip"} if body else {}),
        **({"metadata": metadata} if metadata else {}),
        **sealed,
    )


def check(ctx: Context, trail: Trail) -> None:
    """Deliver something small to each of the destinations. Raises what CreateTrail answers when one refuses."""
    _check_key(ctx, trail)
    _check_bucket(ctx, trail)
    if trail.topic:
        _check_topic(ctx, trail)
    if trail.log_group or trail.log_role:
        _check_log_group(ctx, trail)


def _check_bucket(ctx: Context, trail: Trail) -> None:
    try:
        acting(ctx, ctx.scope, trail).call("s3", "GetBucketAcl", bucket=trail.bucket)
        put(ctx, ctx.scope, trail, f"{base(trail, ctx.scope.account)}/", b"")
    except AwsError as error:
        if error.code == "NoSuchBucket":
            raise AwsError("S3BucketDoesNotExistException", f"S3 bucket {trail.bucket} does not exist!") from error
        if error.code in DENIED:
            raise AwsError(
                "InsufficientS3BucketPolicyException", f"Incorrect S3 bucket policy is detected for bucket: {trail.bucket}"
            ) from error
        if error.code == "InvalidBucketName":
            raise AwsError("InvalidS3BucketNameException", f"Bucket name is invalid: {trail.bucket}") from error
        raise


def _check_key(ctx: Context, trail: Trail) -> None:
    if not trail.kms_key:
        return
    try:
        acting(ctx, ctx.scope, trail).call("kms", "DescribeKey", key_id=trail.kms_key)
    except AwsError as error:
        if error.code in DENIED:
            raise AwsError(
                "InsufficientEncryptionPolicyException",
                f"Insufficient permissions to access S3 bucket {trail.bucket} or KMS key {trail.kms_key}.",
            ) from error
        if error.code in ("NotFoundException", "InvalidArnException"):
            raise AwsError("KmsKeyNotFoundException", f"KMS key {trail.kms_key} does not exist.") from error
        raise


def _check_topic(ctx: Context, trail: Trail) -> None:
    try:
        notify(ctx, ctx.scope, trail, "CloudTrail validation message.")
    except AwsError as error:
        if error.code in (*DENIED, "NotFound", "NotFoundException"):
            raise AwsError("InsufficientSnsTopicPolicyException", "SNS Topic does not exist or the topic policy is incorrect!") from error
        raise


def notify(ctx: Context, home: Scope, trail: Trail, message: str) -> None:
    arn = Arn.parse(trail.topic)
    region = arn.region if arn is not None else home.region
    acting(ctx, home, trail).in_scope(home.account, region).call("sns", "Publish", topic_arn=trail.topic, message=message)


def _check_log_group(ctx: Context, trail: Trail) -> None:
    if not trail.log_group or not trail.log_role:
        if trail.log_group:
            raise AwsError("InvalidCloudWatchLogsRoleArnException", "You must specify CloudWatchLogsRoleArn too.")
        raise AwsError("InvalidCloudWatchLogsLogGroupArnException", "You must specify CloudWatchLogsLogGroupArn too.")
    try:
        log(ctx, ctx.scope, trail, ctx.scope.region, [])
    except AwsError as error:
        if error.code == "ResourceNotFoundException":
            raise AwsError(
                "InvalidCloudWatchLogsLogGroupArnException", "CloudTrail cannot validate the specified log group ARN."
            ) from error
        if error.code in DENIED:
            raise AwsError("InvalidCloudWatchLogsRoleArnException", "Access denied. Check the permissions for your role.") from error
        raise


def log(ctx: Context, home: Scope, trail: Trail, region: str, events: list[tuple[int, str]]) -> None:
    """Events (timestamp ms, record) into the trail's log group, with its role; the stream is made when it is not there."""
    arn = Arn.parse(trail.log_group)
    if arn is None or not arn.resource.startswith("log-group:"):
        raise AwsError("InvalidCloudWatchLogsLogGroupArnException", "CloudTrail cannot validate the specified log group ARN.")
    group = arn.resource.split(":")[1]
    role = ctx.in_scope(home.account, arn.region).assuming(
        trail.log_role, f"CLOUDTRAIL_{trail.name}"[:64], SERVICE, trail_arn(home, trail.name)
    )
    stream = f"{home.account}_CloudTrail_{region}"
    try:
        role.call("logs", "CreateLogStream", log_group_name=group, log_stream_name=stream)
    except AwsError as error:
        if error.code != "ResourceAlreadyExistsException":
            raise
    if events:
        entries = [{"timestamp": at, "message": text} for at, text in sorted(events)]
        role.call("logs", "PutLogEvents", log_group_name=group, log_stream_name=stream, log_events=entries)


def notification(trail: Trail, key: str) -> str:
    return msgspec.json.encode({"s3Bucket": trail.bucket, "s3ObjectKey": [key]}).decode()

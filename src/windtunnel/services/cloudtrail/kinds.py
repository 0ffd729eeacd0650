"""What each operation is to CloudTrail: a management event, which is always recorded, or a data event, which a trail must select. Pure.

Source: CloudTrail user guide, "Logging data events", and each service's page on what it logs.
"""

from __future__ import annotations

from typing import Literal

Kind = Literal["management", "data", "never"]


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


DATA: dict[str, tuple[str, frozenset[str]]] = {
    "s3": (
        "AWS::S3::Object",
        _names(
            "AbortMultipartUpload CompleteMultipartUpload CopyObject CreateMultipartUpload DeleteObject DeleteObjects DeleteObjectTagging GetObject"
            " GetObjectAcl GetObjectAttributes GetObjectLegalHold GetObjectRetention GetObjectTagging GetObjectTorrent HeadBucket HeadObject"
            " ListMultipartUploads ListObjects ListObjectsV2 ListObjectVersions ListParts PutObject PutObjectAcl PutObjectLegalHold"
            " PutObjectRetention PutObjectTagging RestoreObject SelectObjectContent UploadPart UploadPartCopy"
        ),
    ),
    "sqs": (
        "AWS::SQS::Queue",
        _names(
            "SendMessage SendMessageBatch ReceiveMessage DeleteMessage DeleteMessageBatch ChangeMessageVisibility ChangeMessageVisibilityBatch"
        ),
    ),
    "sns": ("AWS::SNS::Topic", frozenset(("Publish", "PublishBatch"))),
    "lambda": ("AWS::Lambda::Function", frozenset(("Invoke", "InvokeAsync", "InvokeWithResponseStream"))),
}
"""Service -> (the resource type by which a trail selects, its operations)."""
NEVER: dict[str, frozenset[str]] = {
    "logs": _names("PutLogEvents GetLogEvents FilterLogEvents StartLiveTail GetLogRecord GetQueryResults"),
    "events": frozenset(("PutEvents",)),
    "codepipeline": frozenset(("PollForJobs", "PollForThirdPartyJobs")),
}
"""Data plane that AWS leaves out of CloudTrail, or selects by types that are not here."""
OUR_OWN = frozenset(("codedeploy-commands",))
"""Services of our own agents, which AWS does not show."""
READ_ONLY = frozenset(
    (("sts", "AssumeRole"), ("sts", "GetSessionToken"), ("sts", "GetFederationToken"), ("sts", "AssumeRoleWithWebIdentity"))
)
"""Operations that write records here and that CloudTrail calls read-only."""
GLOBAL = frozenset(("iam", "organizations", "route53", "cloudfront"))
"""Services whose events happen in us-east-1, wherever the caller is."""
EVENT_NAMES = {
    ("s3", "GetBucketLifecycleConfiguration"): "GetBucketLifecycle",
    ("s3", "PutBucketLifecycleConfiguration"): "PutBucketLifecycle",
    ("s3", "PutPublicAccessBlock"): "PutBucketPublicAccessBlock",
    ("s3", "GetPublicAccessBlock"): "GetBucketPublicAccessBlock",
    ("s3", "DeletePublicAccessBlock"): "DeleteBucketPublicAccessBlock",
    ("s3", "PutBucketNotificationConfiguration"): "PutBucketNotification",
    ("s3", "GetBucketNotificationConfiguration"): "GetBucketNotification",
    ("s3", "ListObjectsV2"): "ListObjects",
}


def kind(service: str, operation: str) -> Kind:
    if service in OUR_OWN or operation in NEVER.get(service, ()):
        return "never"
    return "data" if service in DATA and operation in DATA[service][1] else "management"


def event_name(service: str, operation: str) -> str:
    return EVENT_NAMES.get((service, operation), operation)

"""Transfer acceleration, request payment and server access logs.

Acceleration and logs are kept and told: there is no edge to accelerate to, and access logs are not delivered (known differences).
Request payment acts: other accounts must say that they pay.
"""

from __future__ import annotations

from typing import Any

from windtunnel.kernel.context import Context, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import reads, writes
from windtunnel.services.s3.buckets import Bucket
from windtunnel.services.s3.guard import on_bucket, the_bucket
from windtunnel.services.s3.operations.configuration import GET, PUT, malformed
from windtunnel.services.s3.settings import Setting, setting, setting_key

# -- acceleration -------------------------------------------------------------------------------------------------------


@writes(
    "s3",
    "PutBucketAccelerateConfiguration",
    authorize=on_bucket("PutAccelerateConfiguration"),
    acts="Bucket ExpectedBucketOwner ChecksumAlgorithm",
    descriptive="AccelerateConfiguration.Status",
)
def put_bucket_accelerate_configuration(ctx: Context, bucket: str, accelerate_configuration: dict[str, Any], **_: Any) -> Reply:
    found, status = the_bucket(ctx, bucket), accelerate_configuration.get("Status")
    if status not in ("Enabled", "Suspended"):
        raise malformed()
    if "." in found.name:
        raise AwsError("InvalidRequest", "S3 Transfer Acceleration is not supported for buckets with periods (.) in their names")
    if status == "Suspended" and setting(ctx.tx, found.name, "accelerate") is None:
        return {}
    ctx.tx.put(Setting(bucket=found.name, kind="accelerate", body={"Status": status}))
    return {}


@reads(
    "s3",
    "GetBucketAccelerateConfiguration",
    authorize=on_bucket("GetAccelerateConfiguration"),
    acts=f"{GET} RequestPayer",
)
def get_bucket_accelerate_configuration(ctx: Context, bucket: str, **_: Any) -> Reply:
    return setting(ctx.tx, the_bucket(ctx, bucket).name, "accelerate") or {}


# -- who pays -----------------------------------------------------------------------------------------------------------


@writes(
    "s3",
    "PutBucketRequestPayment",
    authorize=on_bucket("PutBucketRequestPayment"),
    acts=f"{PUT} RequestPaymentConfiguration.Payer",
)
def put_bucket_request_payment(ctx: Context, bucket: str, request_payment_configuration: dict[str, Any], **_: Any) -> Reply:
    found, payer = the_bucket(ctx, bucket), request_payment_configuration["Payer"]
    if payer not in ("Requester", "BucketOwner"):
        raise malformed()
    found.requester_pays = payer == "Requester"
    ctx.tx.put(found)
    return {}


@reads("s3", "GetBucketRequestPayment", authorize=on_bucket("GetBucketRequestPayment"), acts=GET)
def get_bucket_request_payment(ctx: Context, bucket: str, **_: Any) -> Reply:
    return {"Payer": "Requester" if the_bucket(ctx, bucket).requester_pays else "BucketOwner"}


# -- access logs --------------------------------------------------------------------------------------------------------


@writes(
    "s3",
    "PutBucketLogging",
    authorize=on_bucket("PutBucketLogging"),
    acts=PUT,
    descriptive="BucketLoggingStatus.*",
)
def put_bucket_logging(ctx: Context, bucket: str, bucket_logging_status: dict[str, Any], **_: Any) -> Reply:
    found, wanted = the_bucket(ctx, bucket), bucket_logging_status.get("LoggingEnabled")
    if wanted is None:
        ctx.tx.delete(Setting, setting_key(found.name, "logging"))
        return {}
    target = ctx.tx.get(Bucket, wanted["TargetBucket"])
    if target is None:
        raise AwsError("InvalidTargetBucketForLogging", "The target bucket for logging does not exist")
    if target.account != found.account or target.region != found.region:
        raise AwsError(
            "InvalidTargetBucketForLogging",
            "The owner for the bucket to be logged and the target bucket must be the same, and both must be in one region.",
        )
    ctx.tx.put(Setting(bucket=found.name, kind="logging", body=bucket_logging_status))
    return {}


@reads("s3", "GetBucketLogging", authorize=on_bucket("GetBucketLogging"), acts=GET)
def get_bucket_logging(ctx: Context, bucket: str, **_: Any) -> Reply:
    return setting(ctx.tx, the_bucket(ctx, bucket).name, "logging") or {}

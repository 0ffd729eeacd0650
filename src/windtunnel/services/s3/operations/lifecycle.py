"""Lifecycle configuration of a bucket. It is carried out by the job in expiring.py."""

from __future__ import annotations

from typing import Any

from windtunnel.kernel.context import Context, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import reads, writes
from windtunnel.services.s3 import expiring
from windtunnel.services.s3.guard import on_bucket, the_bucket
from windtunnel.services.s3.lifecycle import DEFAULT_MINIMUM, check_rules
from windtunnel.services.s3.operations.configuration import GET
from windtunnel.services.s3.settings import Setting, setting, setting_key


@writes(
    "s3",
    "PutBucketLifecycleConfiguration",
    authorize=on_bucket("PutLifecycleConfiguration"),
    acts=f"{GET} ChecksumAlgorithm LifecycleConfiguration.* TransitionDefaultMinimumObjectSize",
)
def put_bucket_lifecycle_configuration(
    ctx: Context,
    bucket: str,
    lifecycle_configuration: dict[str, Any] | None = None,
    transition_default_minimum_object_size: str = DEFAULT_MINIMUM,
    **_: Any,
) -> Reply:
    found = the_bucket(ctx, bucket)
    rules = (lifecycle_configuration or {}).get("Rules") or []
    check_rules(rules)
    if transition_default_minimum_object_size not in (DEFAULT_MINIMUM, "varies_by_storage_class"):
        raise AwsError("InvalidRequest", "The transition default minimum object size is not valid.")
    named = [{**rule, "ID": rule.get("ID") or ctx.ids.alnum(48)} for rule in rules]
    body = {"Rules": named, "TransitionDefaultMinimumObjectSize": transition_default_minimum_object_size}
    ctx.tx.put(Setting(bucket=found.name, kind="lifecycle", body=body))
    found.lifecycle_run = expiring.begin(ctx, found)
    ctx.tx.put(found)
    return {"TransitionDefaultMinimumObjectSize": transition_default_minimum_object_size}


@reads("s3", "GetBucketLifecycleConfiguration", authorize=on_bucket("GetLifecycleConfiguration"), acts=GET)
def get_bucket_lifecycle_configuration(ctx: Context, bucket: str, **_: Any) -> Reply:
    body = setting(ctx.tx, the_bucket(ctx, bucket).name, "lifecycle")
    if body is None:
        raise AwsError("NoSuchLifecycleConfiguration", "The lifecycle configuration does not exist", extra={"BucketName": bucket})
    return body


@writes("s3", "DeleteBucketLifecycle", authorize=on_bucket("PutLifecycleConfiguration"), acts=GET)
def delete_bucket_lifecycle(ctx: Context, bucket: str, **_: Any) -> Reply:
    found = the_bucket(ctx, bucket)
    ctx.tx.delete(Setting, setting_key(found.name, "lifecycle"))
    if found.lifecycle_run:
        expiring.end(ctx, found)
        found.lifecycle_run = ""
        ctx.tx.put(found)
    return {}

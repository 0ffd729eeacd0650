"""CORS configuration of a bucket. What it does is in gateways/s3_browser.py."""

from __future__ import annotations

from typing import Any

from windtunnel.kernel.context import Context, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import reads, writes
from windtunnel.services.s3.cors import check_rules
from windtunnel.services.s3.guard import on_bucket, the_bucket
from windtunnel.services.s3.operations.configuration import GET, PUT
from windtunnel.services.s3.settings import Setting, setting, setting_key


@writes("s3", "PutBucketCors", authorize=on_bucket("PutBucketCORS"), acts=f"{PUT} CORSConfiguration.*")
def put_bucket_cors(ctx: Context, bucket: str, cors_configuration: dict[str, Any], **_: Any) -> Reply:
    found = the_bucket(ctx, bucket)
    check_rules(cors_configuration["CORSRules"])
    ctx.tx.put(Setting(bucket=found.name, kind="cors", body=cors_configuration))
    return {}


@reads("s3", "GetBucketCors", authorize=on_bucket("GetBucketCORS"), acts=GET)
def get_bucket_cors(ctx: Context, bucket: str, **_: Any) -> Reply:
    body = setting(ctx.tx, the_bucket(ctx, bucket).name, "cors")
    if body is None:
        raise AwsError("NoSuchCORSConfiguration", "The CORS configuration does not exist", extra={"BucketName": bucket})
    return body


@writes("s3", "DeleteBucketCors", authorize=on_bucket("PutBucketCORS"), acts=GET)
def delete_bucket_cors(ctx: Context, bucket: str, **_: Any) -> Reply:
    ctx.tx.delete(Setting, setting_key(the_bucket(ctx, bucket).name, "cors"))
    return {}

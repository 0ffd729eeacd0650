"""Website configuration of a bucket. What it does is in gateways/s3_browser.py."""

from __future__ import annotations

from typing import Any

from windtunnel.kernel.context import Context, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import reads, writes
from windtunnel.services.s3.guard import on_bucket, the_bucket
from windtunnel.services.s3.operations.configuration import GET, PUT
from windtunnel.services.s3.settings import Setting, setting, setting_key
from windtunnel.services.s3.website import check_website


@writes("s3", "PutBucketWebsite", authorize=on_bucket("PutBucketWebsite"), acts=f"{PUT} WebsiteConfiguration.*")
def put_bucket_website(ctx: Context, bucket: str, website_configuration: dict[str, Any], **_: Any) -> Reply:
    found = the_bucket(ctx, bucket)
    check_website(website_configuration)
    ctx.tx.put(Setting(bucket=found.name, kind="website", body=website_configuration))
    return {}


@reads("s3", "GetBucketWebsite", authorize=on_bucket("GetBucketWebsite"), acts=GET)
def get_bucket_website(ctx: Context, bucket: str, **_: Any) -> Reply:
    body = setting(ctx.tx, the_bucket(ctx, bucket).name, "website")
    if body is None:
        raise AwsError(
            "NoSuchWebsiteConfiguration", "The specified bucket does not have a website configuration", extra={"BucketName": bucket}
        )
    return body


@writes("s3", "DeleteBucketWebsite", authorize=on_bucket("DeleteBucketWebsite"), acts=GET)
def delete_bucket_website(ctx: Context, bucket: str, **_: Any) -> Reply:
    ctx.tx.delete(Setting, setting_key(the_bucket(ctx, bucket).name, "website"))
    return {}

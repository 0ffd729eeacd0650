"""Tags of objects."""

from __future__ import annotations

from typing import Any

from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.registry import reads, writes
from windtunnel.services.s3 import notify
from windtunnel.services.s3.buckets import tag_set
from windtunnel.services.s3.describing import object_tags, version_headers
from windtunnel.services.s3.guard import on_object, request_tags, the_bucket
from windtunnel.services.s3.operations.configuration import PUT
from windtunnel.services.s3.operations.reading import visible
from windtunnel.services.s3.versions import retagged

_existing = on_object("PutObjectTagging", versioned=("PutObjectVersionTagging",))


def on_new_tags(ctx: Context, tagging: dict[str, Any], **args: Any) -> list[Need]:
    """As for an existing object, with the tags that the request brings."""
    asked = request_tags({tag["Key"]: tag["Value"] for tag in tagging.get("TagSet", ())})
    return [need._replace(context={**need.context, **asked}) for need in _existing(ctx, **args)]


@writes(
    "s3", "PutObjectTagging", authorize=on_new_tags, acts=f"{PUT} Key VersionId RequestPayer Tagging.TagSet[].Key Tagging.TagSet[].Value"
)
def put_object_tagging(ctx: Context, bucket: str, key: str, tagging: dict[str, Any], version_id: str | None = None, **_: Any) -> Reply:
    home = the_bucket(ctx, bucket)
    version = retagged(visible(ctx, home, key, version_id), object_tags(tagging["TagSet"]))
    ctx.tx.put(version)
    notify.tagged(ctx, home, version, "Object Tags Added")
    return version_headers(home, version)


@reads(
    "s3",
    "GetObjectTagging",
    authorize=on_object("GetObjectTagging", versioned=("GetObjectVersionTagging",)),
    acts="Bucket Key VersionId ExpectedBucketOwner RequestPayer",
)
def get_object_tagging(ctx: Context, bucket: str, key: str, version_id: str | None = None, **_: Any) -> Reply:
    home = the_bucket(ctx, bucket)
    version = visible(ctx, home, key, version_id)
    return {"TagSet": tag_set(version.described.tags), **version_headers(home, version)}


@writes(
    "s3",
    "DeleteObjectTagging",
    authorize=on_object("DeleteObjectTagging", versioned=("DeleteObjectVersionTagging",)),
    acts="Bucket Key VersionId ExpectedBucketOwner",
)
def delete_object_tagging(ctx: Context, bucket: str, key: str, version_id: str | None = None, **_: Any) -> Reply:
    home = the_bucket(ctx, bucket)
    version = retagged(visible(ctx, home, key, version_id), {})
    ctx.tx.put(version)
    notify.tagged(ctx, home, version, "Object Tags Deleted")
    return version_headers(home, version)

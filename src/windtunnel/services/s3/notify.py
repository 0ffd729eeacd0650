"""What a change to an object tells the rest of the cloud.

`aws.s3` events go to EventBridge only when the bucket asks for them (PutBucketNotificationConfiguration). In-cloud listeners get
`windtunnel.s3` / `Object Created` with the same detail for every new object of a bucket with versioning, which is what a pipeline's
S3 source needs; rules never match a source that begins with `windtunnel.`.
"""

from __future__ import annotations

from typing import Any

from windtunnel.kernel.context import Context
from windtunnel.kernel.registry import LISTENERS
from windtunnel.services.s3.buckets import Bucket
from windtunnel.services.s3.objects import Version

INTERNAL_SOURCE = "windtunnel.s3"


def created(ctx: Context, bucket: Bucket, version: Version, reason: str) -> None:
    """A new object. reason: the operation, as AWS names it in the event (`PutObject`, `CompleteMultipartUpload`, `CopyObject`)."""
    listened = bucket.versioning == "Enabled" and any(source == INTERNAL_SOURCE for source, _, _ in LISTENERS)
    if not bucket.event_bridge and not listened:
        return
    detail = _detail(ctx, bucket, _object(ctx, bucket, version) | {"size": version.size}) | {"reason": reason}
    at_home = ctx.in_scope(bucket.account, bucket.region)
    if bucket.event_bridge:
        at_home.emit("aws.s3", "Object Created", [bucket.arn], detail)
    if listened:
        at_home.emit(INTERNAL_SOURCE, "Object Created", [bucket.arn], detail)


def deleted(ctx: Context, bucket: Bucket, version: Version, *, marker: bool) -> None:
    """An object is gone, or hidden by a delete marker (`version` is the marker then)."""
    if bucket.event_bridge:
        kind = "Delete Marker Created" if marker else "Permanently Deleted"
        detail = _detail(ctx, bucket, _object(ctx, bucket, version)) | {"reason": "DeleteObject", "deletion-type": kind}
        ctx.in_scope(bucket.account, bucket.region).emit("aws.s3", "Object Deleted", [bucket.arn], detail)


def tagged(ctx: Context, bucket: Bucket, version: Version, detail_type: str) -> None:
    """`Object Tags Added` or `Object Tags Deleted`."""
    if bucket.event_bridge:
        detail = _detail(ctx, bucket, _object(ctx, bucket, version))
        ctx.in_scope(bucket.account, bucket.region).emit("aws.s3", detail_type, [bucket.arn], detail)


def _detail(ctx: Context, bucket: Bucket, described: dict[str, Any]) -> dict[str, Any]:
    return {
        "version": "0",
        "bucket": {"name": bucket.name},
        "object": described,
        "request-id": ctx.request.id,
        "requester": ctx.principal.via_service or ctx.principal.account,
        "source-ip-address": ctx.request.source_ip,
    }


def _object(ctx: Context, bucket: Bucket, version: Version) -> dict[str, Any]:
    described: dict[str, Any] = {"key": version.name, "etag": version.etag, "sequencer": f"{int(ctx.now * 1e6):016X}"}
    if bucket.versioning:
        described["version-id"] = version.version_id
    return described

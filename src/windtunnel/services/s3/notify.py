"""What a change to an object tells the rest of the cloud.

`aws.s3` events go to EventBridge only when the bucket asks for them (PutBucketNotificationConfiguration); topics, queues and functions get
S3's own messages, each delivered by a durable run (delivering.py) that starts with the change. In-cloud listeners get `windtunnel.s3` /
`Object Created` for every new object of a bucket with versioning, which is what a pipeline's S3 source needs; rules never match a source that
begins with `windtunnel.`.
"""

from __future__ import annotations

from typing import Any

from windtunnel.kernel.context import Context
from windtunnel.kernel.registry import LISTENERS
from windtunnel.services.s3 import delivering
from windtunnel.services.s3.acl import canonical_id
from windtunnel.services.s3.buckets import Bucket
from windtunnel.services.s3.notification import Told, matching
from windtunnel.services.s3.objects import Version
from windtunnel.services.s3.settings import setting

INTERNAL_SOURCE = "windtunnel.s3"
REASON = "s3.reason"
"""In `ctx.found`, how an object came if it was not by PutObject: what upload forms call (gateways/s3_post.py)."""
_CREATED = {"PutObject": "Put", "CompleteMultipartUpload": "CompleteMultipartUpload", "CopyObject": "Copy", "POST Object": "Post"}


def created(ctx: Context, bucket: Bucket, version: Version, reason: str) -> None:
    """A new object. reason: the operation, as AWS names it in the event (`PutObject`, `CompleteMultipartUpload`, `CopyObject`)."""
    listened = bucket.versioning == "Enabled" and any(source == INTERNAL_SOURCE for source, _, _ in LISTENERS)
    if not (bucket.event_bridge or listened or bucket.notifies):
        return
    described = _object(ctx, bucket, version) | {"size": version.size}
    if bucket.notifies:
        _tell(ctx, bucket, version, f"ObjectCreated:{_CREATED[reason]}", size=version.size)
    detail = _detail(ctx, bucket, described) | {"reason": reason}
    at_home = ctx.in_scope(bucket.account, bucket.region)
    if bucket.event_bridge:
        at_home.emit("aws.s3", "Object Created", [bucket.arn], detail)
    if listened:
        at_home.emit(INTERNAL_SOURCE, "Object Created", [bucket.arn], detail)


def deleted(ctx: Context, bucket: Bucket, version: Version, *, marker: bool, lifecycle: bool = False) -> None:
    """An object is gone, or hidden by a delete marker (`version` is the marker then). lifecycle: by its rules, and by nobody's request."""
    if bucket.notifies:
        kind = "LifecycleExpiration" if lifecycle else "ObjectRemoved"
        _tell(ctx, bucket, version, f"{kind}:{'DeleteMarkerCreated' if marker else 'Delete'}")
    if bucket.event_bridge:
        kind = "Delete Marker Created" if marker else "Permanently Deleted"
        reason = "Lifecycle Expiration" if lifecycle else "DeleteObject"
        detail = _detail(ctx, bucket, _object(ctx, bucket, version)) | {"reason": reason, "deletion-type": kind}
        ctx.in_scope(bucket.account, bucket.region).emit("aws.s3", "Object Deleted", [bucket.arn], detail)


def tagged(ctx: Context, bucket: Bucket, version: Version, detail_type: str) -> None:
    """`Object Tags Added` or `Object Tags Deleted`."""
    if bucket.notifies:
        _tell(ctx, bucket, version, f"ObjectTagging:{'Put' if detail_type == 'Object Tags Added' else 'Delete'}")
    _bridge(ctx, bucket, version, detail_type, {})


def acl_changed(ctx: Context, bucket: Bucket, version: Version) -> None:
    if bucket.notifies:
        _tell(ctx, bucket, version, "ObjectAcl:Put")
    _bridge(ctx, bucket, version, "Object ACL Updated", {})


def moved(ctx: Context, bucket: Bucket, version: Version) -> None:
    """Lifecycle has given an object another storage class."""
    if bucket.notifies:
        _tell(ctx, bucket, version, "LifecycleTransition", size=version.size)
    _bridge(ctx, bucket, version, "Object Storage Class Changed", {"destination-storage-class": version.described.storage_class})


def restored(ctx: Context, bucket: Bucket, version: Version) -> None:
    """An archived object can be read: asked for and done at once."""
    if bucket.notifies:
        _tell(ctx, bucket, version, "ObjectRestore:Post", size=version.size)
        _tell(ctx, bucket, version, "ObjectRestore:Completed", size=version.size)
    source = {"source-storage-class": version.described.storage_class}
    _bridge(ctx, bucket, version, "Object Restore Initiated", source)
    _bridge(ctx, bucket, version, "Object Restore Completed", source)


def _bridge(ctx: Context, bucket: Bucket, version: Version, detail_type: str, more: dict[str, Any]) -> None:
    if bucket.event_bridge:
        detail = _detail(ctx, bucket, _object(ctx, bucket, version)) | more
        ctx.in_scope(bucket.account, bucket.region).emit("aws.s3", detail_type, [bucket.arn], detail)


def _tell(ctx: Context, bucket: Bucket, version: Version, event: str, size: int | None = None) -> None:
    """A durable delivery to each destination that asked for this."""
    configuration = setting(ctx.tx, bucket.name, "notification")
    for destination in matching(configuration or {}, event, version.name):
        described: dict[str, Any] = {"key": version.name, "eTag": version.etag, "sequencer": _sequencer(ctx)}
        if size is not None:
            described["size"] = size
        if bucket.versioning:
            described["versionId"] = version.version_id
        principal = f"AWS:{ctx.principal.unique_id}" if ctx.principal.account else "Anonymous"
        told = Told(
            event,
            bucket.region,
            ctx.now,
            principal,
            ctx.request.source_ip,
            ctx.request.id,
            bucket.name,
            canonical_id(bucket.account),
            described,
        )
        delivering.start(ctx, bucket, destination, told)


def _detail(ctx: Context, bucket: Bucket, described: dict[str, Any]) -> dict[str, Any]:
    return {
        "version": "0",
        "bucket": {"name": bucket.name},
        "object": described,
        "request-id": ctx.request.id,
        "requester": ctx.principal.via_service or ctx.principal.account,
        "source-ip-address": ctx.request.source_ip,
    }


def _sequencer(ctx: Context) -> str:
    return f"{int(ctx.now * 1e6):016X}"


def _object(ctx: Context, bucket: Bucket, version: Version) -> dict[str, Any]:
    described: dict[str, Any] = {"key": version.name, "etag": version.etag, "sequencer": _sequencer(ctx)}
    if bucket.versioning:
        described["version-id"] = version.version_id
    return described

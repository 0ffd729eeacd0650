"""DeleteObject and DeleteObjects."""

from __future__ import annotations

from typing import Any

from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import writes
from windtunnel.services.s3 import notify
from windtunnel.services.s3.buckets import Bucket
from windtunnel.services.s3.conditions import check_write
from windtunnel.services.s3.guard import asked_bucket, check_version_id, find_version, need, on_object, the_bucket
from windtunnel.services.s3.locks import check_removable
from windtunnel.services.s3.objects import NULL, Current, Version, object_key
from windtunnel.services.s3.operations.configuration import GET, malformed
from windtunnel.services.s3.versions import drop_noncurrent, put_version, remove_current

MAX_KEYS = 1000


def on_delete(ctx: Context, bypass_governance_retention: bool | None = None, **args: Any) -> list[Need]:
    """Whoever passes by governance needs the permission for that too."""
    needs = on_object("DeleteObject", versioned=("DeleteObjectVersion",))(ctx, **args)
    if bypass_governance_retention and args.get("version_id") is not None:
        needs += on_object("BypassGovernanceRetention")(ctx, **args)
    return needs


@writes(
    "s3",
    "DeleteObject",
    authorize=on_delete,
    acts="Bucket Key VersionId ExpectedBucketOwner RequestPayer IfMatch BypassGovernanceRetention",
)
def delete_object(
    ctx: Context,
    bucket: str,
    key: str,
    version_id: str | None = None,
    if_match: str | None = None,
    bypass_governance_retention: bool | None = None,
    **_: Any,
) -> Reply:
    home = the_bucket(ctx, bucket)
    check_version_id(version_id)
    if if_match is not None:
        check_write(key, ctx.tx.get(Current, object_key(bucket, key)), if_match, None)
    return delete(ctx, home, key, version_id, bypass=bool(bypass_governance_retention))


def delete(ctx: Context, bucket: Bucket, key: str, version_id: str | None, *, bypass: bool = False) -> Reply:
    """Remove the version, or hide the object behind a delete marker; the members are DeleteObject's answer. What is gone is no error."""
    if version_id is not None:
        return _delete_version(ctx, bucket, key, version_id, bypass)
    current = ctx.tx.get(Current, object_key(bucket.name, key))
    if not bucket.versioning:
        if current is not None:
            remove_current(ctx.tx, current)
            notify.deleted(ctx, bucket, current, marker=False)
        return {}
    marker = put_version(ctx, bucket, Current(bucket=bucket.name, name=key, number=0, modified=ctx.now, marker=True))
    notify.deleted(ctx, bucket, marker, marker=True)
    return {"DeleteMarker": True, "VersionId": marker.version_id}


def _delete_version(ctx: Context, bucket: Bucket, key: str, version_id: str, bypass: bool) -> Reply:
    current = ctx.tx.get(Current, object_key(bucket.name, key))
    gone: Version | None
    if bucket.lock:
        kept = find_version(ctx.tx, bucket.name, key, version_id)
        if kept is not None:
            check_removable(kept, ctx.now, bypass=bypass)
    if current is not None and current.version_id == version_id:
        remove_current(ctx.tx, current)
        gone = current
    else:
        gone = drop_noncurrent(ctx.tx, bucket.name, key, version_id)
    if gone is not None and not gone.marker:
        notify.deleted(ctx, bucket, gone, marker=False)
    reply: Reply = {"VersionId": version_id} if bucket.versioning or version_id != NULL else {}
    return reply | ({"DeleteMarker": True} if gone is not None and gone.marker else {})


def on_each_object(ctx: Context, bucket: str, expected_bucket_owner: str | None = None, **_: Any) -> list[Need]:
    """The bucket must be there; what the caller may delete is answered key by key."""
    asked_bucket(ctx, bucket, expected_bucket_owner)
    return []


@writes(
    "s3",
    "DeleteObjects",
    authorize=on_each_object,
    acts=f"{GET} ChecksumAlgorithm Delete.Objects[].Key Delete.Objects[].VersionId Delete.Objects[].ETag Delete.Quiet RequestPayer"
    " BypassGovernanceRetention",
)
def delete_objects(ctx: Context, bucket: str, delete: dict[str, Any], bypass_governance_retention: bool | None = None, **_: Any) -> Reply:
    home = the_bucket(ctx, bucket)
    wanted = delete.get("Objects") or []
    if not 1 <= len(wanted) <= MAX_KEYS:
        raise malformed()
    deleted: list[Reply] = []
    errors: list[Reply] = []
    for item in wanted:
        named = {name: item[name] for name in ("Key", "VersionId") if name in item}
        try:
            done = _delete_one(ctx, home, item, bool(bypass_governance_retention))
        except AwsError as error:
            errors.append({**named, "Code": error.code, "Message": error.message})
            continue
        marker = {"DeleteMarker": True, "DeleteMarkerVersionId": done["VersionId"]} if done.get("DeleteMarker") else {}
        deleted.append({**named, **marker})
    reply: Reply = {} if delete.get("Quiet") else {"Deleted": deleted}
    return reply | ({"Errors": errors} if errors else {})


def _delete_one(ctx: Context, bucket: Bucket, item: dict[str, Any], bypass: bool) -> Reply:
    """Nothing is written before all that can fail has passed, so a refused key leaves no trace among the others."""
    key, version_id = item["Key"], item.get("VersionId")
    action = "DeleteObject" if version_id is None else "DeleteObjectVersion"
    needs = [need(ctx, bucket, action, key)]
    if bypass and version_id is not None:
        needs.append(need(ctx, bucket, "BypassGovernanceRetention", key))
    ctx.cloud.identity.check(ctx, needs)
    if version_id is not None:
        check_version_id(version_id)
    if item.get("ETag") is not None:
        check_write(key, ctx.tx.get(Current, object_key(bucket.name, key)), item["ETag"], None)
    return delete(ctx, bucket, key, version_id, bypass=bypass)

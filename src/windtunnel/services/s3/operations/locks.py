"""Object lock: the bucket's configuration, and the retention and legal hold of versions."""

from __future__ import annotations

from typing import Any

import msgspec

from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import reads, writes
from windtunnel.services.s3.guard import on_bucket, on_object, the_bucket
from windtunnel.services.s3.locks import asked_retention, check_change, check_default
from windtunnel.services.s3.objects import Retention, Version
from windtunnel.services.s3.operations.configuration import GET, PUT, malformed
from windtunnel.services.s3.operations.reading import visible

_VERSION = "Key VersionId RequestPayer"


def on_retention(ctx: Context, bypass_governance_retention: bool | None = None, **args: Any) -> list[Need]:
    """Whoever passes by governance needs the permission for that too."""
    needs = on_object("PutObjectRetention")(ctx, **args)
    if bypass_governance_retention:
        needs += on_object("BypassGovernanceRetention")(ctx, **args)
    return needs


@writes(
    "s3",
    "PutObjectLockConfiguration",
    authorize=on_bucket("PutBucketObjectLockConfiguration"),
    acts=f"{PUT} RequestPayer ObjectLockConfiguration.*",
)
def put_object_lock_configuration(ctx: Context, bucket: str, object_lock_configuration: dict[str, Any] | None = None, **_: Any) -> Reply:
    found, wanted = the_bucket(ctx, bucket), object_lock_configuration or {}
    if wanted.get("ObjectLockEnabled") != "Enabled":
        raise malformed()
    check_default(wanted.get("Rule"))
    if found.versioning != "Enabled":
        raise AwsError("InvalidBucketState", "Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration", status=409)
    found.lock, found.lock_rule = True, wanted.get("Rule")
    ctx.tx.put(found)
    return {}


@reads("s3", "GetObjectLockConfiguration", authorize=on_bucket("GetBucketObjectLockConfiguration"), acts=GET)
def get_object_lock_configuration(ctx: Context, bucket: str, **_: Any) -> Reply:
    found = the_bucket(ctx, bucket)
    if not found.lock:
        raise AwsError(
            "ObjectLockConfigurationNotFoundError", "Object Lock configuration does not exist for this bucket", extra={"BucketName": bucket}
        )
    return {"ObjectLockConfiguration": {"ObjectLockEnabled": "Enabled"} | ({"Rule": found.lock_rule} if found.lock_rule else {})}


def _lockable(ctx: Context, bucket: str, key: str, version_id: str | None) -> Version:
    found = the_bucket(ctx, bucket)
    if not found.lock:
        raise AwsError("InvalidRequest", "Bucket is missing Object Lock Configuration")
    return visible(ctx, found, key, version_id)


@writes(
    "s3",
    "PutObjectRetention",
    authorize=on_retention,
    acts=f"{PUT} {_VERSION} Retention.Mode Retention.RetainUntilDate BypassGovernanceRetention",
)
def put_object_retention(
    ctx: Context,
    bucket: str,
    key: str,
    retention: dict[str, Any] | None = None,
    version_id: str | None = None,
    bypass_governance_retention: bool | None = None,
    **_: Any,
) -> Reply:
    version = _lockable(ctx, bucket, key, version_id)
    said = retention or {}
    if bool(said.get("Mode")) != (said.get("RetainUntilDate") is not None):
        raise malformed()
    fresh = asked_retention(said.get("Mode"), said.get("RetainUntilDate"), ctx.now)
    check_change(version.retention, fresh, ctx.now, bypass=bool(bypass_governance_retention))
    ctx.tx.put(msgspec.structs.replace(version, retention=fresh))
    return {}


@reads("s3", "GetObjectRetention", authorize=on_object("GetObjectRetention"), acts=f"{GET} {_VERSION}")
def get_object_retention(ctx: Context, bucket: str, key: str, version_id: str | None = None, **_: Any) -> Reply:
    kept: Retention | None = _lockable(ctx, bucket, key, version_id).retention
    if kept is None:
        raise _not_locked()
    return {"Retention": {"Mode": kept.mode, "RetainUntilDate": kept.until}}


@writes("s3", "PutObjectLegalHold", authorize=on_object("PutObjectLegalHold"), acts=f"{PUT} {_VERSION} LegalHold.Status")
def put_object_legal_hold(
    ctx: Context, bucket: str, key: str, legal_hold: dict[str, Any] | None = None, version_id: str | None = None, **_: Any
) -> Reply:
    version = _lockable(ctx, bucket, key, version_id)
    status = (legal_hold or {}).get("Status")
    if status not in ("ON", "OFF"):
        raise malformed()
    ctx.tx.put(msgspec.structs.replace(version, legal_hold=status == "ON"))
    return {}


@reads("s3", "GetObjectLegalHold", authorize=on_object("GetObjectLegalHold"), acts=f"{GET} {_VERSION}")
def get_object_legal_hold(ctx: Context, bucket: str, key: str, version_id: str | None = None, **_: Any) -> Reply:
    hold = _lockable(ctx, bucket, key, version_id).legal_hold
    if hold is None:
        raise _not_locked()
    return {"LegalHold": {"Status": "ON" if hold else "OFF"}}


def _not_locked() -> AwsError:
    return AwsError("NoSuchObjectLockConfiguration", "The specified object does not have a ObjectLock configuration")

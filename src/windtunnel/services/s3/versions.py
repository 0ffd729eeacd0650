"""How versions take each other's place in a bucket: putting, deleting and bringing back. Works on records only.

Source: S3 User Guide, "How S3 Versioning works". Without versioning there is one version, `null`; with versioning each write adds
one; suspended, a write replaces the `null` version and leaves the others.
"""

from __future__ import annotations

from typing import Any

import msgspec

from windtunnel.kernel.context import Context
from windtunnel.kernel.records import Tx
from windtunnel.services.s3.buckets import Bucket
from windtunnel.services.s3.objects import NULL, Current, Noncurrent, Version, object_key, older_than, version_key


def put_version(ctx: Context, bucket: Bucket, fresh: Current) -> Current:
    """Make `fresh` the current version of its key, under an id as the bucket's versioning says."""
    tx, name = ctx.tx, fresh.name
    old = tx.get(Current, object_key(bucket.name, name))
    fresh.number = old.number + 1 if old is not None else 1
    fresh.version_id = ctx.ids.alnum(32) if bucket.versioning == "Enabled" else NULL
    if old is not None and bucket.versioning:
        if fresh.version_id == NULL:
            drop_noncurrent(tx, bucket.name, name, NULL)
        if old.version_id != NULL or fresh.version_id != NULL:
            tx.put(retired(old, ctx.now))
    tx.put(fresh)
    return fresh


def remove_current(tx: Tx, current: Current) -> None:
    """Remove the current version for good; the newest noncurrent one takes its place."""
    tx.delete(Current, current.key())
    newest = tx.scan(Noncurrent, prefix=older_than(current.bucket, current.name), limit=1)
    if newest:
        tx.delete(Noncurrent, newest[0].key())
        tx.put(Current(**{**_fields(newest[0]), "replaced": 0.0}))


def drop_noncurrent(tx: Tx, bucket: str, name: str, version_id: str) -> Noncurrent | None:
    """Remove a noncurrent version for good, if there is one of that id."""
    found = tx.find(Noncurrent, "id", version_key(bucket, name, version_id), limit=1)
    if not found:
        return None
    tx.delete(Noncurrent, found[0].key())
    return found[0]


def retired(version: Current, now: float) -> Noncurrent:
    return Noncurrent(**{**_fields(version), "replaced": now})


def retagged(version: Version, tags: dict[str, str]) -> Version:
    """The same version with other tags, to be put in its place."""
    return msgspec.structs.replace(version, described=msgspec.structs.replace(version.described, tags=tags))


def _fields(version: Version) -> dict[str, Any]:
    return {name: getattr(version, name) for name in version.__struct_fields__}

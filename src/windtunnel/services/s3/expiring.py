"""Lifecycle rules carried out: one durable run for each bucket that has them, which looks at everything again and again, a page a transaction.

Invariants: a bucket names its one valid run (`lifecycle_run`); what is removed, and what is told of it, commit together; a locked version stays.
"""

from __future__ import annotations

from typing import Any

import msgspec

from windtunnel.jobs import Run, job
from windtunnel.kernel.context import Context
from windtunnel.services.s3 import lifecycle, notify
from windtunnel.services.s3.buckets import Bucket
from windtunnel.services.s3.locks import is_locked
from windtunnel.services.s3.objects import Current, Noncurrent, Version, object_key, older_than
from windtunnel.services.s3.settings import setting
from windtunnel.services.s3.uploading import Upload, drop_upload
from windtunnel.services.s3.versions import put_version, remove_current

PAGE = 32
PERIOD = 3600.0
"""Seconds (of the cloud's pace) between two looks; AWS looks once a day."""
SHORTEST = 0.2
PHASES = ("objects", "noncurrent", "uploads")


def _ended(run_id: str) -> str:
    return f"s3.lifecycle/{run_id}/ended"


def begin(ctx: Context, bucket: Bucket) -> str:
    """End the bucket's run, if it has one, and begin another; its name, for the bucket's record."""
    if bucket.lifecycle_run:
        end(ctx, bucket)
    fresh = ctx.ids.hex(16)
    ctx.in_scope(bucket.account, bucket.region).start_job(
        "s3.lifecycle", f"s3.lifecycle/{fresh}", bucket=bucket.name, which=fresh, phase=PHASES[0], after=""
    )
    return fresh


def end(ctx: Context, bucket: Bucket) -> None:
    ctx.signal(_ended(bucket.lifecycle_run))


@job("s3.lifecycle")
def keep_lifecycle(run: Run, bucket: str, which: str, phase: str, after: str) -> None:
    following = run.tx("page", look, bucket, which, phase, after)
    if following is None:
        return
    if following[0] == PHASES[0] and not following[1]:
        pause = max(SHORTEST, run.cloud.clock.paced(PERIOD))
        if run.wait_for(_ended(which), key="pause", timeout=pause) is not None:
            return
    run.continue_as_new(bucket=bucket, which=which, phase=following[0], after=following[1])


def look(ctx: Context, bucket: str, which: str, phase: str, after: str) -> tuple[str, str] | None:
    """Carry out what is due in one page. Where to go on: (phase, after); None when these rules are no longer the bucket's."""
    home = ctx.tx.get(Bucket, bucket)
    body = setting(ctx.tx, bucket, "lifecycle")
    if home is None or body is None or home.lifecycle_run != which:
        return None
    work = {"objects": _objects, "noncurrent": _noncurrent, "uploads": _uploads}[phase]
    last = work(ctx, home, body, after)
    return (phase, last) if last else (PHASES[(PHASES.index(phase) + 1) % len(PHASES)], "")


def _subject(version: Version, since: float) -> lifecycle.Subject:
    return lifecycle.Subject(version.name, version.size, version.described.tags, since, version.described.storage_class)


def _objects(ctx: Context, bucket: Bucket, body: dict[str, Any], after: str) -> str:
    rules, paced = body["Rules"], ctx.clock.paced
    page = ctx.tx.scan(Current, prefix=object_key(bucket.name, ""), after=object_key(bucket.name, after) if after else None, limit=PAGE)
    for version in page:
        if version.marker:
            alone = not ctx.tx.scan(Noncurrent, prefix=older_than(bucket.name, version.name), limit=1)
            if alone and lifecycle.removes_lone_markers(rules, version.name, version.modified, ctx.now, paced):
                remove_current(ctx.tx, version)
                notify.deleted(ctx, bucket, version, marker=False, lifecycle=True)
            continue
        subject = _subject(version, version.modified)
        expiry = lifecycle.expiry(rules, subject, paced)
        if expiry is not None and expiry[0] <= ctx.now:
            _expire(ctx, bucket, version)
        else:
            _move(ctx, bucket, body, version, subject, None)
    return page[-1].name if len(page) == PAGE else ""


def _expire(ctx: Context, bucket: Bucket, version: Current) -> None:
    if bucket.versioning:
        marker = put_version(ctx, bucket, Current(bucket=bucket.name, name=version.name, number=0, modified=ctx.now, marker=True))
        notify.deleted(ctx, bucket, marker, marker=True, lifecycle=True)
    elif not is_locked(version, ctx.now):
        remove_current(ctx.tx, version)
        notify.deleted(ctx, bucket, version, marker=False, lifecycle=True)


def _move(ctx: Context, bucket: Bucket, body: dict[str, Any], version: Version, subject: lifecycle.Subject, noncurrent: int | None) -> None:
    minimum = body["TransitionDefaultMinimumObjectSize"]
    target = lifecycle.moved_to(body["Rules"], subject, ctx.now, minimum, ctx.clock.paced, noncurrent=noncurrent)
    if target is not None:
        described = msgspec.structs.replace(version.described, storage_class=target)
        moved = msgspec.structs.replace(version, described=described, restored=0.0)
        ctx.tx.put(moved)
        notify.moved(ctx, bucket, moved)


def _noncurrent(ctx: Context, bucket: Bucket, body: dict[str, Any], after: str) -> str:
    page = ctx.tx.scan(Noncurrent, prefix=f"{bucket.name}/", after=after or None, limit=PAGE)
    newer, name = 0, ""
    for version in page:
        if version.name != name:
            # A page may begin in the middle of a key's versions, so those before it are counted for the first.
            above = ctx.tx.scan(Noncurrent, prefix=older_than(bucket.name, version.name)) if not name else []
            newer, name = sum(one.number > version.number for one in above), version.name
        if not version.replaced:
            # Of a release that did not note when it was replaced: its days begin now, for it must not go too early.
            version.replaced = ctx.now
            ctx.tx.put(version)
        subject = _subject(version, version.replaced)
        if not version.marker and not is_locked(version, ctx.now):
            _drop_or_move(ctx, bucket, body, version, subject, newer)
        elif version.marker and lifecycle.drops_noncurrent(body["Rules"], subject, newer, ctx.now, ctx.clock.paced):
            ctx.tx.delete(Noncurrent, version.key())
        newer += 1
    return page[-1].key() if len(page) == PAGE else ""


def _drop_or_move(ctx: Context, bucket: Bucket, body: dict[str, Any], version: Noncurrent, subject: lifecycle.Subject, newer: int) -> None:
    if lifecycle.drops_noncurrent(body["Rules"], subject, newer, ctx.now, ctx.clock.paced):
        ctx.tx.delete(Noncurrent, version.key())
        notify.deleted(ctx, bucket, version, marker=False, lifecycle=True)
    else:
        _move(ctx, bucket, body, version, subject, newer)


def _uploads(ctx: Context, bucket: Bucket, body: dict[str, Any], after: str) -> str:
    page = ctx.tx.scan(Upload, prefix=f"{bucket.name}/", after=after or None, limit=PAGE)
    for upload in page:
        if lifecycle.aborts(body["Rules"], upload.name, upload.initiated, ctx.now, ctx.clock.paced):
            drop_upload(ctx.tx, upload)
    return page[-1].key() if len(page) == PAGE else ""

"""Delivers what a trail takes: a durable run for each trail that logs, which sleeps until there are calls, then puts them into its bucket.

Invariants: a file and the place up to which events were delivered (`Trail.delivered`) commit together, so a crash neither loses nor
doubles an event; one generation of a trail has one run, and another generation ends it.
"""

from __future__ import annotations

import gzip
import hashlib
from typing import Any, NamedTuple

import msgspec

from windtunnel.jobs import Run, job
from windtunnel.kernel.cloud import BlobRef
from windtunnel.kernel.context import Context
from windtunnel.kernel.errors import AwsError
from windtunnel.services.cloudtrail import destinations, digests
from windtunnel.services.cloudtrail.kinds import GLOBAL
from windtunnel.services.cloudtrail.notes import Note, split
from windtunnel.services.cloudtrail.recorder import GLOBAL_REGION
from windtunnel.services.cloudtrail.records import iso, record
from windtunnel.services.cloudtrail.selecting import selected
from windtunnel.services.cloudtrail.trails import Digests, LogFile, Trail, calls, ended, trail_arn

GATHER = 5.0
"""Seconds for which calls are gathered into one file; AWS takes about five minutes."""
DIGEST_EVERY = 3600.0
RETRY = 60.0
MAX_RECORDS = 500
MAX_ROWS = 200
MAX_LOG_BYTES = 900_000


def begin(ctx: Context, trail: Trail) -> None:
    """Start a new generation of a trail that logs; the record is left to the caller to put."""
    end(ctx, trail)
    trail.generation = ctx.ids.hex(16)
    ctx.start_job(
        "cloudtrail.deliver",
        f"cloudtrail.deliver/{trail.generation}",
        trail=trail.name,
        generation=trail.generation,
        digest_in=DIGEST_EVERY if trail.validation else None,
    )


def end(ctx: Context, trail: Trail) -> None:
    if trail.generation:
        ctx.signal(ended(trail.generation))
    trail.generation = ""


@job("cloudtrail.deliver")
def deliver(run: Run, trail: str, generation: str, digest_in: float | None, again: bool = False) -> None:
    """digest_in: seconds until the next digest is due, None when the trail makes none. again: go on at once, there is more."""
    arn = trail_arn(run.scope, trail)
    woken: tuple[str, Any] | None = None
    if not again:
        wait = run.cloud.clock.paced(digest_in) if digest_in is not None else None
        woken = run.wait_any([calls(arn), ended(generation)], key="calls", timeout=wait)
    stopping = woken is not None and woken[0] == ended(generation)
    if woken is not None and not stopping:
        run.sleep("gather", GATHER, paced=True)
    regions = run.tx("plan", plan, trail)
    more = failed = False
    for step, region in run.each("file", regions):
        packed = run.read(pack, trail, region)
        if packed is None:
            continue
        blob = run.cloud.blobs.put(packed.body) if packed.body else None
        outcome = step.tx("put", put_file, trail, region, packed, blob)
        failed = failed or outcome == "failed"
        more = more or outcome == "more"
    if failed and not stopping:
        run.sleep("retry", RETRY, paced=True)
    due = run.tx("due", digest_due, trail, generation, stopping)
    if due["digest"]:
        _digest(run, trail, regions)
    if not stopping and due["valid"]:
        run.continue_as_new(trail=trail, generation=generation, digest_in=due["next"], again=more or failed)


# -- log files ------------------------------------------------------------------------------------------------------------


def plan(ctx: Context, name: str) -> list[str]:
    """The regions whose calls are the trail's."""
    ctx.cloud.part("audit").looked(ctx, trail_arn(ctx.scope, name))
    trail = ctx.tx.get(Trail, name)
    if trail is None:
        return []
    seen = [region for account, region in ctx.tx.audited() if account == ctx.scope.account]
    if trail.multi_region:
        return seen
    return [region for region in seen if region == ctx.scope.region or (region == GLOBAL_REGION and trail.global_events)]


class Packed(NamedTuple):
    """A file that is ready. upto: the last row in it; more: rows are left. body is empty when no event was selected."""

    upto: int
    more: bool
    body: bytes
    sha256: str
    key: str
    oldest: float
    newest: float
    logged: list[tuple[int, str]]


def pack(ctx: Context, name: str, region: str) -> Packed | None:
    """The next file of a region, None when there are no new rows."""
    trail = ctx.tx.get(Trail, name)
    if trail is None:
        return None
    after = trail.delivered.get(region, trail.since)
    rows = ctx.tx.within(ctx.scope.account, region).read_audit(after=after, limit=MAX_ROWS + 1)
    if not rows:
        return None
    away = region != ctx.scope.region and not trail.multi_region
    records: list[tuple[float, dict[str, Any]]] = []
    upto = after
    for seq, body in rows[:MAX_ROWS]:
        group = split(body)
        for note in group.notes:
            if (away and note.service not in GLOBAL) or _after_the_end(trail, note):
                continue
            made = record(note, group.who[note.who], ctx.scope.account, region)
            if selected(made, trail.basic, trail.advanced):
                records.append((note.time, made))
        upto = seq
        if len(records) >= MAX_RECORDS:
            break
    more = upto < rows[-1][0]
    if not records:
        return Packed(upto, more, b"", "", "", 0.0, 0.0, [])
    text = msgspec.json.encode({"Records": [made for _, made in records]})
    at, sha256 = upto / 1e6, hashlib.sha256(text).hexdigest()
    unique = hashlib.sha256(f"{trail_arn(ctx.scope, name)}/{region}/{upto}".encode()).hexdigest()[:16]
    minute = iso(at).replace("-", "").replace(":", "")[:13]
    key = (
        f"{destinations.base(trail, ctx.scope.account)}/{region}/{iso(at)[:10].replace('-', '/')}"
        f"/{ctx.scope.account}_CloudTrail_{region}_{minute}Z_{unique}.json.gz"
    )
    times = [time for time, _ in records]
    logged = [(int(time * 1000), msgspec.json.encode(made).decode()) for time, made in records] if trail.log_group else []
    return Packed(upto, more, gzip.compress(text, 6, mtime=0), sha256, key, min(times), max(times), logged)


def _after_the_end(trail: Trail, note: Note) -> bool:
    """What was called after StopLogging is not the trail's, though its last run may see it before logging begins again. That call itself is."""
    if trail.logging or trail.stopped is None:
        return False
    return note.time > trail.stopped and note.operation != "StopLogging"


def put_file(ctx: Context, name: str, region: str, packed: Packed, blob: BlobRef | None) -> str:
    """Put the file and move on, in one commit: "more", "done", "failed" (the trail stays where it was) or "gone"."""
    trail = ctx.tx.get(Trail, name)
    if trail is None or trail.delivered.get(region, trail.since) >= packed.upto:
        return "gone"
    if blob is not None:
        trail.at["attempt"] = ctx.now
        try:
            destinations.put(ctx, ctx.scope, trail, packed.key, blob)
        except AwsError as error:
            trail.errors["delivery"] = error.code
            ctx.tx.put(trail)
            return "failed"
        _succeeded(ctx, trail, "delivery")
        if trail.validation:
            chain = trail.digests.setdefault(region, Digests(began=trail.started or ctx.now))
            chain.files.append(LogFile(packed.key, packed.sha256, packed.oldest, packed.newest))
        _tell(ctx, trail, region, packed)
    trail.delivered[region] = packed.upto
    ctx.tx.put(trail)
    return "more" if packed.more else "done"


def _tell(ctx: Context, trail: Trail, region: str, packed: Packed) -> None:
    """The topic and the log group: what they refuse is shown by GetTrailStatus and does not hold the files up."""
    if trail.topic:
        try:
            destinations.notify(ctx, ctx.scope, trail, destinations.notification(trail, packed.key))
            _succeeded(ctx, trail, "notification")
        except AwsError as error:
            trail.errors["notification"] = error.code
    if trail.log_group:
        try:
            for batch in _batches(packed.logged):
                destinations.log(ctx, ctx.scope, trail, region, batch)
            _succeeded(ctx, trail, "logs")
        except AwsError as error:
            trail.errors["logs"] = error.code


def _batches(events: list[tuple[int, str]]) -> list[list[tuple[int, str]]]:
    made: list[list[tuple[int, str]]] = [[]]
    size = 0
    for at, text in events:
        if size + len(text) > MAX_LOG_BYTES:
            made.append([])
            size = 0
        made[-1].append((at, text))
        size += len(text) + 26
    return made


def _succeeded(ctx: Context, trail: Trail, what: str) -> None:
    trail.at[what] = ctx.now
    trail.errors.pop(what, None)


# -- digests --------------------------------------------------------------------------------------------------------------


def digest_due(ctx: Context, name: str, generation: str, stopping: bool) -> dict[str, Any]:
    """valid: this run is still the trail's; next: seconds until the next digest; digest: one is due."""
    trail = ctx.tx.get(Trail, name)
    if trail is None or not trail.validation:
        return {"valid": trail is not None and trail.generation == generation, "next": None, "digest": False}
    last = trail.at.get("digest", trail.started or ctx.now)
    left = DIGEST_EVERY - (ctx.now - last) * _pace(ctx)
    due = left <= 0.5 or stopping
    return {"valid": trail.generation == generation, "next": DIGEST_EVERY if due else left, "digest": due}


def _pace(ctx: Context) -> float:
    """How many times faster intended waiting passes."""
    return 1.0 / ctx.clock.paced(1.0)


def _digest(run: Run, name: str, regions: list[str]) -> None:
    made = None if run.read(has_key) else digests.make_key(run.cloud.part("sealer"), run.scope, run.cloud.clock.now())
    run.tx("key", keep_key, made)
    for step, region in run.each("digest", regions):
        ready = run.read(make_digest, name, region)
        if ready is not None:
            signature = digests.sign(run.cloud.part("sealer"), run.scope, ready[1], ready[0].signed)
            blob = run.cloud.blobs.put(ready[0].body)
            step.tx("put", put_digest, name, region, ready[0], signature, blob, ready[2])
    run.tx("digested", digested, name)


def has_key(ctx: Context) -> bool:
    return ctx.tx.get(digests.SigningKey, "signing") is not None


def keep_key(ctx: Context, made: dict[str, Any] | None) -> None:
    """The region's key stays the first one that was kept."""
    if made is not None and not has_key(ctx):
        ctx.tx.put(digests.SigningKey(**made))


def make_digest(ctx: Context, name: str, region: str) -> tuple[digests.Digest, digests.SigningKey, float] | None:
    trail, key = ctx.tx.get(Trail, name), ctx.tx.get(digests.SigningKey, "signing")
    if trail is None or key is None:
        return None
    chain = trail.digests.get(region) or Digests(began=trail.started or ctx.now)
    now = float(int(ctx.now))
    if now <= chain.began:
        return None  # a digest is named by its second
    base = destinations.base(trail, ctx.scope.account, "CloudTrail-Digest")
    return digests.make(base, ctx.scope, trail, region, chain, key.fingerprint, now), key, now


def put_digest(ctx: Context, name: str, region: str, digest: digests.Digest, signature: str, blob: BlobRef, now: float) -> None:
    trail = ctx.tx.get(Trail, name)
    if trail is None:
        return
    metadata = {"signature": signature, "signature-algorithm": digests.ALGORITHM}
    try:
        destinations.put(ctx, ctx.scope, trail, digest.key, blob, metadata)
    except AwsError as error:
        trail.errors["digest"] = error.code
    else:
        trail.digests[region] = Digests([], now, digest.key, trail.bucket, digest.sha256, signature)
        trail.errors.pop("digest", None)
    ctx.tx.put(trail)


def digested(ctx: Context, name: str) -> None:
    trail = ctx.tx.get(Trail, name)
    if trail is not None:
        trail.at["digest"] = ctx.now
        ctx.tx.put(trail)

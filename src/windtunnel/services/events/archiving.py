"""Archives: what goes into them, and what leaves them when it is too old.

Invariants: an event is kept in the transaction in which it leaves the outbox, so it is archived exactly once; the tally always agrees
with what is there; an archive names its one valid sweep.
"""

from __future__ import annotations

from typing import Any

import msgspec

from windtunnel.jobs import Run, job
from windtunnel.kernel.context import Context
from windtunnel.services.events.model import Archive, Kept, Tally

DAY = 86400.0
BATCH = 200
LONGEST_PAUSE = DAY
SHORTEST_PAUSE = 60.0


def keep(ctx: Context, archive: Archive, shown: dict[str, Any], time: float) -> None:
    """Put an event (an envelope) into an archive."""
    size = len(msgspec.json.encode(shown))
    ctx.tx.put(Kept(archive=archive.id, event=shown, time=time, size=size, at=ctx.now, mark=ctx.ids.hex(8)))
    _count(ctx, archive.id, 1, size)


def _count(ctx: Context, archive: str, count: int, size: int) -> None:
    tally = ctx.tx.get(Tally, archive) or Tally(archive=archive)
    ctx.tx.put(Tally(archive=archive, count=tally.count + count, size=tally.size + size))


def expires(archive: Archive, kept: Kept) -> float | None:
    """When an event leaves the archive; None for never."""
    return kept.at + archive.retention * DAY if archive.retention else None


def _over(sweep: str) -> str:
    return f"events.retention/{sweep}/ended"


def begin_sweep(ctx: Context, archive: Archive) -> Archive:
    """End the archive's old sweep, and begin one if its events do not stay for ever. Returns the archive to be stored."""
    if archive.sweep:
        ctx.signal(_over(archive.sweep))
    if not archive.retention:
        return msgspec.structs.replace(archive, sweep="")
    fresh = ctx.ids.hex(16)
    ctx.start_job("events.retention", f"events.retention/{fresh}", archive=archive.name, sweep=fresh)
    return msgspec.structs.replace(archive, sweep=fresh)


@job("events.retention")
def sweep_archive(run: Run, archive: str, sweep: str, after: str = "", soonest: float | None = None) -> None:
    """Look at every event, some at a time, and remove what is too old; then wait until more may be."""
    found = run.tx("sweep", remove_expired, archive, sweep, after, soonest)
    if found is None:
        return
    after, soonest, pause = found
    if not after and run.wait_for(_over(sweep), key="pause", timeout=pause) is not None:
        return
    run.continue_as_new(archive=archive, sweep=sweep, after=after, soonest=soonest if after else None)


def remove_expired(ctx: Context, name: str, sweep: str, after: str, soonest: float | None) -> tuple[str, float | None, float] | None:
    """(where to go on, "" at the end; when the next one expires of those seen; how long to wait then), None when this sweep has ended.

    Events stand in the order of their own time, which clients may choose, so all are looked at.
    """
    archive = ctx.tx.get(Archive, name)
    if archive is None or archive.sweep != sweep:
        return None
    found = ctx.tx.scan(Kept, prefix=f"{archive.id}/", after=after or None, limit=BATCH)
    for kept in found:
        ends = expires(archive, kept)
        if ends is not None and ends <= ctx.now:
            ctx.tx.delete(Kept, kept.key())
            _count(ctx, archive.id, -1, -kept.size)
        elif ends is not None:
            soonest = ends if soonest is None else min(soonest, ends)
    wait = LONGEST_PAUSE if soonest is None else min(LONGEST_PAUSE, max(SHORTEST_PAUSE, soonest - ctx.now))
    return found[-1].key() if len(found) == BATCH else "", soonest, wait


@job("events.forget")
def forget_archive(run: Run, archive: str) -> None:
    """Remove the events of an archive (by its id) that was deleted, some at a time."""
    if run.tx("batch", remove_batch, archive):
        run.continue_as_new(archive=archive)


def remove_batch(ctx: Context, archive: str) -> bool:
    """Whether there are more."""
    found = ctx.tx.scan(Kept, prefix=f"{archive}/", limit=BATCH)
    for kept in found:
        ctx.tx.delete(Kept, kept.key())
    return len(found) == BATCH

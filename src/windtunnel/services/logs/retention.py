"""What has passed its group's retention is removed by a durable run of its region, once an hour.

Invariant: it is not shown from the moment it has passed (model.oldest_kept); the run only gives the room back, a few chunks in each commit.
"""

from __future__ import annotations

from windtunnel.jobs import Run, job
from windtunnel.kernel.context import Context
from windtunnel.services.logs.model import LogGroup, LogStream, oldest_kept, stream_key

EVERY = 3_600.0
STREAMS = 100
CHUNKS = 200


def forget_later(ctx: Context) -> None:
    """Have this region's run begin, if it never did."""
    ctx.start_job("logs.retention", f"logs.retention/{ctx.scope.account}/{ctx.scope.region}")


@job("logs.retention")
def forget_expired(run: Run, nth: int = 0) -> None:
    expired = run.read(streams_with_expired)
    if run.tx("forget", forget, expired) < CHUNKS and len(expired) < STREAMS:
        run.sleep("pause", EVERY, paced=True)
    run.continue_as_new(nth=nth + 1)


def streams_with_expired(ctx: Context) -> list[tuple[str, str]]:
    """(group, stream) of the first STREAMS streams that have something to forget."""
    found: list[tuple[str, str]] = []
    for group in ctx.tx.scan(LogGroup):
        before = oldest_kept(group, int(ctx.now * 1000))
        if before <= 0:
            continue
        for stream in ctx.tx.scan(LogStream, prefix=f"{group.name}:"):
            if stream.stored and (stream.first or 0) < before and _has_expired(ctx, stream, before):
                found.append((group.name, stream.name))
                if len(found) >= STREAMS:
                    return found
    return found


def _has_expired(ctx: Context, stream: LogStream, before: int) -> bool:
    oldest = next(iter(ctx.tx.read_logs(stream.group, stream.name, low=0, high=before, since=0)), None)
    return oldest is not None and oldest[1] < before


def forget(ctx: Context, streams: list[tuple[str, str]]) -> int:
    """Remove at most CHUNKS chunks of these streams that have expired whole. Returns how many went."""
    gone = 0
    for name, stream_name in streams:
        group, stream = ctx.tx.get(LogGroup, name), ctx.tx.get(LogStream, stream_key(name, stream_name))
        before = oldest_kept(group, int(ctx.now * 1000)) if group is not None else 0
        if stream is None or before <= 0 or gone >= CHUNKS:
            continue
        gone += ctx.tx.drop_logs(name, stream_name, before, CHUNKS - gone)
        oldest = next(iter(ctx.tx.read_logs(name, stream_name, low=0, high=1 << 62, since=0)), None)
        if oldest is None:
            stream.stored = 0
        else:
            stream.first = oldest[0]
        ctx.tx.put(stream)
    return gone

"""The events of a stream, in order, from the store's chunks."""

from __future__ import annotations

from collections.abc import Iterator

from windtunnel.kernel.context import Context
from windtunnel.services.logs.chunks import SHIFT, Event, backward, forward
from windtunnel.services.logs.model import LogStream
from windtunnel.services.logs.sealing import unsealer

FOREVER = 1 << 62


def stream_events(
    ctx: Context,
    stream: LogStream,
    *,
    start: int = 0,
    end: int = FOREVER,
    after: int | None = None,
    before: int | None = None,
    ascending: bool = True,
) -> Iterator[Event]:
    """Events with start <= timestamp < end whose positions are strictly after `after` and before `before`."""
    low = max((start << SHIFT) - 1, -1 if after is None else after)
    high = min(end << SHIFT, FOREVER << SHIFT if before is None else before)
    since, until = max(low, 0) >> SHIFT, min(high >> SHIFT, FOREVER - 1) + 1
    chunks = ctx.tx.read_logs(stream.group, stream.name, low=since - stream.span, high=min(until, FOREVER), since=since, forward=ascending)
    unseal = unsealer(ctx, stream.group, stream.name)
    return forward(chunks, low, high, unseal) if ascending else backward(chunks, low, high, stream.span, unseal)

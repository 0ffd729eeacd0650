"""Log events: put, get, filter.

Invariant: PutLogEvents has answered only when its events are on disk, since it is a write like any other.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from typing import Any

from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import reads, writes
from windtunnel.services.logs.model import (
    EVENT_OVERHEAD,
    MAX_PAGE_BYTES,
    LogStream,
    accept,
    event_token,
    group_name,
    group_or_error,
    need,
    oldest_kept,
    page_token,
    parse_event_token,
    parse_page_token,
    sequence_token,
    stream_key,
    stream_or_error,
)
from windtunnel.services.logs.patterns import compile_pattern

FOREVER = 1 << 62
FIRST_CHUNK, CHUNK = 16, 1024
MAX_SCANNED = 20_000
"""Events that one FilterLogEvents looks at; then it answers what it has, with a token, as AWS does."""

Row = tuple[int, int, int, str]


def on_put(ctx: Context, log_group_name: str, log_stream_name: str, **_: Any) -> list[Need]:
    return need(ctx, "PutLogEvents", log_group_name, log_stream_name)


def on_get(
    ctx: Context, log_stream_name: str, log_group_name: str | None = None, log_group_identifier: str | None = None, **_: Any
) -> list[Need]:
    return need(ctx, "GetLogEvents", group_name(log_group_name, log_group_identifier), log_stream_name)


def on_filter(ctx: Context, log_group_name: str | None = None, log_group_identifier: str | None = None, **_: Any) -> list[Need]:
    return need(ctx, "FilterLogEvents", group_name(log_group_name, log_group_identifier))


@writes(
    "logs",
    "PutLogEvents",
    authorize=on_put,
    acts="logGroupName logStreamName logEvents[].timestamp logEvents[].message",
    descriptive="sequenceToken",
)
def put_log_events(
    ctx: Context, log_group_name: str, log_stream_name: str, log_events: list[dict[str, Any]], sequence_token: str | None = None
) -> Reply:
    stream = stream_or_error(ctx, log_group_name, log_stream_name)
    group = group_or_error(ctx, log_group_name)
    now = int(ctx.now * 1000)
    if not log_events:
        raise AwsError(
            "InvalidParameterException",
            "1 validation error detected: Value '[]' at 'logEvents' failed to satisfy constraint: "
            "Member must have length greater than or equal to 1",
        )
    taken = accept(log_events, now, group.retention)
    if taken.events:
        ctx.tx.append_logs(log_group_name, log_stream_name, taken.events, now)
        times = [at for at, _ in taken.events]
        stream.first = min(times[0], stream.first if stream.first is not None else times[0])
        stream.last = max(times[-1], stream.last or 0)
        stream.ingested = now
        stream.stored += taken.bytes
        ctx.tx.put(stream)
    reply: Reply = {"nextSequenceToken": next_token_of(stream)}
    if taken.rejected:
        reply["rejectedLogEventsInfo"] = taken.rejected
    return reply


def next_token_of(stream: LogStream) -> str:
    return sequence_token(stream.ingested or 0)


@reads(
    "logs",
    "GetLogEvents",
    authorize=on_get,
    acts="logGroupName logGroupIdentifier logStreamName startTime endTime nextToken limit startFromHead",
    default_only={"unmask": False},
    cost="scan",
)
def get_log_events(
    ctx: Context,
    log_stream_name: str,
    log_group_name: str | None = None,
    log_group_identifier: str | None = None,
    start_time: int = 0,
    end_time: int | None = None,
    next_token: str | None = None,
    limit: int = 10_000,
    start_from_head: bool = False,
    unmask: bool = False,
) -> Reply:
    group = group_or_error(ctx, group_name(log_group_name, log_group_identifier))
    stream_or_error(ctx, group.name, log_stream_name)
    forward, position = parse_event_token(next_token) if next_token else (start_from_head, None)
    rows = ctx.tx.read_logs(
        group.name,
        log_stream_name,
        start=max(start_time, oldest_kept(group, int(ctx.now * 1000))),
        end=FOREVER if end_time is None else end_time,
        after=position if forward else None,
        before=None if forward else position,
        limit=limit,
        forward=forward,
    )
    rows = within_page(rows) if forward else within_page(rows[::-1])[::-1]
    first, last = (rows[0][0], rows[-1][0]) if rows else (position or 0, position or 0)
    return {
        "events": [{"timestamp": at, "message": message, "ingestionTime": ingested} for _, at, ingested, message in rows],
        "nextForwardToken": event_token("f", last),
        "nextBackwardToken": event_token("b", first),
    }


def within_page(rows: list[Row]) -> list[Row]:
    """As many of the rows as one answer holds (1 MiB), and at least one."""
    size = 0
    for n, row in enumerate(rows):
        size += len(row[3].encode("utf-8", "surrogatepass")) + EVENT_OVERHEAD
        if size > MAX_PAGE_BYTES and n:
            return rows[:n]
    return rows


@reads(
    "logs",
    "FilterLogEvents",
    authorize=on_filter,
    acts="logGroupName logGroupIdentifier logStreamNames[] logStreamNamePrefix startTime endTime filterPattern nextToken limit",
    descriptive="interleaved",
    default_only={"unmask": False},
    cost="scan",
)
def filter_log_events(
    ctx: Context,
    log_group_name: str | None = None,
    log_group_identifier: str | None = None,
    log_stream_names: list[str] | None = None,
    log_stream_name_prefix: str = "",
    start_time: int = 0,
    end_time: int | None = None,
    filter_pattern: str = "",
    next_token: str | None = None,
    limit: int = 10_000,
    interleaved: bool = True,
    unmask: bool = False,
) -> Reply:
    if log_stream_names and log_stream_name_prefix:
        raise AwsError("InvalidParameterException", "logStreamNames and logStreamNamePrefix are mutually exclusive parameters.")
    matches = compile_pattern(filter_pattern)
    group = group_or_error(ctx, group_name(log_group_name, log_group_identifier))
    start = max(start_time, oldest_kept(group, int(ctx.now * 1000)))
    end = FOREVER if end_time is None else end_time + 1
    after = parse_page_token(next_token, int)[0] if next_token else None
    streams = _streams(ctx, group.name, log_stream_names, log_stream_name_prefix)
    names = [stream.name for stream in streams if stream.first is not None and stream.first < end and (stream.last or 0) >= start]
    merged = heapq.merge(*(_rows(ctx, group.name, name, start, end, after) for name in names))
    events, cursor = _matching(merged, matches, limit)
    reply: Reply = {"events": events, "searchedLogStreams": []}
    if cursor is not None:
        reply["nextToken"] = page_token(cursor)
    return reply


def _streams(ctx: Context, group: str, names: list[str] | None, prefix: str) -> list[LogStream]:
    if names:
        return [stream_or_error(ctx, group, name) for name in dict.fromkeys(names)]
    return ctx.tx.scan(LogStream, prefix=stream_key(group, prefix))


def _rows(ctx: Context, group: str, stream: str, start: int, end: int, after: int | None) -> Iterator[tuple[Row, str]]:
    """A stream's rows in order, read in pages that grow as the merge asks for them: a group may have many streams."""
    size = FIRST_CHUNK
    while True:
        page = ctx.tx.read_logs(group, stream, start=start, end=end, after=after, limit=size)
        for row in page:
            yield row, stream
        if len(page) < size:
            return
        after = page[-1][0]
        size = min(size * 4, CHUNK)


def _matching(merged: Iterator[tuple[Row, str]], matches: Callable[[str], bool], limit: int) -> tuple[list[dict[str, Any]], int | None]:
    """(the events of one answer, the position after which the next one begins or None at the end)."""
    events: list[dict[str, Any]] = []
    size = 0
    for scanned, ((position, at, ingested, message), stream) in enumerate(merged, 1):
        if matches(message):
            size += len(message.encode("utf-8", "surrogatepass")) + EVENT_OVERHEAD
            event = {"logStreamName": stream, "timestamp": at, "message": message, "ingestionTime": ingested}
            events.append(event | {"eventId": f"{position:056d}"})
        if len(events) >= limit or size > MAX_PAGE_BYTES or scanned >= MAX_SCANNED:
            return events, position
    return events, None

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
from windtunnel.services.logs import chunks
from windtunnel.services.logs.accepting import EVENT_OVERHEAD, PutInput, accept, columns
from windtunnel.services.logs.chunks import Event
from windtunnel.services.logs.model import (
    MAX_PAGE_BYTES,
    LogGroup,
    LogStream,
    event_token,
    group_name,
    group_or_error,
    need,
    oldest_kept,
    page_token,
    parse_event_token,
    parse_page_token,
    put_signal,
    sequence_token,
    stream_key,
    stream_or_error,
)
from windtunnel.services.logs.patterns import compile_pattern
from windtunnel.services.logs.reading import FOREVER, stream_events
from windtunnel.services.logs.sealing import seal
from windtunnel.services.logs.subscribing import deliver_soon

MAX_SCANNED = 20_000
"""Events that one FilterLogEvents looks at; then it answers what it has, with a token, as AWS does."""


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
    descriptive="sequenceToken entity.keyAttributes{} entity.attributes{}",
    quick=PutInput,
)
def put_log_events(
    ctx: Context,
    log_group_name: str,
    log_stream_name: str,
    log_events: list[Any],
    sequence_token: str | None = None,
    entity: dict[str, Any] | None = None,
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
    taken = accept(*columns(log_events), now, group.retention)
    if taken.times:
        keep(ctx, group, stream, taken.times, taken.messages, now, taken.bytes)
    reply: Reply = {"nextSequenceToken": next_token_of(stream)}
    if taken.rejected:
        reply["rejectedLogEventsInfo"] = taken.rejected
    return reply


def keep(ctx: Context, group: LogGroup, stream: LogStream, times: list[int], messages: list[str], now: int, size: int) -> None:
    """Put a chunk of events, and tell whoever follows the group."""
    body = seal(ctx, group, stream.name, chunks.body(times, messages))
    first, last = times[0], times[-1]
    seq = ctx.tx.append_logs(group.name, stream.name, first, last, len(times), now, body)
    stream.first = first if stream.first is None else min(first, stream.first)
    stream.last = max(last, stream.last or 0)
    stream.ingested, stream.newest = now, seq + len(times) - 1
    stream.stored += size
    stream.span = max(stream.span, last - first)
    ctx.tx.put(stream)
    ctx.notify(put_signal(ctx))
    if group.subscribed:
        deliver_soon(ctx, group.name, stream.name, first, last, seq, len(times))


def next_token_of(stream: LogStream) -> str:
    return sequence_token(stream.ingested or 0)


def check_readable(group: LogGroup, operation: str) -> None:
    if group.log_class != "STANDARD":
        raise AwsError("InvalidParameterException", f"{operation} is not supported for log groups of the class {group.log_class}.")


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
    stream = stream_or_error(ctx, group.name, log_stream_name)
    check_readable(group, "GetLogEvents")
    forward, position = parse_event_token(next_token) if next_token else (start_from_head, None)
    found = stream_events(
        ctx,
        stream,
        start=max(start_time, oldest_kept(group, int(ctx.now * 1000))),
        end=FOREVER if end_time is None else end_time,
        after=position if forward else None,
        before=None if forward else position,
        ascending=forward,
    )
    rows = within_page(found, limit)
    if not forward:
        rows.reverse()
    first, last = (rows[0][0], rows[-1][0]) if rows else (position or 0, position or 0)
    return {
        "events": [{"timestamp": at, "message": message, "ingestionTime": ingested} for _, at, ingested, message in rows],
        "nextForwardToken": event_token("f", last),
        "nextBackwardToken": event_token("b", first),
    }


def within_page(events: Iterator[Event], limit: int) -> list[Event]:
    """As many of the events as one answer holds (1 MiB, `limit`), and at least one."""
    rows: list[Event] = []
    size = 0
    for event in events:
        size += _bytes(event[3])
        if rows and size > MAX_PAGE_BYTES:
            break
        rows.append(event)
        if len(rows) >= limit:
            break
    return rows


def _bytes(message: str) -> int:
    return (len(message) if message.isascii() else len(message.encode("utf-8", "surrogatepass"))) + EVENT_OVERHEAD


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
    check_readable(group, "FilterLogEvents")
    start = max(start_time, oldest_kept(group, int(ctx.now * 1000)))
    end = FOREVER if end_time is None else end_time + 1
    after = parse_page_token(next_token, int)[0] if next_token else None
    streams = _streams(ctx, group.name, log_stream_names, log_stream_name_prefix)
    asked = [stream for stream in streams if stream.first is not None and stream.first < end and (stream.last or 0) >= start]
    merged = heapq.merge(*(_named(ctx, stream, start, end, after) for stream in asked))
    events, cursor = _matching(merged, matches, limit)
    reply: Reply = {"events": events, "searchedLogStreams": []}
    if cursor is not None:
        reply["nextToken"] = page_token(cursor)
    return reply


def _streams(ctx: Context, group: str, names: list[str] | None, prefix: str) -> list[LogStream]:
    if names:
        return [stream_or_error(ctx, group, name) for name in dict.fromkeys(names)]
    return ctx.tx.scan(LogStream, prefix=stream_key(group, prefix))


def _named(ctx: Context, stream: LogStream, start: int, end: int, after: int | None) -> Iterator[tuple[Event, str]]:
    """A stream's events with its name, read chunk by chunk as the merge asks for them: a group may have many streams."""
    name = stream.name
    for event in stream_events(ctx, stream, start=start, end=end, after=after):
        yield event, name


def _matching(merged: Iterator[tuple[Event, str]], matches: Callable[[str], bool], limit: int) -> tuple[list[dict[str, Any]], int | None]:
    """(the events of one answer, the position after which the next one begins or None at the end)."""
    events: list[dict[str, Any]] = []
    size = 0
    for scanned, ((position, at, ingested, message), stream) in enumerate(merged, 1):
        if matches(message):
            size += _bytes(message)
            event = {"logStreamName": stream, "timestamp": at, "message": message, "ingestionTime": ingested}
            events.append(event | {"eventId": f"{position:056d}"})
        if len(events) >= limit or size > MAX_PAGE_BYTES or scanned >= MAX_SCANNED:
            return events, position
    return events, None

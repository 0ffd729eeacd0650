"""StartLiveTail: events as they are put, over an event stream.

Invariant: every event that is put while a session lasts, and that matches, is sent once, up to MAX_EVENTS a second; beyond that the answer
says that it is sampled.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from operator import itemgetter
from typing import Any

from windtunnel.kernel.context import Context, EventStream, Need, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import reads
from windtunnel.services.logs.chunks import Event, events
from windtunnel.services.logs.model import LogGroup, LogStream, group_arn, group_name, group_or_error, need, put_signal
from windtunnel.services.logs.patterns import compile_pattern
from windtunnel.services.logs.reading import FOREVER
from windtunnel.services.logs.sealing import unsealer

MAX_EVENTS = 500
LASTS = 3 * 3600.0


def on_tail(ctx: Context, log_group_identifiers: list[str], **_: Any) -> list[Need]:
    return [one for given in log_group_identifiers for one in need(ctx, "StartLiveTail", group_name(None, given))]


@reads(
    "logs",
    "StartLiveTail",
    authorize=on_tail,
    acts="logGroupIdentifiers[] logStreamNames[] logStreamNamePrefixes[] logEventFilterPattern",
    cost="scan",
)
def start_live_tail(
    ctx: Context,
    log_group_identifiers: list[str],
    log_stream_names: list[str] | None = None,
    log_stream_name_prefixes: list[str] | None = None,
    log_event_filter_pattern: str = "",
) -> Reply:
    if any(not given.startswith("arn:") for given in log_group_identifiers):
        raise AwsError("InvalidParameterException", "The log group identifiers must be ARNs.")
    if log_stream_names and log_stream_name_prefixes:
        raise AwsError("InvalidParameterException", "logStreamNames and logStreamNamePrefixes are mutually exclusive parameters.")
    if (log_stream_names or log_stream_name_prefixes) and len(log_group_identifiers) != 1:
        raise AwsError("InvalidParameterException", "Log streams can be named for one log group only.")
    groups = [group_or_error(ctx, group_name(None, given)) for given in log_group_identifiers]
    for group in groups:
        if group.log_class != "STANDARD":
            raise AwsError("InvalidOperationException", f"Live Tail is not supported for log groups of the class {group.log_class}.")
    matches = compile_pattern(log_event_filter_pattern)
    seen = {group.name: _newest(ctx, group) for group in groups}

    def follow(at: Context) -> list[dict[str, Any]]:
        found: list[tuple[int, dict[str, Any]]] = []
        for group in groups:
            known = seen[group.name]
            for stream in at.tx.scan(LogStream, prefix=f"{group.name}:"):
                if stream.newest <= known.get(stream.name, 0) or not _asked(stream.name, log_stream_names, log_stream_name_prefixes):
                    continue
                for position, when, arrived, message in _arrived_after(at, stream, known.get(stream.name, 0)):
                    if matches(message):
                        shown = {
                            "logStreamName": stream.name,
                            "logGroupIdentifier": group_arn(at.scope, group.name),
                            "message": message,
                            "timestamp": when,
                            "ingestionTime": arrived,
                        }
                        found.append((position, shown))
                known[stream.name] = stream.newest
        results = [shown for _, shown in heapq.nsmallest(MAX_EVENTS, found, key=itemgetter(0))]
        return [{"sessionUpdate": {"sessionMetadata": {"sampled": len(found) > MAX_EVENTS}, "sessionResults": results}}]

    session: dict[str, Any] = {
        "requestId": ctx.request.id or ctx.ids.uuid(),
        "sessionId": ctx.ids.uuid(),
        "logGroupIdentifiers": log_group_identifiers,
        "logEventFilterPattern": log_event_filter_pattern,
    }
    session |= {"logStreamNames": log_stream_names} if log_stream_names else {}
    session |= {"logStreamNamePrefixes": log_stream_name_prefixes} if log_stream_name_prefixes else {}
    ending = {"SessionTimeoutException": {"message": "The Live Tail session has ended after three hours."}}
    return {"responseStream": EventStream([{"sessionStart": session}], follow, put_signal(ctx), 1.0, LASTS, ending)}


def _asked(name: str, names: list[str] | None, prefixes: list[str] | None) -> bool:
    return name in names if names else name.startswith(tuple(prefixes)) if prefixes else True


def _newest(ctx: Context, group: LogGroup) -> dict[str, int]:
    """Stream -> the number of its newest event."""
    return {stream.name: stream.newest for stream in ctx.tx.scan(LogStream, prefix=f"{group.name}:")}


def _arrived_after(ctx: Context, stream: LogStream, number: int) -> Iterator[Event]:
    """The events of the chunks that were put after the event of that number, in whatever order."""
    unseal = unsealer(ctx, stream.group, stream.name)
    for chunk in ctx.tx.read_logs(stream.group, stream.name, low=0, high=FOREVER, since=0, forward=False):
        if chunk[2] > number:
            yield from events(chunk, unseal)

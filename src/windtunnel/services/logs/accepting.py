"""What PutLogEvents takes: AWS's rules for a batch. Pure.

Invariant: a batch is looked at as columns (all times, all messages), never event by event in Python, for a thousand come at once.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import Annotated, Any, NamedTuple

import msgspec

from windtunnel.kernel.errors import AwsError

DAY = 86_400_000
EVENT_OVERHEAD = 26
MAX_BATCH_BYTES = 1_048_576
MAX_BATCH_EVENTS = 10_000
MAX_EVENT_BYTES = 1_048_576
OLDEST, NEWEST = 14 * DAY, 2 * 3_600_000


class InputEvent(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    timestamp: Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)]
    message: Annotated[str, msgspec.Meta(min_length=1)]


class PutInput(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    """The usual body of a PutLogEvents, taken whole (kernel.registry's `quick`)."""

    log_group_name: Annotated[str, msgspec.Meta(min_length=1, max_length=512, pattern=r"^[\.\-_/#A-Za-z0-9]+$")]
    log_stream_name: Annotated[str, msgspec.Meta(min_length=1, max_length=512, pattern="^[^:*]*$")]
    log_events: Annotated[list[InputEvent], msgspec.Meta(min_length=1, max_length=MAX_BATCH_EVENTS)]


class Accepted(NamedTuple):
    """times, messages: what is to be kept; rejected: the reply's rejectedLogEventsInfo, empty when all are kept; bytes: as AWS counts them."""

    times: list[int]
    messages: list[str]
    rejected: dict[str, int]
    bytes: int


def columns(events: list[Any]) -> tuple[list[int], list[str]]:
    if isinstance(events[0], InputEvent):
        return [event.timestamp for event in events], [event.message for event in events]
    return [event["timestamp"] for event in events], [event["message"] for event in events]


def accept(times: list[int], messages: list[str], now: int, retention: int | None) -> Accepted:
    """Check a batch (API reference, PutLogEvents) and part what is too old or too new. now: milliseconds."""
    if len(times) > MAX_BATCH_EVENTS:
        raise _invalid(f"Upload too large: {len(times)} log events exceed the limit of {MAX_BATCH_EVENTS}")
    size = _size(messages)
    if size > MAX_BATCH_BYTES:
        raise _invalid(f"Upload too large: {size} bytes exceeds limit of {MAX_BATCH_BYTES}")
    if times != sorted(times):
        raise _invalid("Log events in a single PutLogEvents request must be in chronological order.")
    if times and times[-1] - times[0] > DAY:
        raise _invalid("The batch of log events in a single PutLogEvents request cannot span more than 24 hours.")
    expired = bisect_left(times, now - retention * DAY) if retention is not None else 0
    old = bisect_left(times, now - OLDEST)
    new = bisect_right(times, now + NEWEST)
    rejected = {}
    if expired > 0:
        rejected["expiredLogEventEndIndex"] = expired
    if old > 0:
        rejected["tooOldLogEventEndIndex"] = old
    if new < len(times):
        rejected["tooNewLogEventStartIndex"] = new
    if not rejected:
        return Accepted(times, messages, rejected, size)
    kept = slice(max(expired, old), new)
    return Accepted(times[kept], messages[kept], rejected, _size(messages[kept]))


def _size(messages: list[str]) -> int:
    """Bytes as AWS counts them; an event that is too large is refused by name."""
    joined = "".join(messages)
    total = len(joined) if joined.isascii() else len(joined.encode("utf-8", "surrogatepass"))
    if total + EVENT_OVERHEAD > MAX_EVENT_BYTES:
        for message in messages:
            length = len(message.encode("utf-8", "surrogatepass"))
            if length + EVENT_OVERHEAD > MAX_EVENT_BYTES:
                raise _invalid(f"Log event too large: {length} bytes exceeds limit of {MAX_EVENT_BYTES}")
    return total + EVENT_OVERHEAD * len(messages)


def _invalid(text: str) -> AwsError:
    return AwsError("InvalidParameterException", text)

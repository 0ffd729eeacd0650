"""Log groups and streams, and what PutLogEvents takes. Pure.

Invariant: a stream's events live in the store's log table under (group, stream); the record here only counts them.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import msgspec

from windtunnel.kernel.context import Context, Need
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.records import Record
from windtunnel.kernel.registry import ServiceRules, service_rules
from windtunnel.kernel.scope import Scope

service_rules("logs", ServiceRules(validation_code="InvalidParameterException"))

RETENTION_DAYS = (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653)
DAY = 86_400_000
EVENT_OVERHEAD = 26
MAX_BATCH_BYTES = 1_048_576
MAX_BATCH_EVENTS = 10_000
MAX_EVENT_BYTES = 1_048_576
MAX_PAGE_BYTES = 1_048_576
OLDEST, NEWEST = 14 * DAY, 2 * 3_600_000
_ARN = re.compile(r"arn:[^:]+:logs:[^:]*:[^:]*:log-group:([^:]+)(?::\*)?\Z")


class LogGroup(Record, kw_only=True):
    """created: epoch milliseconds. retention: days, None for ever."""

    KIND: ClassVar[str] = "logs.group"

    name: str
    created: int
    retention: int | None = None
    tags: dict[str, str] = {}

    def key(self) -> str:
        return self.name

    def described(self, scope: Scope, stored: int) -> dict[str, Any]:
        arn = group_arn(scope, self.name)
        reply = {
            "logGroupName": self.name,
            "creationTime": self.created,
            "metricFilterCount": 0,
            "arn": f"{arn}:*",
            "storedBytes": stored,
            "logGroupClass": "STANDARD",
            "logGroupArn": arn,
        }
        if self.retention is not None:
            reply["retentionInDays"] = self.retention
        return reply


class LogStream(Record, kw_only=True):
    """Times in epoch milliseconds, None before the first event."""

    KIND: ClassVar[str] = "logs.stream"

    group: str
    name: str
    created: int
    first: int | None = None
    last: int | None = None
    ingested: int | None = None
    stored: int = 0

    def key(self) -> str:
        return stream_key(self.group, self.name)

    def described(self, scope: Scope) -> dict[str, Any]:
        reply: dict[str, Any] = {
            "logStreamName": self.name,
            "creationTime": self.created,
            "arn": f"{group_arn(scope, self.group)}:log-stream:{self.name}",
            "storedBytes": self.stored,
        }
        if self.first is not None:
            reply |= {"firstEventTimestamp": self.first, "lastEventTimestamp": self.last, "lastIngestionTime": self.ingested}
            reply["uploadSequenceToken"] = sequence_token(self.ingested or 0)
        return reply


def stream_key(group: str, stream: str) -> str:
    """Neither name may hold a colon, so that a group's streams are one range of keys."""
    return f"{group}:{stream}"


def sequence_token(ingested: int) -> str:
    """Tokens have no meaning any more, but clients still pass them along: 56 digits, as AWS gives them."""
    return f"{ingested:056d}"


# -- names and permissions ------------------------------------------------------------------------------------------------


def group_arn(scope: Scope, name: str) -> str:
    return scope.arn("logs", f"log-group:{name}")


def group_name(name: str | None, identifier: str | None = None) -> str:
    """The group that a request names, by logGroupName or by logGroupIdentifier (a name or an ARN)."""
    if name and identifier:
        raise AwsError("InvalidParameterException", "LogGroup name and LogGroup ARN are mutually exclusive parameters.")
    given = name or identifier or ""
    if not given:
        raise AwsError("InvalidParameterException", "Either logGroupName or logGroupIdentifier must be specified.")
    found = _ARN.match(given)
    if found:
        return found.group(1)
    if given.startswith("arn:"):
        raise AwsError("InvalidParameterException", f"Invalid resource ARN: {given}")
    return given


def need(ctx: Context, action: str, group: str, stream: str = "") -> list[Need]:
    """CloudWatch Logs decides on `log-group:NAME:log-stream:STREAM`, with an empty STREAM for what concerns the group."""
    record = ctx.tx.get(LogGroup, group) if group else None
    tags = {f"aws:ResourceTag/{key}": value for key, value in record.tags.items()} if record is not None else {}
    return [Need(f"logs:{action}", f"{group_arn(ctx.scope, group)}:log-stream:{stream}", tags)]


def group_or_error(ctx: Context, name: str) -> LogGroup:
    group = ctx.tx.get(LogGroup, name)
    if group is None:
        raise AwsError("ResourceNotFoundException", "The specified log group does not exist.")
    return group


def stream_or_error(ctx: Context, group: str, name: str) -> LogStream:
    stream = ctx.tx.get(LogStream, stream_key(group, name))
    if stream is None:
        group_or_error(ctx, group)
        raise AwsError("ResourceNotFoundException", "The specified log stream does not exist.")
    return stream


# -- tokens ---------------------------------------------------------------------------------------------------------------

INVALID_TOKEN = "The specified nextToken is invalid."


def page_token(*parts: Any) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(parts)).decode().rstrip("=")


def parse_page_token(token: str, *types: type) -> list[Any]:
    """The parts of a token that we gave; InvalidParameterException for any other text."""
    try:
        parts = msgspec.json.decode(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    except (ValueError, binascii.Error, msgspec.DecodeError) as error:
        raise AwsError("InvalidParameterException", INVALID_TOKEN) from error
    if not isinstance(parts, list) or len(parts) != len(types) or not all(map(isinstance, parts, types)):
        raise AwsError("InvalidParameterException", INVALID_TOKEN)
    return parts


def event_token(direction: str, position: int) -> str:
    """`f/…/s` or `b/…/s`, as GetLogEvents gives them."""
    return f"{direction}/{position:056d}/s"


def parse_event_token(token: str) -> tuple[bool, int]:
    """(forward, position)."""
    found = re.fullmatch(r"([fb])/(\d{56})(?:/s)?", token)
    if found is None:
        raise AwsError("InvalidParameterException", INVALID_TOKEN)
    return found.group(1) == "f", int(found.group(2))


# -- what PutLogEvents takes ------------------------------------------------------------------------------------------------


class Accepted(NamedTuple):
    """events: (timestamp, message) to be kept; rejected: the reply's rejectedLogEventsInfo, empty when all are kept."""

    events: list[tuple[int, str]]
    rejected: dict[str, int]
    bytes: int


def accept(events: Sequence[dict[str, Any]], now: int, retention: int | None) -> Accepted:
    """Check a batch by AWS's rules (API reference, PutLogEvents) and part what is too old or too new. now: milliseconds."""
    if len(events) > MAX_BATCH_EVENTS:
        raise AwsError("InvalidParameterException", f"Upload too large: {len(events)} log events exceed the limit of {MAX_BATCH_EVENTS}")
    size = 0
    for event in events:
        length = len(event["message"].encode("utf-8", "surrogatepass"))
        if length + EVENT_OVERHEAD > MAX_EVENT_BYTES:
            raise AwsError("InvalidParameterException", f"Log event too large: {length} bytes exceeds limit of {MAX_EVENT_BYTES}")
        size += length + EVENT_OVERHEAD
    if size > MAX_BATCH_BYTES:
        raise AwsError("InvalidParameterException", f"Upload too large: {size} bytes exceeds limit of {MAX_BATCH_BYTES}")
    times = [event["timestamp"] for event in events]
    if any(later < earlier for earlier, later in zip(times, times[1:], strict=False)):
        raise AwsError("InvalidParameterException", "Log events in a single PutLogEvents request must be in chronological order.")
    if times and times[-1] - times[0] > DAY:
        raise AwsError(
            "InvalidParameterException", "The batch of log events in a single PutLogEvents request cannot span more than 24 hours."
        )
    return _part(events, times, now, retention, size)


def _part(events: Sequence[dict[str, Any]], times: list[int], now: int, retention: int | None, size: int) -> Accepted:
    expired = sum(1 for at in times if retention is not None and at < now - retention * DAY)
    old = sum(1 for at in times if at < now - OLDEST)
    new = next((n for n, at in enumerate(times) if at > now + NEWEST), len(times))
    rejected = {}
    if expired > 0:
        rejected["expiredLogEventEndIndex"] = expired
    if old > 0:
        rejected["tooOldLogEventEndIndex"] = old
    if new < len(times):
        rejected["tooNewLogEventStartIndex"] = new
    kept = events[max(expired, old) : new]
    return Accepted([(event["timestamp"], event["message"]) for event in kept], rejected, size)


def oldest_kept(group: LogGroup, now: int) -> int:
    """Events before this time have passed their retention and are not shown any more."""
    return 0 if group.retention is None else now - group.retention * DAY

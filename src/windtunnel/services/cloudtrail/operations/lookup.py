"""LookupEvents: the management events of the last 90 days, newest first.

Invariant: an answer costs what it looks at: rows whose bytes cannot hold what is sought are not decoded, and one call looks at MAX_BYTES at most.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import msgspec

from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import ServiceRules, reads, service_rules
from windtunnel.services.cloudtrail.kinds import EVENT_NAMES
from windtunnel.services.cloudtrail.notes import Caller, Note, event_id, split
from windtunnel.services.cloudtrail.records import event_source, named, parameters, record, username
from windtunnel.services.cloudtrail.retention import KEPT_SECONDS

service_rules("cloudtrail", ServiceRules(validation_code="InvalidParameterException"))

MAX_RESULTS = 50
ROWS_AT_ONCE = 16
MAX_BYTES = 64 << 20
LATE = 120_000_000
"""Microseconds: a row is written at most this long after the calls that it notes."""
KEYS = ("EventId", "EventName", "ReadOnly", "Username", "ResourceType", "ResourceName", "EventSource", "AccessKeyId")
Seen = tuple[Note, Caller]


class Place(NamedTuple):
    """After which event a page goes on: its row, and how many of the row's events were passed."""

    seq: int
    passed: int


def on_lookup(ctx: Context, **_: Any) -> list[Need]:
    return [Need("cloudtrail:LookupEvents", "*")]


@reads(
    "cloudtrail",
    "LookupEvents",
    authorize=on_lookup,
    acts="LookupAttributes[].AttributeKey LookupAttributes[].AttributeValue StartTime EndTime MaxResults NextToken",
    cost="scan",
)
def lookup_events(
    ctx: Context,
    lookup_attributes: list[dict[str, str]] | None = None,
    start_time: float | None = None,
    end_time: float | None = None,
    max_results: int = MAX_RESULTS,
    next_token: str | None = None,
) -> Reply:
    attribute = _attribute(lookup_attributes)
    if start_time is not None and end_time is not None and start_time > end_time:
        raise AwsError("InvalidTimeRangeException", "The start time must be before the end time.")
    if not 1 <= max_results <= MAX_RESULTS:
        raise AwsError("InvalidMaxResultsException", f"The max results must be between 1 and {MAX_RESULTS}.")
    place = _parse(next_token) if next_token else None
    oldest = max(start_time or 0.0, ctx.now - KEPT_SECONDS)
    newest = end_time if end_time is not None else float("inf")
    matches, needle = _wanted(*attribute) if attribute else (lambda *_: True, b"")
    events: list[dict[str, Any]] = []
    for seq, nth, (note, caller) in _newest_first(ctx, place, oldest, newest, needle):
        if note is None or caller is None:
            return {"Events": events, "NextToken": _token(Place(seq, nth))}
        if oldest <= note.time <= newest and not note.data and matches(note, caller):
            events.append(_shown(ctx, note, caller))
            if len(events) == max_results:
                return {"Events": events, "NextToken": _token(Place(seq, nth + 1))}
    return {"Events": events}


def _newest_first(
    ctx: Context, place: Place | None, oldest: float, newest: float, needle: bytes
) -> Iterator[tuple[int, int, tuple[Note | None, Caller | None]]]:
    """(row, place within it, event); the last one is (row, 0, nothing) when MAX_BYTES were looked at and there may be more."""
    before = place.seq + 1 if place is not None else 1 << 62 if newest == float("inf") else int(newest * 1e6) + LATE
    looked = 0
    while rows := ctx.tx.read_audit(after=int(oldest * 1e6) - 1, before=before, limit=ROWS_AT_ONCE, newest_first=True):
        for seq, body in rows:
            if needle and needle not in body:
                continue
            group = split(body)
            passed = place.passed if place is not None and place.seq == seq else 0
            for nth, note in enumerate(group.notes[::-1]):
                if nth >= passed:
                    yield seq, nth, (note, group.who[note.who])
        before = rows[-1][0]
        looked += sum(len(body) for _, body in rows)
        if looked >= MAX_BYTES:
            yield before - 1, 0, (None, None)
            return


def _shown(ctx: Context, note: Note, caller: Caller) -> dict[str, Any]:
    made = record(note, caller, ctx.scope.account, ctx.scope.region)
    shown = {
        "EventId": made["eventID"],
        "EventName": made["eventName"],
        "ReadOnly": "true" if note.read_only else "false",
        "EventTime": float(int(note.time)),
        "EventSource": made["eventSource"],
        "Username": username(caller),
        "Resources": [
            {"ResourceType": kind, "ResourceName": name} for kind, name in named(note, made["requestParameters"], made["responseElements"])
        ],
        "CloudTrailEvent": msgspec.json.encode(made).decode(),
    }
    if caller.access_key:
        shown["AccessKeyId"] = caller.access_key
    return shown


def _attribute(given: list[dict[str, str]] | None) -> tuple[str, str] | None:
    if not given:
        return None
    if len(given) > 1:
        raise AwsError("InvalidLookupAttributesException", "You can only specify one lookup attribute.")
    key, value = given[0].get("AttributeKey", ""), given[0].get("AttributeValue", "")
    if key not in KEYS or not value:
        raise AwsError(
            "InvalidLookupAttributesException", f"The lookup attribute {key} is not valid. Valid attributes are: {', '.join(KEYS)}."
        )
    return key, value


def _wanted(key: str, value: str) -> tuple[Callable[[Note, Caller], bool], bytes]:
    """(whether an event is sought, bytes that a row must hold to have one)."""
    quoted = msgspec.json.encode(value)
    if key == "EventId":
        return lambda note, _: event_id(note.request) == value, event_id(value).encode() if len(value) == 36 else quoted
    if key == "EventName":
        names = {value, *(operation for (_, operation), shown in EVENT_NAMES.items() if shown == value)}
        return lambda note, _: note.operation in names and EVENT_NAMES.get((note.service, note.operation), note.operation) == value, (
            quoted if names == {value} else b""
        )
    if key == "ReadOnly":
        return lambda note, _: note.read_only == (value.lower() == "true"), b""
    if key == "Username":
        return lambda _, caller: username(caller) == value, quoted.strip(b'"')
    if key == "AccessKeyId":
        return lambda _, caller: caller.access_key == value, quoted
    if key == "EventSource":
        return lambda note, _: event_source(note.service) == value, b""
    at = 1 if key == "ResourceName" else 0
    return lambda note, _: any(pair[at] == value for pair in named(note, *parameters(note))), quoted.strip(b'"') if at else b""


# -- tokens: the wire seals them and binds them to what was asked ---------------------------------------------------------


def _token(place: Place) -> str:
    return f"{place.seq}/{place.passed}"


def _parse(token: str) -> Place:
    seq, _, passed = token.partition("/")
    if not (seq.isascii() and seq.isdecimal() and passed.isascii() and passed.isdecimal() and len(token) < 40):
        raise AwsError("InvalidNextTokenException", "The next token is not valid.")
    return Place(min(int(seq), (1 << 62) - 1), int(passed))

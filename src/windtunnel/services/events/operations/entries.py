"""PutEvents: a client's own events onto the default bus."""

from __future__ import annotations

import json
from typing import Any

from windtunnel.kernel.context import Context, Event, Need, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import writes
from windtunnel.services.events.lookups import check_bus
from windtunnel.services.events.model import bus_arn
from windtunnel.services.events.operations.rules import invalid

MAX_SIZE = 1 << 20
OWN_SOURCES = ("aws.", "windtunnel.")


def may_put_events(ctx: Context, entries: list[dict[str, Any]], **_: Any) -> list[Need]:
    return [
        Need(
            "events:PutEvents",
            bus_arn(ctx.scope),
            {"events:source": entry.get("Source", ""), "events:detail-type": entry.get("DetailType", "")},
        )
        for entry in entries
    ]


@writes(
    "events",
    "PutEvents",
    authorize=may_put_events,
    acts="Entries[].Time Entries[].Source Entries[].Resources[] Entries[].DetailType Entries[].Detail Entries[].EventBusName",
    descriptive="Entries[].TraceHeader",
)
def put_events(ctx: Context, entries: list[dict[str, Any]]) -> Reply:
    if sum(map(_size, entries)) > MAX_SIZE:
        raise invalid("Total size of the entries in the request is over the limit.")
    results = [_put(ctx, entry) for entry in entries]
    return {"FailedEntryCount": sum("ErrorCode" in result for result in results), "Entries": results}


def _size(entry: dict[str, Any]) -> int:
    """As AWS counts: 14 bytes for a time, the rest as UTF-8."""
    texts = [entry.get(member, "") for member in ("Source", "DetailType", "Detail")] + entry.get("Resources", [])
    return (14 if "Time" in entry else 0) + sum(len(text.encode()) for text in texts)


def _put(ctx: Context, entry: dict[str, Any]) -> dict[str, str]:
    for member in ("Source", "DetailType", "Detail"):
        if not entry.get(member):
            return _refused("InvalidArgument", f"Parameter {member} is not valid. Reason: {member} is a required argument.")
    if entry["Source"].startswith(OWN_SOURCES):
        return _refused("NotAuthorizedForSource", "Not authorized for the source.")
    try:
        check_bus(ctx, entry.get("EventBusName"))
        detail = json.loads(entry["Detail"])
    except AwsError as error:
        return _refused("InvalidArgument", error.message)
    except (ValueError, RecursionError):
        detail = None
    if not isinstance(detail, dict):
        return _refused("MalformedDetail", "Detail is malformed.")
    identity = ctx.ids.uuid()
    event = Event(
        id=identity,
        source=entry["Source"],
        detail_type=entry["DetailType"],
        account=ctx.scope.account,
        region=ctx.scope.region,
        time=entry.get("Time", ctx.now),
        resources=tuple(entry.get("Resources", [])),
        detail=detail,
        cause=ctx.cause or f"event:{identity}",
    )
    ctx.cloud.append_event(ctx, event)
    return {"EventId": identity}


def _refused(code: str, message: str) -> dict[str, str]:
    return {"ErrorCode": code, "ErrorMessage": message}

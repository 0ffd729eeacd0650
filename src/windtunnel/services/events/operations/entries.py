"""PutEvents: a client's own events onto a bus of this account, or of another one that lets it."""

from __future__ import annotations

from typing import Any

import msgspec

from windtunnel.kernel.context import Context, Event, Need, Reply
from windtunnel.kernel.registry import writes
from windtunnel.kernel.scope import Arn
from windtunnel.services.events.lookups import invalid, last_of
from windtunnel.services.events.model import DEFAULT_BUS, Bus

MAX_SIZE = 1 << 20
OWN_SOURCES = ("aws.", "windtunnel.")
REQUIRED = ("Source", "DetailType", "Detail")
_decode = msgspec.json.Decoder().decode


def _home(ctx: Context, entry: dict[str, Any]) -> tuple[str, str, str]:
    """(account, region, name) of the bus that an entry names."""
    given = entry.get("EventBusName", DEFAULT_BUS)
    arn = Arn.parse(given) if given.startswith("arn:") else None
    return (ctx.scope.account, ctx.scope.region, given) if arn is None else (arn.account, arn.region, last_of(given))


def may_put_events(ctx: Context, entries: list[dict[str, Any]], **_: Any) -> list[Need]:
    """One need for each kind of entry: a bus's own policy counts too, and must where it is another account's."""
    needs: dict[tuple[str, ...], Need] = {}
    for entry in entries:
        account, region, name = _home(ctx, entry)
        source, detail_type = entry.get("Source", ""), entry.get("DetailType", "")
        kind = (account, region, name, source, detail_type)
        if kind not in needs:
            bus = ctx.tx.within(account, region).get(Bus, name)
            keys = {"events:source": source, "events:detail-type": detail_type, "events:eventBusInvocation": "false"}
            arn = f"arn:{ctx.scope.partition}:events:{region}:{account}:event-bus/{name}"
            needs[kind] = Need("events:PutEvents", arn, keys, (bus.policy or None) if bus is not None else None, account)
    return list(needs.values())


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
    texts = [entry.get(member, "") for member in REQUIRED] + entry.get("Resources", [])
    return (14 if "Time" in entry else 0) + sum(len(text.encode()) for text in texts)


def _put(ctx: Context, entry: dict[str, Any]) -> dict[str, str]:
    for member in REQUIRED:
        if not entry.get(member):
            return _refused("InvalidArgument", f"Parameter {member} is not valid. Reason: {member} is a required argument.")
    if entry["Source"].startswith(OWN_SOURCES):
        return _refused("NotAuthorizedForSource", "Not authorized for the source.")
    account, region, bus = _home(ctx, entry)
    here = (account, region) == (ctx.scope.account, ctx.scope.region)
    if bus != DEFAULT_BUS and ctx.tx.within(account, region).get(Bus, bus) is None:
        return _refused("InvalidArgument", f"Event bus {bus} does not exist.")
    try:
        detail = _decode(entry["Detail"])
    except (msgspec.DecodeError, RecursionError):
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
        resources=tuple(entry.get("Resources", ())),
        detail=detail,
        cause=ctx.cause or f"event:{identity}",
        bus=bus if here else f"arn:{ctx.scope.partition}:events:{region}:{account}:event-bus/{bus}",
    )
    ctx.cloud.append_events(ctx, (event,))
    return {"EventId": identity}


def _refused(code: str, message: str) -> dict[str, str]:
    return {"ErrorCode": code, "ErrorMessage": message}

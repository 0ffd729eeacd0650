"""Event buses: the default one, which is always there, and custom ones."""

from __future__ import annotations

from typing import Any

import msgspec

from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import reads, writes
from windtunnel.kernel.scope import Arn
from windtunnel.services.events.lookups import bus_name, checked_tags, invalid, on_bus, on_everything, page, request_tags, the_bus
from windtunnel.services.events.model import DEFAULT_BUS, Bus, Rule, bus_arn, rules_of

MAX_BUSES = 100
SILENT = {"LogConfig.IncludeDetail": "NONE", "LogConfig.Level": "OFF"}


def may_create(ctx: Context, name: str, tags: list[dict[str, str]] | None = None, **_: Any) -> list[Need]:
    arn, context = bus_arn(ctx.scope, name), request_tags(tags)
    needs = [Need("events:CreateEventBus", arn, context)]
    return [*needs, Need("events:TagResource", arn, context)] if context else needs


def _dead_letters(config: dict[str, str] | None) -> str:
    arn = (config or {}).get("Arn", "")
    parsed = Arn.parse(arn) if arn else None
    if arn and (parsed is None or parsed.service != "sqs"):
        raise invalid("Parameter DeadLetterConfig.Arn is not valid. Reason: Provided Arn is not in correct format.")
    return arn


def _configured(bus: Bus) -> Reply:
    """What several answers show beside the bus's names."""
    shown: Reply = {}
    if bus.description:
        shown["Description"] = bus.description
    if bus.dead_letters:
        shown["DeadLetterConfig"] = {"Arn": bus.dead_letters}
    return shown


@writes(
    "events",
    "CreateEventBus",
    authorize=may_create,
    acts="Name Tags[].Key Tags[].Value",
    descriptive="Description DeadLetterConfig.Arn",
    default_only=SILENT,
)
def create_event_bus(
    ctx: Context,
    name: str,
    description: str = "",
    dead_letter_config: dict[str, str] | None = None,
    tags: list[dict[str, str]] | None = None,
    **_: Any,
) -> Reply:
    """The dead letters of a bus are for events that its KMS key no longer opens; keys are refused here, so none ever come."""
    if "/" in name:
        raise invalid("Event bus name must not contain '/'.")
    if name == DEFAULT_BUS or ctx.tx.get(Bus, name) is not None:
        raise AwsError("ResourceAlreadyExistsException", f"Event bus {name} already exists.")
    if ctx.tx.count(Bus) > MAX_BUSES:
        raise AwsError("LimitExceededException", "The requested resource exceeds the maximum number allowed.")
    bus = Bus(
        name=name,
        created=ctx.now,
        modified=ctx.now,
        description=description,
        dead_letters=_dead_letters(dead_letter_config),
        tags=checked_tags(ctx, {}, tags or []),
    )
    ctx.tx.put(bus)
    return {"EventBusArn": bus_arn(ctx.scope, name), **_configured(bus)}


@writes("events", "DeleteEventBus", authorize=on_bus("DeleteEventBus"), acts="Name")
def delete_event_bus(ctx: Context, name: str) -> Reply:
    """Deleting what is gone is success. Its archives stay, and can be read still."""
    if name == DEFAULT_BUS:
        raise invalid("Cannot delete event bus default.")
    if ctx.tx.scan(Rule, prefix=rules_of(name), limit=1):
        raise invalid("EventBus can't be deleted since it has rules.")
    ctx.tx.delete(Bus, name)
    return {}


@reads("events", "DescribeEventBus", authorize=on_bus("DescribeEventBus"), acts="Name")
def describe_event_bus(ctx: Context, name: str | None = None) -> Reply:
    bus = the_bus(ctx, bus_name(ctx, name, "DescribeEventBus"))
    return {**bus.described(ctx.scope), **_configured(bus)}


@reads("events", "ListEventBuses", authorize=on_everything("ListEventBuses"), acts="NamePrefix NextToken Limit", cost="scan")
def list_event_buses(ctx: Context, name_prefix: str = "", next_token: str | None = None, limit: int = 100) -> Reply:
    after = next_token
    found = ctx.tx.scan(Bus, prefix=name_prefix, after=after, limit=limit + 1)
    if DEFAULT_BUS.startswith(name_prefix) and (after is None or after < DEFAULT_BUS) and ctx.tx.get(Bus, DEFAULT_BUS) is None:
        found = sorted([*found, Bus(name=DEFAULT_BUS)], key=lambda bus: bus.name)[: limit + 1]
    return page(found, limit, "EventBuses", lambda bus: bus.described(ctx.scope), lambda bus: bus.name)


@writes(
    "events",
    "UpdateEventBus",
    authorize=on_bus("UpdateEventBus"),
    acts="Name",
    descriptive="Description DeadLetterConfig.Arn",
    default_only=SILENT,
)
def update_event_bus(
    ctx: Context, name: str = DEFAULT_BUS, description: str | None = None, dead_letter_config: dict[str, str] | None = None, **_: Any
) -> Reply:
    """What is not given is taken away, as on AWS."""
    old = the_bus(ctx, name)
    bus = msgspec.structs.replace(
        old, description=description or "", dead_letters=_dead_letters(dead_letter_config), modified=ctx.now, created=old.created or ctx.now
    )
    ctx.tx.put(bus)
    return {"Arn": bus_arn(ctx.scope, name), "Name": name, **_configured(bus)}

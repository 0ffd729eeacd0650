"""The default event bus, the only one there is here."""

from __future__ import annotations

from typing import Any

from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.registry import reads
from windtunnel.services.events.lookups import check_bus, key_of, on_everything
from windtunnel.services.events.model import DEFAULT_BUS, bus_arn


def on_bus(ctx: Context, name: str | None = None, **_: Any) -> list[Need]:
    return [Need("events:DescribeEventBus", name if name and name.startswith("arn:") else bus_arn(ctx.scope, name or DEFAULT_BUS))]


@reads("events", "DescribeEventBus", authorize=on_bus, acts="Name")
def describe_event_bus(ctx: Context, name: str | None = None) -> Reply:
    check_bus(ctx, name)
    return {"Name": DEFAULT_BUS, "Arn": bus_arn(ctx.scope)}


@reads("events", "ListEventBuses", authorize=on_everything("ListEventBuses"), acts="NamePrefix NextToken Limit")
def list_event_buses(ctx: Context, name_prefix: str = "", next_token: str | None = None, limit: int = 100) -> Reply:
    after = key_of(next_token)
    shown = DEFAULT_BUS.startswith(name_prefix) and after is None
    return {"EventBuses": [{"Name": DEFAULT_BUS, "Arn": bus_arn(ctx.scope)}] if shown else []}

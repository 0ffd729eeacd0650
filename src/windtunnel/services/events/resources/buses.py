"""AWS::Events::EventBus, and AWS::Events::EventBusPolicy: one statement of a bus's policy."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from windtunnel.kernel.context import Context
from windtunnel.provision.handling import Direct, already_exists, with_stack_tags
from windtunnel.provision.registry import Created, Name, Properties, Resource, Wanted, resource_type
from windtunnel.provision.showing import some
from windtunnel.services.events.resources.shared import MISSING, as_text, events, every, found, retag, tags_of

_SETTINGS = ("Description", "DeadLetterConfig", "KmsKeyIdentifier", "LogConfig")


@resource_type("AWS::Events::EventBus")
class EventBusType(Direct):
    service = "events"
    calls = "CreateEventBus UpdateEventBus DeleteEventBus DescribeEventBus PutPermission RemovePermission TagResource UntagResource"
    name = Name("Name", limit=256)
    missing = MISSING

    def create(self, ctx: Context, props: Properties, wanted: Wanted) -> Created:
        settings = {member: props.get(member) for member in _SETTINGS}
        source = props.get("EventSourceName")
        made = events(
            ctx,
            "CreateEventBus",
            Name=wanted.name,
            Tags=with_stack_tags(props.get("Tags"), wanted) or None,
            EventSourceName=source,
            **settings,
        )
        self._rule_who(ctx, wanted.name, {}, props)
        return Created(id=wanted.name, attributes=self._attributes(wanted.name, made["EventBusArn"], props))

    def _attributes(self, name: str, arn: str, props: Properties) -> dict[str, Any]:
        return {"Name": name, "Arn": arn, "Policy": as_text(props["Policy"]) if props.get("Policy") else ""}

    def _rule_who(self, ctx: Context, name: str, old: Properties, new: Properties) -> None:
        if new.get("Policy"):
            events(ctx, "PutPermission", EventBusName=name, Policy=as_text(new["Policy"]))
        elif old.get("Policy"):
            events(ctx, "RemovePermission", EventBusName=name, RemoveAllPermissions=True)

    def read(self, ctx: Context, resource: Resource) -> Properties | None:
        bus = found(ctx, "DescribeEventBus", Name=resource.id)
        if bus is None:
            return None
        shown = some(bus, "Name", "Arn", *_SETTINGS)
        if bus.get("Policy"):
            shown["Policy"] = json.loads(bus["Policy"])
        return shown | tags_of(ctx, bus["Arn"])

    def update(self, ctx: Context, resource: Resource, new: Properties, wanted: Wanted) -> Created | None:
        old = resource.properties
        if any(old.get(member) != new.get(member) for member in _SETTINGS):
            events(ctx, "UpdateEventBus", Name=resource.id, **{member: new.get(member) for member in _SETTINGS})
        if old.get("Policy") != new.get("Policy"):
            self._rule_who(ctx, resource.id, old, new)
        arn = ctx.arn("events", f"event-bus/{resource.id}")
        retag(ctx, arn, old, new)
        return Created(id=resource.id, attributes=self._attributes(resource.id, arn, new))

    def delete(self, ctx: Context, resource: Resource) -> bool | None:
        if found(ctx, "DescribeEventBus", Name=resource.id) is not None:
            events(ctx, "DeleteEventBus", Name=resource.id)
        return True

    def list(self, ctx: Context) -> Iterator[str]:
        return (bus["Name"] for bus in every(ctx, "ListEventBuses", "EventBuses"))


@resource_type("AWS::Events::EventBusPolicy")
class EventBusPolicyType(Direct):
    """The physical id is `BUS|STATEMENT`."""

    service = "events"
    calls = "PutPermission RemovePermission DescribeEventBus"
    missing = MISSING

    def create(self, ctx: Context, props: Properties, wanted: Wanted) -> Created:
        bus, sid = props.get("EventBusName") or "default", props["StatementId"]
        if any(one.get("Sid") == sid for one in _statements(ctx, bus)):
            raise already_exists(self.type, f"{bus}|{sid}")
        self._put(ctx, bus, sid, props)
        return Created(id=f"{bus}|{sid}")

    def _put(self, ctx: Context, bus: str, sid: str, props: Properties) -> None:
        given = props.get("Statement")
        if given is None:
            members = {member: props.get(member) for member in ("Action", "Principal", "Condition")}
            events(ctx, "PutPermission", EventBusName=bus, StatementId=sid, **members)
            return
        statement = json.loads(given) if isinstance(given, str) else given
        others = [one for one in _statements(ctx, bus) if one.get("Sid") != sid]
        policy = {"Version": "2012-10-17", "Statement": [*others, {**statement, "Sid": sid}]}
        events(ctx, "PutPermission", EventBusName=bus, Policy=as_text(policy))

    def read(self, ctx: Context, resource: Resource) -> Properties | None:
        bus, _, sid = resource.id.rpartition("|")
        statement = next((one for one in _statements(ctx, bus) if one.get("Sid") == sid), None)
        if statement is None:
            return None
        shown: Properties = {"EventBusName": bus, "StatementId": sid}
        if "Statement" in resource.properties or not resource.properties:
            return shown | {"Statement": self._as_given(statement, resource.properties.get("Statement"))}
        account = statement["Principal"] if statement["Principal"] == "*" else statement["Principal"]["AWS"].split(":")[4]
        shown |= {"Action": statement["Action"], "Principal": account}
        for kind, pairs in statement.get("Condition", {}).items():
            shown["Condition"] = {"Type": kind, **dict(zip(("Key", "Value"), next(iter(pairs.items())), strict=True))}
        return shown

    def _as_given(self, statement: dict[str, Any], given: Any) -> dict[str, Any]:
        """Without the Sid, which is a property of its own, unless the statement was given with it."""
        given_whole = isinstance(given, dict) and "Sid" in given
        return statement if given_whole else {name: value for name, value in statement.items() if name != "Sid"}

    def update(self, ctx: Context, resource: Resource, new: Properties, wanted: Wanted) -> Created | None:
        bus, _, sid = resource.id.rpartition("|")
        self._put(ctx, bus, sid, new)
        return None

    def delete(self, ctx: Context, resource: Resource) -> bool | None:
        bus, _, sid = resource.id.rpartition("|")
        if any(one.get("Sid") == sid for one in _statements(ctx, bus)):
            events(ctx, "RemovePermission", EventBusName=bus, StatementId=sid)
        return True

    def list(self, ctx: Context) -> Iterator[str]:
        for bus in every(ctx, "ListEventBuses", "EventBuses"):
            for one in _statements(ctx, bus["Name"]):
                yield f"{bus['Name']}|{one['Sid']}"


def _statements(ctx: Context, bus: str) -> list[dict[str, Any]]:
    """The statements of a bus's policy; none when there is no such bus."""
    policy = (found(ctx, "DescribeEventBus", Name=bus) or {}).get("Policy")
    given = json.loads(policy)["Statement"] if policy else []
    return given if isinstance(given, list) else [given]

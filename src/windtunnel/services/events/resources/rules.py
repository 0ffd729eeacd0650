"""AWS::Events::Rule: a rule and its targets, which EventBridge has as two things."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from windtunnel.kernel.context import Context
from windtunnel.provision.handling import Direct, already_exists, with_stack_tags
from windtunnel.provision.registry import Created, Name, Properties, Resource, Wanted, resource_type
from windtunnel.provision.showing import some
from windtunnel.services.events.resources.shared import MISSING, as_text, events, every, found, retag, tags_of

_WHOLE = ("Description", "ScheduleExpression", "State", "RoleArn")


@resource_type("AWS::Events::Rule")
class RuleType(Direct):
    """Ref is the rule's name, or `BUS|NAME` on another bus than the default one."""

    service = "events"
    calls = "PutRule PutTargets RemoveTargets DeleteRule DescribeRule ListTargetsByRule TagResource UntagResource"
    name = Name("Name", limit=64)
    missing = MISSING

    def create(self, ctx: Context, props: Properties, wanted: Wanted) -> Created:
        bus = props.get("EventBusName")
        if found(ctx, "DescribeRule", Name=wanted.name, EventBusName=bus) is not None:
            raise already_exists(self.type, wanted.name)
        arn = _put(ctx, wanted.name, props, Tags=with_stack_tags(props.get("Tags"), wanted) or None)
        _aim(ctx, wanted.name, bus, [], props.get("Targets") or [])
        return Created(id=wanted.name if _is_default(bus) else f"{_short(bus)}|{wanted.name}", attributes={"Arn": arn})

    def read(self, ctx: Context, resource: Resource) -> Properties | None:
        bus, name = _place(resource.id)
        rule = found(ctx, "DescribeRule", Name=name, EventBusName=bus)
        if rule is None:
            return None
        shown = some(rule, "Name", "EventBusName", "Arn", *_WHOLE)
        if rule.get("EventPattern"):
            shown["EventPattern"] = json.loads(rule["EventPattern"])
        targets = list(every(ctx, "ListTargetsByRule", "Targets", Rule=name, EventBusName=bus))
        return shown | ({"Targets": targets} if targets else {}) | tags_of(ctx, rule["Arn"])

    def update(self, ctx: Context, resource: Resource, new: Properties, wanted: Wanted) -> Created | None:
        bus, name = _place(resource.id)
        arn = _put(ctx, name, {**new, "EventBusName": bus})
        _aim(ctx, name, bus, resource.properties.get("Targets") or [], new.get("Targets") or [])
        retag(ctx, arn, resource.properties, new)
        return None

    def replaces(self, old: Properties, new: Properties, changed: frozenset[str]) -> bool:
        """Another bus is another rule; another way to name the same one is not (provider schema, conditionalCreateOnlyProperties)."""
        return "EventBusName" in changed and _short(old.get("EventBusName")) != _short(new.get("EventBusName"))

    def delete(self, ctx: Context, resource: Resource) -> bool | None:
        bus, name = _place(resource.id)
        if found(ctx, "DescribeRule", Name=name, EventBusName=bus) is not None:
            _aim(ctx, name, bus, list(every(ctx, "ListTargetsByRule", "Targets", Rule=name, EventBusName=bus)), [])
            events(ctx, "DeleteRule", Name=name, EventBusName=bus)
        return True

    def list(self, ctx: Context) -> Iterator[str]:
        for bus in every(ctx, "ListEventBuses", "EventBuses"):
            for rule in every(ctx, "ListRules", "Rules", EventBusName=bus["Name"]):
                yield rule["Name"] if bus["Name"] == "default" else f"{bus['Name']}|{rule['Name']}"


def _short(bus: str | None) -> str:
    """The name of a bus that is given by name or ARN."""
    return (bus or "default").rsplit("event-bus/", 1)[-1]


def _is_default(bus: str | None) -> bool:
    return _short(bus) == "default"


def _place(identity: str) -> tuple[str | None, str]:
    """(bus, rule) of a physical id, or of a rule's ARN."""
    if identity.startswith("arn:"):
        bus, _, name = identity.split(":rule/", 1)[-1].rpartition("/")
    else:
        bus, _, name = identity.rpartition("|")
    return bus or None, name


def _put(ctx: Context, name: str, props: Properties, **more: Any) -> str:
    """Write the rule whole: what is not given is taken away. Returns its ARN."""
    text = as_text(props.get("EventPattern"))
    whole = {member: props.get(member) for member in _WHOLE}
    arn: str = events(ctx, "PutRule", Name=name, EventBusName=props.get("EventBusName"), EventPattern=text, **whole, **more)["RuleArn"]
    return arn


def _aim(ctx: Context, rule: str, bus: str | None, old: list[dict[str, Any]], new: list[dict[str, Any]]) -> None:
    """Make the rule's targets the new ones."""
    kept = {target["Id"] for target in new}
    gone = [target["Id"] for target in old if target["Id"] not in kept]
    if gone:
        events(ctx, "RemoveTargets", Rule=rule, EventBusName=bus, Ids=gone)
    changed = [target for target in new if target not in old]
    if changed:
        events(ctx, "PutTargets", Rule=rule, EventBusName=bus, Targets=changed)

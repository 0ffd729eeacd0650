"""What every operation looks up: the bus, the rule, a page's beginning; and who may do what to a rule."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.errors import AwsError, not_built
from windtunnel.kernel.scope import Arn
from windtunnel.kernel.tags import by_stack, reserved, users, users_pairs
from windtunnel.services.events.model import DEFAULT_BUS, Bus, Rule, bus_arn, rule_arn, rule_key

R = TypeVar("R")
MAX_TAGS = 50


def bus_name(ctx: Context, given: str | None, operation: str) -> str:
    """The name of a bus that is given by its name or ARN. Raises 501 for an ARN of another account or region."""
    if given is None or not given.startswith("arn:"):
        return given or DEFAULT_BUS
    arn = Arn.parse(given)
    if arn is None or arn.service != "events" or not arn.resource.startswith("event-bus/"):
        raise AwsError("ValidationException", f"Parameter {given} is not valid. Reason: Provided Arn is not in correct format.", status=400)
    if (arn.account, arn.region) != (ctx.scope.account, ctx.scope.region):
        raise not_built("events", operation, "the event bus of another account or region")
    return arn.resource.removeprefix("event-bus/")


def the_bus(ctx: Context, name: str) -> Bus:
    """A bus that is there; the default one also when nothing of it was ever changed."""
    bus = ctx.tx.get(Bus, name)
    if bus is None and name != DEFAULT_BUS:
        raise AwsError("ResourceNotFoundException", f"Event bus {name} does not exist.")
    return bus or Bus(name=DEFAULT_BUS)


def the_rule(ctx: Context, name: str, bus: str) -> Rule:
    the_bus(ctx, bus)
    rule = ctx.tx.get(Rule, rule_key(name, bus))
    if rule is None:
        raise AwsError("ResourceNotFoundException", f"Rule {name} does not exist on EventBus {bus}.")
    return rule


def last_of(bus: str | None) -> str:
    """The name in a bus's name or ARN, for `authorize`."""
    return (bus or DEFAULT_BUS).rsplit("event-bus/", 1)[-1]


def resource_tags(tags: dict[str, str]) -> dict[str, str]:
    return {f"aws:ResourceTag/{key}": value for key, value in tags.items()}


def rule_context(ctx: Context, name: str, bus: str) -> dict[str, Any]:
    """Condition keys that rest on the rule as it is."""
    rule = ctx.tx.get(Rule, rule_key(name, bus))
    if rule is None:
        return {}
    return {**resource_tags(rule.tags), "events:creatorAccount": rule.created_by or ctx.scope.account}


def request_tags(tags: list[dict[str, str]] | None) -> dict[str, Any]:
    tags = users_pairs(tags)
    if not tags:
        return {}
    return {**{f"aws:RequestTag/{tag['Key']}": tag["Value"] for tag in tags}, "aws:TagKeys": [tag["Key"] for tag in tags]}


def check_keys(ctx: Context, keys: list[str]) -> None:
    """AWS's own tags are set and taken away by CloudFormation alone."""
    stack = by_stack(ctx)
    if any(reserved(key, stack) for key in keys):
        raise invalid("Tag keys that begin with aws: are reserved for AWS.")


def checked_tags(ctx: Context, held: dict[str, str], tags: list[dict[str, str]]) -> dict[str, str]:
    """The tags with these added. Raises AWS's error for its own, unless CloudFormation sets them, and for too many."""
    check_keys(ctx, [tag["Key"] for tag in tags])
    merged = {**held, **{tag["Key"]: tag["Value"] for tag in tags}}
    if len(users(merged)) > MAX_TAGS:
        raise invalid(f"The number of tags exceeds the limit of {MAX_TAGS} for a resource.")
    return merged


def on_rule(action: str, argument: str = "name") -> Any:
    """authorize= for an operation on the rule that this argument names."""

    def authorize(ctx: Context, event_bus_name: str | None = None, **args: Any) -> list[Need]:
        name, bus = args[argument], last_of(event_bus_name)
        return [Need(f"events:{action}", rule_arn(ctx.scope, name, bus), rule_context(ctx, name, bus))]

    return authorize


def on_bus(action: str, argument: str = "name") -> Any:
    """authorize= for an operation on the bus that this argument names."""

    def authorize(ctx: Context, **args: Any) -> list[Need]:
        name = last_of(args.get(argument))
        bus = ctx.tx.get(Bus, name)
        return [Need(f"events:{action}", bus_arn(ctx.scope, name), resource_tags(bus.tags) if bus is not None else {})]

    return authorize


def on_everything(action: str) -> Any:
    def authorize(ctx: Context, **_: Any) -> list[Need]:
        return [Need(f"events:{action}")]

    return authorize


def invalid(message: str) -> AwsError:
    return AwsError("ValidationException", message, status=400)


def page(found: list[R], limit: int, member: str, shown: Callable[[R], Any], key: Callable[[R], str]) -> Reply:
    """The answer of a list operation: `limit` of what was found, and the last one's key when there is more (sealed at the wire)."""
    reply: Reply = {member: [shown(one) for one in found[:limit]]}
    if len(found) > limit:
        reply["NextToken"] = key(found[limit - 1])
    return reply

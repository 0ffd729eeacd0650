"""Rules: put, looked at, switched on and off, deleted."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from windtunnel.events.schedule import InvalidSchedule, parse
from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.errors import AwsError, not_built
from windtunnel.kernel.registry import reads, writes
from windtunnel.kernel.tags import users_pairs
from windtunnel.services.events.lookups import (
    bus_name,
    checked_tags,
    invalid,
    last_of,
    on_everything,
    on_rule,
    page,
    request_tags,
    rule_context,
    the_bus,
    the_rule,
)
from windtunnel.services.events.model import DEFAULT_BUS, SERVICE, Rule, how_many_rules, rule_arn, rule_key, rules_of
from windtunnel.services.events.patterns import InvalidPattern, Matcher, compile_pattern
from windtunnel.services.events.rulesets import changed
from windtunnel.services.events.scheduling import reschedule

MAX_RULES = 300
ENVELOPE = ("id", "account", "source", "time", "region", "resources", "detail-type")


def checked_pattern(text: str) -> Matcher:
    try:
        return compile_pattern(text)
    except InvalidPattern as error:
        raise AwsError("InvalidEventPatternException", f"Event pattern is not valid. Reason: {error}") from error


def may_put_rule(
    ctx: Context,
    name: str,
    event_pattern: str = "",
    role_arn: str | None = None,
    tags: list[dict[str, str]] | None = None,
    event_bus_name: str | None = None,
    **_: Any,
) -> list[Need]:
    bus = last_of(event_bus_name)
    context = {**rule_context(ctx, name, bus), **request_tags(tags), **_named_by(event_pattern)}
    arn = rule_arn(ctx.scope, name, bus)
    needs = [Need("events:PutRule", arn, context)]
    if users_pairs(tags):
        needs.append(Need("events:TagResource", arn, context))
    return [*needs, Need("iam:PassRole", role_arn, {"iam:PassedToService": SERVICE})] if role_arn else needs


def _named_by(pattern: str) -> dict[str, Any]:
    """What a pattern says of the source and the detail type, as condition keys."""
    try:
        given = json.loads(pattern) if pattern else {}
    except (ValueError, RecursionError):
        given = {}
    found = {}
    for key in ("source", "detail-type"):
        values = given.get(key) if isinstance(given, dict) else None
        if isinstance(values, list) and all(isinstance(value, str) for value in values):
            found[f"events:{key}"] = values
    return found


@writes(
    "events",
    "PutRule",
    authorize=may_put_rule,
    acts="Name EventPattern ScheduleExpression State EventBusName Tags[].Key Tags[].Value",
    descriptive="Description RoleArn",
)
def put_rule(
    ctx: Context,
    name: str,
    schedule_expression: str = "",
    event_pattern: str = "",
    state: str = "",
    description: str = "",
    role_arn: str = "",
    tags: list[dict[str, str]] | None = None,
    event_bus_name: str | None = None,
) -> Reply:
    bus = bus_name(ctx, event_bus_name, "PutRule")
    the_bus(ctx, bus)
    if not event_pattern and not schedule_expression:
        raise invalid("Parameter(s) EventPattern or ScheduleExpression must be specified.")
    if state == "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS":
        raise not_built("events", "PutRule", f"State {state} (what only reads is no event here)")
    if event_pattern:
        checked_pattern(event_pattern)
    if schedule_expression:
        if bus != DEFAULT_BUS:
            raise invalid("ScheduleExpression is supported only on the default event bus.")
        check_schedule(schedule_expression)
    old = ctx.tx.get(Rule, rule_key(name, bus))
    if old is None and how_many_rules(ctx.tx, bus) >= MAX_RULES:
        raise AwsError("LimitExceededException", "The requested resource exceeds the maximum number allowed.")
    rule = Rule(
        name=name,
        bus=bus,
        pattern=event_pattern,
        schedule=schedule_expression,
        state="DISABLED" if state == "DISABLED" else "ENABLED",
        description=description,
        role=role_arn,
        created_by=old.created_by if old else ctx.principal.account,
        targets=old.targets if old else {},
        tags=old.tags if old else checked_tags(ctx, {}, tags or []),
        schedule_run=old.schedule_run if old else "",
    )
    store(ctx, reschedule(ctx, rule))
    return {"RuleArn": rule.arn(ctx.scope)}


def store(ctx: Context, rule: Rule) -> None:
    ctx.tx.put(rule)
    changed(ctx)


def _on(bus: str, found: list[Rule]) -> list[Rule]:
    """Those of a bus: a scan of the default bus's rules goes on into those of the others."""
    return [rule for rule in found if rule.bus == bus]


def check_schedule(expression: str) -> None:
    try:
        parse(expression)
    except InvalidSchedule as error:
        raise invalid("Parameter ScheduleExpression is not valid.") from error


@reads("events", "DescribeRule", authorize=on_rule("DescribeRule"), acts="Name EventBusName")
def describe_rule(ctx: Context, name: str, event_bus_name: str | None = None) -> Reply:
    rule = the_rule(ctx, name, bus_name(ctx, event_bus_name, "DescribeRule"))
    return {**rule.described(ctx.scope), "CreatedBy": rule.created_by}


@reads("events", "ListRules", authorize=on_everything("ListRules"), acts="NamePrefix EventBusName NextToken Limit", cost="scan")
def list_rules(
    ctx: Context, name_prefix: str = "", event_bus_name: str | None = None, next_token: str | None = None, limit: int = 100
) -> Reply:
    bus = bus_name(ctx, event_bus_name, "ListRules")
    the_bus(ctx, bus)
    found = ctx.tx.scan(Rule, prefix=rules_of(bus) + name_prefix, after=next_token, limit=limit + 1)
    return page(_on(bus, found), limit, "Rules", lambda rule: rule.described(ctx.scope), Rule.key)


@writes("events", "EnableRule", authorize=on_rule("EnableRule"), acts="Name EventBusName")
def enable_rule(ctx: Context, name: str, event_bus_name: str | None = None) -> Reply:
    rule = the_rule(ctx, name, bus_name(ctx, event_bus_name, "EnableRule"))
    if rule.state != "ENABLED":
        store(ctx, reschedule(ctx, msgspec.structs.replace(rule, state="ENABLED")))
    return {}


@writes("events", "DisableRule", authorize=on_rule("DisableRule"), acts="Name EventBusName")
def disable_rule(ctx: Context, name: str, event_bus_name: str | None = None) -> Reply:
    rule = the_rule(ctx, name, bus_name(ctx, event_bus_name, "DisableRule"))
    if rule.state != "DISABLED":
        store(ctx, reschedule(ctx, msgspec.structs.replace(rule, state="DISABLED")))
    return {}


@writes("events", "DeleteRule", authorize=on_rule("DeleteRule"), acts="Name EventBusName", descriptive="Force")
def delete_rule(ctx: Context, name: str, event_bus_name: str | None = None, force: bool = False) -> Reply:
    """Deleting what is gone is success. Force is for rules that another service manages; there are none here."""
    bus = bus_name(ctx, event_bus_name, "DeleteRule")
    the_bus(ctx, bus)
    rule = ctx.tx.get(Rule, rule_key(name, bus))
    if rule is None:
        return {}
    if rule.targets:
        raise invalid("Rule can't be deleted since it has targets.")
    reschedule(ctx, msgspec.structs.replace(rule, schedule=""))
    ctx.tx.delete(Rule, rule.key())
    changed(ctx)
    return {}


@reads("events", "TestEventPattern", authorize=on_everything("TestEventPattern"), acts="EventPattern Event")
def test_event_pattern(ctx: Context, event_pattern: str, event: str) -> Reply:
    matches = checked_pattern(event_pattern)
    try:
        given = json.loads(event)
    except (ValueError, RecursionError) as error:
        raise invalid(f"Parameter Event is not valid. Reason: {error}") from error
    if not isinstance(given, dict):
        raise invalid("Parameter Event is not valid. Reason: event is not an object")
    missing = [member for member in ENVELOPE if member not in given]
    if missing:
        raise invalid(f"Parameter Event is not valid. Reason: event does not contain required field '{missing[0]}'")
    return {"Result": matches(given)}

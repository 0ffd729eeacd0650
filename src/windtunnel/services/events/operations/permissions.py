"""Who else may put events onto a bus: its resource policy, whole or statement by statement."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from windtunnel.iam.grammar import validate
from windtunnel.iam.policy import statements_of
from windtunnel.kernel.context import Context, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import writes
from windtunnel.services.events.lookups import invalid, on_bus, the_bus
from windtunnel.services.events.model import DEFAULT_BUS, Bus, bus_arn

MAX_POLICY = 10240
PUT_EVENTS = "events:PutEvents"


def _put(ctx: Context, bus: Bus, statements: list[Any]) -> None:
    policy = json.dumps({"Version": "2012-10-17", "Statement": statements}, separators=(",", ":")) if statements else ""
    _store(ctx, bus, policy)


def _store(ctx: Context, bus: Bus, policy: str) -> None:
    if len(policy) > MAX_POLICY:
        raise AwsError("PolicyLengthExceededException", "The event bus policy exceeds the maximum length of 10240 characters.")
    if policy:
        validate(policy, "resource", code="ValidationException")
    ctx.tx.put(msgspec.structs.replace(bus, policy=policy, modified=ctx.now, created=bus.created or ctx.now))


def _statements(bus: Bus) -> list[Any]:
    return list(statements_of(json.loads(bus.policy))) if bus.policy else []


@writes(
    "events",
    "PutPermission",
    authorize=on_bus("PutPermission", "event_bus_name"),
    acts="EventBusName Action Principal StatementId Condition.Type Condition.Key Condition.Value Policy",
)
def put_permission(
    ctx: Context,
    event_bus_name: str = DEFAULT_BUS,
    action: str = "",
    principal: str = "",
    statement_id: str = "",
    condition: dict[str, str] | None = None,
    policy: str | None = None,
) -> Reply:
    bus = the_bus(ctx, event_bus_name)
    if policy is not None:
        if action or principal or statement_id or condition:
            raise invalid("Policy cannot be specified with Action, Principal, StatementId or Condition.")
        _store(ctx, bus, policy)
        return {}
    for member, value in (("Action", action), ("Principal", principal), ("StatementId", statement_id)):
        if not value:
            raise invalid(f"Parameter(s) {member} must be specified.")
    if action != PUT_EVENTS:
        raise invalid("Provided value in parameter 'action' is not supported.")
    statement: dict[str, Any] = {
        "Sid": statement_id,
        "Effect": "Allow",
        "Principal": "*" if principal == "*" else {"AWS": f"arn:aws:iam::{principal}:root"},
        "Action": action,
        "Resource": bus_arn(ctx.scope, bus.name),
    }
    if condition is not None:
        statement["Condition"] = {condition["Type"]: {condition["Key"]: condition["Value"]}}
    _put(ctx, bus, [*(one for one in _statements(bus) if one.get("Sid") != statement_id), statement])
    return {}


@writes(
    "events",
    "RemovePermission",
    authorize=on_bus("RemovePermission", "event_bus_name"),
    acts="EventBusName StatementId RemoveAllPermissions",
)
def remove_permission(
    ctx: Context, event_bus_name: str = DEFAULT_BUS, statement_id: str = "", remove_all_permissions: bool = False
) -> Reply:
    bus = the_bus(ctx, event_bus_name)
    if remove_all_permissions:
        _put(ctx, bus, [])
        return {}
    if not statement_id:
        raise invalid("Parameter StatementId is required.")
    if not bus.policy:
        raise AwsError("ResourceNotFoundException", "EventBus does not have a policy.")
    held = _statements(bus)
    kept = [one for one in held if one.get("Sid") != statement_id]
    if len(kept) == len(held):
        raise AwsError("ResourceNotFoundException", "Statement with the provided id does not exist.")
    _put(ctx, bus, kept)
    return {}

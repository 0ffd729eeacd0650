"""Targets of rules."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.errors import AwsError, not_built
from windtunnel.kernel.registry import reads, writes
from windtunnel.kernel.scope import Arn
from windtunnel.services.events.lookups import (
    bus_name,
    invalid,
    last_of,
    on_everything,
    on_rule,
    page,
    rule_context,
    the_bus,
    the_rule,
)
from windtunnel.services.events.model import SERVICE, Rule, rule_arn
from windtunnel.services.events.operations.rules import store
from windtunnel.services.events.targets import DESTINATION, Kind, kind_of
from windtunnel.services.events.transform import path_is_valid, template_is_valid

MAX_TARGETS = 5
INPUTS = ("Input", "InputPath", "InputTransformer")


def may_put_targets(ctx: Context, rule: str, targets: list[dict[str, Any]], event_bus_name: str | None = None, **_: Any) -> list[Need]:
    bus = last_of(event_bus_name)
    context = {**rule_context(ctx, rule, bus), "events:TargetArn": [target["Arn"] for target in targets]}
    roles = dict.fromkeys(target["RoleArn"] for target in targets if "RoleArn" in target)
    passed = [Need("iam:PassRole", role, {"iam:PassedToService": SERVICE}) for role in roles]
    return [Need("events:PutTargets", rule_arn(ctx.scope, rule, bus), context), *passed]


@writes(
    "events",
    "PutTargets",
    authorize=may_put_targets,
    acts="Rule EventBusName Targets[].Id Targets[].Arn Targets[].RoleArn Targets[].Input Targets[].InputPath"
    " Targets[].InputTransformer.InputPathsMap{} Targets[].InputTransformer.InputTemplate Targets[].SqsParameters.MessageGroupId"
    " Targets[].HttpParameters.PathParameterValues[] Targets[].HttpParameters.HeaderParameters{}"
    " Targets[].HttpParameters.QueryStringParameters{}"
    " Targets[].RetryPolicy.MaximumRetryAttempts Targets[].RetryPolicy.MaximumEventAgeInSeconds Targets[].DeadLetterConfig.Arn",
)
def put_targets(ctx: Context, rule: str, targets: list[dict[str, Any]], event_bus_name: str | None = None) -> Reply:
    found = the_rule(ctx, rule, bus_name(ctx, event_bus_name, "PutTargets"))
    for given in targets:
        check_target(ctx, given)
    merged = {**found.targets, **{given["Id"]: given for given in targets}}
    if len(merged) > MAX_TARGETS:
        raise AwsError("LimitExceededException", "The requested resource exceeds the maximum number allowed.")
    store(ctx, msgspec.structs.replace(found, targets=merged))
    return {"FailedEntryCount": 0, "FailedEntries": []}


def check_target(ctx: Context, given: dict[str, Any]) -> None:
    """Raise AWS's error for a target that is wrong, 501 for one that cannot be reached here."""
    identity, arn = given["Id"], Arn.parse(given["Arn"])
    if arn is None:
        raise invalid(f"Parameter {given['Arn']} is not valid. Reason: Provided Arn is not in correct format.")
    if sum(member in given for member in INPUTS) > 1:
        raise invalid(f"Only one of Input, InputPath, or InputTransformer must be provided for target {identity}.")
    kind = kind_of(arn)
    if kind is None:
        raise not_built("events", "PutTargets", f"a target of {arn.service}")
    _check_place(ctx, given, arn, kind)
    _check_fifo(identity, given, arn)
    _check_dead_letters(ctx, given)
    _check_input(identity, given)


def _check_place(ctx: Context, given: dict[str, Any], arn: Arn, kind: Kind) -> None:
    """Where a target may be, and who must let EventBridge in."""
    elsewhere, bus = arn.account != ctx.scope.account, arn.service == "events" and kind is not DESTINATION
    if arn.region != ctx.scope.region and not bus:
        raise invalid(f"Parameter {given['Arn']} is not valid. Reason: Provided Arn is not in correct region.")
    if elsewhere and kind.access != "either":
        raise not_built("events", "PutTargets", f"a target of {arn.service} in another account")
    if kind.access == "policy" and "RoleArn" in given:
        raise invalid(f"RoleArn is not supported for target {given['Arn']}.")
    if "RoleArn" not in given and (kind.access == "role" or (elsewhere != bus)):
        raise invalid(f"RoleArn is required for target {given['Arn']}.")
    if "HttpParameters" in given and kind is not DESTINATION:
        raise invalid(f"Parameter(s) HttpParameters is not valid for target: {given['Id']}.")
    if bus and elsewhere and any(member in given for member in INPUTS):
        raise invalid(f"Input, InputPath and InputTransformer are not supported for target {given['Arn']}.")
    if bus and any(member in given for member in INPUTS):
        raise not_built("events", "PutTargets", "Input, InputPath or InputTransformer for an event bus")


def _check_fifo(identity: str, given: dict[str, Any], arn: Arn) -> None:
    fifo, told = arn.service == "sqs" and arn.resource.endswith(".fifo"), "SqsParameters" in given
    if fifo and not told:
        raise invalid(f"Parameter(s) SqsParameters must be specified for target: {identity}.")
    if told and not fifo:
        raise invalid(f"Parameter(s) SqsParameters is not valid for target: {identity}.")
    if told and not given["SqsParameters"].get("MessageGroupId"):
        raise invalid(f"Parameter(s) MessageGroupId must be specified for target: {identity}.")


def _check_dead_letters(ctx: Context, given: dict[str, Any]) -> None:
    queue = given.get("DeadLetterConfig", {}).get("Arn")
    if queue is None:
        return
    arn = Arn.parse(queue)
    if arn is None or arn.service != "sqs" or arn.region != ctx.scope.region or arn.resource.endswith(".fifo"):
        raise invalid(f"Parameter {queue} is not valid. Reason: Provided Arn is not of a standard queue in this region.")


def _check_input(identity: str, given: dict[str, Any]) -> None:
    if "Input" in given:
        try:
            json.loads(given["Input"])
        except (ValueError, RecursionError) as error:
            raise invalid(f"JSON syntax error in input for target {identity} : {error}") from error
    transformer = given.get("InputTransformer", {})
    paths = [*([given["InputPath"]] if "InputPath" in given else []), *transformer.get("InputPathsMap", {}).values()]
    for path in paths:
        if not path_is_valid(path):
            raise invalid(f"Invalid InputPath for target {identity} : {path}.")
    for name in transformer.get("InputPathsMap", {}):
        if name.upper().startswith("AWS"):
            raise invalid(f"Invalid InputPathsMap for target {identity} : names must not start with AWS.")
    if transformer and not template_is_valid(transformer["InputTemplate"], transformer.get("InputPathsMap", {})):
        raise invalid(f"Invalid InputTemplate for target {identity} : it is not JSON once its placeholders have values.")


@writes("events", "RemoveTargets", authorize=on_rule("RemoveTargets", "rule"), acts="Rule EventBusName Ids[]", descriptive="Force")
def remove_targets(ctx: Context, rule: str, ids: list[str], event_bus_name: str | None = None, force: bool = False) -> Reply:
    found = the_rule(ctx, rule, bus_name(ctx, event_bus_name, "RemoveTargets"))
    failed = [
        {"TargetId": identity, "ErrorCode": "ResourceNotFoundException", "ErrorMessage": f"Rule {rule} does not have a target {identity}."}
        for identity in ids
        if identity not in found.targets
    ]
    kept = {identity: target for identity, target in found.targets.items() if identity not in ids}
    store(ctx, msgspec.structs.replace(found, targets=kept))
    return {"FailedEntryCount": len(failed), "FailedEntries": failed}


@reads("events", "ListTargetsByRule", authorize=on_rule("ListTargetsByRule", "rule"), acts="Rule EventBusName NextToken Limit")
def list_targets_by_rule(
    ctx: Context, rule: str, event_bus_name: str | None = None, next_token: str | None = None, limit: int = 100
) -> Reply:
    found, after = the_rule(ctx, rule, bus_name(ctx, event_bus_name, "ListTargetsByRule")), next_token or ""
    ids = [identity for identity in sorted(found.targets) if identity > after]
    return page(ids, limit, "Targets", lambda identity: found.targets[identity], str)


@reads(
    "events",
    "ListRuleNamesByTarget",
    authorize=on_everything("ListRuleNamesByTarget"),
    acts="TargetArn EventBusName NextToken Limit",
    cost="scan",
)
def list_rule_names_by_target(
    ctx: Context, target_arn: str, event_bus_name: str | None = None, next_token: str | None = None, limit: int = 100
) -> Reply:
    bus = bus_name(ctx, event_bus_name, "ListRuleNamesByTarget")
    the_bus(ctx, bus)
    found = [rule for rule in ctx.tx.find(Rule, "target", target_arn, after=next_token) if rule.bus == bus]
    return page(found, limit, "RuleNames", lambda rule: rule.name, Rule.key)

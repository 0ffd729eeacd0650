"""Targets of rules."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.errors import AwsError, not_built
from windtunnel.kernel.registry import reads, writes
from windtunnel.kernel.scope import Arn
from windtunnel.services.events.lookups import check_bus, key_of, on_everything, on_rule, tags_of, the_rule, token_after
from windtunnel.services.events.model import SERVICE, Rule, rule_arn
from windtunnel.services.events.operations.rules import invalid
from windtunnel.services.events.targets import TARGETS
from windtunnel.services.events.transform import path_is_valid

MAX_TARGETS = 5
INPUTS = ("Input", "InputPath", "InputTransformer")


def may_put_targets(ctx: Context, rule: str, targets: list[dict[str, Any]], **_: Any) -> list[Need]:
    context = {**tags_of(ctx, rule), "events:TargetArn": [target["Arn"] for target in targets]}
    roles = dict.fromkeys(target["RoleArn"] for target in targets if "RoleArn" in target)
    passed = [Need("iam:PassRole", role, {"iam:PassedToService": SERVICE}) for role in roles]
    return [Need("events:PutTargets", rule_arn(ctx.scope, rule), context), *passed]


@writes(
    "events",
    "PutTargets",
    authorize=may_put_targets,
    acts="Rule EventBusName Targets[].Id Targets[].Arn Targets[].RoleArn Targets[].Input Targets[].InputPath"
    " Targets[].InputTransformer.InputPathsMap{} Targets[].InputTransformer.InputTemplate"
    " Targets[].RetryPolicy.MaximumRetryAttempts Targets[].RetryPolicy.MaximumEventAgeInSeconds",
)
def put_targets(ctx: Context, rule: str, targets: list[dict[str, Any]], event_bus_name: str | None = None) -> Reply:
    found = the_rule(ctx, rule, event_bus_name)
    for given in targets:
        check_target(ctx, given)
    merged = {**found.targets, **{given["Id"]: given for given in targets}}
    if len(merged) > MAX_TARGETS:
        raise AwsError("LimitExceededException", "The requested resource exceeds the maximum number allowed.")
    ctx.tx.put(msgspec.structs.replace(found, targets=merged))
    return {"FailedEntryCount": 0, "FailedEntries": []}


def check_target(ctx: Context, given: dict[str, Any]) -> None:
    """Raise AWS's error for a target that is wrong, 501 for one that cannot be reached here."""
    identity, arn = given["Id"], Arn.parse(given["Arn"])
    if arn is None:
        raise invalid(f"Parameter {given['Arn']} is not valid. Reason: Provided Arn is not in correct format.")
    if sum(member in given for member in INPUTS) > 1:
        raise invalid(f"Only one of Input, InputPath, or InputTransformer must be provided for target {identity}.")
    if arn.service not in TARGETS:
        raise not_built("events", "PutTargets", f"a target of {arn.service}")
    if (arn.account, arn.region) != (ctx.scope.account, ctx.scope.region):
        raise not_built("events", "PutTargets", "a target in another account or region")
    if "RoleArn" not in given:
        raise invalid(f"RoleArn is required for target {given['Arn']}.")
    _check_input(identity, given)


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


@writes("events", "RemoveTargets", authorize=on_rule("RemoveTargets", "rule"), acts="Rule EventBusName Ids[]", descriptive="Force")
def remove_targets(ctx: Context, rule: str, ids: list[str], event_bus_name: str | None = None, force: bool = False) -> Reply:
    found = the_rule(ctx, rule, event_bus_name)
    failed = [
        {"TargetId": identity, "ErrorCode": "ResourceNotFoundException", "ErrorMessage": f"Rule {rule} does not have a target {identity}."}
        for identity in ids
        if identity not in found.targets
    ]
    kept = {identity: target for identity, target in found.targets.items() if identity not in ids}
    ctx.tx.put(msgspec.structs.replace(found, targets=kept))
    return {"FailedEntryCount": len(failed), "FailedEntries": failed}


@reads("events", "ListTargetsByRule", authorize=on_rule("ListTargetsByRule", "rule"), acts="Rule EventBusName NextToken Limit")
def list_targets_by_rule(
    ctx: Context, rule: str, event_bus_name: str | None = None, next_token: str | None = None, limit: int = 100
) -> Reply:
    found, after = the_rule(ctx, rule, event_bus_name), key_of(next_token) or ""
    ids = [identity for identity in sorted(found.targets) if identity > after]
    reply: Reply = {"Targets": [found.targets[identity] for identity in ids[:limit]]}
    if len(ids) > limit:
        reply["NextToken"] = token_after(ids[limit - 1])
    return reply


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
    check_bus(ctx, event_bus_name)
    found = ctx.tx.find(Rule, "target", target_arn, after=key_of(next_token), limit=limit + 1)
    reply: Reply = {"RuleNames": [rule.name for rule in found[:limit]]}
    if len(found) > limit:
        reply["NextToken"] = token_after(found[limit - 1].name)
    return reply

"""What IAM's simulator answers: the decision for each action and resource, the statements it rests on, the keys that were missing.

Invariant: the decision is `windtunnel.iam.evaluate`'s own; only where it comes from is told here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from windtunnel.iam.evaluate import Policies, decide
from windtunnel.iam.policy import Policy, PolicySet, Statement, compile_policy
from windtunnel.iam.request import Caller, Context, ContextValue, Request
from windtunnel.iam.source import Place, parse, place, statements

_DECISIONS = {"allowed": "allowed", "explicitDeny": "explicitDeny", "implicitDeny": "implicitDeny"}


class Simulated(NamedTuple):
    """Everything that is asked about at once. identities: (source id, policy). resource: the resource's policy, None for none."""

    caller: Caller
    identities: list[tuple[str, Policy]]
    boundaries: list[Policy] | None
    session: PolicySet | None
    resource: Policy | None
    resource_account: str | None
    context: Mapping[str, ContextValue]
    missing: list[str]


class _Asked:
    """The context, and which of its keys were asked for in vain."""

    def __init__(self, given: Mapping[str, ContextValue]) -> None:
        self._given = {key.lower(): value for key, value in given.items()}

    def __call__(self, key: str) -> ContextValue | None:
        return self._given.get(key)

    def has(self, key: str) -> bool:
        return key.lower() in self._given


def simulate(world: Simulated, action: str, resources: list[str]) -> dict[str, Any]:
    """An EvaluationResult."""
    asked = _Asked(world.context)
    results = [_one(world, action, resource, asked) for resource in resources]
    worst = next((each for each in results if each["EvalDecision"] == "explicitDeny"), None)
    worst = worst or next((each for each in results if each["EvalDecision"] == "implicitDeny"), results[0])
    missing = [key for key in world.missing if not asked.has(key) and key.lower() not in world.caller.keys]
    answer: dict[str, Any] = {
        "EvalActionName": action,
        "EvalResourceName": resources[0] if len(resources) == 1 else "*",
        **worst,
        "MissingContextValues": missing,
    }
    if resources != ["*"]:
        answer["ResourceSpecificResults"] = [_specific(name, result, missing) for name, result in zip(resources, results, strict=True)]
    return answer


def _specific(name: str, result: dict[str, Any], missing: list[str]) -> dict[str, Any]:
    reply = {
        "EvalResourceName": name,
        "EvalResourceDecision": result["EvalDecision"],
        "MatchedStatements": result["MatchedStatements"],
        "MissingContextValues": missing,
    }
    for member in ("EvalDecisionDetails", "PermissionsBoundaryDecisionDetail"):
        if member in result:
            reply[member] = result[member]
    return reply


def _one(world: Simulated, action: str, resource: str, asked: Context) -> dict[str, Any]:
    request = Request(world.caller, action, resource, asked)
    identity = PolicySet("identity-based policy", [policy for _, policy in world.identities])
    boundary = PolicySet("permissions boundary", world.boundaries) if world.boundaries is not None else None
    own = PolicySet("resource-based policy", [world.resource]) if world.resource is not None else None
    policies = Policies(identity, boundary, world.session, own, world.resource_account)
    decision = decide(request, policies)
    matched = _matched(world, request, deny=decision.kind == "explicitDeny") if decision.kind != "implicitDeny" else []
    answer: dict[str, Any] = {"EvalDecision": _DECISIONS[decision.kind], "MatchedStatements": matched}
    if boundary is not None:
        answer["PermissionsBoundaryDecisionDetail"] = {"AllowedByPermissionsBoundary": _side(request, boundary) == "allowed"}
    if own is not None and world.resource_account not in (None, world.caller.account):
        answer["EvalDecisionDetails"] = {"IAM Policy": _side(request, identity), "Resource Policy": _side(request, own)}
    return answer


def _side(request: Request, policies: PolicySet) -> str:
    """What one kind of policy says by itself."""
    plan = policies.plan(request.action)
    if any(statement.grant(request) and statement.applies(request) for statement in plan.denies):
        return "explicitDeny"
    return "allowed" if any(statement.grant(request) and statement.applies(request) for statement in plan.allows) else "implicitDeny"


def _matched(world: Simulated, request: Request, *, deny: bool) -> list[dict[str, Any]]:
    """The statements that denied, or those that allowed."""
    sources = [(name, "IAM Policy", policy) for name, policy in world.identities]
    if world.boundaries is not None and deny:
        sources += [(f"PermissionsBoundaryPolicyInputList.{i + 1}", "IAM Policy", p) for i, p in enumerate(world.boundaries)]
    if world.resource is not None:
        sources.append(("ResourcePolicy", "Resource Policy", world.resource))
    return [
        _statement(name, kind, statement)
        for name, kind, policy in sources
        for statement in policy.statements
        if statement.allow is not deny
        and statement.acts_on(request.action.lower())
        and statement.grant(request)
        and statement.applies(request)
    ]


def _statement(name: str, kind: str, statement: Statement) -> dict[str, Any]:
    text = statement.decision.document
    node = statements(parse(text))[statement.decision.index]
    return {
        "SourcePolicyId": name,
        "SourcePolicyType": kind,
        "StartPosition": _position(place(text, node.start + 1)),
        "EndPosition": _position(place(text, node.end)),
    }


def _position(at: Place) -> dict[str, int]:
    """AWS's columns are counted from 1; a position is the one after the brace."""
    return {"Line": at.line, "Column": at.column + 1}


def compiled_list(documents: list[str], prefix: str) -> list[tuple[str, Policy]]:
    """Policies that were given, named as AWS names them: `PolicyInputList.1`."""
    return [(f"{prefix}.{i + 1}", compile_policy(text, f"{prefix}.{i + 1}", "identity-based policy")) for i, text in enumerate(documents)]

"""Stack policies: which resources an update may touch (AWS CloudFormation user guide, stack policies).

Invariant: without a policy everything is allowed; with one, what no statement allows is denied, and a deny wins.
"""

from __future__ import annotations

import json
from typing import Any, Literal

from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.matching import fits
from windtunnel.services.cloudformation.model import Operation, Stack, StackResource

Action = Literal["Update:Modify", "Update:Replace", "Update:Delete"]
"""What an update does to a resource: changes it in place, makes another in its stead, takes it away."""


def wildcard(pattern: str, text: str) -> bool:
    return fits(pattern.split("*"), text)


def check(text: str) -> None:
    """Raises AwsError for what is no stack policy."""
    broken = AwsError("ValidationError", "Error validating stack policy: Invalid stack policy")
    try:
        policy = json.loads(text)
    except (ValueError, RecursionError):
        raise broken from None
    statements = policy.get("Statement") if isinstance(policy, dict) else None
    if isinstance(statements, dict):
        statements = [statements]
    if not isinstance(statements, list) or not statements:
        raise broken
    for statement in statements:
        if not isinstance(statement, dict) or statement.get("Effect") not in ("Allow", "Deny"):
            raise broken
        if statement.get("Principal") != "*" or not ("Action" in statement or "NotAction" in statement):
            raise broken
        if not ("Resource" in statement or "NotResource" in statement):
            raise broken


def refusal(stack: Stack, operation: Operation, resource: StackResource, action: Action) -> str:
    """Why the policy forbids it, "" when it does not."""
    text = operation.options.policy or stack.policy
    if not text:
        return ""
    return denied(json.loads(text), resource.logical, resource.type, action)


def denied(policy: dict[str, Any], logical: str, type_name: str, action: str) -> str:
    allowed = False
    statements = policy.get("Statement") or []
    for number, statement in enumerate(statements if isinstance(statements, list) else [statements]):
        if not _covers(statement, logical, type_name, action):
            continue
        if statement.get("Effect") == "Deny":
            what, where = (", ".join(_as_list(statement.get(name))) for name in (_said(statement, "Action"), _said(statement, "Resource")))
            return f"Action denied by stack policy: Statement [#{number}] does not allow [{what}] for resource [{where}]"
        allowed = True
    return (
        "" if allowed else f"Action not allowed by stack policy: no statement allows [{action}] for resource [LogicalResourceId/{logical}]"
    )


def _said(statement: dict[str, Any], name: str) -> str:
    """A refusal names its statement's own actions and resources, as they are written there."""
    return name if name in statement else f"Not{name}"


def _as_list(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else [str(item) for item in value or []]


def _covers(statement: dict[str, Any], logical: str, type_name: str, action: str) -> bool:
    name = f"LogicalResourceId/{logical}"
    actions, not_actions = statement.get("Action"), statement.get("NotAction")
    if actions is not None and not any(wildcard(pattern, action) for pattern in _as_list(actions)):
        return False
    if not_actions is not None and any(wildcard(pattern, action) for pattern in _as_list(not_actions)):
        return False
    resources, others = statement.get("Resource"), statement.get("NotResource")
    if resources is not None and not any(_names(pattern, name) for pattern in _as_list(resources)):
        return False
    if others is not None and any(_names(pattern, name) for pattern in _as_list(others)):
        return False
    for operator, keys in (statement.get("Condition") or {}).items():
        wanted = _as_list(keys.get("ResourceType"))
        like = operator == "StringLike"
        if not any(wildcard(pattern, type_name) if like else pattern == type_name for pattern in wanted):
            return False
    return True


def _names(pattern: str, name: str) -> bool:
    return pattern == "*" or wildcard(pattern, name)

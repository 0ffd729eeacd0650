"""Policies compiled for evaluation: once per version of a document, then planned once per action.

Invariant: compiling is pure and depends on the document alone, so a compiled policy may be shared by all requests and threads;
what varies with a request comes from the `Request`. A plan holds only the statements whose action element matches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import msgspec

from windtunnel.iam.arns import arn_matcher
from windtunnel.iam.conditions import Condition, compile_conditions
from windtunnel.iam.principals import Grant, Principals, compile_principals, listed
from windtunnel.iam.request import Request
from windtunnel.iam.variables import resolve, template
from windtunnel.iam.wildcards import ANY_RUN, Matcher, anything, marked, matcher

# As AWS names them in its messages.
PolicyType = Literal["identity-based policy", "resource-based policy", "role trust policy", "permissions boundary", "session policy"]

_PLANS_KEPT = 512


@dataclass(frozen=True, slots=True, eq=False)
class Decision:
    """IAM's answer, and what it rests on.

    policy_type, policy: the kind and the name or ARN of the policy that decided (of the kind that is missing an allow, for an
    implicit deny). statement: its Sid, or its index where it has none. message: AWS's words for a denial, "" for an allow.
    document, index: the text of the policy that decided and which of its statements did; "" and -1 for an implicit deny.
    """

    allowed: bool
    kind: Literal["allowed", "explicitDeny", "implicitDeny"]
    policy_type: PolicyType
    policy: str | None = None
    statement: str | int | None = None
    message: str = ""
    document: str = ""
    index: int = -1


@dataclass(frozen=True, slots=True, eq=False)
class Statement:
    allow: bool
    acts_on: Matcher  # of lower-case actions
    applies: Callable[[Request], bool]  # resource and conditions
    reaches: Callable[[Request], bool]  # the resource alone: tells what a statement failed by
    grant: Callable[[Request], Grant]  # how the caller is named; DIRECT where the policy has no principals
    decision: Decision  # the answer if this statement decides (a deny's message is still to be written)


class Plan(NamedTuple):
    """The statements of a policy set that one action can reach."""

    denies: tuple[Statement, ...]
    allows: tuple[Statement, ...]


class PolicySet:
    """Policies of one type that are evaluated together. Keep it as long as none of them changes: its plans are cached."""

    __slots__ = ("plan", "policy_type")

    def __init__(self, policy_type: PolicyType, policies: Iterable[Policy]) -> None:
        statements = tuple(statement for policy in policies for statement in policy.statements)
        self.policy_type = policy_type
        self.plan: Callable[[str], Plan] = lru_cache(_PLANS_KEPT)(lambda action: _plan(statements, action.lower()))


class Policy(NamedTuple):
    name: str
    statements: tuple[Statement, ...]


def _plan(statements: tuple[Statement, ...], action: str) -> Plan:
    reached = [statement for statement in statements if statement.acts_on(action)]
    return Plan(
        tuple(statement for statement in reached if not statement.allow), tuple(statement for statement in reached if statement.allow)
    )


def compile_policy(document: str | Mapping[str, Any], name: str, policy_type: PolicyType) -> Policy:
    """A document that `grammar.validate` has accepted. name: what a Decision shall call it (its ARN, or an inline policy's name)."""
    content: Mapping[str, Any] = msgspec.json.decode(document) if isinstance(document, str) else document
    text = document if isinstance(document, str) else msgspec.json.encode(document).decode()
    variables = content.get("Version") == "2012-10-17"
    return Policy(name, tuple(_statement(item, i, name, policy_type, variables, text) for i, item in enumerate(statements_of(content))))


def statements_of(document: Mapping[str, Any]) -> list[Any]:
    found = document.get("Statement")
    return found if isinstance(found, list) else [found]


def _statement(item: Mapping[str, Any], index: int, name: str, policy_type: PolicyType, variables: bool, text: str) -> Statement:
    allow = item["Effect"] == "Allow"
    kind: Literal["allowed", "explicitDeny"] = "allowed" if allow else "explicitDeny"
    decision = Decision(allow, kind, policy_type, name, item.get("Sid") or index, document=text, index=index)
    resource = _resources(item, variables)
    return Statement(
        allow=allow,
        acts_on=_actions(item),
        applies=_applies(resource, compile_conditions(item.get("Condition", {}), variables=variables)),
        reaches=resource or _always,
        grant=_grant(item),
        decision=decision,
    )


def _actions(item: Mapping[str, Any]) -> Matcher:
    negated = "NotAction" in item
    patterns = [marked(text.lower()) for text in listed(item["NotAction" if negated else "Action"])]
    if not negated and (ANY_RUN in patterns or marked("*:*") in patterns):
        return anything
    tests = [matcher(pattern) for pattern in patterns]
    return lambda action: any(test(action) for test in tests) is not negated


def _resources(item: Mapping[str, Any], variables: bool) -> Condition | None:
    """A test of the request's resource; None if every resource passes (trust policies have no Resource)."""
    negated = "NotResource" in item
    texts = listed(item.get("NotResource" if negated else "Resource", "*"))
    templates = [template(text, variables=variables, wildcards=True) for text in texts]
    constants = [arn_matcher(text) for text in templates if isinstance(text, str)]
    varying = [text for text in templates if not isinstance(text, str)]
    if not negated and anything in constants:
        return None
    if not varying and not negated and len(constants) == 1:
        only = constants[0]
        return lambda request: only(request.resource)

    def test(request: Request) -> bool:
        resource = request.resource
        if any(constant(resource) for constant in constants):
            return not negated
        for text in varying:
            pattern = resolve(text, request)
            if pattern is not None and arn_matcher(pattern)(resource):
                return not negated
        return negated

    return test


def _always(_: Request) -> bool:
    return True


def _applies(resource: Condition | None, conditions: tuple[Condition, ...]) -> Condition:
    tests = (resource, *conditions) if resource else conditions
    if not tests:
        return _always
    if len(tests) == 1:
        return tests[0]
    return lambda request: all(test(request) for test in tests)


def _direct(_: Request) -> Grant:
    return Grant.DIRECT


def _grant(item: Mapping[str, Any]) -> Callable[[Request], Grant]:
    if "Principal" in item:
        return compile_principals(item["Principal"]).named
    if "NotPrincipal" in item:
        return _everyone_but(compile_principals(item["NotPrincipal"]))
    return _direct


def _everyone_but(spared: Principals) -> Callable[[Request], Grant]:
    return lambda request: Grant.NONE if spared.covers_all_layers(request) else Grant.DIRECT

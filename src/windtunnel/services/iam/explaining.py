"""What `windtunnel explain` asks: why something was denied, and the least policy for what a principal did.

Invariant: a least policy allows exactly the actions that were seen. A resource is widened only where more of them were used than are
told apart (see activity.py), and the answer says so.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from windtunnel.kernel.context import Context, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import control
from windtunnel.services.iam.activity import Activity, Denial, Use
from windtunnel.services.iam.model import MAX_MANAGED_SIZE, Role, User, entity_arn, policy_size

_REQUEST = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_SESSION = re.compile(r"arn:aws:sts::(\d{12}):(assumed-role|federated-user)/([^/]+)(/.*)?")


def _activity(ctx: Context) -> Activity:
    found: Activity = ctx.cloud.part("activity")
    return found


def identities(ctx: Context, what: str) -> list[str]:
    """Who is meant: a role or user by ARN (a session's is its role's) or by name in the cloud's first account, or a service by its name."""
    session = _SESSION.fullmatch(what)
    if session is not None and session[2] == "assumed-role":
        role = ctx.tx.within(session[1], "").get(Role, session[3].lower())
        return [ctx.in_scope(session[1], "").scope.global_arn("iam", f"role{role.path}{role.name}")] if role is not None else []
    if what.startswith("arn:") or what.endswith(".amazonaws.com"):
        return [what]
    found = [ctx.tx.get(kind, what.lower()) for kind in (Role, User)]
    return [entity_arn(ctx.scope, entity) for entity in found if entity is not None]


def _check(what: object, since: object, limit: object = 1) -> None:
    if not isinstance(what, str) or not isinstance(since, int | float) or not isinstance(limit, int):
        raise AwsError("ValidationError", "what is a text, since a time in epoch seconds, limit a number.")


def _meant(ctx: Context, what: str) -> list[str]:
    found = identities(ctx, what)
    if not found:
        raise AwsError(
            "NoSuchEntity",
            f"{what} is neither a stack of region {ctx.scope.region} nor a request id, a role or a user of account {ctx.scope.account}.",
            status=404,
        )
    return found


@control("explain.denials", "read")
def explain_denials(ctx: Context, what: str = "", since: float = 0.0, limit: int = 5) -> Reply:
    """The newest denials first: of a request, of a principal, or of everyone."""
    activity = _activity(ctx)
    _check(what, since, limit)
    limit = max(1, min(int(limit), 1000))
    found: list[Denial] = []
    if not what:
        found = activity.denials(since=since, limit=limit)
    elif _REQUEST.fullmatch(what):
        found = activity.denials(request=what, since=since, limit=limit)
    else:
        for identity in _meant(ctx, what):
            found += activity.denials(identity=identity, since=since, limit=limit)
    newest = sorted(found, key=lambda denial: -denial.at)[:limit]
    return {"denials": [msgspec.to_builtins(denial) for denial in newest]}


@control("explain.least", "read")
def explain_least(ctx: Context, what: str, since: float = 0.0) -> Reply:
    """The least policy of a principal, and what it was refused."""
    activity = _activity(ctx)
    _check(what, since)
    answers = []
    for identity in _meant(ctx, what):
        uses = activity.uses(identity, since)
        refused = sorted({(denial.action, denial.resource) for denial in activity.denials(identity=identity, since=since, limit=1000)})
        answers.append({"identity": identity, **least(uses), "refused": [{"action": a, "resource": r} for a, r in refused]})
    return {"principals": answers}


def least(uses: list[Use]) -> dict[str, Any]:
    """A policy for what was used. Pure. wide: the resources that stand for more than was seen; calls, first, last: what it rests on."""
    by_action: dict[str, set[str]] = {}
    for use in uses:
        by_action.setdefault(use.action, set()).add(use.resource)
    by_resources: dict[tuple[str, ...], list[str]] = {}
    for action in sorted(by_action):
        by_resources.setdefault(_covered(by_action[action]), []).append(action)
    statements = [
        {"Effect": "Allow", "Action": actions, "Resource": list(resources)}
        for resources, actions in sorted(by_resources.items(), key=_order)
    ]
    policy = {"Version": "2012-10-17", "Statement": statements}
    wide = sorted({resource for resources in by_resources for resource in resources if resource.endswith("*") and resource != "*"})
    text = msgspec.json.encode(policy).decode()
    return {
        "policy": policy if statements else None,
        "wide": wide,
        "calls": sum(use.times for use in uses),
        "first": min((use.first for use in uses), default=0.0),
        "last": max((use.last for use in uses), default=0.0),
        "fits_managed": policy_size(text) <= MAX_MANAGED_SIZE,
    }


def _order(item: tuple[tuple[str, ...], list[str]]) -> tuple[str, tuple[str, ...]]:
    return item[1][0], item[0]


def _covered(resources: set[str]) -> tuple[str, ...]:
    """Without those that a wider one of them covers."""
    if "*" in resources:
        return ("*",)
    wide = [resource[:-1] for resource in resources if resource.endswith("*")]
    return tuple(sorted(each for each in resources if not any(each.startswith(prefix) and each != f"{prefix}*" for prefix in wide)))

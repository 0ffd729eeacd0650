"""A refusal: the error that a client sees, the message that sts decodes, and the record that `windtunnel explain` shows.

Invariant: all three are made of the same decision, so that none of them can say something else.
"""

from __future__ import annotations

import zlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from typing import Any

import msgspec

from windtunnel.iam.evaluate import Policies
from windtunnel.iam.policy import Decision, statements_of
from windtunnel.iam.principals import listed
from windtunnel.iam.request import Request
from windtunnel.kernel.context import Context, Need
from windtunnel.kernel.principal import Principal
from windtunnel.kernel.sealing import Sealer, Unsealable
from windtunnel.services.iam.activity import Denial, Near

_PURPOSE = b"sts.authorization-message"
_NEAR = 5


def denial(ctx: Context, request: Request, policies: Policies, decision: Decision) -> Denial:
    principal = ctx.principal
    return Denial(
        at=ctx.now,
        request=ctx.request.id,
        principal=principal.arn or principal.name,
        identity=principal.identity,
        action=request.action,
        resource=request.resource,
        kind=decision.kind,
        policy_type=decision.policy_type,
        policy=decision.policy or "",
        statement="" if decision.statement is None else str(decision.statement),
        text=statement_text(decision),
        message=decision.message,
        account=policies.resource_account or principal.account,
        near=near_misses(request, policies) if decision.kind == "implicitDeny" else (),
    )


def statement_text(decision: Decision) -> str:
    """The statement that decided, as JSON; "" when none did."""
    if decision.index < 0:
        return ""
    statement = statements_of(msgspec.json.decode(decision.document))[decision.index]
    return msgspec.json.encode(statement).decode()


def near_misses(request: Request, policies: Policies) -> tuple[Near, ...]:
    """The statements that allow the action and failed by their resource or their conditions."""
    found: list[Near] = []
    for policy_set in (policies.identity, *policies.others):
        for statement in policy_set.plan(request.action).allows:
            if statement.grant(request) and not statement.applies(request) and len(found) < _NEAR:
                decision = statement.decision
                failed = "condition" if statement.reaches(request) else "resource"
                text = statement_text(decision)
                found.append(Near(decision.policy_type, decision.policy or "", str(decision.statement), failed, text))
    return tuple(found)


# -- sts:DecodeAuthorizationMessage -----------------------------------------------------------------------------------------


def encoded_message(ctx: Context, need: Need, decision: Decision) -> str:
    """The decision, sealed under the cloud's root key."""
    sealer: Sealer = ctx.cloud.part("sealer")
    content = {"account": ctx.scope.account, "message": _message(ctx.principal, need, decision)}
    return urlsafe_b64encode(sealer.seal(zlib.compress(msgspec.json.encode(content)), _PURPOSE)).decode()


def decoded_message(ctx: Context, text: str) -> str | None:
    """The JSON text of a message of this account; None when it is none."""
    sealer: Sealer = ctx.cloud.part("sealer")
    try:
        content = msgspec.json.decode(zlib.decompress(sealer.unseal(urlsafe_b64decode(text.encode()), _PURPOSE)))
    except (NotBase64, ValueError, Unsealable, zlib.error):
        return None
    return msgspec.json.encode(content["message"]).decode() if content["account"] == ctx.scope.account else None


def _items(values: list[Any]) -> dict[str, Any]:
    return {"items": values}


def _values(texts: Any) -> dict[str, Any]:
    return _items([{"value": text} for text in texts])


def _message(principal: Principal, need: Need, decision: Decision) -> dict[str, Any]:
    conditions = [{"key": key, "values": _values([str(one) for one in _each(value)])} for key, value in need.context.items()]
    return {
        "allowed": False,
        "explicitDeny": decision.kind == "explicitDeny",
        "matchedStatements": _items([_matched(principal, decision)] if decision.index >= 0 else []),
        "failures": _items([]),
        "context": {
            "principal": {"id": principal.unique_id, "name": principal.name, "arn": principal.arn},
            "action": need.action,
            "resource": need.resource,
            "conditions": _items(conditions),
        },
    }


def _each(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _matched(principal: Principal, decision: Decision) -> dict[str, Any]:
    statement = statements_of(msgspec.json.decode(decision.document))[decision.index]
    return {
        "statementId": statement.get("Sid", ""),
        "effect": statement["Effect"].upper(),
        "principals": _values([principal.unique_id]),
        "principalGroups": _items([]),
        "actions": _values(listed(statement.get("Action", statement.get("NotAction", ())))),
        "resources": _values(listed(statement.get("Resource", statement.get("NotResource", ())))),
        "conditions": _items([{"key": key, "operator": op} for op, keys in statement.get("Condition", {}).items() for key in keys]),
    }

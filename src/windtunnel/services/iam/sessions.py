"""Who a session is: the principals that sts makes of roles and users, and what passes from one link of a chain to the next.

Invariant: what a session may never lose (its source identity, its transitive tags) is taken from the caller here, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec

from windtunnel.iam.evaluate import Policies, decide
from windtunnel.iam.policy import Decision, PolicySet
from windtunnel.iam.request import Request
from windtunnel.kernel.cloud import Assumption
from windtunnel.kernel.context import Context
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.principal import Credential, Principal
from windtunnel.services.iam.context_keys import ContextKeys
from windtunnel.services.iam.known import Known, compiled, managed_document
from windtunnel.services.iam.model import Role, Session, User, account_in, name_in, session_arn

SOURCE_IDENTITY = "aws:SourceIdentity"


def user_principal(account: str, user: User, access_key: str = "") -> Principal:
    arn = f"arn:aws:iam::{account}:user{user.path}{user.name}"
    return Principal("user", account, arn, arn, user.id, user.name, tags=tuple(user.tags.items()), access_key=access_key)


def session_credential(session: Session) -> Credential:
    return Credential(session.id, session.secret, session.principal, session.token, session.expires)


def issued(principal: Principal, access_key: str, now: float) -> Principal:
    """The principal as its credentials show it."""
    moment = datetime.fromtimestamp(int(now), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return msgspec.structs.replace(principal, access_key=access_key, keys=(*principal.keys, ("aws:TokenIssueTime", moment)))


def role_session(role_arn: str, role: Role, name: str, asked: Assumption, caller: Principal | None = None, via: str = "") -> Principal:
    """The session of a role. caller: the principal whose transitive tags and source identity go on; via: the service that made it."""
    account = account_in(role_arn)
    inherited = {key: value for key, value in caller.tags if key in caller.transitive} if caller is not None else {}
    given = dict(asked.tags)
    identity = asked.source_identity or source_identity(caller)
    keys = (*asked.keys, *(((SOURCE_IDENTITY, identity),) if identity else ()))
    return Principal(
        "assumed-role",
        account,
        session_arn(account, role.name, name),
        role_arn,
        f"{role.id}:{name}",
        name,
        session_policies=asked.policies,
        tags=tuple({**role.tags, **inherited, **given}.items()),
        via_service=via,
        transitive=tuple(dict.fromkeys((*inherited, *asked.transitive))),
        keys=keys,
    )


def source_identity(principal: Principal | None) -> str:
    return dict(principal.keys).get(SOURCE_IDENTITY, "") if principal is not None else ""


def check_chain(caller: Principal, asked: Assumption) -> None:
    """What a session that assumes the next role may not change: its source identity and its transitive tags."""
    held = source_identity(caller)
    if asked.source_identity and held and asked.source_identity != held:
        raise AwsError("AccessDenied", "The source identity of a session cannot be changed by role chaining.", status=403)
    kept = {key.lower() for key in caller.transitive}
    if any(key.lower() in kept for key, _ in asked.tags):
        raise AwsError(
            "InvalidParameterValue",
            "One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key from the calling session.",
            status=400,
        )


class Trusted(NamedTuple):
    """role: None when there is none of that ARN, or when the caller may not. The rest: question, answer, and what it rests on."""

    role: Role | None
    request: Request
    decision: Decision
    policies: Policies


def trusted(ctx: Context, known: Known, role_arn: str, action: str, context: Mapping[str, Any]) -> Trusted:
    """Whether the role's trust policy and the caller's own policies let the caller have it."""
    account = account_in(role_arn)
    role = ctx.tx.within(account, "").get(Role, name_in(role_arn).lower())
    if role is None or role_arn != f"arn:aws:iam::{account}:role{role.path}{role.name}":
        gone = Decision(False, "implicitDeny", "role trust policy", message="there is no such role")
        own = known.policies
        bare = Policies(own.identity, own.boundary, own.session, resource_account=account)
        return Trusted(None, Request(known.caller, action, role_arn), gone, bare)
    own = known.policies
    trust = PolicySet("role trust policy", [compiled(role.trust, f"trust policy of {role_arn}", "role trust policy")])
    policies = Policies(own.identity, own.boundary, own.session, trust, account, resource_policy_required=True)
    keys = {**{f"aws:ResourceTag/{name}": value for name, value in role.tags.items()}, **context}
    request = Request(known.caller, action, role_arn, ContextKeys(ctx, keys, account))
    decision = decide(request, policies)
    return Trusted(role if decision.allowed else None, request, decision, policies)


def session_documents(ctx: Context, account: str, policies: tuple[str, ...], arns: tuple[str, ...]) -> tuple[str, ...]:
    """The session policies that were given as documents and as managed policies of the account."""
    tx = ctx.tx.within(account, ctx.scope.region)
    found = [managed_document(tx, account, arn) for arn in arns]
    if None in found:
        raise AwsError("ValidationError", f"Policy {arns[found.index(None)]} does not exist or is not attachable.")
    return (*policies, *(document for document in found if document is not None))

"""Sessions of a user's own: GetSessionToken and GetFederationToken."""

from __future__ import annotations

from typing import Any

import msgspec

from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.principal import Principal
from windtunnel.kernel.registry import unguarded, writes
from windtunnel.services.sts.model import device_owner, is_session, packed_size, session_policy, session_tags, token_seconds
from windtunnel.services.sts.operations.roles import credentials


@writes("sts", "GetSessionToken", authorize=unguarded, acts="DurationSeconds SerialNumber TokenCode")
def get_session_token(
    ctx: Context, duration_seconds: int | None = None, serial_number: str | None = None, token_code: str | None = None
) -> Reply:
    """Needs no permission: the credentials can do what the caller's can."""
    caller = ctx.principal
    if is_session(caller) or caller.kind not in ("user", "root"):
        raise AwsError("AccessDenied", "Cannot call GetSessionToken with session credentials", status=403)
    if serial_number is not None or token_code is not None:
        ctx.cloud.identity.check_code(ctx, device_owner(caller), serial_number or "", token_code or "")
        caller = msgspec.structs.replace(caller, mfa_at=ctx.now)
    credential = ctx.cloud.identity.issue(ctx, caller, token_seconds(caller, duration_seconds))
    return {"Credentials": credentials(credential)}


def _federated_arn(ctx: Context, name: str) -> str:
    return f"arn:aws:sts::{ctx.scope.account}:federated-user/{name}"


def _federates(ctx: Context, name: str, tags: list[dict[str, str]] | None = None, **_: Any) -> list[Need]:
    arn = _federated_arn(ctx, name)
    keys: dict[str, Any] = {f"aws:RequestTag/{tag.get('Key', '')}": tag.get("Value", "") for tag in tags or []}
    if not tags:
        return [Need("sts:GetFederationToken", arn)]
    keys["aws:TagKeys"] = [tag.get("Key", "") for tag in tags]
    return [Need("sts:GetFederationToken", arn, keys), Need("sts:TagSession", arn, keys)]


@writes("sts", "GetFederationToken", authorize=_federates, acts="Name Policy PolicyArns[].arn DurationSeconds Tags[].*")
def get_federation_token(
    ctx: Context,
    name: str,
    policy: str | None = None,
    policy_arns: list[dict[str, str]] | None = None,
    duration_seconds: int | None = None,
    tags: list[dict[str, str]] | None = None,
) -> Reply:
    """The session may do what both the user and the session policies allow; without any, only what a resource's policy grants it."""
    caller = ctx.principal
    if is_session(caller) or caller.kind not in ("user", "root"):
        raise AwsError("AccessDenied", "Cannot call GetFederationToken with session credentials", status=403)
    pairs = session_tags(tags)
    given, arns = session_policy(policy), tuple(item["arn"] for item in policy_arns or [])
    user_tags = dict(caller.tags)
    session = Principal(
        "federated-user",
        caller.account,
        _federated_arn(ctx, name),
        caller.identity,
        f"{caller.account}:{name}",
        name,
        session_policies=ctx.cloud.identity.session_documents(ctx, caller.account, given, arns),
        tags=tuple({**user_tags, **dict(pairs)}.items()),
        issuer_id=caller.unique_id,
    )
    credential = ctx.cloud.identity.issue(ctx, session, token_seconds(caller, duration_seconds))
    return {
        "Credentials": credentials(credential),
        "FederatedUser": {"FederatedUserId": session.unique_id, "Arn": session.arn},
        "PackedPolicySize": packed_size(given, arns, pairs),
    }

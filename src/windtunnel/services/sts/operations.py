"""The Security Token Service's operations (API reference, 2011-06-15)."""

from __future__ import annotations

from typing import Any

from windtunnel.iam.grammar import validate
from windtunnel.kernel.context import Context, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.principal import Credential
from windtunnel.kernel.registry import ServiceRules, reads, service_rules, unguarded, writes
from windtunnel.kernel.scope import Arn
from windtunnel.services.sts.model import (
    MAX_POLICY_SIZE,
    is_session,
    packed_size,
    role_session_seconds,
    session_tags,
    token_seconds,
)

service_rules("sts", ServiceRules(validation_code="ValidationError", access_denied_code="AccessDenied"))


def _credentials(credential: Credential) -> dict[str, Any]:
    return {
        "AccessKeyId": credential.access_key,
        "SecretAccessKey": credential.secret,
        "SessionToken": credential.token,
        "Expiration": credential.expires,
    }


@reads("sts", "GetCallerIdentity", authorize=unguarded)
def get_caller_identity(ctx: Context) -> Reply:
    """Needs no permission, even against a deny."""
    caller = ctx.principal
    return {"UserId": caller.unique_id, "Account": caller.account, "Arn": caller.arn}


@writes(
    "sts",
    "AssumeRole",
    authorize=unguarded,  # the role's trust policy and the caller's policies are evaluated together, by Identity.assume
    acts="RoleArn RoleSessionName PolicyArns[].arn Policy DurationSeconds Tags[].* ExternalId",
)
def assume_role(
    ctx: Context,
    role_arn: str,
    role_session_name: str,
    policy_arns: list[dict[str, str]] | None = None,
    policy: str | None = None,
    duration_seconds: int | None = None,
    tags: list[dict[str, str]] | None = None,
    external_id: str | None = None,
) -> Reply:
    if Arn.parse(role_arn) is None or ":role/" not in role_arn:
        raise AwsError("ValidationError", f"{role_arn} is invalid")
    if ctx.principal.kind == "root":
        raise AwsError("AccessDenied", "Roles may not be assumed by root accounts.", status=403)
    pairs = session_tags(tags)
    policies = [_session_policy(policy)] if policy is not None else []
    arns = tuple(item["arn"] for item in policy_arns or [])
    session, longest = ctx.cloud.identity.assume(
        ctx,
        role_arn,
        role_session_name,
        context=_context(role_session_name, external_id, pairs),
        policies=tuple(policies),
        policy_arns=arns,
        tags=pairs,
    )
    credential = ctx.cloud.identity.issue(ctx, session, role_session_seconds(ctx.principal, duration_seconds, longest))
    reply: Reply = {
        "Credentials": _credentials(credential),
        "AssumedRoleUser": {"AssumedRoleId": session.unique_id, "Arn": session.arn},
    }
    if policies or arns or pairs:
        reply["PackedPolicySize"] = packed_size(policies, arns, pairs)
    return reply


def _session_policy(document: str) -> str:
    validate(document, "identity")
    if len(document) > MAX_POLICY_SIZE:
        raise AwsError("PackedPolicyTooLarge", "Serialized token too large for session")
    return document


def _context(session_name: str, external_id: str | None, tags: tuple[tuple[str, str], ...]) -> dict[str, Any]:
    """The condition keys that a trust policy may ask for."""
    keys: dict[str, Any] = {"sts:RoleSessionName": session_name}
    if external_id is not None:
        keys["sts:ExternalId"] = external_id
    if tags:
        keys["aws:TagKeys"] = [key for key, _ in tags]
        keys.update({f"aws:RequestTag/{key}": value for key, value in tags})
    return keys


@writes("sts", "GetSessionToken", authorize=unguarded, acts="DurationSeconds")
def get_session_token(ctx: Context, duration_seconds: int | None = None) -> Reply:
    """Needs no permission: the credentials can do what the caller's can. Multi-factor devices are not built."""
    if is_session(ctx.principal) or ctx.principal.kind not in ("user", "root"):
        raise AwsError("AccessDenied", "Cannot call GetSessionToken with session credentials", status=403)
    credential = ctx.cloud.identity.issue(ctx, ctx.principal, token_seconds(ctx.principal, duration_seconds))
    return {"Credentials": _credentials(credential)}

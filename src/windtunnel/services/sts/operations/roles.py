"""AssumeRole, and what every way to a role's session answers with."""

from __future__ import annotations

from typing import Any

from windtunnel.kernel.cloud import Assumption
from windtunnel.kernel.context import Context, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.principal import Credential, Principal
from windtunnel.kernel.registry import reads, unguarded, writes
from windtunnel.kernel.scope import Arn
from windtunnel.services.sts.model import (
    device_owner,
    packed_size,
    role_session_seconds,
    session_policy,
    session_tags,
    transitive_keys,
)


def credentials(credential: Credential) -> dict[str, Any]:
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
    acts=(
        "RoleArn RoleSessionName PolicyArns[].arn Policy DurationSeconds Tags[].* TransitiveTagKeys[] ExternalId SerialNumber TokenCode"
        " SourceIdentity"
    ),
)
def assume_role(
    ctx: Context,
    role_arn: str,
    role_session_name: str,
    policy_arns: list[dict[str, str]] | None = None,
    policy: str | None = None,
    duration_seconds: int | None = None,
    tags: list[dict[str, str]] | None = None,
    transitive_tag_keys: list[str] | None = None,
    external_id: str | None = None,
    serial_number: str | None = None,
    token_code: str | None = None,
    source_identity: str | None = None,
) -> Reply:
    checked_role(role_arn)
    if ctx.principal.kind == "root":
        raise AwsError("AccessDenied", "Roles may not be assumed by root accounts.", status=403)
    pairs = session_tags(tags)
    context = request_keys(role_session_name, pairs, transitive_tag_keys or [], source_identity)
    if external_id is not None:
        context["sts:ExternalId"] = external_id
    if serial_number is not None or token_code is not None:
        ctx.cloud.identity.check_code(ctx, device_owner(ctx.principal), serial_number or "", token_code or "")
        context |= {"aws:MultiFactorAuthPresent": True, "aws:MultiFactorAuthAge": 0}
    asked = Assumption(
        context=context,
        policies=session_policy(policy),
        policy_arns=tuple(item["arn"] for item in policy_arns or []),
        tags=pairs,
        transitive=transitive_keys(transitive_tag_keys, pairs, ctx.principal),
        source_identity=source_identity or "",
    )
    return session_reply(ctx, role_arn, role_session_name, asked, duration_seconds)


def checked_role(role_arn: str) -> None:
    if Arn.parse(role_arn) is None or ":role/" not in role_arn:
        raise AwsError("ValidationError", f"{role_arn} is invalid")


def request_keys(session_name: str, tags: tuple[tuple[str, str], ...], transitive: list[str], source: str | None) -> dict[str, Any]:
    """The condition keys that a trust policy may ask for."""
    keys: dict[str, Any] = {"sts:RoleSessionName": session_name}
    if tags:
        keys["aws:TagKeys"] = [key for key, _ in tags]
        keys.update({f"aws:RequestTag/{key}": value for key, value in tags})
    if transitive:
        keys["sts:TransitiveTagKeys"] = transitive
    if source:
        keys["sts:SourceIdentity"] = source
    return keys


def session_reply(ctx: Context, role_arn: str, session_name: str, asked: Assumption, seconds: int | None) -> Reply:
    """Assume the role and answer with the session's credentials."""
    session, longest = ctx.cloud.identity.assume(ctx, role_arn, session_name, asked)
    credential = ctx.cloud.identity.issue(ctx, session, role_session_seconds(ctx.principal, seconds, longest))
    reply: Reply = {"Credentials": credentials(credential), "AssumedRoleUser": {"AssumedRoleId": session.unique_id, "Arn": session.arn}}
    if asked.policies or asked.policy_arns or asked.tags:
        reply["PackedPolicySize"] = packed_size(asked.policies, asked.policy_arns, asked.tags)
    source = kept_source(session)
    return {**reply, "SourceIdentity": source} if source else reply


def kept_source(session: Principal) -> str:
    return dict(session.keys).get("aws:SourceIdentity", "")

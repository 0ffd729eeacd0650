"""AssumeRoleWithWebIdentity: a role's session for who brings a token of a registered OpenID Connect provider.

Invariant: the token is proven before the transaction (`prepare` may ask the issuer for its keys); the handler takes no other one.
"""

from __future__ import annotations

from typing import Any

from windtunnel.kernel.cloud import Assumption
from windtunnel.kernel.context import Context, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import unguarded, writes
from windtunnel.kernel.scope import Arn
from windtunnel.services.sts import oidc
from windtunnel.services.sts.model import session_policy
from windtunnel.services.sts.operations.roles import checked_role, request_keys, session_reply


class Proven(str):
    """A token whose signature, times, issuer and audience were checked."""

    claims: oidc.Claims


def _prove(ctx: Context, args: dict[str, Any]) -> dict[str, Any]:
    checked_role(args["role_arn"])
    parsed = Arn.parse(args["role_arn"])
    account = parsed.account if parsed is not None else ""
    token = oidc.parse(args["web_identity_token"])
    provider = ctx.cloud.identity.federation_issuer(ctx.in_scope(account, ctx.scope.region), token.issuer)
    if provider is None:
        raise AwsError("InvalidIdentityToken", f"No OpenIDConnect provider found in your account for {token.issuer}")
    proven = Proven(args["web_identity_token"])
    proven.claims = oidc.prove(token, provider, ctx.now, ctx.cloud.data)
    return {**args, "web_identity_token": proven}


@writes(
    "sts",
    "AssumeRoleWithWebIdentity",
    authorize=unguarded,  # the role's trust policy is all that counts: the caller has no policies
    acts="RoleArn RoleSessionName WebIdentityToken PolicyArns[].arn Policy DurationSeconds",
    prepare=_prove,
)
def assume_role_with_web_identity(
    ctx: Context,
    role_arn: str,
    role_session_name: str,
    web_identity_token: str,
    policy_arns: list[dict[str, str]] | None = None,
    policy: str | None = None,
    duration_seconds: int | None = None,
) -> Reply:
    checked_role(role_arn)
    if not isinstance(web_identity_token, Proven):
        raise AwsError("InvalidIdentityToken", "A token must come with a request of its own, so that it can be proven.")
    claims = web_identity_token.claims
    context = request_keys(role_session_name, claims.tags, list(claims.transitive), claims.source_identity) | claims.keys()
    asked = Assumption(
        context=context,
        policies=session_policy(policy),
        policy_arns=tuple(item["arn"] for item in policy_arns or []),
        tags=claims.tags,
        transitive=claims.transitive,
        source_identity=claims.source_identity,
        action="sts:AssumeRoleWithWebIdentity",
        provider=claims.provider,
        keys=(
            ("aws:FederatedProvider", claims.provider),
            *((key, value) for key, value in claims.keys().items() if isinstance(value, str)),
        ),
    )
    reply = session_reply(ctx, role_arn, role_session_name, asked, duration_seconds)
    return {
        **reply,
        "SubjectFromWebIdentityToken": claims.subject,
        "Provider": claims.provider,
        "Audience": claims.audience,
    }

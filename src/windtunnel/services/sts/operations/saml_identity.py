"""AssumeRoleWithSAML: a role's session for who brings an assertion of a registered SAML provider.

Invariant: as for web identities, the assertion is proven before the transaction; the handler takes no other one.
"""

from __future__ import annotations

from typing import Any

from windtunnel.kernel.cloud import Assumption
from windtunnel.kernel.context import Context, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import unguarded, writes
from windtunnel.kernel.scope import Arn
from windtunnel.services.sts import saml
from windtunnel.services.sts.model import session_policy
from windtunnel.services.sts.operations.roles import checked_role, request_keys, session_reply


class Proven(str):
    """A response whose signature, times, issuer, audience and role were checked."""

    asserted: saml.Asserted


def _prove(ctx: Context, args: dict[str, Any]) -> dict[str, Any]:
    checked_role(args["role_arn"])
    arn = args["principal_arn"]
    parsed = Arn.parse(arn)
    account = parsed.account if parsed is not None else ""
    metadata = ctx.cloud.identity.saml_metadata(ctx.in_scope(account, ctx.scope.region), arn)
    if metadata is None:
        raise saml.invalid(f"No SAML provider {arn} found")
    proven = Proven(args["saml_assertion"])
    proven.asserted = saml.prove(args["saml_assertion"], metadata, arn, args["role_arn"], ctx.now)
    return {**args, "saml_assertion": proven}


@writes(
    "sts",
    "AssumeRoleWithSAML",
    authorize=unguarded,  # the role's trust policy is all that counts: the caller has no policies
    acts="RoleArn PrincipalArn SAMLAssertion PolicyArns[].arn Policy DurationSeconds",
    prepare=_prove,
)
def assume_role_with_saml(
    ctx: Context,
    role_arn: str,
    principal_arn: str,
    saml_assertion: str,
    policy_arns: list[dict[str, str]] | None = None,
    policy: str | None = None,
    duration_seconds: int | None = None,
) -> Reply:
    checked_role(role_arn)
    if not isinstance(saml_assertion, Proven):
        raise AwsError("InvalidIdentityToken", "An assertion must come with a request of its own, so that it can be proven.")
    said = saml_assertion.asserted
    name = said.session_name
    asked = Assumption(
        context=request_keys(name, said.tags, list(said.transitive), said.source_identity) | said.keys(),
        policies=session_policy(policy),
        policy_arns=tuple(item["arn"] for item in policy_arns or []),
        tags=said.tags,
        transitive=said.transitive,
        source_identity=said.source_identity,
        action="sts:AssumeRoleWithSAML",
        provider=principal_arn,
        keys=(("aws:FederatedProvider", principal_arn), *said.keys().items()),
    )
    seconds = min((each for each in (duration_seconds, said.seconds) if each is not None), default=None)
    reply = session_reply(ctx, role_arn, name, asked, seconds)
    return {
        **reply,
        "Subject": said.subject,
        "SubjectType": said.subject_type,
        "Issuer": said.issuer,
        "Audience": said.audience,
        "NameQualifier": said.qualifier,
    }

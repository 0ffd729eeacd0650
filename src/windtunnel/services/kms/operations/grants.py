"""CreateGrant, ListGrants, ListRetirableGrants, RetireGrant, RevokeGrant."""

from __future__ import annotations

from typing import Any

from windtunnel.iam.principals import principal_error
from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import reads, writes
from windtunnel.services.kms.guard import everywhere, grants_of, need, with_statement
from windtunnel.services.kms.lookups import Found, find_key
from windtunnel.services.kms.model import UNDER_CONTEXT, Grant, check_not_ending, key_arn
from windtunnel.services.kms.operations.encryption import check_tokens, would_succeed
from windtunnel.services.kms.paging import page
from windtunnel.services.kms.specs import AGREE, ENCRYPT, MAC, SIGN, symmetric

Constraints = dict[str, dict[str, str]]
_ALWAYS = {"CreateGrant", "RetireGrant", "DescribeKey"}
_BY_USAGE = {
    ENCRYPT: UNDER_CONTEXT,
    SIGN: frozenset({"Sign", "Verify"}),
    MAC: frozenset({"GenerateMac", "VerifyMac"}),
    AGREE: frozenset({"DeriveSharedSecret"}),
}


def _possible(found: Found) -> set[str]:
    """The operations that a key can do at all."""
    key = found.key
    possible = _ALWAYS | _BY_USAGE[key.usage]
    if not symmetric(key.spec):
        possible = {name for name in possible if not name.startswith("GenerateDataKey")} | {"GetPublicKey"}
    return possible


def _check(found: Found, grantee: str, retiring: str | None, operations: list[str], constraints: Constraints | None) -> None:
    if not operations:
        raise AwsError("ValidationException", "Operations must have at least one operation.")
    for principal in (grantee, retiring):
        if principal is not None and not principal.endswith(".amazonaws.com") and principal_error({"AWS": principal}) is not None:
            raise AwsError("InvalidArnException", f"ARN does not refer to a valid principal: {principal}")
    wrong = sorted(set(operations) - _possible(found))
    if wrong:
        words = f"Grant operations {wrong} are not supported for a key of usage {found.key.usage} and spec {found.key.spec}."
        raise AwsError("ValidationException", words)
    if constraints and found.key.spec != "SYMMETRIC_DEFAULT":
        raise AwsError("ValidationException", "Encryption context constraints need a symmetric encryption key.")


def _given(constraints: Constraints | None) -> Constraints:
    """The constraints that say something: Terraform sends the other one empty."""
    return {name: pairs for name, pairs in (constraints or {}).items() if pairs}


def _for_aws_resource(ctx: Context) -> dict[str, Any]:
    return {"kms:GrantIsForAWSResource": bool(ctx.via)}


def on_create(
    ctx: Context,
    key_id: str,
    grantee_principal: str,
    operations: list[str],
    retiring_principal: str | None = None,
    constraints: Constraints | None = None,
    **_: Any,
) -> list[Need]:
    asked: dict[str, Any] = {
        **_for_aws_resource(ctx),
        "kms:GranteePrincipal": grantee_principal,
        "kms:GrantOperations": operations,
    }
    if retiring_principal is not None:
        asked["kms:RetiringPrincipal"] = retiring_principal
    if given := _given(constraints):
        asked["kms:GrantConstraintType"] = next(iter(given))
    return [need(ctx, find_key(ctx, key_id, aliases=False), "CreateGrant", asked)]


@writes(
    "kms",
    "CreateGrant",
    authorize=on_create,
    acts="KeyId GranteePrincipal RetiringPrincipal Operations[] Constraints.EncryptionContextSubset{}"
    " Constraints.EncryptionContextEquals{} GrantTokens[] Name DryRun",
)
def create_grant(
    ctx: Context,
    key_id: str,
    grantee_principal: str,
    operations: list[str],
    retiring_principal: str | None = None,
    constraints: Constraints | None = None,
    grant_tokens: list[str] | None = None,
    name: str = "",
    dry_run: bool = False,
) -> Reply:
    found = find_key(ctx, key_id, aliases=False)
    check_tokens(ctx, found, grant_tokens)
    check_not_ending(found.arn, found.key)
    if not found.key.enabled:
        raise AwsError("DisabledException", f"{found.arn} is disabled.")
    if found.key.manager == "AWS":
        raise AwsError("AccessDeniedException", f"The key {found.arn} is managed by AWS: it takes no grants here.")
    limits = _given(constraints)
    _check(found, grantee_principal, retiring_principal, operations, limits)
    if dry_run:
        raise would_succeed()
    grant = Grant(
        key_id=found.key.id,
        id=ctx.ids.hex(64),
        token=ctx.ids.secret(160),
        grantee=grantee_principal,
        operations=list(dict.fromkeys(operations)),
        created=ctx.now,
        issuer=f"arn:aws:iam::{ctx.principal.account}:root",
        name=name,
        retiring=retiring_principal or "",
        subset=limits.get("EncryptionContextSubset"),
        equals=limits.get("EncryptionContextEquals"),
    )
    same = _same(ctx, found, grant) if name else None
    if same is not None:
        return {"GrantToken": same.token, "GrantId": same.id}
    tx = ctx.tx.within(found.scope.account, found.scope.region)
    tx.put(grant)
    if not found.key.granted:
        found.key.granted = True
        tx.put(found.key)
    return {"GrantToken": grant.token, "GrantId": grant.id}


def _same(ctx: Context, found: Found, grant: Grant) -> Grant | None:
    """A grant of the same name that says the same: asking twice makes one."""

    def said(one: Grant) -> tuple[Any, ...]:
        return one.name, one.grantee, one.retiring, sorted(one.operations), one.subset, one.equals

    return next((other for other in grants_of(ctx, found) if said(other) == said(grant)), None)


def _entry(found: Found, grant: Grant) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "KeyId": found.arn,
        "GrantId": grant.id,
        "Name": grant.name,
        "CreationDate": grant.created,
        "GranteePrincipal": grant.grantee,
        "IssuingAccount": grant.issuer,
        "Operations": grant.operations,
    }
    if grant.retiring:
        entry["RetiringPrincipal"] = grant.retiring
    limits = {"EncryptionContextSubset": grant.subset, "EncryptionContextEquals": grant.equals}
    if any(limits.values()):
        entry["Constraints"] = {name: pairs for name, pairs in limits.items() if pairs}
    return entry


def on_list(ctx: Context, key_id: str, **_: Any) -> list[Need]:
    return [need(ctx, find_key(ctx, key_id, aliases=False), "ListGrants", _for_aws_resource(ctx))]


@reads("kms", "ListGrants", authorize=on_list, acts="Limit Marker KeyId GrantId GranteePrincipal", cost="scan")
def list_grants(
    ctx: Context,
    key_id: str,
    limit: int = 50,
    marker: str | None = None,
    grant_id: str | None = None,
    grantee_principal: str | None = None,
) -> Reply:
    found = find_key(ctx, key_id, aliases=False)
    grants = [grant for grant in grants_of(ctx, found) if grant_id in (None, grant.id) and grantee_principal in (None, grant.grantee)]
    shown, rest = page(grants, lambda grant: grant.id, limit, marker)
    return {"Grants": [_entry(found, grant) for grant in shown], **rest}


@reads(
    "kms",
    "ListRetirableGrants",
    authorize=everywhere("ListRetirableGrants"),
    acts="Limit Marker RetiringPrincipal",
    cost="scan",
)
def list_retirable_grants(ctx: Context, retiring_principal: str, limit: int = 50, marker: str | None = None) -> Reply:
    grants = ctx.tx.find(Grant, "retiring", retiring_principal)
    shown, rest = page(grants, lambda grant: grant.key(), limit, marker)
    entries = [_entry(find_key(ctx, key_arn(ctx.scope, grant.key_id)), grant) for grant in shown]
    return {"Grants": entries, **rest}


# -- the end of a grant -----------------------------------------------------------------------------------------------------


def the_grant(ctx: Context, key_id: str, grant_id: str) -> tuple[Found, Grant]:
    found = find_key(ctx, key_id, aliases=False)
    grant = ctx.tx.within(found.scope.account, found.scope.region).get(Grant, f"{found.key.id}/{grant_id}")
    if grant is None:
        raise AwsError("NotFoundException", f"Grant ID {grant_id} not found")
    return found, grant


def _to_retire(ctx: Context, token: str | None, key_id: str | None, grant_id: str | None) -> tuple[Found, Grant]:
    if token is None:
        if key_id is None or grant_id is None:
            raise AwsError("ValidationException", "Specify a grant token, or a key ARN and a grant ID.")
        return the_grant(ctx, key_id, grant_id)
    grants = ctx.tx.find(Grant, "token", token, limit=1)
    if not grants:
        raise AwsError("InvalidGrantTokenException", "The grant token is not valid.")
    return the_grant(ctx, grants[0].key_id, grants[0].id)


def on_retire(ctx: Context, grant_token: str | None = None, key_id: str | None = None, grant_id: str | None = None, **_: Any) -> list[Need]:
    """The grant itself says who may retire it, beside the key's policy."""
    found, grant = _to_retire(ctx, grant_token, key_id, grant_id)
    asked = need(ctx, found, "RetireGrant")
    may = [grant.retiring] if grant.retiring else []
    may += [grant.grantee] if "RetireGrant" in grant.operations else []
    if not may:
        return [asked]
    return [asked._replace(resource_policy=with_statement(found.key.policy, "RetireGrant", may))]


def _end(ctx: Context, found: Found, grant: Grant, dry_run: bool) -> Reply:
    if dry_run:
        raise would_succeed()
    ctx.tx.within(found.scope.account, found.scope.region).delete(Grant, grant.key())
    return {}


@writes("kms", "RetireGrant", authorize=on_retire, acts="GrantToken KeyId GrantId DryRun")
def retire_grant(
    ctx: Context, grant_token: str | None = None, key_id: str | None = None, grant_id: str | None = None, dry_run: bool = False
) -> Reply:
    return _end(ctx, *_to_retire(ctx, grant_token, key_id, grant_id), dry_run)


def on_revoke(ctx: Context, key_id: str, **_: Any) -> list[Need]:
    return [need(ctx, find_key(ctx, key_id, aliases=False), "RevokeGrant", _for_aws_resource(ctx))]


@writes("kms", "RevokeGrant", authorize=on_revoke, acts="KeyId GrantId DryRun")
def revoke_grant(ctx: Context, key_id: str, grant_id: str, dry_run: bool = False) -> Reply:
    return _end(ctx, *the_grant(ctx, key_id, grant_id), dry_run)

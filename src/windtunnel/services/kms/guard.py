"""What a caller must be allowed to do to a key (Service Authorization Reference, KMS), and by whom it may be allowed.

Invariants: the key policy rules: IAM policies count only where it hands the key to the account, and a grant counts as a further
statement of it, so that an explicit deny in the policy holds against grants too. Every need carries the key's own account and policy.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from windtunnel.kernel.context import Authorize, Context, Need
from windtunnel.kernel.lazy import LazyKeys
from windtunnel.services.kms.lookups import Found, aliases_of, changeable, find_key, own_key
from windtunnel.services.kms.model import Grant

Encryption = Mapping[str, str]


def need(
    ctx: Context,
    found: Found,
    action: str,
    asked: Mapping[str, Any] | None = None,
    encryption: Mapping[str, str] | None = None,
) -> Need:
    """`kms:ACTION` on a key. asked: condition keys of this request; encryption: the encryption context, which has keys of its own."""

    def keys() -> Mapping[str, Any]:
        return {**key_keys(ctx, found), **encryption_keys(encryption), **(asked or {})}

    policy = _policy(ctx, found, action, dict(encryption or {}))
    return Need(f"kms:{action}", found.arn, LazyKeys(keys), policy, found.scope.account, resource_policy_required=True)


def key_keys(ctx: Context, found: Found) -> dict[str, Any]:
    """The condition keys that follow from the key and the way to it."""
    key = found.key
    keys: dict[str, Any] = {
        **caller_keys(ctx),
        **spec_keys(key.spec, key.usage, key.origin, key.multi_region),
        "kms:ResourceAliases": aliases_of(ctx, found),
        **{f"aws:ResourceTag/{name}": value for name, value in key.tags.items()},
    }
    if found.alias:
        keys["kms:RequestAlias"] = found.alias
    return keys


def caller_keys(ctx: Context) -> dict[str, Any]:
    keys: dict[str, Any] = {"kms:CallerAccount": ctx.principal.account}
    if ctx.via:
        keys["kms:ViaService"] = f"{ctx.via[-1]}.{ctx.scope.region}.amazonaws.com"
    return keys


def spec_keys(spec: str, usage: str, origin: str, multi_region: bool = False) -> dict[str, Any]:
    return {
        "kms:KeySpec": spec,
        "kms:CustomerMasterKeySpec": spec,
        "kms:KeyUsage": usage,
        "kms:CustomerMasterKeyUsage": usage,
        "kms:KeyOrigin": origin,
        "kms:MultiRegion": multi_region,
        **({"kms:MultiRegionKeyType": "PRIMARY"} if multi_region else {}),
    }


def encryption_keys(encryption: Mapping[str, str] | None) -> dict[str, Any]:
    if not encryption:
        return {}
    named = {f"kms:EncryptionContext:{name}": value for name, value in encryption.items()}
    return {**named, "kms:EncryptionContextKeys": list(encryption)}


def request_tags(tags: Sequence[Mapping[str, str]] | None) -> dict[str, Any]:
    if not tags:
        return {}
    return {f"aws:RequestTag/{tag['TagKey']}": tag["TagValue"] for tag in tags} | {"aws:TagKeys": [tag["TagKey"] for tag in tags]}


def _policy(ctx: Context, found: Found, operation: str, encryption: dict[str, str]) -> str:
    """The key policy, with a statement for the grants that allow this."""
    key = found.key
    if not key.granted:
        return key.policy
    grants = grants_of(ctx, found)
    grantees = sorted({grant.grantee for grant in grants if grant.allows(operation, encryption)})
    return with_statement(key.policy, operation, grantees) if grantees else key.policy


def with_statement(policy: str, operation: str, principals: list[str]) -> str:
    """The policy, and that these principals may do one thing more."""
    document = json.loads(policy)
    statements = document["Statement"]
    services = [name for name in principals if name.endswith(".amazonaws.com")]
    others = [name for name in principals if name not in services]
    named = {kind: names for kind, names in (("AWS", others), ("Service", services)) if names}
    granted = {"Effect": "Allow", "Principal": named, "Action": f"kms:{operation}", "Resource": "*"}
    document["Statement"] = [*(statements if isinstance(statements, list) else [statements]), granted]
    return json.dumps(document)


def grants_of(ctx: Context, found: Found) -> list[Grant]:
    return ctx.tx.within(found.scope.account, found.scope.region).scan(Grant, prefix=f"{found.key.id}/")


def on_key(action: str, **keys: str) -> Authorize:
    """An operation on an own key by its id or ARN. keys: condition key after `kms:` -> the argument that it has its value from."""

    def authorize(ctx: Context, key_id: str, **args: Any) -> list[Need]:
        return [need(ctx, own_key(ctx, key_id), action, _asked(keys, args))]

    return authorize


def on_changed_key(action: str, **keys: str) -> Authorize:
    """As on_key, for what changes the key."""

    def authorize(ctx: Context, key_id: str, **args: Any) -> list[Need]:
        return [need(ctx, changeable(ctx, key_id), action, _asked(keys, args))]

    return authorize


def on_any_key(action: str, **keys: str) -> Authorize:
    """An operation on a key by whatever name, of whatever account."""

    def authorize(ctx: Context, key_id: str, **args: Any) -> list[Need]:
        return [need(ctx, find_key(ctx, key_id), action, _asked(keys, args), args.get("encryption_context"))]

    return authorize


def everywhere(action: str) -> Authorize:
    """An operation on no key: only identity policies count."""

    def authorize(ctx: Context, **_: Any) -> list[Need]:
        return [Need(f"kms:{action}", "*", LazyKeys(lambda: caller_keys(ctx)))]

    return authorize


def _asked(keys: Mapping[str, str], args: Mapping[str, Any]) -> dict[str, Any]:
    return {f"kms:{name}": args[argument] for name, argument in keys.items() if args.get(argument) is not None}

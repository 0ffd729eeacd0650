"""What a caller must be allowed to do to a secret (Service Authorization Reference, Secrets Manager).

Invariant: every need carries the secret's resource policy and its own account, so that a policy on the secret can grant, and another
account needs both sides.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from windtunnel.kernel.context import Authorize, Context, Need
from windtunnel.kernel.lazy import LazyKeys
from windtunnel.services.secretsmanager.lookups import Found, find_secret, place

_ANY_SUFFIX = "AAAAAA"
"""Stands for the six letters of a secret that is still to be made."""


def need(ctx: Context, action: str, secret_id: str, asked: Mapping[str, Any] | None = None) -> Need:
    """`secretsmanager:ACTION` on a secret. asked: condition keys of this request."""
    found = find_secret(ctx, secret_id)
    if found is None:
        scope, name = place(ctx, secret_id)
        return Need(f"secretsmanager:{action}", scope.arn("secretsmanager", f"secret:{name}"), asked or {}, None, scope.account)
    return need_on(found, action, asked)


def need_on(found: Found, action: str, asked: Mapping[str, Any] | None = None) -> Need:
    def keys() -> Mapping[str, Any]:
        return {**secret_keys(found), **(asked or {})}

    return Need(f"secretsmanager:{action}", found.arn, LazyKeys(keys), found.secret.policy, found.scope.account)


def secret_keys(found: Found) -> dict[str, Any]:
    """The condition keys that follow from the secret."""
    secret = found.secret
    keys: dict[str, Any] = {
        "secretsmanager:SecretId": found.arn,
        "secretsmanager:SecretPrimaryRegion": secret.primary or found.scope.region,
    }
    for key, value in secret.tags.items():
        keys[f"aws:ResourceTag/{key}"] = keys[f"secretsmanager:ResourceTag/{key}"] = value
    return keys


def creating(ctx: Context, action: str, name: str, asked: Mapping[str, Any]) -> Need:
    """An action on a secret that is not there yet."""
    return Need(f"secretsmanager:{action}", ctx.arn("secretsmanager", f"secret:{name}-{_ANY_SUFFIX}"), asked)


def on_secret(action: str, **keys: str) -> Authorize:
    """keys: condition key after `secretsmanager:` -> the argument that it has its value from."""

    def authorize(ctx: Context, secret_id: str, **args: Any) -> list[Need]:
        asked = {f"secretsmanager:{name}": args[argument] for name, argument in keys.items() if args.get(argument) is not None}
        return [need(ctx, action, secret_id, asked)]

    return authorize


def request_tags(tags: list[dict[str, str]] | None) -> dict[str, Any]:
    if not tags:
        return {}
    named = {f"aws:RequestTag/{tag.get('Key', '')}": tag.get("Value", "") for tag in tags}
    return {**named, "aws:TagKeys": [tag.get("Key", "") for tag in tags]}

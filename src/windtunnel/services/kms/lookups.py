"""From what a request calls a key (id, ARN, alias, alias ARN) to the key.

Invariant: a key of another account is found by ARN only; what is not there is told in KMS's words.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from windtunnel.kernel.context import Context
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.scope import Arn, Scope
from windtunnel.services.kms.managed import PREFIX, alias_of, managed_by_id, managed_key
from windtunnel.services.kms.model import Alias, Key, alias_arn, key_arn

_KEY_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|mrk-[0-9a-f]{32}")


class Found(NamedTuple):
    """A key, where it is, and the alias under which it was asked for ("" for none)."""

    key: Key
    scope: Scope
    alias: str = ""

    @property
    def arn(self) -> str:
        return key_arn(self.scope, self.key.id)


def find_key(ctx: Context, key_id: str, *, aliases: bool = True) -> Found:
    """The key, as the request names it. aliases: whether the operation takes an alias for a key. Raises NotFoundException."""
    scope, name = _place(ctx, key_id)
    if name.startswith("alias/"):
        if not aliases:
            raise AwsError("NotFoundException", f"Invalid keyId '{name}'")
        return behind_alias(ctx, scope, name)
    if _KEY_ID.fullmatch(name) is None:
        raise AwsError("NotFoundException", f"Invalid keyId '{name}'")
    key = key_by_id(ctx, scope, name)
    if key is None:
        raise AwsError("NotFoundException", f"Key '{key_arn(scope, name)}' does not exist")
    return Found(key, scope)


def own_key(ctx: Context, key_id: str) -> Found:
    """A key of the caller's account, by its id or ARN: for the operations that take no alias and do not cross accounts."""
    found = find_key(ctx, key_id, aliases=False)
    if found.scope.account != ctx.scope.account:
        raise AwsError("AccessDeniedException", f"The key {found.arn} belongs to another account, where this operation cannot be called.")
    return found


def changeable(ctx: Context, key_id: str) -> Found:
    """As own_key, and a customer's: AWS managed keys cannot be changed by anyone."""
    found = own_key(ctx, key_id)
    if found.key.manager == "AWS":
        raise AwsError("AccessDeniedException", f"The key {found.arn} is managed by AWS and cannot be changed.")
    return found


def key_by_id(ctx: Context, scope: Scope, key_id: str) -> Key | None:
    stored = ctx.tx.within(scope.account, scope.region).get(Key, key_id)
    return stored if stored is not None else managed_by_id(scope, key_id)


def behind_alias(ctx: Context, scope: Scope, name: str) -> Found:
    if name.startswith(PREFIX):
        managed = managed_key(scope, name)
        if managed is not None:
            return Found(managed, scope, name)
    else:
        tx = ctx.tx.within(scope.account, scope.region)
        alias = tx.get(Alias, name)
        key = tx.get(Key, alias.target) if alias is not None else None
        if key is not None:
            return Found(key, scope, name)
    raise AwsError("NotFoundException", f"Alias {alias_arn(scope, name)} is not found.")


def _place(ctx: Context, key_id: str) -> tuple[Scope, str]:
    """(where, key id or alias) of what a request names."""
    if not key_id.startswith("arn:"):
        return ctx.scope, key_id
    arn = Arn.parse(key_id)
    if arn is None or arn.service != "kms" or not re.fullmatch(r"\d{12}", arn.account):
        raise AwsError("InvalidArnException", f"Invalid arn {key_id}")
    if arn.region != ctx.scope.region:
        raise AwsError("NotFoundException", f"Invalid arn {arn.region}")
    scope = Scope(arn.account, arn.region)
    if arn.resource.startswith("alias/"):
        return scope, arn.resource
    if not arn.resource.startswith("key/"):
        raise AwsError("InvalidArnException", f"Invalid arn {key_id}")
    return scope, arn.resource.removeprefix("key/")


def aliases_of(ctx: Context, found: Found) -> list[str]:
    """The names of a key's aliases."""
    if found.key.manager == "AWS":
        return [alias_of(found.scope, found.key)]
    return [alias.name for alias in ctx.tx.within(found.scope.account, found.scope.region).find(Alias, "target", found.key.id)]

"""CreateAlias, UpdateAlias, DeleteAlias, ListAliases."""

from __future__ import annotations

import re
from typing import Any

from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.lazy import LazyKeys
from windtunnel.kernel.registry import reads, writes
from windtunnel.services.kms.guard import caller_keys, everywhere, need
from windtunnel.services.kms.lookups import Found, changeable, own_key
from windtunnel.services.kms.managed import PREFIX, alias_of, managed_keys
from windtunnel.services.kms.model import Alias, Key, alias_arn, check_not_ending
from windtunnel.services.kms.paging import page

_NAME = re.compile(r"alias/[a-zA-Z0-9/_-]+")


def check_name(name: str) -> None:
    if not name.startswith("alias/"):
        words = 'Alias must start with the prefix "alias/". Please see https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html'
        raise AwsError("ValidationException", words)
    if _NAME.fullmatch(name) is None:
        raise AwsError("InvalidAliasNameException", f"{name} contains invalid characters for an alias")
    if name.startswith(PREFIX):
        raise AwsError("InvalidAliasNameException", f"{name} is reserved: aliases that begin with {PREFIX} belong to AWS managed keys")


def on_alias(ctx: Context, action: str, name: str) -> Need:
    """An alias has no policy of its own."""
    return Need(f"kms:{action}", alias_arn(ctx.scope, name), LazyKeys(lambda: caller_keys(ctx)))


def the_alias(ctx: Context, name: str) -> Alias:
    alias = ctx.tx.get(Alias, name)
    if alias is None:
        raise AwsError("NotFoundException", f"Alias {alias_arn(ctx.scope, name)} is not found.")
    return alias


def target_of(ctx: Context, alias: Alias) -> Found | None:
    key = ctx.tx.get(Key, alias.target)
    return None if key is None else Found(key, ctx.scope, alias.name)


def on_create(ctx: Context, alias_name: str, target_key_id: str) -> list[Need]:
    return [on_alias(ctx, "CreateAlias", alias_name), need(ctx, changeable(ctx, target_key_id), "CreateAlias")]


@writes("kms", "CreateAlias", authorize=on_create, acts="AliasName TargetKeyId")
def create_alias(ctx: Context, alias_name: str, target_key_id: str) -> Reply:
    check_name(alias_name)
    target = changeable(ctx, target_key_id)
    check_not_ending(target.arn, target.key)
    if ctx.tx.get(Alias, alias_name) is not None:
        arn = alias_arn(ctx.scope, alias_name)
        raise AwsError("AlreadyExistsException", f"An alias with the name {arn} already exists")
    ctx.tx.put(Alias(name=alias_name, target=target.key.id, created=ctx.now, updated=ctx.now))
    return {}


def on_update(ctx: Context, alias_name: str, target_key_id: str) -> list[Need]:
    alias = ctx.tx.get(Alias, alias_name)
    old = target_of(ctx, alias) if alias is not None else None
    needs = [on_alias(ctx, "UpdateAlias", alias_name), need(ctx, changeable(ctx, target_key_id), "UpdateAlias")]
    return [*needs, need(ctx, old, "UpdateAlias")] if old is not None else needs


@writes("kms", "UpdateAlias", authorize=on_update, acts="AliasName TargetKeyId")
def update_alias(ctx: Context, alias_name: str, target_key_id: str) -> Reply:
    check_name(alias_name)
    alias = the_alias(ctx, alias_name)
    old, new = target_of(ctx, alias), changeable(ctx, target_key_id)
    check_not_ending(new.arn, new.key)
    if old is not None and (old.key.spec == "SYMMETRIC_DEFAULT", old.key.usage) != (new.key.spec == "SYMMETRIC_DEFAULT", new.key.usage):
        words = f"Alias {alias_arn(ctx.scope, alias_name)} cannot be updated to a KMS key of another type or key usage."
        raise AwsError("ValidationException", words)
    alias.target, alias.updated = new.key.id, ctx.now
    ctx.tx.put(alias)
    return {}


def on_delete(ctx: Context, alias_name: str) -> list[Need]:
    alias = ctx.tx.get(Alias, alias_name)
    target = target_of(ctx, alias) if alias is not None else None
    return [on_alias(ctx, "DeleteAlias", alias_name), *([need(ctx, target, "DeleteAlias")] if target is not None else [])]


@writes("kms", "DeleteAlias", authorize=on_delete, acts="AliasName")
def delete_alias(ctx: Context, alias_name: str) -> Reply:
    check_name(alias_name)
    ctx.tx.delete(Alias, the_alias(ctx, alias_name).key())
    return {}


@reads("kms", "ListAliases", authorize=everywhere("ListAliases"), acts="KeyId Limit Marker", cost="scan")
def list_aliases(ctx: Context, key_id: str | None = None, limit: int = 50, marker: str | None = None) -> Reply:
    entries = [_entry(ctx, alias.name, alias.target, alias.created, alias.updated) for alias in ctx.tx.scan(Alias)]
    entries += [_entry(ctx, alias_of(ctx.scope, key), key.id, key.created, key.created) for key in managed_keys(ctx.scope)]
    if key_id is not None:
        wanted = own_key(ctx, key_id).key.id
        entries = [entry for entry in entries if entry["TargetKeyId"] == wanted]
    entries.sort(key=_name)
    shown, rest = page(entries, _name, limit, marker)
    return {"Aliases": shown, **rest}


def _name(entry: dict[str, Any]) -> str:
    name: str = entry["AliasName"]
    return name


def _entry(ctx: Context, name: str, target: str, created: float, updated: float) -> dict[str, Any]:
    return {
        "AliasName": name,
        "AliasArn": alias_arn(ctx.scope, name),
        "TargetKeyId": target,
        "CreationDate": created,
        "LastUpdatedDate": updated,
    }

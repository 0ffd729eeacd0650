"""The accounts of a cloud: how its owner gets more than the first one.

Invariant: an account is there exactly when its root user has a key. Nothing else is made with it, so that every account starts empty.
"""

from __future__ import annotations

import re
from typing import Any

from windtunnel.kernel.context import Context, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import control
from windtunnel.services.iam.directory import now, save
from windtunnel.services.iam.model import RootKey


def root_keys(ctx: Context) -> list[RootKey]:
    """One of each account, in the order of their numbers."""
    found = {key.account: key for key in reversed(ctx.tx.scan(RootKey))}
    return [found[account] for account in sorted(found)]


def _described(key: RootKey) -> dict[str, Any]:
    return {"account": key.account, "name": key.name, "created": key.created, "access_key_id": key.access_key}


@control("account.create", "write")
def create_account(ctx: Context, account: str | None = None, name: str = "") -> Reply:
    """A root key for a new account. account: 12 digits, drawn when none are given."""
    there = {key.account: key for key in root_keys(ctx)}
    if account is None:
        account = next(drawn for drawn in iter(lambda: _draw(ctx), "") if drawn not in there)
    if not isinstance(account, str) or re.fullmatch(r"[0-9]{12}", account) is None:
        raise AwsError("ValidationError", "An account is 12 digits.")
    if not isinstance(name, str) or len(name) > 50 or not name.isprintable():
        raise AwsError("ValidationError", "A name has at most 50 printable characters.")
    if account in there:
        raise AwsError("EntityAlreadyExists", f"The account {account} is there already.", status=409)
    if name and any(key.name == name for key in there.values()):
        raise AwsError("EntityAlreadyExists", f"There is an account of the name {name} already.", status=409)
    key = RootKey(access_key="AKIA" + ctx.ids.upper(16), secret=ctx.ids.secret(40), account=account, name=name, created=now(ctx))
    save(ctx, key)
    return {**_described(key), "secret_access_key": key.secret}


def _draw(ctx: Context) -> str:
    return f"{int(ctx.ids.hex(12), 16) % 10**12:012d}"


@control("account.list", "read")
def list_accounts(ctx: Context) -> Reply:
    first = ctx.scope.account
    return {"accounts": [{**_described(key), "first": key.account == first} for key in root_keys(ctx)]}


@control("account.keys", "read")
def account_keys(ctx: Context, account: str) -> Reply:
    """The root key of an account: for `windtunnel env --account`."""
    found = next((key for key in root_keys(ctx) if key.account == account), None)
    if found is None:
        raise AwsError("NoSuchEntity", f"This cloud has no account {account}; `windtunnel account create {account}` makes it.", status=404)
    return {**_described(found), "secret_access_key": found.secret}

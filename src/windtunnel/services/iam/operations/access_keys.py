"""Users' access keys."""

from __future__ import annotations

import msgspec

from windtunnel.kernel.context import Context, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import reads, writes
from windtunnel.services.iam.directory import drop, now, save, user
from windtunnel.services.iam.model import MAX_KEYS_PER_USER, AccessKey, User, owner_of
from windtunnel.services.iam.operations.authorize import on_account, on_user
from windtunnel.services.iam.operations.paging import page


def _keys(ctx: Context, owner: User) -> list[AccessKey]:
    return ctx.tx.find(AccessKey, "owner", owner_of(ctx.scope.account, owner.key()))


def _key(ctx: Context, owner: User, access_key_id: str) -> AccessKey:
    found = ctx.tx.get(AccessKey, access_key_id)
    if found is None or (found.account, found.user) != (ctx.scope.account, owner.key()):
        raise AwsError("NoSuchEntity", f"The Access Key with id {access_key_id} cannot be found.")
    return found


def _status(key: AccessKey) -> str:
    return "Active" if key.active else "Inactive"


@writes("iam", "CreateAccessKey", authorize=on_user("CreateAccessKey"), acts="UserName")
def create_access_key(ctx: Context, user_name: str | None = None) -> Reply:
    owner = user(ctx, user_name)
    if len(_keys(ctx, owner)) >= MAX_KEYS_PER_USER:
        raise AwsError("LimitExceeded", f"Cannot exceed quota for AccessKeysPerUser: {MAX_KEYS_PER_USER}")
    key = AccessKey(id="AKIA" + ctx.ids.upper(16), secret=ctx.ids.secret(40), account=ctx.scope.account, user=owner.key(), created=now(ctx))
    save(ctx, key)
    return {
        "AccessKey": {
            "UserName": owner.name,
            "AccessKeyId": key.id,
            "Status": _status(key),
            "SecretAccessKey": key.secret,
            "CreateDate": key.created,
        }
    }


@reads("iam", "ListAccessKeys", authorize=on_user("ListAccessKeys"), acts="UserName Marker MaxItems")
def list_access_keys(ctx: Context, user_name: str | None = None, marker: str | None = None, max_items: int | None = None) -> Reply:
    owner = user(ctx, user_name)
    return page(
        "AccessKeyMetadata",
        _keys(ctx, owner),
        lambda key: {"UserName": owner.name, "AccessKeyId": key.id, "Status": _status(key), "CreateDate": key.created},
        AccessKey.key,
        marker,
        max_items,
    )


@writes("iam", "UpdateAccessKey", authorize=on_user("UpdateAccessKey"), acts="UserName AccessKeyId Status")
def update_access_key(ctx: Context, access_key_id: str, status: str, user_name: str | None = None) -> Reply:
    key = _key(ctx, user(ctx, user_name), access_key_id)
    save(ctx, msgspec.structs.replace(key, active=status == "Active"))
    return {}


@writes("iam", "DeleteAccessKey", authorize=on_user("DeleteAccessKey"), acts="UserName AccessKeyId")
def delete_access_key(ctx: Context, access_key_id: str, user_name: str | None = None) -> Reply:
    drop(ctx, _key(ctx, user(ctx, user_name), access_key_id))
    return {}


@reads("iam", "GetAccessKeyLastUsed", authorize=on_account("GetAccessKeyLastUsed"), acts="AccessKeyId")
def get_access_key_last_used(ctx: Context, access_key_id: str) -> Reply:
    """Uses are counted from the start of this cloud on; a key that was not used since then answers N/A."""
    key = ctx.tx.get(AccessKey, access_key_id)
    owner = ctx.tx.get(User, key.user) if key is not None and key.account == ctx.scope.account else None
    if owner is None:
        raise AwsError("NoSuchEntity", f"The Access Key with id {access_key_id} cannot be found.")
    used = ctx.cloud.identity.last_used(access_key_id)
    if used is None:
        return {"UserName": owner.name, "AccessKeyLastUsed": {"ServiceName": "N/A", "Region": "N/A"}}
    at, service, region = used
    return {"UserName": owner.name, "AccessKeyLastUsed": {"LastUsedDate": at, "ServiceName": service, "Region": region}}

"""Users."""

from __future__ import annotations

from typing import Any

import msgspec

from windtunnel.kernel.context import Context, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import reads, writes
from windtunnel.services.iam.certificates import SigningCertificate, SSHPublicKey
from windtunnel.services.iam.devices import devices_of
from windtunnel.services.iam.directory import attachable, drop, new_name, now, save, user
from windtunnel.services.iam.model import (
    AccessKey,
    ServiceCredential,
    User,
    checked_tags,
    described,
    merged_tags,
    owner_of,
)
from windtunnel.services.iam.operations.authorize import on_path, on_user
from windtunnel.services.iam.operations.paging import page
from windtunnel.services.iam.passwords import LoginProfile


@writes("iam", "CreateUser", authorize=on_user("CreateUser"), acts="Path UserName PermissionsBoundary Tags[].*")
def create_user(
    ctx: Context, user_name: str, path: str = "/", permissions_boundary: str = "", tags: list[dict[str, str]] | None = None
) -> Reply:
    new_name(ctx, User, user_name)
    if permissions_boundary:
        attachable(ctx, permissions_boundary)
    made = User(
        name=user_name,
        path=path,
        id="AIDA" + ctx.ids.upper(17),
        created=now(ctx),
        tags=merged_tags({}, checked_tags(tags)),
        boundary=permissions_boundary,
    )
    save(ctx, made)
    return {"User": described(ctx.scope, made)}


@reads("iam", "GetUser", authorize=on_user("GetUser"), acts="UserName")
def get_user(ctx: Context, user_name: str | None = None) -> Reply:
    if user_name is None and ctx.principal.kind == "root":
        arn = ctx.scope.global_arn("iam", "root")
        return {"User": {"Path": "/", "UserName": "root", "UserId": ctx.scope.account, "Arn": arn, "CreateDate": 0.0}}
    return {"User": described(ctx.scope, user(ctx, user_name))}


@reads("iam", "ListUsers", authorize=on_path("ListUsers", "user"), acts="PathPrefix Marker MaxItems", cost="scan")
def list_users(ctx: Context, path_prefix: str = "/", marker: str | None = None, max_items: int | None = None) -> Reply:
    users = (found for found in ctx.tx.scan(User) if found.path.startswith(path_prefix))
    return page("Users", users, lambda found: described(ctx.scope, found, tags=False), User.key, marker, max_items)


@writes("iam", "UpdateUser", authorize=on_user("UpdateUser"), acts="UserName NewPath NewUserName")
def update_user(ctx: Context, user_name: str, new_path: str | None = None, new_user_name: str | None = None) -> Reply:
    old = user(ctx, user_name)
    new = msgspec.structs.replace(old, path=new_path or old.path, name=new_user_name or old.name)
    if new.key() != old.key():
        new_name(ctx, User, new.name)
        _move_keys(ctx, old, new)
        drop(ctx, old)
    save(ctx, new)
    return {}


_HELD: tuple[type[Any], ...] = (ServiceCredential, SSHPublicKey, SigningCertificate)
"""What users hold under names of its own, found by its user."""


def _move_keys(ctx: Context, old: User, new: User) -> None:
    for key in ctx.tx.find(AccessKey, "owner", owner_of(ctx.scope.account, old.key())):
        ctx.tx.put(msgspec.structs.replace(key, user=new.key()))
    for kind in _HELD:
        for held in ctx.tx.find(kind, "user", old.key()):
            ctx.tx.put(msgspec.structs.replace(held, user=new.key()))
    for device in devices_of(ctx, old.key()):
        ctx.tx.put(msgspec.structs.replace(device, user=new.key()))
    profile = ctx.tx.get(LoginProfile, old.key())
    if profile is not None:
        ctx.tx.delete(LoginProfile, old.key())
        ctx.tx.put(msgspec.structs.replace(profile, user=new.key()))


@writes("iam", "DeleteUser", authorize=on_user("DeleteUser"), acts="UserName")
def delete_user(ctx: Context, user_name: str) -> Reply:
    found = user(ctx, user_name)
    for what, remedy in (
        (found.groups, "remove users from group"),
        (found.attached, "detach all policies"),
        (ctx.tx.find(AccessKey, "owner", owner_of(ctx.scope.account, found.key()), limit=1), "delete access keys"),
        (ctx.tx.get(LoginProfile, found.key()), "delete login profile"),
        (devices_of(ctx, found.key()), "delete MFA device"),
        (ctx.tx.find(ServiceCredential, "user", found.key(), limit=1), "delete service specific credentials"),
        (ctx.tx.find(SSHPublicKey, "user", found.key(), limit=1), "delete ssh public keys"),
        (ctx.tx.find(SigningCertificate, "user", found.key(), limit=1), "delete signing certificates"),
        (found.inline, "delete policies"),
    ):
        if what:
            raise AwsError("DeleteConflict", f"Cannot delete entity, must {remedy} first.")
    drop(ctx, found)
    return {}

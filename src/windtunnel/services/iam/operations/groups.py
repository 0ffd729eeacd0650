"""Groups and who is in them."""

from __future__ import annotations

import msgspec

from windtunnel.kernel.context import Context, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import reads, writes
from windtunnel.services.iam.directory import drop, group, new_name, now, save, user
from windtunnel.services.iam.model import Group, User, described
from windtunnel.services.iam.operations.authorize import on_group, on_path, on_user
from windtunnel.services.iam.operations.paging import page


@writes("iam", "CreateGroup", authorize=on_group("CreateGroup"), acts="Path GroupName")
def create_group(ctx: Context, group_name: str, path: str = "/") -> Reply:
    new_name(ctx, Group, group_name)
    made = Group(name=group_name, path=path, id="AGPA" + ctx.ids.upper(17), created=now(ctx))
    save(ctx, made)
    return {"Group": described(ctx.scope, made)}


@reads("iam", "GetGroup", authorize=on_group("GetGroup"), acts="GroupName Marker MaxItems")
def get_group(ctx: Context, group_name: str, marker: str | None = None, max_items: int | None = None) -> Reply:
    found = group(ctx, group_name)
    members = ctx.tx.find(User, "group", found.key())
    users = page("Users", members, lambda member: described(ctx.scope, member, tags=False), User.key, marker, max_items)
    return {"Group": described(ctx.scope, found), **users}


@reads("iam", "ListGroups", authorize=on_path("ListGroups", "group"), acts="PathPrefix Marker MaxItems", cost="scan")
def list_groups(ctx: Context, path_prefix: str = "/", marker: str | None = None, max_items: int | None = None) -> Reply:
    groups = (found for found in ctx.tx.scan(Group) if found.path.startswith(path_prefix))
    return page("Groups", groups, lambda found: described(ctx.scope, found), Group.key, marker, max_items)


@writes("iam", "UpdateGroup", authorize=on_group("UpdateGroup"), acts="GroupName NewPath NewGroupName")
def update_group(ctx: Context, group_name: str, new_path: str | None = None, new_group_name: str | None = None) -> Reply:
    old = group(ctx, group_name)
    new = msgspec.structs.replace(old, path=new_path or old.path, name=new_group_name or old.name)
    if new.key() != old.key():
        new_name(ctx, Group, new.name)
        for member in ctx.tx.find(User, "group", old.key()):
            keys = [new.key() if key == old.key() else key for key in member.groups]
            ctx.tx.put(msgspec.structs.replace(member, groups=keys))
        drop(ctx, old)
    save(ctx, new)
    return {}


@writes("iam", "DeleteGroup", authorize=on_group("DeleteGroup"), acts="GroupName")
def delete_group(ctx: Context, group_name: str) -> Reply:
    found = group(ctx, group_name)
    for what, remedy in (
        (ctx.tx.find(User, "group", found.key(), limit=1), "remove users from group"),
        (found.attached, "detach all policies"),
        (found.inline, "delete policies"),
    ):
        if what:
            raise AwsError("DeleteConflict", f"Cannot delete entity, must {remedy} first.")
    drop(ctx, found)
    return {}


@writes("iam", "AddUserToGroup", authorize=on_group("AddUserToGroup"), acts="GroupName UserName")
def add_user_to_group(ctx: Context, group_name: str, user_name: str) -> Reply:
    joined, member = group(ctx, group_name), user(ctx, user_name)
    if joined.key() not in member.groups:
        save(ctx, msgspec.structs.replace(member, groups=[*member.groups, joined.key()]))
    return {}


@writes("iam", "RemoveUserFromGroup", authorize=on_group("RemoveUserFromGroup"), acts="GroupName UserName")
def remove_user_from_group(ctx: Context, group_name: str, user_name: str) -> Reply:
    left, member = group(ctx, group_name), user(ctx, user_name)
    if left.key() not in member.groups:
        raise AwsError("NoSuchEntity", f"The user with name {user_name} cannot be found in the group {group_name}.")
    save(ctx, msgspec.structs.replace(member, groups=[key for key in member.groups if key != left.key()]))
    return {}


@reads("iam", "ListGroupsForUser", authorize=on_user("ListGroupsForUser"), acts="UserName Marker MaxItems")
def list_groups_for_user(ctx: Context, user_name: str, marker: str | None = None, max_items: int | None = None) -> Reply:
    groups = [group(ctx, key) for key in user(ctx, user_name).groups]
    return page("Groups", groups, lambda found: described(ctx.scope, found), Group.key, marker, max_items)

"""Inline policies of users, groups and roles."""

from __future__ import annotations

import msgspec

from windtunnel.iam.grammar import validate
from windtunnel.kernel.context import Context, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import reads, writes
from windtunnel.services.iam.directory import changeable, group, role, save, user
from windtunnel.services.iam.model import Entity, encoded, policy_size
from windtunnel.services.iam.operations.authorize import on_group, on_role, on_user
from windtunnel.services.iam.operations.paging import page


def _put(ctx: Context, holder: Entity, name: str, document: str) -> Reply:
    validate(document, "inline")
    inline = {**holder.inline, name: document}
    if sum(policy_size(each) for each in inline.values()) > holder.INLINE_SIZE:
        words = f"Maximum policy size of {holder.INLINE_SIZE} bytes exceeded for {holder.NOUN} {holder.name}"
        raise AwsError("LimitExceeded", words)
    save(ctx, msgspec.structs.replace(holder, inline=inline))
    return {}


def _document(holder: Entity, name: str) -> str:
    if name not in holder.inline:
        raise AwsError("NoSuchEntity", f"The {holder.NOUN} policy with name {name} cannot be found.")
    return holder.inline[name]


def _get(holder: Entity, name: str) -> Reply:
    title = f"{holder.NOUN.title()}Name"
    return {title: holder.name, "PolicyName": name, "PolicyDocument": encoded(_document(holder, name))}


def _delete(ctx: Context, holder: Entity, name: str) -> Reply:
    _document(holder, name)
    rest = {key: document for key, document in holder.inline.items() if key != name}
    save(ctx, msgspec.structs.replace(holder, inline=rest))
    return {}


def _list(holder: Entity, marker: str | None, max_items: int | None) -> Reply:
    return page("PolicyNames", holder.inline, str, str, marker, max_items)


@writes("iam", "PutUserPolicy", authorize=on_user("PutUserPolicy"), acts="UserName PolicyName PolicyDocument")
def put_user_policy(ctx: Context, user_name: str, policy_name: str, policy_document: str) -> Reply:
    return _put(ctx, user(ctx, user_name), policy_name, policy_document)


@reads("iam", "GetUserPolicy", authorize=on_user("GetUserPolicy"), acts="UserName PolicyName")
def get_user_policy(ctx: Context, user_name: str, policy_name: str) -> Reply:
    return _get(user(ctx, user_name), policy_name)


@writes("iam", "DeleteUserPolicy", authorize=on_user("DeleteUserPolicy"), acts="UserName PolicyName")
def delete_user_policy(ctx: Context, user_name: str, policy_name: str) -> Reply:
    return _delete(ctx, user(ctx, user_name), policy_name)


@reads("iam", "ListUserPolicies", authorize=on_user("ListUserPolicies"), acts="UserName Marker MaxItems")
def list_user_policies(ctx: Context, user_name: str, marker: str | None = None, max_items: int | None = None) -> Reply:
    return _list(user(ctx, user_name), marker, max_items)


@writes("iam", "PutGroupPolicy", authorize=on_group("PutGroupPolicy"), acts="GroupName PolicyName PolicyDocument")
def put_group_policy(ctx: Context, group_name: str, policy_name: str, policy_document: str) -> Reply:
    return _put(ctx, group(ctx, group_name), policy_name, policy_document)


@reads("iam", "GetGroupPolicy", authorize=on_group("GetGroupPolicy"), acts="GroupName PolicyName")
def get_group_policy(ctx: Context, group_name: str, policy_name: str) -> Reply:
    return _get(group(ctx, group_name), policy_name)


@writes("iam", "DeleteGroupPolicy", authorize=on_group("DeleteGroupPolicy"), acts="GroupName PolicyName")
def delete_group_policy(ctx: Context, group_name: str, policy_name: str) -> Reply:
    return _delete(ctx, group(ctx, group_name), policy_name)


@reads("iam", "ListGroupPolicies", authorize=on_group("ListGroupPolicies"), acts="GroupName Marker MaxItems")
def list_group_policies(ctx: Context, group_name: str, marker: str | None = None, max_items: int | None = None) -> Reply:
    return _list(group(ctx, group_name), marker, max_items)


@writes("iam", "PutRolePolicy", authorize=on_role("PutRolePolicy"), acts="RoleName PolicyName PolicyDocument")
def put_role_policy(ctx: Context, role_name: str, policy_name: str, policy_document: str) -> Reply:
    return _put(ctx, changeable(role(ctx, role_name)), policy_name, policy_document)


@reads("iam", "GetRolePolicy", authorize=on_role("GetRolePolicy"), acts="RoleName PolicyName")
def get_role_policy(ctx: Context, role_name: str, policy_name: str) -> Reply:
    return _get(role(ctx, role_name), policy_name)


@writes("iam", "DeleteRolePolicy", authorize=on_role("DeleteRolePolicy"), acts="RoleName PolicyName")
def delete_role_policy(ctx: Context, role_name: str, policy_name: str) -> Reply:
    return _delete(ctx, changeable(role(ctx, role_name)), policy_name)


@reads("iam", "ListRolePolicies", authorize=on_role("ListRolePolicies"), acts="RoleName Marker MaxItems")
def list_role_policies(ctx: Context, role_name: str, marker: str | None = None, max_items: int | None = None) -> Reply:
    return _list(role(ctx, role_name), marker, max_items)

"""Managed policies attached to users, groups and roles."""

from __future__ import annotations

import msgspec

from windtunnel.kernel.context import Context, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import reads, writes
from windtunnel.services.iam.directory import attachable, changeable, group, role, save, user
from windtunnel.services.iam.model import MAX_ATTACHED, Entity, name_in
from windtunnel.services.iam.operations.authorize import on_group, on_role, on_user
from windtunnel.services.iam.operations.paging import page


def _attach(ctx: Context, holder: Entity, arn: str) -> Reply:
    attachable(ctx, arn)
    if arn in holder.attached:
        return {}
    if len(holder.attached) >= MAX_ATTACHED:
        raise AwsError("LimitExceeded", f"Cannot exceed quota for PoliciesPer{holder.NOUN.title()}: {MAX_ATTACHED}")
    save(ctx, msgspec.structs.replace(holder, attached=[*holder.attached, arn]))
    return {}


def _detach(ctx: Context, holder: Entity, arn: str) -> Reply:
    if arn not in holder.attached:
        raise AwsError("NoSuchEntity", f"Policy {arn} was not found.")
    save(ctx, msgspec.structs.replace(holder, attached=[each for each in holder.attached if each != arn]))
    return {}


def _list(holder: Entity, path_prefix: str, marker: str | None, max_items: int | None) -> Reply:
    arns = [arn for arn in holder.attached if arn.partition(":policy")[2].startswith(path_prefix)]
    return page("AttachedPolicies", arns, lambda arn: {"PolicyName": name_in(arn), "PolicyArn": arn}, str, marker, max_items)


@writes("iam", "AttachUserPolicy", authorize=on_user("AttachUserPolicy"), acts="UserName PolicyArn")
def attach_user_policy(ctx: Context, user_name: str, policy_arn: str) -> Reply:
    return _attach(ctx, user(ctx, user_name), policy_arn)


@writes("iam", "DetachUserPolicy", authorize=on_user("DetachUserPolicy"), acts="UserName PolicyArn")
def detach_user_policy(ctx: Context, user_name: str, policy_arn: str) -> Reply:
    return _detach(ctx, user(ctx, user_name), policy_arn)


@reads("iam", "ListAttachedUserPolicies", authorize=on_user("ListAttachedUserPolicies"), acts="UserName PathPrefix Marker MaxItems")
def list_attached_user_policies(
    ctx: Context, user_name: str, path_prefix: str = "/", marker: str | None = None, max_items: int | None = None
) -> Reply:
    return _list(user(ctx, user_name), path_prefix, marker, max_items)


@writes("iam", "AttachGroupPolicy", authorize=on_group("AttachGroupPolicy"), acts="GroupName PolicyArn")
def attach_group_policy(ctx: Context, group_name: str, policy_arn: str) -> Reply:
    return _attach(ctx, group(ctx, group_name), policy_arn)


@writes("iam", "DetachGroupPolicy", authorize=on_group("DetachGroupPolicy"), acts="GroupName PolicyArn")
def detach_group_policy(ctx: Context, group_name: str, policy_arn: str) -> Reply:
    return _detach(ctx, group(ctx, group_name), policy_arn)


@reads(
    "iam",
    "ListAttachedGroupPolicies",
    authorize=on_group("ListAttachedGroupPolicies"),
    acts="GroupName PathPrefix Marker MaxItems",
)
def list_attached_group_policies(
    ctx: Context, group_name: str, path_prefix: str = "/", marker: str | None = None, max_items: int | None = None
) -> Reply:
    return _list(group(ctx, group_name), path_prefix, marker, max_items)


@writes("iam", "AttachRolePolicy", authorize=on_role("AttachRolePolicy"), acts="RoleName PolicyArn")
def attach_role_policy(ctx: Context, role_name: str, policy_arn: str) -> Reply:
    return _attach(ctx, changeable(role(ctx, role_name)), policy_arn)


@writes("iam", "DetachRolePolicy", authorize=on_role("DetachRolePolicy"), acts="RoleName PolicyArn")
def detach_role_policy(ctx: Context, role_name: str, policy_arn: str) -> Reply:
    return _detach(ctx, changeable(role(ctx, role_name)), policy_arn)


@reads("iam", "ListAttachedRolePolicies", authorize=on_role("ListAttachedRolePolicies"), acts="RoleName PathPrefix Marker MaxItems")
def list_attached_role_policies(
    ctx: Context, role_name: str, path_prefix: str = "/", marker: str | None = None, max_items: int | None = None
) -> Reply:
    return _list(role(ctx, role_name), path_prefix, marker, max_items)

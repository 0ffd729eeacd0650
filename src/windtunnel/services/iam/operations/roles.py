"""Roles and their trust policies."""

from __future__ import annotations

from typing import Any

import msgspec

from windtunnel.iam.grammar import validate
from windtunnel.iam.policy import statements_of
from windtunnel.iam.principals import listed
from windtunnel.kernel.context import Context, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import reads, writes
from windtunnel.services.iam.directory import attachable, changeable, drop, new_name, now, role, save
from windtunnel.services.iam.model import (
    MAX_TRUST_SIZE,
    InstanceProfile,
    Role,
    User,
    account_in,
    checked_tags,
    described,
    merged_tags,
    name_in,
    policy_size,
)
from windtunnel.services.iam.operations.authorize import on_path, on_role
from windtunnel.services.iam.operations.paging import page


def _checked_trust(ctx: Context, document: str) -> str:
    """The trust policy, if it is well-formed and the users and roles that it names exist."""
    for statement in statements_of(validate(document, "trust")):
        for name in listed(statement["Principal"].get("AWS", ())):
            if not _exists(ctx, name):
                raise AwsError("MalformedPolicyDocument", f'Invalid principal in policy: "AWS":"{name}"')
    if policy_size(document) > MAX_TRUST_SIZE:
        raise AwsError("LimitExceeded", f"Cannot exceed quota for ACLSizePerRole: {MAX_TRUST_SIZE}")
    return document


def _exists(ctx: Context, principal: str) -> bool:
    resource = principal.rpartition(":")[2]
    tx = ctx.tx.within(account_in(principal), ctx.scope.region)
    if resource.startswith("user/"):
        return tx.get(User, name_in(principal).lower()) is not None
    if resource.startswith("role/"):
        return tx.get(Role, name_in(principal).lower()) is not None
    return True


@writes(
    "iam",
    "CreateRole",
    authorize=on_role("CreateRole"),
    acts="Path RoleName AssumeRolePolicyDocument MaxSessionDuration PermissionsBoundary Tags[].*",
    descriptive="Description",
)
def create_role(
    ctx: Context,
    role_name: str,
    assume_role_policy_document: str,
    path: str = "/",
    description: str = "",
    max_session_duration: int = 3600,
    permissions_boundary: str = "",
    tags: list[dict[str, str]] | None = None,
) -> Reply:
    trust = _checked_trust(ctx, assume_role_policy_document)
    new_name(ctx, Role, role_name)
    if permissions_boundary:
        attachable(ctx, permissions_boundary)
    made = Role(
        name=role_name,
        path=path,
        id="AROA" + ctx.ids.upper(17),
        created=now(ctx),
        tags=merged_tags({}, checked_tags(tags)),
        boundary=permissions_boundary,
        trust=trust,
        description=description,
        max_session=max_session_duration,
    )
    save(ctx, made)
    return {"Role": described(ctx.scope, made)}


@reads("iam", "GetRole", authorize=on_role("GetRole"), acts="RoleName")
def get_role(ctx: Context, role_name: str) -> Reply:
    shown = described(ctx.scope, role(ctx, role_name))
    return {"Role": {**shown, "RoleLastUsed": last_used(ctx, shown["Arn"])}}


def last_used(ctx: Context, arn: str) -> dict[str, Any]:
    """The RoleLastUsed shape: empty for a role that was never used."""
    used = ctx.cloud.identity.last_used(arn)
    return {"LastUsedDate": float(int(used[0])), "Region": used[2]} if used else {}


@reads("iam", "ListRoles", authorize=on_path("ListRoles", "role"), acts="PathPrefix Marker MaxItems", cost="scan")
def list_roles(ctx: Context, path_prefix: str = "/", marker: str | None = None, max_items: int | None = None) -> Reply:
    roles = (found for found in ctx.tx.scan(Role) if found.path.startswith(path_prefix))
    return page("Roles", roles, lambda found: described(ctx.scope, found, tags=False), Role.key, marker, max_items)


def _update(ctx: Context, name: str, **changes: Any) -> Role:
    changed = msgspec.structs.replace(role(ctx, name), **changes)
    save(ctx, changed)
    return changed


@writes("iam", "UpdateAssumeRolePolicy", authorize=on_role("UpdateAssumeRolePolicy"), acts="RoleName PolicyDocument")
def update_assume_role_policy(ctx: Context, role_name: str, policy_document: str) -> Reply:
    changeable(role(ctx, role_name))
    _update(ctx, role_name, trust=_checked_trust(ctx, policy_document))
    return {}


@writes("iam", "UpdateRole", authorize=on_role("UpdateRole"), acts="RoleName MaxSessionDuration", descriptive="Description")
def update_role(ctx: Context, role_name: str, description: str | None = None, max_session_duration: int | None = None) -> Reply:
    changes: dict[str, Any] = {"description": description, "max_session": max_session_duration}
    _update(ctx, role_name, **{name: value for name, value in changes.items() if value is not None})
    return {}


@writes("iam", "UpdateRoleDescription", authorize=on_role("UpdateRoleDescription"), acts="RoleName", descriptive="Description")
def update_role_description(ctx: Context, role_name: str, description: str) -> Reply:
    return {"Role": described(ctx.scope, _update(ctx, role_name, description=description))}


@writes("iam", "DeleteRole", authorize=on_role("DeleteRole"), acts="RoleName")
def delete_role(ctx: Context, role_name: str) -> Reply:
    found = changeable(role(ctx, role_name))
    for what, remedy in (
        (ctx.tx.find(InstanceProfile, "role", found.key(), limit=1), "remove roles from instance profile"),
        (found.attached, "detach all policies"),
        (found.inline, "delete policies"),
    ):
        if what:
            raise AwsError("DeleteConflict", f"Cannot delete entity, must {remedy} first.")
    drop(ctx, found)
    return {}

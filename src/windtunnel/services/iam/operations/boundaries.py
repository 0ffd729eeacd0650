"""Permissions boundaries of users and roles."""

from __future__ import annotations

import msgspec

from windtunnel.kernel.context import Context, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import writes
from windtunnel.services.iam.directory import attachable, changeable, role, save, user
from windtunnel.services.iam.model import Entity
from windtunnel.services.iam.operations.authorize import on_role, on_user


def _put(ctx: Context, entity: Entity, arn: str) -> Reply:
    attachable(ctx, arn)
    save(ctx, msgspec.structs.replace(entity, boundary=arn))
    return {}


def _delete(ctx: Context, entity: Entity) -> Reply:
    if not entity.boundary:
        raise AwsError("NoSuchEntity", f"The {entity.NOUN} {entity.name} has no permissions boundary.")
    save(ctx, msgspec.structs.replace(entity, boundary=""))
    return {}


@writes("iam", "PutUserPermissionsBoundary", authorize=on_user("PutUserPermissionsBoundary"), acts="UserName PermissionsBoundary")
def put_user_permissions_boundary(ctx: Context, user_name: str, permissions_boundary: str) -> Reply:
    return _put(ctx, user(ctx, user_name), permissions_boundary)


@writes("iam", "DeleteUserPermissionsBoundary", authorize=on_user("DeleteUserPermissionsBoundary"), acts="UserName")
def delete_user_permissions_boundary(ctx: Context, user_name: str) -> Reply:
    return _delete(ctx, user(ctx, user_name))


@writes("iam", "PutRolePermissionsBoundary", authorize=on_role("PutRolePermissionsBoundary"), acts="RoleName PermissionsBoundary")
def put_role_permissions_boundary(ctx: Context, role_name: str, permissions_boundary: str) -> Reply:
    return _put(ctx, changeable(role(ctx, role_name)), permissions_boundary)


@writes("iam", "DeleteRolePermissionsBoundary", authorize=on_role("DeleteRolePermissionsBoundary"), acts="RoleName")
def delete_role_permissions_boundary(ctx: Context, role_name: str) -> Reply:
    return _delete(ctx, changeable(role(ctx, role_name)))

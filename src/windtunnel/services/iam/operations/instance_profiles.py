"""Instance profiles: how a role reaches an EC2 instance."""

from __future__ import annotations

from typing import Any

import msgspec

from windtunnel.iam.passing import pass_role
from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import reads, writes
from windtunnel.services.iam.directory import drop, instance_profile, now, role, save
from windtunnel.services.iam.model import (
    InstanceProfile,
    Role,
    checked_tags,
    described,
    entity_arn,
    merged_tags,
    profile_arn,
    tag_list,
)
from windtunnel.services.iam.operations.authorize import on_path, on_profile, on_role
from windtunnel.services.iam.operations.paging import page


def described_profile(ctx: Context, profile: InstanceProfile) -> dict[str, Any]:
    held = ctx.tx.get(Role, profile.role) if profile.role else None
    reply: dict[str, Any] = {
        "Path": profile.path,
        "InstanceProfileName": profile.name,
        "InstanceProfileId": profile.id,
        "Arn": profile_arn(ctx.scope, profile),
        "CreateDate": profile.created,
        "Roles": [described(ctx.scope, held, tags=False)] if held is not None else [],
    }
    return {**reply, "Tags": tag_list(profile.tags)} if profile.tags else reply


@writes("iam", "CreateInstanceProfile", authorize=on_profile("CreateInstanceProfile"), acts="InstanceProfileName Path Tags[].*")
def create_instance_profile(ctx: Context, instance_profile_name: str, path: str = "/", tags: list[dict[str, str]] | None = None) -> Reply:
    if ctx.tx.get(InstanceProfile, instance_profile_name.lower()) is not None:
        raise AwsError("EntityAlreadyExists", f"Instance Profile {instance_profile_name} already exists.")
    made = InstanceProfile(
        name=instance_profile_name,
        path=path,
        id="AIPA" + ctx.ids.upper(17),
        created=now(ctx),
        tags=merged_tags({}, checked_tags(tags)),
    )
    save(ctx, made)
    return {"InstanceProfile": described_profile(ctx, made)}


@reads("iam", "GetInstanceProfile", authorize=on_profile("GetInstanceProfile"), acts="InstanceProfileName")
def get_instance_profile(ctx: Context, instance_profile_name: str) -> Reply:
    return {"InstanceProfile": described_profile(ctx, instance_profile(ctx, instance_profile_name))}


@reads(
    "iam",
    "ListInstanceProfiles",
    authorize=on_path("ListInstanceProfiles", "instance-profile"),
    acts="PathPrefix Marker MaxItems",
    cost="scan",
)
def list_instance_profiles(ctx: Context, path_prefix: str = "/", marker: str | None = None, max_items: int | None = None) -> Reply:
    profiles = (found for found in ctx.tx.scan(InstanceProfile) if found.path.startswith(path_prefix))
    return page("InstanceProfiles", profiles, lambda found: described_profile(ctx, found), InstanceProfile.key, marker, max_items)


@reads("iam", "ListInstanceProfilesForRole", authorize=on_role("ListInstanceProfilesForRole"), acts="RoleName Marker MaxItems")
def list_instance_profiles_for_role(ctx: Context, role_name: str, marker: str | None = None, max_items: int | None = None) -> Reply:
    profiles = ctx.tx.find(InstanceProfile, "role", role(ctx, role_name).key())
    return page("InstanceProfiles", profiles, lambda found: described_profile(ctx, found), InstanceProfile.key, marker, max_items)


@writes("iam", "DeleteInstanceProfile", authorize=on_profile("DeleteInstanceProfile"), acts="InstanceProfileName")
def delete_instance_profile(ctx: Context, instance_profile_name: str) -> Reply:
    found = instance_profile(ctx, instance_profile_name)
    if found.role:
        raise AwsError("DeleteConflict", "Cannot delete entity, must remove roles from instance profile first.")
    drop(ctx, found)
    return {}


def _adds_role(ctx: Context, instance_profile_name: str, role_name: str) -> list[Need]:
    """AddRoleToInstanceProfile passes the role to EC2."""
    held = ctx.tx.get(Role, role_name.lower())
    arn = entity_arn(ctx.scope, held) if held is not None else ctx.scope.global_arn("iam", f"role/{role_name}")
    needs = on_profile("AddRoleToInstanceProfile")(ctx, instance_profile_name=instance_profile_name)
    return [*needs, pass_role(arn, "ec2.amazonaws.com")]


@writes("iam", "AddRoleToInstanceProfile", authorize=_adds_role, acts="InstanceProfileName RoleName")
def add_role_to_instance_profile(ctx: Context, instance_profile_name: str, role_name: str) -> Reply:
    profile, held = instance_profile(ctx, instance_profile_name), role(ctx, role_name)
    if profile.role:
        raise AwsError("LimitExceeded", "Cannot exceed quota for InstanceSessionsPerInstanceProfile: 1")
    save(ctx, msgspec.structs.replace(profile, role=held.key()))
    return {}


@writes(
    "iam",
    "RemoveRoleFromInstanceProfile",
    authorize=on_profile("RemoveRoleFromInstanceProfile"),
    acts="InstanceProfileName RoleName",
)
def remove_role_from_instance_profile(ctx: Context, instance_profile_name: str, role_name: str) -> Reply:
    profile = instance_profile(ctx, instance_profile_name)
    if profile.role != role_name.lower():
        raise AwsError("NoSuchEntity", f"The role with name {role_name} cannot be found.")
    save(ctx, msgspec.structs.replace(profile, role=""))
    return {}

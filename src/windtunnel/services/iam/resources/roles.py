"""AWS::IAM::Role."""

from __future__ import annotations

from collections.abc import Iterable

from windtunnel.kernel.context import Context
from windtunnel.provision.handling import Direct, changed, shown_tags, text, without_none
from windtunnel.provision.registry import Created, Name, Properties, Resource, Wanted, resource_type
from windtunnel.services.iam.resources.shared import MISSING, Holder, boundary, bring_tags, document, iam, iam_if_there, iam_list, tags

_ROLE = Holder("Role")
_LONGEST_SESSION = 3600


@resource_type("AWS::IAM::Role")
class RoleType(Direct):
    service = "iam"
    calls = (
        "CreateRole DeleteRole UpdateRole UpdateAssumeRolePolicy AttachRolePolicy DetachRolePolicy PutRolePolicy "
        "DeleteRolePolicy PutRolePermissionsBoundary DeleteRolePermissionsBoundary TagRole UntagRole"
    )
    name = Name("RoleName", 64)
    missing = MISSING

    def create(self, ctx: Context, props: Properties, wanted: Wanted) -> Created:
        made = iam(
            ctx,
            "CreateRole",
            RoleName=wanted.name,
            Path=props.get("Path"),
            AssumeRolePolicyDocument=text(props["AssumeRolePolicyDocument"]),
            Description=props.get("Description"),
            MaxSessionDuration=props.get("MaxSessionDuration"),
            PermissionsBoundary=props.get("PermissionsBoundary"),
            Tags=tags(props),
        )["Role"]
        _ROLE.bring(ctx, wanted.name, {}, props)
        return Created(id=wanted.name, attributes={"Arn": made["Arn"], "RoleId": made["RoleId"]})

    def read(self, ctx: Context, resource: Resource) -> Properties | None:
        reply = iam_if_there(ctx, "GetRole", RoleName=resource.id)
        if reply is None:
            return None
        role = reply["Role"]
        return without_none(
            {
                "RoleName": role["RoleName"],
                "Path": role["Path"],
                "AssumeRolePolicyDocument": document(role["AssumeRolePolicyDocument"]),
                "Description": role.get("Description", ""),
                "MaxSessionDuration": role["MaxSessionDuration"],
                "PermissionsBoundary": boundary(role),
                "Tags": shown_tags(role.get("Tags")),
                **_ROLE.read(ctx, resource.id),
                "Arn": role["Arn"],
                "RoleId": role["RoleId"],
            }
        )

    def update(self, ctx: Context, resource: Resource, new: Properties, wanted: Wanted) -> Created | None:
        name, old = resource.id, resource.properties
        if changed(old, new, "AssumeRolePolicyDocument"):
            iam(ctx, "UpdateAssumeRolePolicy", RoleName=name, PolicyDocument=text(new["AssumeRolePolicyDocument"]))
        if changed(old, new, "Description", "MaxSessionDuration"):
            iam(
                ctx,
                "UpdateRole",
                RoleName=name,
                Description=new.get("Description", ""),
                MaxSessionDuration=new.get("MaxSessionDuration", _LONGEST_SESSION),
            )
        _ROLE.bring_boundary(ctx, name, old, new)
        _ROLE.bring(ctx, name, old, new)
        bring_tags(ctx, "Role", "RoleName", name, old, new)
        return None

    def delete(self, ctx: Context, resource: Resource) -> bool | None:
        _ROLE.bring(ctx, resource.id, resource.properties, {})
        iam(ctx, "DeleteRole", RoleName=resource.id)
        return None

    def list(self, ctx: Context) -> Iterable[str]:
        return (role["RoleName"] for role in iam_list(ctx, "ListRoles", "Roles"))

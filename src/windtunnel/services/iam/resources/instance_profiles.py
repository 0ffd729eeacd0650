"""AWS::IAM::InstanceProfile."""

from __future__ import annotations

from collections.abc import Iterable

from windtunnel.kernel.context import Context
from windtunnel.provision.handling import Direct, set_changes
from windtunnel.provision.registry import Created, Name, Properties, Resource, Wanted, resource_type
from windtunnel.services.iam.resources.shared import MISSING, iam, iam_if_there, iam_list


def _hold(ctx: Context, name: str, old: Properties, new: Properties) -> None:
    came, went = set_changes(old.get("Roles"), new.get("Roles"))
    for role in went:
        iam_if_there(ctx, "RemoveRoleFromInstanceProfile", InstanceProfileName=name, RoleName=role)
    for role in came:
        iam(ctx, "AddRoleToInstanceProfile", InstanceProfileName=name, RoleName=role)


@resource_type("AWS::IAM::InstanceProfile")
class InstanceProfileType(Direct):
    service = "iam"
    calls = "CreateInstanceProfile DeleteInstanceProfile AddRoleToInstanceProfile RemoveRoleFromInstanceProfile"
    name = Name("InstanceProfileName", 128)
    missing = MISSING

    def create(self, ctx: Context, props: Properties, wanted: Wanted) -> Created:
        made = iam(ctx, "CreateInstanceProfile", InstanceProfileName=wanted.name, Path=props.get("Path"))["InstanceProfile"]
        _hold(ctx, wanted.name, {}, props)
        return Created(id=wanted.name, attributes={"Arn": made["Arn"]})

    def read(self, ctx: Context, resource: Resource) -> Properties | None:
        reply = iam_if_there(ctx, "GetInstanceProfile", InstanceProfileName=resource.id)
        if reply is None:
            return None
        profile = reply["InstanceProfile"]
        return {
            "InstanceProfileName": profile["InstanceProfileName"],
            "Path": profile["Path"],
            "Roles": [role["RoleName"] for role in profile["Roles"]],
            "Arn": profile["Arn"],
        }

    def update(self, ctx: Context, resource: Resource, new: Properties, wanted: Wanted) -> Created | None:
        _hold(ctx, resource.id, resource.properties, new)
        return None

    def delete(self, ctx: Context, resource: Resource) -> bool | None:
        _hold(ctx, resource.id, resource.properties, {})
        iam(ctx, "DeleteInstanceProfile", InstanceProfileName=resource.id)
        return None

    def list(self, ctx: Context) -> Iterable[str]:
        return (each["InstanceProfileName"] for each in iam_list(ctx, "ListInstanceProfiles", "InstanceProfiles"))

"""AWS::IAM::ServiceLinkedRole."""

from __future__ import annotations

from collections.abc import Iterable

from windtunnel.kernel.context import Context
from windtunnel.provision.handling import Direct, changed
from windtunnel.provision.registry import Created, Failed, Properties, Resource, Wanted, resource_type
from windtunnel.services.iam.resources.shared import MISSING, iam, iam_if_there, iam_list


@resource_type("AWS::IAM::ServiceLinkedRole")
class ServiceLinkedRoleType(Direct):
    service = "iam"
    calls = "CreateServiceLinkedRole DeleteServiceLinkedRole UpdateRole"
    missing = MISSING

    def create(self, ctx: Context, props: Properties, wanted: Wanted) -> Created:
        if "AWSServiceName" not in props:
            raise Failed("AWSServiceName is required to create a service-linked role.", "InvalidRequest")
        made = iam(
            ctx,
            "CreateServiceLinkedRole",
            AWSServiceName=props["AWSServiceName"],
            CustomSuffix=props.get("CustomSuffix"),
            Description=props.get("Description"),
        )["Role"]
        return Created(id=made["RoleName"], attributes={"RoleName": made["RoleName"]})

    def read(self, ctx: Context, resource: Resource) -> Properties | None:
        reply = iam_if_there(ctx, "GetRole", RoleName=resource.id)
        return None if reply is None else {"RoleName": resource.id, "Description": reply["Role"].get("Description", "")}

    def update(self, ctx: Context, resource: Resource, new: Properties, wanted: Wanted) -> Created | None:
        if changed(resource.properties, new, "Description"):
            iam(ctx, "UpdateRole", RoleName=resource.id, Description=new.get("Description", ""))
        return None

    def delete(self, ctx: Context, resource: Resource) -> bool | None:
        iam(ctx, "DeleteServiceLinkedRole", RoleName=resource.id)
        return None

    def list(self, ctx: Context) -> Iterable[str]:
        return (role["RoleName"] for role in iam_list(ctx, "ListRoles", "Roles", PathPrefix="/aws-service-role/"))

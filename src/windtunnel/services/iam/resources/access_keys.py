"""AWS::IAM::AccessKey."""

from __future__ import annotations

from collections.abc import Iterable

from windtunnel.kernel.context import Context
from windtunnel.provision.handling import Direct, changed
from windtunnel.provision.registry import Created, Properties, Resource, Wanted, resource_type
from windtunnel.services.iam.resources.shared import MISSING, iam, iam_if_there, iam_list


@resource_type("AWS::IAM::AccessKey")
class AccessKeyType(Direct):
    """`Serial` has no meaning but that another one replaces the key."""

    service = "iam"
    calls = "CreateAccessKey UpdateAccessKey DeleteAccessKey"
    missing = MISSING

    def create(self, ctx: Context, props: Properties, wanted: Wanted) -> Created:
        made = iam(ctx, "CreateAccessKey", UserName=props["UserName"])["AccessKey"]
        if props.get("Status", "Active") != "Active":
            iam(ctx, "UpdateAccessKey", UserName=props["UserName"], AccessKeyId=made["AccessKeyId"], Status=props["Status"])
        return Created(id=made["AccessKeyId"], attributes={"Id": made["AccessKeyId"], "SecretAccessKey": made["SecretAccessKey"]})

    def read(self, ctx: Context, resource: Resource) -> Properties | None:
        used = iam_if_there(ctx, "GetAccessKeyLastUsed", AccessKeyId=resource.id)
        if used is None:
            return None
        user = used["UserName"]
        keys = iam_list(ctx, "ListAccessKeys", "AccessKeyMetadata", UserName=user)
        key = next((each for each in keys if each["AccessKeyId"] == resource.id), None)
        if key is None:
            return None
        serial = resource.properties.get("Serial")
        return {"UserName": user, "Status": key["Status"], "Id": resource.id} | ({"Serial": serial} if serial is not None else {})

    def update(self, ctx: Context, resource: Resource, new: Properties, wanted: Wanted) -> Created | None:
        if changed(resource.properties, new, "Status"):
            iam(ctx, "UpdateAccessKey", UserName=new["UserName"], AccessKeyId=resource.id, Status=new.get("Status", "Active"))
        return None

    def delete(self, ctx: Context, resource: Resource) -> bool | None:
        iam(ctx, "DeleteAccessKey", UserName=resource.properties["UserName"], AccessKeyId=resource.id)
        return None

    def list(self, ctx: Context) -> Iterable[str]:
        for user in iam_list(ctx, "ListUsers", "Users"):
            yield from (key["AccessKeyId"] for key in iam_list(ctx, "ListAccessKeys", "AccessKeyMetadata", UserName=user["UserName"]))

"""AWS::IAM::Group."""

from __future__ import annotations

from collections.abc import Iterable

from windtunnel.kernel.context import Context
from windtunnel.provision.handling import Direct, changed
from windtunnel.provision.registry import Created, Name, Properties, Resource, Wanted, resource_type
from windtunnel.services.iam.resources.shared import MISSING, Holder, iam, iam_if_there, iam_list

_GROUP = Holder("Group")


@resource_type("AWS::IAM::Group")
class GroupType(Direct):
    service = "iam"
    calls = "CreateGroup DeleteGroup UpdateGroup GetGroup AttachGroupPolicy DetachGroupPolicy PutGroupPolicy DeleteGroupPolicy"
    name = Name("GroupName", 128)
    missing = MISSING

    def create(self, ctx: Context, props: Properties, wanted: Wanted) -> Created:
        made = iam(ctx, "CreateGroup", GroupName=wanted.name, Path=props.get("Path"))["Group"]
        _GROUP.bring(ctx, wanted.name, {}, props)
        return Created(id=wanted.name, attributes={"Arn": made["Arn"]})

    def read(self, ctx: Context, resource: Resource) -> Properties | None:
        reply = iam_if_there(ctx, "GetGroup", GroupName=resource.id)
        if reply is None:
            return None
        group = reply["Group"]
        return {
            "GroupName": group["GroupName"],
            "Path": group["Path"],
            **_GROUP.read(ctx, resource.id),
            "Arn": group["Arn"],
        }

    def update(self, ctx: Context, resource: Resource, new: Properties, wanted: Wanted) -> Created | None:
        name, old = resource.id, resource.properties
        attributes = dict(resource.attributes)
        if changed(old, new, "Path"):
            iam(ctx, "UpdateGroup", GroupName=name, NewPath=new.get("Path", "/"))
            attributes["Arn"] = iam(ctx, "GetGroup", GroupName=name)["Group"]["Arn"]
        _GROUP.bring(ctx, name, old, new)
        return Created(id=name, attributes=attributes)

    def delete(self, ctx: Context, resource: Resource) -> bool | None:
        _GROUP.bring(ctx, resource.id, resource.properties, {})
        iam(ctx, "DeleteGroup", GroupName=resource.id)
        return None

    def list(self, ctx: Context) -> Iterable[str]:
        return (group["GroupName"] for group in iam_list(ctx, "ListGroups", "Groups"))

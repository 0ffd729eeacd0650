"""AWS::SSM::Parameter."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from windtunnel.kernel.context import Context, Reply
from windtunnel.kernel.tags import PREFIX
from windtunnel.provision.calling import perform
from windtunnel.provision.handling import Direct, checked_tags, listed, shown_tags, tag_changes, with_stack_tags, without_none
from windtunnel.provision.registry import Created, Name, Properties, Resource, Wanted, resource_type
from windtunnel.services.ssm.model import parameter_arn

_MISSING = frozenset({"ParameterNotFound"})
_MADE = "CFN"


def _ssm(ctx: Context, operation: str, **members: Any) -> Reply:
    return perform(ctx, "ssm", operation, **members)


def _pairs(props: Properties) -> list[dict[str, str]]:
    """Tags are a map in this type, and a list everywhere else."""
    return checked_tags([{"Key": key, "Value": value} for key, value in (props.get("Tags") or {}).items()])


@resource_type("AWS::SSM::Parameter")
class ParameterType(Direct):
    service = "ssm"
    calls = "PutParameter DeleteParameter AddTagsToResource RemoveTagsFromResource"
    name = Name("Name", 2048)
    missing = _MISSING

    def create(self, ctx: Context, props: Properties, wanted: Wanted) -> Created:
        # AWS's own name for one without: `CFN-LOGICALID-RANDOM12`.
        name = props.get("Name") or f"{_MADE}-{wanted.logical_id}-{wanted.name.rpartition('-')[2]}"
        tags = with_stack_tags(_pairs(props), wanted)
        _ssm(
            ctx,
            "PutParameter",
            Name=name,
            Type=props["Type"],
            Value=props["Value"],
            Description=props.get("Description"),
            AllowedPattern=props.get("AllowedPattern"),
            Tier=props.get("Tier"),
            Policies=props.get("Policies"),
            DataType=props.get("DataType"),
            Tags=tags or None,
        )
        return Created(id=name, attributes=self._attributes(ctx, name, props))

    def _attributes(self, ctx: Context, name: str, props: Properties) -> dict[str, Any]:
        return {"Type": props["Type"], "Value": props["Value"], "Arn": parameter_arn(ctx.scope, name)}

    def read(self, ctx: Context, resource: Resource) -> Properties | None:
        """Description, tier, pattern and policies are write-only in AWS's schema: neither drift nor Cloud Control tell them."""
        name = resource.id
        found = _ssm(ctx, "GetParameters", Names=[name])["Parameters"]
        if not found:
            return None
        parameter = found[0]
        tags = shown_tags(_ssm(ctx, "ListTagsForResource", ResourceType="Parameter", ResourceId=name)["TagList"])
        return without_none(
            {
                "Name": name,
                "Type": parameter["Type"],
                "Value": parameter["Value"],
                "DataType": parameter["DataType"],
                "Tags": {tag["Key"]: tag["Value"] for tag in tags} if tags else None,
                "Arn": parameter["ARN"],
            }
        )

    def update(self, ctx: Context, resource: Resource, new: Properties, wanted: Wanted) -> Created | None:
        name, old = resource.id, resource.properties
        if {**old, "Tags": None} != {**new, "Tags": None}:
            _ssm(
                ctx,
                "PutParameter",
                Name=name,
                Overwrite=True,
                Type=new["Type"],
                Value=new["Value"],
                Description=new.get("Description", ""),
                AllowedPattern=new.get("AllowedPattern"),
                Tier=new.get("Tier"),
                Policies=new.get("Policies", "[]" if "Policies" in old else None),
                DataType=new.get("DataType", "text" if "DataType" in old else None),
            )
        put, gone = tag_changes(_pairs(old), _pairs(new))
        if gone:
            _ssm(ctx, "RemoveTagsFromResource", ResourceType="Parameter", ResourceId=name, TagKeys=gone)
        if put:
            _ssm(ctx, "AddTagsToResource", ResourceType="Parameter", ResourceId=name, Tags=put)
        return Created(id=name, attributes=self._attributes(ctx, name, new))

    def delete(self, ctx: Context, resource: Resource) -> bool | None:
        _ssm(ctx, "DeleteParameter", Name=resource.id)
        return None

    def list(self, ctx: Context) -> Iterable[str]:
        found = listed(ctx, "ssm", "DescribeParameters", "Parameters")
        return (parameter["Name"] for parameter in found if not parameter["Name"].startswith(PREFIX))

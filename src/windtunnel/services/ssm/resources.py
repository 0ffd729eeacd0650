"""AWS::SSM::Parameter."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from windtunnel.kernel.context import Context, Reply
from windtunnel.kernel.tags import PREFIX
from windtunnel.provision.calling import perform
from windtunnel.provision.handling import attempt, checked_tags, listed, parsed, shown_tags, tag_changes, with_stack_tags, without_none
from windtunnel.provision.registry import Created, Name, Properties, Resource, ResourceType, Wanted, resource_type

_MISSING = frozenset({"ParameterNotFound"})
_MADE = "CFN"


def _ssm(ctx: Context, operation: str, **members: Any) -> Reply:
    return perform(ctx, "ssm", operation, **members)


def _pairs(props: Properties) -> list[dict[str, str]]:
    """Tags are a map in this type, and a list everywhere else."""
    return checked_tags([{"Key": key, "Value": value} for key, value in (props.get("Tags") or {}).items()])


@resource_type("AWS::SSM::Parameter")
class ParameterType(ResourceType):
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
        arn = _ssm(ctx, "GetParameter", Name=name)["Parameter"]["ARN"]
        return {"Type": props["Type"], "Value": props["Value"], "Arn": arn}

    def read(self, ctx: Context, resource: Resource) -> Properties | None:
        name, given = resource.id, resource.properties
        found = attempt(ctx, _MISSING, "ssm", "GetParameter", Name=name)
        if found is None:
            return None
        filters = [{"Key": "Name", "Option": "Equals", "Values": [name]}]
        described = next(listed(ctx, "ssm", "DescribeParameters", "Parameters", ParameterFilters=filters))
        tags = shown_tags(_ssm(ctx, "ListTagsForResource", ResourceType="Parameter", ResourceId=name)["TagList"])
        parameter = found["Parameter"]
        policies = [policy["PolicyText"] for policy in described.get("Policies") or ()]
        return without_none(
            {
                "Name": name,
                "Type": parameter["Type"],
                "Value": parameter["Value"],
                "DataType": parameter["DataType"],
                "Description": described.get("Description"),
                "AllowedPattern": described.get("AllowedPattern"),
                "Tier": given.get("Tier") if given.get("Tier") == "Intelligent-Tiering" else described["Tier"],
                "Policies": _policies(given.get("Policies"), policies),
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


def _policies(given: str | None, live: list[str]) -> str | None:
    """As they were given, where that is what lives: the text of each stands alone in what is told."""
    if not live:
        return None
    documents = [parsed(policy) for policy in live]
    if given is not None and parsed(given) in (documents, documents[0]):
        return given
    return f"[{','.join(live)}]"

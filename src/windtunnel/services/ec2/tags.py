"""Tags of EC2's resources, instances and every other kind alike (EC2 API reference, 2016-11-15)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import reads, writes
from windtunnel.kernel.tags import by_stack, reserved, users_pairs
from windtunnel.services.ec2.filters import chosen
from windtunnel.services.ec2.instances import dry, instance_keys, on_everything, the_instances, visible
from windtunnel.services.ec2.model import Instance, checked_tags, instance_arn, tag_key, within_limit
from windtunnel.services.ec2.network.common import every, need, page_of, the
from windtunnel.services.ec2.network.defaults import ensure
from windtunnel.services.ec2.network.model import Resource


@cache
def kinds() -> dict[str, type[Resource]]:
    """The prefix of its ids -> the kind."""
    found: dict[str, type[Resource]] = {}

    def walk(above: type[Resource]) -> None:
        for kind in above.__subclasses__():
            if kind.PREFIX:
                found[kind.PREFIX] = kind
            walk(kind)

    walk(Resource)
    return found


def kind_of(name: str) -> type[Resource]:
    """The kind of a resource by its id's prefix. Raises InvalidID."""
    kind = kinds().get(name.rpartition("-")[0])
    if kind is None:
        raise AwsError("InvalidID", f"The ID '{name}' is not valid")
    return kind


def on_resources(action: str) -> Any:
    def authorize(ctx: Context, resources: list[str], tags: list[dict[str, Any]] | None = None, **_: Any) -> list[Need]:
        given = users_pairs({**tag, "Key": tag_key(tag)} for tag in tags or [])
        asked: dict[str, Any] = {f"aws:RequestTag/{tag['Key']}": tag.get("Value", "") for tag in given}
        if given:
            asked["aws:TagKeys"] = [tag["Key"] for tag in given]
        needs = []
        for name in resources:
            if name.startswith("i-"):
                needs.append(Need(action, instance_arn(ctx.scope, name), asked | instance_keys(ctx, name)))
            else:
                needs.append(need(ctx, action.removeprefix("ec2:"), kind_of(name), name, asked))
        return needs

    return authorize


def tagged(ctx: Context, resources: list[str]) -> list[Instance | Resource]:
    """The records, each of which must be there."""
    instances = iter(the_instances(ctx, [name for name in resources if name.startswith("i-")]))
    return [next(instances) if name.startswith("i-") else the(ctx, kind_of(name), name) for name in resources]


@writes("ec2", "CreateTags", authorize=on_resources("ec2:CreateTags"), acts="Resources[] Tags[].Key Tags[].Value DryRun")
def create_tags(ctx: Context, resources: list[str], tags: list[dict[str, str]], dry_run: bool = False) -> Reply:
    found = tagged(ctx, resources)
    given = checked_tags(tags, by_stack(ctx))
    dry(dry_run)
    ensure(ctx)
    for record in found:
        record.tags = within_limit({**record.tags, **given})
        ctx.tx.put(record)
    return {}


@writes("ec2", "DeleteTags", authorize=on_resources("ec2:DeleteTags"), acts="Resources[] Tags[].Key Tags[].Value DryRun")
def delete_tags(ctx: Context, resources: list[str], tags: list[dict[str, str]] | None = None, dry_run: bool = False) -> Reply:
    """Without tags all go, but for AWS's own."""
    found = tagged(ctx, resources)
    stack = by_stack(ctx)
    if any(reserved(tag["Key"], stack) for tag in tags or []):
        raise AwsError("InvalidParameterValue", "Tag keys starting with 'aws:' are reserved for internal use")
    dry(dry_run)
    ensure(ctx)
    for record in found:
        gone = {t["Key"] for t in tags or [] if "Value" not in t or record.tags.get(t["Key"]) == t["Value"]}
        gone = {key for key in record.tags if not reserved(key, stack)} if tags is None else gone
        record.tags = {key: value for key, value in record.tags.items() if key not in gone}
        ctx.tx.put(record)
    return {}


def all_tags(ctx: Context) -> Iterator[dict[str, str]]:
    for instance in visible(ctx):
        for key, value in sorted(instance.tags.items()):
            yield {"ResourceId": instance.id, "ResourceType": "instance", "Key": key, "Value": value}
    for kind in kinds().values():
        for record in every(ctx, kind):
            for key, value in sorted(record.tags.items()):
                yield {"ResourceId": record.id, "ResourceType": kind.TYPE, "Key": key, "Value": value}


@reads(
    "ec2",
    "DescribeTags",
    authorize=on_everything("ec2:DescribeTags"),
    acts="Filters[].Name Filters[].Values[] MaxResults NextToken DryRun",
    cost="scan",
)
def describe_tags(
    ctx: Context,
    filters: list[dict[str, Any]] | None = None,
    max_results: int | None = None,
    next_token: str | None = None,
    dry_run: bool = False,
) -> Reply:
    dry(dry_run)
    known = {
        "resource-id": lambda s: [s["ResourceId"]],
        "resource-type": lambda s: [s["ResourceType"]],
        "key": lambda s: [s["Key"]],
        "value": lambda s: [s["Value"]],
    }
    plain = [item if item.get("Name") not in ("tag-key", "tag-value") else item | {"Name": item["Name"][4:]} for item in filters or []]
    shapes = [{**shape, "At": f"{shape['ResourceId']} {shape['Key']}"} for shape in chosen(all_tags(ctx), plain, known)]
    reply = page_of(shapes, "At", "Tags", max_results, next_token)
    return {**reply, "Tags": [{name: value for name, value in shape.items() if name != "At"} for shape in reply["Tags"]]}

"""Tags of instances."""

from __future__ import annotations

from typing import Any

from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.errors import AwsError, not_built
from windtunnel.kernel.registry import reads, writes
from windtunnel.services.ec2.filters import chosen
from windtunnel.services.ec2.instances import dry, instance_keys, on_everything, the_instances, visible
from windtunnel.services.ec2.model import TAG_LIMIT, Instance, checked_tags, instance_arn, tag_key


def on_resources(action: str) -> Any:
    def authorize(ctx: Context, resources: list[str], tags: list[dict[str, Any]] | None = None, **_: Any) -> list[Need]:
        keys = [tag_key(tag) for tag in tags or []]
        asked: dict[str, Any] = {f"aws:RequestTag/{key}": tag.get("Value", "") for key, tag in zip(keys, tags or [], strict=True)}
        if keys:
            asked["aws:TagKeys"] = keys
        needs = []
        for name in resources:
            needs.append(Need(action, instance_arn(ctx.scope, name), asked | instance_keys(ctx, name)))
        return needs

    return authorize


def tagged(ctx: Context, action: str, resources: list[str]) -> list[Instance]:
    for name in resources:
        if not name.startswith("i-"):
            raise not_built("ec2", action, f"Resource {name} (only instances have tags so far)")
    return the_instances(ctx, resources)


@writes("ec2", "CreateTags", authorize=on_resources("ec2:CreateTags"), acts="Resources[] Tags[].Key Tags[].Value DryRun")
def create_tags(ctx: Context, resources: list[str], tags: list[dict[str, str]], dry_run: bool = False) -> Reply:
    found = tagged(ctx, "CreateTags", resources)
    given = checked_tags(tags)
    dry(dry_run)
    for instance in found:
        instance.tags = {**instance.tags, **given}
        if len(instance.tags) > TAG_LIMIT:
            raise AwsError("TagLimitExceeded", "The maximum number of Tags for a resource has been reached.")
        ctx.tx.put(instance)
    return {}


@writes("ec2", "DeleteTags", authorize=on_resources("ec2:DeleteTags"), acts="Resources[] Tags[].Key Tags[].Value DryRun")
def delete_tags(ctx: Context, resources: list[str], tags: list[dict[str, str]] | None = None, dry_run: bool = False) -> Reply:
    found = tagged(ctx, "DeleteTags", resources)
    dry(dry_run)
    for instance in found:
        gone = {t["Key"] for t in tags or [] if "Value" not in t or instance.tags.get(t["Key"]) == t["Value"]}
        instance.tags = {} if tags is None else {key: value for key, value in instance.tags.items() if key not in gone}
        ctx.tx.put(instance)
    return {}


@reads("ec2", "DescribeTags", authorize=on_everything("ec2:DescribeTags"), acts="Filters[].Name Filters[].Values[] DryRun", cost="scan")
def describe_tags(ctx: Context, filters: list[dict[str, Any]] | None = None, dry_run: bool = False) -> Reply:
    dry(dry_run)
    shapes = [
        {"ResourceId": i.id, "ResourceType": "instance", "Key": key, "Value": value}
        for i in visible(ctx)
        for key, value in sorted(i.tags.items())
    ]
    known = {
        "resource-id": lambda s: [s["ResourceId"]],
        "resource-type": lambda s: [s["ResourceType"]],
        "key": lambda s: [s["Key"]],
        "value": lambda s: [s["Value"]],
    }
    return {"Tags": chosen(shapes, filters, known)}

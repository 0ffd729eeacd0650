"""Tags, which only groups have."""

from __future__ import annotations

from typing import Any

import msgspec

from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import reads, writes
from windtunnel.kernel.scope import Arn
from windtunnel.services.scheduler.lookups import find_group, tag_keys
from windtunnel.services.scheduler.model import Group

MAX_TAGS = 50


def on_arn(action: str) -> Any:
    def authorize(ctx: Context, resource_arn: str, tags: list[dict[str, str]] | None = None, **more: Any) -> list[Need]:
        found = _found(ctx, resource_arn)
        context: dict[str, Any] = tag_keys(found.tags) if found is not None else {}
        if tags:
            context |= {f"aws:RequestTag/{tag['Key']}": tag["Value"] for tag in tags}
        names = [tag["Key"] for tag in tags] if tags else more.get("tag_keys")
        if names:
            context["aws:TagKeys"] = names
        return [Need(f"scheduler:{action}", resource_arn, context)]

    return authorize


def _found(ctx: Context, resource_arn: str) -> Group | None:
    arn = Arn.parse(resource_arn)
    if arn is None or (arn.account, arn.region) != (ctx.scope.account, ctx.scope.region):
        return None
    return find_group(ctx, arn.resource.removeprefix("schedule-group/"))


def tagged(ctx: Context, resource_arn: str) -> Group:
    found = _found(ctx, resource_arn)
    if found is None:
        raise AwsError("ResourceNotFoundException", f"Schedule group {resource_arn.rsplit('/', 1)[-1]} does not exist.")
    return found


def _store(ctx: Context, group: Group, tags: dict[str, str]) -> None:
    ctx.tx.put(msgspec.structs.replace(group, tags=tags, created=group.created or ctx.now, modified=group.modified or ctx.now))


@writes("scheduler", "TagResource", authorize=on_arn("TagResource"), acts="ResourceArn Tags[].Key Tags[].Value")
def tag_resource(ctx: Context, resource_arn: str, tags: list[dict[str, str]]) -> Reply:
    group = tagged(ctx, resource_arn)
    merged = {**group.tags, **{tag["Key"]: tag["Value"] for tag in tags}}
    if len(merged) > MAX_TAGS:
        raise AwsError("ValidationException", f"The number of tags exceeds the limit of {MAX_TAGS} for a resource.")
    _store(ctx, group, merged)
    return {}


@writes("scheduler", "UntagResource", authorize=on_arn("UntagResource"), acts="ResourceArn TagKeys[]")
def untag_resource(ctx: Context, resource_arn: str, tag_keys: list[str]) -> Reply:
    group = tagged(ctx, resource_arn)
    _store(ctx, group, {key: value for key, value in group.tags.items() if key not in tag_keys})
    return {}


@reads("scheduler", "ListTagsForResource", authorize=on_arn("ListTagsForResource"), acts="ResourceArn")
def list_tags_for_resource(ctx: Context, resource_arn: str) -> Reply:
    group = tagged(ctx, resource_arn)
    return {"Tags": [{"Key": key, "Value": group.tags[key]} for key in sorted(group.tags)]}

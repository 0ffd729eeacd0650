"""Tags, which only groups have."""

from __future__ import annotations

from typing import Any

import msgspec

from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import reads, writes
from windtunnel.kernel.scope import Arn
from windtunnel.services.scheduler.lookups import check_keys, checked_tags, find_group, request_tags, tag_keys
from windtunnel.services.scheduler.model import Group


def on_arn(action: str) -> Any:
    def authorize(ctx: Context, resource_arn: str, tags: list[dict[str, str]] | None = None, **more: Any) -> list[Need]:
        found = _found(ctx, resource_arn)
        context: dict[str, Any] = tag_keys(found.tags) if found is not None else {}
        context |= request_tags(tags)
        if more.get("tag_keys"):
            context["aws:TagKeys"] = more["tag_keys"]
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
    _store(ctx, group, checked_tags(ctx, group.tags, tags))
    return {}


@writes("scheduler", "UntagResource", authorize=on_arn("UntagResource"), acts="ResourceArn TagKeys[]")
def untag_resource(ctx: Context, resource_arn: str, tag_keys: list[str]) -> Reply:
    check_keys(ctx, tag_keys)
    group = tagged(ctx, resource_arn)
    _store(ctx, group, {key: value for key, value in group.tags.items() if key not in tag_keys})
    return {}


@reads("scheduler", "ListTagsForResource", authorize=on_arn("ListTagsForResource"), acts="ResourceArn")
def list_tags_for_resource(ctx: Context, resource_arn: str) -> Reply:
    group = tagged(ctx, resource_arn)
    return {"Tags": [{"Key": key, "Value": group.tags[key]} for key in sorted(group.tags)]}

"""Tags of log groups, by ARN (TagResource) and by name (the older TagLogGroup)."""

from __future__ import annotations

from typing import Any

from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.registry import reads, writes
from windtunnel.services.logs.marking import check_keys, checked_tags
from windtunnel.services.logs.model import LogGroup, group_arn, group_name, group_or_error


def on_arn(action: str) -> Any:
    def authorize(ctx: Context, resource_arn: str, tags: dict[str, str] | None = None, **_: Any) -> list[Need]:
        return [_need(ctx, action, group_name(resource_arn), tags)]

    return authorize


def on_name(action: str) -> Any:
    def authorize(ctx: Context, log_group_name: str, tags: Any = None, **_: Any) -> list[Need]:
        return [_need(ctx, action, log_group_name, tags if isinstance(tags, dict) else None)]

    return authorize


def _need(ctx: Context, action: str, name: str, tags: dict[str, str] | None) -> Need:
    group = ctx.tx.get(LogGroup, name)
    context: dict[str, Any] = {f"aws:ResourceTag/{key}": value for key, value in (group.tags if group else {}).items()}
    if tags:
        context |= {f"aws:RequestTag/{key}": value for key, value in tags.items()} | {"aws:TagKeys": list(tags)}
    return Need(f"logs:{action}", group_arn(ctx.scope, name), context)


def _tag(ctx: Context, name: str, tags: dict[str, str]) -> Reply:
    group = group_or_error(ctx, name)
    group.tags = checked_tags(ctx, group.tags, tags)
    ctx.tx.put(group)
    return {}


def _untag(ctx: Context, name: str, keys: list[str]) -> Reply:
    check_keys(ctx, keys)
    group = group_or_error(ctx, name)
    group.tags = {key: value for key, value in group.tags.items() if key not in keys}
    ctx.tx.put(group)
    return {}


@writes("logs", "TagResource", authorize=on_arn("TagResource"), acts="resourceArn tags{}")
def tag_resource(ctx: Context, resource_arn: str, tags: dict[str, str]) -> Reply:
    return _tag(ctx, group_name(resource_arn), tags)


@writes("logs", "UntagResource", authorize=on_arn("UntagResource"), acts="resourceArn tagKeys[]")
def untag_resource(ctx: Context, resource_arn: str, tag_keys: list[str]) -> Reply:
    return _untag(ctx, group_name(resource_arn), tag_keys)


@reads("logs", "ListTagsForResource", authorize=on_arn("ListTagsForResource"), acts="resourceArn")
def list_tags_for_resource(ctx: Context, resource_arn: str) -> Reply:
    return {"tags": group_or_error(ctx, group_name(resource_arn)).tags}


@writes("logs", "TagLogGroup", authorize=on_name("TagLogGroup"), acts="logGroupName tags{}")
def tag_log_group(ctx: Context, log_group_name: str, tags: dict[str, str]) -> Reply:
    return _tag(ctx, log_group_name, tags)


@writes("logs", "UntagLogGroup", authorize=on_name("UntagLogGroup"), acts="logGroupName tags[]")
def untag_log_group(ctx: Context, log_group_name: str, tags: list[str]) -> Reply:
    return _untag(ctx, log_group_name, tags)


@reads("logs", "ListTagsLogGroup", authorize=on_name("ListTagsLogGroup"), acts="logGroupName")
def list_tags_log_group(ctx: Context, log_group_name: str) -> Reply:
    return {"tags": group_or_error(ctx, log_group_name).tags}

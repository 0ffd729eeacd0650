"""Tags of repositories."""

from __future__ import annotations

from typing import Any

import msgspec

from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import reads, writes
from windtunnel.kernel.scope import Arn
from windtunnel.kernel.tags import by_stack, reserved, users
from windtunnel.services.ecr.lookups import invalid, need, request_tags, the_repository
from windtunnel.services.ecr.model import Repository, repository_arn

MAX_TAGS = 50


def merged(ctx: Context, old: dict[str, str], tags: list[dict[str, str]]) -> dict[str, str]:
    """The tags with these added; AwsError for one that this caller may not set."""
    stack = by_stack(ctx)
    for tag in tags:
        key, value = tag["Key"], tag["Value"]
        if not 0 < len(key) <= 128 or len(value) > 256 or reserved(key, stack):
            said = f"Invalid parameter at 'tags' failed to satisfy constraint: 'the tag {key!r} is not valid'"
            raise AwsError("InvalidTagParameterException", said)
    found = old | {tag["Key"]: tag["Value"] for tag in tags}
    if len(users(found)) > MAX_TAGS:
        raise AwsError("TooManyTagsException", f"The number of tags exceeds the limit of {MAX_TAGS} for a repository.")
    return found


def _name(ctx: Context, resource_arn: str) -> str:
    arn = Arn.parse(resource_arn)
    name = arn.resource.removeprefix("repository/") if arn is not None else ""
    if resource_arn != repository_arn(ctx.scope, name):
        raise invalid("resourceArn", "Invalid ARN")
    return name


def on_arn(action: str) -> Any:
    def authorize(
        ctx: Context, resource_arn: str, tags: list[dict[str, str]] | None = None, tag_keys: list[str] | None = None
    ) -> list[Need]:
        asked = request_tags(tags) | ({"aws:TagKeys": tag_keys} if tag_keys else {})
        return [need(ctx, action, _name(ctx, resource_arn), asked=asked)]

    return authorize


def _tagged(ctx: Context, resource_arn: str) -> Repository:
    return the_repository(ctx, _name(ctx, resource_arn))


@writes("ecr", "TagResource", authorize=on_arn("TagResource"), acts="resourceArn tags[].Key tags[].Value")
def tag_resource(ctx: Context, resource_arn: str, tags: list[dict[str, str]]) -> Reply:
    found = _tagged(ctx, resource_arn)
    ctx.tx.put(msgspec.structs.replace(found, tags=merged(ctx, found.tags, tags)))
    return {}


@writes("ecr", "UntagResource", authorize=on_arn("UntagResource"), acts="resourceArn tagKeys[]")
def untag_resource(ctx: Context, resource_arn: str, tag_keys: list[str]) -> Reply:
    stack = by_stack(ctx)
    if any(reserved(key, stack) for key in tag_keys):
        raise AwsError("InvalidTagParameterException", "Invalid parameter at 'tagKeys' failed to satisfy constraint: 'aws: is reserved'")
    found = _tagged(ctx, resource_arn)
    ctx.tx.put(msgspec.structs.replace(found, tags={key: value for key, value in found.tags.items() if key not in tag_keys}))
    return {}


@reads("ecr", "ListTagsForResource", authorize=on_arn("ListTagsForResource"), acts="resourceArn")
def list_tags_for_resource(ctx: Context, resource_arn: str) -> Reply:
    tags = _tagged(ctx, resource_arn).tags
    return {"tags": [{"Key": key, "Value": tags[key]} for key in sorted(tags)]}

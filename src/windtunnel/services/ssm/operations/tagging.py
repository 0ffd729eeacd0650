"""Tags of parameters."""

from __future__ import annotations

from typing import Any

from windtunnel.kernel.context import Authorize, Context, Need, Reply
from windtunnel.kernel.errors import AwsError, not_built
from windtunnel.kernel.registry import reads, writes
from windtunnel.kernel.tags import by_stack, reserved, users
from windtunnel.services.ssm.guard import need, request_tags
from windtunnel.services.ssm.model import MAX_TAGS, Parameter


def on_resource(action: str) -> Authorize:
    def authorize(
        ctx: Context, resource_id: str, tags: list[dict[str, str]] | None = None, tag_keys: list[str] | None = None, **_: Any
    ) -> list[Need]:
        asked = request_tags(tags) if tags else {"aws:TagKeys": tag_keys} if tag_keys else {}
        return [need(ctx, action, resource_id, asked)]

    return authorize


def tag_map(old: dict[str, str], pairs: list[dict[str, str]], stack: bool = False) -> dict[str, str]:
    """The tags after these were added. stack: whether CloudFormation adds them, its own among them."""
    check_keys([pair["Key"] for pair in pairs], stack)
    tags = {**old, **{pair["Key"]: pair["Value"] for pair in pairs}}
    if len(users(tags)) > MAX_TAGS:
        raise AwsError("TooManyTagsError", "")
    return tags


def check_keys(keys: list[str], stack: bool) -> None:
    if any(reserved(key, stack) for key in keys):
        raise AwsError("ValidationException", "Tag keys cannot start with the reserved prefix aws:")


def tagged(ctx: Context, operation: str, resource_type: str, resource_id: str) -> Parameter:
    if resource_type != "Parameter":
        raise not_built("ssm", operation, f"ResourceType {resource_type}")
    parameter = ctx.tx.get(Parameter, resource_id)
    if parameter is None:
        raise AwsError("InvalidResourceId", "")
    return parameter


@writes("ssm", "AddTagsToResource", authorize=on_resource("AddTagsToResource"), acts="ResourceType ResourceId Tags[].Key Tags[].Value")
def add_tags_to_resource(ctx: Context, resource_type: str, resource_id: str, tags: list[dict[str, str]]) -> Reply:
    parameter = tagged(ctx, "AddTagsToResource", resource_type, resource_id)
    parameter.tags = tag_map(parameter.tags, tags, by_stack(ctx))
    ctx.tx.put(parameter)
    return {}


@writes("ssm", "RemoveTagsFromResource", authorize=on_resource("RemoveTagsFromResource"), acts="ResourceType ResourceId TagKeys[]")
def remove_tags_from_resource(ctx: Context, resource_type: str, resource_id: str, tag_keys: list[str]) -> Reply:
    parameter = tagged(ctx, "RemoveTagsFromResource", resource_type, resource_id)
    check_keys(tag_keys, by_stack(ctx))
    parameter.tags = {key: value for key, value in parameter.tags.items() if key not in tag_keys}
    ctx.tx.put(parameter)
    return {}


@reads("ssm", "ListTagsForResource", authorize=on_resource("ListTagsForResource"), acts="ResourceType ResourceId")
def list_tags_for_resource(ctx: Context, resource_type: str, resource_id: str) -> Reply:
    tags = tagged(ctx, "ListTagsForResource", resource_type, resource_id).tags
    return {"TagList": [{"Key": key, "Value": value} for key, value in sorted(tags.items())]}

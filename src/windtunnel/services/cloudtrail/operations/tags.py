"""Tags of trails."""

from __future__ import annotations

from typing import Any

from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import reads, writes
from windtunnel.kernel.tags import users, users_pairs
from windtunnel.services.cloudtrail.operations.trails import tags_of
from windtunnel.services.cloudtrail.trails import Trail, find, need, own_trail


def on_tags(action: str) -> Any:
    def authorize(ctx: Context, resource_id: str, tags_list: list[dict[str, str]] | None = None, **_: Any) -> list[Need]:
        asked: dict[str, Any] = {}
        tags_list = users_pairs(tags_list)
        if tags_list:
            asked = {f"aws:RequestTag/{tag['Key']}": tag.get("Value", "") for tag in tags_list if action == "AddTags"}
            asked["aws:TagKeys"] = [tag["Key"] for tag in tags_list]
        return need(ctx, action, resource_id, asked)

    return authorize


def on_list(ctx: Context, resource_id_list: list[str], **_: Any) -> list[Need]:
    return [one for given in resource_id_list for one in need(ctx, "ListTags", given)]


def _tagged(ctx: Context, arn: str) -> Trail:
    if find(ctx, arn) is None:
        raise AwsError("ResourceNotFoundException", f"The resource {arn} could not be found.")
    return own_trail(ctx, arn)


@writes("cloudtrail", "AddTags", authorize=on_tags("AddTags"), acts="ResourceId TagsList[].Key TagsList[].Value")
def add_tags(ctx: Context, resource_id: str, tags_list: list[dict[str, str]]) -> Reply:
    trail = _tagged(ctx, resource_id)
    merged = trail.tags | tags_of(ctx, tags_list)
    if len(users(merged)) > 50:
        raise AwsError("TagsLimitExceededException", "The number of tags per trail has exceeded the permitted amount. The limit is 50.")
    trail.tags = merged
    ctx.tx.put(trail)
    return {}


@writes("cloudtrail", "RemoveTags", authorize=on_tags("RemoveTags"), acts="ResourceId TagsList[].Key TagsList[].Value")
def remove_tags(ctx: Context, resource_id: str, tags_list: list[dict[str, str]]) -> Reply:
    tags_of(ctx, tags_list)
    trail = _tagged(ctx, resource_id)
    for tag in tags_list:
        if "Value" not in tag or trail.tags.get(tag["Key"]) == tag["Value"]:
            trail.tags.pop(tag["Key"], None)
    ctx.tx.put(trail)
    return {}


@reads("cloudtrail", "ListTags", authorize=on_list, acts="ResourceIdList[] NextToken", cost="scan")
def list_tags(ctx: Context, resource_id_list: list[str], next_token: str | None = None) -> Reply:
    shown = []
    for arn in resource_id_list:
        found = find(ctx, arn)
        if found is None:
            raise AwsError("ResourceNotFoundException", f"The resource {arn} could not be found.")
        shown.append({"ResourceId": arn, "TagsList": [{"Key": key, "Value": value} for key, value in found[1].tags.items()]})
    return {"ResourceTagList": shown}

"""Tags of topics."""

from __future__ import annotations

from windtunnel.kernel.context import Context, Reply
from windtunnel.kernel.registry import reads, writes
from windtunnel.kernel.tags import by_stack
from windtunnel.services.sns.guard import at_home, check_tag_keys, on_resource, tag_map, tagged_topic


@writes("sns", "TagResource", authorize=on_resource("TagResource"), acts="ResourceArn Tags[].Key Tags[].Value")
def tag_resource(ctx: Context, resource_arn: str, tags: list[dict[str, str]]) -> Reply:
    topic = tagged_topic(ctx, resource_arn)
    topic.tags = tag_map(topic.tags, tags, by_stack(ctx))
    at_home(ctx, topic).tx.put(topic)
    return {}


@writes("sns", "UntagResource", authorize=on_resource("UntagResource"), acts="ResourceArn TagKeys[]")
def untag_resource(ctx: Context, resource_arn: str, tag_keys: list[str]) -> Reply:
    topic = tagged_topic(ctx, resource_arn)
    check_tag_keys(tag_keys, by_stack(ctx))
    topic.tags = {key: value for key, value in topic.tags.items() if key not in tag_keys}
    at_home(ctx, topic).tx.put(topic)
    return {}


@reads("sns", "ListTagsForResource", authorize=on_resource("ListTagsForResource"), acts="ResourceArn")
def list_tags_for_resource(ctx: Context, resource_arn: str) -> Reply:
    return {"Tags": [{"Key": key, "Value": value} for key, value in sorted(tagged_topic(ctx, resource_arn).tags.items())]}

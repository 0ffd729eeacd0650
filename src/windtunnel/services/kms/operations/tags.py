"""TagResource, UntagResource, ListResourceTags."""

from __future__ import annotations

from typing import Any

from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.registry import reads, writes
from windtunnel.services.kms.guard import need, on_key, request_tags
from windtunnel.services.kms.lookups import changeable, own_key
from windtunnel.services.kms.model import check_not_ending, tag_map
from windtunnel.services.kms.paging import page


def on_tag(ctx: Context, key_id: str, tags: list[dict[str, str]], **_: Any) -> list[Need]:
    return [need(ctx, changeable(ctx, key_id), "TagResource", request_tags(tags))]


def on_untag(ctx: Context, key_id: str, tag_keys: list[str], **_: Any) -> list[Need]:
    return [need(ctx, changeable(ctx, key_id), "UntagResource", {"aws:TagKeys": tag_keys})]


@writes("kms", "TagResource", authorize=on_tag, acts="KeyId Tags[].TagKey Tags[].TagValue")
def tag_resource(ctx: Context, key_id: str, tags: list[dict[str, str]]) -> Reply:
    found = changeable(ctx, key_id)
    check_not_ending(found.arn, found.key)
    found.key.tags = tag_map(found.key.tags, tags)
    ctx.tx.put(found.key)
    return {}


@writes("kms", "UntagResource", authorize=on_untag, acts="KeyId TagKeys[]")
def untag_resource(ctx: Context, key_id: str, tag_keys: list[str]) -> Reply:
    found = changeable(ctx, key_id)
    check_not_ending(found.arn, found.key)
    found.key.tags = {name: value for name, value in found.key.tags.items() if name not in tag_keys}
    ctx.tx.put(found.key)
    return {}


@reads("kms", "ListResourceTags", authorize=on_key("ListResourceTags"), acts="KeyId Limit Marker")
def list_resource_tags(ctx: Context, key_id: str, limit: int = 50, marker: str | None = None) -> Reply:
    tags = sorted(own_key(ctx, key_id).key.tags.items())
    shown, rest = page(tags, lambda tag: tag[0], limit, marker)
    return {"Tags": [{"TagKey": name, "TagValue": value} for name, value in shown], **rest}

"""TagResource, UntagResource."""

from __future__ import annotations

from typing import Any

from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.registry import writes
from windtunnel.kernel.tags import by_stack
from windtunnel.services.secretsmanager.guard import need, request_tags
from windtunnel.services.secretsmanager.model import check_tag_keys, tag_map
from windtunnel.services.secretsmanager.replicas import primary_secret, save


def on_tag(ctx: Context, secret_id: str, tags: list[dict[str, str]], **_: Any) -> list[Need]:
    return [need(ctx, "TagResource", secret_id, request_tags(tags))]


def on_untag(ctx: Context, secret_id: str, tag_keys: list[str], **_: Any) -> list[Need]:
    return [need(ctx, "UntagResource", secret_id, {"aws:TagKeys": tag_keys})]


@writes("secretsmanager", "TagResource", authorize=on_tag, acts="SecretId Tags[].Key Tags[].Value")
def tag_resource(ctx: Context, secret_id: str, tags: list[dict[str, str]]) -> Reply:
    found = primary_secret(ctx, secret_id)
    found.secret.tags = tag_map(found.secret.tags, tags, by_stack(ctx))
    save(ctx, found)
    return {}


@writes("secretsmanager", "UntagResource", authorize=on_untag, acts="SecretId TagKeys[]")
def untag_resource(ctx: Context, secret_id: str, tag_keys: list[str]) -> Reply:
    found = primary_secret(ctx, secret_id)
    check_tag_keys(tag_keys, by_stack(ctx))
    found.secret.tags = {key: value for key, value in found.secret.tags.items() if key not in tag_keys}
    save(ctx, found)
    return {}

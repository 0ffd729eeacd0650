"""Tags of queues."""

from __future__ import annotations

from typing import Any

from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.registry import reads, writes
from windtunnel.services.sqs.guard import find_queue, need, on_queue, request_tags, save, the_queue
from windtunnel.services.sqs.words import invalid

MAX_TAGS = 50


def on_tags(ctx: Context, queue_url: str, tags: dict[str, str], **_: Any) -> list[Need]:
    return [need(find_queue(ctx, queue_url), "TagQueue", request_tags(tags), shared=False)]


@writes("sqs", "TagQueue", authorize=on_tags, acts="QueueUrl Tags{}")
def tag_queue(ctx: Context, queue_url: str, tags: dict[str, str]) -> Reply:
    queue = the_queue(ctx, queue_url)
    queue.tags = {**queue.tags, **tags}
    if len(queue.tags) > MAX_TAGS:
        raise invalid(f"Too many tags added for queue {queue.name}.")
    save(ctx, queue)
    return {}


def on_tag_keys(ctx: Context, queue_url: str, tag_keys: list[str], **_: Any) -> list[Need]:
    return [need(find_queue(ctx, queue_url), "UntagQueue", {"aws:TagKeys": tag_keys}, shared=False)]


@writes("sqs", "UntagQueue", authorize=on_tag_keys, acts="QueueUrl TagKeys[]")
def untag_queue(ctx: Context, queue_url: str, tag_keys: list[str]) -> Reply:
    queue = the_queue(ctx, queue_url)
    queue.tags = {key: value for key, value in queue.tags.items() if key not in tag_keys}
    save(ctx, queue)
    return {}


@reads("sqs", "ListQueueTags", authorize=on_queue("ListQueueTags", shared=False), acts="QueueUrl")
def list_queue_tags(ctx: Context, queue_url: str) -> Reply:
    tags = the_queue(ctx, queue_url).tags
    return {"Tags": tags} if tags else {}

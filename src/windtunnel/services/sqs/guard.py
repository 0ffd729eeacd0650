"""Finding the queue that a call names, and what its caller must be allowed to do (Service Authorization Reference, Amazon SQS).

Invariant: each need names the queue's owner; it carries the queue's policy unless the action is one that another account can never be
given ("Cross-account permissions don't apply to this action").
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from windtunnel.kernel.context import Authorize, Context, Need
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.lazy import LazyKeys
from windtunnel.services.sqs.model import Queue, address, queue_arn
from windtunnel.services.sqs.words import no_such_queue


def the_queue(ctx: Context, url: str) -> Queue:
    """The queue behind a URL, in whatever account; QueueDoesNotExist. To a handler the one that its authorization has found."""
    found: Queue | None = ctx.found.pop(url, None)
    return found if found is not None else find_queue(ctx, url)


def find_queue(ctx: Context, url: str) -> Queue:
    account, name = address(url, ctx.scope.account)
    if not account:
        raise AwsError("InvalidAddress", f"The address {url} is not valid for this endpoint.")
    tx = ctx.tx if account == ctx.scope.account else ctx.tx.within(account, ctx.scope.region)
    queue = tx.get(Queue, name)
    if queue is None:
        raise no_such_queue()
    return queue


def queue_of_arn(ctx: Context, arn: str) -> Queue | None:
    parts = queue_arn(arn)
    return None if parts is None else ctx.tx.within(parts.account, parts.region).get(Queue, parts.resource)


def at_home(ctx: Context, queue: Queue) -> Context:
    """The context in the queue's own account, where its record is."""
    return ctx if queue.account == ctx.scope.account and queue.region == ctx.scope.region else ctx.in_scope(queue.account, queue.region)


def save(ctx: Context, queue: Queue) -> None:
    at_home(ctx, queue).tx.put(queue)


def need(queue: Queue, action: str, context: Mapping[str, Any] | None = None, *, shared: bool = True) -> Need:
    """shared: whether the queue's policy can give the action to another account."""
    tags = queue.tags
    keys: Mapping[str, Any] = context or {}
    if tags:
        keys = LazyKeys(lambda: {**{f"aws:ResourceTag/{key}": value for key, value in tags.items()}, **(context or {})})
    return Need(f"sqs:{action}", queue.arn, keys, queue.policy if shared else None, queue.account)


def on_queue(action: str, *, shared: bool = True) -> Authorize:
    def authorize(ctx: Context, queue_url: str, **_: Any) -> list[Need]:
        queue = ctx.found[queue_url] = find_queue(ctx, queue_url)
        return [need(queue, action, shared=shared)]

    return authorize


def request_tags(tags: Mapping[str, str]) -> dict[str, Any]:
    return {f"aws:RequestTag/{key}": value for key, value in tags.items()} | {"aws:TagKeys": list(tags)}

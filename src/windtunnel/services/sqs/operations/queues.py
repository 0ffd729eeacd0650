"""Queues come and go: create, delete, find, list, purge."""

from __future__ import annotations

from windtunnel.kernel.cloud import Asleep
from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import reads, writes
from windtunnel.services.sqs.attributes import applied
from windtunnel.services.sqs.guard import at_home, need, on_queue, request_tags, save, the_queue
from windtunnel.services.sqs.jobs import RETENTION, retention_signal
from windtunnel.services.sqs.model import DeletedQueue, Queue, check_attributes, check_name, conflicting, queue_url
from windtunnel.services.sqs.words import invalid, no_such_queue

DELETED_SECONDS = 60.0
PURGE_SECONDS = 60.0
PAGE = 1_000


def on_new_queue(ctx: Context, queue_name: str, tags: dict[str, str] | None = None, **_: object) -> list[Need]:
    asked = request_tags(tags) if tags else {}
    arn = ctx.arn("sqs", queue_name)
    return [Need("sqs:CreateQueue", arn, asked)] + ([Need("sqs:TagQueue", arn, asked)] if tags else [])


@writes("sqs", "CreateQueue", authorize=on_new_queue, acts="QueueName Attributes{} tags{}")
def create_queue(ctx: Context, queue_name: str, attributes: dict[str, str] | None = None, tags: dict[str, str] | None = None) -> Reply:
    given = dict(attributes or {})
    fifo = given.get("FifoQueue", "").lower() == "true"
    check_name(queue_name, fifo)
    cleaned = check_attributes(given, fifo)
    url = queue_url(ctx.cloud.endpoint, ctx.scope.account, queue_name)
    existing = ctx.tx.get(Queue, queue_name)
    if existing is not None:
        different = conflicting(existing, cleaned)
        if different is not None:
            raise AwsError("QueueNameExists", f"A queue already exists with the same name and a different value for attribute {different}")
        return {"QueueUrl": url}
    deleted = ctx.tx.get(DeletedQueue, queue_name)
    if deleted is not None:
        if ctx.now < deleted.at + ctx.clock.paced(DELETED_SECONDS):
            raise AwsError(
                "QueueDeletedRecently", "You must wait 60 seconds after deleting a queue before you can create another with the same name."
            )
        ctx.tx.delete(DeletedQueue, queue_name)
    cleaned.pop("FifoQueue", None)
    queue = Queue(
        name=queue_name,
        account=ctx.scope.account,
        region=ctx.scope.region,
        id=_number(ctx),
        number=_number(ctx),
        created=ctx.now,
        modified=ctx.now,
        tags=dict(tags or {}),
    )
    ctx.tx.put(applied(ctx, queue, cleaned))
    # Nothing that is sent from now on can expire sooner: there is nothing to look at until then, or until the attributes change.
    asleep = Asleep("pause", retention_signal(queue.id), float(queue.number_of("MessageRetentionPeriod")))
    ctx.cloud.start_job(ctx, RETENTION, f"{RETENTION}/{queue.id}", {"name": queue_name, "queue": queue.id}, asleep)
    return {"QueueUrl": url}


def _number(ctx: Context) -> int:
    return int(ctx.ids.hex(15), 16)


@writes("sqs", "DeleteQueue", authorize=on_queue("DeleteQueue", shared=False), acts="QueueUrl")
def delete_queue(ctx: Context, queue_url: str) -> Reply:
    queue = the_queue(ctx, queue_url)
    home = at_home(ctx, queue)
    home.tx.delete(Queue, queue.name)
    home.tx.put(DeletedQueue(name=queue.name, at=ctx.now))
    if not home.tx.queues.empty(queue.number, queue.id):
        home.start_job("sqs.clear", f"sqs.clear/{queue.number}", number=queue.number, forget=queue.id)
    home.cloud.dismiss_job(home, f"{RETENTION}/{queue.id}")
    ctx.notify(queue.signal)
    return {}


def on_name(ctx: Context, queue_name: str, queue_owner_aws_account_id: str | None = None, **_: object) -> list[Need]:
    return [need(_named(ctx, queue_name, queue_owner_aws_account_id), "GetQueueUrl")]


def _named(ctx: Context, name: str, owner: str | None) -> Queue:
    account = owner or ctx.scope.account
    queue = ctx.tx.within(account, ctx.scope.region).get(Queue, name)
    if queue is None:
        raise no_such_queue()
    return queue


@reads("sqs", "GetQueueUrl", authorize=on_name, acts="QueueName QueueOwnerAWSAccountId")
def get_queue_url(ctx: Context, queue_name: str, queue_owner_aws_account_id: str | None = None) -> Reply:
    queue = _named(ctx, queue_name, queue_owner_aws_account_id)
    return {"QueueUrl": queue_url(ctx.cloud.endpoint, queue.account, queue.name)}


def on_all_queues(ctx: Context, **_: object) -> list[Need]:
    return [Need("sqs:ListQueues", "*")]


@reads("sqs", "ListQueues", authorize=on_all_queues, acts="QueueNamePrefix NextToken MaxResults", cost="scan")
def list_queues(ctx: Context, queue_name_prefix: str = "", next_token: str | None = None, max_results: int | None = None) -> Reply:
    limit = page_size(max_results)
    found = ctx.tx.scan(Queue, prefix=queue_name_prefix, after=next_token, limit=limit + 1)
    reply: Reply = {}
    if found:
        reply["QueueUrls"] = [queue_url(ctx.cloud.endpoint, queue.account, queue.name) for queue in found[:limit]]
    if len(found) > limit and max_results is not None:
        reply["NextToken"] = found[limit - 1].name
    return reply


def page_size(max_results: int | None) -> int:
    if max_results is not None and not 1 <= max_results <= PAGE:
        raise invalid(f"Value for parameter MaxResults is invalid. Reason: MaxResults must be an integer between 1 and {PAGE}.")
    return max_results or PAGE


@writes("sqs", "PurgeQueue", authorize=on_queue("PurgeQueue"), acts="QueueUrl")
def purge_queue(ctx: Context, queue_url: str) -> Reply:
    queue = the_queue(ctx, queue_url)
    if queue.purged and ctx.now < queue.purged + ctx.clock.paced(PURGE_SECONDS):
        raise AwsError("PurgeQueueInProgress", f"Only one PurgeQueue operation on {queue.name} is allowed every 60 seconds.")
    at_home(ctx, queue).start_job("sqs.clear", f"sqs.clear/{queue.number}", number=queue.number, forget=None)
    queue.number = _number(ctx)
    queue.purged = ctx.now
    save(ctx, queue)
    return {}

"""Attributes of queues."""

from __future__ import annotations

from windtunnel.kernel.context import Context, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import reads, writes
from windtunnel.services.sqs.attributes import applied
from windtunnel.services.sqs.guard import at_home, on_queue, save, the_queue
from windtunnel.services.sqs.jobs import retention_signal
from windtunnel.services.sqs.model import SETTABLE, Queue, check_attributes, queue_url
from windtunnel.services.sqs.operations.queues import page_size

COUNTS = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesDelayed", "ApproximateNumberOfMessagesNotVisible")
KNOWN = {
    "All", "QueueArn", "CreatedTimestamp", "LastModifiedTimestamp", *COUNTS, *SETTABLE,
}  # fmt: skip


@reads("sqs", "GetQueueAttributes", authorize=on_queue("GetQueueAttributes"), acts="QueueUrl AttributeNames[]", cost="scan")
def get_queue_attributes(ctx: Context, queue_url: str, attribute_names: list[str] | None = None) -> Reply:
    queue = the_queue(ctx, queue_url)
    wanted = attribute_names or []
    for name in wanted:
        if name not in KNOWN:
            raise AwsError("InvalidAttributeName", f"Unknown Attribute {name}.")
    found = queue.described()
    everything = "All" in wanted
    if everything or any(name in COUNTS for name in wanted):
        visible, delayed, in_flight = ctx.tx.queues.depth(queue.number, int(ctx.now * 1000))
        found |= dict(zip(COUNTS, (str(visible), str(delayed), str(in_flight)), strict=True))
    chosen = found if everything else {name: found[name] for name in wanted if name in found}
    return {"Attributes": chosen} if chosen else {}


@writes("sqs", "SetQueueAttributes", authorize=on_queue("SetQueueAttributes", shared=False), acts="QueueUrl Attributes{}")
def set_queue_attributes(ctx: Context, queue_url: str, attributes: dict[str, str]) -> Reply:
    queue = the_queue(ctx, queue_url)
    if "FifoQueue" in attributes and not queue.fifo:
        raise AwsError("InvalidAttributeName", "Unknown Attribute FifoQueue.")
    given = check_attributes(dict(attributes), queue.fifo)
    given.pop("FifoQueue", None)
    home = at_home(ctx, queue)
    queue = applied(home, queue, given)
    queue.modified = ctx.now
    save(ctx, queue)
    if "MessageRetentionPeriod" in given:
        home.signal(retention_signal(queue.id))
    ctx.notify(queue.signal)
    return {}


@reads(
    "sqs",
    "ListDeadLetterSourceQueues",
    authorize=on_queue("ListDeadLetterSourceQueues"),
    acts="QueueUrl NextToken MaxResults",
    cost="scan",
)
def list_dead_letter_source_queues(ctx: Context, queue_url: str, next_token: str | None = None, max_results: int | None = None) -> Reply:
    queue = the_queue(ctx, queue_url)
    limit = page_size(max_results)
    found = at_home(ctx, queue).tx.find(Queue, "dead_letters", queue.arn, after=next_token, limit=limit + 1)
    reply: Reply = {"queueUrls": [_url(ctx, source) for source in found[:limit]]}
    if len(found) > limit and max_results is not None:
        reply["NextToken"] = found[limit - 1].name
    return reply


def _url(ctx: Context, queue: Queue) -> str:
    return queue_url(ctx.cloud.endpoint, queue.account, queue.name)

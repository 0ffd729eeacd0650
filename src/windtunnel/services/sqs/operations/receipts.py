"""What a receiver does with its receipt: delete the message, or change for how long it is hidden."""

from __future__ import annotations

from typing import Any

from windtunnel.kernel.context import Context, Reply
from windtunnel.kernel.queues import Held
from windtunnel.kernel.registry import writes
from windtunnel.services.sqs.batches import check_batch, each
from windtunnel.services.sqs.guard import on_queue, the_queue
from windtunnel.services.sqs.messages import Receipt, receipt_of
from windtunnel.services.sqs.model import MAX_VISIBILITY, Queue
from windtunnel.services.sqs.words import invalid_value, missing


@writes("sqs", "DeleteMessage", authorize=on_queue("DeleteMessage"), acts="QueueUrl ReceiptHandle")
def delete_message(ctx: Context, queue_url: str, receipt_handle: str) -> Reply:
    _delete(ctx, the_queue(ctx, queue_url), receipt_handle)
    return {}


@writes("sqs", "DeleteMessageBatch", authorize=on_queue("DeleteMessage"), acts="QueueUrl Entries[].Id Entries[].ReceiptHandle")
def delete_message_batch(ctx: Context, queue_url: str, entries: list[dict[str, Any]]) -> Reply:
    queue = the_queue(ctx, queue_url)
    check_batch("DeleteMessageBatchRequestEntry", entries)
    return each(entries, lambda entry: _delete(ctx, queue, entry["ReceiptHandle"]))


def _delete(ctx: Context, queue: Queue, handle: str) -> None:
    """An older receipt of a message that was received again does not delete it; a message that is gone is success."""
    receipt = receipt_of(queue, handle)
    table = ctx.tx.queues
    if not queue.fifo:
        table.delete(receipt.number, receipt.seq, receipt.taken) if receipt.number == queue.number else None
        return
    held = _held(ctx, queue, receipt)
    if held is None:
        return
    now = int(ctx.now * 1000)
    if held.taken != receipt.taken or held.visible <= now:
        raise invalid_value(handle, "ReceiptHandle", "The receipt handle has expired.")
    table.delete(queue.number, held.seq, held.taken)
    _settle(ctx, queue, held, now)


def _held(ctx: Context, queue: Queue, receipt: Receipt) -> Held | None:
    return ctx.tx.queues.find(queue.number, receipt.seq) if receipt.number == queue.number else None


def _settle(ctx: Context, queue: Queue, held: Held, now: int) -> None:
    """The rest of a message's group may go on, and whoever waits is told."""
    if held.group is not None:
        ctx.tx.queues.settle(queue.number, held.group, now)
    ctx.notify(queue.signal)


@writes("sqs", "ChangeMessageVisibility", authorize=on_queue("ChangeMessageVisibility"), acts="QueueUrl ReceiptHandle VisibilityTimeout")
def change_message_visibility(ctx: Context, queue_url: str, receipt_handle: str, visibility_timeout: int) -> Reply:
    _hide(ctx, the_queue(ctx, queue_url), receipt_handle, visibility_timeout)
    return {}


@writes(
    "sqs",
    "ChangeMessageVisibilityBatch",
    authorize=on_queue("ChangeMessageVisibility"),
    acts="QueueUrl Entries[].Id Entries[].ReceiptHandle Entries[].VisibilityTimeout",
)
def change_message_visibility_batch(ctx: Context, queue_url: str, entries: list[dict[str, Any]]) -> Reply:
    queue = the_queue(ctx, queue_url)
    check_batch("ChangeMessageVisibilityBatchRequestEntry", entries)
    return each(entries, lambda entry: _hide(ctx, queue, entry["ReceiptHandle"], entry.get("VisibilityTimeout")))


def _hide(ctx: Context, queue: Queue, handle: str, seconds: int | None) -> None:
    if seconds is None:
        raise missing("VisibilityTimeout")
    if not 0 <= seconds <= MAX_VISIBILITY:
        raise invalid_value(seconds, "VisibilityTimeout", f"Must be between 0 and {MAX_VISIBILITY}, if provided.")
    receipt = receipt_of(queue, handle)
    now = int(ctx.now * 1000)
    held = _held(ctx, queue, receipt)
    if held is None or held.taken != receipt.taken or held.visible <= now:
        raise invalid_value(handle, "ReceiptHandle", "Message does not exist or is not available for visibility timeout change.")
    until = now + seconds * 1000
    if until > held.last + MAX_VISIBILITY * 1000:
        raise invalid_value(
            seconds, "VisibilityTimeout", f"Total VisibilityTimeout for the message is beyond the limit [{MAX_VISIBILITY} seconds]"
        )
    ctx.tx.queues.hide(queue.number, held.seq, held.taken, now, until)
    _settle(ctx, queue, held, now)

"""SendMessage and its batch."""

from __future__ import annotations

from typing import Any

from windtunnel.kernel.context import Context, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import writes
from windtunnel.services.sqs.batches import check_batch, each
from windtunnel.services.sqs.guard import on_queue, the_queue
from windtunnel.services.sqs.messages import Entry, size_of
from windtunnel.services.sqs.model import MAX_MESSAGE
from windtunnel.services.sqs.sending import put_message

_VALUES = ["DataType", "StringValue", "BinaryValue", "StringListValues[]", "BinaryListValues[]"]


def _message(prefix: str) -> str:
    plain = ("MessageBody", "DelaySeconds", "MessageDeduplicationId", "MessageGroupId")
    nested = (f"{name}{{}}.{value}" for name in ("MessageAttributes", "MessageSystemAttributes") for value in _VALUES)
    return " ".join(f"{prefix}{name}" for name in (*plain, *nested))


@writes("sqs", "SendMessage", authorize=on_queue("SendMessage"), acts=f"QueueUrl {_message('')}")
def send_message(
    ctx: Context,
    queue_url: str,
    message_body: str,
    delay_seconds: int | None = None,
    message_attributes: dict[str, Any] | None = None,
    message_system_attributes: dict[str, Any] | None = None,
    message_deduplication_id: str = "",
    message_group_id: str = "",
) -> Reply:
    entry = Entry(
        message_body,
        delay_seconds,
        message_attributes or {},
        message_system_attributes or {},
        message_deduplication_id,
        message_group_id,
    )
    return put_message(ctx, the_queue(ctx, queue_url), entry)


@writes("sqs", "SendMessageBatch", authorize=on_queue("SendMessage"), acts=f"QueueUrl Entries[].Id {_message('Entries[].')}")
def send_message_batch(ctx: Context, queue_url: str, entries: list[dict[str, Any]]) -> Reply:
    queue = the_queue(ctx, queue_url)
    check_batch("SendMessageBatchRequestEntry", entries)
    size = sum(size_of(Entry.of(entry)) for entry in entries)
    if size > MAX_MESSAGE:
        raise AwsError("BatchRequestTooLong", f"Batch requests cannot be longer than {MAX_MESSAGE} bytes. You have sent {size} bytes.")
    return each(entries, lambda entry: put_message(ctx, queue, Entry.of(entry)))

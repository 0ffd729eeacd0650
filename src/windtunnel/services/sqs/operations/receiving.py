"""ReceiveMessage: claims, waits, and moves what was received too often to the dead letters.

Invariant: a message that was claimed is answered in the same transaction's answer, or not claimed at all.
"""

from __future__ import annotations

from base64 import b64decode
from typing import Any

import msgspec

from windtunnel.kernel.context import Context, Reply, Wait
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.queues import Held
from windtunnel.kernel.registry import writes
from windtunnel.kernel.typed import from_json
from windtunnel.kernel.unfinished import FINISHERS
from windtunnel.services.sqs.guard import at_home, on_queue, queue_of_arn, the_queue
from windtunnel.services.sqs.messages import (
    ATTRIBUTES,
    Meta,
    Receipt,
    chosen_attributes,
    decode_meta,
    digest_of,
    digest_of_attributes,
    encode_meta,
    handle_of,
    sequence_number,
)
from windtunnel.services.sqs.model import MAX_VISIBILITY, Queue
from windtunnel.services.sqs.sealing import unseal
from windtunnel.services.sqs.words import invalid_value

ATTEMPT_MS = 300_000
NOTHING: Reply = {}


@writes(
    "sqs",
    "ReceiveMessage",
    authorize=on_queue("ReceiveMessage"),
    acts="QueueUrl AttributeNames[] MessageSystemAttributeNames[] MessageAttributeNames[] MaxNumberOfMessages VisibilityTimeout"
    " WaitTimeSeconds ReceiveRequestAttemptId",
)
def receive_message(
    ctx: Context,
    queue_url: str,
    attribute_names: list[str] | None = None,
    message_system_attribute_names: list[str] | None = None,
    message_attribute_names: list[str] | None = None,
    max_number_of_messages: int = 1,
    visibility_timeout: int | None = None,
    wait_time_seconds: int | None = None,
    receive_request_attempt_id: str = "",
) -> Reply | Wait:
    queue = the_queue(ctx, queue_url)
    _check(max_number_of_messages, visibility_timeout, wait_time_seconds)
    wanted = [*(attribute_names or ()), *(message_system_attribute_names or ())]
    _check_names(wanted)
    seconds = visibility_timeout if visibility_timeout is not None else queue.number_of("VisibilityTimeout")
    now = int(ctx.now * 1000)
    until = now + seconds * 1000
    found = _again(ctx, queue, receive_request_attempt_id, now, until) if receive_request_attempt_id and queue.fifo else None
    if found is None:
        found = _claim(ctx, queue, now, until, max_number_of_messages)
        if receive_request_attempt_id and queue.fifo and found:
            _remember(ctx, queue, receive_request_attempt_id, found, now)
    if found:
        return {"Messages": [_shown(ctx, queue, held, wanted, message_attribute_names or []) for held in found]}
    wait = wait_time_seconds if wait_time_seconds is not None else queue.number_of("ReceiveMessageWaitTimeSeconds")
    if not wait:
        return NOTHING
    soonest = ctx.tx.queues.next_visible(queue.number, now, groups=queue.fifo)
    return Wait(queue.signal, float(wait), NOTHING, None if soonest is None else (soonest - now) / 1000 + 0.001)


def _check(messages: int, visibility: int | None, wait: int | None) -> None:
    if not 1 <= messages <= 10:
        raise invalid_value(messages, "MaxNumberOfMessages", "Must be between 1 and 10, if provided.")
    if visibility is not None and not 0 <= visibility <= MAX_VISIBILITY:
        raise invalid_value(visibility, "VisibilityTimeout", f"Must be between 0 and {MAX_VISIBILITY}, if provided.")
    if wait is not None and not 0 <= wait <= 20:
        raise invalid_value(wait, "WaitTimeSeconds", "Must be >= 0 and <= 20, if provided.")


def _check_names(names: list[str]) -> None:
    for name in names:
        if name not in ATTRIBUTES:
            raise AwsError("InvalidAttributeName", f"Unknown Attribute {name}.")


def _claim(ctx: Context, queue: Queue, now: int, until: int, limit: int) -> list[Held]:
    """What the receiver gets; what was received as often as it may goes to the dead letters on the way."""
    after = now - queue.number_of("MessageRetentionPeriod") * 1000
    table = ctx.tx.queues
    claim = table.claim_in_order if queue.fifo else table.claim
    found = claim(queue.number, now, until, limit, after)
    if not queue.max_receives or all(held.receives <= queue.max_receives for held in found):
        return found
    dead_letters = queue_of_arn(ctx, queue.dead_letter_arn)
    if dead_letters is None:
        return found
    kept: list[Held] = []
    while found:
        for held in found:
            if held.receives > queue.max_receives:
                _bury(ctx, queue, dead_letters, held, now)
            else:
                kept.append(held)
        found = claim(queue.number, now, until, limit - len(kept), after) if len(kept) < limit and not kept else []
    return kept


def _bury(ctx: Context, queue: Queue, dead_letters: Queue, held: Held, now: int) -> None:
    """Into the dead-letter queue. A standard queue's message keeps the time when it was sent first."""
    meta = decode_meta(held.meta)
    meta.source = queue.arn
    sent = now if dead_letters.fifo else held.sent
    ctx.tx.queues.move(held.seq, dead_letters.number, sent, now, encode_meta(meta), held.group)
    if held.group is not None:
        ctx.tx.queues.settle(queue.number, held.group, now)
    at_home(ctx, dead_letters).notify(dead_letters.signal)


# -- receiving the same again: ReceiveRequestAttemptId --------------------------------------------------------------------


def _remember(ctx: Context, queue: Queue, attempt: str, found: list[Held], now: int) -> None:
    taken = [(held.seq, held.taken) for held in found]
    ctx.tx.queues.remember(queue.id, f"attempt:{attempt}", now + ATTEMPT_MS, msgspec.json.encode(taken), now)


def _again(ctx: Context, queue: Queue, attempt: str, now: int, until: int) -> list[Held] | None:
    """The messages of an attempt that is repeated, hidden anew; None when one of them has been deleted, shown or received since."""
    remembered = ctx.tx.queues.recall(queue.id, f"attempt:{attempt}", now)
    if remembered is None:
        return None
    found = []
    for seq, taken in from_json(remembered, list[tuple[int, int]]):
        held = ctx.tx.queues.find(queue.number, seq)
        if held is None or held.taken != taken or held.visible <= now:
            return None
        found.append(held)
    for held in found:
        ctx.tx.queues.hide(queue.number, held.seq, held.taken, now, until)
    for group in {held.group for held in found if held.group is not None}:
        ctx.tx.queues.settle(queue.number, group, now)
    return found


# -- what the receiver sees -----------------------------------------------------------------------------------------------


def _shown(ctx: Context, queue: Queue, held: Held, wanted: list[str], attribute_names: list[str]) -> dict[str, Any]:
    meta = decode_meta(held.meta)
    body, digest = unseal(ctx, queue, held.body, meta.sealed, meta.sealed_for).decode(), meta.digest
    if meta.late:
        body = FINISHERS[meta.late](ctx, body)
        digest = digest_of(body.encode())
    shown: dict[str, Any] = {
        "MessageId": meta.id,
        "ReceiptHandle": handle_of(Receipt(queue.id, queue.number, held.seq, held.taken)),
        "MD5OfBody": digest,
        "Body": body,
    }
    if wanted:
        system = _system(queue, held, meta)
        chosen = system if "All" in wanted else {name: system[name] for name in wanted if name in system}
        if chosen:
            shown["Attributes"] = chosen
    if meta.attributes and attribute_names:
        attributes = {
            name: {**value, "BinaryValue": b64decode(value["BinaryValue"])} if "BinaryValue" in value else value
            for name, value in chosen_attributes(meta.attributes, attribute_names).items()
        }
        if attributes:
            shown["MessageAttributes"] = attributes
            shown["MD5OfMessageAttributes"] = digest_of_attributes(attributes)
    return shown


def _system(queue: Queue, held: Held, meta: Meta) -> dict[str, str]:
    found = {
        "SenderId": meta.sender,
        "SentTimestamp": str(held.sent),
        "ApproximateReceiveCount": str(held.receives),
        "ApproximateFirstReceiveTimestamp": str(held.first),
    }
    if queue.fifo:
        found |= {"SequenceNumber": sequence_number(held.seq), "MessageDeduplicationId": meta.dedup}
    optional = {"MessageGroupId": meta.group, "AWSTraceHeader": meta.trace, "DeadLetterQueueSourceArn": meta.source}
    return found | {name: value for name, value in optional.items() if value}

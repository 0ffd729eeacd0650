"""Putting one message into a queue: the heart of SendMessage and SendMessageBatch.

Invariant: a FIFO queue takes one message of a deduplication id within five minutes, and answers the others as it answered the first.
"""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import msgspec

from windtunnel.kernel.context import Context
from windtunnel.kernel.typed import from_json
from windtunnel.kernel.unfinished import Unfinished
from windtunnel.services.sqs.messages import (
    Entry,
    Meta,
    check_entry,
    dedup_key,
    dedup_of,
    digest_of,
    digest_of_attributes,
    encode_meta,
    sequence_number,
)
from windtunnel.services.sqs.model import Queue
from windtunnel.services.sqs.sealing import seal

DEDUPLICATION_MS = 300_000


class Sent(msgspec.Struct):
    """What a FIFO queue remembers of a message for those who send it again."""

    id: str
    seq: int


def put_message(ctx: Context, queue: Queue, entry: Entry) -> dict[str, Any]:
    """Check, deduplicate, file. Returns SendMessage's answer."""
    check_entry(queue, entry)
    now = int(ctx.now * 1000)
    body = entry.body.encode()
    answer: dict[str, Any] = {"MD5OfMessageBody": digest_of(body)}
    if entry.attributes:
        answer["MD5OfMessageAttributes"] = digest_of_attributes(entry.attributes)
    if entry.system:
        answer["MD5OfMessageSystemAttributes"] = digest_of_attributes(entry.system)
    if queue.fifo:
        return answer | _put_in_order(ctx, queue, entry, body, now, answer)
    answer["MessageId"] = _file(ctx, queue, entry, body, now, answer["MD5OfMessageBody"], "")[0]
    return answer


def _put_in_order(ctx: Context, queue: Queue, entry: Entry, body: bytes, now: int, answer: dict[str, Any]) -> dict[str, Any]:
    dedup = dedup_of(entry)
    key = dedup_key(queue, entry, dedup)
    remembered = ctx.tx.queues.recall(queue.id, key, now)
    if remembered is not None:
        earlier = from_json(remembered, Sent)
        return {"MessageId": earlier.id, "SequenceNumber": sequence_number(earlier.seq)}
    message_id, seq = _file(ctx, queue, entry, body, now, answer["MD5OfMessageBody"], dedup)
    ctx.tx.queues.remember(queue.id, key, now + DEDUPLICATION_MS, msgspec.json.encode(Sent(message_id, seq)), now)
    return {"MessageId": message_id, "SequenceNumber": sequence_number(seq)}


def _file(ctx: Context, queue: Queue, entry: Entry, body: bytes, now: int, digest: str, dedup: str) -> tuple[str, int]:
    kept, sealed = seal(ctx, queue, body)
    message_id = ctx.ids.uuid()
    meta = Meta(
        id=message_id,
        sender=ctx.principal.unique_id,
        digest=digest,
        attributes={name: _kept(value) for name, value in entry.attributes.items()},
        trace=entry.system["AWSTraceHeader"]["StringValue"] if entry.system else "",
        dedup=dedup,
        group=entry.group,
        sealed=sealed,
        sealed_for=queue.arn if queue.kms_key else "",
        late=entry.body.by if isinstance(entry.body, Unfinished) else "",
    )
    delay = entry.delay if entry.delay is not None and not queue.fifo else queue.number_of("DelaySeconds")
    group = entry.group if queue.fifo else None
    seq = ctx.tx.queues.send(queue.number, now, now + delay * 1000, encode_meta(meta), kept, group)
    ctx.notify(queue.signal)
    return message_id, seq


def _kept(value: dict[str, Any]) -> dict[str, Any]:
    """An attribute's value as JSON can hold it."""
    kept: dict[str, Any] = {name: value[name] for name in ("DataType", "StringValue") if name in value}
    return kept if "BinaryValue" not in value else kept | {"BinaryValue": b64encode(value["BinaryValue"]).decode()}

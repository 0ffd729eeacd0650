"""Publishing: what a message may be, and its way to every subscription.

Invariants: a message to a queue is in the queue when Publish's transaction commits, exactly once, or the subscription's dead-letter queue
has it; every other delivery is a durable job that commits with the publish. More subscriptions than INLINE are reached by a job of their own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, NamedTuple

import msgspec

from windtunnel.kernel.context import Context
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.typed import from_json
from windtunnel.services.sns.delivering import Delivery, deliver
from windtunnel.services.sns.envelope import Note, kept_attributes
from windtunnel.services.sns.guard import at_home
from windtunnel.services.sns.model import Subscription, Topic, invalid
from windtunnel.services.sns.sealing import closed, data_key

MAX_BYTES = 262_144
INLINE = 50
DEDUPLICATION_MS = 300_000
_IDENTIFIER = re.compile(r"[!-~]{1,128}\Z")
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,256}\Z")
_TYPE = re.compile(r"(?:String|Number|Binary)(?:\.[^\x00-\x1f]{1,247})?\Z")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class Message(NamedTuple):
    """One message as it is published, by Publish or in a batch."""

    text: str
    subject: str | None
    structure: str | None
    attributes: Mapping[str, Mapping[str, Any]]
    group: str
    dedup: str

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Message:
        return cls(
            given["Message"],
            given.get("Subject"),
            given.get("MessageStructure"),
            given.get("MessageAttributes") or {},
            given.get("MessageGroupId") or "",
            given.get("MessageDeduplicationId") or "",
        )


class Published(msgspec.Struct):
    """What a FIFO topic remembers of a message for those who publish it again."""

    id: str
    sequence: str


def size_of(message: Message) -> int:
    total = len(message.text.encode())
    for name, value in message.attributes.items():
        total += len(name.encode()) + len(value["DataType"].encode())
        total += len(value.get("BinaryValue") or (value.get("StringValue") or "").encode())
    return total


def publish(ctx: Context, topic: Topic, message: Message) -> dict[str, str]:
    """Publish's answer."""
    texts = check(topic, message)
    if topic.kms_key:
        data_key(ctx, topic)
    note = Note(
        id=ctx.ids.uuid(),
        topic=topic.arn,
        at=ctx.now,
        texts=texts,
        subject=message.subject or "",
        attributes=kept_attributes(message.attributes),
        group=message.group,
        version=topic.attributes.get("SignatureVersion", "1"),
    )
    if not topic.fifo:
        _fan_out(ctx, topic, note)
        return {"MessageId": note.id}
    now = int(ctx.now * 1000)
    note.dedup = message.dedup or sha256(message.text.encode()).hexdigest()
    scope = message.group if topic.attributes.get("FifoThroughputScope") == "MessageGroup" else ""
    key = f"dedup:{scope}:{note.dedup}"
    remembered = ctx.tx.queues.recall(topic.id, key, now)
    if remembered is not None:
        earlier = from_json(remembered, Published)
        return {"MessageId": earlier.id, "SequenceNumber": earlier.sequence}
    topic.sequence += 1
    note.sequence = f"{10**19 + topic.sequence * 1000}"
    at_home(ctx, topic).tx.put(topic)
    ctx.tx.queues.remember(topic.id, key, now + DEDUPLICATION_MS, msgspec.json.encode(Published(note.id, note.sequence)), now)
    _fan_out(ctx, topic, note)
    return {"MessageId": note.id, "SequenceNumber": note.sequence}


def _fan_out(ctx: Context, topic: Topic, note: Note) -> None:
    home = at_home(ctx, topic)
    found = home.tx.find(Subscription, "topic", topic.arn, limit=INLINE + 1)
    if len(found) <= INLINE:
        delivery = Delivery(home, topic, note, lambda: closed(ctx, topic, note))
        for subscription in found:
            deliver(delivery, subscription)
    else:
        home.start_job("sns.fan_out", f"sns.fan_out/{note.id}", topic=topic.arn, note=closed(ctx, topic, note), after="")


# -- what a message may be ------------------------------------------------------------------------------------------------


def check(topic: Topic, message: Message) -> dict[str, str]:
    """The texts by protocol. Raises SNS's error."""
    if not message.text:
        raise invalid("Empty message")
    if size_of(message) > MAX_BYTES:
        raise invalid("Message too long")
    if message.subject is not None and (not message.subject or len(message.subject) > 100 or _CONTROL.search(message.subject)):
        raise invalid("Subject")
    if message.attributes:
        check_attributes(message.attributes)
    if message.group and not _IDENTIFIER.match(message.group):
        raise invalid("MessageGroupId Reason: it is 1 to 128 characters, letters, digits and punctuation")
    if topic.fifo:
        if not message.group:
            raise invalid("The MessageGroupId parameter is required for FIFO topics")
        if message.dedup and not _IDENTIFIER.match(message.dedup):
            raise invalid("MessageDeduplicationId Reason: it is 1 to 128 characters, letters, digits and punctuation")
        if not message.dedup and topic.attributes.get("ContentBasedDeduplication") != "true":
            raise invalid("The topic should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly")
    elif message.dedup:
        raise invalid("MessageDeduplicationId Reason: The request includes MessageDeduplicationId parameter that is not valid for this topic type")  # fmt: skip
    if message.structure is None:
        return {"": message.text}
    if message.structure != "json":
        raise invalid("MessageStructure")
    return by_protocol(message.text)


def by_protocol(text: str) -> dict[str, str]:
    """The texts of a message whose structure is json."""
    try:
        pairs: list[tuple[str, Any]] = json.loads(text, object_pairs_hook=lambda found: found)
    except (ValueError, RecursionError):
        raise invalid("Message Structure - JSON message body failed to parse") from None
    if not text.lstrip().startswith("{"):
        raise invalid("Message Structure - JSON message body failed to parse")
    found = dict(pairs)
    if len(found) != len(pairs):
        raise invalid("Message Structure - Duplicate keys in JSON message body")
    if not isinstance(found.get("default"), str):
        raise invalid("Message Structure - No default entry in JSON message body")
    texts = {name: value for name, value in found.items() if isinstance(value, str)}
    return {"": texts.pop("default"), **texts}


def check_attributes(attributes: Mapping[str, Mapping[str, Any]]) -> None:
    for name, value in attributes.items():
        if not _NAME.match(name) or name[0] == "." or name[-1] == "." or ".." in name or name.lower().startswith(("aws.", "amazon.")):
            raise _value_error(f"Invalid message attribute name: {name}")
        kind = value.get("DataType") or ""
        if not _TYPE.match(kind):
            raise _value_error(
                f"The message attribute '{name}' has an invalid message attribute type, the set of supported type prefixes is Binary,"
                " Number, and String."
            )
        content = value.get("BinaryValue" if kind.startswith("Binary") else "StringValue")
        if not content or value.get("StringValue" if kind.startswith("Binary") else "BinaryValue"):
            raise _value_error(
                f"The message attribute '{name}' must contain non-empty message attribute value for message attribute type '{kind}'."
            )
        if kind.startswith("Number"):
            _check_number(name, content)
        if kind == "String.Array":
            _check_array(name, content)


def _value_error(words: str) -> AwsError:
    return AwsError("ParameterValueInvalid", words)


def _check_number(name: str, text: str) -> None:
    try:
        float(text)
    except ValueError:
        raise _value_error(f"Could not cast message attribute '{name}' value to number.") from None


def _check_array(name: str, text: str) -> None:
    try:
        decoded = json.loads(text)
    except (ValueError, RecursionError):
        decoded = None
    if not isinstance(decoded, list) or any(isinstance(one, dict | list) for one in decoded):
        raise _value_error(f"The message attribute '{name}' is not a valid String.Array.")

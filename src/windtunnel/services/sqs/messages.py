"""Messages: what is kept of one beside its body, its digests, its receipt handles, and what may be sent. Pure."""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from collections.abc import Iterable, Mapping
from hashlib import md5, sha256
from typing import Any, NamedTuple

import msgspec

from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.typed import decoder
from windtunnel.services.sqs.model import Queue
from windtunnel.services.sqs.words import invalid, invalid_receipt, invalid_value, missing

_ID_CHARACTERS = re.compile(r"[!-~]{1,128}\Z")
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ATTRIBUTE_NAME = re.compile(r"[A-Za-z0-9_.-]{1,256}\Z")
_TYPE = re.compile(r"(?:String|Number|Binary)(?:\.[^\x00-\x1f]{1,247})?\Z")
_NUMBER = re.compile(r"[+-]?(?:\d{1,38}(?:\.\d{0,38})?|\.\d{1,38})(?:[eE][+-]?\d{1,3})?\Z")
MAX_ATTRIBUTES = 10
SEQUENCE_BASE = 10**19
ATTRIBUTES = frozenset(
    [
        "All",
        "SenderId",
        "SentTimestamp",
        "ApproximateReceiveCount",
        "ApproximateFirstReceiveTimestamp",
        "SequenceNumber",
        "MessageDeduplicationId",
        "MessageGroupId",
        "AWSTraceHeader",
        "DeadLetterQueueSourceArn",
    ]
)
Attributes = Mapping[str, Mapping[str, Any]]


class Meta(msgspec.Struct, omit_defaults=True, rename={"attributes": "a"}):
    """What is kept of a message beside its body. attributes: as they were sent; source: the queue it was moved from as a dead letter.

    sealed: how the body is kept: "" plain, "sqs" under the cloud's key, else the data key it was encrypted with, as KMS wrapped it for
    the queue `sealed_for`, which need not be the one where the message is now.
    late: who finishes the body when it is received (kernel/unfinished.py); `digest` is of the body as it is kept.
    """

    id: str
    sender: str
    digest: str
    attributes: dict[str, dict[str, Any]] = {}
    trace: str = ""
    dedup: str = ""
    group: str = ""
    source: str = ""
    sealed: str = ""
    sealed_for: str = ""
    late: str = ""


class Entry(NamedTuple):
    """One message as it is sent."""

    body: str
    delay: int | None
    attributes: dict[str, dict[str, Any]]
    system: dict[str, dict[str, Any]]
    dedup: str
    group: str

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Entry:
        """From the model's members, as SendMessage and each entry of a batch have them."""
        return cls(
            given["MessageBody"],
            given.get("DelaySeconds"),
            given.get("MessageAttributes") or {},
            given.get("MessageSystemAttributes") or {},
            given.get("MessageDeduplicationId") or "",
            given.get("MessageGroupId") or "",
        )


encode_meta = msgspec.json.Encoder().encode
decode_meta = decoder(Meta).decode


def digest_of(data: bytes) -> str:
    return md5(data, usedforsecurity=False).hexdigest()


def digest_of_attributes(attributes: Attributes) -> str:
    """MD5 over names, types and values, each with its length (Developer Guide, Calculating the MD5 message digest)."""
    digest = md5(usedforsecurity=False)
    for name in sorted(attributes):
        value = attributes[name]
        binary = value["DataType"].startswith("Binary")
        content = value["BinaryValue"] if binary else value["StringValue"].encode()
        for part in (name.encode(), value["DataType"].encode()):
            digest.update(len(part).to_bytes(4, "big") + part)
        digest.update((b"\x02" if binary else b"\x01") + len(content).to_bytes(4, "big") + content)
    return digest.hexdigest()


def size_of(entry: Entry) -> int:
    """Body and attributes, in bytes: what counts against the queue's limit."""
    total = len(entry.body) if entry.body.isascii() else len(entry.body.encode())
    for name, value in entry.attributes.items():
        content = value.get("BinaryValue") or (value.get("StringValue") or "").encode()
        total += len(name.encode()) + len(value["DataType"].encode()) + len(content)
    return total


def check_entry(queue: Queue, entry: Entry) -> None:
    """Raise SQS's error unless the queue takes this message."""
    if not entry.body:
        raise missing("MessageBody")
    if not entry.body.isascii() or not entry.body.isprintable():
        found = _FORBIDDEN.search(entry.body)
        if found is not None:
            raise AwsError(
                "InvalidMessageContents",
                "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD |"
                " #x10000 to #x10FFFF",
            )
    limit = queue.number_of("MaximumMessageSize")
    if size_of(entry) > limit:
        raise invalid(f"One or more parameters are invalid. Reason: Message must be shorter than {limit} bytes.")
    if entry.attributes:
        check_message_attributes(entry.attributes)
    if entry.system:
        _check_system(entry.system)
    if queue.fifo:
        _check_fifo(queue, entry)
    elif entry.group and not _ID_CHARACTERS.match(entry.group):
        raise _bad_identifier(entry.group, "MessageGroupId")
    elif entry.dedup:
        raise invalid_value(
            entry.dedup, "MessageDeduplicationId", "The request includes a parameter that is not valid for this queue type."
        )
    if entry.delay is not None and not 0 <= entry.delay <= 900:
        raise invalid_value(entry.delay, "DelaySeconds", "DelaySeconds must be >= 0 and <= 900.")


def _check_fifo(queue: Queue, entry: Entry) -> None:
    if not entry.group:
        raise missing("MessageGroupId")
    if not _ID_CHARACTERS.match(entry.group):
        raise _bad_identifier(entry.group, "MessageGroupId")
    if entry.dedup and not _ID_CHARACTERS.match(entry.dedup):
        raise _bad_identifier(entry.dedup, "MessageDeduplicationId")
    if not entry.dedup and queue.attributes.get("ContentBasedDeduplication") != "true":
        raise invalid("The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly")
    if entry.delay:
        raise invalid_value(entry.delay, "DelaySeconds", "The request include parameter that is not valid for this queue type.")


def _bad_identifier(value: str, parameter: str) -> AwsError:
    return invalid_value(value, parameter, f"{parameter} can only include alphanumeric and punctuation characters. 1 to 128 in length.")


def check_message_attributes(attributes: Attributes) -> None:
    if len(attributes) > MAX_ATTRIBUTES:
        raise invalid(f"Number of message attributes [{len(attributes)}] exceeds the allowed maximum [{MAX_ATTRIBUTES}].")
    for name, value in attributes.items():
        lowered = name.lower()
        if not _ATTRIBUTE_NAME.match(name) or name[0] == "." or name[-1] == "." or ".." in name:
            raise invalid(f"Invalid message attribute name '{name}'. Use A-Z, a-z, 0-9, underscore, hyphen and period, not at its ends.")
        if lowered.startswith(("aws.", "amazon.")):
            raise invalid(f"Message attribute name cannot start with invalid prefix: {name}")
        _check_value(name, value)


def _check_value(name: str, value: Mapping[str, Any]) -> None:
    kind = value.get("DataType") or ""
    if not _TYPE.match(kind):
        raise invalid(
            f"The type of message (user) attribute '{name}' is invalid. You must use only the following supported type prefixes: Binary,"
            " Number, String."
        )
    binary = kind.startswith("Binary")
    content = value.get("BinaryValue" if binary else "StringValue")
    if not content or value.get("StringValue" if binary else "BinaryValue"):
        raise invalid(f"The message (user) attribute '{name}' must contain a non-empty value of type '{kind.partition('.')[0]}'.")
    if value.get("StringListValues") or value.get("BinaryListValues"):
        raise AwsError("UnsupportedOperation", "Message attribute list values in SendMessage operation are not supported.")
    if not binary and _FORBIDDEN.search(content):
        raise AwsError("InvalidMessageContents", f"Invalid characters found in the message attribute '{name}'.")
    if kind.startswith("Number") and not _NUMBER.match(content):
        raise invalid(f"Can't cast the value of message (user) attribute '{name}' to a number.")


def _check_system(system: Attributes) -> None:
    for name, value in system.items():
        if name != "AWSTraceHeader":
            raise invalid(f"Message system attribute name '{name}' is not valid. The only one is AWSTraceHeader.")
        if value.get("DataType") != "String" or not value.get("StringValue"):
            raise invalid("The type of message system attribute 'AWSTraceHeader' is invalid. It must be a non-empty String.")


def dedup_of(entry: Entry) -> str:
    """The deduplication id of a message to a FIFO queue: the sender's, else the content's."""
    return entry.dedup or sha256(entry.body.encode()).hexdigest()


def dedup_key(queue: Queue, entry: Entry, dedup: str) -> str:
    """Under what a message is remembered for the deduplication interval."""
    by_group = queue.attributes.get("DeduplicationScope") == "messageGroup"
    return f"dedup:{entry.group if by_group else ''}:{dedup}"


def sequence_number(seq: int) -> str:
    return str(SEQUENCE_BASE + (seq << 8))


# -- receipt handles ----------------------------------------------------------------------------------------------------


class Receipt(NamedTuple):
    """Which receipt of which message a handle stands for. queue: the queue's `id`; number: what its messages were filed under."""

    queue: int
    number: int
    seq: int
    taken: int


def handle_of(receipt: Receipt) -> str:
    return "AQEB" + urlsafe_b64encode(b"%x.%x.%x.%x" % receipt).decode()


def receipt_of(queue: Queue, handle: str) -> Receipt:
    """Raises ReceiptHandleIsInvalid for what this queue never gave out."""
    try:
        parts = urlsafe_b64decode(handle[4:].encode("ascii")).decode("ascii").split(".")
        receipt = Receipt(*(int(part, 16) for part in parts))
    except (Base64Error, ValueError, TypeError):
        raise invalid_receipt(handle) from None
    if not handle.startswith("AQEB") or receipt.queue != queue.id or not all(0 <= part < 1 << 63 for part in receipt):
        raise invalid_receipt(handle)
    return receipt


# -- what a receiver is shown ---------------------------------------------------------------------------------------------


def chosen_attributes(attributes: Attributes, wanted: Iterable[str]) -> Attributes:
    """Of a message's attributes those that the receiver asked for: names, `prefix.*`, `All` or `.*`."""
    names = list(wanted)
    if not names:
        return {}
    if "All" in names or ".*" in names:
        return attributes
    prefixes = tuple(name[:-1] for name in names if name.endswith(".*"))
    return {name: value for name, value in attributes.items() if name in names or (prefixes and name.startswith(prefixes))}

"""Queues: their record, their names and URLs, and what may stand in their attributes. Pure.

Invariants: a queue's messages are filed under `number`, which changes when it is purged, so that a purge is one write however deep the
queue; what outlives a purge (deduplication) is filed under `id`. Attributes hold what was set; defaults are added when they are read.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, ClassVar
from urllib.parse import unquote, urlsplit

import msgspec

from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.records import Record
from windtunnel.kernel.scope import Arn, Scope
from windtunnel.services.sqs.words import invalid, invalid_attribute, invalid_value

MAX_MESSAGE = 1 << 20
MAX_VISIBILITY = 43_200
DEAD_LETTERS_TO_MOVE = 1_000
_NAME = re.compile(r"[A-Za-z0-9_-]{1,80}\Z")
_FIFO_NAME = re.compile(r"[A-Za-z0-9_-]{1,75}\.fifo\Z")
DEFAULTS = {
    "VisibilityTimeout": "30",
    "MaximumMessageSize": str(MAX_MESSAGE),
    "MessageRetentionPeriod": "345600",
    "DelaySeconds": "0",
    "ReceiveMessageWaitTimeSeconds": "0",
    "SqsManagedSseEnabled": "true",
}
FIFO_DEFAULTS = {"ContentBasedDeduplication": "false", "DeduplicationScope": "queue", "FifoThroughputLimit": "perQueue"}
RANGES = {
    "DelaySeconds": (0, 900),
    "MaximumMessageSize": (1_024, MAX_MESSAGE),
    "MessageRetentionPeriod": (60, 1_209_600),
    "ReceiveMessageWaitTimeSeconds": (0, 20),
    "VisibilityTimeout": (0, MAX_VISIBILITY),
    "KmsDataKeyReusePeriodSeconds": (60, 86_400),
}
CHOICES = {
    "ContentBasedDeduplication": ("true", "false"),
    "SqsManagedSseEnabled": ("true", "false"),
    "DeduplicationScope": ("queue", "messageGroup"),
    "FifoThroughputLimit": ("perQueue", "perMessageGroupId"),
}
REMOVABLE = ("Policy", "RedrivePolicy", "RedriveAllowPolicy", "KmsMasterKeyId")
"""An empty value takes these away."""
SETTABLE = frozenset({"FifoQueue", *RANGES, *CHOICES, *REMOVABLE})


class Queue(Record, kw_only=True):
    """attributes: what was set, as texts; max_receives, dead_letter_arn: what its RedrivePolicy says, 0 and "" without one."""

    KIND: ClassVar[str] = "sqs.queue"
    INDEXES: ClassVar = {"dead_letters": lambda queue: [arn] if (arn := queue.dead_letter_arn) else []}

    name: str
    account: str
    region: str
    id: int
    number: int
    created: float
    modified: float
    purged: float = 0.0
    attributes: dict[str, str] = {}
    tags: dict[str, str] = {}
    max_receives: int = 0
    dead_letter_arn: str = ""

    def key(self) -> str:
        return self.name

    @property
    def arn(self) -> str:
        return f"arn:aws:sqs:{self.region}:{self.account}:{self.name}"

    @property
    def fifo(self) -> bool:
        return self.name.endswith(".fifo")

    @property
    def policy(self) -> str | None:
        return self.attributes.get("Policy")

    @property
    def kms_key(self) -> str:
        return self.attributes.get("KmsMasterKeyId", "")

    @property
    def signal(self) -> str:
        """What wakes those who wait for a message."""
        return f"sqs/{self.id}"

    def number_of(self, name: str) -> int:
        return int(self.attributes.get(name) or DEFAULTS[name])

    def described(self) -> dict[str, str]:
        """All attributes but those that count messages."""
        shown = {**DEFAULTS, **(FIFO_DEFAULTS | {"FifoQueue": "true"} if self.fifo else {}), **self.attributes}
        if self.kms_key:
            shown = {"KmsDataKeyReusePeriodSeconds": "300", **shown, "SqsManagedSseEnabled": "false"}
        return shown | {
            "QueueArn": self.arn,
            "CreatedTimestamp": str(int(self.created)),
            "LastModifiedTimestamp": str(int(self.modified)),
        }


class DeletedQueue(Record, kw_only=True):
    """A name that was free again too short a time ago."""

    KIND: ClassVar[str] = "sqs.deleted"

    name: str
    at: float

    def key(self) -> str:
        return self.name


def check_name(name: str, fifo: bool) -> None:
    if fifo and not _FIFO_NAME.match(name):
        raise invalid(
            "The name of a FIFO queue can only include alphanumeric characters, hyphens, or underscores, must end with .fifo suffix"
            " and be 1 to 80 in length."
        )
    if not fifo and not _NAME.match(name):
        raise invalid("Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length")


@lru_cache(maxsize=4096)
def address(url: str, account: str) -> tuple[str, str]:
    """(account, queue name) of a queue's URL, however a client writes its host; ("", "") when it is none. account: for a bare name."""
    path = urlsplit(url).path if "//" in url else url
    steps = [unquote(step) for step in path.split("/") if step]
    if len(steps) == 1 and "//" not in url:
        return account, steps[0]
    if len(steps) >= 2 and len(steps[-2]) == 12 and steps[-2].isdigit():
        return steps[-2], steps[-1]
    return "", ""


def check_attributes(given: dict[str, str], fifo: bool) -> dict[str, str]:
    """The given attributes, cleaned: numbers and choices in range, JSON of the right shape. An empty value stands for "none"."""
    found = {}
    for name, value in given.items():
        if name not in SETTABLE or (name in FIFO_DEFAULTS and not fifo):
            raise _unknown(name)
        if name in RANGES:
            value = _number(name, value)
        elif name in CHOICES:
            value = _choice(name, value)
        elif name == "FifoQueue":
            if value.lower() != "true":
                raise invalid_attribute(name)
            value = "true"
        elif value == "" and name not in REMOVABLE:
            raise invalid_attribute(name)
        elif name == "RedrivePolicy" and value:
            redrive_policy(value)
        elif name == "RedriveAllowPolicy" and value:
            redrive_allow_policy(value)
        found[name] = value
    if found.get("KmsMasterKeyId") and found.get("SqsManagedSseEnabled") == "true":
        raise invalid("You can use one type of server-side encryption (SSE) at one time. You can either enable KMS SSE or SQS SSE.")
    if found.get("FifoThroughputLimit") == "perMessageGroupId" and found.get("DeduplicationScope", "messageGroup") != "messageGroup":
        raise invalid_value("perMessageGroupId", "FifoThroughputLimit", "DeduplicationScope must be messageGroup.")
    return found


def _unknown(name: str) -> AwsError:
    return AwsError("InvalidAttributeName", f"Unknown Attribute {name}.")


def _number(name: str, value: str) -> str:
    low, high = RANGES[name]
    if not value.isascii() or not value.isdigit() or len(value) > 9 or not low <= int(value) <= high:
        raise invalid_attribute(name)
    return str(int(value))


def _choice(name: str, value: str) -> str:
    found = next((choice for choice in CHOICES[name] if choice == value or choice == value.lower()), None)
    if found is None:
        raise invalid_attribute(name)
    return found


def _json_object(name: str, value: str) -> dict[str, Any]:
    try:
        decoded = msgspec.json.decode(value)
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        decoded = None
    if not isinstance(decoded, dict):
        raise invalid_value(value, name, "Redrive policy is not a valid JSON map." if name == "RedrivePolicy" else "Amazon SQS can't create the redrive allow policy, as it's in an unsupported format.")  # fmt: skip
    return decoded


def redrive_policy(value: str) -> tuple[str, int]:
    """(the dead-letter queue's ARN, how often a message is received before it goes there)."""
    decoded = _json_object("RedrivePolicy", value)
    for wanted in ("maxReceiveCount", "deadLetterTargetArn"):
        if wanted not in decoded:
            raise invalid_value(value, "RedrivePolicy", f"Redrive policy does not contain mandatory attribute: {wanted}.")
    extra = sorted(set(decoded) - {"maxReceiveCount", "deadLetterTargetArn"})
    if extra:
        raise invalid_value(value, "RedrivePolicy", f"Only following attributes are supported: [deadLetterTargetArn, maxReceiveCount], not {extra[0]}.")  # fmt: skip
    count = str(decoded["maxReceiveCount"])
    if not count.isascii() or not count.isdigit() or len(count) > 6 or not 1 <= int(count) <= 1000:
        raise invalid_value(value, "RedrivePolicy", f"Invalid value for maxReceiveCount: {count}, valid values are from 1 to 1000 both inclusive.")  # fmt: skip
    target = decoded["deadLetterTargetArn"]
    if queue_arn(target) is None:
        raise invalid_value(value, "RedrivePolicy", "Invalid value for deadLetterTargetArn.")
    return str(target), int(count)


def redrive_allow_policy(value: str) -> tuple[str, list[str]]:
    """(allowAll | denyAll | byQueue, the source queues that may)."""
    decoded = _json_object("RedriveAllowPolicy", value)
    permission, sources = decoded.get("redrivePermission", "allowAll"), decoded.get("sourceQueueArns", [])
    words = "Amazon SQS can't create the redrive allow policy, as it's in an unsupported format."
    if permission not in ("allowAll", "denyAll", "byQueue") or set(decoded) - {"redrivePermission", "sourceQueueArns"}:
        raise invalid_value(value, "RedriveAllowPolicy", words)
    if not isinstance(sources, list) or any(queue_arn(source) is None for source in sources) or len(sources) > 10:
        raise invalid_value(value, "RedriveAllowPolicy", words)
    if bool(sources) != (permission == "byQueue"):
        raise invalid_value(value, "RedriveAllowPolicy", words)
    return str(permission), sources


def queue_arn(text: Any) -> Arn | None:
    """The parts of a queue's ARN; None when it is none."""
    arn = Arn.parse(text) if isinstance(text, str) else None
    return arn if arn is not None and arn.service == "sqs" and len(arn.account) == 12 and arn.resource else None


def conflicting(queue: Queue, given: dict[str, str]) -> str | None:
    """The first attribute that CreateQueue names with another value than the existing queue has."""
    shown = queue.described()
    return next((name for name, value in given.items() if not _same(name, shown.get(name, ""), value)), None)


def _same(name: str, one: str, other: str) -> bool:
    if one == other or name not in ("Policy", "RedrivePolicy", "RedriveAllowPolicy") or not (one and other):
        return one == other
    return bool(msgspec.json.decode(one) == msgspec.json.decode(other))


def changed(queue: Queue, given: dict[str, str]) -> dict[str, str]:
    """The queue's attributes after these were set. The two kinds of encryption exclude each other."""
    attributes = {**queue.attributes, **given}
    if given.get("KmsMasterKeyId"):
        attributes.pop("SqsManagedSseEnabled", None)
    elif given.get("KmsMasterKeyId") == "":
        attributes.setdefault("SqsManagedSseEnabled", "false")
    if given.get("SqsManagedSseEnabled") == "true":
        attributes.pop("KmsMasterKeyId", None)
        attributes.pop("KmsDataKeyReusePeriodSeconds", None)
    return {name: value for name, value in attributes.items() if value != ""}


def queue_url(endpoint: str, account: str, name: str) -> str:
    return f"{endpoint}/{account}/{name}"


def scope_of(queue: Queue) -> Scope:
    return Scope(queue.account, queue.region)

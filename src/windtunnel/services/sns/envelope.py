"""What a message looks like on its way: one note, and its JSON envelope with the text that is signed. Pure.

Source: Developer Guide, Parsing Amazon SNS message formats; Verifying the signatures of Amazon SNS messages.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode

import msgspec

CONFIRMATION, NOTIFICATION, FAREWELL = "SubscriptionConfirmation", "Notification", "UnsubscribeConfirmation"


class Note(msgspec.Struct, omit_defaults=True):
    """A published message. texts: what each protocol gets, "" for all others; attributes hold binary values in base64."""

    id: str
    topic: str
    at: float
    texts: dict[str, str]
    subject: str = ""
    attributes: dict[str, dict[str, str]] = {}
    group: str = ""
    dedup: str = ""
    sequence: str = ""
    version: str = "1"
    """The topic's SignatureVersion when it was published."""

    def text(self, protocol: str) -> str:
        found = self.texts.get(protocol)
        return self.texts[""] if found is None else found


@lru_cache(maxsize=16)
def _second(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def timestamp(at: float) -> str:
    return f"{_second(int(at))}.{int(at * 1000) % 1000:03d}Z"


def kept_attributes(attributes: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, str]]:
    """A request's attributes as JSON can hold them."""
    return {
        name: {"DataType": value["DataType"]}
        | (
            {"BinaryValue": b64encode(value["BinaryValue"]).decode()}
            if value["DataType"].startswith("Binary")
            else {"StringValue": value["StringValue"]}
        )
        for name, value in attributes.items()
    }


def queue_attributes(note: Note) -> dict[str, dict[str, Any]]:
    """The attributes of a raw delivery, as SendMessage takes them."""
    return {
        name: {**value, "BinaryValue": b64decode(value["BinaryValue"])} if "BinaryValue" in value else dict(value)
        for name, value in note.attributes.items()
    }


def signed_text(fields: Mapping[str, Any]) -> bytes:
    """The names and values that the signature is over, in order."""
    names: tuple[str, ...] = ("Message", "MessageId", "Subject", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
    if fields["Type"] == NOTIFICATION:
        names = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")
    return "".join(f"{name}\n{fields[name]}\n" for name in names if name in fields).encode()


def notification(note: Note, text: str) -> dict[str, Any]:
    """The envelope without signature and links."""
    fields: dict[str, Any] = {"Type": NOTIFICATION, "MessageId": note.id}
    if note.sequence:
        fields["SequenceNumber"] = note.sequence
    fields["TopicArn"] = note.topic
    if note.subject:
        fields["Subject"] = note.subject
    return fields | {"Message": text, "Timestamp": timestamp(note.at)}


def shown_attributes(note: Note) -> dict[str, dict[str, str]]:
    return {
        name: {"Type": value["DataType"], "Value": value.get("BinaryValue") or value.get("StringValue", "")}
        for name, value in note.attributes.items()
    }


def link(endpoint: str, **parameters: str) -> str:
    return f"{endpoint}/?{urlencode(parameters)}"


@lru_cache(maxsize=4096)
def unsubscribe_link(endpoint: str, subscription: str) -> str:
    return link(endpoint, Action="Unsubscribe", SubscriptionArn=subscription)


def confirmation(kind: str, message_id: str, topic: str, token: str, endpoint: str, at: float) -> dict[str, Any]:
    """SubscriptionConfirmation, or UnsubscribeConfirmation after an unsubscription that nobody signed."""
    if kind == CONFIRMATION:
        words = f"You have chosen to subscribe to the topic {topic}.\nTo confirm the subscription, visit the SubscribeURL included in this message."
    else:
        words = (
            f"You have chosen to deactivate a subscription to the topic {topic}.\nTo cancel this operation and restore the subscription,"
            " visit the SubscribeURL included in this message."
        )
    return {
        "Type": kind,
        "MessageId": message_id,
        "Token": token,
        "TopicArn": topic,
        "Message": words,
        "SubscribeURL": link(endpoint, Action="ConfirmSubscription", TopicArn=topic, Token=token),
        "Timestamp": timestamp(at),
    }

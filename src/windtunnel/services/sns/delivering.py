"""One message to one subscription: into a queue at once, to anything else by a job; and what happens to what cannot be delivered."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cached_property, lru_cache
from typing import Any

import msgspec

from windtunnel.kernel.context import Context
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.principal import Principal
from windtunnel.kernel.scope import Arn
from windtunnel.kernel.trail import trail
from windtunnel.kernel.unfinished import Unfinished, finishes
from windtunnel.services.sns.envelope import Note, notification, queue_attributes, shown_attributes, signed_text, unsubscribe_link
from windtunnel.services.sns.filters import passes
from windtunnel.services.sns.model import Subscription, Topic, dead_letter_arn
from windtunnel.services.sns.signing import ROOM, Use, certificate_url, kept_signature, sign

SERVICE = "sns.amazonaws.com"
LATE = "sns"
MAX_RAW_ATTRIBUTES = 10
log = logging.getLogger("windtunnel.sns")


class Delivery:
    """A message on its way from one topic. Its envelope is made once."""

    def __init__(self, ctx: Context, topic: Topic, note: Note, keep: Callable[[], dict[str, Any]]) -> None:
        """ctx: in the topic's account; keep: the note as jobs keep it."""
        self.ctx = ctx
        self.topic = topic
        self.note = note
        self._keep = keep

    @cached_property
    def kept(self) -> dict[str, Any]:
        return self._keep()

    @cached_property
    def for_queues(self) -> dict[str, Any]:
        return unsigned(self.ctx, self.note, self.note.text("sqs"))


def unsigned(ctx: Context, note: Note, text: str) -> dict[str, Any]:
    """The envelope for queues, with room for the signature, which it gets when somebody receives it (`signed_late`)."""
    fields = notification(note, text)
    return fields | {"SignatureVersion": note.version, "Signature": ROOM, "SigningCertURL": certificate_url(ctx, "queue")}


@finishes(LATE)
def signed_late(ctx: Context, body: str) -> str:
    """An envelope from a queue, its signature in its place. The same each time, for PKCS #1 v1.5 draws nothing at random."""
    fields = msgspec.json.decode(body)
    signature = kept_signature(ctx, signed_text(fields), fields["SignatureVersion"])
    return body.replace(f'"Signature":"{ROOM}"', f'"Signature":"{signature}"', 1)


def envelope(ctx: Context, note: Note, text: str, use: Use) -> dict[str, Any]:
    """The signed envelope, but for the link that is each subscription's own."""
    fields = notification(note, text)
    signature, url = sign(ctx, use, signed_text(fields), note.version)
    return fields | {"SignatureVersion": note.version, "Signature": signature, "SigningCertURL": url}


def enveloped(ctx: Context, fields: dict[str, Any], note: Note, subscription: Subscription) -> str:
    fields = fields | {"UnsubscribeURL": unsubscribe_link(ctx.cloud.endpoint, subscription.arn)}
    if note.attributes:
        fields["MessageAttributes"] = shown_attributes(note)
    return msgspec.json.encode(fields).decode()


def wanted(subscription: Subscription, note: Note) -> bool:
    """Whether the subscription is confirmed, and its filter lets the message through."""
    if subscription.pending:
        return False
    attributes = subscription.attributes
    scope = attributes.get("FilterPolicyScope", "MessageAttributes")
    return passes(attributes.get("FilterPolicy"), scope, note.attributes, note.text(subscription.protocol))


def deliver(delivery: Delivery, subscription: Subscription) -> None:
    ctx, note = delivery.ctx, delivery.note
    if not wanted(subscription, note):
        return
    if subscription.protocol != "sqs":
        name = f"sns.deliver/{note.id}/{subscription.id}"
        ctx.start_job("sns.deliver", name, subscription=subscription.arn, note=delivery.kept)
        return
    try:
        if subscription.raw:
            _raw_to_queue(ctx, subscription, note)
        else:
            body = Unfinished(enveloped(ctx, delivery.for_queues, note, subscription), LATE)
            send(ctx, note.topic, subscription.endpoint, body, {}, note)
    except AwsError as error:
        give_up(ctx, subscription, note, f"{error.code}: {error.message}")


def _raw_to_queue(ctx: Context, subscription: Subscription, note: Note) -> None:
    if len(note.attributes) > MAX_RAW_ATTRIBUTES:
        raise AwsError("InvalidParameter", f"a raw message to a queue has at most {MAX_RAW_ATTRIBUTES} attributes")
    send(ctx, note.topic, subscription.endpoint, note.text("sqs"), queue_attributes(note), note)


@lru_cache(maxsize=1024)
def _sns(account: str, topic: str) -> Principal:
    """SNS acting for a topic, as `ctx.as_service` has it; kept, for it is asked for with each message."""
    return Principal.service(SERVICE, account, topic)


def send(ctx: Context, topic: str, queue: str, body: str, attributes: dict[str, dict[str, Any]], note: Note) -> None:
    """Into a queue, as SNS: the queue's policy decides."""
    arn = Arn.parse(queue)
    if arn is None:
        raise AwsError("InvalidParameter", f"{queue} is not an ARN")
    args: dict[str, Any] = {}
    if note.group:
        args["message_group_id"] = note.group
    if arn.resource.endswith(".fifo"):
        args["message_deduplication_id"] = note.dedup
    service = ctx.acting(_sns(ctx.scope.account, topic))
    if (arn.account, arn.region) != (ctx.scope.account, ctx.scope.region):
        service = service.in_scope(arn.account, arn.region)
    url = f"/{arn.account}/{arn.resource}"
    service.call("sqs", "SendMessage", queue_url=url, message_body=body, message_attributes=attributes, **args)


def give_up(ctx: Context, subscription: Subscription, note: Note, reason: str) -> None:
    """To the subscription's dead-letter queue, if it has one and the queue lets SNS; in the log and the trail in any case."""
    text = f"{note.topic}: message {note.id} was not delivered to {subscription.protocol} {subscription.endpoint}: {reason}"
    policy = subscription.attributes.get("RedrivePolicy")
    if policy:
        queue = dead_letter_arn(policy)
        attributes = queue_attributes(note) if subscription.raw and len(note.attributes) <= MAX_RAW_ATTRIBUTES else {}
        body = note.text(subscription.protocol)
        if not subscription.raw:
            body = Unfinished(enveloped(ctx, unsigned(ctx, note, body), note, subscription), LATE)
        try:
            send(ctx, note.topic, queue, body, attributes, note)
            text += f"; it is in {queue}"
        except AwsError as error:
            text += f"; {queue} did not take it either: {error.code}: {error.message}"
    log.warning("%s", text)
    trail(ctx, [note.topic, note.id, subscription.arn], text, level="error")

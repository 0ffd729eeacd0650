"""Deliveries that leave the store: HTTP endpoints, mail, functions; confirmations; and messages to very many subscriptions.

Invariant: an endpoint gets a message at least once, under the same message id each time; what is given up goes to the subscription's
dead-letter queue, in the transaction that gives it up.
"""

from __future__ import annotations

from typing import Any

import msgspec

from windtunnel.jobs import Run, job
from windtunnel.kernel.context import Context
from windtunnel.kernel.errors import AwsError
from windtunnel.services.sns import http, mailbox
from windtunnel.services.sns.delivering import SERVICE, Delivery, deliver, envelope, enveloped, give_up, send
from windtunnel.services.sns.elsewhere import drop
from windtunnel.services.sns.envelope import CONFIRMATION, NOTIFICATION, Note, confirmation, shown_attributes, signed_text, unsubscribe_link
from windtunnel.services.sns.guard import find_topic
from windtunnel.services.sns.model import PENDING_SECONDS, EndedSubscription, Subscription, Topic
from windtunnel.services.sns.retries import delays, effective
from windtunnel.services.sns.sealing import opened
from windtunnel.services.sns.signing import sign

FAN_OUT = 50
FORGOTTEN_AT_ONCE = 500
CONFIRMATION_RETRIES = 3
Outcome = tuple[bool, bool, str]
"""(delivered or not needed any more, worth trying again, what happened)."""


@job("sns.deliver")
def deliver_one(run: Run, subscription: str, note: dict[str, Any]) -> None:
    """One message to one endpoint, tried again as its delivery policy says."""
    plan = run.tx("plan", planned, subscription)
    if plan["protocol"] == "lambda":
        run.tx("invoke", invoke, subscription, note)
        return
    reason = ""
    for number, pause in enumerate([0.0, *plan["waits"]]):
        if pause:
            run.sleep(f"pause-{number}", pause)
        if plan.get("paced") and (turn := run.tx(f"turn-{number}", take_turn, subscription)):
            run.sleep(f"paced-{number}", turn)
        done, again, reason = run.effect(f"attempt-{number}", lambda _: attempt(run, subscription, note))
        if done:
            return
        if not again:
            break
    run.tx("given-up", bury, subscription, note, reason)


def planned(ctx: Context, arn: str) -> dict[str, Any]:
    """How to deliver, and the waits before the retries."""
    subscription = ctx.tx.get(Subscription, arn)
    topic = find_topic(ctx, arn.rpartition(":")[0])
    if subscription is None or topic is None:
        return {"protocol": "", "waits": []}
    if subscription.protocol not in ("http", "https"):
        return {"protocol": subscription.protocol, "waits": []}
    policy = effective(topic.attributes.get("DeliveryPolicy"), subscription.attributes.get("DeliveryPolicy"))["http"]
    paced = "defaultThrottlePolicy" in policy
    return {"protocol": subscription.protocol, "waits": delays(policy["defaultHealthyRetryPolicy"]), "paced": paced}


def take_turn(ctx: Context, arn: str) -> float:
    """Seconds until this delivery's turn: a throttle policy gives an endpoint so many a second, and each delivery takes the next place."""
    subscription = ctx.tx.get(Subscription, arn)
    topic = find_topic(ctx, arn.rpartition(":")[0])
    if subscription is None or topic is None:
        return 0.0
    policy = effective(topic.attributes.get("DeliveryPolicy"), subscription.attributes.get("DeliveryPolicy"))["http"]
    rate = policy.get("defaultThrottlePolicy", {}).get("maxReceivesPerSecond")
    if not rate:
        return 0.0
    turn = max(ctx.now, subscription.next_turn)
    subscription.next_turn = turn + 1 / rate
    ctx.tx.put(subscription)
    return turn - ctx.now


def attempt(run: Run, arn: str, kept: dict[str, Any]) -> Outcome:
    """An effect: what is to be sent is read in a snapshot, sent after it."""
    prepared = run.read(prepare, arn, kept)
    if isinstance(prepared, str):
        return False, False, prepared
    if prepared is None:
        return True, False, "the subscription is gone"
    if prepared["protocol"] in ("http", "https"):
        return http.post(prepared["endpoint"], prepared["headers"], prepared["body"], run.cloud.data / "tls" / "ca.pem")
    mailbox.deliver(run.cloud.data, run.id, prepared["endpoint"], prepared["subject"], prepared["body"], prepared["at"])
    return True, False, "mailed"


def prepare(ctx: Context, arn: str, kept: dict[str, Any]) -> dict[str, Any] | str | None:
    """What to send; None when nobody wants it any more; a text: why it cannot be sent."""
    subscription = ctx.tx.get(Subscription, arn)
    topic = find_topic(ctx, arn.rpartition(":")[0])
    if subscription is None or topic is None or subscription.pending:
        return None
    try:
        note = opened(ctx, kept)
    except AwsError as error:
        return f"{error.code}: {error.message}"
    text = note.text(subscription.protocol)
    if subscription.protocol == "email":
        leave = unsubscribe_link(ctx.cloud.endpoint, arn)
        body = f"{text}\n\n--\nIf you wish to stop receiving notifications from this topic, please visit the link below:\n{leave}\n"
    elif subscription.raw:
        body = text
    else:
        body = enveloped(ctx, envelope(ctx, note, text, "http"), note, subscription)
    policy = effective(topic.attributes.get("DeliveryPolicy"), subscription.attributes.get("DeliveryPolicy"))["http"]
    return {
        "protocol": subscription.protocol,
        "endpoint": subscription.endpoint,
        "subject": note.subject or "AWS Notification Message",
        "body": body,
        "at": note.at,
        "headers": _headers(NOTIFICATION, note.id, note.topic, policy["defaultRequestPolicy"]["headerContentType"], arn)
        | ({"x-amz-sns-rawdelivery": "true"} if subscription.raw else {}),
    }


def invoke(ctx: Context, arn: str, kept: dict[str, Any]) -> None:
    """A function's invocation commits with this step; a refusal is final."""
    subscription = ctx.tx.get(Subscription, arn)
    if subscription is None:
        return
    try:
        note = opened(ctx, kept)
        record = {
            "EventVersion": "1.0",
            "EventSubscriptionArn": subscription.arn,
            "EventSource": "aws:sns",
            "Sns": envelope(ctx, note, note.text("lambda"), "queue") | {"MessageAttributes": shown_attributes(note)},
        }
        payload = msgspec.json.encode({"Records": [record]})
        service = ctx.as_service(SERVICE, note.topic)
        service.call("lambda", "Invoke", function_name=subscription.endpoint, invocation_type="Event", payload=payload)
    except AwsError as error:
        bury(ctx, arn, kept, f"{error.code}: {error.message}")


def _headers(kind: str, message_id: str, topic: str, content_type: str, subscription: str = "") -> dict[str, str]:
    found = {
        "Content-Type": content_type,
        "x-amz-sns-message-type": kind,
        "x-amz-sns-message-id": message_id,
        "x-amz-sns-topic-arn": topic,
    }
    return found | ({"x-amz-sns-subscription-arn": subscription} if subscription else {})


def bury(ctx: Context, arn: str, kept: dict[str, Any], reason: str) -> None:
    subscription = ctx.tx.get(Subscription, arn)
    if subscription is None:
        return
    try:
        note = opened(ctx, kept)
    except AwsError:
        note = Note(id=kept["id"], topic=kept["topic"], at=ctx.now, texts={"": ""})
        subscription.attributes = {name: value for name, value in subscription.attributes.items() if name != "RedrivePolicy"}
    give_up(ctx, subscription, note, reason)


# -- confirmations --------------------------------------------------------------------------------------------------------


@job("sns.confirm")
def ask_to_confirm(run: Run, subscription: str, token: str, message: str, endpoint: dict[str, str]) -> None:
    """Send a confirmation's link to the endpoint; a subscription that nobody confirms ends after two days."""
    asked = run.tx("asked", ask, subscription, token, message, endpoint)
    if endpoint["protocol"] != "sqs":
        for number, pause in enumerate([0.0, *[20.0] * CONFIRMATION_RETRIES]):
            if pause:
                run.sleep(f"pause-{number}", pause)
            done, again, _ = run.effect(f"attempt-{number}", lambda _: send_confirmation(run, asked, endpoint))
            if done or not again:
                break
    if message == CONFIRMATION:
        run.sleep("pending", PENDING_SECONDS)
        run.tx("expired", expire, subscription, token)
    else:
        run.sleep("offered", PENDING_SECONDS)
        run.tx("withdrawn", withdraw, token)


def ask(ctx: Context, arn: str, token: str, kind: str, endpoint: dict[str, str]) -> dict[str, Any]:
    """The signed message; a queue has it with this step."""
    topic = arn.rpartition(":")[0]
    found = find_topic(ctx, topic)
    version = found.attributes.get("SignatureVersion", "1") if found is not None else "1"
    fields = confirmation(kind, ctx.ids.uuid(), topic, token, ctx.cloud.endpoint, ctx.now)
    signature, url = sign(ctx, "queue" if endpoint["protocol"] == "sqs" else "http", signed_text(fields), version)
    fields |= {"SignatureVersion": version, "Signature": signature, "SigningCertURL": url}
    if endpoint["protocol"] == "sqs":
        note = Note(id=fields["MessageId"], topic=topic, at=ctx.now, texts={"": ""}, group="confirmation", dedup=token[:128])
        try:
            send(ctx, topic, endpoint["endpoint"], msgspec.json.encode(fields).decode(), {}, note)
        except AwsError as error:
            give_up(ctx, Subscription(**_unkept(arn, topic, endpoint)), note, f"{error.code}: {error.message}")
    return fields | {"at": ctx.now}


def _unkept(arn: str, topic: str, endpoint: dict[str, str]) -> dict[str, Any]:
    return {"id": arn.rpartition(":")[2], "topic": topic, **endpoint, "owner": "", "principal": "", "created": 0.0}


def send_confirmation(run: Run, asked: dict[str, Any], endpoint: dict[str, str]) -> Outcome:
    fields = {name: value for name, value in asked.items() if name != "at"}
    text = msgspec.json.encode(fields).decode()
    if endpoint["protocol"] in ("http", "https"):
        headers = _headers(fields["Type"], fields["MessageId"], fields["TopicArn"], "text/plain; charset=UTF-8")
        return http.post(endpoint["endpoint"], headers, text, run.cloud.data / "tls" / "ca.pem")
    if endpoint["protocol"] == "email":
        text = (
            f"{fields['Message'].partition(chr(10))[0]}\n\nTo confirm this {'subscription' if fields['Type'] == CONFIRMATION else 'again'},"
            f" visit the link below (If this was in error no action is necessary):\n{fields['SubscribeURL']}\n"
        )
    subject = (
        "AWS Notification - Subscription Confirmation" if fields["Type"] == CONFIRMATION else "AWS Notification - Unsubscribe Confirmation"
    )
    mailbox.deliver(run.cloud.data, run.id, endpoint["endpoint"], subject, text, asked["at"])
    return True, False, "mailed"


def expire(ctx: Context, arn: str, token: str) -> None:
    subscription = ctx.tx.get(Subscription, arn)
    if subscription is not None and subscription.token == token:
        drop(ctx, subscription)


def withdraw(ctx: Context, token: str) -> None:
    ctx.tx.delete(EndedSubscription, token)


# -- very many subscriptions ----------------------------------------------------------------------------------------------


@job("sns.fan_out")
def fan_out(run: Run, topic: str, note: dict[str, Any], after: str) -> None:
    """A message to a topic's subscriptions, some at a time."""
    last = run.tx("some", deliver_some, topic, note, after)
    if last is not None:
        run.continue_as_new(topic=topic, note=note, after=last)


def deliver_some(ctx: Context, arn: str, kept: dict[str, Any], after: str) -> str | None:
    """The last subscription's key; None when there are no more."""
    topic = find_topic(ctx, arn)
    if topic is None:
        return None
    note = opened(ctx, kept)
    found = ctx.tx.find(Subscription, "topic", topic.arn, after=after, limit=FAN_OUT)
    delivery = Delivery(ctx, topic, note, lambda: kept)
    for subscription in found:
        deliver(delivery, subscription)
    return found[-1].key() if len(found) == FAN_OUT else None


def topic_gone(ctx: Context, topic: Topic) -> int:
    """Remove a topic's subscriptions; how many there were."""
    found = ctx.tx.find(Subscription, "topic", topic.arn)
    for subscription in found:
        drop(ctx, subscription)
    return len(found)


@job("sns.forget")
def forget(run: Run, topic: int) -> None:
    """What a deleted FIFO topic remembered of its messages."""
    if run.tx("some", forget_some, topic):
        run.continue_as_new(topic=topic)


def forget_some(ctx: Context, topic: int) -> bool:
    return ctx.tx.queues.forget(topic, FORGOTTEN_AT_ONCE) == FORGOTTEN_AT_ONCE

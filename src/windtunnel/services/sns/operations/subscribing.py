"""Subscribe, Unsubscribe, and the attributes of subscriptions."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.errors import AwsError, not_built
from windtunnel.kernel.registry import reads, writes
from windtunnel.kernel.scope import Arn
from windtunnel.services.sns.elsewhere import drop, keep
from windtunnel.services.sns.envelope import CONFIRMATION, FAREWELL
from windtunnel.services.sns.filters import check_filter
from windtunnel.services.sns.guard import at_home, looked_up, need, on_subscription, the_subscription, the_topic
from windtunnel.services.sns.model import (
    EndedSubscription,
    Subscription,
    Topic,
    check_subscription_attribute,
    dead_letter_arn,
    invalid,
)

PROTOCOLS = ("http", "https", "email", "email-json", "sqs", "lambda")
NOT_BUILT = ("sms", "application", "firehose")
_MAIL = re.compile(r"[^@\s]{1,64}@[^@\s]{1,190}\Z")


def on_subscribe(ctx: Context, topic_arn: str, protocol: str, endpoint: str | None = None, **_: Any) -> list[Need]:
    context = {"sns:Protocol": protocol} | ({"sns:Endpoint": endpoint} if endpoint else {})
    return [need(ctx, looked_up(ctx, topic_arn), "Subscribe", context)]


@writes("sns", "Subscribe", authorize=on_subscribe, acts="TopicArn Protocol Endpoint Attributes{} ReturnSubscriptionArn")
def subscribe(
    ctx: Context,
    topic_arn: str,
    protocol: str,
    endpoint: str | None = None,
    attributes: dict[str, str] | None = None,
    return_subscription_arn: bool = False,
) -> Reply:
    topic = the_topic(ctx, topic_arn)
    target = check_endpoint(topic, protocol, endpoint or "")
    given = dict(attributes or {})
    kept = {name: check_subscription_attribute("Subscribe", protocol, name, value) for name, value in given.items()}
    check_together(kept)
    home = at_home(ctx, topic)
    found = _existing(home, topic, protocol, target)
    if found is not None and not found.pending:
        if any(found.attributes.get(name, _DEFAULTS.get(name, "")) != value for name, value in kept.items()):
            raise invalid("Attributes Reason: Subscription already exists with different attributes")
        return {"SubscriptionArn": found.arn}
    confirmed = _needs_no_confirmation(ctx, protocol, target)
    subscription = Subscription(
        id=found.id if found is not None else ctx.ids.uuid(),
        topic=topic.arn,
        protocol=protocol,
        endpoint=target,
        owner=ctx.principal.account,
        principal=ctx.principal.arn,
        created=ctx.now,
        token="" if confirmed else ctx.ids.hex(256),
        confirmed_by_signature=confirmed,
        attributes={name: value for name, value in kept.items() if value != ""},
    )
    keep(home, subscription)
    if not confirmed:
        confirm(home, subscription, subscription.token, CONFIRMATION)
    return {"SubscriptionArn": subscription.arn if confirmed or return_subscription_arn else "pending confirmation"}


_DEFAULTS = {"RawMessageDelivery": "false"}


def confirm(ctx: Context, subscription: Subscription, token: str, kind: str) -> None:
    """Have the endpoint asked, by a message of that kind."""
    where = {"protocol": subscription.protocol, "endpoint": subscription.endpoint}
    ctx.start_job("sns.confirm", f"sns.confirm/{token[:64]}", subscription=subscription.arn, token=token, message=kind, endpoint=where)


def check_endpoint(topic: Topic, protocol: str, endpoint: str) -> str:
    """The endpoint as it is kept. Raises SNS's error, or a 501 for what is not delivered to here."""
    if protocol in NOT_BUILT:
        raise not_built("sns", "Subscribe", f"the protocol {protocol}")
    if protocol not in PROTOCOLS:
        raise invalid(f"Invalid parameter: Does not support this protocol string: {protocol}")
    if protocol in ("http", "https"):
        parts = urlsplit(endpoint)
        if parts.scheme != protocol:
            raise invalid("Endpoint must match the specified protocol")
        if not parts.hostname:
            raise invalid("Endpoint Reason: it has no host")
    if protocol.startswith("email") and not _MAIL.match(endpoint):
        raise invalid("Email address")
    if protocol in ("sqs", "lambda"):
        arn = Arn.parse(endpoint)
        if arn is None or arn.service != protocol or not arn.resource:
            raise invalid(f"{'SQS' if protocol == 'sqs' else 'Lambda'} endpoint ARN")
        if protocol == "sqs" and arn.resource.endswith(".fifo") and not topic.fifo:
            raise invalid("Invalid parameter: Endpoint Reason: FIFO SQS Queues can not be subscribed to standard SNS topics")
    if topic.fifo and protocol != "sqs":
        raise invalid(f"Invalid parameter: Protocol Reason: FIFO topics do not support the protocol {protocol}")
    return endpoint


def check_together(attributes: dict[str, str]) -> None:
    """What attributes say only together."""
    if attributes.get("FilterPolicy"):
        check_filter(attributes["FilterPolicy"], attributes.get("FilterPolicyScope", "MessageAttributes"))


def _existing(ctx: Context, topic: Topic, protocol: str, endpoint: str) -> Subscription | None:
    found = ctx.tx.find(Subscription, "topic", topic.arn)
    return next((one for one in found if (one.protocol, one.endpoint) == (protocol, endpoint)), None)


def _needs_no_confirmation(ctx: Context, protocol: str, endpoint: str) -> bool:
    """A queue or function that the caller's own account owns."""
    arn = Arn.parse(endpoint)
    return protocol in ("sqs", "lambda") and arn is not None and arn.account == ctx.principal.account


# -- ending ---------------------------------------------------------------------------------------------------------------


def on_unsubscribe(ctx: Context, subscription_arn: str, **_: Any) -> list[Need]:
    """Without a signature nobody is asked: who has the ARN may end what does not insist on authentication."""
    if ctx.principal.kind == "anonymous":
        return []
    return on_subscription("Unsubscribe")(ctx, subscription_arn=subscription_arn)


@writes("sns", "Unsubscribe", authorize=on_unsubscribe, acts="SubscriptionArn")
def unsubscribe(ctx: Context, subscription_arn: str) -> Reply:
    topic, subscription = the_subscription(ctx, subscription_arn)
    if subscription.pending:
        raise invalid("SubscriptionArn Reason: Cannot unsubscribe a subscription that is pending confirmation")
    home = at_home(ctx, topic)
    if ctx.principal.kind == "anonymous":
        if subscription.authenticated or subscription.protocol in ("sqs", "lambda"):
            raise AwsError("AuthorizationError", "Subscription cannot be deleted without authentication")
        token = ctx.ids.hex(256)
        home.tx.put(EndedSubscription(token=token, was=subscription))
        confirm(home, subscription, token, FAREWELL)
    drop(home, subscription)
    topic.deleted += 1
    home.tx.put(topic)
    return {}


# -- attributes -----------------------------------------------------------------------------------------------------------


@reads("sns", "GetSubscriptionAttributes", authorize=on_subscription("GetSubscriptionAttributes"), acts="SubscriptionArn")
def get_subscription_attributes(ctx: Context, subscription_arn: str) -> Reply:
    topic, subscription = the_subscription(ctx, subscription_arn)
    return {"Attributes": subscription.described(topic.attributes.get("DeliveryPolicy"))}


@writes(
    "sns",
    "SetSubscriptionAttributes",
    authorize=on_subscription("SetSubscriptionAttributes"),
    acts="SubscriptionArn AttributeName AttributeValue",
)
def set_subscription_attributes(ctx: Context, subscription_arn: str, attribute_name: str, attribute_value: str = "") -> Reply:
    topic, subscription = the_subscription(ctx, subscription_arn)
    value = check_subscription_attribute("SetSubscriptionAttributes", subscription.protocol, attribute_name, attribute_value)
    if attribute_name == "RedrivePolicy" and value and topic.fifo and not dead_letter_arn(value).endswith(".fifo"):
        raise invalid("RedrivePolicy: must use a FIFO queue as DLQ for a FIFO topic")
    if attribute_name == "FilterPolicy" and value == "{}":
        value = ""
    attributes = {name: kept for name, kept in subscription.attributes.items() if name != attribute_name}
    subscription.attributes = attributes | ({attribute_name: value} if value else {})
    check_together(subscription.attributes)
    at_home(ctx, topic).tx.put(subscription)
    return {}

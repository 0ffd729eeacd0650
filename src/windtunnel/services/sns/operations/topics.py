"""Topics and their attributes."""

from __future__ import annotations

from typing import Any

from windtunnel.iam.grammar import validate
from windtunnel.iam.policy import statements_of
from windtunnel.iam.principals import listed
from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import reads, writes
from windtunnel.kernel.tags import by_stack, users_pairs
from windtunnel.services.sns import signing
from windtunnel.services.sns.guard import at_home, find_topic, looked_up, need, on_topic, request_tags, tag_map, the_topic
from windtunnel.services.sns.jobs import topic_gone
from windtunnel.services.sns.model import Subscription, Topic, check_topic_attribute, check_topic_name, invalid

Pairs = list[dict[str, str]]


def on_new_topic(ctx: Context, name: str, tags: Pairs | None = None, **_: Any) -> list[Need]:
    tags = users_pairs(tags)
    asked = request_tags(tags) if tags else {}
    arn = ctx.arn("sns", name)
    return [Need("sns:CreateTopic", arn, asked)] + ([Need("sns:TagResource", arn, asked)] if tags else [])


def with_signers(ctx: Context, args: dict[str, Any]) -> dict[str, Any]:
    """The keys that sign messages are made before the first topic is."""
    return {**args, "signers": signing.make(ctx)}


@writes("sns", "CreateTopic", authorize=on_new_topic, acts="Name Attributes{} Tags[].Key Tags[].Value", prepare=with_signers)
def create_topic(
    ctx: Context,
    name: str,
    attributes: dict[str, str] | None = None,
    tags: Pairs | None = None,
    signers: list[dict[str, str]] | None = None,
) -> Reply:
    given = dict(attributes or {})
    fifo = given.pop("FifoTopic", "false").lower() == "true"
    check_topic_name(name, fifo)
    kept = {key: check_topic_attribute("CreateTopic", key, value, fifo) for key, value in given.items()}
    kept_tags = tag_map({}, tags or [], by_stack(ctx))
    topic = Topic(name=name, account=ctx.scope.account, region=ctx.scope.region, id=int(ctx.ids.hex(15), 16), tags=kept_tags)
    if kept.get("Policy"):
        check_policy(kept["Policy"])
    topic.attributes = {key: value for key, value in kept.items() if value != ""}
    existing = ctx.tx.get(Topic, name)
    if existing is None:
        signing.keep(ctx, signers)
        ctx.tx.insert(topic)
        return {"TopicArn": topic.arn}
    shown = existing.described(0, 0)
    if any(shown.get(key, "") != value for key, value in kept.items()):
        raise invalid("Attributes Reason: Topic already exists with different attributes")
    if tags and topic.tags != existing.tags:
        raise invalid("Tags Reason: Topic already exists with different tags")
    return {"TopicArn": existing.arn}


def check_policy(text: str) -> None:
    try:
        document = validate(text, "resource")
    except AwsError as error:
        if error.status == 501:
            raise
        raise invalid(f"Policy Error: {error.message}") from None
    for statement in statements_of(document):
        for action in listed(statement.get("Action", statement.get("NotAction", ()))):
            if action != "*" and not action.lower().startswith("sns:"):
                raise invalid("Policy statement action out of service scope!")


def on_a_topic_that_may_be_gone(ctx: Context, topic_arn: str, **_: Any) -> list[Need]:
    topic = find_topic(ctx, topic_arn)
    return [need(ctx, topic, "DeleteTopic") if topic is not None else Need("sns:DeleteTopic", topic_arn)]


@writes("sns", "DeleteTopic", authorize=on_a_topic_that_may_be_gone, acts="TopicArn")
def delete_topic(ctx: Context, topic_arn: str) -> Reply:
    """A topic that is not there is deleted already (API reference: no error is returned)."""
    topic = find_topic(ctx, topic_arn)
    if topic is not None:
        home = at_home(ctx, topic)
        topic_gone(home, topic)
        home.tx.delete(Topic, topic.name)
        if topic.fifo:
            home.start_job("sns.forget", f"sns.forget/{topic.id}", topic=topic.id)
    return {}


@reads("sns", "GetTopicAttributes", authorize=on_topic("GetTopicAttributes"), acts="TopicArn", cost="scan")
def get_topic_attributes(ctx: Context, topic_arn: str) -> Reply:
    topic = the_topic(ctx, topic_arn)
    subscriptions = at_home(ctx, topic).tx.find(Subscription, "topic", topic.arn)
    pending = sum(subscription.pending for subscription in subscriptions)
    return {"Attributes": topic.described(len(subscriptions) - pending, pending)}


@writes("sns", "SetTopicAttributes", authorize=on_topic("SetTopicAttributes"), acts="TopicArn AttributeName AttributeValue")
def set_topic_attributes(ctx: Context, topic_arn: str, attribute_name: str, attribute_value: str = "") -> Reply:
    topic = the_topic(ctx, topic_arn)
    value = check_topic_attribute("SetTopicAttributes", attribute_name, attribute_value, topic.fifo)
    if attribute_name == "Policy" and value:
        check_policy(value)
    attributes = {name: kept for name, kept in topic.attributes.items() if name != attribute_name}
    topic.attributes = attributes | ({attribute_name: value} if value else {})
    at_home(ctx, topic).tx.put(topic)
    return {}


def on_protected(ctx: Context, resource_arn: str, **_: Any) -> list[Need]:
    return [need(ctx, looked_up(ctx, resource_arn), "GetDataProtectionPolicy")]


@reads("sns", "GetDataProtectionPolicy", authorize=on_protected, acts="ResourceArn")
def get_data_protection_policy(ctx: Context, resource_arn: str) -> Reply:
    """No topic has one: PutDataProtectionPolicy is not built."""
    the_topic(ctx, resource_arn)
    return {"DataProtectionPolicy": ""}

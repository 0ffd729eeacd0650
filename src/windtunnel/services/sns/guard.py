"""Finding the topic that a call names, and what its caller must be allowed to do (Service Authorization Reference, Amazon SNS)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from windtunnel.kernel.context import Authorize, Context, Need
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.lazy import LazyKeys
from windtunnel.kernel.tags import reserved, users
from windtunnel.services.sns.model import Subscription, Topic, invalid, subscription_arn, topic_arn

SOURCE_OWNERS = ("cloudwatch.amazonaws.com", "codecommit.amazonaws.com")
"""Services for which `AWS:SourceOwner` holds, so that a topic's default policy lets them publish."""


def find_topic(ctx: Context, arn: str) -> Topic | None:
    parts = topic_arn(arn)
    if (parts.account, parts.region) == (ctx.scope.account, ctx.scope.region):
        return ctx.tx.get(Topic, parts.resource)
    return ctx.tx.within(parts.account, parts.region).get(Topic, parts.resource)


def the_topic(ctx: Context, arn: str) -> Topic:
    """The topic; NotFound. To a handler the one that its authorization has found."""
    topic: Topic | None = ctx.found.pop(arn, None) or find_topic(ctx, arn)
    if topic is None:
        raise AwsError("NotFound", "Topic does not exist")
    return topic


def at_home(ctx: Context, topic: Topic) -> Context:
    """The context in the topic's own account and region, where its record and its subscriptions are."""
    return ctx if (topic.account, topic.region) == (ctx.scope.account, ctx.scope.region) else ctx.in_scope(topic.account, topic.region)


def topic_of_subscription(ctx: Context, arn: str) -> Topic | None:
    parts = subscription_arn(arn)
    return ctx.tx.within(parts.account, parts.region).get(Topic, parts.resource.partition(":")[0])


def the_subscription(ctx: Context, arn: str) -> tuple[Topic, Subscription]:
    topic = topic_of_subscription(ctx, arn)
    found = None if topic is None else at_home(ctx, topic).tx.get(Subscription, arn)
    if topic is None or found is None:
        raise AwsError("NotFound", "Subscription does not exist")
    return topic, found


def need(ctx: Context, topic: Topic, action: str, context: Mapping[str, Any] | None = None) -> Need:
    tags, keys = topic.tags, dict(context or {})
    if ctx.principal.kind == "service" and ctx.principal.name in SOURCE_OWNERS:
        keys["aws:SourceOwner"] = ctx.principal.account
    found: Mapping[str, Any] = keys
    if tags:
        found = LazyKeys(lambda: {**{f"aws:ResourceTag/{key}": value for key, value in tags.items()}, **keys})
    # The default policy speaks of services only: to everyone else it is as if there were none.
    policy = topic.policy if "Policy" in topic.attributes or "aws:SourceOwner" in keys else None
    return Need(f"sns:{action}", topic.arn, found, policy, topic.account)


def on_topic(action: str) -> Authorize:
    def authorize(ctx: Context, topic_arn: str, **_: Any) -> list[Need]:
        return [need(ctx, looked_up(ctx, topic_arn), action)]

    return authorize


def looked_up(ctx: Context, arn: str) -> Topic:
    """As the_topic, for an authorization: always read, and kept for the handler."""
    ctx.found.pop(arn, None)
    topic = ctx.found[arn] = the_topic(ctx, arn)
    return topic


def on_resource(action: str) -> Authorize:
    """Tags: of topics only."""

    def authorize(
        ctx: Context, resource_arn: str, tags: list[dict[str, str]] | None = None, tag_keys: list[str] | None = None, **_: Any
    ) -> list[Need]:
        asked = request_tags(tags) if tags else {"aws:TagKeys": tag_keys} if tag_keys else {}
        return [need(ctx, tagged_topic(ctx, resource_arn), action, asked)]

    return authorize


def tagged_topic(ctx: Context, arn: str) -> Topic:
    topic = find_topic(ctx, arn)
    if topic is None:
        raise AwsError("ResourceNotFound", "Resource does not exist")
    return topic


def on_subscription(action: str) -> Authorize:
    """Whoever owns the subscription needs no leave of the topic's owner, and the topic's owner none of its; nobody else may anything."""

    def authorize(ctx: Context, subscription_arn: str, **_: Any) -> list[Need]:
        topic = topic_of_subscription(ctx, subscription_arn)
        if topic is None:
            raise AwsError("NotFound", "Subscription does not exist")
        found = at_home(ctx, topic).tx.get(Subscription, subscription_arn)
        asked = need(ctx, topic, action)
        return [asked._replace(account=None) if found is not None and found.owner == ctx.principal.account else asked]

    return authorize


def check_tag_keys(keys: list[str], stack: bool) -> None:
    if any(not key or len(key) > 128 or reserved(key, stack) for key in keys):
        raise invalid("Tag keys are 1 to 128 characters long and do not begin with aws:")


def request_tags(tags: list[dict[str, str]]) -> dict[str, Any]:
    return {f"aws:RequestTag/{tag['Key']}": tag["Value"] for tag in tags} | {"aws:TagKeys": [tag["Key"] for tag in tags]}


def tag_map(old: dict[str, str], given: list[dict[str, str]], stack: bool = False) -> dict[str, str]:
    """stack: whether CloudFormation sets them, its own among them."""
    if len({tag["Key"] for tag in given}) != len(given):
        raise invalid("Duplicated keys are not allowed.")
    check_tag_keys([tag["Key"] for tag in given], stack)
    tags = {**old, **{tag["Key"]: tag["Value"] for tag in given}}
    if len(users(tags)) > 50:
        raise AwsError("TagLimitExceeded", "Could not complete request: tag quota of per resource exceeded")
    return tags

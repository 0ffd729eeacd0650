"""ListTopics, ListSubscriptions, ListSubscriptionsByTopic: a hundred a page."""

from __future__ import annotations

from typing import Any

from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.registry import reads
from windtunnel.services.sns.elsewhere import made_here
from windtunnel.services.sns.guard import at_home, on_topic, the_topic
from windtunnel.services.sns.model import Subscription, Topic

PAGE = 100


def on_all(action: str) -> Any:
    def authorize(ctx: Context, **_: Any) -> list[Need]:
        return [Need(f"sns:{action}", "*")]

    return authorize


@reads("sns", "ListTopics", authorize=on_all("ListTopics"), acts="NextToken", cost="scan")
def list_topics(ctx: Context, next_token: str | None = None) -> Reply:
    found = ctx.tx.scan(Topic, after=next_token or None, limit=PAGE + 1)
    reply: Reply = {"Topics": [{"TopicArn": topic.arn} for topic in found[:PAGE]]}
    return reply | ({"NextToken": found[PAGE - 1].key()} if len(found) > PAGE else {})


def _page(found: list[Subscription]) -> Reply:
    reply: Reply = {"Subscriptions": [subscription.listed() for subscription in found[:PAGE]]}
    return reply | ({"NextToken": found[PAGE - 1].key()} if len(found) > PAGE else {})


@reads("sns", "ListSubscriptions", authorize=on_all("ListSubscriptions"), acts="NextToken", cost="scan")
def list_subscriptions(ctx: Context, next_token: str | None = None) -> Reply:
    """The caller's own, to whosever topics in this region."""
    found: list[Subscription] = []
    after = next_token or None
    while len(found) <= PAGE:
        some = ctx.tx.scan(Subscription, after=after, limit=PAGE + 1)
        found += [subscription for subscription in some if subscription.owner == ctx.scope.account]
        if len(some) <= PAGE:
            break
        after = some[-1].key()
    found += made_here(ctx, next_token or None, PAGE + 1)
    return _page(sorted(found, key=Subscription.key))


@reads("sns", "ListSubscriptionsByTopic", authorize=on_topic("ListSubscriptionsByTopic"), acts="TopicArn NextToken", cost="scan")
def list_subscriptions_by_topic(ctx: Context, topic_arn: str, next_token: str | None = None) -> Reply:
    topic = the_topic(ctx, topic_arn)
    return _page(at_home(ctx, topic).tx.find(Subscription, "topic", topic.arn, after=next_token or None, limit=PAGE + 1))

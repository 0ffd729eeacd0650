"""Subscriptions to other accounts' topics, for those who made them: they are kept with the topic, and listed by both.

Invariant: a subscription of another account is written and removed here, with its pointer in the owner's account, in one transaction.
"""

from __future__ import annotations

from windtunnel.kernel.context import Context
from windtunnel.services.sns.model import Subscription, SubscriptionElsewhere, topic_arn


def keep(home: Context, subscription: Subscription) -> None:
    """home: where the topic is."""
    home.tx.put(subscription)
    if subscription.owner != home.scope.account:
        home.tx.within(subscription.owner, home.scope.region).put(SubscriptionElsewhere(arn=subscription.arn))


def drop(home: Context, subscription: Subscription) -> None:
    home.tx.delete(Subscription, subscription.key())
    if subscription.owner != home.scope.account:
        home.tx.within(subscription.owner, home.scope.region).delete(SubscriptionElsewhere, subscription.arn)


def made_here(ctx: Context, after: str | None, limit: int) -> list[Subscription]:
    """Those to other accounts' topics that are after an ARN."""
    found = []
    for pointer in ctx.tx.scan(SubscriptionElsewhere, after=after, limit=limit):
        there = ctx.tx.within(topic_arn(pointer.arn.rpartition(":")[0]).account, ctx.scope.region).get(Subscription, pointer.arn)
        if there is not None:
            found.append(there)
    return found

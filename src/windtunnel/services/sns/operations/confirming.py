"""ConfirmSubscription: whoever holds the token speaks for the endpoint."""

from __future__ import annotations

from typing import Any

from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.registry import writes
from windtunnel.services.sns.elsewhere import keep
from windtunnel.services.sns.guard import at_home, looked_up, need, the_topic
from windtunnel.services.sns.model import EndedSubscription, Subscription, invalid


def on_confirm(ctx: Context, topic_arn: str, **_: Any) -> list[Need]:
    """The link in a confirmation is followed without a signature."""
    return [] if ctx.principal.kind == "anonymous" else [need(ctx, looked_up(ctx, topic_arn), "ConfirmSubscription")]


@writes("sns", "ConfirmSubscription", authorize=on_confirm, acts="TopicArn Token AuthenticateOnUnsubscribe")
def confirm_subscription(ctx: Context, topic_arn: str, token: str, authenticate_on_unsubscribe: str = "false") -> Reply:
    topic = the_topic(ctx, topic_arn)
    home = at_home(ctx, topic)
    signed = ctx.principal.kind != "anonymous"
    found = home.tx.find(Subscription, "token", token, limit=1) if token else []
    ended = home.tx.get(EndedSubscription, token) if token and not found else None
    subscription = found[0] if found else ended.was if ended is not None else None
    if subscription is None or subscription.topic != topic.arn:
        raise invalid("Token")
    subscription.token = ""
    subscription.confirmed_by_signature = signed
    subscription.authenticated = signed and authenticate_on_unsubscribe.lower() == "true"
    if ended is not None:
        home.tx.delete(EndedSubscription, token)
    keep(home, subscription)
    return {"SubscriptionArn": subscription.arn}

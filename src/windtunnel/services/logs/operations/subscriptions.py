"""Subscription filters (subscribing.py delivers)."""

from __future__ import annotations

from typing import Any

from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import reads, writes
from windtunnel.services.logs.model import group_or_error, need, page_token, parse_page_token
from windtunnel.services.logs.patterns import compile_pattern
from windtunnel.services.logs.subscribing import Subscription, check

MAX_FILTERS = 2


def on_group(action: str) -> Any:
    def authorize(ctx: Context, log_group_name: str, role_arn: str = "", **_: Any) -> list[Need]:
        needs = need(ctx, action, log_group_name)
        if role_arn:
            needs.append(Need("iam:PassRole", role_arn, {"iam:PassedToService": "logs.amazonaws.com"}))
        return needs

    return authorize


@writes(
    "logs",
    "PutSubscriptionFilter",
    authorize=on_group("PutSubscriptionFilter"),
    acts="logGroupName filterName filterPattern destinationArn distribution",
    default_only={"applyOnTransformedLogs": False},
)
def put_subscription_filter(
    ctx: Context,
    log_group_name: str,
    filter_name: str,
    filter_pattern: str,
    destination_arn: str,
    distribution: str = "ByLogStream",
    apply_on_transformed_logs: bool = False,
) -> Reply:
    group = group_or_error(ctx, log_group_name)
    if group.log_class != "STANDARD":
        raise AwsError("InvalidOperationException", f"Subscription filters are not supported for the log group class {group.log_class}.")
    compile_pattern(filter_pattern)
    others = [found for found in ctx.tx.scan(Subscription, prefix=f"{log_group_name}:") if found.name != filter_name]
    if len(others) >= MAX_FILTERS:
        raise AwsError("LimitExceededException", "Resource limit exceeded.")
    check(ctx, log_group_name, destination_arn)
    ctx.tx.put(
        Subscription(
            group=log_group_name,
            name=filter_name,
            pattern=filter_pattern,
            destination=destination_arn,
            distribution=distribution,
            created=int(ctx.now * 1000),
        )
    )
    group.subscribed = True
    ctx.tx.put(group)
    return {}


@reads(
    "logs",
    "DescribeSubscriptionFilters",
    authorize=on_group("DescribeSubscriptionFilters"),
    acts="logGroupName filterNamePrefix nextToken limit",
    cost="scan",
)
def describe_subscription_filters(
    ctx: Context, log_group_name: str, filter_name_prefix: str = "", next_token: str | None = None, limit: int = 50
) -> Reply:
    group_or_error(ctx, log_group_name)
    prefix = f"{log_group_name}:"
    after = prefix + parse_page_token(next_token, str)[0] if next_token else None
    found = ctx.tx.scan(Subscription, prefix=prefix + filter_name_prefix, after=after, limit=limit + 1)
    reply: Reply = {"subscriptionFilters": [one.described() for one in found[:limit]]}
    if len(found) > limit:
        reply["nextToken"] = page_token(found[limit - 1].name)
    return reply


@writes("logs", "DeleteSubscriptionFilter", authorize=on_group("DeleteSubscriptionFilter"), acts="logGroupName filterName")
def delete_subscription_filter(ctx: Context, log_group_name: str, filter_name: str) -> Reply:
    group = group_or_error(ctx, log_group_name)
    if not ctx.tx.delete(Subscription, f"{log_group_name}:{filter_name}"):
        raise AwsError("ResourceNotFoundException", "The specified subscription filter does not exist.")
    group.subscribed = bool(ctx.tx.scan(Subscription, prefix=f"{log_group_name}:", limit=1))
    ctx.tx.put(group)
    return {}

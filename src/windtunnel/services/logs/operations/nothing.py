"""What nobody here can have made, asked about: metric filters, deliveries, destinations, anomaly detectors, account and index policies, queries.

Invariant: making any of these is refused by name (they need metrics, Kinesis, OpenSearch or Insights, which are not built), so the answer to
a question is AWS's for an account that has none.
"""

from __future__ import annotations

from typing import Any

from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import reads
from windtunnel.services.logs.model import group_name, group_or_error, need


def _none(operation: str, member: str, acts: str) -> None:
    def authorize(ctx: Context, **asked: Any) -> list[Need]:
        return need(ctx, operation, asked["log_group_name"]) if asked.get("log_group_name") else [Need(f"logs:{operation}", "*")]

    @reads("logs", operation, authorize=authorize, acts=acts)
    def answer(ctx: Context, **asked: Any) -> Reply:
        if asked.get("log_group_name"):
            group_or_error(ctx, asked["log_group_name"])
        return {member: []}


_none("DescribeMetricFilters", "metricFilters", "logGroupName filterNamePrefix nextToken limit metricName metricNamespace")
_none("DescribeDestinations", "destinations", "DestinationNamePrefix nextToken limit")
_none("DescribeDeliveries", "deliveries", "nextToken limit")
_none("DescribeDeliveryDestinations", "deliveryDestinations", "nextToken limit")
_none("DescribeDeliverySources", "deliverySources", "nextToken limit")
_none("DescribeAccountPolicies", "accountPolicies", "policyType policyName accountIdentifiers[] nextToken")
_none("DescribeQueries", "queries", "logGroupName status maxResults nextToken queryLanguage")
_none("ListLogAnomalyDetectors", "anomalyDetectors", "filterLogGroupArn limit nextToken")


def on_first(operation: str) -> Any:
    def authorize(ctx: Context, log_group_identifiers: list[str], **_: Any) -> list[Need]:
        return [one for given in log_group_identifiers for one in need(ctx, operation, group_name(None, given))]

    return authorize


@reads("logs", "DescribeIndexPolicies", authorize=on_first("DescribeIndexPolicies"), acts="logGroupIdentifiers[] nextToken")
def describe_index_policies(ctx: Context, log_group_identifiers: list[str], next_token: str | None = None) -> Reply:
    for given in log_group_identifiers:
        group_or_error(ctx, group_name(None, given))
    return {"indexPolicies": []}


@reads("logs", "DescribeFieldIndexes", authorize=on_first("DescribeFieldIndexes"), acts="logGroupIdentifiers[] nextToken")
def describe_field_indexes(ctx: Context, log_group_identifiers: list[str], next_token: str | None = None) -> Reply:
    for given in log_group_identifiers:
        group_or_error(ctx, group_name(None, given))
    return {"fieldIndexes": []}


def on_one(operation: str) -> Any:
    def authorize(ctx: Context, log_group_identifier: str, **_: Any) -> list[Need]:
        return need(ctx, operation, group_name(None, log_group_identifier))

    return authorize


@reads("logs", "GetDataProtectionPolicy", authorize=on_one("GetDataProtectionPolicy"), acts="logGroupIdentifier")
def get_data_protection_policy(ctx: Context, log_group_identifier: str) -> Reply:
    group_or_error(ctx, group_name(None, log_group_identifier))
    return {"logGroupIdentifier": log_group_identifier}


@reads("logs", "GetTransformer", authorize=on_one("GetTransformer"), acts="logGroupIdentifier")
def get_transformer(ctx: Context, log_group_identifier: str) -> Reply:
    group_or_error(ctx, group_name(None, log_group_identifier))
    raise AwsError("ResourceNotFoundException", "The specified log group does not have a transformer.")

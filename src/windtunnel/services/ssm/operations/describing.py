"""DescribeParameters."""

from __future__ import annotations

from typing import Any

from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.registry import reads
from windtunnel.services.ssm.filters import compile_filters
from windtunnel.services.ssm.model import Parameter, parameter_arn
from windtunnel.services.ssm.paging import decode_token, encode_token

PAGE = 50
_BATCH = 200


def on_everything(ctx: Context, **_: Any) -> list[Need]:
    return [Need("ssm:DescribeParameters", ctx.arn("ssm", "*"))]


@reads(
    "ssm",
    "DescribeParameters",
    authorize=on_everything,
    acts="ParameterFilters[].Key ParameterFilters[].Option ParameterFilters[].Values[] MaxResults NextToken",
    default_only={"Shared": False},
    cost="scan",
)
def describe_parameters(
    ctx: Context,
    parameter_filters: list[dict[str, Any]] | None = None,
    max_results: int = PAGE,
    next_token: str | None = None,
    shared: bool = False,
) -> Reply:
    passes = compile_filters(parameter_filters or [], "describe")
    after = decode_token(next_token)
    found: list[Parameter] = []
    while len(found) <= max_results:
        batch = ctx.tx.scan(Parameter, after=after, limit=_BATCH)
        found += [parameter for parameter in batch if passes(parameter)]
        if len(batch) < _BATCH:
            break
        after = batch[-1].name
    page = found[:max_results]
    reply: Reply = {"Parameters": [_metadata(ctx, parameter) for parameter in page]}
    if len(found) > max_results:
        reply["NextToken"] = encode_token(page[-1].name)
    return reply


def _metadata(ctx: Context, parameter: Parameter) -> Reply:
    entry = parameter.current
    item: Reply = {
        "Name": parameter.name,
        "ARN": parameter_arn(ctx.scope, parameter.name),
        "Type": entry.type,
        "LastModifiedDate": entry.modified,
        "LastModifiedUser": entry.user,
        "Version": entry.version,
        "Tier": entry.tier,
        "Policies": [policy.shown() for policy in entry.policies],
        "DataType": entry.data_type,
    }
    if entry.key_id:
        item["KeyId"] = entry.key_id
    if entry.description:
        item["Description"] = entry.description
    if entry.allowed_pattern:
        item["AllowedPattern"] = entry.allowed_pattern
    return item

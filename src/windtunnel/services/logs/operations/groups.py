"""Log groups: create, delete, describe, and how long they keep what they hold."""

from __future__ import annotations

from typing import Any

from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import reads, writes
from windtunnel.services.logs.model import (
    RETENTION_DAYS,
    LogGroup,
    LogStream,
    group_or_error,
    need,
    page_token,
    parse_page_token,
)


def on_group(action: str) -> Any:
    def authorize(ctx: Context, log_group_name: str, **_: Any) -> list[Need]:
        return need(ctx, action, log_group_name)

    return authorize


def on_new_group(ctx: Context, log_group_name: str, tags: dict[str, str] | None = None, **_: Any) -> list[Need]:
    [found] = need(ctx, "CreateLogGroup", log_group_name)
    if not tags:
        return [found]
    asked = {f"aws:RequestTag/{key}": value for key, value in tags.items()} | {"aws:TagKeys": list(tags)}
    return [found._replace(context=asked), Need("logs:TagResource", found.resource, asked)]


def on_any_group(ctx: Context, **_: Any) -> list[Need]:
    return need(ctx, "DescribeLogGroups", "")


@writes(
    "logs",
    "CreateLogGroup",
    authorize=on_new_group,
    acts="logGroupName tags{}",
    default_only={"logGroupClass": "STANDARD", "deletionProtectionEnabled": False},
)
def create_log_group(
    ctx: Context,
    log_group_name: str,
    tags: dict[str, str] | None = None,
    log_group_class: str = "STANDARD",
    deletion_protection_enabled: bool = False,
) -> Reply:
    if log_group_name.startswith("aws/"):
        raise AwsError("InvalidParameterException", "Log groups starting with AWS/ are reserved for AWS.")
    if ctx.tx.get(LogGroup, log_group_name) is not None:
        raise AwsError("ResourceAlreadyExistsException", "The specified log group already exists")
    ctx.tx.insert(LogGroup(name=log_group_name, created=int(ctx.now * 1000), tags=dict(tags or {})))
    return {}


@writes("logs", "DeleteLogGroup", authorize=on_group("DeleteLogGroup"), acts="logGroupName")
def delete_log_group(ctx: Context, log_group_name: str) -> Reply:
    group_or_error(ctx, log_group_name)
    for stream in ctx.tx.scan(LogStream, prefix=f"{log_group_name}:"):
        ctx.tx.delete(LogStream, stream.key())
    ctx.tx.drop_logs(log_group_name)
    ctx.tx.delete(LogGroup, log_group_name)
    return {}


@reads(
    "logs",
    "DescribeLogGroups",
    authorize=on_any_group,
    acts="logGroupNamePrefix logGroupNamePattern nextToken limit logGroupClass logGroupIdentifiers[]",
    default_only={"includeLinkedAccounts": False},
    cost="scan",
)
def describe_log_groups(
    ctx: Context,
    log_group_name_prefix: str = "",
    log_group_name_pattern: str = "",
    next_token: str | None = None,
    limit: int = 50,
    log_group_class: str = "STANDARD",
    log_group_identifiers: list[str] | None = None,
    include_linked_accounts: bool = False,
) -> Reply:
    if log_group_name_prefix and log_group_name_pattern:
        raise AwsError("InvalidParameterException", "LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters.")
    if log_group_class != "STANDARD":
        return {"logGroups": []}
    after = parse_page_token(next_token, str)[0] if next_token else None
    wanted = {identifier.split(":log-group:")[-1].removesuffix(":*") for identifier in log_group_identifiers or []}
    pattern = log_group_name_pattern.lower()
    found = [
        group
        for group in ctx.tx.scan(LogGroup, prefix=log_group_name_prefix, after=after)
        if pattern in group.name.lower() and (not wanted or group.name in wanted)
    ]
    reply: Reply = {"logGroups": [group.described(ctx.scope, stored_bytes(ctx, group.name)) for group in found[:limit]]}
    if len(found) > limit:
        reply["nextToken"] = page_token(found[limit - 1].name)
    return reply


def stored_bytes(ctx: Context, group: str) -> int:
    return sum(stream.stored for stream in ctx.tx.scan(LogStream, prefix=f"{group}:"))


@writes("logs", "PutRetentionPolicy", authorize=on_group("PutRetentionPolicy"), acts="logGroupName retentionInDays")
def put_retention_policy(ctx: Context, log_group_name: str, retention_in_days: int) -> Reply:
    if retention_in_days not in RETENTION_DAYS:
        allowed = ", ".join(map(str, RETENTION_DAYS))
        raise AwsError(
            "InvalidParameterException",
            f"1 validation error detected: Value '{retention_in_days}' at 'retentionInDays' failed to satisfy constraint: "
            f"Member must satisfy enum value set: [{allowed}]",
        )
    group = group_or_error(ctx, log_group_name)
    group.retention = retention_in_days
    ctx.tx.put(group)
    return {}


@writes("logs", "DeleteRetentionPolicy", authorize=on_group("DeleteRetentionPolicy"), acts="logGroupName")
def delete_retention_policy(ctx: Context, log_group_name: str) -> Reply:
    group = group_or_error(ctx, log_group_name)
    group.retention = None
    ctx.tx.put(group)
    return {}

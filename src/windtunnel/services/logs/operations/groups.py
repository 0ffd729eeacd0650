"""Log groups: create, delete, describe, and how long they keep what they hold."""

from __future__ import annotations

from typing import Any

from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import reads, writes
from windtunnel.kernel.tags import users
from windtunnel.services.logs.marking import checked_tags
from windtunnel.services.logs.model import (
    RETENTION_DAYS,
    LogGroup,
    LogStream,
    group_arn,
    group_name,
    group_or_error,
    need,
    page_token,
    parse_page_token,
)
from windtunnel.services.logs.retention import forget_later
from windtunnel.services.logs.sealing import DataKey, new_data_key
from windtunnel.services.logs.subscribing import Subscription

DELIVERY_DAYS = 2


def on_group(action: str) -> Any:
    def authorize(ctx: Context, log_group_name: str, **_: Any) -> list[Need]:
        return need(ctx, action, log_group_name)

    return authorize


def on_new_group(ctx: Context, log_group_name: str, tags: dict[str, str] | None = None, **_: Any) -> list[Need]:
    [found] = need(ctx, "CreateLogGroup", log_group_name)
    tags = users(tags or {})
    if not tags:
        return [found]
    asked = {f"aws:RequestTag/{key}": value for key, value in tags.items()} | {"aws:TagKeys": list(tags)}
    return [found._replace(context=asked), Need("logs:TagResource", found.resource, asked)]


def on_identified(action: str) -> Any:
    def authorize(ctx: Context, log_group_identifier: str, **_: Any) -> list[Need]:
        return need(ctx, action, group_name(None, log_group_identifier))

    return authorize


def on_list(ctx: Context, **_: Any) -> list[Need]:
    return need(ctx, "ListLogGroups", "")


def on_any_group(ctx: Context, **_: Any) -> list[Need]:
    return need(ctx, "DescribeLogGroups", "")


@writes(
    "logs",
    "CreateLogGroup",
    authorize=on_new_group,
    acts="logGroupName tags{} kmsKeyId logGroupClass deletionProtectionEnabled",
)
def create_log_group(
    ctx: Context,
    log_group_name: str,
    tags: dict[str, str] | None = None,
    kms_key_id: str = "",
    log_group_class: str = "STANDARD",
    deletion_protection_enabled: bool = False,
) -> Reply:
    if log_group_name.startswith("aws/"):
        raise AwsError("InvalidParameterException", "Log groups starting with AWS/ are reserved for AWS.")
    if ctx.tx.get(LogGroup, log_group_name) is not None:
        raise AwsError("ResourceAlreadyExistsException", "The specified log group already exists")
    group = LogGroup(
        name=log_group_name,
        created=int(ctx.now * 1000),
        tags=checked_tags(ctx, {}, tags or {}),
        log_class=log_group_class,
        protected=deletion_protection_enabled,
        retention=DELIVERY_DAYS if log_group_class == "DELIVERY" else None,
    )
    if kms_key_id:
        new_data_key(ctx, group, kms_key_id)
    ctx.tx.insert(group)
    if group.retention is not None:
        forget_later(ctx)
    return {}


@writes("logs", "DeleteLogGroup", authorize=on_group("DeleteLogGroup"), acts="logGroupName")
def delete_log_group(ctx: Context, log_group_name: str) -> Reply:
    group = group_or_error(ctx, log_group_name)
    if group.protected:
        raise AwsError("ValidationException", f"The log group {log_group_name} has deletion protection enabled and cannot be deleted.")
    for kind in (LogStream, Subscription, DataKey):
        for found in ctx.tx.scan(kind, prefix=f"{log_group_name}:"):
            ctx.tx.delete(kind, found.key())
    ctx.tx.drop_logs(log_group_name)
    ctx.tx.delete(LogGroup, log_group_name)
    return {}


@writes(
    "logs",
    "PutLogGroupDeletionProtection",
    authorize=on_identified("PutLogGroupDeletionProtection"),
    acts="logGroupIdentifier deletionProtectionEnabled",
)
def put_log_group_deletion_protection(ctx: Context, log_group_identifier: str, deletion_protection_enabled: bool) -> Reply:
    group = group_or_error(ctx, group_name(None, log_group_identifier))
    group.protected = deletion_protection_enabled
    ctx.tx.put(group)
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
    log_group_class: str = "",
    log_group_identifiers: list[str] | None = None,
    include_linked_accounts: bool = False,
) -> Reply:
    if log_group_name_prefix and log_group_name_pattern:
        raise AwsError("InvalidParameterException", "LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters.")
    after = parse_page_token(next_token, str)[0] if next_token else None
    wanted = {identifier.split(":log-group:")[-1].removesuffix(":*") for identifier in log_group_identifiers or []}
    pattern = log_group_name_pattern.lower()
    found = [
        group
        for group in ctx.tx.scan(LogGroup, prefix=log_group_name_prefix, after=after)
        if pattern in group.name.lower()
        and (not wanted or group.name in wanted)
        and (not log_group_class or group.log_class == log_group_class)
    ]
    reply: Reply = {"logGroups": [group.described(ctx.scope, stored_bytes(ctx, group.name)) for group in found[:limit]]}
    if len(found) > limit:
        reply["nextToken"] = page_token(found[limit - 1].name)
    return reply


@reads(
    "logs",
    "ListLogGroups",
    authorize=on_list,
    acts="logGroupNamePattern logGroupClass nextToken limit logGroupTags[].key logGroupTags[].values[]",
    default_only={"includeLinkedAccounts": False},
    cost="scan",
)
def list_log_groups(
    ctx: Context,
    log_group_name_pattern: str = "",
    log_group_class: str = "",
    next_token: str | None = None,
    limit: int = 50,
    log_group_tags: list[dict[str, Any]] | None = None,
    include_linked_accounts: bool = False,
) -> Reply:
    """The pattern is one or more names joined by `|`, each found anywhere, or at the beginning with `^`."""
    after = parse_page_token(next_token, str)[0] if next_token else None
    found = [
        group
        for group in ctx.tx.scan(LogGroup, after=after)
        if _named(group.name, log_group_name_pattern)
        and (not log_group_class or group.log_class == log_group_class)
        and all(_tagged(group, asked) for asked in log_group_tags or ())
    ]
    shown = [
        {"logGroupName": group.name, "logGroupArn": group_arn(ctx.scope, group.name), "logGroupClass": group.log_class}
        for group in found[:limit]
    ]
    reply: Reply = {"logGroups": shown}
    if len(found) > limit:
        reply["nextToken"] = page_token(found[limit - 1].name)
    return reply


def _named(name: str, pattern: str) -> bool:
    return any(name.startswith(part[1:]) if part.startswith("^") else part in name for part in pattern.split("|"))


def _tagged(group: LogGroup, asked: dict[str, Any]) -> bool:
    return asked["key"] in group.tags and (not asked.get("values") or group.tags[asked["key"]] in asked["values"])


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
    _check_kept_as_it_is(group)
    group.retention = retention_in_days
    ctx.tx.put(group)
    forget_later(ctx)
    return {}


def _check_kept_as_it_is(group: LogGroup) -> None:
    if group.log_class == "DELIVERY":
        raise AwsError("InvalidParameterException", f"The retention of a log group of the class DELIVERY is {DELIVERY_DAYS} days.")


@writes("logs", "DeleteRetentionPolicy", authorize=on_group("DeleteRetentionPolicy"), acts="logGroupName")
def delete_retention_policy(ctx: Context, log_group_name: str) -> Reply:
    group = group_or_error(ctx, log_group_name)
    _check_kept_as_it_is(group)
    group.retention = None
    ctx.tx.put(group)
    return {}

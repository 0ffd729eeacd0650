"""Trails: create, update, delete, describe, start and stop.

Invariant: a trail that logs has exactly one run (delivering.py); whatever changes how it delivers begins a new one.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import reads, writes
from windtunnel.kernel.tags import by_stack, reserved, users_pairs
from windtunnel.services.cloudtrail import destinations
from windtunnel.services.cloudtrail.delivering import begin, end
from windtunnel.services.cloudtrail.trails import (
    MAX_TRAILS,
    SERVICE,
    Named,
    Trail,
    check_name,
    described,
    find,
    need,
    of_account,
    own_trail,
    trail_arn,
    trail_or_error,
)

MEMBERS = (
    "Name S3BucketName S3KeyPrefix SnsTopicName IncludeGlobalServiceEvents IsMultiRegionTrail EnableLogFileValidation"
    " CloudWatchLogsLogGroupArn CloudWatchLogsRoleArn KmsKeyId"
)
NO_ORGANIZATION = {"IsOrganizationTrail": False}
PAGE = 100


def on_change(action: str) -> Any:
    def authorize(
        ctx: Context, name: str, tags_list: list[dict[str, str]] | None = None, cloud_watch_logs_role_arn: str = "", **_: Any
    ) -> list[Need]:
        asked: dict[str, Any] = {}
        tags_list = users_pairs(tags_list)
        if tags_list:
            asked = {f"aws:RequestTag/{tag['Key']}": tag.get("Value", "") for tag in tags_list}
            asked["aws:TagKeys"] = [tag["Key"] for tag in tags_list]
        needs = need(ctx, action, name, asked)
        if tags_list:
            needs += need(ctx, "AddTags", name, asked)
        if cloud_watch_logs_role_arn:
            needs.append(Need("iam:PassRole", cloud_watch_logs_role_arn, {"iam:PassedToService": SERVICE}))
        return needs

    return authorize


def on_any(action: str) -> Any:
    def authorize(ctx: Context, **_: Any) -> list[Need]:
        return [Need(f"cloudtrail:{action}", "*")]

    return authorize


@writes(
    "cloudtrail",
    "CreateTrail",
    authorize=on_change("CreateTrail"),
    acts=f"{MEMBERS} TagsList[].Key TagsList[].Value",
    default_only=NO_ORGANIZATION,
)
def create_trail(
    ctx: Context,
    name: str,
    s3_bucket_name: str,
    tags_list: list[dict[str, str]] | None = None,
    is_organization_trail: bool = False,
    **said: Any,
) -> Reply:
    check_name(name)
    if ctx.tx.get(Trail, name) is not None:
        raise AwsError("TrailAlreadyExistsException", f"Trail {name} already exists for customer: {ctx.scope.account}")
    if ctx.tx.count(Trail) >= MAX_TRAILS:
        raise AwsError(
            "MaximumNumberOfTrailsExceededException", f"User: {ctx.scope.account} already has {MAX_TRAILS} trails in {ctx.scope.region}."
        )
    trail = Trail(name=name, bucket=s3_bucket_name, tags=tags_of(ctx, tags_list or []))
    _set(ctx, trail, said)
    destinations.check(ctx, trail)
    ctx.tx.insert(trail)
    ctx.cloud.part("audit").trails_changed(ctx)
    return described(trail, ctx.scope, whole=False)


def tags_of(ctx: Context, tags: list[dict[str, str]]) -> dict[str, str]:
    if len(users_pairs(tags)) > 50:
        raise AwsError("TagsLimitExceededException", "The number of tags per trail has exceeded the permitted amount. The limit is 50.")
    stack = by_stack(ctx)
    if any(reserved(tag["Key"], stack) for tag in tags):
        raise AwsError("InvalidTagParameterException", "Tag keys that begin with aws: are reserved for AWS.")
    return {tag["Key"]: tag.get("Value", "") for tag in tags}


def _set(ctx: Context, trail: Trail, said: dict[str, Any]) -> None:
    """Take over what was said; what was not stays as it is."""
    fields = {
        "s3_bucket_name": "bucket",
        "s3_key_prefix": "prefix",
        "include_global_service_events": "global_events",
        "is_multi_region_trail": "multi_region",
        "enable_log_file_validation": "validation",
        "cloud_watch_logs_log_group_arn": "log_group",
        "cloud_watch_logs_role_arn": "log_role",
    }
    for member, field in fields.items():
        if said.get(member) is not None:
            setattr(trail, field, said[member])
    if len(trail.prefix) > 200:
        raise AwsError("InvalidS3PrefixException", "S3 prefix is longer than maximum length of 200.")
    trail.prefix = trail.prefix.strip("/")
    if trail.multi_region and not trail.global_events:
        raise AwsError("InvalidParameterCombinationException", "Multi-Region trail must include global service events.")
    topic = said.get("sns_topic_name")
    if topic is not None:
        trail.topic = topic if topic.startswith("arn:") or not topic else ctx.scope.arn("sns", topic)
    if said.get("kms_key_id") is not None:
        trail.kms_key = _key_arn(ctx, said["kms_key_id"])


def _key_arn(ctx: Context, given: str) -> str:
    """CloudTrail keeps the ARN, of a key or an alias, however it was named."""
    if not given or given.startswith("arn:"):
        return given
    return ctx.scope.arn("kms", given if given.startswith("alias/") else f"key/{given}")


@writes("cloudtrail", "UpdateTrail", authorize=on_change("UpdateTrail"), acts=MEMBERS, default_only=NO_ORGANIZATION)
def update_trail(ctx: Context, name: str, is_organization_trail: bool = False, **said: Any) -> Reply:
    trail = own_trail(ctx, name)
    _set(ctx, trail, said)
    destinations.check(ctx, trail)
    _again(ctx, trail)
    return described(trail, ctx.scope, whole=False)


def _again(ctx: Context, trail: Trail) -> None:
    """Keep the trail, with a new run when it logs."""
    if trail.logging:
        begin(ctx, trail)
    ctx.tx.put(trail)
    ctx.cloud.part("audit").trails_changed(ctx)


@writes("cloudtrail", "DeleteTrail", authorize=on_change("DeleteTrail"), acts="Name")
def delete_trail(ctx: Context, name: str) -> Reply:
    trail = own_trail(ctx, name)
    end(ctx, trail)
    ctx.tx.delete(Trail, trail.name)
    ctx.cloud.part("audit").trails_changed(ctx)
    return {}


@writes("cloudtrail", "StartLogging", authorize=on_change("StartLogging"), acts="Name")
def start_logging(ctx: Context, name: str) -> Reply:
    trail = own_trail(ctx, name)
    if not trail.logging:
        trail.logging, trail.started = True, ctx.now
        trail.since, trail.delivered = int(ctx.now * 1e6) - 1, {}
        _again(ctx, trail)
    return {}


@writes("cloudtrail", "StopLogging", authorize=on_change("StopLogging"), acts="Name")
def stop_logging(ctx: Context, name: str) -> Reply:
    trail = own_trail(ctx, name)
    if trail.logging:
        trail.logging, trail.stopped = False, ctx.now
        end(ctx, trail)
        ctx.tx.put(trail)
        ctx.cloud.part("audit").trails_changed(ctx)
    return {}


# -- looking --------------------------------------------------------------------------------------------------------------


def on_one(action: str) -> Any:
    def authorize(ctx: Context, name: str, **_: Any) -> list[Need]:
        return need(ctx, action, name)

    return authorize


@reads("cloudtrail", "GetTrail", authorize=on_one("GetTrail"), acts="Name", cost="scan")
def get_trail(ctx: Context, name: str) -> Reply:
    home, trail = trail_or_error(ctx, name)
    return {"Trail": described(trail, home)}


@reads("cloudtrail", "DescribeTrails", authorize=on_any("DescribeTrails"), acts="trailNameList[] includeShadowTrails", cost="scan")
def describe_trails(ctx: Context, trail_name_list: list[str] | None = None, include_shadow_trails: bool = True) -> Reply:
    if trail_name_list:
        for given in trail_name_list:
            Named(given, ctx.scope)
        found = [one for given in trail_name_list if (one := find(ctx, given)) is not None]
    else:
        found = [one for one in of_account(ctx.tx, ctx.scope.account) if one[0].region == ctx.scope.region or one[1].multi_region]
    shown = [one for one in found if include_shadow_trails or one[0].region == ctx.scope.region]
    return {"trailList": [described(trail, home) for home, trail in shown]}


@reads("cloudtrail", "ListTrails", authorize=on_any("ListTrails"), acts="NextToken", cost="scan")
def list_trails(ctx: Context, next_token: str | None = None) -> Reply:
    after = next_token or ""
    arns = sorted((trail_arn(home, trail.name), home, trail) for home, trail in of_account(ctx.tx, ctx.scope.account))
    left = [(arn, home, trail) for arn, home, trail in arns if arn > after]
    reply: Reply = {"Trails": [{"TrailARN": arn, "Name": trail.name, "HomeRegion": home.region} for arn, home, trail in left[:PAGE]]}
    if len(left) > PAGE:
        reply["NextToken"] = left[PAGE - 1][0]
    return reply


@reads("cloudtrail", "GetTrailStatus", authorize=on_one("GetTrailStatus"), acts="Name", cost="scan")
def get_trail_status(ctx: Context, name: str) -> Reply:
    _, trail = trail_or_error(ctx, name)
    at, errors = trail.at, trail.errors
    shown: Reply = {
        "IsLogging": trail.logging,
        "LatestDeliveryTime": at.get("delivery"),
        "LatestNotificationTime": at.get("notification"),
        "LatestCloudWatchLogsDeliveryTime": at.get("logs"),
        "LatestDigestDeliveryTime": at.get("digest") if trail.digests else None,
        "LatestDeliveryError": errors.get("delivery"),
        "LatestNotificationError": errors.get("notification"),
        "LatestCloudWatchLogsDeliveryError": errors.get("logs"),
        "LatestDigestDeliveryError": errors.get("digest"),
        "StartLoggingTime": trail.started,
        "StopLoggingTime": trail.stopped,
        "LatestDeliveryAttemptTime": _text(at.get("attempt")),
        "LatestNotificationAttemptTime": _text(at.get("notification")),
        "LatestDeliveryAttemptSucceeded": _text(at.get("delivery")),
        "LatestNotificationAttemptSucceeded": _text(at.get("notification")),
        "TimeLoggingStarted": _text(trail.started),
        "TimeLoggingStopped": _text(trail.stopped),
    }
    return {name: value for name, value in shown.items() if value is not None}


def _text(time: float | None) -> str:
    return "" if time is None else datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

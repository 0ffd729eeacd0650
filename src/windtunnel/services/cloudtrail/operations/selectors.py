"""Event selectors, insight selectors (which nobody could have set), and the public keys of digests."""

from __future__ import annotations

import base64
from typing import Any

from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import reads, writes
from windtunnel.services.cloudtrail.delivering import begin
from windtunnel.services.cloudtrail.digests import SigningKey
from windtunnel.services.cloudtrail.operations.trails import on_any
from windtunnel.services.cloudtrail.selecting import DEFAULT, check_advanced, check_basic
from windtunnel.services.cloudtrail.trails import need, own_trail, trail_arn, trail_or_error

_FIELD = "AdvancedEventSelectors[].FieldSelectors[]"


def on_trail(action: str) -> Any:
    def authorize(ctx: Context, trail_name: str, **_: Any) -> list[Need]:
        return need(ctx, action, trail_name)

    return authorize


def on_insights(ctx: Context, trail_name: str = "", **_: Any) -> list[Need]:
    return need(ctx, "GetInsightSelectors", trail_name) if trail_name else [Need("cloudtrail:GetInsightSelectors", "*")]


@writes(
    "cloudtrail",
    "PutEventSelectors",
    authorize=on_trail("PutEventSelectors"),
    acts="TrailName EventSelectors[].ReadWriteType EventSelectors[].IncludeManagementEvents EventSelectors[].DataResources[].Type"
    " EventSelectors[].DataResources[].Values[] EventSelectors[].ExcludeManagementEventSources[] AdvancedEventSelectors[].Name"
    f" {_FIELD}.Field {_FIELD}.Equals[] {_FIELD}.StartsWith[] {_FIELD}.EndsWith[] {_FIELD}.NotEquals[] {_FIELD}.NotStartsWith[]"
    f" {_FIELD}.NotEndsWith[]",
)
def put_event_selectors(
    ctx: Context,
    trail_name: str,
    event_selectors: list[dict[str, Any]] | None = None,
    advanced_event_selectors: list[dict[str, Any]] | None = None,
) -> Reply:
    trail = own_trail(ctx, trail_name)
    if bool(event_selectors) == bool(advanced_event_selectors):
        raise AwsError("InvalidEventSelectorsException", "Give either EventSelectors or AdvancedEventSelectors.")
    if event_selectors:
        trail.basic, trail.advanced = check_basic(event_selectors), []
    else:
        trail.basic, trail.advanced = [], check_advanced(advanced_event_selectors or [])
    if trail.logging:
        begin(ctx, trail)
    ctx.tx.put(trail)
    ctx.cloud.part("audit").trails_changed(ctx)
    return _shown(trail_arn(ctx.scope, trail.name), trail.basic, trail.advanced)


def _shown(arn: str, basic: list[dict[str, Any]], advanced: list[dict[str, Any]]) -> Reply:
    return {"TrailARN": arn, "AdvancedEventSelectors": advanced} if advanced else {"TrailARN": arn, "EventSelectors": basic or DEFAULT}


@reads("cloudtrail", "GetEventSelectors", authorize=on_trail("GetEventSelectors"), acts="TrailName", cost="scan")
def get_event_selectors(ctx: Context, trail_name: str) -> Reply:
    home, trail = trail_or_error(ctx, trail_name)
    return _shown(trail_arn(home, trail.name), trail.basic, trail.advanced)


@reads("cloudtrail", "GetInsightSelectors", authorize=on_insights, acts="TrailName", cost="scan")
def get_insight_selectors(ctx: Context, trail_name: str = "") -> Reply:
    if not trail_name:
        raise AwsError("InvalidParameterException", "Specify a TrailName.")
    _, trail = trail_or_error(ctx, trail_name)
    raise AwsError(
        "InsightNotEnabledException", f"Trail {trail.name} does not have Insights enabled. Edit the trail settings to enable Insights."
    )


@reads("cloudtrail", "ListPublicKeys", authorize=on_any("ListPublicKeys"), acts="StartTime EndTime NextToken")
def list_public_keys(ctx: Context, start_time: float | None = None, end_time: float | None = None, next_token: str | None = None) -> Reply:
    if start_time is not None and end_time is not None and start_time > end_time:
        raise AwsError("InvalidTimeRangeException", "The start time must be before the end time.")
    key = ctx.tx.get(SigningKey, "signing")
    if key is None or (end_time or ctx.now) < key.begins or (start_time or ctx.now) > key.ends:
        return {"PublicKeyList": []}
    shown = {
        "Value": base64.b64decode(key.public),
        "ValidityStartTime": key.begins,
        "ValidityEndTime": key.ends,
        "Fingerprint": key.fingerprint,
    }
    return {"PublicKeyList": [shown]}


@reads("cloudtrail", "ListEventDataStores", authorize=on_any("ListEventDataStores"), acts="NextToken MaxResults")
def list_event_data_stores(ctx: Context, next_token: str | None = None, max_results: int = 100) -> Reply:
    """CloudTrail Lake is not built: there is none of it."""
    return {"EventDataStores": []}


@reads("cloudtrail", "ListChannels", authorize=on_any("ListChannels"), acts="NextToken MaxResults")
def list_channels(ctx: Context, max_results: int = 100, next_token: str | None = None) -> Reply:
    return {"Channels": []}

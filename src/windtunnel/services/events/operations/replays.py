"""Replays of archives."""

from __future__ import annotations

from typing import Any

import msgspec

from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import reads, writes
from windtunnel.kernel.scope import Arn
from windtunnel.services.events.lookups import invalid, on_everything, page
from windtunnel.services.events.model import Archive, Bus, Replay, bus_arn

MAX_RUNNING = 10
UNDER_WAY = ("STARTING", "RUNNING", "CANCELLING")


def _arn(ctx: Context, name: str) -> str:
    return ctx.arn("events", f"replay/{name}")


def on_replay(action: str) -> Any:
    def authorize(ctx: Context, replay_name: str, **_: Any) -> list[Need]:
        return [Need(f"events:{action}", _arn(ctx, replay_name))]

    return authorize


def may_start(ctx: Context, replay_name: str, event_source_arn: str, **_: Any) -> list[Need]:
    return [Need("events:StartReplay", event_source_arn), Need("events:StartReplay", _arn(ctx, replay_name))]


@writes(
    "events",
    "StartReplay",
    authorize=may_start,
    acts="ReplayName EventSourceArn EventStartTime EventEndTime Destination.Arn Destination.FilterArns[]",
    descriptive="Description",
)
def start_replay(
    ctx: Context,
    replay_name: str,
    event_source_arn: str,
    event_start_time: float,
    event_end_time: float,
    destination: dict[str, Any],
    description: str = "",
) -> Reply:
    if ctx.tx.get(Replay, replay_name) is not None:
        raise AwsError("ResourceAlreadyExistsException", f"Replay {replay_name} already exists.")
    archive = _archive(ctx, event_source_arn)
    _check_destination(ctx, archive, destination["Arn"])
    if event_end_time <= event_start_time:
        raise invalid("Parameter EventEndTime is not valid. Reason: EventStartTime must be before EventEndTime.")
    if sum(replay.state in UNDER_WAY for replay in ctx.tx.scan(Replay)) >= MAX_RUNNING:
        raise AwsError("LimitExceededException", "The requested resource exceeds the maximum number allowed.")
    replay = Replay(
        name=replay_name,
        archive=archive.name,
        bus=archive.bus,
        since=event_start_time,
        until=event_end_time,
        state="STARTING",
        started=ctx.now,
        description=description,
        filters=list(destination.get("FilterArns", ())),
    )
    ctx.tx.put(replay)
    ctx.start_job("events.replay", f"events.replay/{ctx.ids.hex(16)}", replay=replay_name)
    return {"ReplayArn": replay.arn(ctx.scope), "State": replay.state, "ReplayStartTime": replay.started}


def _archive(ctx: Context, arn: str) -> Archive:
    parsed = Arn.parse(arn)
    ours = parsed is not None and (parsed.account, parsed.region) == (ctx.scope.account, ctx.scope.region)
    if parsed is None or not ours or not parsed.resource.startswith("archive/"):
        raise invalid("Parameter EventSourceArn is not valid. Reason: Must contain an archive ARN.")
    name = parsed.resource.removeprefix("archive/")
    archive = ctx.tx.get(Archive, name)
    if archive is None:
        raise invalid(f"Parameter EventSourceArn is not valid. Reason: Archive {name} does not exist.")
    return archive


def _check_destination(ctx: Context, archive: Archive, arn: str) -> None:
    parsed = Arn.parse(arn)
    if parsed is None or parsed.service != "events" or not parsed.resource.startswith("event-bus/"):
        raise invalid("Parameter Destination.Arn is not valid. Reason: Must contain an event bus ARN.")
    name = parsed.resource.removeprefix("event-bus/")
    if arn != bus_arn(ctx.scope, archive.bus):
        raise invalid("Parameter Destination.Arn is not valid. Reason: Cross event bus replay is not permitted.")
    if name != "default" and ctx.tx.get(Bus, name) is None:
        raise AwsError("ResourceNotFoundException", f"Event bus {name} does not exist.")


def the_replay(ctx: Context, name: str) -> Replay:
    replay = ctx.tx.get(Replay, name)
    if replay is None:
        raise AwsError("ResourceNotFoundException", f"Replay {name} does not exist.")
    return replay


@writes("events", "CancelReplay", authorize=on_replay("CancelReplay"), acts="ReplayName")
def cancel_replay(ctx: Context, replay_name: str) -> Reply:
    replay = the_replay(ctx, replay_name)
    if replay.state not in ("STARTING", "RUNNING"):
        raise AwsError("IllegalStatusException", f"Replay {replay_name} is not in a valid state for this operation.")
    ctx.tx.put(msgspec.structs.replace(replay, state="CANCELLING"))
    return {"ReplayArn": replay.arn(ctx.scope), "State": "CANCELLING"}


def _shown(ctx: Context, replay: Replay) -> dict[str, Any]:
    """The Replay shape."""
    shown = {
        "ReplayName": replay.name,
        "EventSourceArn": ctx.arn("events", f"archive/{replay.archive}"),
        "State": replay.state,
        "StateReason": replay.reason or None,
        "EventStartTime": replay.since,
        "EventEndTime": replay.until,
        "EventLastReplayedTime": replay.last,
        "ReplayStartTime": replay.started,
        "ReplayEndTime": replay.ended,
    }
    return {name: value for name, value in shown.items() if value is not None}


@reads("events", "DescribeReplay", authorize=on_replay("DescribeReplay"), acts="ReplayName")
def describe_replay(ctx: Context, replay_name: str) -> Reply:
    replay = the_replay(ctx, replay_name)
    destination: dict[str, Any] = {"Arn": bus_arn(ctx.scope, replay.bus)}
    if replay.filters:
        destination["FilterArns"] = replay.filters
    shown = {**_shown(ctx, replay), "ReplayArn": replay.arn(ctx.scope), "Destination": destination}
    return {**shown, "Description": replay.description} if replay.description else shown


@reads(
    "events",
    "ListReplays",
    authorize=on_everything("ListReplays"),
    acts="NamePrefix State EventSourceArn NextToken Limit",
    cost="scan",
)
def list_replays(
    ctx: Context,
    name_prefix: str = "",
    state: str = "",
    event_source_arn: str = "",
    next_token: str | None = None,
    limit: int = 100,
) -> Reply:
    if sum(map(bool, (name_prefix, event_source_arn, state))) > 1:
        raise invalid("At most one filter is allowed for ListReplays. Use either : State, EventSourceArn, or NamePrefix.")
    found = [
        replay
        for replay in ctx.tx.scan(Replay, prefix=name_prefix, after=next_token)
        if event_source_arn in ("", ctx.arn("events", f"archive/{replay.archive}")) and state in ("", replay.state)
    ]
    return page(found, limit, "Replays", lambda replay: _shown(ctx, replay), Replay.key)

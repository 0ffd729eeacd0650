"""Schedule groups: what is deleted with them goes too."""

from __future__ import annotations

from typing import Any

import msgspec

from windtunnel.jobs import Run, job
from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import reads, writes
from windtunnel.services.scheduler.firing import end
from windtunnel.services.scheduler.lookups import (
    checked_tags,
    deleted_before,
    find_group,
    invalid,
    on_everything,
    page,
    remember_deletion,
    request_tags,
    tag_keys,
    the_group,
)
from windtunnel.services.scheduler.model import DEFAULT_GROUP, Group, Schedule, group_arn

MAX_GROUPS = 500
BATCH = 50


def on_group(action: str) -> Any:
    def authorize(ctx: Context, name: str, tags: list[dict[str, str]] | None = None, **_: Any) -> list[Need]:
        found = find_group(ctx, name)
        context: dict[str, Any] = tag_keys(found.tags) if found is not None else {}
        return [Need(f"scheduler:{action}", group_arn(ctx.scope, name), context | request_tags(tags))]

    return authorize


@writes("scheduler", "CreateScheduleGroup", authorize=on_group("CreateScheduleGroup"), acts="Name ClientToken Tags[].Key Tags[].Value")
def create_schedule_group(ctx: Context, name: str, client_token: str = "", tags: list[dict[str, str]] | None = None) -> Reply:
    found = find_group(ctx, name)
    if found is not None:
        if client_token and found.token == client_token:
            return {"ScheduleGroupArn": group_arn(ctx.scope, name)}
        raise AwsError("ConflictException", f"Schedule group {name} already exists.")
    if ctx.tx.count(Group) >= MAX_GROUPS:
        raise AwsError("ServiceQuotaExceededException", f"The number of schedule groups exceeds the limit of {MAX_GROUPS}.")
    kept = checked_tags(ctx, {}, tags or [])
    ctx.tx.put(Group(name=name, created=ctx.now, modified=ctx.now, tags=kept, token=client_token))
    return {"ScheduleGroupArn": group_arn(ctx.scope, name)}


@reads("scheduler", "GetScheduleGroup", authorize=on_group("GetScheduleGroup"), acts="Name")
def get_schedule_group(ctx: Context, name: str) -> Reply:
    return the_group(ctx, name).described(ctx.scope)


@reads(
    "scheduler", "ListScheduleGroups", authorize=on_everything("ListScheduleGroups"), acts="NamePrefix NextToken MaxResults", cost="scan"
)
def list_schedule_groups(ctx: Context, name_prefix: str = "", next_token: str | None = None, max_results: int = 100) -> Reply:
    found = ctx.tx.scan(Group, prefix=name_prefix, after=next_token, limit=max_results + 1)
    shown = DEFAULT_GROUP.startswith(name_prefix) and (next_token is None or next_token < DEFAULT_GROUP)
    if shown and ctx.tx.get(Group, DEFAULT_GROUP) is None:
        found = sorted([*found, Group(name=DEFAULT_GROUP)], key=Group.key)
    return page(found, max_results, "ScheduleGroups", lambda group: group.described(ctx.scope), Group.key)


@writes("scheduler", "DeleteScheduleGroup", authorize=on_group("DeleteScheduleGroup"), acts="Name ClientToken")
def delete_schedule_group(ctx: Context, name: str, client_token: str = "") -> Reply:
    """A job removes the group's schedules, and then the group."""
    if name == DEFAULT_GROUP:
        raise invalid("The default schedule group can't be deleted.")
    if ctx.tx.get(Group, name) is None and deleted_before(ctx, f"group/{name}", client_token):
        return {}
    group = the_group(ctx, name)
    if group.state == "DELETING":
        return {}
    ctx.tx.put(msgspec.structs.replace(group, state="DELETING", modified=ctx.now))
    remember_deletion(ctx, f"group/{name}", client_token)
    ctx.start_job("scheduler.forget", f"scheduler.forget/{ctx.ids.hex(16)}", group=name)
    return {}


@job("scheduler.forget")
def forget_group(run: Run, group: str) -> None:
    """Remove a group's schedules, some at a time, and then the group."""
    if run.tx("batch", remove_batch, group):
        run.continue_as_new(group=group)


def remove_batch(ctx: Context, group: str) -> bool:
    """Whether there are more."""
    found = ctx.tx.scan(Schedule, prefix=f"{group}/", limit=BATCH)
    for schedule in found:
        end(ctx, schedule)
        ctx.tx.delete(Schedule, schedule.key())
    if len(found) == BATCH:
        return True
    ctx.tx.delete(Group, group)
    return False

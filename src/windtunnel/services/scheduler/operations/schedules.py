"""Schedules: written whole, looked at, deleted."""

from __future__ import annotations

from typing import Any

from windtunnel.events.schedule import InvalidSchedule
from windtunnel.iam.passing import pass_role
from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.errors import AwsError, not_built
from windtunnel.kernel.registry import reads, writes
from windtunnel.kernel.scope import Arn
from windtunnel.services.scheduler.firing import end, reschedule
from windtunnel.services.scheduler.lookups import (
    deleted_before,
    invalid,
    on_everything,
    page,
    remember_deletion,
    the_group,
    the_schedule,
)
from windtunnel.services.scheduler.model import DEFAULT_GROUP, SERVICE, Schedule, group_arn, schedule_arn, timing, zone_of
from windtunnel.services.scheduler.targets import TEMPLATES, UNIVERSAL, arguments, is_json, universal

WRITTEN = (
    "Name GroupName ClientToken ScheduleExpression ScheduleExpressionTimezone StartDate EndDate State ActionAfterCompletion"
    " FlexibleTimeWindow.Mode FlexibleTimeWindow.MaximumWindowInMinutes Target.Arn Target.RoleArn Target.Input"
    " Target.DeadLetterConfig.Arn Target.RetryPolicy.MaximumEventAgeInSeconds Target.RetryPolicy.MaximumRetryAttempts"
    " Target.SqsParameters.MessageGroupId Target.EventBridgeParameters.DetailType Target.EventBridgeParameters.Source"
)


def on_schedule(action: str) -> Any:
    def authorize(ctx: Context, name: str, group_name: str = DEFAULT_GROUP, target: dict[str, Any] | None = None, **_: Any) -> list[Need]:
        needs = [Need(f"scheduler:{action}", schedule_arn(ctx.scope, group_name, name))]
        return needs if target is None else [*needs, pass_role(target["RoleArn"], SERVICE)]

    return authorize


def write(
    ctx: Context,
    old: Schedule | None,
    name: str,
    group_name: str,
    client_token: str,
    *,
    schedule_expression: str,
    flexible_time_window: dict[str, Any],
    target: dict[str, Any],
    description: str = "",
    schedule_expression_timezone: str = "UTC",
    start_date: float | None = None,
    end_date: float | None = None,
    state: str = "ENABLED",
    action_after_completion: str = "NONE",
) -> Schedule:
    """Check a schedule as it was given, and store it with a run of its own. What was not given is as if it had never been."""
    check_expression(schedule_expression, schedule_expression_timezone)
    if start_date is not None and end_date is not None and end_date <= start_date:
        raise invalid("The EndDate you specify must come after the StartDate.")
    if end_date is not None and end_date <= ctx.now and (old is None or old.end != end_date):
        raise invalid("The EndDate you specify must be in the future.")
    schedule = Schedule(
        group=group_name,
        name=name,
        expression=schedule_expression,
        target=target,
        created=old.created if old is not None else ctx.now,
        modified=ctx.now,
        zone=schedule_expression_timezone,
        start=start_date,
        end=end_date,
        window=check_window(flexible_time_window),
        state="DISABLED" if state == "DISABLED" else "ENABLED",
        after="DELETE" if action_after_completion == "DELETE" else "NONE",
        description=description,
        token=old.token if old is not None else client_token,
        run=old.run if old is not None else "",
    )
    check_target(ctx, group_name, target)
    schedule = reschedule(ctx, schedule)
    ctx.tx.put(schedule)
    return schedule


def check_expression(expression: str, zone: str) -> None:
    try:
        timing(expression)
    except InvalidSchedule as error:
        raise invalid(f"Invalid Schedule Expression {expression}.") from error
    try:
        zone_of(zone)
    except InvalidSchedule as error:
        raise invalid(f"Invalid Schedule Expression Timezone {zone}.") from error


def check_window(window: dict[str, Any]) -> int:
    """Its length in minutes, 0 for none."""
    minutes = window.get("MaximumWindowInMinutes")
    if window["Mode"] == "OFF":
        if minutes is not None:
            raise invalid("MaximumWindowInMinutes should not be specified if FlexibleTimeWindow Mode is OFF.")
        return 0
    if minutes is None:
        raise invalid("MaximumWindowInMinutes must be specified if FlexibleTimeWindow Mode is FLEXIBLE.")
    return int(minutes)


def check_target(ctx: Context, group: str, target: dict[str, Any]) -> None:
    """Raise AWS's error for a target that is wrong, 501 for one that does not run here."""
    if target["Arn"].startswith(UNIVERSAL):
        service, operation = universal(target["Arn"])
        if not is_json(target.get("Input", "{}")):
            raise invalid("Invalid RequestJson provided. Reason: the input is not well-formed JSON.")
        _check_members(service, operation, target.get("Input", "{}"))
    else:
        _check_template(ctx, target)
    _check_parameters(target)
    queue = Arn.parse(target["DeadLetterConfig"]["Arn"]) if "Arn" in target.get("DeadLetterConfig", {}) else None
    if queue is not None and (queue.region != ctx.scope.region or queue.resource.endswith(".fifo")):
        raise invalid("The dead-letter queue must be a standard queue in the schedule's region.")
    try:
        ctx.assuming(target["RoleArn"], "aws-scheduler", SERVICE, group_arn(ctx.scope, group))
    except AwsError as error:
        raise invalid("The execution role you provide must allow AWS EventBridge Scheduler to assume the role.") from error


def _check_members(service: str, operation: str, given: str) -> None:
    """What the operation does not run is refused now; what it calls invalid is its own to say, at each invocation, as on AWS."""
    try:
        arguments(service, operation, given)
    except AwsError as error:
        if error.status == 501:
            raise


def _check_template(ctx: Context, target: dict[str, Any]) -> None:
    arn = Arn.parse(target["Arn"])
    if arn is None:
        raise invalid(f"Provided Arn is not in correct format: {target['Arn']}")
    if arn.service not in TEMPLATES or (arn.service == "events" and not arn.resource.startswith("event-bus/")):
        raise not_built("scheduler", "CreateSchedule", f"a target of {arn.service}")
    if arn.region != ctx.scope.region and arn.service != "events":
        raise invalid(f"The target {target['Arn']} is not in the schedule's region.")
    if arn.service in ("lambda", "events") and not is_json(target.get("Input", "{}")):
        raise invalid(f"The input of the target {target['Arn']} is not well-formed JSON.")


def _check_parameters(target: dict[str, Any]) -> None:
    """Each kind of target has parameters of its own."""
    bus, queue = (target["Arn"].startswith(f"arn:aws:{service}:") for service in ("events", "sqs"))
    if ("EventBridgeParameters" in target) != bus:
        raise invalid(f"EventBridgeParameters {'must' if bus else 'must not'} be specified for the target {target['Arn']}.")
    if "SqsParameters" in target and not queue:
        raise invalid(f"SqsParameters must not be specified for the target {target['Arn']}.")
    if queue and target["Arn"].endswith(".fifo") != bool(target.get("SqsParameters", {}).get("MessageGroupId")):
        raise invalid("A FIFO queue takes a MessageGroupId, and no other target does.")


@writes("scheduler", "CreateSchedule", authorize=on_schedule("CreateSchedule"), acts=WRITTEN, descriptive="Description")
def create_schedule(ctx: Context, name: str, group_name: str = DEFAULT_GROUP, client_token: str = "", **given: Any) -> Reply:
    group = the_group(ctx, group_name)
    if group.state == "DELETING":
        raise AwsError("ConflictException", f"Schedule group {group_name} is being deleted.")
    old = ctx.tx.get(Schedule, f"{group_name}/{name}")
    if old is not None:
        if client_token and old.token == client_token:
            return {"ScheduleArn": old.arn(ctx.scope)}
        raise AwsError("ConflictException", f"Schedule {name} already exists.")
    made = write(ctx, None, name, group_name, client_token, **given)
    return {"ScheduleArn": made.arn(ctx.scope)}


@writes("scheduler", "UpdateSchedule", authorize=on_schedule("UpdateSchedule"), acts=WRITTEN, descriptive="Description")
def update_schedule(ctx: Context, name: str, group_name: str = DEFAULT_GROUP, client_token: str = "", **given: Any) -> Reply:
    the_group(ctx, group_name)
    made = write(ctx, the_schedule(ctx, group_name, name), name, group_name, client_token, **given)
    return {"ScheduleArn": made.arn(ctx.scope)}


@reads("scheduler", "GetSchedule", authorize=on_schedule("GetSchedule"), acts="Name GroupName")
def get_schedule(ctx: Context, name: str, group_name: str = DEFAULT_GROUP) -> Reply:
    the_group(ctx, group_name)
    return the_schedule(ctx, group_name, name).described(ctx.scope)


@writes("scheduler", "DeleteSchedule", authorize=on_schedule("DeleteSchedule"), acts="Name GroupName ClientToken")
def delete_schedule(ctx: Context, name: str, group_name: str = DEFAULT_GROUP, client_token: str = "") -> Reply:
    what = f"schedule/{group_name}/{name}"
    if ctx.tx.get(Schedule, f"{group_name}/{name}") is None and deleted_before(ctx, what, client_token):
        return {}
    the_group(ctx, group_name)
    schedule = the_schedule(ctx, group_name, name)
    end(ctx, schedule)
    ctx.tx.delete(Schedule, schedule.key())
    remember_deletion(ctx, what, client_token)
    return {}


def _summary(ctx: Context, schedule: Schedule) -> dict[str, Any]:
    """The ScheduleSummary shape."""
    return {
        "Arn": schedule.arn(ctx.scope),
        "Name": schedule.name,
        "GroupName": schedule.group,
        "State": schedule.state,
        "CreationDate": schedule.created,
        "LastModificationDate": schedule.modified,
        "Target": {"Arn": schedule.target["Arn"]},
    }


@reads(
    "scheduler",
    "ListSchedules",
    authorize=on_everything("ListSchedules"),
    acts="GroupName NamePrefix State NextToken MaxResults",
    cost="scan",
)
def list_schedules(
    ctx: Context, group_name: str = "", name_prefix: str = "", state: str = "", next_token: str | None = None, max_results: int = 100
) -> Reply:
    if group_name:
        the_group(ctx, group_name)
    prefix = f"{group_name}/{name_prefix}" if group_name else ""
    found = [
        schedule
        for schedule in ctx.tx.scan(Schedule, prefix=prefix, after=next_token)
        if schedule.name.startswith(name_prefix) and state in ("", schedule.state)
    ]
    return page(found, max_results, "Schedules", lambda schedule: _summary(ctx, schedule), Schedule.key)

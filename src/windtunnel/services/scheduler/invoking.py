"""Invocations: each due time's one call of its target, tried again as the schedule's policy says, and its dead letters.

Invariant: the call and the record that it was made commit together, so an operation of this cloud is called once.
"""

from __future__ import annotations

import logging
import re
from typing import Any

import msgspec

from windtunnel.events.schedule import utc_text
from windtunnel.jobs import Run, job
from windtunnel.kernel.context import Context
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.scope import Arn
from windtunnel.kernel.trail import trail
from windtunnel.services.scheduler.model import RETRIES, SERVICE, group_arn
from windtunnel.services.scheduler.targets import Call, call_of

log = logging.getLogger("windtunnel.scheduler")
MAX_PAUSE = 900.0
FINAL = ("AccessDenied", "NotFound", "NotImplemented", "Validation", "Invalid", "NonExistent", "DoesNotExist", "NoSuch", "MissingParameter")
"""Errors whose code has one of these in it are not tried again: they would fail the same way."""
_ATTRIBUTE = re.compile(r"<aws\.scheduler\.(schedule-arn|scheduled-time|execution-id|attempt-number)>")


@job("scheduler.invoke")
def invoke(run: Run, schedule: str, group: str, target: dict[str, Any], at: float, execution: str, fired: float) -> None:
    """at: when it was due; fired: when the invocation began."""
    policy = {**RETRIES, **target.get("RetryPolicy", {})}
    for number in range(policy["MaximumRetryAttempts"] + 1):
        args = run.read(prepared, group, target, payload(schedule, target, at, execution, number))
        pause = run.tx(f"attempt-{number}", attempt, schedule, group, target, at, execution, fired, number, args)
        if pause is None:
            return
        run.sleep(f"pause-{number}", pause)


def payload(schedule: str, target: dict[str, Any], at: float, execution: str, number: int) -> str:
    """The input with its context attributes filled in; AWS's notification when there is none."""
    told = {"schedule-arn": schedule, "scheduled-time": utc_text(at), "execution-id": execution, "attempt-number": str(number + 1)}
    if "Input" in target:
        return _ATTRIBUTE.sub(lambda found: told[found[1]], target["Input"])
    arn = Arn.parse(schedule)
    assert arn is not None, "the schedule's own ARN"
    notification = {
        "version": "0",
        "id": execution,
        "detail-type": "Scheduled Event",
        "source": "aws.scheduler",
        "account": arn.account,
        "time": utc_text(at),
        "region": arn.region,
        "resources": [schedule],
        "detail": "{}",
    }
    return "{}" if target["Arn"].startswith("arn:aws:scheduler:::") else msgspec.json.encode(notification).decode()


def _acting(ctx: Context, group: str, target: dict[str, Any], call: Call) -> Context:
    """As the schedule's role, where the target is."""
    role = ctx.assuming(target["RoleArn"], "aws-scheduler", SERVICE, group_arn(ctx.scope, group))
    return role if call.arn is None else role.in_scope(call.arn.account, call.arn.region)


def prepared(ctx: Context, group: str, target: dict[str, Any], given: str) -> dict[str, Any] | None:
    """What an operation's slow part makes of its arguments, outside of any transaction; None when it has none, or fails (then the attempt
    tells how)."""
    try:
        call = call_of(ctx, target, given)
        operation = call.registered
        if operation is None or operation.prepare is None:
            return None
        return operation.prepare(_acting(ctx, group, target, call), call.args)
    except AwsError:
        return None


def attempt(
    ctx: Context,
    schedule: str,
    group: str,
    target: dict[str, Any],
    at: float,
    execution: str,
    fired: float,
    number: int,
    args: dict[str, Any] | None,
) -> float | None:
    """Call the target. None when that is settled, else how long to wait before the next attempt."""
    given = payload(schedule, target, at, execution, number)
    try:
        call = call_of(ctx, target, given)
        reply = _acting(ctx, group, target, call).call(call.service, call.operation, **(call.args if args is None else args))
        _refuse_partial(reply)
    except AwsError as error:
        return settle(ctx, schedule, group, target, at, execution, fired, number, error)
    trail(ctx, [schedule, target["Arn"]], f"{target['Arn']} was invoked by {schedule}")
    return None


def _refuse_partial(reply: Any) -> None:
    """PutEvents answers entry by entry; the one entry is the invocation."""
    for entry in (reply or {}).get("Entries", ()) if isinstance(reply, dict) else ():
        if isinstance(entry, dict) and "ErrorCode" in entry:
            raise AwsError("ValidationException", f"{entry['ErrorCode']}: {entry.get('ErrorMessage', '')}")


def settle(
    ctx: Context,
    schedule: str,
    group: str,
    target: dict[str, Any],
    at: float,
    execution: str,
    fired: float,
    number: int,
    error: AwsError,
) -> float | None:
    """None when the invocation is given up, else how long to wait."""
    policy = {**RETRIES, **target.get("RetryPolicy", {})}
    condition = ""
    if not any(word in error.code for word in FINAL):
        if ctx.now - fired > policy["MaximumEventAgeInSeconds"]:
            condition = "MaximumEventAgeInSeconds"
        elif number >= policy["MaximumRetryAttempts"]:
            condition = "MaximumRetryAttempts"
        else:
            trail(ctx, [schedule, target["Arn"]], f"{target['Arn']} did not take the invocation by {schedule} ({error}); to be retried")
            return min(MAX_PAUSE, 2.0 ** min(number, 10))
    told = {
        "SCHEDULE_ARN": schedule,
        "TARGET_ARN": target["Arn"],
        "SCHEDULED_TIME": utc_text(at),
        "EXECUTION_ID": execution,
        "RETRY_ATTEMPTS": str(number),
        "ERROR_CODE": error.code,
        "ERROR_MESSAGE": error.message or error.code,
        "IS_PAYLOAD_TRUNCATED": "false",
        **({"EXHAUSTED_RETRY_CONDITION": condition} if condition else {}),
    }
    text = f"{target['Arn']} was not invoked by {schedule}: {error}"
    queue = target.get("DeadLetterConfig", {}).get("Arn", "")
    if queue:
        text += f"; {_bury(ctx, queue, group, target, payload(schedule, target, at, execution, number), told)}"
    log.warning("%s", text)
    trail(ctx, [schedule, target["Arn"]], text, level="error")
    return None


def _bury(ctx: Context, queue: str, group: str, target: dict[str, Any], given: str, told: dict[str, str]) -> str:
    """Into the dead letters, as the schedule's role. Says what came of it."""
    arn = Arn.parse(queue)
    assert arn is not None, "the model's pattern holds it"
    attributes = {name: {"DataType": "String", "StringValue": value} for name, value in told.items()}
    url = f"{ctx.cloud.endpoint}/{arn.account}/{arn.resource}"
    try:
        acting = _acting(ctx, group, target, Call("sqs", "SendMessage", {}, arn))
        acting.call("sqs", "SendMessage", queue_url=url, message_body=given, message_attributes=attributes)
    except AwsError as error:
        return f"nor could it be put into the dead letters {queue} ({error})"
    return f"it is in the dead letters {queue}"

"""What becomes of an event that a target did not take: the target's dead letters, and in any case the log and the trail.

Invariant: an event is buried in the transaction that ends its delivery. Source: EventBridge user guide, "Using dead-letter queues".
"""

from __future__ import annotations

import logging
from typing import Any, NamedTuple

import msgspec

from windtunnel.kernel.context import Context
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.scope import Arn
from windtunnel.kernel.trail import trail
from windtunnel.services.events.model import SERVICE, rule_arn

log = logging.getLogger("windtunnel.events")


class Failure(NamedTuple):
    """The target's last error. retries: how often it was tried again; condition: the limit that was reached, if one was."""

    code: str
    message: str
    retries: int
    condition: str = ""


CODES = (
    ("AccessDenied", "NO_PERMISSIONS"),
    ("IllegalStatus", "THIRD_ACCOUNT_HOP_DETECTED"),
    ("NotFound", "NO_RESOURCE"),
    ("NonExistent", "NO_RESOURCE"),
    ("DoesNotExist", "NO_RESOURCE"),
    ("NoSuch", "NO_RESOURCE"),
    ("Throttl", "THROTTLING"),
    ("Timeout", "TIMEOUT"),
    ("ConnectionFailure", "CONNECTION_FAILURE"),
    ("LimitExceeded", "RESOURCE_LIMIT_EXCEEDED"),
    ("Invalid", "INVALID_PARAMETER"),
    ("Validation", "INVALID_PARAMETER"),
)
"""A part of a target's error code -> how dead letters name it. Everything else is ERROR_FROM_TARGET."""


def error_code(code: str) -> str:
    return next((named for part, named in CODES if part in code), "ERROR_FROM_TARGET")


def bury(ctx: Context, event: dict[str, Any], rule: str, bus: str, target: dict[str, Any], failure: Failure) -> None:
    """Give a delivery up."""
    limit = f" (its policy's {failure.condition} is reached)" if failure.condition else ""
    reason = f"{failure.code}: {failure.message}{limit}"
    text = f"rule {rule}: the event {event['detail-type']} ({event['id']}) was not delivered to {target['Arn']}: {reason}"
    queue = target.get("DeadLetterConfig", {}).get("Arn", "")
    if queue:
        text += f"; {_send(ctx, queue, event, rule_arn(ctx.scope, rule, bus), target['Arn'], failure)}"
    log.warning("%s", text)
    trail(ctx, [rule, target["Arn"], event["id"]], text, level="error")


def _send(ctx: Context, queue: str, event: dict[str, Any], rule: str, target: str, failure: Failure) -> str:
    """Put an event into the dead letters. Says what came of it; a queue that refuses it loses it, as on AWS."""
    arn = Arn.parse(queue)
    assert arn is not None, "PutTargets took it"
    told = {
        "RULE_ARN": rule,
        "TARGET_ARN": target,
        "ERROR_CODE": error_code(failure.code),
        "ERROR_MESSAGE": failure.message or failure.code,
        "RETRY_ATTEMPTS": str(failure.retries),
    }
    if failure.condition:
        told["EXHAUSTED_RETRY_CONDITION"] = failure.condition
    acting = ctx.as_service(SERVICE, rule).in_scope(arn.account, arn.region)
    try:
        acting.call(
            "sqs",
            "SendMessage",
            queue_url=f"{ctx.cloud.endpoint}/{arn.account}/{arn.resource}",
            message_body=msgspec.json.encode(event).decode(),
            message_attributes={name: {"DataType": "String", "StringValue": value} for name, value in told.items()},
        )
    except AwsError as error:
        return f"nor could it be put into the dead letters {queue} ({error})"
    return f"it is in the dead letters {queue}"

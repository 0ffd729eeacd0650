"""What becomes of an attempt that failed: another one later, or the dead letters.

Invariant: an error that would come again is not tried again; what is given up is buried in the same transaction.
"""

from __future__ import annotations

from typing import Any

from windtunnel.kernel.context import Context
from windtunnel.kernel.trail import trail
from windtunnel.services.events.dead_letters import Failure, bury
from windtunnel.services.events.targets import seconds_of

MAX_RETRIES = 185
MAX_AGE = 86400
MAX_PAUSE = 900.0
FINAL = (
    "AccessDenied",
    "NotFound",
    "NotImplemented",
    "Validation",
    "Invalid",
    "NonExistent",
    "DoesNotExist",
    "NoSuch",
    "IllegalStatus",
    "Refused",
)
"""Errors whose code has one of these in it are not tried again: they would fail the same way."""


def policy_of(target: dict[str, Any], limit: str, default: int) -> int:
    """A limit of the target's retry policy."""
    given: int = target.get("RetryPolicy", {}).get(limit, default)
    return given


def settle(
    ctx: Context, event: dict[str, Any], rule: str, target: dict[str, Any], number: int, bus: str, failed: list[str]
) -> float | None:
    """What becomes of an attempt that failed with (code, message): None when it was given up, else how long to wait."""
    code, message = failed
    condition = ""
    if not any(word in code for word in FINAL):
        if ctx.now - seconds_of(event) > policy_of(target, "MaximumEventAgeInSeconds", MAX_AGE):
            condition = "MaximumEventAgeInSeconds"
        elif number >= policy_of(target, "MaximumRetryAttempts", MAX_RETRIES):
            condition = "MaximumRetryAttempts"
        else:
            trail(ctx, [rule, target["Arn"], event["id"]], f"rule {rule}: {target['Arn']} did not take the event ({code}: {message}) yet")
            return min(MAX_PAUSE, 2.0 ** min(number, 10))
    bury(ctx, event, rule, bus, target, Failure(code, message, number, condition))
    return None

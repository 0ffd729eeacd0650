"""One instance's way through its lifecycle events, as a state machine over `Target`.

Invariants: events run in order; the first failure ends the instance's deployment (its later events are Skipped), unless the event
stops the old application and the deployment ignores that; a result that is reported twice changes nothing the second time.
"""

from __future__ import annotations

from typing import NamedTuple

from windtunnel.services.codedeploy.model.records import LifecycleEvent, Target

IN_PLACE = ("ApplicationStop", "DownloadBundle", "BeforeInstall", "Install", "AfterInstall", "ApplicationStart", "ValidateService")
IGNORABLE = frozenset({"ApplicationStop", "BeforeBlockTraffic", "AfterBlockTraffic"})
TO_START = 300.0
"""Seconds within which the agent must have taken an event's command."""
TO_END = 3600.0
"""Seconds that one lifecycle event may last."""
LOG_TAIL = 2048
NOT_TAKEN = (
    "CodeDeploy agent was not able to receive the lifecycle event. Check the CodeDeploy agent logs on your host and make sure the"
    " agent is running and can connect to the CodeDeploy server."
)
NOT_ENDED = "The lifecycle event did not end within one hour."
ERROR_CODES = {0: "Success", 1: "ScriptMissing", 2: "ScriptNotExecutable", 3: "ScriptTimedOut", 4: "ScriptFailed"}
"""The agent's numbers for what went wrong; every other number is UnknownError."""


class Result(NamedTuple):
    """How an event ended, in the API's terms."""

    succeeded: bool
    error_code: str = "Success"
    script: str = ""
    message: str = "Succeeded"
    log_tail: str = ""


def planned(deployment: str, instance: str, host: str, order: int, now: float) -> Target:
    """A target whose events are all still to come."""
    events = [LifecycleEvent(name) for name in IN_PLACE]
    return Target(deployment=deployment, instance=instance, host=host, order=order, events=events, updated=now)


def offer(target: Target, index: int, now: float) -> None:
    """Put the event's command out for the agent."""
    target.status = "InProgress"
    target.current = index
    target.acknowledged = False
    target.since = target.updated = now


def acknowledge(target: Target, now: float) -> None:
    """The agent has begun with the current event."""
    if target.current is None or target.acknowledged:
        return
    target.acknowledged = True
    target.since = target.updated = now
    event = target.events[target.current]
    event.status = "InProgress"
    event.start = now


def record(target: Target, result: Result, now: float, *, ignore_stop_failures: bool = False) -> None:
    """The current event has ended: go to the next one, or end the target."""
    if target.current is None:
        return
    index, event = target.current, target.events[target.current]
    event.status = "Succeeded" if result.succeeded else "Failed"
    event.start = event.start if event.start is not None else now
    event.end = now
    event.error_code = result.error_code
    event.script, event.message, event.log_tail = result.script, result.message, result.log_tail[-LOG_TAIL:]
    target.current = None
    target.updated = now
    if not result.succeeded and not (ignore_stop_failures and event.name in IGNORABLE):
        end(target, "Failed", now)
    elif index + 1 < len(target.events):
        offer(target, index + 1, now)
    else:
        end(target, "Succeeded", now)


def end(target: Target, status: str, now: float) -> None:
    """End the target; what has not run is Skipped."""
    target.status = status
    target.current = None
    target.updated = now
    for event in target.events:
        if event.status in ("Pending", "InProgress"):
            event.status = "Skipped"


def deadline(target: Target) -> float | None:
    """When the current event will have failed for want of the agent; None when no command is out."""
    if target.current is None:
        return None
    return target.since + (TO_END if target.acknowledged else TO_START)


def overdue(target: Target) -> Result:
    """The result of an event whose deadline has passed."""
    return Result(False, "UnknownError", "", NOT_ENDED if target.acknowledged else NOT_TAKEN)


def last_words(log: str, lines: int = 8) -> str:
    """The last lines of the script that ran last, each indented, for the trail. Several: its two outputs come in no certain order."""
    said = [line.strip() for line in log.rpartition("\nScript - ")[2].splitlines() if line.strip()]
    if "\nScript - " in log:
        del said[:1]  # the script's name, which the message has
    return "".join(f"\n    | {line}" for line in said[-lines:])

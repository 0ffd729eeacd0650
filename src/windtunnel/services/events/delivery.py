"""From an event to its deliveries: rules are matched where the event leaves the outbox, each match is a durable delivery.

Invariants: a delivery's success commits with what the target did, so an internal target runs exactly once; a failure that may pass
is tried again for a day, one that will not is told in the log and ends; sources that begin with `windtunnel.` reach no rule.
"""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Any

from windtunnel.jobs import Run, job
from windtunnel.kernel.context import Context, Event
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.scope import Arn
from windtunnel.kernel.trail import trail
from windtunnel.services.events.model import SERVICE, Rule, envelope, rule_arn
from windtunnel.services.events.patterns import compile_pattern
from windtunnel.services.events.targets import TARGETS
from windtunnel.services.events.transform import target_input

log = logging.getLogger("windtunnel.events")
MAX_ATTEMPTS = 185
MAX_AGE = 86400.0
MAX_PAUSE = 900.0
FINAL = ("AccessDenied", "NotFound", "NotImplemented", "Validation", "Invalid")
"""Errors whose code has one of these in it are not tried again: they would fail the same way."""


def fan_out(ctx: Context, event: Event) -> None:
    """Start a delivery for every target of every rule that matches."""
    if event.source.startswith("windtunnel."):
        return
    rules = ctx.tx.find(Rule, "matching", "yes")
    if not rules:
        return
    shown = envelope(event)
    for rule in rules:
        if compile_pattern(rule.pattern)(shown):
            start_deliveries(ctx, rule, shown)


def start_deliveries(ctx: Context, rule: Rule, shown: dict[str, Any]) -> None:
    """One durable delivery for each target of a rule; the run's name makes a second one of the same event impossible."""
    for target in rule.targets.values():
        ctx.start_job(
            "events.deliver", f"events.deliver/{shown['id']}/{rule.name}/{target['Id']}", event=shown, rule=rule.name, target=target
        )


@job("events.deliver")
def deliver(run: Run, event: dict[str, Any], rule: str, target: dict[str, Any]) -> None:
    policy = target.get("RetryPolicy", {})
    for number in range(policy.get("MaximumRetryAttempts", MAX_ATTEMPTS) + 1):
        pause = run.tx(f"attempt-{number}", attempt, event, rule, target, number)
        if pause is None:
            return
        run.sleep(f"pause-{number}", pause)
    run.tx("dropped", drop, event, rule, target, "it was tried as often as its retry policy allows")


def attempt(ctx: Context, event: dict[str, Any], rule: str, target: dict[str, Any], number: int) -> float | None:
    """Call the target. None when that is settled, else how long to wait before the next attempt."""
    try:
        _call(ctx, event, rule, target)
    except AwsError as error:
        reason = f"{error.code}: {error.message}"
        if any(word in error.code for word in FINAL):
            drop(ctx, event, rule, target, reason)
            return None
        if _age(ctx, event) > target.get("RetryPolicy", {}).get("MaximumEventAgeInSeconds", MAX_AGE):
            drop(ctx, event, rule, target, f"it is too old ({reason})")
            return None
        return min(MAX_PAUSE, 2.0 ** min(number, 10))
    return None


def _call(ctx: Context, event: dict[str, Any], rule: str, target: dict[str, Any]) -> None:
    arn = Arn.parse(target["Arn"])
    if arn is None:
        raise AwsError("ValidationException", f"{target['Arn']} is not an ARN")
    given = target_input(target, event, rule, rule_arn(ctx.scope, rule))
    role = ctx.assuming(target["RoleArn"], rule, SERVICE)
    TARGETS[arn.service](role, arn, given, event["id"])


def _age(ctx: Context, event: dict[str, Any]) -> float:
    return ctx.now - datetime.fromisoformat(event["time"].replace("Z", "+00:00")).timestamp()


def drop(ctx: Context, event: dict[str, Any], rule: str, target: dict[str, Any], reason: str) -> None:
    """Give a delivery up, in the log and in the trail."""
    text = f"rule {rule}: the event {event['detail-type']} ({event['id']}) was not delivered to {target['Arn']}: {reason}"
    log.warning("%s", text)
    trail(ctx, [rule, target["Arn"], event["id"]], text, level="error")

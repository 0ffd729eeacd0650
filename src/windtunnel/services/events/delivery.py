"""From an event to its deliveries: rules are matched where the event leaves the outbox. What is quick is done there and then; the rest,
and what failed, is a durable delivery of its own.

Invariants: a delivery's success commits with what the target did, so an internal target runs exactly once; a failure that may pass
is tried again for a day, one that will not goes to the dead letters, or is told in the log; sources that begin with `windtunnel.`
reach no rule.
"""

from __future__ import annotations

import logging
from typing import Any

from windtunnel.jobs import Run, job
from windtunnel.kernel.context import Context, Event
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import LISTENERS
from windtunnel.kernel.scope import Arn
from windtunnel.kernel.trail import trail
from windtunnel.services.events.archiving import keep
from windtunnel.services.events.dead_letters import Failure, bury
from windtunnel.services.events.model import DEFAULT_BUS, Rule, bus_of, envelope, rule_arn
from windtunnel.services.events.rulesets import rules_on
from windtunnel.services.events.targets import deliver as hand_over
from windtunnel.services.events.targets import kind_of, seconds_of
from windtunnel.services.events.transform import target_input

log = logging.getLogger("windtunnel.events")
MAX_RETRIES = 185
MAX_AGE = 86400
MAX_PAUSE = 900.0
FINAL = ("AccessDenied", "NotFound", "NotImplemented", "Validation", "Invalid", "NonExistent", "DoesNotExist", "NoSuch", "IllegalStatus")
"""Errors whose code has one of these in it are not tried again: they would fail the same way."""


def wanted(ctx: Context, event: Event) -> bool:
    """Whether anybody here wants an event: a listener of the cloud's own, a rule, an archive. What nobody wants is not kept."""
    if any(source == event.source and detail_type in ("*", event.detail_type) for source, detail_type, _ in LISTENERS):
        return True
    if event.source.startswith("windtunnel."):
        return False
    account, region, bus = bus_of(event)
    here = ctx if (account, region) == (ctx.scope.account, ctx.scope.region) else ctx.in_scope(account, region)
    found, shown = rules_on(here, bus), envelope(event)
    return bool(found.rules.of(shown) or found.archives.of(shown))


def fan_out(ctx: Context, event: Event, quickly: bool) -> None:
    """Keep an event where it is to be kept, and deliver it to every target of every rule that matches.

    quickly: what is quick is delivered in this transaction; else each delivery is a run of its own.
    """
    if event.source.startswith("windtunnel."):
        return
    account, region, bus = bus_of(event)
    here = ctx.in_scope(account, region)
    found, shown = rules_on(here, bus), envelope(event)
    for archive in found.archives.of(shown):
        keep(here, archive, shown, event.time)
    for rule in found.rules.of(shown):
        start_deliveries(here, rule, shown, hops=event.hops, quickly=quickly)


def start_deliveries(ctx: Context, rule: Rule, shown: dict[str, Any], *, hops: int = 0, quickly: bool = True) -> None:
    """One delivery for each target of a rule. A run's name makes a second one of the same event impossible."""
    for target in rule.targets.values():
        arn = Arn.parse(target["Arn"])
        kind = None if arn is None else kind_of(arn)
        failed = None
        if quickly and kind is not None and kind.quick:
            failed = _try(ctx, shown, rule, target, hops)
            if failed is None:
                continue
        replay = f"/{shown['replay-name']}" if "replay-name" in shown else ""
        ctx.start_job(
            "events.deliver",
            f"events.deliver/{shown['id']}{replay}/{rule.arn(ctx.scope)}/{target['Id']}",
            event=shown,
            rule=rule.name,
            target=target,
            bus=rule.bus,
            hops=hops,
            failed=failed,
        )


def _try(ctx: Context, shown: dict[str, Any], rule: Rule, target: dict[str, Any], hops: int) -> list[str] | None:
    """Deliver now. None when that is done, else the failure: (code, message)."""
    try:
        _call(ctx, shown, rule.name, target, rule.bus, hops)
    except AwsError as error:
        return [error.code, error.message]
    return None


@job("events.deliver")
def deliver(
    run: Run,
    event: dict[str, Any],
    rule: str,
    target: dict[str, Any],
    bus: str = DEFAULT_BUS,
    hops: int = 0,
    failed: list[str] | None = None,
) -> None:
    """failed: the error of a first attempt that was made before."""
    for number in range(_policy(target, "MaximumRetryAttempts", MAX_RETRIES) + 1):
        if number == 0 and failed is not None:
            pause = run.tx("attempt-0", settle, event, rule, target, 0, bus, failed)
        else:
            pause = run.tx(f"attempt-{number}", attempt, event, rule, target, number, bus, hops)
        if pause is None:
            return
        run.sleep(f"pause-{number}", pause)


def _policy(target: dict[str, Any], limit: str, default: int) -> int:
    """A limit of the target's retry policy."""
    given: int = target.get("RetryPolicy", {}).get(limit, default)
    return given


def attempt(
    ctx: Context, event: dict[str, Any], rule: str, target: dict[str, Any], number: int, bus: str = DEFAULT_BUS, hops: int = 0
) -> float | None:
    """Call the target. None when that is settled, else how long to wait before the next attempt."""
    try:
        _call(ctx, event, rule, target, bus, hops)
    except AwsError as error:
        return settle(ctx, event, rule, target, number, bus, [error.code, error.message])
    return None


def settle(
    ctx: Context, event: dict[str, Any], rule: str, target: dict[str, Any], number: int, bus: str, failed: list[str]
) -> float | None:
    """What becomes of an attempt that failed with (code, message): None when it was given up, else how long to wait."""
    code, message = failed
    condition = ""
    if not any(word in code for word in FINAL):
        if ctx.now - seconds_of(event) > _policy(target, "MaximumEventAgeInSeconds", MAX_AGE):
            condition = "MaximumEventAgeInSeconds"
        elif number >= _policy(target, "MaximumRetryAttempts", MAX_RETRIES):
            condition = "MaximumRetryAttempts"
        else:
            trail(ctx, [rule, target["Arn"], event["id"]], f"rule {rule}: {target['Arn']} did not take the event ({code}: {message}) yet")
            return min(MAX_PAUSE, 2.0 ** min(number, 10))
    bury(ctx, event, rule, bus, target, Failure(code, message, number, condition))
    return None


def _call(ctx: Context, event: dict[str, Any], rule: str, target: dict[str, Any], bus: str, hops: int) -> None:
    arn = rule_arn(ctx.scope, rule, bus)
    hand_over(ctx, target, target_input(target, event, rule, arn), event, rule, arn, hops)

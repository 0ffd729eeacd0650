"""From an event to its deliveries: what is quick is done in the transaction that matched the event; the rest, and what failed, is a durable
delivery of its own.

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
from windtunnel.services.events.archiving import keep
from windtunnel.services.events.model import DEFAULT_BUS, Archive, Rule, bus_of, envelope, rule_arn
from windtunnel.services.events.rulesets import NOTHING, rules_on
from windtunnel.services.events.settling import MAX_RETRIES, policy_of, settle
from windtunnel.services.events.targets import deliver as hand_over
from windtunnel.services.events.targets import is_destination, reached
from windtunnel.services.events.transform import target_input

log = logging.getLogger("windtunnel.events")
MAX_LIGHT = 10
"""Up to so many quick deliveries are made where the event happens."""


class Plan:
    """Who gets an event: archives of its bus, and targets of the rules that match it."""

    __slots__ = ("_archives", "_ctx", "_event", "_rules", "_shown")

    def __init__(self, ctx: Context, event: Event, shown: dict[str, Any], rules: list[Rule], archives: list[Archive]) -> None:
        """ctx: the account and region of the bus."""
        self._ctx, self._event, self._shown, self._rules, self._archives = ctx, event, shown, rules, archives

    @property
    def light(self) -> bool:
        targets = [target for rule in self._rules for target in rule.targets.values()]
        return len(targets) <= MAX_LIGHT and all(map(_is_quick, targets))

    def carry_out(self, quickly: bool) -> None:
        for archive in self._archives:
            keep(self._ctx, archive, self._shown, self._event.time)
        for rule in self._rules:
            start_deliveries(self._ctx, rule, self._shown, hops=self._event.hops, quickly=quickly)


def hears(ctx: Context, source: str) -> bool:
    """Whether a rule or an archive of the default bus may want events of an AWS service."""
    return rules_on(ctx, DEFAULT_BUS).hears(source)


def plan(ctx: Context, event: Event) -> Plan | None:
    """Who gets an event; None when no rule and no archive of its bus wants it."""
    if event.source.startswith("windtunnel."):
        return None
    account, region, bus = bus_of(event)
    here = ctx if (account, region) == (ctx.scope.account, ctx.scope.region) else ctx.in_scope(account, region)
    found = here.found.get((rules_on, bus))
    if found is None:
        found = here.found[rules_on, bus] = rules_on(here, bus)
    if found is NOTHING:
        return None
    shown = envelope(event)
    rules, archives = found.rules.of(shown), found.archives.of(shown)
    return Plan(here, event, shown, rules, archives) if rules or archives else None


def _is_quick(target: dict[str, Any]) -> bool:
    found = reached(target["Arn"])
    return found is not None and found[1].quick


def start_deliveries(ctx: Context, rule: Rule, shown: dict[str, Any], *, hops: int = 0, quickly: bool = True) -> None:
    """One delivery for each target of a rule. A run's name makes a second one of the same event impossible."""
    for target in rule.targets.values():
        failed = None
        if quickly and _is_quick(target):
            failed = _try(ctx, shown, rule, target, hops)
            if failed is None:
                continue
        replay = f"/{shown['replay-name']}" if "replay-name" in shown else ""
        kind = "events.call" if is_destination(target["Arn"]) else "events.deliver"
        ctx.start_job(
            kind,
            f"{kind}/{shown['id']}{replay}/{rule.arn(ctx.scope)}/{target['Id']}",
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
    for number in range(policy_of(target, "MaximumRetryAttempts", MAX_RETRIES) + 1):
        if number == 0 and failed is not None:
            pause = run.tx("attempt-0", settle, event, rule, target, 0, bus, failed)
        else:
            pause = run.tx(f"attempt-{number}", attempt, event, rule, target, number, bus, hops)
        if pause is None:
            return
        run.sleep(f"pause-{number}", pause)


def attempt(
    ctx: Context, event: dict[str, Any], rule: str, target: dict[str, Any], number: int, bus: str = DEFAULT_BUS, hops: int = 0
) -> float | None:
    """Call the target. None when that is settled, else how long to wait before the next attempt."""
    try:
        _call(ctx, event, rule, target, bus, hops)
    except AwsError as error:
        return settle(ctx, event, rule, target, number, bus, [error.code, error.message])
    return None


def _call(ctx: Context, event: dict[str, Any], rule: str, target: dict[str, Any], bus: str, hops: int) -> None:
    arn = rule_arn(ctx.scope, rule, bus)
    hand_over(ctx, target, target_input(target, event, rule, arn), event, rule, arn, hops)

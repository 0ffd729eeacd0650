"""Rules that fire by the clock: one durable run for each valid schedule, which ends when the rule's schedule changes.

Invariant: a rule names its one valid run (`schedule_run`); a firing and the deliveries that it starts commit together.
"""

from __future__ import annotations

from typing import Any

import msgspec

from windtunnel.events.schedule import next_after, parse
from windtunnel.jobs import Run, job
from windtunnel.kernel.context import Context, Event
from windtunnel.services.events.delivery import start_deliveries
from windtunnel.services.events.model import Rule, envelope


def _ended(schedule_run: str) -> str:
    return f"events.schedule/{schedule_run}/ended"


def reschedule(ctx: Context, rule: Rule) -> Rule:
    """End the rule's old schedule and begin the one that it has now, if it is enabled. Returns the rule to be stored."""
    if rule.schedule_run:
        ctx.signal(_ended(rule.schedule_run))
    if not rule.schedule or rule.state != "ENABLED":
        return msgspec.structs.replace(rule, schedule_run="")
    fresh = ctx.ids.hex(16)
    ctx.start_job("events.schedule", f"events.schedule/{fresh}", rule=rule.name, schedule_run=fresh, since=ctx.now)
    return msgspec.structs.replace(rule, schedule_run=fresh)


@job("events.schedule")
def keep_schedule(run: Run, rule: str, schedule_run: str, since: float) -> None:
    """Wait for the next moment after `since`, fire, and begin again from there."""
    due = run.tx("next", next_due, rule, schedule_run, since)
    if due is None:
        return
    seconds, at = due
    if run.wait_for(_ended(schedule_run), key="pause", timeout=run.cloud.clock.paced(seconds)) is not None:
        return
    if run.tx("fire", fire, rule, schedule_run):
        run.continue_as_new(rule=rule, schedule_run=schedule_run, since=at)


def _valid(ctx: Context, name: str, schedule_run: str) -> Rule | None:
    rule = ctx.tx.get(Rule, name)
    return rule if rule is not None and rule.schedule_run == schedule_run else None


def next_due(ctx: Context, name: str, schedule_run: str, since: float) -> tuple[float, float] | None:
    """(seconds to wait, the moment that is due), None when the schedule has ended."""
    rule = _valid(ctx, name, schedule_run)
    at = next_after(parse(rule.schedule), since) if rule is not None else None
    if at is None:
        return None
    if at > ctx.now and since <= ctx.now:
        return at - ctx.now, at
    if at <= ctx.now:
        # The cloud was down when it was due; a missed firing is not made up for.
        late = next_after(parse(rule.schedule), ctx.now) if rule is not None else None
        return None if late is None else (late - ctx.now, late)
    return at - since, at


def fire(ctx: Context, name: str, schedule_run: str) -> bool:
    """Start the rule's deliveries. False when the schedule has ended."""
    rule = _valid(ctx, name, schedule_run)
    if rule is None:
        return False
    resources: Any = (rule.arn(ctx.scope),)
    event = Event(ctx.ids.uuid(), "aws.events", "Scheduled Event", ctx.scope.account, ctx.scope.region, ctx.now, resources, {})
    start_deliveries(ctx.caused_by(f"schedule:{name}@{event.id}"), rule, envelope(event))
    return True

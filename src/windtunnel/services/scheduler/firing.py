"""Schedules by the clock: one durable run for each valid schedule, which ends when the schedule changes.

Invariants: a schedule names its one valid run; a due time and the invocation that it starts commit together with the run's going on to the
next, so each due time invokes once, whatever dies in between. A time that was due while the cloud was down is due when it is up again,
once; what else was missed is not made up for. A date (`at`) is a real one; gaps of rates and crons, and windows, go by the cloud's pace.
"""

from __future__ import annotations

from typing import Any

import msgspec

from windtunnel.jobs import Run, job
from windtunnel.kernel.context import Context
from windtunnel.kernel.trail import trail
from windtunnel.services.scheduler.model import Once, Schedule, next_due, timing

MISSED = 60.0
"""What was due longer ago than this, in seconds, when it is looked for, was missed."""


def _ended(run: str) -> str:
    return f"scheduler.schedule/{run}/ended"


def reschedule(ctx: Context, schedule: Schedule) -> Schedule:
    """End the schedule's old run and begin one, if it is enabled. Returns the schedule to be stored."""
    if schedule.run:
        ctx.signal(_ended(schedule.run))
    if schedule.state != "ENABLED":
        return msgspec.structs.replace(schedule, run="")
    fresh = ctx.ids.hex(16)
    ctx.start_job("scheduler.schedule", f"scheduler.schedule/{fresh}", schedule=schedule.key(), valid=fresh)
    return msgspec.structs.replace(schedule, run=fresh)


def end(ctx: Context, schedule: Schedule) -> None:
    if schedule.run:
        ctx.signal(_ended(schedule.run))


@job("scheduler.schedule")
def keep_schedule(run: Run, schedule: str, valid: str, since: float | None = None) -> None:
    """Wait for the next moment that is due after `since`, invoke, and begin again from there."""
    found = run.tx("next", plan, schedule, valid, since)
    if found is None:
        return
    at, seconds = found
    if run.wait_for(_ended(valid), key="pause", timeout=seconds) is not None:
        return
    if run.tx("fire", fire, schedule, valid, at):
        run.continue_as_new(schedule=schedule, valid=valid, since=at)


def _valid(ctx: Context, key: str, valid: str) -> Schedule | None:
    schedule = ctx.tx.get(Schedule, key)
    return schedule if schedule is not None and schedule.run == valid else None


def plan(ctx: Context, key: str, valid: str, since: float | None) -> tuple[float, float] | None:
    """(the moment that is due, real seconds until then), None when the schedule has ended: it is then deleted if it asked for that."""
    schedule = _valid(ctx, key, valid)
    if schedule is None:
        return None
    at = next_due(schedule, since, ctx.now - MISSED)
    if at is None:
        _complete(ctx, schedule)
        return None
    if isinstance(timing(schedule.expression), Once):
        if at < ctx.now - MISSED and at < schedule.modified:
            _complete(ctx, schedule)  # it was over when it was written
            return None
        return at, max(0.0, at - ctx.now) + _offset(ctx, schedule)
    gap = at - (ctx.now if since is None or since < ctx.now else since)
    return at, ctx.clock.paced(max(0.0, gap)) + _offset(ctx, schedule)


def _offset(ctx: Context, schedule: Schedule) -> float:
    """Somewhere in the schedule's window, in real seconds."""
    return ctx.clock.paced(schedule.window * 60.0 * int(ctx.ids.hex(8), 16) / 2**32) if schedule.window else 0.0


def fire(ctx: Context, key: str, valid: str, at: float) -> bool:
    """Start the invocation. False when the schedule has ended."""
    schedule = _valid(ctx, key, valid)
    if schedule is None:
        return False
    arn, execution = schedule.arn(ctx.scope), ctx.ids.uuid()
    caused = ctx.caused_by(f"schedule:{key}@{execution}")
    trail(caused, [key, arn], f"the schedule {key} was due")
    given: dict[str, Any] = {"schedule": arn, "group": schedule.group, "target": schedule.target, "at": at, "execution": execution}
    caused.start_job("scheduler.invoke", f"scheduler.invoke/{valid}/{at:.3f}", **given, fired=ctx.now)
    return True


def _complete(ctx: Context, schedule: Schedule) -> None:
    if schedule.after == "DELETE":
        ctx.tx.delete(Schedule, schedule.key())
        trail(ctx, [schedule.key(), schedule.arn(ctx.scope)], f"the schedule {schedule.key()} was completed and deleted")

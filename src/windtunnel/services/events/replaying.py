"""Replays: an archive's events onto their bus again, in the order of their time, each once.

Invariant: events are fanned out in the transaction that moves the replay's place, so a crash repeats none and leaves none out.
"""

from __future__ import annotations

from typing import Any

import msgspec

from windtunnel.jobs import Run, job
from windtunnel.kernel.context import Context
from windtunnel.services.events.archiving import expires
from windtunnel.services.events.delivery import start_deliveries
from windtunnel.services.events.model import Archive, Kept, Replay, ReplayState, kept_key
from windtunnel.services.events.rulesets import rules_on

BATCH = 20


@job("events.replay")
def replay_events(run: Run, replay: str, after: str = "") -> None:
    """One batch a pass, so that a long replay keeps no long record."""
    place = run.tx("batch", replay_batch, replay, after)
    if place is not None:
        run.continue_as_new(replay=replay, after=place)


def replay_batch(ctx: Context, name: str, after: str) -> str | None:
    """Fan out the next events. Returns the place reached, None when the replay has ended."""
    replay = ctx.tx.get(Replay, name)
    if replay is None:
        return None
    archive = ctx.tx.get(Archive, replay.archive)
    if replay.state == "CANCELLING":
        _end(ctx, replay, "CANCELLED", "Replay cancelled")
        return None
    if archive is None:
        _end(ctx, replay, "FAILED", f"Archive {replay.archive} does not exist.")
        return None
    found = ctx.tx.scan(Kept, prefix=f"{archive.id}/", after=after or kept_key(archive.id, replay.since), limit=BATCH)
    due = [kept for kept in found if kept.time <= replay.until and kept.time >= replay.since]
    for kept in due:
        ends = expires(archive, kept)
        if ends is None or ends > ctx.now:
            _again(ctx, replay, kept.event)
    if due:
        replay = msgspec.structs.replace(replay, last=due[-1].time)
    if len(found) < BATCH or found[-1].time > replay.until:
        _end(ctx, replay, "COMPLETED", "")
        return None
    ctx.tx.put(msgspec.structs.replace(replay, state="RUNNING"))
    return found[-1].key()


def _again(ctx: Context, replay: Replay, event: dict[str, Any]) -> None:
    shown = {**event, "replay-name": replay.name}
    caused = ctx.caused_by(f"replay:{replay.name}")
    for rule in rules_on(ctx, replay.bus).rules.of(shown):
        if not replay.filters or rule.arn(ctx.scope) in replay.filters:
            start_deliveries(caused, rule, shown)


def _end(ctx: Context, replay: Replay, state: ReplayState, reason: str) -> None:
    ctx.tx.put(msgspec.structs.replace(replay, state=state, reason=reason, ended=ctx.now))

"""What queues do by themselves: messages expire, purged ones are cleared away, dead letters are moved back."""

from __future__ import annotations

from typing import Any

from windtunnel.jobs import Run, job
from windtunnel.kernel.context import Context
from windtunnel.services.sqs.model import Queue
from windtunnel.services.sqs.moves import move_batch

RETENTION = "sqs.retention"
REMOVED_AT_ONCE = 200
SHORTEST_PAUSE = 60.0


def retention_signal(queue: int) -> str:
    """Tells the run that keeps a queue's retention to look again."""
    return f"sqs.retention/{queue}/look"


@job("sqs.retention")
def keep_retention(run: Run, name: str, queue: int) -> None:
    """Remove what is older than the queue keeps, and sleep until the next message will be; receivers are not shown it meanwhile."""
    seen = run.effect("look", lambda token: run.read(look, name, queue))
    if seen is None:
        return
    if seen["expired"]:
        run.tx("remove", remove, seen["number"], seen["expired"])
    else:
        run.wait_for(retention_signal(queue), key="pause", timeout=seen["pause"])
    run.continue_as_new(name=name, queue=queue)


def look(ctx: Context, name: str, queue: int) -> dict[str, Any] | None:
    """What has expired, and for how long nothing will; None when the queue is gone."""
    found = ctx.tx.get(Queue, name)
    if found is None or found.id != queue:
        return None
    kept = float(found.number_of("MessageRetentionPeriod"))
    expired = ctx.tx.queues.expired(found.number, int((ctx.now - kept) * 1000), REMOVED_AT_ONCE)
    oldest = ctx.tx.queues.oldest(found.number)
    # Nothing that is sent from now on can expire sooner than the retention period.
    pause = kept if oldest is None else max(SHORTEST_PAUSE, oldest / 1000 + kept - ctx.now)
    return {"number": found.number, "expired": expired, "pause": pause}


def remove(ctx: Context, number: int, expired: list[int]) -> None:
    ctx.tx.queues.remove(number, expired, int(ctx.now * 1000))


@job("sqs.clear")
def clear(run: Run, number: int, forget: int | None) -> None:
    """Remove the messages of a queue that was purged or deleted, some at a time."""
    if run.tx("drop", drop, number, forget):
        run.continue_as_new(number=number, forget=forget)


def drop(ctx: Context, number: int, forget: int | None) -> bool:
    """True when there may be more."""
    more = ctx.tx.queues.drop(number, REMOVED_AT_ONCE) == REMOVED_AT_ONCE
    if forget is not None:
        more = ctx.tx.queues.forget(forget, REMOVED_AT_ONCE) == REMOVED_AT_ONCE or more
    return more


@job("sqs.move")
def move(run: Run, task: str) -> None:
    """Move a task's messages, batch by batch, no faster than it may."""
    pause = run.tx("batch", move_batch, task)
    if pause is None:
        return
    if pause:
        run.sleep("pause", pause)
    run.continue_as_new(task=task)

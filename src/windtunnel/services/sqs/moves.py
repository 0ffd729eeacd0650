"""Move tasks: a dead-letter queue's messages back to where they came from, or to another queue. The record, and one batch of it.

Invariant: a message is in exactly one queue; batch and count commit together, so that a task that is interrupted goes on where it was.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from typing import Any, ClassVar

from windtunnel.kernel.context import Context
from windtunnel.kernel.records import Record
from windtunnel.services.sqs.guard import queue_of_arn
from windtunnel.services.sqs.messages import decode_meta, encode_meta
from windtunnel.services.sqs.model import Queue

BATCH = 100
ACTIVE = ("RUNNING", "CANCELLING")


class MoveTask(Record, kw_only=True):
    KIND: ClassVar[str] = "sqs.move"
    INDEXES: ClassVar = {"source": "source"}

    id: str
    source: str
    destination: str
    rate: int | None
    status: str
    started: float
    to_move: int
    moved: int = 0
    failure: str = ""

    def key(self) -> str:
        return self.id

    @property
    def handle(self) -> str:
        return b64encode(json.dumps({"taskId": self.id, "sourceArn": self.source}, separators=(",", ":")).encode()).decode()

    def described(self) -> dict[str, Any]:
        found: dict[str, Any] = {
            "Status": self.status,
            "SourceArn": self.source,
            "ApproximateNumberOfMessagesMoved": self.moved,
            "ApproximateNumberOfMessagesToMove": self.to_move,
            "StartedTimestamp": int(self.started * 1000),
        }
        if self.status == "RUNNING":
            found["TaskHandle"] = self.handle
        optional = {"DestinationArn": self.destination, "MaxNumberOfMessagesPerSecond": self.rate, "FailureReason": self.failure}
        return found | {name: value for name, value in optional.items() if value}


def task_of_handle(handle: str) -> tuple[str, str] | None:
    """(the task's id, its source's ARN); None for what is no handle."""
    try:
        decoded = json.loads(b64decode(handle.encode("ascii"), validate=True))
        task, source = decoded["taskId"], decoded["sourceArn"]
    except (Base64Error, ValueError, TypeError, KeyError, RecursionError):
        return None
    return (task, source) if isinstance(task, str) and isinstance(source, str) else None


def move_batch(ctx: Context, task_id: str) -> float | None:
    """Move some messages. Seconds until the next batch; None when the task has ended."""
    task = ctx.tx.get(MoveTask, task_id)
    if task is None or task.status not in ACTIVE:
        return None
    source = queue_of_arn(ctx, task.source)
    pause = _move(ctx, task, source) if task.status == "RUNNING" and source is not None else None
    if pause is None and task.status in ACTIVE:
        task.status = "CANCELLED" if task.status == "CANCELLING" else "FAILED" if source is None else "COMPLETED"
        task.failure = "AWS.SimpleQueueService.NonExistentQueue" if source is None else ""
    ctx.tx.put(task)
    return pause


def _move(ctx: Context, task: MoveTask, source: Queue) -> float | None:
    now = int(ctx.now * 1000)
    found = ctx.tx.queues.peek(source.number, now, min(BATCH, task.rate or BATCH))
    for held in found:
        meta = decode_meta(held.meta)
        target = queue_of_arn(ctx, task.destination or meta.source)
        if target is None or target.fifo != source.fifo:
            task.status = "FAILED"
            task.failure = (
                "AWS.SimpleQueueService.NonExistentQueue" if meta.source or task.destination else "CouldNotDetermineMessageSource"
            )
            return None
        ctx.tx.queues.remove(source.number, [held.seq], now)
        # On AWS too a message that is moved back is a new one: another id, another time, never received.
        meta.id, meta.source = ctx.ids.uuid(), ""
        ctx.tx.queues.send(target.number, now, now, encode_meta(meta), held.body, held.group)
        ctx.notify(target.signal)
        task.moved += 1
    if not found:
        return None
    return len(found) / task.rate if task.rate else 0.0

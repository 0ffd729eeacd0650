"""StartMessageMoveTask, CancelMessageMoveTask, ListMessageMoveTasks."""

from __future__ import annotations

from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import reads, writes
from windtunnel.services.sqs.guard import at_home, need, queue_of_arn
from windtunnel.services.sqs.model import Queue
from windtunnel.services.sqs.moves import ACTIVE, MoveTask, task_of_handle
from windtunnel.services.sqs.words import invalid, invalid_value

MAX_RATE = 500
SHOWN = 10


def _source(ctx: Context, arn: str) -> Queue:
    queue = queue_of_arn(ctx, arn)
    if queue is None:
        raise AwsError("ResourceNotFoundException", "The resource that you specified for the SourceArn parameter doesn't exist.")
    return queue


def on_start(ctx: Context, source_arn: str, destination_arn: str | None = None, **_: object) -> list[Need]:
    """Docs, Configuring queue permissions for dead-letter queue redrive: to take from the one, to send to the others."""
    source = _source(ctx, source_arn)
    actions = ("StartMessageMoveTask", "ReceiveMessage", "DeleteMessage", "GetQueueAttributes")
    needs = [need(source, action, shared=False) for action in actions]
    if destination_arn:
        target = queue_of_arn(ctx, destination_arn)
        targets = [target] if target is not None else []
    else:
        targets = at_home(ctx, source).tx.find(Queue, "dead_letters", source.arn)
    return needs + [need(target, "SendMessage") for target in targets]


@writes("sqs", "StartMessageMoveTask", authorize=on_start, acts="SourceArn DestinationArn MaxNumberOfMessagesPerSecond")
def start_message_move_task(
    ctx: Context, source_arn: str, destination_arn: str | None = None, max_number_of_messages_per_second: int | None = None
) -> Reply:
    source = _source(ctx, source_arn)
    rate = max_number_of_messages_per_second
    if rate is not None and not 1 <= rate <= MAX_RATE:
        raise invalid_value(rate, "MaxNumberOfMessagesPerSecond", f"Must be between 1 and {MAX_RATE}, if provided.")
    home = at_home(ctx, source)
    if not home.tx.find(Queue, "dead_letters", source.arn, limit=1):
        raise invalid("Source queue must be configured as a Dead Letter Queue.")
    if destination_arn:
        target = queue_of_arn(ctx, destination_arn)
        if target is None:
            raise AwsError("ResourceNotFoundException", "The resource that you specified for the DestinationArn parameter doesn't exist.")
        if target.fifo != source.fifo or target.arn == source.arn or target.region != source.region:
            raise invalid_value(destination_arn, "DestinationArn", "It must be another queue of the same type and region.")
    if any(task.status in ACTIVE for task in home.tx.find(MoveTask, "source", source.arn)):
        raise AwsError(
            "UnsupportedOperation",
            "There is already a task running. Only one active task is allowed for a source queue arn at a given time.",
        )
    task = MoveTask(
        id=ctx.ids.uuid(),
        source=source.arn,
        destination=destination_arn or "",
        rate=rate,
        status="RUNNING",
        started=ctx.now,
        to_move=ctx.tx.queues.depth(source.number, int(ctx.now * 1000)).visible,
    )
    home.tx.insert(task)
    home.start_job("sqs.move", f"sqs.move/{task.id}", task=task.id)
    return {"TaskHandle": task.handle}


def _named(ctx: Context, handle: str) -> tuple[Queue, str]:
    """The queue from which a task moves, and the task's id."""
    named = task_of_handle(handle)
    if named is None:
        raise invalid_value(handle, "TaskHandle", "It is not a valid handle of a task.")
    return _source(ctx, named[1]), named[0]


def on_task(ctx: Context, task_handle: str, **_: object) -> list[Need]:
    return [need(_named(ctx, task_handle)[0], "CancelMessageMoveTask", shared=False)]


@writes("sqs", "CancelMessageMoveTask", authorize=on_task, acts="TaskHandle")
def cancel_message_move_task(ctx: Context, task_handle: str) -> Reply:
    queue, task_id = _named(ctx, task_handle)
    home = at_home(ctx, queue)
    task = home.tx.get(MoveTask, task_id)
    if task is None or task.source != queue.arn:
        raise AwsError("ResourceNotFoundException", "Task does not exist.")
    if task.status != "RUNNING":
        raise AwsError("UnsupportedOperation", "Only active tasks can be cancelled.")
    task.status = "CANCELLING"
    home.tx.put(task)
    return {"ApproximateNumberOfMessagesMoved": task.moved}


def on_tasks(ctx: Context, source_arn: str, **_: object) -> list[Need]:
    return [need(_source(ctx, source_arn), "ListMessageMoveTasks", shared=False)]


@reads("sqs", "ListMessageMoveTasks", authorize=on_tasks, acts="SourceArn MaxResults")
def list_message_move_tasks(ctx: Context, source_arn: str, max_results: int = 1) -> Reply:
    if not 1 <= max_results <= SHOWN:
        raise invalid_value(max_results, "MaxResults", f"Must be between 1 and {SHOWN}, if provided.")
    tasks = at_home(ctx, _source(ctx, source_arn)).tx.find(MoveTask, "source", source_arn)
    tasks.sort(key=lambda task: task.started, reverse=True)
    return {"Results": [task.described() for task in tasks[:max_results]]}

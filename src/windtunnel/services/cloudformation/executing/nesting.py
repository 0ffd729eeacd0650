"""What a parent says to its nested stacks beside "become this": clean up, or turn back.

Invariants: a nested stack that a parent updates stays held, in UPDATE_COMPLETE_CLEANUP_IN_PROGRESS or UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS,
until its parent cleans up itself (AWS, troubleshooting nested stacks), so that it can be turned back exactly. A word is written into the held
operation in the parent's transaction: a cloud that dies then has said it, or has not. What a nested stack does on its own is not its parent's to turn back.
"""

from __future__ import annotations

from windtunnel.kernel.context import Context
from windtunnel.services.cloudformation import happening, starting
from windtunnel.services.cloudformation.executing.outputs import write_back
from windtunnel.services.cloudformation.model import Operation, Options, Stack, Template, in_progress, run_id, stack_of_arn


def child_of(ctx: Context, arn: str) -> Stack | None:
    found = stack_of_arn(arn)
    return ctx.tx.get(Stack, found[1]) if found is not None else None


def under_way(ctx: Context, child: Stack) -> Operation | None:
    """The operation that a parent has begun with it and that has not ended."""
    operation = ctx.tx.get(Operation, child.operation) if child.operation else None
    return operation if operation is not None and operation.nested else None


def held(ctx: Context, child: Stack) -> Operation | None:
    operation = under_way(ctx, child)
    return operation if operation is not None and operation.phase in ("held", "held-restored") else None


def release(ctx: Context, arn: str) -> bool:
    """The parent cleans up. Whether there is nothing to wait for."""
    child = child_of(ctx, arn)
    operation = under_way(ctx, child) if child is not None else None
    if child is None or operation is None:
        return True
    if operation.phase in ("held", "held-restored"):
        operation.phase = "clean" if operation.phase == "held" else "clean-restored"
        operation.outputs = []
        _say(ctx, operation)
    return not in_progress(child.status)


def turn_back(ctx: Context, child: Stack, skip: list[str], token: str) -> bool:
    """The parent turns back. Whether there is nothing to wait for: the child was not touched, or has turned back already.

    skip: what to skip of this child and of those below it, as ContinueUpdateRollback names it.
    """
    if child.status in ("UPDATE_FAILED", "UPDATE_ROLLBACK_FAILED"):
        starting.roll_update_back(ctx, child, Options(skip=skip_of(child, skip)), token, nested=True)
        return False
    operation = under_way(ctx, child)
    if operation is None or operation.phase in ("held-restored", "clean-restored"):
        return True
    if operation.phase == "held":
        _restore(ctx, child, operation)
    elif operation.phase == "make" and not operation.failed:
        operation.cancelled = True
        _say(ctx, operation)
    return False


def _restore(ctx: Context, child: Stack, operation: Operation) -> None:
    operation.turned = starting.INITIATED
    happening.of_stack(ctx, child, operation, "UPDATE_ROLLBACK_IN_PROGRESS", operation.turned)
    back = ctx.tx.get(Template, f"{child.id}/{operation.back_to:06d}")
    if back is not None:
        child.parameters, child.tags, child.made = back.given, back.tags, back.version
    write_back(ctx, child, operation.outputs)
    operation.phase, operation.failed, operation.outputs = "restore", [], []
    ctx.tx.put(child)
    _say(ctx, operation)


def _say(ctx: Context, operation: Operation) -> None:
    ctx.tx.put(operation)
    ctx.cloud.wake(ctx, run_id(operation.id))


def skip_of(child: Stack, names: list[str]) -> list[str]:
    """What of `STACK-NAME.LogicalId` is the child's own, and the rest as it is, for the stacks below it."""
    return [logical if owner == child.name else name for name in names if "." in name for owner, _, logical in [name.partition(".")]]

"""Taking change sets away: with those of the nested stacks that were made for them, and the stacks that exist for nothing else.

Invariant: a stack that was made to be reviewed goes with the change set that it was made for, unless that was executed.
"""

from __future__ import annotations

from windtunnel.kernel.context import Context
from windtunnel.services.cloudformation import happening, retention
from windtunnel.services.cloudformation.model import ChangeSet, Stack, Template


def within(ctx: Context, change_set_id: str) -> list[ChangeSet]:
    """The change sets of the stacks that are nested in a change set's own."""
    return ctx.tx.find(ChangeSet, "parent", change_set_id)


def forget(ctx: Context, change_set: ChangeSet) -> None:
    """It, its template and everything below it."""
    for below in within(ctx, change_set.id):
        forget(ctx, below)
        if below.first:
            _forget_reviewed(ctx, below.stack)
    ctx.tx.delete(ChangeSet, change_set.key())
    if change_set.version and change_set.execution != "EXECUTE_COMPLETE":
        ctx.tx.delete(Template, f"{change_set.stack}/{change_set.version:06d}")


def _forget_reviewed(ctx: Context, stack_id: str) -> None:
    stack = ctx.tx.get(Stack, stack_id)
    if stack is None or stack.status != "REVIEW_IN_PROGRESS":
        return
    stack.deleted = ctx.now
    retention.note(ctx, stack)
    happening.of_stack(ctx, stack, None, "DELETE_COMPLETE")
    ctx.tx.put(stack)


def forget_all(ctx: Context, stack_id: str, but: str = "") -> None:
    """Those of a stack. but: the id of one that stays."""
    for found in ctx.tx.scan(ChangeSet, prefix=f"{stack_id}/"):
        if found.id != but:
            forget(ctx, found)


def forget_unexecuted(ctx: Context, change_set_id: str) -> None:
    """The operation that executes a change set has ended: what it did not come to, and what had nothing to do, is not to be executed any more."""
    for below in within(ctx, change_set_id):
        if below.execution != "EXECUTE_COMPLETE":
            forget(ctx, below)
            if below.first:
                _forget_reviewed(ctx, below.stack)

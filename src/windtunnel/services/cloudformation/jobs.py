"""The durable work of a stack operation.

Invariant: the run holds nothing that its records do not: each step is a batch of `advance`, and after a crash the next one begins where the records are.
"""

from __future__ import annotations

from windtunnel.jobs.run import Run, job
from windtunnel.kernel.context import Context
from windtunnel.services.cloudformation import happening
from windtunnel.services.cloudformation.executing.driving import advance, look, prepare
from windtunnel.services.cloudformation.model import Operation, Stack

EVERY = 0.25
"""Seconds between looks at what is coming."""
HELD = 30.0
"""Seconds between looks of a nested stack that waits for its parent, who wakes it: this is for a word that was not heard."""


def record_failure(ctx: Context, message: str, stack_id: str, operation_id: str, doing: str) -> None:
    """The executor itself failed (a defect of ours): the stack says so, and may be deleted or tried again."""
    stack, operation = ctx.tx.get(Stack, stack_id), ctx.tx.get(Operation, operation_id)
    if stack is None or operation is None or stack.operation != operation_id:
        return
    ends = {"create": "CREATE_FAILED", "delete": "DELETE_FAILED", "rollback": "ROLLBACK_FAILED", "update": "UPDATE_ROLLBACK_FAILED"}
    stack.operation = ""
    happening.of_stack(ctx, stack, operation, ends.get(doing, "UPDATE_ROLLBACK_FAILED"), f"Internal failure: {message}")
    ctx.tx.put(stack)


@job("cloudformation.operation", failed=record_failure)
def carry_out(run: Run, stack_id: str, operation_id: str, doing: str) -> None:
    """Batch after batch until the stack has arrived. doing: the operation's kind, for the steps' names."""
    number = 0
    while True:
        number, said = run.tx_while(lambda n: f"{doing}-{n}", number, "more", lambda ctx: advance(ctx, stack_id, operation_id))
        if said == "done":
            return
        if said == "prepare":
            run.read(prepare, operation_id)
        elif said == "wait":
            run.until(f"{doing}-{number}-looked", lambda ctx: look(ctx, stack_id, operation_id), every=EVERY)
        elif said == "hold":
            run.until(f"{doing}-{number}-held", lambda ctx: look(ctx, stack_id, operation_id), every=HELD)
        number += 1

"""A deleted stack is shown for 90 days, as on AWS; a durable run of the cloud forgets what is older: its history, templates, operations, and itself.

Invariants: one run for each cloud, begun when its first stack is deleted; it forgets in small transactions, so that requests get in between; a
stack's own record goes last, so that what a kill leaves half forgotten is found again.
"""

from __future__ import annotations

from typing import ClassVar

from windtunnel.jobs import Run, job
from windtunnel.kernel.context import Context
from windtunnel.kernel.records import Record, RecordScope, Tx
from windtunnel.services.cloudformation.answering import CustomRequest
from windtunnel.services.cloudformation.model import SHOWN, ChangeSet, Operation, Signal, Stack, StackEvent, StackResource, Template

EVERY = 3_600.0
GROUP = 100
"""Records that go in one transaction: a few milliseconds of the loop."""
RUN = "cloudformation.retention"
PARTS: tuple[type[Record], ...] = (StackEvent, StackResource, Template, ChangeSet, Signal, CustomRequest)
"""What a stack has under its id."""


class DeletedStack(Record, kw_only=True):
    """That a stack was deleted: found from the one that was first."""

    KIND: ClassVar[str] = "cloudformation.deleted-stack"
    SCOPE: ClassVar[RecordScope] = "cloud"

    account: str
    region: str
    stack: str
    deleted: float

    def key(self) -> str:
        return f"{int(self.deleted * 1000):015d}/{self.stack}"


def note(ctx: Context, stack: Stack) -> None:
    """In the transaction that deletes it."""
    assert stack.deleted is not None
    ctx.tx.put(DeletedStack(account=ctx.scope.account, region=ctx.scope.region, stack=stack.id, deleted=stack.deleted))
    ctx.start_job(RUN, RUN)


@job(RUN)
def forget_deleted_stacks(run: Run, nth: int = 0) -> None:
    if run.tx("forget", forget) < GROUP:
        run.sleep("pause", EVERY, paced=True)
    run.continue_as_new(nth=nth + 1)


def forget(ctx: Context) -> int:
    """Remove at most GROUP records of stacks that are not shown any more, of all scopes. Returns how many went."""
    gone = 0
    for found in ctx.tx.scan(DeletedStack, limit=GROUP):
        if ctx.now - found.deleted < SHOWN or gone == GROUP:
            break
        gone += _forget(ctx.tx.within(found.account, found.region), found, GROUP - gone)
    return gone


def _forget(tx: Tx, found: DeletedStack, most: int) -> int:
    left = most
    for kind in PARTS:
        for part in tx.scan(kind, prefix=f"{found.stack}/", limit=left):
            tx.delete(kind, part.key())
            if isinstance(part, StackEvent) and part.operation:
                tx.delete(Operation, part.operation)  # each has a first event
            left -= 1
        if not left:
            return most
    tx.delete(Stack, found.stack)
    tx.delete(DeletedStack, found.key())
    return most - left + 1

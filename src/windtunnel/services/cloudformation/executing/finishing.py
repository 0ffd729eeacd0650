"""What follows a phase: the next one, or the end of the operation; and the words with which a stack says so.

Invariant: the stack's status always says which phase its operation is in; an operation that has ended leaves nothing of itself in the resources'
records but what a later rollback needs.
"""

from __future__ import annotations

from windtunnel.kernel.context import Context
from windtunnel.kernel.trail import trail
from windtunnel.services.cloudformation import happening, retention
from windtunnel.services.cloudformation.answering import CustomRequest
from windtunnel.services.cloudformation.executing.live import Live
from windtunnel.services.cloudformation.executing.making import begin, fail_because
from windtunnel.services.cloudformation.executing.outputs import forget_exports, forget_imports, write_outputs
from windtunnel.services.cloudformation.executing.reasons import names
from windtunnel.services.cloudformation.forgetting import forget_unexecuted
from windtunnel.services.cloudformation.language.errors import TemplateError
from windtunnel.services.cloudformation.model import Signal, Stack, Template, arrival, run_id
from windtunnel.services.cloudformation.policies import refusal

ROLLBACK_REQUESTED = "Rollback requested by user."
DELETE_REQUESTED = "Delete requested by user."
NOT_ALL_DELETED = "Update successful. One or more resources could not be deleted."


def turn(ctx: Context, live: Live) -> str:
    """A phase is through. "more" when another begins, "hold" when the parent's word is awaited, "done" at the end."""
    phase = live.operation.phase
    if phase == "make":
        return _made(ctx, live)
    if phase in ("held", "held-restored"):
        return "hold"
    if phase == "clean":
        return _end(ctx, live, "UPDATE_COMPLETE", NOT_ALL_DELETED if live.operation.failed else "")
    if phase == "restore":
        return _restored(ctx, live)
    if phase == "clean-restored":
        return _end(ctx, live, "UPDATE_ROLLBACK_COMPLETE")
    return _unmade(ctx, live)


def failures(live: Live) -> str:
    """`The following resource(s) failed to create: [A, B]. ` and so on."""
    created = [name for name in live.operation.failed if live.resources[name].status.startswith("CREATE")]
    updated = [name for name in live.operation.failed if name not in created]
    text = ""
    if created:
        text += f"The following resource(s) failed to create: {names(created)}. "
    if updated:
        text += f"The following resource(s) failed to update: {names(updated)}. "
    return text


def _made(ctx: Context, live: Live) -> str:
    operation = live.operation
    if operation.kind == "update" and not operation.failed and not operation.reason:
        _protect(ctx, live)
    if not operation.failed and not operation.reason:
        if operation.nested:
            operation.outputs = live.stack.outputs
        try:
            with ctx.tx.savepoint():
                write_outputs(ctx, live)
        except TemplateError as error:
            operation.reason = error.message
            return _fail(ctx, live, f"{error.message}. ")
        if operation.kind == "create":
            return _end(ctx, live, "CREATE_COMPLETE")
        happening.of_stack(ctx, live.stack, operation, "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")
        return _cleanup(ctx, live, "held", "clean")
    if operation.cancelled:
        return _fail(ctx, live, "" if operation.reason == "User Initiated" else f"{operation.reason}. ")
    return _fail(ctx, live, failures(live))


def _protect(ctx: Context, live: Live) -> None:
    """What the new template has no more goes in the cleanup, from which nothing turns back: the stack policy is asked before."""
    assert live.template is not None
    for logical, resource in list(live.resources.items()):
        if logical in live.template.needs or resource.now is None or resource.new:
            continue
        refused = refusal(live.stack, live.operation, resource, "Update:Delete")
        if refused:
            begin(ctx, live, resource, resource.now.physical, "")
            fail_because(ctx, live, resource, refused)


def _cleanup(ctx: Context, live: Live, held: str, clean: str) -> str:
    """The cleanup begins; a nested stack's when its parent's does, for until then the parent may turn back."""
    live.enter(held if live.operation.nested else clean)
    if not live.operation.nested:
        return "more"
    tell_parent(ctx, live.stack)
    return "hold"


def _fail(ctx: Context, live: Live, said: str) -> str:
    """An operation has failed: turn back, as its options say."""
    operation, stack = live.operation, live.stack
    trail(ctx, [stack.name, live.arn], f"stack {stack.name}: {operation.kind} failed: {operation.reason or said}", level="error")
    wish = operation.options.on_failure
    if operation.kind == "create":
        if wish == "DO_NOTHING":
            return _end(ctx, live, "CREATE_FAILED", said)
        if wish == "DELETE":
            happening.of_stack(ctx, stack, operation, "DELETE_IN_PROGRESS", f"{said}{DELETE_REQUESTED}")
        else:
            happening.of_stack(ctx, stack, operation, "ROLLBACK_IN_PROGRESS", f"{said}{ROLLBACK_REQUESTED}")
        operation.failed = []
        live.enter("unmake")
        return "more"
    if wish == "DO_NOTHING" and not operation.cancelled:
        return _end(ctx, live, "UPDATE_FAILED", said)
    operation.turned = said or "User Initiated"
    happening.of_stack(ctx, stack, operation, "UPDATE_ROLLBACK_IN_PROGRESS", operation.turned)
    tell_parent(ctx, stack)
    begin_restoring(ctx, live)
    return "more"


def begin_restoring(ctx: Context, live: Live) -> None:
    """The stack says again what it said before."""
    operation, stack = live.operation, live.stack
    back = live.back_to
    if back is not None:
        stack.parameters, stack.tags, stack.made = back.given, back.tags, back.version
    operation.failed = []
    live.enter("restore")


def _restored(ctx: Context, live: Live) -> str:
    operation = live.operation
    if operation.failed:
        text = f"The following resource(s) failed to update: {names(operation.failed)}. "
        return _end(ctx, live, "UPDATE_ROLLBACK_FAILED", text)
    happening.of_stack(ctx, live.stack, operation, "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS")
    return _cleanup(ctx, live, "held-restored", "clean-restored")


def _unmade(ctx: Context, live: Live) -> str:
    operation, stack = live.operation, live.stack
    deleting = operation.kind == "delete" or (operation.kind == "create" and operation.options.on_failure == "DELETE")
    if operation.failed:
        text = f"The following resource(s) failed to delete: {names(operation.failed)}. "
        return _end(ctx, live, "DELETE_FAILED" if deleting else "ROLLBACK_FAILED", text)
    if not deleting:
        return _end(ctx, live, "ROLLBACK_COMPLETE")
    stack.deleted = ctx.now
    forget_exports(ctx, stack.id)
    forget_imports(ctx, stack.id, set())
    for kind in (Signal, CustomRequest):
        for found in ctx.tx.scan(kind, prefix=f"{stack.id}/"):
            ctx.tx.delete(kind, found.key())
    retention.note(ctx, stack)
    return _end(ctx, live, "DELETE_COMPLETE")


def _end(ctx: Context, live: Live, status: str, reason: str = "") -> str:
    """The stack has arrived. What of this operation a later one needs stays: `before`, as long as a rollback may follow."""
    operation, stack = live.operation, live.stack
    happening.of_stack(ctx, stack, operation, status, reason)
    stack.operation = ""
    ctx.notify(arrival(stack.id))
    if operation.change_set:
        forget_unexecuted(ctx, operation.change_set)
    if status in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
        stack.made = operation.made
        forget_imports(ctx, stack.id, live.imports) if status == "CREATE_COMPLETE" or live.imports else None
    if status.endswith("_COMPLETE"):
        stack.epoch += 1
        _forget_templates(ctx, live)
    trail(ctx, [stack.name, live.arn], f"stack {stack.name} is {status}{': ' + reason if reason else ''}")
    tell_parent(ctx, stack)
    return "done"


def _forget_templates(ctx: Context, live: Live) -> None:
    """Only the version in force is kept, and the one that failed, for whoever asks why."""
    stack = live.stack
    for version in range(max(1, stack.made - 8), stack.next_version):
        if version not in (stack.made, live.operation.made) and stack.status not in ("ROLLBACK_COMPLETE", "DELETE_COMPLETE"):
            ctx.tx.delete(Template, f"{stack.id}/{version:06d}")


def tell_parent(ctx: Context, stack: Stack) -> None:
    """Have the parent look."""
    parent = ctx.tx.get(Stack, stack.parent.split("/")[1]) if stack.parent else None
    if parent is not None and parent.operation:
        ctx.cloud.wake(ctx, run_id(parent.operation))

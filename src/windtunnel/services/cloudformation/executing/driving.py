"""Driving an operation: a batch of ready resources, then what is looked at, then the next phase, until the stack has arrived.

Invariants: a batch is one transaction of at most 96 resources or 15 ms; the stack's and the operation's records are read anew for each, so whoever
changed them meanwhile (a deletion, a cancellation) is heard; an operation that is not the stack's own any more does nothing.
"""

from __future__ import annotations

import time
from functools import partial

from msgspec import structs

from windtunnel.kernel.context import Context
from windtunnel.kernel.errors import AwsError
from windtunnel.provision.registry import Created, Failed
from windtunnel.services.cloudformation import happening
from windtunnel.services.cloudformation.executing.finishing import turn
from windtunnel.services.cloudformation.executing.handling import acting, as_resource, handler_of, stated, wanted
from windtunnel.services.cloudformation.executing.live import LIVE, Live
from windtunnel.services.cloudformation.executing.making import complete, fail, fail_because, keep_ref, make
from windtunnel.services.cloudformation.executing.removing import could_not, remove, removed
from windtunnel.services.cloudformation.executing.restoring import restore
from windtunnel.services.cloudformation.executing.waiting import hear, signals_of
from windtunnel.services.cloudformation.language.errors import TemplateError
from windtunnel.services.cloudformation.model import Operation, Stack, StackResource

MOST = 96
SECONDS = 0.015
STEPS = {
    "make": make,
    "held": remove,
    "restore": restore,
    "held-restored": remove,
    "clean": remove,
    "clean-restored": remove,
    "unmake": remove,
}


def advance(ctx: Context, stack_id: str, operation_id: str) -> str:
    """One batch. "more": there is more to do now; "prepare": a handler's slow work comes first; "wait": something is coming; "hold": the parent
    has the word; "done"."""
    operation = ctx.tx.get(Operation, operation_id)
    stack = ctx.tx.get(Stack, stack_id)
    live = LIVE.take(operation_id)
    if operation is None or stack is None or stack.operation != operation_id:
        return "done"
    if live is None:
        live = Live(ctx, operation, stack)
    else:
        phase = live.operation.phase
        live.operation, live.stack = operation, stack
        if operation.phase != phase:
            # The parent has said how a nested stack goes on.
            live.enter(operation.phase)
    with happening.gathered(ctx):
        said = _batch(ctx, live)
    live.write(ctx)
    if said != "done":
        ctx.tx.after_commit(partial(LIVE.keep, live))
    return said


def _batch(ctx: Context, live: Live) -> str:
    deadline = time.thread_time() + SECONDS
    _interrupt(ctx, live)
    look_after(ctx, live)
    step = STEPS[live.operation.phase]
    for _ in range(MOST):
        if _has_failed(live):
            break
        logical = _next(live)
        if logical is None:
            break
        step(ctx, live, logical)
        if time.thread_time() > deadline:
            break
    if _has_failed(live):
        _call_off(ctx, live)
    if live.walk.ready:
        return "prepare" if all(_unprepared(live, name) for name in live.walk.ready) else "more"
    if live.going:
        return "wait"
    return turn(ctx, live)


def _has_failed(live: Live) -> bool:
    """While making, the first failure ends it; what is taken away or restored goes on as far as it can."""
    return live.operation.phase == "make" and bool(live.operation.failed)


def _next(live: Live) -> str | None:
    """The next ready resource whose handler has nothing left to prepare."""
    for _ in range(len(live.walk.ready)):
        logical = live.walk.ready.popleft()
        if not _unprepared(live, logical):
            return logical
        live.walk.ready.append(logical)
    return None


def _unprepared(live: Live, logical: str) -> bool:
    if live.operation.phase != "make" or logical in live.prepared:
        return False
    try:
        return handler_of(live.spec(logical)["Type"]).slow
    except Failed:
        return False


def _interrupt(ctx: Context, live: Live) -> None:
    """Someone asked an update to turn back, a creation's time is over, or nothing may begin at all."""
    operation, stack = live.operation, live.stack
    if operation.phase != "make" or operation.failed:
        return
    if operation.reason:
        if operation.cancelled:  # known before it began: a parameter names what is not there
            _call_off(ctx, live)
        return
    minutes = operation.options.timeout_minutes
    if operation.cancelled:
        operation.reason = "User Initiated"
    elif minutes and operation.kind == "create" and ctx.now >= operation.started + minutes * 60:
        operation.reason = f"Stack creation time exceeded the specified timeout of {minutes} minutes"
    if operation.reason:
        operation.cancelled = True
        stack.reason = operation.reason
        _call_off(ctx, live)


def _call_off(ctx: Context, live: Live) -> None:
    """Nothing more begins; what was going counts as failed."""
    live.walk.stop()
    for logical in list(live.going):
        resource = live.resources[logical]
        verb = "creation" if resource.going.startswith("create") else "update"
        failed = list(live.operation.failed)
        fail_because(ctx, live, resource, f"Resource {verb} cancelled")
        live.operation.failed = failed
    live.walk.stop()


def look_after(ctx: Context, live: Live) -> None:
    """Ask what is going whether it has arrived."""
    for logical in list(live.going):
        resource = live.resources.get(logical)
        if resource is None or not resource.going:
            live.going.pop(logical, None)
        elif resource.going.startswith("delete"):
            _look_after_going(ctx, live, resource)
        else:
            _look_after_coming(ctx, live, resource)


def _look_after_coming(ctx: Context, live: Live, resource: StackResource) -> None:
    assert resource.now is not None
    doing, _, stage = resource.going.partition("-")
    if not stage:
        try:
            settled = handler_of(resource.type).settled(acting(ctx, live.operation, live.arn), as_resource(live, resource, resource.now))
        except (AwsError, Failed) as error:
            fail(ctx, live, resource, error)
            return
        if settled is False:
            return
        if isinstance(settled, Created):
            if doing == "update" and settled.id != resource.now.physical:
                # A provider made a new one (custom resources): the old one goes in the cleanup.
                resource.leftovers.append(resource.before or structs.replace(resource.now))
            resource.now = structs.replace(resource.now, physical=settled.id, attributes=settled.attributes)
            keep_ref(live, resource, handler_of(resource.type), resource.now)
        resource.going = f"{doing}-signals" if resource.signals and doing == "create" else f"{doing}-arrived"
        live.touch(resource)
    if resource.going.endswith("-signals"):
        heard = hear(ctx, live, resource)
        if heard is False:
            return
        if isinstance(heard, str):
            fail_because(ctx, live, resource, heard)
            return
    complete(ctx, live, resource, doing)


def _look_after_going(ctx: Context, live: Live, resource: StackResource) -> None:
    state = resource.leftovers[0] if resource.going == "delete-left" else resource.now
    assert state is not None
    try:
        gone = handler_of(resource.type).gone(acting(ctx, live.operation, live.arn), as_resource(live, resource, state))
    except (AwsError, Failed) as error:
        if isinstance(error, Failed) or error.code not in handler_of(resource.type).missing:
            could_not(ctx, live, resource, error)
            return
        gone = True
    if gone:
        removed(ctx, live, resource)


def look(ctx: Context, stack_id: str, operation_id: str) -> str | None:
    """On a snapshot: whether a batch would find something to do. None: not yet."""
    operation, stack = ctx.tx.get(Operation, operation_id), ctx.tx.get(Stack, stack_id)
    live = LIVE.peek(operation_id)
    if operation is None or stack is None or live is None or stack.operation != operation_id:
        return "look"
    if operation.cancelled and operation.phase == "make":
        return "cancelled"
    if operation.phase != live.operation.phase:
        return "turned"
    minutes = operation.options.timeout_minutes
    if minutes and operation.kind == "create" and operation.phase == "make" and ctx.now >= operation.started + minutes * 60:
        return "late"
    for logical in list(live.going):
        resource = live.resources.get(logical)
        if resource is None or _would_change(ctx, live, resource):
            return logical
    return None


def _would_change(ctx: Context, live: Live, resource: StackResource) -> bool:
    if resource.going.endswith("-signals"):
        return ctx.now >= resource.deadline or any(not signal.seen for signal in signals_of(ctx, resource))
    state = resource.leftovers[0] if resource.going == "delete-left" else resource.now
    if state is None:
        return True
    shown = as_resource(live, resource, state)
    try:
        handler, actor = handler_of(resource.type), acting(ctx, live.operation, live.arn)
        asked = handler.gone(actor, shown) if resource.going.startswith("delete") else handler.settled(actor, shown)
    except (AwsError, Failed):
        return True
    return asked is not False


def prepare(ctx: Context, operation_id: str) -> None:
    """On a snapshot, in a thread: the slow work of handlers whose turn it is. What goes wrong is said when the turn comes."""
    live = LIVE.peek(operation_id)
    if live is None:
        return
    for logical in list(live.walk.ready):
        if not _unprepared(live, logical):
            continue
        spec = live.spec(logical)
        handler = handler_of(spec["Type"])
        resource = live.resources.get(logical) or StackResource(
            stack=live.stack.id, logical=logical, type=spec["Type"], status="", at=0.0, new=True
        )
        try:
            actor = acting(ctx, live.operation, live.arn)
            said = stated(ctx, actor, live, logical)
            asked = wanted(live, resource, handler, said.given, "", ctx.ids.upper(12), said.metadata)
            live.prepared[logical] = handler.prepare(actor, said.given, asked)
        except (AwsError, Failed, TemplateError) as error:
            live.prepared[logical] = error

"""Turning an update back: every resource becomes again what it was when the operation began.

Invariants: what was replaced is taken up again, not made anew; what was updated is updated back to exactly what it was; what did not exist is left for
the cleanup. A resource that was never touched is not touched now.
"""

from __future__ import annotations

from windtunnel.kernel.context import Context
from windtunnel.kernel.errors import AwsError
from windtunnel.provision.registry import Failed
from windtunnel.services.cloudformation import happening
from windtunnel.services.cloudformation.executing.handling import acting, as_resource, handler_of, wanted
from windtunnel.services.cloudformation.executing.live import Live
from windtunnel.services.cloudformation.executing.making import complete, fail, keep_ref
from windtunnel.services.cloudformation.model import StackResource, State


def restore(ctx: Context, live: Live, logical: str) -> None:
    """A resource's turn."""
    resource = live.resources[logical]
    before, now = resource.before, resource.now
    if before is None:
        if resource.status == "UPDATE_FAILED" and now is not None:
            _see_again(ctx, live, resource, now)
        else:
            live.walk.done(logical)
        return
    if logical in live.operation.options.skip:
        resource.now = before
        live.touch(resource)
        happening.of_resource(ctx, live.stack, live.operation, resource, "UPDATE_COMPLETE", "Resource was skipped", before.physical)
        live.walk.done(logical)
        return
    if now is None or now.physical != before.physical:
        _take_up(ctx, live, resource, before)
        return
    always = handler_of(resource.type).always
    if now.properties == before.properties and now.metadata == before.metadata and not always:
        resource.now = before
        _say_restored(ctx, live, resource) if resource.status != "UPDATE_COMPLETE" else live.touch(resource)
        live.walk.done(logical)
        return
    _update_back(ctx, live, resource, now, before)


def _see_again(ctx: Context, live: Live, resource: StackResource, now: State) -> None:
    """Its update failed and changed nothing: it is what it was, if it still is there. What someone else took away cannot be turned back."""
    handler = handler_of(resource.type)
    gone = False
    if handler.missing:
        try:
            gone = handler.read(acting(ctx, live.operation, live.arn), as_resource(live, resource, now)) is None
        except (AwsError, Failed) as error:
            gone = isinstance(error, AwsError) and error.code in handler.missing
    if not gone or resource.logical in live.operation.options.skip:
        _say_restored(ctx, live, resource)
        live.walk.done(resource.logical)
        return
    live.touch(resource)
    happening.of_resource(ctx, live.stack, live.operation, resource, "UPDATE_IN_PROGRESS", "", now.physical)
    fail(ctx, live, resource, Failed(f"Resource of type '{resource.type}' with identifier '{now.physical}' was not found.", "NotFound"))


def _say_restored(ctx: Context, live: Live, resource: StackResource) -> None:
    assert resource.now is not None
    live.touch(resource)
    for status in ("UPDATE_IN_PROGRESS", "UPDATE_COMPLETE"):
        happening.of_resource(ctx, live.stack, live.operation, resource, status, "", resource.now.physical)


def _take_up(ctx: Context, live: Live, resource: StackResource, before: State) -> None:
    """The old physical resource is still there, for cleanup never began: it is the resource again, and the new one goes."""
    if resource.now is not None:
        # What replaced it has no policy of its own yet: it goes, as AWS deletes what a rollback leaves.
        resource.now.replacement = "Delete"
        resource.leftovers.append(resource.now)
    resource.leftovers = [left for left in resource.leftovers if left.physical != before.physical]
    resource.now = before
    _say_restored(ctx, live, resource)
    live.walk.done(resource.logical)


def _update_back(ctx: Context, live: Live, resource: StackResource, now: State, before: State) -> None:
    live.touch(resource)
    happening.of_resource(ctx, live.stack, live.operation, resource, "UPDATE_IN_PROGRESS", "", now.physical)
    try:
        handler = handler_of(resource.type)
        actor = acting(ctx, live.operation, live.arn)
        actor.found["prepared"] = None
        asked = wanted(live, resource, handler, before.properties, ctx.ids.uuid(), ctx.ids.upper(12), before.metadata)
        if now.properties == before.properties and not handler.always:
            made = None
        else:
            with ctx.tx.savepoint():
                made = handler.update(actor, as_resource(live, resource, now), before.properties, asked)
    except (AwsError, Failed) as error:
        fail(ctx, live, resource, error)
        return
    if made is not None and made.id != now.physical:
        resource.leftovers.append(now)
    resource.now = before
    if made is not None:
        resource.now.physical, resource.now.attributes = made.id, made.attributes
        keep_ref(live, resource, handler, resource.now)
    if made is None or made.ready:
        complete(ctx, live, resource, "update")
        return
    resource.going, resource.since = "update", ctx.now
    live.going[resource.logical] = None

"""Taking resources away: in a deletion, in a creation's rollback, and in the cleanup behind an update.

Invariants: nothing is deleted while something that needs it is there; what a policy keeps is only let go of; deleting what is not there is success.
"""

from __future__ import annotations

from windtunnel.kernel.context import Context
from windtunnel.kernel.errors import AwsError
from windtunnel.provision.registry import Failed, Resource
from windtunnel.services.cloudformation import happening
from windtunnel.services.cloudformation.executing.handling import acting, as_resource, handler_of
from windtunnel.services.cloudformation.executing.live import Live
from windtunnel.services.cloudformation.executing.making import complete
from windtunnel.services.cloudformation.executing.nesting import release
from windtunnel.services.cloudformation.executing.reasons import reason_of
from windtunnel.services.cloudformation.executing.waiting import forget_signals
from windtunnel.services.cloudformation.model import StackResource, State


def remove(ctx: Context, live: Live, logical: str) -> None:
    """A resource's turn: first what replacement left behind, then itself, if it is to go."""
    resource = live.resources[logical]
    live.touch(resource)
    for left in list(resource.leftovers):
        if not _remove_state(ctx, live, resource, left, left.replacement, "delete-left"):
            return
        resource.leftovers.remove(left)
    if _leaves(live, resource):
        if resource.now is None:
            _never_was(ctx, live, resource)
        elif not _remove_state(ctx, live, resource, resource.now, _policy(live, resource.now), "delete"):
            return
    elif live.ripples(resource):
        _clean_within(ctx, live, resource)
        return
    _gone(ctx, live, resource)


def _clean_within(ctx: Context, live: Live, resource: StackResource) -> None:
    """A nested stack may clean up now that its parent does."""
    assert resource.now is not None
    if release(ctx, resource.now.physical):
        complete(ctx, live, resource, "update")
        return
    resource.going, resource.since = "update", ctx.now
    live.going[resource.logical] = None


def _leaves(live: Live, resource: StackResource) -> bool:
    """Whether the resource itself goes, and not only its leftovers."""
    phase = live.operation.phase
    if phase == "clean":
        return live.template is None or resource.logical not in live.template.needs
    if phase == "clean-restored":
        return resource.new
    return True


def _policy(live: Live, state: State) -> str:
    """What happens to the resource itself: `Delete` or `Retain`."""
    operation = live.operation
    policy = state.deletion
    undone = operation.kind in ("create", "rollback", "update-rollback") or operation.phase == "clean-restored"
    if undone and (policy == "RetainExceptOnCreate" or operation.options.retain_except_on_create):
        return "Delete"
    return policy


def _never_was(ctx: Context, live: Live, resource: StackResource) -> None:
    """It failed before there was anything of it."""
    if resource.status.endswith("_FAILED"):
        happening.of_resource(ctx, live.stack, live.operation, resource, "DELETE_COMPLETE")


def _remove_state(ctx: Context, live: Live, resource: StackResource, state: State, policy: str, doing: str) -> bool:
    """Whether it is gone now (or let go of). Else it is going, or has failed, and the walk knows."""
    operation, stack = live.operation, live.stack
    if policy in ("Retain", "RetainExceptOnCreate") or (doing == "delete" and resource.logical in operation.options.retain):
        happening.of_resource(ctx, stack, operation, resource, "DELETE_SKIPPED", "", state.physical)
        return True
    happening.of_resource(ctx, stack, operation, resource, "DELETE_IN_PROGRESS", "", state.physical)
    try:
        with ctx.tx.savepoint():
            at_once = _taken_away(acting(ctx, operation, live.arn), as_resource(live, resource, state), policy)
    except (AwsError, Failed) as error:
        if isinstance(error, Failed) or error.code not in handler_of(resource.type).missing:
            return _fail(ctx, live, resource, state, error, doing)
        at_once = True
    if at_once is False:
        resource.going, resource.since = doing, ctx.now
        live.going[resource.logical] = None
        return False
    happening.of_resource(ctx, stack, operation, resource, "DELETE_COMPLETE", "", state.physical)
    return True


def _taken_away(actor: Context, resource: Resource, policy: str) -> bool | None:
    handler = handler_of(resource.type)
    if policy == "Snapshot":
        if not handler.snapshots:
            raise Failed(f"Windtunnel takes no snapshots of {resource.type} yet; it was kept.", "")
        handler.snapshot(actor, resource)
    return handler.delete(actor, resource)


def _fail(ctx: Context, live: Live, resource: StackResource, state: State, error: AwsError | Failed, doing: str) -> bool:
    """It could not be deleted. In a cleanup the stack goes on without it, as on AWS; a forced deletion lets go of it."""
    reason = reason_of(error, resource.type, ctx.ids.uuid(), ctx.ids.uuid())
    happening.of_resource(ctx, live.stack, live.operation, resource, "DELETE_FAILED", reason, state.physical)
    resource.going = ""
    live.going.pop(resource.logical, None)
    if live.operation.phase != "unmake":
        live.operation.failed.append(resource.logical)
        return True
    if live.operation.options.force:
        happening.of_resource(ctx, live.stack, live.operation, resource, "DELETE_SKIPPED", "", state.physical)
        return True
    live.walk.skip(resource.logical)
    live.operation.failed.append(resource.logical)
    return False


def removed(ctx: Context, live: Live, resource: StackResource) -> None:
    """What was going is gone."""
    doing, resource.going = resource.going, ""
    live.going.pop(resource.logical, None)
    live.touch(resource)
    state = resource.leftovers[0] if doing == "delete-left" else resource.now
    happening.of_resource(ctx, live.stack, live.operation, resource, "DELETE_COMPLETE", "", state.physical if state else "")
    if doing == "delete-left":
        resource.leftovers.pop(0)
        remove(ctx, live, resource.logical)
        return
    _gone(ctx, live, resource)


def could_not(ctx: Context, live: Live, resource: StackResource, error: AwsError | Failed) -> None:
    """What was going will not go."""
    doing = resource.going
    state = resource.leftovers[0] if doing == "delete-left" else resource.now
    assert state is not None
    live.touch(resource)
    if not _fail(ctx, live, resource, state, error, doing):
        return
    if doing == "delete-left":
        resource.leftovers.pop(0)
        remove(ctx, live, resource.logical)
    else:
        _gone(ctx, live, resource)


def _gone(ctx: Context, live: Live, resource: StackResource) -> None:
    """Nothing of it is left to do in this phase."""
    forget_signals(ctx, resource) if resource.signals else None
    live.walk.done(resource.logical)
    if not _leaves(live, resource):
        resource.touched = ""
        return
    if resource.now is not None:
        resource.last = resource.now.physical
    resource.now = resource.before = None
    if live.operation.phase != "unmake":
        live.forget(ctx, resource.logical)

"""Making a template true, resource by resource: what is not there is created, what differs is updated or replaced.

Invariants: a resource's turn comes when all that it needs is there; its handler's changes, its record and its events commit together, and when it
fails only the failure is left. What was there before is kept in `before`, and what replacement leaves behind in `leftovers`.
"""

from __future__ import annotations

from typing import Any

from windtunnel.kernel.context import Context
from windtunnel.kernel.errors import AwsError
from windtunnel.provision import checking, schemas
from windtunnel.provision.registry import Created, Failed, ResourceType
from windtunnel.services.cloudformation import happening
from windtunnel.services.cloudformation.executing.handling import (
    Stated,
    acting,
    as_resource,
    handler_of,
    stated,
    wanted,
)
from windtunnel.services.cloudformation.executing.live import Live
from windtunnel.services.cloudformation.executing.reasons import reason_of
from windtunnel.services.cloudformation.executing.waiting import await_signals
from windtunnel.services.cloudformation.language.errors import TemplateError
from windtunnel.services.cloudformation.model import StackResource, State
from windtunnel.services.cloudformation.policies import refusal

REPLACING = "Requested update requires the creation of a new physical resource; hence creating one."
INITIATED = "Resource creation Initiated"
NO_REPLACEMENT = "Replacement type updates not supported on stack with disable-rollback."


def make(ctx: Context, live: Live, logical: str) -> None:
    """A resource's turn."""
    spec = live.spec(logical)
    resource = live.resource(logical, spec["Type"])
    try:
        actor = acting(ctx, live.operation, live.arn)
        handler = handler_of(spec["Type"])
        said = stated(ctx, actor, live, logical)
    except (AwsError, Failed, TemplateError) as error:
        begin(ctx, live, resource, "" if resource.now is None else resource.now.physical, "")
        fail(ctx, live, resource, error)
        return
    if resource.now is None:
        _create(ctx, actor, live, resource, handler, said)
    else:
        _converge(ctx, actor, live, resource, handler, said)


def begin(ctx: Context, live: Live, resource: StackResource, physical: str, properties: str, reason: str = "") -> None:
    live.touch(resource)
    verb = "CREATE" if resource.now is None else "UPDATE"
    happening.of_resource(ctx, live.stack, live.operation, resource, f"{verb}_IN_PROGRESS", reason, physical, properties)


def _create(ctx: Context, actor: Context, live: Live, resource: StackResource, handler: ResourceType, said: Stated) -> None:
    begin(ctx, live, resource, "", said.shown)
    try:
        created, token = _call_create(ctx, actor, live, resource, handler, said)
    except (AwsError, Failed, TemplateError) as error:
        fail(ctx, live, resource, error, said.shown)
        return
    resource.now = state_of(live, resource, handler, said, created, token)
    happening.of_resource(ctx, live.stack, live.operation, resource, "CREATE_IN_PROGRESS", INITIATED, created.id, said.shown)
    _arrive(ctx, live, resource, "create", created.ready, said.shown)


def _call_create(
    ctx: Context, actor: Context, live: Live, resource: StackResource, handler: ResourceType, said: Stated
) -> tuple[Created, str]:
    token = ctx.ids.uuid()
    asked = wanted(live, resource, handler, said.given, token, ctx.ids.upper(12), said.metadata)
    _hand_over(live, actor, resource.logical)
    with ctx.tx.savepoint():
        return handler.create(actor, said.given, asked), token


def _hand_over(live: Live, actor: Context, logical: str) -> None:
    """What the handler prepared for this turn; what went wrong then is raised now."""
    prepared = live.prepared.pop(logical, None)
    if isinstance(prepared, AwsError | Failed | TemplateError):
        raise prepared
    actor.found["prepared"] = prepared


def state_of(live: Live, resource: StackResource, handler: ResourceType, said: Stated, created: Created, token: str) -> State:
    spec = live.spec(resource.logical)
    template = live.template
    assert template is not None
    state = State(
        physical=created.id,
        properties=said.stored,
        attributes=created.attributes,
        metadata=said.metadata,
        needs=template.needs[resource.logical],
        deletion=spec.get("DeletionPolicy", "Delete"),
        replacement=spec.get("UpdateReplacePolicy", "Delete"),
        type=resource.type,
        token=token,
    )
    keep_ref(live, resource, handler, state)
    return state


def keep_ref(live: Live, resource: StackResource, handler: ResourceType, state: State) -> None:
    """What Ref gives, when it is not the physical id."""
    referred = handler.ref(as_resource(live, resource, state))
    if referred != state.physical:
        state.attributes = {**state.attributes, "Ref": referred}


def _arrive(ctx: Context, live: Live, resource: StackResource, doing: str, ready: bool, shown: str) -> None:
    """It has been created or updated: done, or to be looked at until it is."""
    try:
        waits = await_signals(ctx, live, resource) if doing == "create" else False
    except TemplateError as error:
        fail(ctx, live, resource, error, shown)
        return
    if ready and not waits:
        complete(ctx, live, resource, doing, shown)
        return
    resource.going, resource.since = doing if ready is False else f"{doing}-signals", ctx.now
    live.going[resource.logical] = None


def complete(ctx: Context, live: Live, resource: StackResource, doing: str, shown: str = "") -> None:
    assert resource.now is not None
    resource.going = ""
    live.going.pop(resource.logical, None)
    live.touch(resource)
    verb = "CREATE" if doing.startswith("create") else "UPDATE"
    physical = resource.now.physical
    happening.of_resource(ctx, live.stack, live.operation, resource, f"{verb}_COMPLETE", "", physical, shown)
    live.walk.done(resource.logical)


def fail(ctx: Context, live: Live, resource: StackResource, error: AwsError | Failed | TemplateError, shown: str = "") -> None:
    """It has not become what it should: the walk goes on nowhere."""
    if isinstance(error, TemplateError):
        reason = error.message
    else:
        reason = reason_of(error, resource.type, ctx.ids.uuid(), ctx.ids.uuid())
    fail_because(ctx, live, resource, reason, shown)


def fail_because(ctx: Context, live: Live, resource: StackResource, reason: str, shown: str = "") -> None:
    verb = "CREATE" if resource.status.startswith("CREATE") else "UPDATE"
    resource.going = ""
    live.going.pop(resource.logical, None)
    live.touch(resource)
    physical = resource.now.physical if resource.now is not None else ""
    happening.of_resource(ctx, live.stack, live.operation, resource, f"{verb}_FAILED", reason, physical, shown)
    live.walk.skip(resource.logical)
    live.operation.failed.append(resource.logical)
    if not live.operation.reason:
        live.operation.reason = reason


def remember(live: Live, resource: StackResource) -> None:
    """Keep what it was before this operation, once."""
    if resource.before is None and not resource.new:
        resource.before = resource.now


def _converge(ctx: Context, actor: Context, live: Live, resource: StackResource, handler: ResourceType, said: Stated) -> None:
    old = resource.now
    assert old is not None
    schema = schemas.schema(resource.type)
    changed = checking.changed(schema, old.properties, said.stored) if schema is not None else _differing(old.properties, said.stored)
    if not changed and not handler.always and old.metadata == said.metadata and resource.status != "UPDATE_FAILED":
        _adopt_attributes(live, resource, handler, said, old)
        live.walk.done(resource.logical)
        return
    create_only = checking.create_only(schema, old.properties, said.stored) if schema is not None else frozenset()
    replacing = bool(create_only) or handler.replaces(old.properties, said.stored, changed)
    refused = refusal(live.stack, live.operation, resource, "Update:Replace" if replacing else "Update:Modify")
    if replacing and not refused and live.operation.kind == "update" and live.stack.disable_rollback:
        refused = NO_REPLACEMENT
    if refused:
        begin(ctx, live, resource, old.physical, said.shown)
        fail_because(ctx, live, resource, refused, said.shown)
        return
    if replacing:
        _replace(ctx, actor, live, resource, handler, said)
    else:
        _update(ctx, actor, live, resource, handler, said, bool(changed) or handler.always)


def _differing(old: dict[str, Any], new: dict[str, Any]) -> frozenset[str]:
    return frozenset(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))


def _adopt_attributes(live: Live, resource: StackResource, handler: ResourceType, said: Stated, old: State) -> None:
    """Nothing of it changes but what the stack itself keeps: policies and the order."""
    new = state_of(live, resource, handler, said, Created(id=old.physical, attributes=old.attributes), old.token)
    if new != old:
        remember(live, resource)
        resource.now = new
        live.dirty.add(resource.logical)


def _replace(ctx: Context, actor: Context, live: Live, resource: StackResource, handler: ResourceType, said: Stated) -> None:
    old = resource.now
    assert old is not None
    begin(ctx, live, resource, old.physical, said.shown, REPLACING)
    custom = handler.name.property if handler.name is not None else ""
    if custom and custom in said.stored and said.stored.get(custom) == old.properties.get(custom):
        text = "CloudFormation cannot update a stack when a custom-named resource requires replacing."
        fail_because(ctx, live, resource, f"{text} Rename {said.stored[custom]} and update the stack again.", said.shown)
        return
    try:
        created, token = _call_create(ctx, actor, live, resource, handler, said)
    except (AwsError, Failed, TemplateError) as error:
        fail(ctx, live, resource, error, said.shown)
        return
    remember(live, resource)
    resource.leftovers.append(old)
    resource.now = state_of(live, resource, handler, said, created, token)
    happening.of_resource(ctx, live.stack, live.operation, resource, "UPDATE_IN_PROGRESS", INITIATED, created.id, said.shown)
    _arrive(ctx, live, resource, "update", created.ready, said.shown)


def _update(
    ctx: Context, actor: Context, live: Live, resource: StackResource, handler: ResourceType, said: Stated, properties_changed: bool
) -> None:
    old = resource.now
    assert old is not None
    begin(ctx, live, resource, old.physical, said.shown)
    token = ctx.ids.uuid()
    updated: Created | None = None
    if properties_changed:
        try:
            asked = wanted(live, resource, handler, said.given, token, ctx.ids.upper(12), said.metadata)
            _hand_over(live, actor, resource.logical)
            with ctx.tx.savepoint():
                updated = handler.update(actor, as_resource(live, resource, old), said.given, asked)
        except (AwsError, Failed, TemplateError) as error:
            fail(ctx, live, resource, error, said.shown)
            return
    remember(live, resource)
    made = updated or Created(id=old.physical, attributes=old.attributes)
    if made.id != old.physical:
        resource.leftovers.append(old)
    resource.now = state_of(live, resource, handler, said, made, token)
    _arrive(ctx, live, resource, "update", made.ready, said.shown)

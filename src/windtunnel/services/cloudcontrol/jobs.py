"""The durable work of a request: its handler is asked, and what it began is waited for.

Invariants: what the handler does and what the request says of it commit together, so that a resource is made once; a request that was cancelled does
nothing more; whatever a handler says becomes the request's end, never the run's.
"""

from __future__ import annotations

import threading
from typing import Any

from windtunnel.jobs import Run, job
from windtunnel.kernel.context import Context
from windtunnel.kernel.errors import AwsError
from windtunnel.provision import checking
from windtunnel.provision.identity import find, handler_code, identifier, look
from windtunnel.provision.registry import Created, Failed, Properties, Resource, ResourceType
from windtunnel.provision.schemas import TypeSchema
from windtunnel.services.cloudcontrol.acting import actor, checked, not_found, said, sealer, the_type, visible, wanted
from windtunnel.services.cloudcontrol.model import CODES, Held, Request, parse_patch, parse_state, patched

EVERY = 0.25
"""Seconds between looks at what is coming or going."""


class Ready:
    """What handlers have prepared for the next step of their requests; lost at a crash, and then prepared again."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._results: dict[str, Any] = {}

    def keep(self, key: str, result: Any) -> None:
        with self._lock:
            self._results[key] = result

    def __contains__(self, key: str) -> bool:
        return key in self._results

    def take(self, key: str) -> Any:
        with self._lock:
            return self._results.pop(key)


READY = Ready()


def run_id(key: str) -> str:
    return f"cloudcontrol.request/{key}"


def record_failure(ctx: Context, message: str, key: str) -> None:
    """The job itself failed (a defect of ours): the request says so."""
    request = ctx.tx.get(Request, key)
    if request is not None and not request.ended:
        _end(ctx, request, "FAILED", f"Internal Failure: {message}", "InternalFailure")


@job("cloudcontrol.request", failed=record_failure)
def carry_out(run: Run, key: str) -> None:
    number = 0
    while True:
        step = run.tx(f"step-{number}", advance, key)
        if step == "done":
            return
        if step == "prepare":
            run.read(prepare, key)
        else:
            run.until(f"look-{number}", lambda ctx: look_after(ctx, key), every=EVERY)
        number += 1


def advance(ctx: Context, key: str) -> str:
    """One step. "prepare": the handler's slow work comes first; "wait": something comes or goes; "done"."""
    request = ctx.tx.get(Request, key)
    if request is None or request.ended:
        return "done"
    if request.status == "CANCEL_IN_PROGRESS":
        return _end(ctx, request, "CANCEL_COMPLETE")
    try:
        with ctx.tx.savepoint():
            return _step(ctx, request, key)
    except (AwsError, Failed) as error:
        code = handler_code(error)
        return _end(ctx, request, "FAILED", said(ctx, request.type, error), code if code in CODES else "GeneralServiceException")


def _step(ctx: Context, request: Request, key: str) -> str:
    handler, schema = the_type(request.type, request.kind.lower())
    who = actor(ctx, request.principal, request.role_arn)
    if request.phase == "coming":
        return _come(ctx, who, request, handler, schema)
    if request.phase == "going":
        return _gone(ctx, who, request, handler)
    if request.kind == "DELETE":
        return _delete(ctx, who, request, handler, schema)
    if handler.slow:
        if key not in READY:
            return "prepare"
        result = READY.take(key)
        if isinstance(result, AwsError | Failed):
            raise result
        who.found["prepared"] = result
    return (_create if request.kind == "CREATE" else _update)(ctx, who, request, handler, schema)


def prepare(ctx: Context, key: str) -> None:
    """On a snapshot, in a thread."""
    request = ctx.tx.get(Request, key)
    if request is None or request.ended:
        return
    try:
        handler, schema = the_type(request.type, request.kind.lower())
        who = actor(ctx, request.principal, request.role_arn)
        props = parse_state(request.held(sealer(ctx)).state) if request.kind == "CREATE" else _desired(who, request, handler, schema)[1]
        READY.keep(key, handler.prepare(who, props, wanted(ctx, handler, props, request.token)))
    except (AwsError, Failed) as error:
        READY.keep(key, error)


def _create(ctx: Context, who: Context, request: Request, handler: ResourceType, schema: TypeSchema) -> str:
    held = request.held(sealer(ctx))
    props = parse_state(held.state)
    made = handler.create(who, props, wanted(ctx, handler, props, request.token))
    return _made(ctx, who, request, handler, schema, made, props)


def _desired(who: Context, request: Request, handler: ResourceType, schema: TypeSchema) -> tuple[Resource, Properties]:
    """What is there now, and what the patch makes of it."""
    found = find(who, handler, schema, request.identifier)
    if found is None:
        raise not_found(request.type, request.identifier)
    resource, told = found
    read_only = {path[1:] for path in schema.read_only}
    desired = patched(schema, told, parse_patch(request.held(sealer(who)).state))
    return resource, checked(schema, {name: value for name, value in desired.items() if name not in read_only})


def _update(ctx: Context, who: Context, request: Request, handler: ResourceType, schema: TypeSchema) -> str:
    resource, new = _desired(who, request, handler, schema)
    changed = checking.changed(schema, resource.properties, new)
    if not changed:
        return _succeeded(ctx, who, request, handler, schema, resource)
    if handler.replaces(resource.properties, new, changed):
        raise Failed(
            f"Resource of type '{request.type}' with identifier '{request.identifier}' is not updatable with parameters provided.",
            "NotUpdatable",
        )
    made = handler.update(who, resource, new, wanted(ctx, handler, new, request.token))
    return _made(ctx, who, request, handler, schema, made or Created(id=resource.id, attributes=resource.attributes), new)


def _made(ctx: Context, who: Context, request: Request, handler: ResourceType, schema: TypeSchema, made: Created, props: Properties) -> str:
    _remember(ctx, request, made.id, props, made.attributes)
    if made.ready:
        return _succeeded(ctx, who, request, handler, schema, _resource(ctx, request))
    request.phase = "coming"
    request.identifier = request.identifier or identifier(schema, _resource(ctx, request), props)
    ctx.tx.put(request)
    return "wait"


def _remember(ctx: Context, request: Request, id: str, props: Properties, attributes: dict[str, Any]) -> None:
    held = request.held(sealer(ctx))
    held.properties, held.attributes = props, attributes
    request.physical = id
    request.hold(sealer(ctx), held)


def _resource(ctx: Context, request: Request) -> Resource:
    held = request.held(sealer(ctx))
    return Resource(type=request.type, logical_id="", id=request.physical, properties=held.properties, attributes=held.attributes)


def _come(ctx: Context, who: Context, request: Request, handler: ResourceType, schema: TypeSchema) -> str:
    resource = _resource(ctx, request)
    settled = handler.settled(who, resource)
    if settled is False:
        return "wait"
    if isinstance(settled, Created):
        _remember(ctx, request, settled.id, resource.properties, settled.attributes)
    return _succeeded(ctx, who, request, handler, schema, _resource(ctx, request))


def _succeeded(ctx: Context, who: Context, request: Request, handler: ResourceType, schema: TypeSchema, resource: Resource) -> str:
    """The resource is as it was asked for. Its identifier and model are what a read tells, where its handler can tell."""
    told = resource.properties | resource.attributes
    found = look(who, handler, schema, resource.id, {}) if "read" in schema.handlers else None
    if found is not None:
        told = {**resource.attributes, **found[1]}
    request.identifier = request.identifier or identifier(schema, resource, told)
    model = visible(schema, {name: value for name, value in told.items() if name in schema.properties})
    request.hold(sealer(ctx), Held(model=model))
    return _end(ctx, request, "SUCCESS")


def _delete(ctx: Context, who: Context, request: Request, handler: ResourceType, schema: TypeSchema) -> str:
    found = find(who, handler, schema, request.identifier)
    if found is None:
        raise not_found(request.type, request.identifier)
    resource = found[0]
    _remember(ctx, request, resource.id, resource.properties, resource.attributes)
    if handler.delete(who, resource) is not False:
        return _end(ctx, request, "SUCCESS")
    request.phase = "going"
    ctx.tx.put(request)
    return "wait"


def _gone(ctx: Context, who: Context, request: Request, handler: ResourceType) -> str:
    return _end(ctx, request, "SUCCESS") if handler.gone(who, _resource(ctx, request)) else "wait"


def look_after(ctx: Context, key: str) -> str | None:
    """On a snapshot: whether a step would find something to do; None: not yet."""
    request = ctx.tx.get(Request, key)
    if request is None or request.ended or request.status == "CANCEL_IN_PROGRESS":
        return "ended"
    try:
        handler, _ = the_type(request.type, request.kind.lower())
        who, resource = actor(ctx, request.principal, request.role_arn), _resource(ctx, request)
        arrived = handler.gone(who, resource) if request.phase == "going" else handler.settled(who, resource)
    except (AwsError, Failed):
        return "failed"
    return "arrived" if arrived is not False else None


def _end(ctx: Context, request: Request, status: Any, message: str = "", code: str = "") -> str:
    request.status, request.message, request.code, request.changed = status, message, code, ctx.now
    request.phase = ""
    if status != "SUCCESS" or request.kind == "DELETE":
        request.sealed = b""
    ctx.tx.put(request)
    return "done"

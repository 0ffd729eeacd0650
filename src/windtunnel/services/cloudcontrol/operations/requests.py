"""Requests: create, update and delete are asked for, and done by a job; their progress is told for seven days."""

from __future__ import annotations

import hmac
from typing import Any

import msgspec

from windtunnel.kernel.context import Context, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import reads, writes
from windtunnel.provision.identity import find
from windtunnel.provision.registry import Failed
from windtunnel.provision.warming import warm
from windtunnel.services.cloudcontrol.acting import actor, as_exception, checked, may, not_found, sealer, the_type
from windtunnel.services.cloudcontrol.jobs import run_id
from windtunnel.services.cloudcontrol.model import KEPT, Held, Kind, Request, invalid, parse_patch, parse_state, patched

PAGE = 20
SWEPT = 4
"""How many forgotten requests each new one takes away."""


def _desired(ctx: Context, args: dict[str, Any]) -> dict[str, Any]:
    """In a thread: the type is read, and what is asked for checked."""
    _, schema = the_type(args["type_name"], "create")
    warm([args["type_name"]])
    actor(ctx, ctx.principal, args.get("role_arn", ""))
    coerced = checked(schema, parse_state(args["desired_state"]))
    return {**args, "desired_state": msgspec.json.encode(coerced).decode()}


@writes(
    "cloudcontrol",
    "CreateResource",
    authorize=may("CreateResource"),
    acts="TypeName RoleArn ClientToken DesiredState",
    prepare=_desired,
)
def create_resource(ctx: Context, type_name: str, desired_state: str, role_arn: str = "", client_token: str = "") -> Reply:
    return _begin(ctx, "CREATE", type_name, role_arn, client_token, state=desired_state)


def _patch(ctx: Context, args: dict[str, Any]) -> dict[str, Any]:
    """In a thread: what is there is read and the patch tried, so that what cannot be is said at once.

    Not for a request that is sent again: what it asked for may be there already.
    """
    if args.get("client_token") and ctx.tx.find(Request, "client", args["client_token"], limit=1):
        return args
    type_name, text = args["type_name"], args["identifier"]
    handler, schema = the_type(type_name, "update")
    operations = parse_patch(args["patch_document"])
    who = actor(ctx, ctx.principal, args.get("role_arn", ""))
    try:
        found = find(who, handler, schema, text)
        if found is None:
            raise not_found(type_name, text)
    except (AwsError, Failed) as error:
        raise as_exception(ctx, type_name, error) from error
    desired = patched(schema, found[1], operations)
    read_only = {path[1:] for path in schema.read_only}
    checked(schema, {name: value for name, value in desired.items() if name not in read_only})
    return args


@writes(
    "cloudcontrol",
    "UpdateResource",
    authorize=may("UpdateResource"),
    acts="TypeName RoleArn ClientToken Identifier PatchDocument",
    prepare=_patch,
)
def update_resource(
    ctx: Context, type_name: str, identifier: str, patch_document: str, role_arn: str = "", client_token: str = ""
) -> Reply:
    return _begin(ctx, "UPDATE", type_name, role_arn, client_token, identifier=identifier, state=patch_document)


def _known(ctx: Context, args: dict[str, Any]) -> dict[str, Any]:
    the_type(args["type_name"], "delete")
    actor(ctx, ctx.principal, args.get("role_arn", ""))
    return args


@writes("cloudcontrol", "DeleteResource", authorize=may("DeleteResource"), acts="TypeName RoleArn ClientToken Identifier", prepare=_known)
def delete_resource(ctx: Context, type_name: str, identifier: str, role_arn: str = "", client_token: str = "") -> Reply:
    return _begin(ctx, "DELETE", type_name, role_arn, client_token, identifier=identifier)


def _begin(ctx: Context, kind: Kind, type_name: str, role_arn: str, client_token: str, *, identifier: str = "", state: str = "") -> Reply:
    asked = msgspec.json.encode([kind, type_name, role_arn, identifier, state])
    digest = hmac.digest(sealer(ctx).derive("cloudcontrol.request"), asked, "sha256").hex()
    for earlier in ctx.tx.find(Request, "client", client_token) if client_token else ():
        if ctx.now - earlier.asked >= KEPT:
            continue
        if earlier.digest != digest:
            raise AwsError(
                "ClientTokenConflictException", f"Client token '{client_token}' has already been used in another resource request."
            )
        return {"ProgressEvent": earlier.event(sealer(ctx))}
    if identifier and ctx.tx.find(Request, "active", f"{type_name} {identifier}", limit=1):
        raise AwsError(
            "ConcurrentOperationException", f"Another resource operation is currently being performed on {type_name} '{identifier}'."
        )
    request = Request(
        token=ctx.ids.uuid(),
        type=type_name,
        kind=kind,
        status="IN_PROGRESS",
        asked=ctx.now,
        principal=ctx.principal,
        role_arn=role_arn,
        client_token=client_token,
        digest=digest,
        identifier=identifier,
    )
    request.hold(sealer(ctx), Held(state=state))
    _forget(ctx)
    ctx.tx.insert(request)
    ctx.start_job("cloudcontrol.request", run_id(request.key()), key=request.key())
    return {"ProgressEvent": request.event(sealer(ctx))}


def _forget(ctx: Context) -> None:
    for old in ctx.tx.scan(Request, limit=SWEPT):
        if old.ended and ctx.now - old.asked >= KEPT:
            ctx.tx.delete(Request, old.key())


def _the_request(ctx: Context, token: str) -> Request:
    for request in ctx.tx.find(Request, "token", token, limit=1):
        if ctx.now - request.asked < KEPT or not request.ended:
            return request
    raise AwsError("RequestTokenNotFoundException", f"Request with token {token} was not found")


@reads("cloudcontrol", "GetResourceRequestStatus", authorize=may("GetResourceRequestStatus"), acts="RequestToken")
def get_resource_request_status(ctx: Context, request_token: str) -> Reply:
    return {"ProgressEvent": _the_request(ctx, request_token).event(sealer(ctx))}


@writes("cloudcontrol", "CancelResourceRequest", authorize=may("CancelResourceRequest"), acts="RequestToken")
def cancel_resource_request(ctx: Context, request_token: str) -> Reply:
    """What a handler has begun is not undone; nothing more of it is waited for."""
    request = _the_request(ctx, request_token)
    if request.ended:
        raise invalid(f"Request with token {request_token} has status {request.status} and cannot be cancelled")
    request.status, request.changed = "CANCEL_IN_PROGRESS", ctx.now
    ctx.tx.put(request)
    ctx.cloud.wake(ctx, run_id(request.key()))
    return {"ProgressEvent": request.event(sealer(ctx))}


@reads(
    "cloudcontrol",
    "ListResourceRequests",
    authorize=may("ListResourceRequests"),
    acts="MaxResults NextToken ResourceRequestStatusFilter.Operations[] ResourceRequestStatusFilter.OperationStatuses[]",
    cost="scan",
)
def list_resource_requests(
    ctx: Context, max_results: int = PAGE, next_token: str | None = None, resource_request_status_filter: dict[str, list[str]] | None = None
) -> Reply:
    """Newest first."""
    wish = resource_request_status_filter or {}
    kinds, statuses = wish.get("Operations"), wish.get("OperationStatuses")
    shown: list[Request] = []
    before = next_token
    while len(shown) <= max_results and (page := ctx.tx.scan_back(Request, before=before, limit=100)):
        before = page[-1].key()
        fresh = [one for one in page if ctx.now - one.asked < KEPT]
        shown += [one for one in fresh if (not kinds or one.kind in kinds) and (not statuses or one.status in statuses)]
        if len(fresh) < len(page):
            break
    reply: Reply = {"ResourceRequestStatusSummaries": [one.event(sealer(ctx)) for one in shown[:max_results]]}
    return {**reply, "NextToken": shown[max_results - 1].key()} if len(shown) > max_results else reply

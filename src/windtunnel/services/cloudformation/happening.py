"""A stack's history: every change of a status is an event, in order, and is told to whoever asked to hear of it.

Invariant: an event is written in the transaction that made it true, with the next number of its stack, so the history has no gap and no order of chance.
What one batch of an operation tells is written together at its end (`gathered`): an event a statement is a quarter of what a resource costs.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import msgspec

from windtunnel.kernel.context import Context, Event
from windtunnel.kernel.errors import AwsError
from windtunnel.services.cloudformation.model import STACK_TYPE, Operation, Stack, StackEvent, StackResource

log = logging.getLogger("windtunnel.cloudformation")
SOURCE = "aws.cloudformation"
MAX_REASON = 5000


@lru_cache(maxsize=16)  # a batch has one time
def _iso(seconds: float) -> str:
    whole = int(seconds)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(whole))}.{int((seconds - whole) * 1000):03d}Z"


class Gathered:
    """What has happened in a batch so far: lines of the history, and events for EventBridge."""

    def __init__(self) -> None:
        self.lines: list[StackEvent] = []
        self.events: list[Callable[[], Event]] = []


@contextmanager
def gathered(ctx: Context) -> Iterator[None]:
    """What is told with this context meanwhile is written at the end; nothing of it when the block raises."""
    kept = ctx.found[Gathered] = Gathered()
    try:
        yield
    finally:
        del ctx.found[Gathered]
    ctx.tx.put_all(kept.lines)
    if kept.events and ctx.cloud.hears(ctx, SOURCE):
        ctx.cloud.append_events(ctx, [made() for made in kept.events])


def _tell(ctx: Context, detail_type: str, arn: str, detail: Callable[[], dict[str, Any]]) -> None:
    kept: Gathered | None = ctx.found.get(Gathered)
    if kept is None:
        ctx.emit(SOURCE, detail_type, [arn], detail())
    else:
        kept.events.append(lambda: ctx.event(SOURCE, detail_type, [arn], detail()))


def of_stack(ctx: Context, stack: Stack, operation: Operation | None, status: str, reason: str = "") -> None:
    """The stack's own status changes."""
    stack.status, stack.reason = status, reason[:MAX_REASON]
    arn = stack.arn(ctx.scope)
    _write(ctx, stack, operation, ctx.ids.uuid(), stack.name, arn, STACK_TYPE, status, reason, "", ctx.now)
    details = {"status": status, "status-reason": reason}
    detail = {"stack-id": arn, "status-details": details, "client-request-token": operation.token if operation else ""}
    _tell(ctx, "CloudFormation Stack Status Change", arn, lambda: detail)


def of_resource(
    ctx: Context,
    stack: Stack,
    operation: Operation,
    resource: StackResource,
    status: str,
    reason: str = "",
    physical: str = "",
    properties: str = "",
) -> None:
    """A resource's status changes. physical: "" as long as there is none. properties: JSON text as shown."""
    resource.status, resource.reason, resource.at = status, reason[:MAX_REASON], ctx.now
    # What happens within one batch has one time: the history's own count tells two beginnings of a resource apart, for clients know events by their ids.
    event_id = f"{resource.logical}-{status}-{_iso(ctx.now)[:-1]}{stack.next_event % 1000:03d}Z"
    _write(ctx, stack, operation, event_id, resource.logical, physical, resource.type, status, reason, properties, ctx.now)
    arn, logical, kind, token = stack.arn(ctx.scope), resource.logical, resource.type, operation.token

    def detail() -> dict[str, Any]:
        return {
            "stack-id": arn,
            "logical-resource-id": logical,
            "physical-resource-id": physical,
            "status-details": {"status": status, "status-reason": reason},
            "resource-type": kind,
            "client-request-token": token,
        }

    _tell(ctx, "CloudFormation Resource Status Change", arn, detail)


def _write(
    ctx: Context,
    stack: Stack,
    operation: Operation | None,
    event_id: str,
    logical: str,
    physical: str,
    type_name: str,
    status: str,
    reason: str,
    properties: str,
    at: float,
) -> None:
    event = StackEvent(
        sealed=stack.sealed,
        stack=stack.id,
        seq=stack.next_event,
        id=event_id,
        logical=logical,
        physical=physical,
        type=type_name,
        status=status,
        at=at,
        reason=reason[:MAX_REASON],
        properties=properties,
        token=operation.token if operation else "",
        operation=operation.id if operation else "",
    )
    stack.next_event += 1
    kept: Gathered | None = ctx.found.get(Gathered)
    if kept is None:
        ctx.tx.put(event)
    else:
        kept.lines.append(event)
    if stack.notification_arns:
        _publish(ctx, stack, operation, event)


def _publish(ctx: Context, stack: Stack, operation: Operation | None, event: StackEvent) -> None:
    """Tell the notification topics, as the operation's caller. A topic that cannot be reached stops no stack."""
    said = {
        "StackId": stack.arn(ctx.scope),
        "Timestamp": _iso(event.at),
        "EventId": event.id,
        "LogicalResourceId": event.logical,
        "Namespace": ctx.scope.account,
        "PhysicalResourceId": event.physical,
        "PrincipalId": operation.principal.unique_id if operation else "",
        "ResourceProperties": event.properties or "null",
        "ResourceStatus": event.status,
        "ResourceStatusReason": event.reason,
        "ResourceType": event.type,
        "StackName": stack.name,
        "ClientRequestToken": event.token or "null",
    }
    message = "".join(f"{name}='{value}'\n" for name, value in said.items())
    teller = ctx.acting(operation.principal).on_behalf("cloudformation") if operation else ctx
    for arn in stack.notification_arns:
        try:
            teller.call("sns", "Publish", topic_arn=arn, subject="AWS CloudFormation Notification", message=message)
        except AwsError as error:
            log.warning("stack %s: %s did not take a notification: %s", stack.name, arn, error)


def shown(properties: dict[str, object]) -> str:
    """Properties as an event shows them."""
    return msgspec.json.encode(properties).decode()

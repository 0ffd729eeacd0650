"""Where operations, jobs and listeners are found: each registers itself by its decorator, nothing else is touched.

Invariant: one handler per (service, operation); what is registered here is exactly what `windtunnel coverage` calls built.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeVar

import msgspec

from windtunnel.kernel.context import Authorize, Context, Event

Handler = Callable[..., Any]
H = TypeVar("H", bound=Callable[..., Any])
OperationKind = Literal["read", "write"]


class Declared(msgspec.Struct, frozen=True):
    """Input member paths by what they do here (see wire/coverage.py for the path syntax)."""

    acts: frozenset[str] = frozenset()
    descriptive: frozenset[str] = frozenset()
    default_only: Mapping[str, Any] = {}


class Operation(msgspec.Struct, frozen=True):
    """A registered operation.

    kind: "read" runs in a snapshot, "write" in a transaction. cost: "point" reads run on the loop, "scan" reads in a thread; few: whether a "scan" read
    is a small one this time, (ctx, **args) -> bool in microseconds: then it runs on the loop.
    prepare: slow work before the transaction, in a thread: (ctx on a snapshot, args) -> args; it may only write content-addressed things.
    body: "stage" streams the request's payload into a blob before the transaction; the handler gets a `Body`.
    quick: a msgspec type that takes a usual JSON body whole and checked, for operations to which thousands of items come at once; its fields
    are the handler's arguments. What does not fit it goes the long way, which has AWS's words for what is wrong.
    """

    service: str
    name: str
    kind: OperationKind
    handler: Handler
    authorize: Authorize
    declared: Declared
    cost: Literal["point", "scan"] = "point"
    prepare: Callable[[Any, dict[str, Any]], dict[str, Any]] | None = None
    body: Literal["bytes", "stage"] = "bytes"
    quick: type[msgspec.Struct] | None = None
    few: Callable[..., bool] | None = None


class MemberErrors(msgspec.Struct, frozen=True):
    """The error codes a service has for one member: `RepositoryNameRequiredException`, `InvalidRepositoryNameException`."""

    required: str | None = None
    invalid: str | None = None


class ServiceRules(msgspec.Struct, frozen=True):
    """How a service words bad input. members: top-level member name (as in the model) -> its own error codes.

    bad_token: (code, message) for a page token that is not ours; None: found among the operation's errors (see wire/paging.py).
    query_codes: code -> the one that clients of the older query protocol matched, where the model does not tell (`x-amzn-query-error`).
    newer: members that clients newer than the models send, by their names in the query protocol, each with the one value that asks for nothing
    else than what is done anyway (`DeploymentConfig.Mode`: `STANDARD`): with it they are left out, with any other they are refused as ever.
    unchecked_shapes: scalar shapes whose constraints the service does not hold as its model has them; its handlers check them.
    """

    validation_code: str = "ValidationException"
    members: Mapping[str, MemberErrors] = {}
    access_denied_code: str = "AccessDeniedException"
    unsigned: frozenset[str] = frozenset()
    bad_token: tuple[str, str] | None = None
    query_codes: Mapping[str, str] = {}
    unchecked_shapes: frozenset[str] = frozenset()
    newer: Mapping[str, str] = {}


OPERATIONS: dict[tuple[str, str], Operation] = {}
RULES: dict[str, ServiceRules] = {}
LISTENERS: list[tuple[str, str, Callable[[Context, Event], None]]] = []
STARTERS: list[Callable[[Any], None]] = []


class Control(msgspec.Struct, frozen=True):
    """What the cloud's owner may ask of it that no AWS API has: `windtunnel account create` (see gateways/control.py)."""

    kind: OperationKind
    handler: Handler


CONTROLS: dict[str, Control] = {}


def service_rules(service: str, rules: ServiceRules) -> None:
    """Say how a service words its validation errors."""
    RULES[service] = rules


def _register(operation: Operation) -> None:
    key = (operation.service, operation.name)
    if key in OPERATIONS and OPERATIONS[key].handler is not operation.handler:
        raise ValueError(f"two handlers for {operation.service}:{operation.name}")
    OPERATIONS[key] = operation


def _declared(acts: str, descriptive: str, default_only: Mapping[str, Any] | None) -> Declared:
    return Declared(frozenset(acts.split()), frozenset(descriptive.split()), dict(default_only or {}))


def reads(
    service: str,
    name: str,
    *,
    authorize: Authorize,
    acts: str = "",
    descriptive: str = "",
    default_only: Mapping[str, Any] | None = None,
    cost: Literal["point", "scan"] = "point",
    few: Callable[..., bool] | None = None,
) -> Callable[[H], H]:
    """Register a handler that only reads. acts/descriptive: blank-separated member paths; see `Declared`."""

    def register(handler: H) -> H:
        _register(Operation(service, name, "read", handler, authorize, _declared(acts, descriptive, default_only), cost, few=few))
        return handler

    return register


def writes(
    service: str,
    name: str,
    *,
    authorize: Authorize,
    acts: str = "",
    descriptive: str = "",
    default_only: Mapping[str, Any] | None = None,
    prepare: Callable[[Any, dict[str, Any]], dict[str, Any]] | None = None,
    body: Literal["bytes", "stage"] = "bytes",
    quick: type[msgspec.Struct] | None = None,
) -> Callable[[H], H]:
    """Register a handler that writes, in one short transaction without I/O."""

    def register(handler: H) -> H:
        _register(
            Operation(service, name, "write", handler, authorize, _declared(acts, descriptive, default_only), "point", prepare, body, quick)
        )
        return handler

    return register


def listens(source: str, detail_type: str) -> Callable[[H], H]:
    """Register an in-cloud listener: called with (ctx, event) in the transaction that takes the event out of the outbox."""

    def register(handler: H) -> H:
        LISTENERS.append((source, detail_type, handler))
        return handler

    return register


def control(name: str, kind: OperationKind) -> Callable[[H], H]:
    """Register a handler for the cloud's owner alone: called with (ctx, **arguments of the JSON body)."""

    def register(handler: H) -> H:
        CONTROLS[name] = Control(kind, handler)
        return handler

    return register


def at_start(starter: H) -> H:
    """Register work for the moment when the cloud has come up, before it answers: repair, finding again what runs. Gets the Cloud."""
    STARTERS.append(starter)
    return starter


def unguarded(ctx: Context, **_: Any) -> list[Any]:
    """authorize= for the few operations that AWS lets every caller do (GetCallerIdentity)."""
    return []

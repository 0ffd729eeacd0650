"""How a resource type calls an operation: by the model's member names, refused as the wire would refuse a client.

Invariant: `Context.call` hands its arguments to the handler as they are; here a member that is not declared is a 501 that names it, and what
breaks the model's constraints is the service's own error, so that no property is ignored in silence and nothing is half done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any

from windtunnel.kernel.context import Context, Reply
from windtunnel.kernel.errors import not_built
from windtunnel.kernel.registry import OPERATIONS, RULES, ServiceRules
from windtunnel.wire.members import MISSING, Node, declared_tree
from windtunnel.wire.models import Ref, ServiceModel, Shape, load_service
from windtunnel.wire.naming import xform
from windtunnel.wire.protocols import protocol_of
from windtunnel.wire.protocols.validation import Validator, reporter

_CONTAINERS = ("structure", "list", "map")
Take = Callable[[Any], None]


def perform(ctx: Context, service: str, operation: str, *, prepared: Any = None, **members: Any) -> Reply:
    """Call an operation with its top-level members by the model's names; those that are None are left out.

    prepared: a mapping of handler arguments that its `prepare` makes before a transaction, and that a type made in its own `prepare`.
    Raises AwsError: 501 for what the operation does not declare, its service's validation error, or what the operation raises.
    """
    given = {name: value for name, value in members.items() if value is not None}
    _checker(service, operation)(given)
    return ctx.call(service, operation, **{xform(name): value for name, value in given.items()}, **(prepared or {}))


def ready(service: str, operations: Iterable[str]) -> None:
    """Have the checks of these operations compiled: reading a service's model takes up to 50 ms, which is for a thread."""
    wanted = [operation for operation in operations if (service, operation) in OPERATIONS and (service, operation) not in _ready]
    model = load_service(service) if wanted else None  # held, so that it is read once
    for operation in wanted:
        _checker(service, operation)
        _ready.add((service, operation))
    del model


def forget() -> None:
    """Nothing is compiled any more."""
    _ready.clear()
    _checker.cache_clear()


_ready: set[tuple[str, str]] = set()


@cache
def _checker(service: str, operation: str) -> Callable[[dict[str, Any]], None]:
    found = OPERATIONS.get((service, operation))
    if found is None:
        raise not_built(service, operation)
    model = load_service(service)
    shape = model.operation(operation)
    members = _Compiler(model, operation).structure(shape.input, declared_tree(found.declared), "") if shape.input else None
    check = Validator(model).input(shape)
    report = reporter(shape, RULES.get(service) or ServiceRules(), protocol_of(model))

    def checked(given: dict[str, Any]) -> None:
        if members is not None:
            members(given)
        violations: list[Any] = []
        if check is not None:
            check(given, None, violations)
        if violations:
            report(violations)

    return checked


class _Compiler:
    """Makes what walks a value beside its shape and the declared members. The model itself is not held by what it makes."""

    def __init__(self, model: ServiceModel, operation: str) -> None:
        self._model = model
        self._operation = operation
        self._made: dict[tuple[str, int], list[Take]] = {}

    def structure(self, name: str, node: Node, path: str) -> Take:
        shape = self._model.shape(name)
        members = {
            member: self._member(ref, below, f"{path}.{member}" if path else member)
            for member, ref in shape.members.items()
            if (below := node.child(member)) is not None
        }
        service, operation = self._model.name, self._operation

        def take(value: Any) -> None:
            if not isinstance(value, Mapping):
                return
            for member, item in value.items():
                found = members.get(member)
                if found is None:
                    raise not_built(service, operation, f"{path}.{member}" if path else member)
                found(item)

        return take

    def _member(self, ref: Ref, node: Node, path: str) -> Take:
        """Once for a shape and what is declared of it: shapes may hold themselves."""
        if node.default is not MISSING:
            return self._only(node.default, path)
        key = (ref.shape, id(node))
        cell = self._made.get(key)
        if cell is None:
            cell = self._made[key] = []
            cell.append(self._container(self._model.shape(ref.shape), ref, node, path))
        if cell:
            return cell[0]
        later = cell
        return lambda value: later[0](value)

    def _container(self, shape: Shape, ref: Ref, node: Node, path: str) -> Take:
        if shape.type not in _CONTAINERS or shape.document:
            return _anything
        if shape.type == "structure":
            return self.structure(ref.shape, node, path)
        segment, element = ("[]", shape.member) if shape.type == "list" else ("{}", shape.value)
        assert element is not None
        inner = self._model.shape(element.shape)
        below = node.child(segment)
        if below is None and inner.type not in _CONTAINERS and node.covers_scalars(segment):
            return _anything
        if below is None:
            return self._never(path)
        each = self._member(element, below, path + segment)

        def take(value: Any) -> None:
            for item in value.values() if isinstance(value, Mapping) else value:
                each(item)

        return take

    def _never(self, path: str) -> Take:
        service, operation = self._model.name, self._operation

        def refuse(value: Any) -> None:
            raise not_built(service, operation, path)

        return refuse

    def _only(self, default: Any, path: str) -> Take:
        refuse = self._never(path)

        def take(value: Any) -> None:
            if value != default:
                refuse(value)

        return take


def _anything(value: Any) -> None:
    return None

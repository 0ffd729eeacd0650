"""Which input members of an operation act here, are kept, are accepted at their default only, or are refused.

Invariant: pure over the model and the declaration, and walking the same tree as the decoders do: what this says is refused, they refuse.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from windtunnel.kernel.registry import Declared
from windtunnel.wire.members import MISSING, Kind, Node, declared_tree
from windtunnel.wire.models import OperationModel, Ref, ServiceModel, Shape

_CONTAINERS = ("structure", "list", "map")


class Member(NamedTuple):
    """One input member path (`source.auth.type`, `tags[].key`, `environment{}`); a recursive part ends in `.*`."""

    path: str
    kind: Kind


def input_paths(service: ServiceModel, op: str) -> list[str]:
    """Every leaf path of an operation's input, in the model's order."""
    return [member.path for member in coverage(service, op, None)]


def coverage(service: ServiceModel, op: str, declared: Declared | None) -> list[Member]:
    """Every leaf path with what this house does with it. declared=None: everything acts."""
    operation = service.operation(op)
    return list(_structure(service, operation.input_shape, declared_tree(declared), "", (operation.input or "",), "acts"))


def refused(service: ServiceModel, op: str, declared: Declared) -> list[str]:
    return [member.path for member in coverage(service, op, declared) if member.kind == "refused"]


def stale(service: ServiceModel, op: str, declared: Declared) -> list[str]:
    """Declared paths that the model does not have: misspelt, or gone with a newer model."""
    operation = service.operation(op)
    return [path for path in sorted(declared.acts | declared.descriptive | set(declared.default_only)) if not _exists(operation, path)]


def _structure(
    service: ServiceModel, shape: Shape, node: Node | None, path: str, above: tuple[str, ...], inherited: Kind
) -> Iterator[Member]:
    for name, ref in shape.members.items():
        below = node.child(name) if node is not None else None
        yield from _member(service, ref, below, f"{path}.{name}" if path else name, above, inherited)


def _member(service: ServiceModel, ref: Ref, node: Node | None, path: str, above: tuple[str, ...], inherited: Kind) -> Iterator[Member]:
    shape = service.shape(ref.shape)
    kind: Kind = (node.kind or inherited) if node is not None else "refused"
    if node is not None and node.default is not MISSING:
        yield Member(path, "default-only")
    elif shape.type not in _CONTAINERS or shape.document:
        yield Member(path, kind)
    elif ref.shape in above:
        yield Member(f"{path}.*", kind if node is not None and node.everything else "refused")
    elif shape.type == "structure":
        if shape.members:
            yield from _structure(service, shape, node, path, (*above, ref.shape), kind)
        else:
            yield Member(path, kind)
    else:
        segment = "[]" if shape.type == "list" else "{}"
        element = shape.member if shape.type == "list" else shape.value
        assert element is not None
        yield from _member(service, element, _element(service, element, node, segment), path + segment, (*above, ref.shape), kind)


def _element(service: ServiceModel, ref: Ref, node: Node | None, segment: str) -> Node | None:
    if node is None:
        return None
    below = node.child(segment)
    shape = service.shape(ref.shape)
    scalar = shape.type not in _CONTAINERS or shape.document
    return node if below is None and scalar and node.covers_scalars(segment) else below


def _exists(operation: OperationModel, path: str) -> bool:
    if path == "*":
        return True
    shape: Shape | None = operation.input_shape
    for segment in path.replace("[]", ".[]").replace("{}", ".{}").split("."):
        if segment == "*":
            return shape is not None and shape.type in _CONTAINERS
        ref = _step(shape, segment)
        if ref is None:
            return False
        shape = operation.service.shape(ref.shape)
    return True


def _step(shape: Shape | None, segment: str) -> Ref | None:
    if shape is None:
        return None
    if segment == "[]":
        return shape.member if shape.type == "list" else None
    if segment == "{}":
        return shape.value if shape.type == "map" else None
    return shape.members.get(segment)

"""Reads XML elements along the shapes, for the bodies of REST-XML requests.

Invariant: an element that the shape does not have is refused by its path; anything else that does not fit is MalformedXML.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from windtunnel.kernel.errors import AwsError, not_built
from windtunnel.wire.members import MISSING, Node
from windtunnel.wire.models import OperationModel, Ref, Shape
from windtunnel.wire.protocols import text
from windtunnel.wire.protocols.xmltext import Element, NotXml, parse_xml

Convert = Callable[[Any], Any]
_CONTAINERS = ("structure", "list", "map")


def malformed_xml() -> NoReturn:
    raise AwsError("MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema", status=400)


def parse_body(body: bytes) -> Element:
    try:
        return parse_xml(body)
    except NotXml:
        malformed_xml()


def refusal(service: str, operation: str, path: str) -> Convert:
    def refuse(_: Any) -> NoReturn:
        raise not_built(service, operation, path)

    return refuse


def _wrong_xml(_: str, __: str) -> NoReturn:
    malformed_xml()


class XmlReader:
    """Compiles the closures that read elements along the shapes."""

    def __init__(self, operation: OperationModel) -> None:
        self.service = operation.service
        self.operation = operation.name
        self._whole: dict[tuple[str, str], list[Convert]] = {}

    def structure(self, shape: Shape, node: Node, path: str, *, body_only: bool = False) -> Convert:
        members: dict[str, tuple[str, Convert, bool]] = {}
        attributes: dict[str, tuple[str, Convert]] = {}
        for name, ref in shape.members.items():
            if body_only and ref.location:
                continue
            target = self.service.shape(ref.shape)
            where = f"{path}.{name}" if path else name
            below = node.child(name)
            convert = refusal(self.service.name, self.operation, where)
            repeated = target.type in ("list", "map") and (ref.flattened or target.flattened)
            if below is not None:
                convert = self.member(ref, target, below, where)
            if ref.xml_attribute:
                attributes[(ref.location_name or name).rpartition(":")[2]] = (name, text.reader(ref, target, "iso8601", _wrong_xml))
                continue
            for wire in _names(name, ref, target):
                members[wire] = (name, convert, repeated)
        service, operation = self.service.name, self.operation

        def read(element: Element) -> dict[str, Any]:
            out: dict[str, Any] = {}
            several: dict[str, list[Element]] = {}
            for child in element.children:
                member = members.get(child.name)
                if member is None:
                    raise not_built(service, operation, f"{path}.{child.name[:256]}" if path else child.name[:256])
                name, convert, repeated = member
                if repeated:
                    several.setdefault(name, []).append(child)
                elif name in out:
                    malformed_xml()
                else:
                    out[name] = convert(child)
            for name, elements in several.items():
                out[name] = members[elements[0].name][1](elements)
            for key, (name, convert) in attributes.items():
                if key in element.attributes:
                    out[name] = convert(element.attributes[key])
            if element.text.strip() and not element.children:
                malformed_xml()
            return out

        return read

    def member(self, ref: Ref, shape: Shape, node: Node, path: str) -> Convert:
        if node.default is MISSING:
            return self.value(ref, shape, node, path)
        everything = Node()
        everything.everything = True
        convert = self.value(ref, shape, everything, path)
        service, operation, default = self.service.name, self.operation, node.default

        def read(item: Any) -> Any:
            value = convert(item)
            if value != default:
                raise not_built(service, operation, path)
            return value

        return read

    def value(self, ref: Ref, shape: Shape, node: Node, path: str) -> Convert:
        if shape.type not in _CONTAINERS:
            return _scalar(text.reader(ref, shape, "iso8601", _wrong_xml))
        if not node.everything:
            return self._container(ref, shape, node, path)
        key = (ref.shape, "flat" if ref.flattened or shape.flattened else "wrapped")
        cell = self._whole.get(key)
        if cell is None:
            cell = self._whole[key] = []
            cell.append(self._container(ref, shape, node, path))
        return cell[0] if cell else lambda item: cell[0](item)

    def _container(self, ref: Ref, shape: Shape, node: Node, path: str) -> Convert:
        if shape.type == "structure":
            return self.structure(shape, node, path)
        if shape.type == "list":
            return self._list(ref, shape, node, path)
        return self._map(ref, shape, node, path)

    def _element(self, ref: Ref, node: Node, segment: str, path: str) -> Convert:
        shape = self.service.shape(ref.shape)
        below = node.child(segment)
        if below is None and shape.type not in _CONTAINERS and node.covers_scalars(segment):
            below = node
        if below is None:
            return refusal(self.service.name, self.operation, path + segment)
        return self.value(ref, shape, below, path + segment)

    def _list(self, ref: Ref, shape: Shape, node: Node, path: str) -> Convert:
        assert shape.member is not None
        convert = self._element(shape.member, node, "[]", path)
        if ref.flattened or shape.flattened:
            return lambda elements: [convert(element) for element in elements]
        inner = shape.member.location_name or "member"

        def read(element: Element) -> list[Any]:
            if any(child.name != inner for child in element.children):
                malformed_xml()
            return [convert(child) for child in element.children]

        return read

    def _map(self, ref: Ref, shape: Shape, node: Node, path: str) -> Convert:
        assert shape.key is not None and shape.value is not None
        convert = self._element(shape.value, node, "{}", path)
        key_name, value_name = shape.key.location_name or "key", shape.value.location_name or "value"

        def entries(elements: list[Element]) -> dict[str, Any]:
            out = {}
            for element in elements:
                parts = {child.name: child for child in element.children}
                if set(parts) != {key_name, value_name}:
                    malformed_xml()
                out[parts[key_name].text] = convert(parts[value_name])
            return out

        if ref.flattened or shape.flattened:
            return entries
        return lambda element: entries(element.children)


def _names(name: str, ref: Ref, shape: Shape) -> set[str]:
    """The element names of a member: a flat list's elements may bear the list's or the element's own name."""
    names = {ref.location_name or name}
    if shape.type == "list" and (ref.flattened or shape.flattened) and shape.member is not None and shape.member.location_name:
        names.add(shape.member.location_name)
    return {wire.rpartition(":")[2] for wire in names}


def _scalar(convert: Callable[[str], Any]) -> Convert:
    def read(element: Element) -> Any:
        if element.children:
            malformed_xml()
        return convert(element.text)

    return read

"""Writes structures as XML along their shapes; the query, EC2 and REST-XML encoders share it.

Invariant: the text is well-formed whatever a handler returns as strings; members that the shape does not have are left out, or
raise in a strict writer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from windtunnel.wire.models import OperationModel, Ref, Shape
from windtunnel.wire.protocols import text
from windtunnel.wire.protocols.base import UnknownResultMember
from windtunnel.wire.protocols.xmltext import escape

Write = Callable[[Any, "list[str]"], None]


class XmlWriter:
    """Compiles the closures of one operation's output."""

    def __init__(self, operation: OperationModel, strict: bool, *, millis: bool = False) -> None:
        self.service = operation.service
        self.strict = strict
        self.millis = millis
        self._cells: dict[tuple[str, str, bool, str], list[Write]] = {}

    def members(self, shape: Shape, where: str, *, only: frozenset[str] | None = None) -> Write:
        """The members of a structure without an element around them. only: these; others are someone else's to write."""
        writers = {
            name: self.element(ref.location_name or name, ref, f"{where}.{name}")
            for name, ref in shape.members.items()
            if not ref.xml_attribute and (only is None or name in only)
        }
        known = frozenset(shape.members)
        strict = self.strict

        def write(value: Any, out: list[str]) -> None:
            if strict and not isinstance(value, dict):
                raise UnknownResultMember(f"{where} is {type(value).__name__}")
            for name, item in value.items():
                if item is None:
                    continue
                writer = writers.get(name)
                if writer is not None:
                    writer(item, out)
                elif strict and name not in known:
                    raise UnknownResultMember(f"{where}.{name}")

        return write

    def element(self, name: str, ref: Ref, where: str) -> Write:
        """A member as its element(s)."""
        shape = self.service.shape(ref.shape)
        flattened = ref.flattened or shape.flattened
        if shape.type not in ("structure", "list", "map"):
            return self._scalar(name, ref, shape, where)
        key = (ref.shape, name, flattened, str(ref.xml_namespace or ""))
        cell = self._cells.get(key)
        if cell is None:
            cell = self._cells[key] = []
            cell.append(self._container(name, ref, shape, flattened, where))
        return cell[0] if cell else lambda value, out: cell[0](value, out)

    def _container(self, name: str, ref: Ref, shape: Shape, flattened: bool, where: str) -> Write:
        if shape.type == "structure":
            return self._structure(name, ref, shape, where)
        if shape.type == "list":
            return self._list(name, ref, shape, flattened, where)
        return self._map(name, ref, shape, flattened, where)

    def _structure(self, name: str, ref: Ref, shape: Shape, where: str) -> Write:
        return self.structure(f"{name}{namespace_of(ref, shape)}", name, shape, where)

    def structure(self, start: str, name: str, shape: Shape, where: str, *, only: frozenset[str] | None = None) -> Write:
        """An element around a structure's members. start: the element's name and its namespace attributes."""
        write = self.members(shape, where, only=only)
        attributes = self._attributes(shape)
        opening, closing = f"<{start}", f"</{name}>"

        def structure(value: Any, out: list[str]) -> None:
            out.append(opening)
            for key, attribute, convert in attributes:
                if value.get(key) is not None:
                    out.append(f' {attribute}="{escape(convert(value[key]))}"')
            out.append(">")
            write(value, out)
            out.append(closing)

        return structure

    def _attributes(self, shape: Shape) -> list[tuple[str, str, Callable[[Any], str]]]:
        return [
            (name, ref.location_name or name, text.writer(ref, self.service.shape(ref.shape), "iso8601"))
            for name, ref in shape.members.items()
            if ref.xml_attribute
        ]

    def _scalar(self, name: str, ref: Ref, shape: Shape, where: str) -> Write:
        convert = text.writer(ref, shape, "iso8601", millis=self.millis)
        opening, closing = f"<{name}{namespace_of(ref, shape)}>", f"</{name}>"
        wanted = text.PYTHON_TYPES.get(shape.type, object)
        strict = self.strict

        def scalar(value: Any, out: list[str]) -> None:
            if strict and not isinstance(value, wanted):
                raise UnknownResultMember(f"{where} is {type(value).__name__}")
            out += (opening, escape(convert(value)), closing)

        return scalar

    def _list(self, name: str, ref: Ref, shape: Shape, flattened: bool, where: str) -> Write:
        assert shape.member is not None
        inner = name if flattened else (shape.member.location_name or "member")
        each = self.element(inner, shape.member, f"{where}[]")
        opening = "" if flattened else f"<{name}{namespace_of(ref, shape)}>"
        closing = "" if flattened else f"</{name}>"
        strict = self.strict

        def write(value: Any, out: list[str]) -> None:
            if strict and not isinstance(value, (list, tuple)):
                raise UnknownResultMember(f"{where} is {type(value).__name__}")
            out.append(opening)
            for item in value:
                each(item, out)
            out.append(closing)

        return write

    def _map(self, name: str, ref: Ref, shape: Shape, flattened: bool, where: str) -> Write:
        assert shape.key is not None and shape.value is not None
        key = self.element(shape.key.location_name or "key", shape.key, f"{where}{{key}}")
        item = self.element(shape.value.location_name or "value", shape.value, f"{where}{{}}")
        entry = name if flattened else "entry"
        opening = "" if flattened else f"<{name}{namespace_of(ref, shape)}>"
        closing = "" if flattened else f"</{name}>"
        entry_opening, entry_closing = f"<{entry}>", f"</{entry}>"

        def write(value: Any, out: list[str]) -> None:
            out.append(opening)
            for name_of, content in value.items():
                out.append(entry_opening)
                key(name_of, out)
                item(content, out)
                out.append(entry_closing)
            out.append(closing)

        return write


def namespace_of(ref: Ref, shape: Shape) -> str:
    """The xmlns attribute that a use of a shape asks for, with its blank; empty when none."""
    declared = ref.xml_namespace or shape.xml_namespace
    if declared is None:
        return ""
    if isinstance(declared, str):
        return f' xmlns="{escape(declared)}"'
    prefix = declared.get("prefix")
    return f' xmlns{":" + prefix if prefix else ""}="{escape(declared.get("uri", ""))}"'

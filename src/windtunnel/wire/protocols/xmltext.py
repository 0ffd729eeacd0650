"""XML text, out and in: escaping for the writers, a bounded tree for the readers.

Invariant: a document with a DOCTYPE, with entities of its own, or nested deeper than MAX_DEPTH is refused before it costs anything.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from windtunnel.wire.protocols.base import MAX_DEPTH

_SPECIAL = re.compile('[&<>"\r\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]')
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\r": "&#xD;"}


def escape(text: str) -> str:
    """Text for an element or an attribute; characters that XML 1.0 cannot hold become U+FFFD."""
    return _SPECIAL.sub(_replace, text) if _SPECIAL.search(text) else text


def _replace(match: re.Match[str]) -> str:
    return _ENTITIES.get(match[0], "\ufffd")


def xml_fields(fields: Mapping[str, Any]) -> str:
    """Further members of an error, as elements."""
    return "".join(f"<{name}>{_value(value)}</{name}>" for name, value in fields.items() if value is not None)


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return xml_fields(value)
    if isinstance(value, (list, tuple)):
        return "".join(f"<member>{_value(item)}</member>" for item in value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return escape(str(value))


class Element:
    """An element of a request's XML: local name, attributes by local name, children, own text."""

    __slots__ = ("name", "attributes", "children", "text")

    def __init__(self, name: str, attributes: dict[str, str]) -> None:
        self.name = name
        self.attributes = attributes
        self.children: list[Element] = []
        self.text = ""


class NotXml(ValueError):
    """Not well-formed, or not to be read."""


def parse_xml(body: bytes) -> Element:
    """The root element. Raises NotXml."""
    from xml.parsers import expat

    parser = expat.ParserCreate(namespace_separator=None)
    parser.buffer_text = True
    stack: list[Element] = []
    roots: list[Element] = []

    def start(name: str, attributes: dict[str, str]) -> None:
        if len(stack) >= MAX_DEPTH:
            raise NotXml("nested too deeply")
        element = Element(_local(name), {_local(key): value for key, value in attributes.items()})
        (stack[-1].children if stack else roots).append(element)
        stack.append(element)

    def end(_: str) -> None:
        stack.pop()

    def text(data: str) -> None:
        if stack:
            stack[-1].text += data

    def doctype(*_: Any) -> None:
        raise NotXml("a DOCTYPE is not allowed")

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = text
    parser.StartDoctypeDeclHandler = doctype
    try:
        parser.Parse(body, True)
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise NotXml(str(error)) from None
    if not roots:
        raise NotXml("empty")
    return roots[0]


def _local(name: str) -> str:
    return name.rpartition(":")[2]

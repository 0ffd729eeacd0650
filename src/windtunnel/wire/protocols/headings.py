"""Output members in the headers of a REST response.

Invariant: no value can end its line or begin another header.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable
from typing import Any

import msgspec

from windtunnel.wire.models import Ref, ServiceModel, Shape
from windtunnel.wire.protocols import text
from windtunnel.wire.protocols.base import Header, UnknownResultMember

Heading = Callable[[Any, "list[Header]"], None]


def compile_headings(service: ServiceModel, shape: Shape, where: str, strict: bool) -> dict[str, Heading]:
    """member -> what writes it into the response's headers. strict: values of another type than the model's raise."""
    headings: dict[str, Heading] = {}
    for name, ref in shape.members.items():
        target = service.shape(ref.shape)
        wire = (name if ref.location_name is None else ref.location_name).lower()
        if ref.location == "headers":
            headings[name] = _prefixed(wire)
        elif ref.location == "header":
            wanted = text.PYTHON_TYPES.get(target.type, object) if strict and not ref.jsonvalue else object
            headings[name] = _header(wire, _header_text(service, ref, target), wanted, f"{where}.{name}")
    return headings


def _header_text(service: ServiceModel, ref: Ref, shape: Shape) -> Callable[[Any], str]:
    if ref.jsonvalue:
        return lambda value: binascii.b2a_base64(msgspec.json.encode(value), newline=False).decode("ascii")
    if shape.type != "list":
        return text.writer(ref, shape, "rfc822")
    assert shape.member is not None
    element = service.shape(shape.member.shape)
    convert = text.writer(shape.member, element, "rfc822")
    quoted = element.type == "string"

    def write(value: list[Any]) -> str:
        items = [convert(item) for item in value]
        return ", ".join(
            '"' + item.replace("\\", "\\\\").replace('"', '\\"') + '"' if quoted and ("," in item or '"' in item) else item
            for item in items
        )

    return write


def _header(wire: str, convert: Callable[[Any], str], wanted: type | tuple[type, ...], where: str) -> Heading:
    key = wire.encode()

    def write(value: Any, headers: list[Header]) -> None:
        if not isinstance(value, wanted):
            raise UnknownResultMember(f"{where} is {type(value).__name__}")
        headers.append((key, header_bytes(convert(value))))

    return write


def _prefixed(prefix: str) -> Heading:
    def write(value: Any, headers: list[Header]) -> None:
        for key, item in value.items():
            headers.append((_NO_NAME.sub("-", prefix + key.lower()).encode("utf-8"), header_bytes(item)))

    return write


_NO_NAME = re.compile(r"[^A-Za-z0-9!#$%&'*+.^_`|~-]")
_CONTROLS = re.compile("[\x00-\x08\x0a-\x1f\x7f]")


def header_bytes(value: str) -> bytes:
    """A header's bytes: UTF-8, and nothing in it that could end the line or that no header may hold."""
    return _CONTROLS.sub(" ", value).encode("utf-8") if not value.isprintable() else value.encode("utf-8")

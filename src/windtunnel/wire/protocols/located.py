"""Input members outside the body: path labels, query parameters and headers of REST requests.

Invariant: what was sent is walked once, each name looked up in a table; a query parameter, or an x-amz- header, that is no member of
the operation and no part of the transfer is refused by name.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable
from typing import Any, NoReturn

import msgspec

from windtunnel.kernel.errors import AwsError, not_built
from windtunnel.wire.members import MISSING, Node
from windtunnel.wire.models import OperationModel, Ref, Shape
from windtunnel.wire.protocols import text
from windtunnel.wire.protocols.base import RawRequest, serialization
from windtunnel.wire.protocols.xmlreader import Convert, refusal

Take = Callable[[str, "dict[str, Any]"], None]
"""(the text that was sent, the input so far)"""
_SIGNING = re.compile(
    r"(?:(?i:x-amz-(?:algorithm|credential|date|expires|signedheaders|signature|security-token|content-sha256|user-agent))"
    r"|AWSAccessKeyId|Signature|Expires)\Z"
)
_HOISTED = ("content-type", "content-md5")  # S3's URLs of version 2 carry these two as parameters
# x-amz- headers that belong to the transfer, whichever the operation.
_TRANSFER = re.compile(r"x-amz-(?:date|content-sha256|security-token|decoded-content-length|trailer|user-agent|te|checksum-.*|sdk-.*)\Z")
_ALWAYS = frozenset(("x-amz-date", "x-amz-content-sha256", "x-amz-security-token"))  # found without the pattern
_HEADER_ITEM = re.compile(r'\s*(?:"((?:[^"\\]|\\.)*)"|([^,]*?))\s*(?:,|\Z)')


def compile_located(
    operation: OperationModel, tree: Node, wrong: Callable[[str, str, str], NoReturn] | None = None
) -> Callable[[RawRequest, dict[str, Any]], None]:
    """Reads everything of a request but its body into the input.

    wrong: (wire name, what was sent, the type wanted) -> raises the protocol's error; S3's when it is not given.
    """
    parts = _Parts(operation, tree, wrong or _invalid_argument)
    labels, headers, prefixes, query = parts.labels(), parts.headers(), parts.prefixes(), parts.query()
    rest = parts.query_map()
    fixed = parts.fixed
    service, name = operation.service.name, operation.name

    def refuse(what: str) -> NoReturn:
        raise not_built(service, name, what[:256])

    def header(wire: str, value: str, out: dict[str, Any]) -> bool:
        """Takes a header that is a member; False when it is none."""
        take = headers.get(wire)
        if take is not None:
            take(value, out)
            return True
        for prefix, take_prefixed in prefixes:
            if wire.startswith(prefix):
                take_prefixed(wire, value, out)
                return True
        return False

    def parameter(wire: str, value: str, out: dict[str, Any]) -> None:
        take = query.get(wire)
        if take is not None:
            take(value, out)
        elif wire in fixed or _SIGNING.match(wire):
            return
        elif wire[:6].lower() == "x-amz-" or wire in _HOISTED:
            # A presigned URL carries headers as parameters; one that was sent as a header too counts as sent.
            if not header(wire.lower(), value, out) and wire not in _HOISTED and not _TRANSFER.match(wire.lower()):
                refuse(f"?{wire}")
        elif rest is not None:
            rest(wire, value, out)
        else:
            refuse(f"?{wire}")

    def read(request: RawRequest, out: dict[str, Any]) -> None:
        for label, take in labels:
            take(request.path_params[label], out)
        for wire, value in request.query:
            parameter(wire, value, out)
        for wire, value in request.headers.items():
            take_header = headers.get(wire)
            if take_header is not None:
                take_header(value, out)
            elif (
                wire.startswith("x-")
                and wire not in _ALWAYS
                and not header(wire, value, out)
                and wire.startswith("x-amz-")
                and not _TRANSFER.match(wire)
            ):
                refuse(wire)

    return read


class _Parts:
    """Compiles the tables of one operation."""

    def __init__(self, operation: OperationModel, tree: Node, wrong: Callable[[str, str, str], NoReturn]) -> None:
        self.service = operation.service
        self.operation = operation
        self.wrong = wrong
        self.members = operation.input_shape.members
        self.tree = tree
        template = operation.http_uri.partition("?")[2]
        self.fixed = frozenset([*(pair.partition("=")[0] for pair in template.split("&") if pair), "x-id"])

    def _at(self, location: str) -> list[tuple[str, str, Ref, Shape]]:
        return [
            (name, ref.location_name or name, ref, self.service.shape(ref.shape))
            for name, ref in self.members.items()
            if ref.location == location
        ]

    def labels(self) -> list[tuple[str, Take]]:
        return [
            (wire, _one(name, self._convert(ref, shape, wire, "iso8601"), self._accept(name))) for name, wire, ref, shape in self._at("uri")
        ]

    def headers(self) -> dict[str, Take]:
        out = {}
        for name, wire, ref, shape in self._at("header"):
            key = wire.lower()
            take = _one(name, self._header(ref, shape, wire), self._accept(name))
            out[key] = _unwrapped(take) if key == "content-encoding" else take
        return out

    def prefixes(self) -> list[tuple[str, Callable[[str, str, dict[str, Any]], None]]]:
        return [(wire.lower(), _prefixed(name, len(wire), self._accept(name))) for name, wire, _, _ in self._at("headers")]

    def query(self) -> dict[str, Take]:
        out = {}
        for name, wire, ref, shape in self._at("querystring"):
            if shape.type == "list":
                assert shape.member is not None
                element = self.service.shape(shape.member.shape)
                out[wire] = _several(name, self._convert(shape.member, element, wire, "iso8601"), self._accept(name))
            elif shape.type != "map":
                out[wire] = _one(name, self._convert(ref, shape, wire, "iso8601"), self._accept(name))
        return out

    def query_map(self) -> Callable[[str, str, dict[str, Any]], None] | None:
        for name, _, _, shape in self._at("querystring"):
            if shape.type == "map":
                assert shape.value is not None
                return _mapped(name, self.service.shape(shape.value.shape).type == "list", self._accept(name))
        return None

    def _accept(self, name: str) -> Convert | None:
        """What a converted value must still pass; None when it is declared."""
        below = self.tree.child(name)
        if below is not None and below.default is MISSING:
            return None
        refuse = refusal(self.service.name, self.operation.name, name)
        if below is None:
            return refuse
        default = below.default
        return lambda value: value if value == default else refuse(value)

    def _convert(self, ref: Ref, shape: Shape, wire: str, fmt: str) -> Convert | None:
        """None for text that is taken as it is."""
        if shape.type == "string":
            return _json_value if ref.jsonvalue and ref.location == "header" else None

        refuse = self.wrong

        def wrong(value: str, wanted: str) -> NoReturn:
            refuse(wire, value, wanted)

        return text.reader(ref, shape, fmt, wrong)

    def _header(self, ref: Ref, shape: Shape, wire: str) -> Convert | None:
        if shape.type != "list":
            return self._convert(ref, shape, wire, "rfc822")
        assert shape.member is not None
        element = self.service.shape(shape.member.shape)
        convert = self._convert(shape.member, element, wire, "rfc822") or str
        dates = element.type == "timestamp" and (element.timestamp_format or shape.member.timestamp_format) in (None, "rfc822")
        return lambda value: [convert(item) for item in (_dates(value) if dates else _items(value))]


def _invalid_argument(wire: str, value: str, wanted: str) -> NoReturn:
    extra = {"ArgumentName": wire, "ArgumentValue": value[:256]}
    raise AwsError("InvalidArgument", f"Provided {wire} is not a valid {wanted}", status=400, extra=extra)


def _json_value(value: str) -> Any:
    """A header that carries any JSON, in base64."""
    try:
        return msgspec.json.decode(binascii.a2b_base64(value.encode("ascii"), strict_mode=True))
    except (binascii.Error, UnicodeError, msgspec.DecodeError, RecursionError):
        serialization("The header is not JSON in base64.")


def _one(name: str, convert: Convert | None, accept: Convert | None) -> Take:
    if convert is None and accept is None:

        def plain(value: str, out: dict[str, Any]) -> None:
            out[name] = value

        return plain

    def take(value: str, out: dict[str, Any]) -> None:
        converted = convert(value) if convert is not None else value
        out[name] = accept(converted) if accept is not None else converted

    return take


def _several(name: str, convert: Convert | None, accept: Convert | None) -> Take:
    def take(value: str, out: dict[str, Any]) -> None:
        found = [*out.get(name, ()), convert(value) if convert is not None else value]
        out[name] = accept(found) if accept is not None else found

    return take


def _mapped(name: str, several: bool, accept: Convert | None) -> Callable[[str, str, dict[str, Any]], None]:
    def take(key: str, value: str, out: dict[str, Any]) -> None:
        found = dict(out.get(name, {}))
        found[key] = [*found.get(key, ()), value] if several else value
        out[name] = accept(found) if accept is not None else found

    return take


def _prefixed(name: str, size: int, accept: Convert | None) -> Callable[[str, str, dict[str, Any]], None]:
    def take(wire: str, value: str, out: dict[str, Any]) -> None:
        found = out.setdefault(name, {})
        found[wire[size:]] = value
        if accept is not None:
            out[name] = accept(found)

    return take


def _unwrapped(take: Take) -> Take:
    """content-encoding without the encoding of the transfer."""

    def read(value: str, out: dict[str, Any]) -> None:
        kept = ",".join(part for part in value.split(",") if part.strip().lower() != "aws-chunked").strip()
        if kept:
            take(kept, out)

    return read


def _items(value: str) -> list[str]:
    """A comma-separated header's items; a quoted one may hold commas."""
    items, position = [], 0
    while position < len(value):
        match = _HEADER_ITEM.match(value, position)
        if match is None or match.end() == position:
            break
        items.append(match[1].replace('\\"', '"').replace("\\\\", "\\") if match[1] is not None else match[2])
        position = match.end()
    return items


def _dates(value: str) -> list[str]:
    pieces = [piece.strip() for piece in value.split(",")]
    return [f"{pieces[i]}, {pieces[i + 1]}" for i in range(0, len(pieces) - 1, 2)]

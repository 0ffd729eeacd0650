"""REST-XML, S3's protocol: members in the path, the query string, headers and an XML body; requests.

Invariant: a streaming payload is never touched here. A query parameter or an x-amz- header that the operation does not know is
refused by name; wrong text in a header is InvalidArgument, in the body MalformedXML.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NoReturn

from windtunnel.kernel.errors import AwsError, not_built
from windtunnel.wire.members import MISSING, Node
from windtunnel.wire.models import OperationModel, Ref, Shape
from windtunnel.wire.protocols import text
from windtunnel.wire.protocols.base import RawRequest
from windtunnel.wire.protocols.xmltext import Element, NotXml, parse_xml

Convert = Callable[[Any], Any]
Reader = Callable[[RawRequest, dict[str, Any]], None]
_CONTAINERS = ("structure", "list", "map")
_SIGNING = re.compile(
    r"(?:(?i:x-amz-(?:algorithm|credential|date|expires|signedheaders|signature|security-token|content-sha256|user-agent))"
    r"|AWSAccessKeyId|Signature|Expires)\Z"
)
_HOISTED = ("content-type", "content-md5")  # S3's URLs of version 2 carry these two as parameters
# x-amz- headers that belong to the transfer, whichever the operation.
_TRANSFER = re.compile(r"x-amz-(?:date|content-sha256|security-token|decoded-content-length|trailer|user-agent|te|checksum-.*|sdk-.*)\Z")
_HEADER_ITEM = re.compile(r'\s*(?:"((?:[^"\\]|\\.)*)"|([^,]*?))\s*(?:,|\Z)')


def malformed_xml() -> NoReturn:
    raise AwsError("MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema", status=400)


def compile_reader(operation: OperationModel, tree: Node) -> Callable[[RawRequest], dict[str, Any]]:
    """request -> the input by the model's member names; undeclared members refused."""
    parts = _Parts(operation, tree)
    readers = parts.located()
    body = parts.body()
    check_unknown = parts.unknown()

    def read(request: RawRequest) -> dict[str, Any]:
        out: dict[str, Any] = {}
        check_unknown(request)
        for reader in readers:
            reader(request, out)
        if body is not None:
            body(request, out)
        return out

    return read


class _Parts:
    """Compiles the readers of one operation's input, by where each member is."""

    def __init__(self, operation: OperationModel, tree: Node) -> None:
        self.service = operation.service
        self.operation = operation
        self.shape = operation.input_shape
        self.tree = tree
        template_query = operation.http_uri.partition("?")[2]
        self.fixed_query = frozenset(pair.partition("=")[0] for pair in template_query.split("&")) if template_query else frozenset()

    def located(self) -> list[Reader]:
        readers = []
        for name, ref in self.shape.members.items():
            if ref.location in ("uri", "querystring", "header", "headers"):
                readers.append(self._located(name, ref, self.service.shape(ref.shape)))
        return readers

    def _located(self, name: str, ref: Ref, shape: Shape) -> Reader:
        wire = ref.location_name or name
        below = self.tree.child(name)
        refuse = _refusal(self.service.name, self.operation.name, name)
        if below is None:
            accept: Convert = refuse
        elif below.default is not MISSING:
            accept = _only(below.default, refuse)
        else:
            accept = _same
        if ref.location == "uri":
            return _uri(name, wire, self._convert(ref, shape, wire, "iso8601"), accept)
        if ref.location == "querystring":
            return self._querystring(name, ref, shape, wire, accept)
        if ref.location == "headers":
            return _prefixed(name, wire.lower(), accept)
        return _header(name, wire.lower(), self._header_convert(ref, shape, wire), accept)

    def _convert(self, ref: Ref, shape: Shape, wire: str, fmt: str) -> Callable[[str], Any]:
        def wrong(value: str, wanted: str) -> NoReturn:
            extra = {"ArgumentName": wire, "ArgumentValue": value[:256]}
            raise AwsError("InvalidArgument", f"Provided {wire} is not a valid {wanted}", status=400, extra=extra)

        return text.reader(ref, shape, fmt, wrong)

    def _header_convert(self, ref: Ref, shape: Shape, wire: str) -> Callable[[str], Any]:
        if shape.type != "list":
            return self._convert(ref, shape, wire, "rfc822")
        assert shape.member is not None
        element = self.service.shape(shape.member.shape)
        convert = self._convert(shape.member, element, wire, "rfc822")
        dates = element.type == "timestamp" and (element.timestamp_format or shape.member.timestamp_format) in (None, "rfc822")

        def read(value: str) -> list[Any]:
            return [convert(item) for item in (_dates(value) if dates else _header_items(value))]

        return read

    def _querystring(self, name: str, ref: Ref, shape: Shape, wire: str, accept: Convert) -> Reader:
        if shape.type == "map":
            assert shape.value is not None
            taken = frozenset(r.location_name or n for n, r in self.shape.members.items() if r.location == "querystring" and n != name)
            several = self.service.shape(shape.value.shape).type == "list"
            return _query_map(name, taken | self.fixed_query, several, accept)
        if shape.type == "list":
            assert shape.member is not None
            element = self.service.shape(shape.member.shape)
            return _query_list(name, wire, self._convert(shape.member, element, wire, "iso8601"), accept)
        return _query_one(name, wire, self._convert(ref, shape, wire, "iso8601"), accept)

    def body(self) -> Reader | None:
        """The reader of the XML body or the payload; None when there is none or when it streams."""
        operation, shape = self.operation, self.shape
        if shape.payload:
            if operation.streaming_input:
                return None
            return self._payload(shape.payload, shape.members[shape.payload])
        if all(ref.location for ref in shape.members.values()):
            return None
        xml = _XmlReader(operation).structure(shape, self.tree, "", body_only=True)

        def read(request: RawRequest, out: dict[str, Any]) -> None:
            if request.body:
                out.update(xml(_parse(request.body)))

        return read

    def _payload(self, name: str, ref: Ref) -> Reader:
        target = self.service.shape(ref.shape)
        below = self.tree.child(name)
        convert = _refusal(self.service.name, self.operation.name, name)
        if below is not None:
            xml = _XmlReader(self.operation)
            convert = _payload_convert(target.type, xml.member(ref, target, below, name) if target.type == "structure" else _same)

        def read(request: RawRequest, out: dict[str, Any]) -> None:
            if request.body:
                out[name] = convert(request.body)

        return read

    def unknown(self) -> Callable[[RawRequest], None]:
        """Refuses query parameters and x-amz- headers that are no members of this operation."""
        shape, service, operation = self.shape, self.service.name, self.operation.name
        refs = [(ref.location, (ref.location_name or name)) for name, ref in shape.members.items()]
        any_query = any(ref.location == "querystring" and self.service.shape(ref.shape).type == "map" for ref in shape.members.values())
        queries = self.fixed_query | {wire for location, wire in refs if location == "querystring"} | {"x-id"}
        headers = frozenset(wire.lower() for location, wire in refs if location == "header")
        prefixes = tuple(wire.lower() for location, wire in refs if location == "headers")

        def header_known(name: str) -> bool:
            return name in headers or bool(prefixes and name.startswith(prefixes)) or _TRANSFER.match(name) is not None

        def check(request: RawRequest) -> None:
            for name, _ in request.query:
                if name in queries or any_query or _SIGNING.match(name) or name in _HOISTED:
                    continue
                if name[:6].lower() == "x-amz-" and header_known(name.lower()):
                    continue
                raise not_built(service, operation, f"?{name[:256]}")
            for name in request.headers:
                if name.startswith("x-amz-") and not header_known(name):
                    raise not_built(service, operation, name[:256])

        return check


def _same(value: Any) -> Any:
    return value


def _only(default: Any, refuse: Convert) -> Convert:
    return lambda value: value if value == default else refuse(value)


def _refusal(service: str, operation: str, path: str) -> Convert:
    def refuse(_: Any) -> NoReturn:
        raise not_built(service, operation, path)

    return refuse


def _uri(name: str, wire: str, convert: Convert, accept: Convert) -> Reader:
    def read(request: RawRequest, out: dict[str, Any]) -> None:
        value = request.path_params.get(wire)
        if value is not None:
            out[name] = accept(convert(value))

    return read


def _header(name: str, wire: str, convert: Convert, accept: Convert) -> Reader:
    hoisted = wire.startswith("x-amz-") or wire in _HOISTED

    def read(request: RawRequest, out: dict[str, Any]) -> None:
        value = request.headers.get(wire)
        if value is None and hoisted and request.query:
            # A presigned URL carries x-amz- headers as query parameters.
            value = next((item for key, item in request.query if key.lower() == wire), None)
        if value is None:
            return
        if wire == "content-encoding":
            value = ",".join(part for part in value.split(",") if part.strip().lower() != "aws-chunked").strip()
            if not value:
                return
        out[name] = accept(convert(value))

    return read


def _prefixed(name: str, prefix: str, accept: Convert) -> Reader:
    size = len(prefix)

    def read(request: RawRequest, out: dict[str, Any]) -> None:
        found = {key[size:]: value for key, value in request.headers.items() if key.startswith(prefix)}
        if request.query and prefix.startswith("x-amz-"):
            found |= {key[size:].lower(): value for key, value in request.query if key[:size].lower() == prefix}
        if found:
            out[name] = accept(found)

    return read


def _query_one(name: str, wire: str, convert: Convert, accept: Convert) -> Reader:
    def read(request: RawRequest, out: dict[str, Any]) -> None:
        for key, value in request.query:
            if key == wire:
                out[name] = accept(convert(value))
                return

    return read


def _query_list(name: str, wire: str, convert: Convert, accept: Convert) -> Reader:
    def read(request: RawRequest, out: dict[str, Any]) -> None:
        found = [convert(value) for key, value in request.query if key == wire]
        if found:
            out[name] = accept(found)

    return read


def _query_map(name: str, taken: frozenset[str], several: bool, accept: Convert) -> Reader:
    def read(request: RawRequest, out: dict[str, Any]) -> None:
        found: dict[str, Any] = {}
        for key, value in request.query:
            if key in taken or _SIGNING.match(key):
                continue
            if several:
                found.setdefault(key, []).append(value)
            else:
                found[key] = value
        if found:
            out[name] = accept(found)

    return read


def _header_items(value: str) -> list[str]:
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


def _parse(body: bytes) -> Element:
    try:
        return parse_xml(body)
    except NotXml:
        malformed_xml()


def _payload_convert(kind: str, convert: Convert) -> Convert:
    if kind == "structure":
        return lambda body: convert(_parse(body))
    if kind == "blob":
        return _same

    def as_text(body: bytes) -> str:
        try:
            return body.decode("utf-8")
        except UnicodeDecodeError:
            malformed_xml()

    return as_text


def _wrong_xml(_: str, __: str) -> NoReturn:
    malformed_xml()


class _XmlReader:
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
            convert = _refusal(self.service.name, self.operation, where)
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
            return _refusal(self.service.name, self.operation, path + segment)
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

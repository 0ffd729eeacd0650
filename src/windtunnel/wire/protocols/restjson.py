"""REST-JSON: members in the path, the query string, headers and a JSON body, or a payload that is the body itself.

Invariant: a streaming payload is never touched here, neither way; what a body member is called on the wire is its jsonName.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

import msgspec

from windtunnel.wire.members import Node
from windtunnel.wire.models import OperationModel, Ref, Shape
from windtunnel.wire.protocols.base import Header, RawRequest, Response, UnknownResultMember, serialization
from windtunnel.wire.protocols.headings import compile_headings
from windtunnel.wire.protocols.jsonrpc import Convert, JsonReader, JsonWriter, parse_json, parse_object, refusal
from windtunnel.wire.protocols.located import compile_located

encode_json = msgspec.json.Encoder().encode
_JSON = (b"content-type", b"application/json")
_CONTENT_TYPES = {"blob": (b"content-type", b"application/octet-stream"), "string": (b"content-type", b"text/plain")}
NO_BODY = frozenset((204, 304))
"""Statuses whose answers have no body."""
TakeBody = Callable[[bytes, "dict[str, Any]"], None]
GiveBody = Callable[["dict[str, Any]"], "tuple[Header, bytes] | None"]


def compile_reader(operation: OperationModel, tree: Node) -> Callable[[RawRequest], dict[str, Any]]:
    """request -> the input by the model's member names, types checked, undeclared members refused."""
    located = compile_located(operation, tree, _wrong)
    body = _body_reader(operation, tree)

    def read(request: RawRequest) -> dict[str, Any]:
        out: dict[str, Any] = {}
        located(request, out)
        if body is not None and request.body:
            body(request.body, out)
        return out

    return read


def _wrong(wire: str, value: str, wanted: str) -> NoReturn:
    serialization(f"The value {value[:256]!r} of {wire} can not be converted to {wanted}.")


def _body_reader(operation: OperationModel, tree: Node) -> TakeBody | None:
    shape = operation.input_shape
    if shape.payload:
        return None if operation.streaming_input else _payload_reader(operation, shape, shape.payload, tree)
    structure = JsonReader(operation).structure(in_body(shape), tree, "")

    def read(body: bytes, out: dict[str, Any]) -> None:
        out.update(structure(parse_object(body)))

    return read


def _payload_reader(operation: OperationModel, shape: Shape, name: str, tree: Node) -> TakeBody:
    ref = shape.members[name]
    target = operation.service.shape(ref.shape)
    below = tree.child(name)
    convert: Convert = refusal(operation.service.name, operation.name, name)
    if below is not None:
        convert = _plain(target) or _json(JsonReader(operation).member(ref, below, name)[1])
    # A client that has nothing to say of a structure writes it empty; then it was left out, unless it must be there.
    optional = target.type == "structure" and not target.document and name not in shape.required

    def read(body: bytes, out: dict[str, Any]) -> None:
        value = convert(body)
        if value or not optional:
            out[name] = value

    return read


def _plain(target: Shape) -> Convert | None:
    """What reads a payload that is no JSON."""
    return None if target.document else _PLAIN.get(target.type)


def _json(convert: Convert) -> Convert:
    return lambda body: convert(parse_json(body))


def _text(body: bytes) -> str:
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        serialization("The request body is not valid UTF-8.")


_PLAIN: dict[str, Convert] = {"blob": bytes, "string": _text}


def in_body(shape: Shape) -> Shape:
    """The structure with the members that travel in the body only."""
    return msgspec.structs.replace(shape, members={name: ref for name, ref in shape.members.items() if ref.location is None})


# -- responses ----------------------------------------------------------------------------------------------------------------


def compile_encoder(operation: OperationModel, strict: bool) -> Callable[[dict[str, Any], str], Response]:
    """(result, request id) -> the response. strict: members or types that the output shape does not have raise."""
    shape = operation.output_shape
    headings = compile_headings(operation.service, shape, operation.name, strict)
    status_member = next((name for name, ref in shape.members.items() if ref.location == "statusCode"), None)
    body_of = _body_writer(operation, strict) if operation.output is not None else None
    status, known, name = operation.http_status, frozenset(shape.members), operation.name
    typed = next((member for member, ref in shape.members.items() if (ref.location_name or "").lower() == "content-type"), None)

    def encode(result: dict[str, Any], request_id: str) -> Response:
        headers: list[Header] = [(b"x-amzn-requestid", request_id.encode())]
        if strict and not known.issuperset(result):
            raise UnknownResultMember(f"{name}: {', '.join(sorted(result.keys() - known))}")
        for member, value in result.items():
            heading = headings.get(member)
            if heading is not None and value is not None:
                heading(value, headers)
        code = (result.get(status_member) if status_member else None) or status
        content = body_of(result) if body_of is not None and code not in NO_BODY else None
        if content is None:
            return code, headers, b""
        kind, body = content
        if typed is None or result.get(typed) is None:
            headers.append(kind)
        return code, headers, body

    return encode


def _body_writer(operation: OperationModel, strict: bool) -> GiveBody | None:
    shape = operation.output_shape
    writer = JsonWriter(operation.service, strict)
    if shape.payload:
        return _payload_writer(operation, writer, shape.payload, shape.members[shape.payload])
    body_shape = in_body(shape)
    names = frozenset(body_shape.members)
    structure = writer.structure(body_shape, operation.name)
    if len(names) == len(shape.members):
        return lambda result: (_JSON, encode_json(structure(result)))
    return lambda result: (_JSON, encode_json(structure({name: value for name, value in result.items() if name in names})))


def _payload_writer(operation: OperationModel, writer: JsonWriter, name: str, ref: Ref) -> GiveBody | None:
    target = operation.service.shape(ref.shape)
    kind = _CONTENT_TYPES.get(target.type) if not target.document else None
    if operation.streaming_output and kind is not None:
        streamed = (kind, b"")
        return lambda result: streamed
    if target.eventstream:
        return None
    if kind is not None:
        return _plain_writer(name, kind)
    convert = writer.value(ref, target, f"{operation.name}.{name}")

    def body(result: dict[str, Any]) -> tuple[Header, bytes] | None:
        value = result.get(name)
        return (_JSON, encode_json(convert(value))) if value is not None else None

    return body


def _plain_writer(name: str, kind: Header) -> GiveBody:
    def body(result: dict[str, Any]) -> tuple[Header, bytes] | None:
        value = result.get(name)
        if value is None:
            return None
        return kind, value.encode() if isinstance(value, str) else bytes(value)

    return body

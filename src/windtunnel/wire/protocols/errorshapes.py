"""Errors as their own shapes say: which name the message has, which members are headers, how nested ones are called.

Invariant: an error that no shape describes still has a code and a message. Used by the protocols whose clients read an error's members by the
model (rest-json, rpc-v2-cbor).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from windtunnel.kernel.errors import AwsError
from windtunnel.wire.models import ServiceModel, Shape
from windtunnel.wire.protocols.base import ErrorEncoder, Header, Response
from windtunnel.wire.protocols.errors import ErrorTable, header_text
from windtunnel.wire.protocols.headings import Heading, compile_headings
from windtunnel.wire.protocols.jsonrpc import Convert, JsonWriter
from windtunnel.wire.protocols.restjson import encode_json, in_body


class ErrorShape(NamedTuple):
    """message: what the message is called on the wire; body: the other members' writer; headings: those that are headers."""

    message: str
    body: Convert | None
    headings: Mapping[str, Heading]


PLAIN = ErrorShape("message", None, {})


def error_shapes(model: ServiceModel, writer: Callable[[ServiceModel], JsonWriter]) -> dict[str, ErrorShape]:
    """code -> its shape, for all that differ from a plain message."""
    found = {}
    for name, shape in model.error_shapes():
        own = _error_shape(model, name, shape, writer)
        if own != PLAIN:
            found[name] = own
            if shape.error and shape.error.code:
                found[shape.error.code] = own
    return found


def _error_shape(model: ServiceModel, name: str, shape: Shape, writer: Callable[[ServiceModel], JsonWriter]) -> ErrorShape:
    message = next((member for member in shape.members if member.lower() == "message"), None)
    wire = (shape.members[message].location_name or message) if message is not None else "message"
    body = in_body(shape)
    others = any(member != message for member in body.members)
    return ErrorShape(wire, writer(model).structure(body, name) if others else None, compile_headings(model, shape, name, False))


def error_fields(shape: ErrorShape, error: AwsError) -> dict[str, Any]:
    """What stands in the body: message and members, by their names on the wire; members that no shape has as they are."""
    extra = error.extra
    if shape.body is not None:
        fields: dict[str, Any] = shape.body(extra)
    else:
        fields = {name: value for name, value in extra.items() if name not in shape.headings}
    if error.message:
        fields[shape.message] = error.message
    return fields


def rest_json_errors(table: ErrorTable, model: ServiceModel) -> ErrorEncoder:
    """`x-amzn-errortype` and a JSON body, as Lambda and its like answer."""
    shapes = error_shapes(model, lambda service: JsonWriter(service, False))

    def encode(error: AwsError, request_id: str, head: bool) -> Response:
        shape = shapes.get(error.code, PLAIN)
        headers: list[Header] = [
            (b"x-amzn-requestid", request_id.encode()),
            (b"content-type", b"application/json"),
            (b"x-amzn-errortype", header_text(error.code)),
        ]
        for name, value in error.extra.items():
            heading = shape.headings.get(name)
            if heading is not None and value is not None:
                heading(value, headers)
        return table.status(error), headers, b"" if head else encode_json(error_fields(shape, error))

    return encode

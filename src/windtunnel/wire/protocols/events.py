"""Streams of events in an operation's output: each event a message, its members in headers and payload as the model says.

Invariant: what a stream says of itself first (the other output members, for protocols without headers of their own) comes before any event;
after an exception nothing comes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec

from windtunnel.kernel.errors import AwsError
from windtunnel.wire import cbor
from windtunnel.wire.eventstream import Headers, encode
from windtunnel.wire.models import OperationModel, Ref, Shape
from windtunnel.wire.protocols.base import UnknownResultMember
from windtunnel.wire.protocols.jsonrpc import JsonWriter
from windtunnel.wire.protocols.rpccbor import CborWriter
from windtunnel.wire.protocols.xmlwriter import XmlWriter

Payload = Callable[[Any], bytes]
_encode_json = msgspec.json.Encoder().encode


class EventEncoder(NamedTuple):
    """member: the output's; initial: the message before all events (the other members -> bytes), None for REST protocols."""

    member: str
    initial: Callable[[Mapping[str, Any]], bytes] | None
    event: Callable[[Mapping[str, Any]], bytes]
    error: Callable[[AwsError], bytes]


class _Format(NamedTuple):
    """How a protocol writes a structure into a payload."""

    content_type: str
    structure: Callable[[Ref, Shape, str], Payload]


def compile_event_encoder(operation: OperationModel, protocol: str, strict: bool) -> EventEncoder | None:
    """None for an operation without a stream of events."""
    member = operation.event_output
    if member is None:
        return None
    form = _format(operation, protocol, strict)
    union = operation.service.shape(operation.output_shape.members[member].shape)
    writers = {name: _event(operation, form, name, ref, strict) for name, ref in union.members.items()}
    by_code = {ref.shape: name for name, ref in union.members.items()}

    def event(value: Mapping[str, Any]) -> bytes:
        ((name, item),) = value.items()
        if name not in writers:
            raise UnknownResultMember(f"{operation_name}.{member}.{name}")
        return writers[name](item)

    def error(failed: AwsError) -> bytes:
        name = by_code.get(failed.code)
        if name is not None:
            return writers[name]({"message": failed.message, **failed.extra})
        return encode({":message-type": "error", ":error-code": failed.code, ":error-message": failed.message}, b"")

    operation_name = operation.name
    return EventEncoder(member, _initial(operation, form, member) if not protocol.startswith("rest-") else None, event, error)


def _format(operation: OperationModel, protocol: str, strict: bool) -> _Format:
    if protocol == "rest-xml":
        xml = XmlWriter(operation, strict, millis=operation.service.name == "s3")

        def in_xml(ref: Ref, shape: Shape, where: str) -> Payload:
            write = xml.element(shape.location_name or ref.shape, Ref(shape=ref.shape), where)

            def body(value: Any) -> bytes:
                out: list[str] = []
                write(value, out)
                return "".join(out).encode()

            return body

        return _Format("text/xml", in_xml)
    in_cbor = protocol == "smithy-rpc-v2-cbor"
    writer = (CborWriter if in_cbor else JsonWriter)(operation.service, strict)
    written = cbor.encode if in_cbor else _encode_json

    def structure(_: Ref, shape: Shape, where: str) -> Payload:
        convert = writer.structure(shape, where)
        return lambda value: written(convert(value))

    return _Format("application/cbor" if in_cbor else "application/json", structure)


def _initial(operation: OperationModel, form: _Format, member: str) -> Callable[[Mapping[str, Any]], bytes]:
    shape = operation.output_shape
    others = msgspec.structs.replace(shape, members={name: ref for name, ref in shape.members.items() if name != member})
    body = form.structure(Ref(shape=""), others, operation.name)
    headers: Headers = {":event-type": "initial-response", ":content-type": form.content_type, ":message-type": "event"}
    return lambda result: encode(headers, body(result))


def _event(operation: OperationModel, form: _Format, name: str, ref: Ref, strict: bool) -> Callable[[Mapping[str, Any]], bytes]:
    shape = operation.service.shape(ref.shape)
    where = f"{operation.name}.{name}"
    in_headers = {member: operation.service.shape(at.shape).type for member, at in shape.members.items() if at.event_header}
    kind, content_type, payload = _payload(operation, form, ref, shape, where)
    head: Headers = (
        {":message-type": "exception", ":exception-type": name} if shape.exception else {":message-type": "event", ":event-type": name}
    )

    def write(value: Mapping[str, Any]) -> bytes:
        if strict and not shape_members.issuperset(value):
            raise UnknownResultMember(f"{where}: {', '.join(sorted(value.keys() - shape_members))}")
        headers = dict(head)
        if content_type:
            headers[":content-type"] = content_type
        for member, type_ in in_headers.items():
            if value.get(member) is not None:
                headers[member] = datetime.fromtimestamp(value[member], UTC) if type_ == "timestamp" else value[member]
        if kind is not None:
            return encode(headers, payload(value[kind]) if value.get(kind) is not None else b"")
        return encode(headers, payload({member: item for member, item in value.items() if member not in in_headers}))

    shape_members = frozenset(shape.members)
    return write


def _payload(operation: OperationModel, form: _Format, ref: Ref, shape: Shape, where: str) -> tuple[str | None, str, Payload]:
    """(the member that is the payload, None when all that are no headers are in it; its content type; its writer)"""
    for member, at in shape.members.items():
        if at.event_payload:
            target = operation.service.shape(at.shape)
            if target.type == "blob":
                return member, "application/octet-stream", bytes
            if target.type == "string":
                return member, "text/plain", str.encode
            return member, form.content_type, form.structure(at, target, f"{where}.{member}")
    inside = {member: at for member, at in shape.members.items() if not at.event_header}
    if not inside:
        return None, "", lambda _: b""
    return None, form.content_type, form.structure(ref, msgspec.structs.replace(shape, members=inside), where)

"""REST-XML, S3's protocol: members in the path, the query string, headers and an XML body; requests.

Invariant: a streaming payload is never touched here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from windtunnel.wire.members import Node
from windtunnel.wire.models import OperationModel, Ref
from windtunnel.wire.protocols.base import RawRequest
from windtunnel.wire.protocols.located import compile_located
from windtunnel.wire.protocols.xmlreader import Convert, XmlReader, malformed_xml, parse_body, refusal


def compile_reader(operation: OperationModel, tree: Node) -> Callable[[RawRequest], dict[str, Any]]:
    """request -> the input by the model's member names; undeclared members refused."""
    located = compile_located(operation, tree)
    body = _body(operation, tree)

    def read(request: RawRequest) -> dict[str, Any]:
        out: dict[str, Any] = {}
        located(request, out)
        if body is not None and request.body:
            body(request.body, out)
        return out

    return read


def _body(operation: OperationModel, tree: Node) -> Callable[[bytes, dict[str, Any]], None] | None:
    """The reader of the XML body or the payload; None when there is none or when it streams."""
    shape = operation.input_shape
    if shape.payload:
        return None if operation.streaming_input else _payload(operation, shape.payload, shape.members[shape.payload], tree)
    if all(ref.location for ref in shape.members.values()):
        return None
    xml = XmlReader(operation).structure(shape, tree, "", body_only=True)

    def read(body: bytes, out: dict[str, Any]) -> None:
        out.update(xml(parse_body(body)))

    return read


def _payload(operation: OperationModel, name: str, ref: Ref, tree: Node) -> Callable[[bytes, dict[str, Any]], None]:
    target = operation.service.shape(ref.shape)
    below = tree.child(name)
    convert = refusal(operation.service.name, operation.name, name)
    if below is not None:
        convert = _PLAIN.get(target.type) or _element(XmlReader(operation).member(ref, target, below, name))

    def read(body: bytes, out: dict[str, Any]) -> None:
        out[name] = convert(body)

    return read


def _element(convert: Convert) -> Convert:
    return lambda body: convert(parse_body(body))


def _text(body: bytes) -> str:
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        malformed_xml()


_PLAIN: dict[str, Convert] = {"blob": bytes, "string": _text}

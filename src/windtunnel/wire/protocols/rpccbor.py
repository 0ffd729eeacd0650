"""Smithy's RPC v2 over CBOR (`smithy-rpc-v2-cbor`), CloudWatch's newest protocol: one map in, one map out.

Invariant: as for JSON, whose closures along the shapes serve here too; only scalars differ: bytes are bytes, instants are tagged, floats have every value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from windtunnel.kernel.errors import AwsError
from windtunnel.wire import cbor
from windtunnel.wire.cbor import Instant
from windtunnel.wire.members import Node
from windtunnel.wire.models import OperationModel, Ref, ServiceModel, Shape
from windtunnel.wire.protocols.base import MAX_DEPTH, ErrorEncoder, Header, RawRequest, Response, serialization
from windtunnel.wire.protocols.errors import ErrorTable, query_error
from windtunnel.wire.protocols.errorshapes import PLAIN, error_fields, error_shapes
from windtunnel.wire.protocols.jsonrpc import Convert, JsonReader, JsonWriter, checked, scalar, wrong_type
from windtunnel.wire.protocols.text import PYTHON_TYPES

_PROTOCOL = (b"smithy-protocol", b"rpc-v2-cbor")
_CONTENT_TYPE = (b"content-type", b"application/cbor")
_FURTHEST = 1e12
"""Seconds before and after 1970 that an instant may be away."""


class CborReader(JsonReader):
    exact: Mapping[str, type] = {"string": str, "character": str, "boolean": bool, "blob": bytes}

    def scalar(self, ref: Ref, shape: Shape) -> Convert:
        return _SCALARS.get(shape.type) or scalar(ref, shape)


def _floating(value: Any) -> float:
    if type(value) not in (float, int):
        wrong_type(value, "a Double")
    return float(value)


def _instant(value: Any) -> float:
    if type(value) is not Instant or not -_FURTHEST < value < _FURTHEST:
        wrong_type(value, "milliseconds since epoch")
    return float(value)


def _strict(kind: type, wanted: str) -> Convert:
    def read(value: Any) -> Any:
        if type(value) is not kind:
            wrong_type(value, wanted)
        return value

    return read


_SCALARS: dict[str, Convert] = {
    "float": _floating,
    "double": _floating,
    "timestamp": _instant,
    "blob": _strict(bytes, "a Blob"),
    "boolean": _strict(bool, "a Boolean"),
}


def compile_reader(operation: OperationModel, tree: Node) -> Callable[[RawRequest], dict[str, Any]]:
    """request -> the input by the model's member names, types checked, undeclared members refused."""
    structure = CborReader(operation).structure(operation.input_shape, tree, "")

    def read(request: RawRequest) -> dict[str, Any]:
        if not request.body:
            return {}
        try:
            document = cbor.decode(request.body, MAX_DEPTH)
        except ValueError:
            serialization()
        value: dict[str, Any] = structure(document)
        return value

    return read


class CborWriter(JsonWriter):
    def scalar(self, ref: Ref, shape: Shape, where: str) -> Convert:
        convert = _WRITTEN.get(shape.type)
        if convert is None:
            return super().scalar(ref, shape, where)
        return checked(convert, PYTHON_TYPES[shape.type], where) if self.strict else convert


_WRITTEN: dict[str, Convert] = {
    "timestamp": lambda value: Instant(value.timestamp() if isinstance(value, datetime) else value),
    "blob": lambda value: value.encode() if isinstance(value, str) else bytes(value),
    "float": float,
    "double": float,
}


def compile_encoder(operation: OperationModel, strict: bool) -> Callable[[dict[str, Any], str], Response]:
    """(result, request id) -> the response; without a body when the operation has no output."""
    convert = CborWriter(operation.service, strict).structure(operation.output_shape, operation.name)
    status, has_output = operation.http_status, operation.output is not None

    def encode(result: dict[str, Any], request_id: str) -> Response:
        headers: list[Header] = [(b"x-amzn-requestid", request_id.encode()), _PROTOCOL]
        if not has_output and not result:
            return status, headers, b""
        return status, [*headers, _CONTENT_TYPE], cbor.encode(convert(result))

    return encode


def cbor_errors(table: ErrorTable, model: ServiceModel) -> ErrorEncoder:
    shapes = error_shapes(model, lambda service: CborWriter(service, False))

    def encode(error: AwsError, request_id: str, head: bool) -> Response:
        status = table.status(error)
        fields = {"__type": table.shape_name(error.code), **error_fields(shapes.get(error.code, PLAIN), error)}
        headers: list[Header] = [(b"x-amzn-requestid", request_id.encode()), _PROTOCOL, _CONTENT_TYPE]
        if table.query_compatible:
            headers.append(query_error(table, error.code, status))
        return status, headers, b"" if head else cbor.encode(_plain(fields))

    return encode


def _plain(value: Any) -> Any:
    """What no shape describes, as text."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value if isinstance(value, str | int | float | bytes | bool | None) else str(value)

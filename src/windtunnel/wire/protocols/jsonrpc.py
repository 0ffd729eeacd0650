"""AWS JSON 1.0 and 1.1: one JSON object in, one out.

Invariant: a decoder returns only values of the model's types; wrong types fail in AWS's words before any constraint is looked at.
Nulls count as absent, as on AWS.
"""

from __future__ import annotations

import binascii
import math
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NoReturn

import msgspec

from windtunnel.kernel.errors import not_built
from windtunnel.wire.members import MISSING, Node
from windtunnel.wire.models import OperationModel, Ref, ServiceModel, Shape
from windtunnel.wire.protocols import timestamps
from windtunnel.wire.protocols.base import MAX_DEPTH, RawRequest, Response, UnknownResultMember, serialization

Convert = Callable[[Any], Any]
_decode_json = msgspec.json.Decoder().decode
_encode_json = msgspec.json.Encoder().encode
_INTEGER_LIMITS = {"integer": (-(1 << 31), (1 << 31) - 1), "long": (-(1 << 63), (1 << 63) - 1)}
_WORDS = {"true": True, "false": False}
_FLOAT_WORDS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def compile_reader(operation: OperationModel, tree: Node) -> Callable[[RawRequest], dict[str, Any]]:
    """request -> the input by the model's member names, types checked, undeclared members refused."""
    if operation.input is None:
        structure = JsonReader(operation).structure(Shape(type="structure"), tree, "")
    else:
        structure = JsonReader(operation).structure(operation.input_shape, tree, "")

    def read(request: RawRequest) -> dict[str, Any]:
        body = request.body
        if not body:
            return {}
        value: dict[str, Any] = structure(parse_object(body))
        return value

    return read


def parse_object(body: bytes) -> dict[str, Any]:
    """The JSON object that a body is; whatever else it is is a SerializationException."""
    document = parse_json(body)
    if type(document) is not dict:
        if type(document) is list:
            serialization("Start of list found where not expected")
        serialization()
    return document


def parse_json(body: bytes) -> Any:
    try:
        document = _decode_json(body)
        if body.count(b"[") + body.count(b"{") > MAX_DEPTH:
            check_depth(document)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        serialization()
    return document


def check_depth(document: Any) -> None:
    level: list[Any] = [document]
    for _ in range(MAX_DEPTH):
        below: list[Any] = []
        for item in level:
            if type(item) is dict:
                below.extend(item.values())
            elif type(item) is list:
                below.extend(item)
        if not below:
            return
        level = below
    if any(type(item) in (dict, list) for item in level):
        serialization()


class JsonReader:
    """Compiles the closures of one operation's input. exact: the types that pass as they are; scalar: what reads the others."""

    exact: Mapping[str, type] = {"string": str, "character": str, "boolean": bool}

    def __init__(self, operation: OperationModel) -> None:
        self.service = operation.service
        self.operation = operation.name
        self._whole: dict[str, list[Convert]] = {}

    def structure(self, shape: Shape, node: Node, path: str) -> Convert:
        members: dict[str, tuple[str, type | None, Convert]] = {}
        for name, ref in shape.members.items():
            below = node.child(name)
            if below is not None:
                wire = ref.location_name or name
                where = f"{path}.{name}" if path else name
                members[wire] = (name, *self.member(ref, below, where))
        refuse = self._refuser(shape, path)
        union = shape.union

        def read(value: Any) -> dict[str, Any]:
            if type(value) is not dict:
                wrong_type(value, "structure")
            out: dict[str, Any] = {}
            for key, item in value.items():
                if item is None:
                    continue
                member = members.get(key)
                if member is None:
                    if union and key == "__type":  # some clients name the type of what they send
                        continue
                    refuse(key)
                name, exact, convert = member
                out[name] = item if type(item) is exact else convert(item)
            if union and len(out) != 1:
                serialization("Unions must have exactly one member set.")
            return out

        return read

    def _refuser(self, shape: Shape, path: str) -> Callable[[str], NoReturn]:
        service, operation = self.service.name, self.operation
        names = {ref.location_name or name: name for name, ref in shape.members.items()}

        def refuse(key: str) -> NoReturn:
            name = names.get(key, key)[:256]
            raise not_built(service, operation, f"{path}.{name}" if path else name)

        return refuse

    def member(self, ref: Ref, node: Node, path: str) -> tuple[type | None, Convert]:
        """(a type that passes as it is, the conversion of everything else)"""
        if node.default is not MISSING:
            return None, self._default_only(ref, node, path)
        shape = self.service.shape(ref.shape)
        convert = self.value(ref, shape, node, path)
        return self.exact.get(shape.type), convert

    def scalar(self, ref: Ref, shape: Shape) -> Convert:
        return scalar(ref, shape)

    def _default_only(self, ref: Ref, node: Node, path: str) -> Convert:
        everything = Node()
        everything.everything = True
        convert = self.value(ref, self.service.shape(ref.shape), everything, path)
        service, operation, default = self.service.name, self.operation, node.default

        def read(item: Any) -> Any:
            value = convert(item)
            if value != default:
                raise not_built(service, operation, path)
            return value

        return read

    def value(self, ref: Ref, shape: Shape, node: Node, path: str) -> Convert:
        if shape.type not in ("structure", "list", "map") or shape.document:
            return self.scalar(ref, shape)
        if not node.everything:
            return self._container(shape, node, path)
        cell = self._whole.get(ref.shape)
        if cell is None:
            cell = self._whole[ref.shape] = []
            cell.append(self._container(shape, node, path))
        if cell:
            return cell[0]
        return lambda item: cell[0](item)  # a recursive shape: its closure is not there yet

    def _container(self, shape: Shape, node: Node, path: str) -> Convert:
        if shape.type == "structure":
            return self.structure(shape, node, path)
        if shape.type == "list":
            return self._list(shape, node, path)
        return self._map(shape, node, path)

    def _element(self, ref: Ref, node: Node, segment: str, path: str) -> tuple[type | None, Convert]:
        shape = self.service.shape(ref.shape)
        container = shape.type in ("structure", "list", "map") and not shape.document
        below = node.child(segment)
        if below is None and not container and node.covers_scalars(segment):
            below = node
        if below is None:
            return None, refusal(self.service.name, self.operation, path + segment)
        return self.member(ref, below, path + segment)

    def _list(self, shape: Shape, node: Node, path: str) -> Convert:
        assert shape.member is not None
        exact, convert = self._element(shape.member, node, "[]", path)
        sparse = shape.sparse

        def read(value: Any) -> list[Any]:
            if type(value) is not list:
                wrong_type(value, "list")
            out = []
            for item in value:
                if item is None and not sparse:
                    serialization("Null elements are not allowed in this list.")
                out.append(item if type(item) is exact or item is None else convert(item))
            return out

        return read

    def _map(self, shape: Shape, node: Node, path: str) -> Convert:
        assert shape.value is not None
        exact, convert = self._element(shape.value, node, "{}", path)
        sparse = shape.sparse

        def read(value: Any) -> dict[str, Any]:
            if type(value) is not dict:
                wrong_type(value, "map")
            out = {}
            for key, item in value.items():
                if item is None and not sparse:
                    serialization("Null values are not allowed in this map.")
                out[key] = item if type(item) is exact or item is None else convert(item)
            return out

        return read


def refusal(service: str, operation: str, path: str) -> Convert:
    """A closure that refuses whatever arrives there."""

    def refuse(_: Any) -> NoReturn:
        raise not_built(service, operation, path)

    return refuse


def scalar(ref: Ref, shape: Shape) -> Convert:
    """The reader of one scalar JSON value."""
    kind = shape.type
    if shape.document:
        return lambda value: value
    if kind in _INTEGER_LIMITS:
        return _integer(kind)
    if kind in ("float", "double"):
        return _floating
    if kind == "boolean":
        return _boolean
    if kind == "timestamp":
        return _timestamp(timestamps.canonical_format(ref.timestamp_format or shape.timestamp_format or "unixTimestamp"))
    return _blob if kind == "blob" else _string


_TOKENS = {"string": "STRING_VALUE", True: "TRUE_VALUE", False: "FALSE_VALUE", "number": "NUMBER_VALUE"}


def wrong_type(value: Any, wanted: str) -> NoReturn:
    """SerializationException in AWS's words for a JSON value of another type."""
    if type(value) is list:
        serialization("Start of list found where not expected")
    if type(value) is dict:
        serialization("Start of structure or map found where not expected.")
    if wanted in ("list", "map"):
        serialization(f"Expected {wanted} or null")
    if wanted == "structure":
        serialization("Expected null")
    token = _TOKENS[value] if type(value) is bool else _TOKENS["string" if type(value) is str else "number"]
    serialization(f"{token} can not be converted to {wanted}")


def _string(value: Any) -> str:
    if type(value) is not str:
        wrong_type(value, "a String")
    return value


def _boolean(value: Any) -> bool:
    if type(value) is bool:
        return value
    if type(value) is str and value.lower() in _WORDS:
        return _WORDS[value.lower()]
    wrong_type(value, "a Boolean")


def _integer(kind: str) -> Convert:
    low, high = _INTEGER_LIMITS[kind]
    wanted = "an Integer" if kind == "integer" else "a Long"

    def read(value: Any) -> int:
        if type(value) is float and value.is_integer():
            value = int(value)
        if type(value) is not int or not low <= value <= high:
            wrong_type(value, wanted)
        return value

    return read


def _floating(value: Any) -> float:
    if type(value) is float:
        return value
    if type(value) is int:
        return float(value) if -(1 << 1000) < value < 1 << 1000 else math.inf
    if type(value) is str and value in _FLOAT_WORDS:
        return _FLOAT_WORDS[value]
    wrong_type(value, "a Double")


def _timestamp(fmt: str) -> Convert:
    def read(value: Any) -> float:
        if type(value) is float or type(value) is int:
            if not -1e14 < value < 1e14:
                serialization("NUMBER_VALUE can not be converted to milliseconds since epoch")
            return float(value)
        if type(value) is str and fmt != "unixTimestamp":
            instant = timestamps.parse(value, fmt)
            if instant is not None:
                return instant
        wrong_type(value, "milliseconds since epoch")

    return read


def _blob(value: Any) -> bytes:
    if type(value) is not str:
        wrong_type(value, "a Blob")
    try:
        return binascii.a2b_base64(value.encode("ascii", "replace"), strict_mode=True)
    except binascii.Error:
        if len(value) % 4:
            reason = f"Base64 encoded length is expected a multiple of 4 bytes but found: {len(value)}"
        else:
            reason = "Invalid Base64 character"
        serialization(f"STRING_VALUE can not be converted to a Blob: {reason}")


def compile_encoder(operation: OperationModel, strict: bool) -> Callable[[dict[str, Any], str], Response]:
    """(result, request id) -> the response. strict: raise UnknownResultMember on what the output shape does not know."""
    status = operation.http_status
    content_type = (b"content-type", f"application/x-amz-json-{operation.service.json_version}".encode())
    convert = JsonWriter(operation.service, strict).structure(operation.output_shape, operation.name)
    has_output = operation.output is not None

    def encode(result: dict[str, Any], request_id: str) -> Response:
        body = _encode_json(convert(result)) if has_output or result else b""
        return status, [(b"x-amzn-requestid", request_id.encode()), content_type], body

    return encode


def compile_query_encoder(operation: OperationModel, strict: bool) -> Callable[[dict[str, Any], str], Response]:
    """The query protocol's answer as JSON: `{"OpResponse": {"OpResult": {…}, "ResponseMetadata": {"RequestId": …}}}`."""
    status, outer = operation.http_status, f"{operation.name}Response"
    wrapper = (operation.output_ref.result_wrapper or f"{operation.name}Result") if operation.output_ref else ""
    convert = JsonWriter(operation.service, strict).structure(operation.output_shape, operation.name)

    def encode(result: dict[str, Any], request_id: str) -> Response:
        inner = {wrapper: convert(result)} if wrapper else {}
        body = _encode_json({outer: {**inner, "ResponseMetadata": {"RequestId": request_id}}})
        return status, [(b"x-amzn-requestid", request_id.encode()), (b"content-type", b"application/json")], body

    return encode


_EXACT: dict[str, type] = {"string": str, "character": str, "boolean": bool, "integer": int, "long": int}


class JsonWriter:
    """Compiles the closures of one operation's output; they keep no hold on the model."""

    def __init__(self, service: ServiceModel, strict: bool) -> None:
        self.service = service
        self.strict = strict
        self._done: dict[str, list[Convert]] = {}

    def structure(self, shape: Shape, where: str) -> Convert:
        members = {name: (ref.location_name or name, *self.member(ref, f"{where}.{name}")) for name, ref in shape.members.items()}
        strict = self.strict

        def write(value: Any) -> dict[str, Any]:
            out = {}
            for key, item in value.items():
                if item is None:
                    continue
                member = members.get(key)
                if member is None:
                    if strict:
                        raise UnknownResultMember(f"{where}.{key}")
                    continue
                wire, exact, convert = member
                out[wire] = item if type(item) is exact else convert(item)
            return out

        return checked(write, dict, where) if strict else write

    def member(self, ref: Ref, where: str) -> tuple[type | None, Convert]:
        shape = self.service.shape(ref.shape)
        return _EXACT.get(shape.type), self.value(ref, shape, where)

    def value(self, ref: Ref, shape: Shape, where: str) -> Convert:
        if shape.document:
            return lambda value: value
        if shape.type not in ("structure", "list", "map"):
            return self.scalar(ref, shape, where)
        cell = self._done.get(ref.shape)
        if cell is None:
            cell = self._done[ref.shape] = []
            cell.append(self._container(shape, where))
        return cell[0] if cell else lambda item: cell[0](item)

    def _container(self, shape: Shape, where: str) -> Convert:
        if shape.type == "structure":
            return self.structure(shape, where)
        element = shape.member if shape.type == "list" else shape.value
        assert element is not None
        exact, convert = self.member(element, where)
        if shape.type == "list":
            listed: Convert = lambda value: [item if type(item) is exact or item is None else convert(item) for item in value]  # noqa: E731
            return checked(listed, (list, tuple), where) if self.strict else listed
        mapped: Convert = lambda value: {key: item if type(item) is exact or item is None else convert(item) for key, item in value.items()}  # noqa: E731
        return checked(mapped, dict, where) if self.strict else mapped

    def scalar(self, ref: Ref, shape: Shape, where: str) -> Convert:
        kind = shape.type
        if kind == "timestamp":
            return _timestamp_writer(timestamps.canonical_format(ref.timestamp_format or shape.timestamp_format or "unixTimestamp"))
        if kind == "blob":
            return _write_blob
        if kind in ("float", "double"):
            return _write_float
        return checked(lambda value: value, _EXACT.get(kind, object), where) if self.strict else lambda value: value


def checked(convert: Convert, wanted: type | tuple[type, ...], where: str) -> Convert:
    def write(value: Any) -> Any:
        if not isinstance(value, wanted):
            raise UnknownResultMember(f"{where} is {type(value).__name__}")
        return convert(value)

    return write


def _timestamp_writer(fmt: str) -> Convert:
    def write(value: float | datetime) -> Any:
        seconds = value.timestamp() if isinstance(value, datetime) else value
        return seconds if fmt == "unixTimestamp" else timestamps.render(seconds, fmt)

    return write


def _write_blob(value: bytes | str) -> str:
    data = value.encode() if isinstance(value, str) else value
    return binascii.b2a_base64(data, newline=False).decode("ascii")


def _write_float(value: float) -> Any:
    if value != value or value in (math.inf, -math.inf):
        return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"
    return value

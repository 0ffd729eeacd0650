"""The AWS service models, read straight from botocore's files: the clients' own truth about every shape and operation.

Invariant: nothing here imports botocore, and a model is only as large as what was asked of it. The file is split into undecoded
JSON fragments; an operation or a shape is decoded when it is first looked at. Whoever compiles closures from a model lets go of
it afterwards (`load_service` keeps weak references only), so that an idle server holds no models.
"""

from __future__ import annotations

import gzip
import html
import importlib.util
import re
import zlib
from collections.abc import Iterator
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import msgspec

from windtunnel.kernel.typed import convert, from_json

OWN_MODELS = Path(__file__).with_name("own_models")
_METADATA_HEAD = 8192  # bytes of inflated text in which every model's metadata ends


class UnknownService(LookupError):
    """Neither botocore nor our own models describe this service."""


class Ref(msgspec.Struct, rename="camel", gc=False):
    """A use of a shape: a member of a structure, the element of a list, an operation's input or output."""

    shape: str
    location: str | None = None
    location_name: str | None = None
    query_name: str | None = None
    flattened: bool = False
    streaming: bool = False
    xml_attribute: bool = False
    jsonvalue: bool = False
    event_payload: bool = msgspec.field(name="eventpayload", default=False)
    event_header: bool = msgspec.field(name="eventheader", default=False)
    host_label: bool = False
    idempotency_token: bool = False
    timestamp_format: str | None = None
    xml_namespace: dict[str, str] | str | None = None
    result_wrapper: str | None = None


class ErrorTrait(msgspec.Struct, rename="camel", gc=False):
    """How an error shape appears on the wire."""

    http_status_code: int | None = None
    sender_fault: bool | None = None
    code: str | None = None


class Shape(msgspec.Struct, rename="camel"):
    """One shape of a model; documentation is left in the file."""

    type: str
    members: dict[str, Ref] = {}
    required: list[str] = []
    member: Ref | None = None
    key: Ref | None = None
    value: Ref | None = None
    enum: list[str] | None = None
    min: int | float | None = None
    max: int | float | None = None
    pattern: str | None = None
    flattened: bool = False
    payload: str | None = None
    streaming: bool = False
    eventstream: bool = False
    event: bool = False
    union: bool = False
    document: bool = False
    sparse: bool = False
    exception: bool = False
    fault: bool = False
    sensitive: bool = False
    location_name: str | None = None
    timestamp_format: str | None = None
    xml_namespace: dict[str, str] | str | None = None
    xml_order: list[str] | None = None
    error: ErrorTrait | None = None


class Http(msgspec.Struct, rename="camel", frozen=True):
    method: str = "POST"
    request_uri: str = "/"
    response_code: int = 200


class _ErrorRef(msgspec.Struct, gc=False):
    shape: str


class _Operation(msgspec.Struct, rename="camel"):
    name: str
    http: Http = Http()
    input: Ref | None = None
    output: Ref | None = None
    errors: list[_ErrorRef] = []
    authtype: str | None = None
    http_checksum: dict[str, Any] = {}
    http_checksum_required: bool = False


class OperationModel:
    """One operation: where it lives on HTTP, its input and output shapes, which of their members stream."""

    def __init__(self, service: ServiceModel, doc: _Operation) -> None:
        self.service = service
        self.name = doc.name
        self.http_method = doc.http.method
        self.http_uri = doc.http.request_uri
        self.http_status = doc.http.response_code
        self.input_ref = doc.input
        self.output_ref = doc.output
        self.input = doc.input.shape if doc.input else None
        self.output = doc.output.shape if doc.output else None
        self.errors = tuple(e.shape for e in doc.errors)
        self.unsigned = doc.authtype == "none"
        self.http_checksum = doc.http_checksum
        self.http_checksum_required = doc.http_checksum_required

    @cached_property
    def input_shape(self) -> Shape:
        return self.service.shape(self.input) if self.input else Shape(type="structure")

    @cached_property
    def output_shape(self) -> Shape:
        return self.service.shape(self.output) if self.output else Shape(type="structure")

    @cached_property
    def streaming_input(self) -> str | None:
        """The input member whose bytes are the request body itself, if there is one."""
        return self._streaming(self.input_shape)

    @cached_property
    def streaming_output(self) -> str | None:
        """The output member whose bytes are the response body itself, if there is one."""
        return self._streaming(self.output_shape)

    @cached_property
    def event_output(self) -> str | None:
        """The output member that is a stream of events, if there is one."""
        return self._events(self.output_shape)

    @cached_property
    def event_input(self) -> str | None:
        """The input member that is a stream of events, if there is one."""
        return self._events(self.input_shape)

    def _events(self, shape: Shape) -> str | None:
        return next((name for name, ref in shape.members.items() if self.service.shape(ref.shape).eventstream), None)

    def _streaming(self, shape: Shape) -> str | None:
        if shape.payload is None:
            return None
        ref = shape.members[shape.payload]
        target = self.service.shape(ref.shape)
        return shape.payload if target.type == "blob" and (ref.streaming or target.streaming) else None


class _Documented(msgspec.Struct, gc=False):
    documentation: str = ""


_MARKUP = re.compile(r"<[^>]*>")


class _File(msgspec.Struct):
    metadata: dict[str, Any]
    operations: dict[str, msgspec.Raw] = {}
    shapes: dict[str, msgspec.Raw] = {}


class Metadata(msgspec.Struct, rename="camel", gc=False):
    """The head of a model: what routing and signing need, readable without the rest of the file."""

    api_version: str = ""
    endpoint_prefix: str = ""
    signing_name: str = ""
    protocol: str = ""
    protocols: list[str] = []
    json_version: str = "1.0"
    target_prefix: str = ""
    xml_namespace: dict[str, str] | str | None = None
    service_id: str = ""
    aws_query_compatible: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        self.signing_name = self.signing_name or self.endpoint_prefix
        self.protocols = self.protocols or [self.protocol]


_ERROR_MARKS = (b'"exception":true', b'"exception": true', b'"error":{', b'"error": {')


class ServiceModel:
    """One service's model under botocore's directory name (`codedeploy`, `ec2`, `stepfunctions`, …)."""

    def __init__(self, name: str, text: bytes) -> None:
        file = from_json(text, _File)
        meta = convert(file.metadata, Metadata)
        self.name = name
        self.metadata = meta
        self.service_id = meta.service_id
        self.endpoint_prefix = meta.endpoint_prefix
        self.signing_name = meta.signing_name
        self.protocols = tuple(meta.protocols)
        self.json_version = meta.json_version
        self.target_prefix = meta.target_prefix
        self.api_version = meta.api_version
        self.xml_namespace = namespace_uri(meta.xml_namespace)
        self.query_compatible = meta.aws_query_compatible is not None
        self._operations = file.operations
        self._raw_shapes = file.shapes
        self._shapes: dict[str, Shape] = {}
        self._has_errors = any(mark in text for mark in _ERROR_MARKS)

    @classmethod
    def from_document(cls, name: str, document: dict[str, Any]) -> ServiceModel:
        """A model from a decoded document (the protocol corpus, tests)."""
        return cls(name, msgspec.json.encode(document))

    @property
    def operation_names(self) -> list[str]:
        return list(self._operations)

    def has_operation(self, name: str) -> bool:
        return name in self._operations

    def operation(self, name: str) -> OperationModel:
        """The operation of that name; KeyError when the model has none."""
        return OperationModel(self, from_json(self._operations[name], _Operation))

    def operations(self) -> Iterator[OperationModel]:
        return (self.operation(name) for name in self._operations)

    def shape(self, name: str) -> Shape:
        found = self._shapes.get(name)
        if found is None:
            found = self._shapes[name] = from_json(self._raw_shapes[name], Shape)
        return found

    def documentation(self, shape: str) -> str:
        """What the model says of a shape, without its markup: AWS's own words for an error."""
        raw = self._raw_shapes.get(shape)
        text = from_json(raw, _Documented).documentation if raw is not None else ""
        return " ".join(html.unescape(_MARKUP.sub("", text)).split())

    def error_shapes(self) -> Iterator[tuple[str, Shape]]:
        """Every error shape, found by a look at the undecoded text so that the other shapes stay undecoded."""
        for name, raw in self._raw_shapes.items() if self._has_errors else ():
            fragment = bytes(raw)
            if any(mark in fragment for mark in _ERROR_MARKS):
                shape = from_json(raw, Shape)
                if shape.exception or shape.error is not None:
                    yield name, shape


def namespace_uri(value: dict[str, str] | str | None) -> str | None:
    return value.get("uri") if isinstance(value, dict) else value


_loaded: WeakValueDictionary[str, ServiceModel] = WeakValueDictionary()


def load_service(name: str) -> ServiceModel:
    """The model of a service by botocore's directory name, or one of our own; shared for as long as someone holds it.

    Raises UnknownService.
    """
    model = _loaded.get(name)
    if model is None:
        model = _loaded[name] = read_service(name)
    return model


def read_service(name: str) -> ServiceModel:
    """A service's model, read anew and shared with nobody."""
    own = OWN_MODELS / f"{name}.json"
    return ServiceModel(name, own.read_bytes() if own.is_file() else gzip.decompress(_botocore_file(name).read_bytes()))


def load_metadata(name: str) -> Metadata:
    """Only the metadata of a service: inflates the head of the file (~0.1 ms instead of 2 to 30). Raises UnknownService."""
    own = OWN_MODELS / f"{name}.json"
    if own.is_file():
        return convert(from_json(own.read_bytes(), _File).metadata, Metadata)
    head = zlib.decompressobj(wbits=31).decompress(_botocore_file(name).read_bytes(), _METADATA_HEAD)
    start = head.index(b'"metadata"')
    text = head[head.index(b"{", start) :]
    return from_json(text[: _object_end(text)], Metadata)


def service_names() -> list[str]:
    """Every service that has a model, ours included."""
    names = {path.parent.parent.name for path in botocore_data().glob("*/*/service-2.json.gz")}
    return sorted(names | {path.stem for path in OWN_MODELS.glob("*.json")})


@lru_cache(maxsize=1)
def botocore_data() -> Path:
    """botocore's data directory, found without importing botocore (its import costs 140 ms)."""
    spec = importlib.util.find_spec("botocore")
    if spec is None or not spec.submodule_search_locations:
        raise UnknownService("botocore is not installed")
    return Path(spec.submodule_search_locations[0]) / "data"


def _botocore_file(name: str) -> Path:
    if "/" in name or name.startswith("."):
        raise UnknownService(name)
    files = sorted((botocore_data() / name).glob("*/service-2.json.gz"))
    if not files:
        raise UnknownService(name)
    return files[-1]


def _object_end(text: bytes) -> int:
    """The index just past the object that `text` starts with (metadata holds no braces inside strings)."""
    depth = 0
    for index, byte in enumerate(text):
        depth += (byte == 0x7B) - (byte == 0x7D)
        if depth == 0:
            return index + 1
    raise UnknownService("a model whose metadata does not end")

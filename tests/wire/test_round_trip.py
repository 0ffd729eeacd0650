"""Whatever boto3 can send, the decoders read back, and whatever the encoders write, boto3 reads: hypothesis thinks of the values."""

from datetime import datetime
from functools import cache
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from botocore.loaders import Loader
from botocore.model import ServiceModel as BotocoreService
from botocore.parsers import create_parser
from botocore.serialize import create_serializer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from windtunnel.app import load_services
from windtunnel.kernel.registry import OPERATIONS
from windtunnel.wire.members import declared_tree
from windtunnel.wire.models import OWN_MODELS, Ref, ServiceModel, load_metadata, load_service
from windtunnel.wire.protocols import READERS, RawRequest, compile_encoder, parse_query
from windtunnel.wire.routing import Router

load_services()
SERVICES = sorted({service for service, _ in OPERATIONS} | {"cloudwatch", "lambda"})
SERVICES = [name for name in SERVICES if not (OWN_MODELS / f"{name}.json").is_file()]  # boto3 does not know those
CASES = [(name, protocol) for name in SERVICES for protocol in load_metadata(name).protocols]
"""Every protocol that a registered service lists."""
# Not sent as their models say: another endpoint, an event stream, or a deprecated twin at the same address.
ELSEWHERE = {
    "s3": {
        "WriteGetObjectResponse",
        "ListDirectoryBuckets",
        "PutBucketLifecycle",
        "PutBucketNotification",
        "GetBucketLifecycle",
        "GetBucketNotification",
    },
    "s3control": {"CreateBucket"},  # of an outpost
}
# boto3 patches S3's model: Expires, a string in the file, is given and sent as a date.
PATCHED = {"Expires"}
TEXT = st.text(st.characters(min_codepoint=0x20, exclude_categories=("Cs", "Cc", "Cn"), exclude_characters="\ufffe\uffff"), max_size=12)
PLAIN = st.text("abcdefghijklmnopqrstuvwxyzABC0189-_.~", min_size=1, max_size=10)


class Everything:
    """Registers every operation of a service."""

    def __contains__(self, _: object) -> bool:
        return True


@cache
def router() -> Router:
    return Router({name: Everything() for name in SERVICES})  # type: ignore[misc]


@cache
def client(name: str) -> BotocoreService:
    return BotocoreService(Loader().load_service_model(name, "service-2"), name)


@cache
def model(name: str) -> ServiceModel:
    return load_service(name)


def value(service: ServiceModel, ref: Ref, depth: int) -> st.SearchStrategy[Any]:
    shape = service.shape(ref.shape)
    if shape.type == "structure":
        return structure(service, ref.shape, depth)
    if shape.type == "list":
        assert shape.member is not None
        return st.lists(value(service, shape.member, depth + 1), min_size=1, max_size=3)
    if shape.type == "map":
        assert shape.value is not None
        return st.dictionaries(PLAIN, value(service, shape.value, depth + 1), min_size=1, max_size=3)
    if shape.enum:
        return st.sampled_from(shape.enum)
    if ref.host_label:
        return st.just("123456789012")
    if ref.location in ("header", "uri"):
        return _in_head(shape.type)
    return _scalar(shape.type)


def _in_head(kind: str) -> st.SearchStrategy[Any]:
    return PLAIN if kind == "string" else _scalar(kind)


def _scalar(kind: str) -> st.SearchStrategy[Any]:
    return {
        "string": TEXT,
        "boolean": st.booleans(),
        "integer": st.integers(-(1 << 31), (1 << 31) - 1),
        "long": st.integers(-(1 << 53), 1 << 53),
        "float": st.floats(allow_nan=False, allow_infinity=False, width=32),
        "double": st.floats(allow_nan=False, allow_infinity=False),
        "timestamp": st.integers(0, 4_000_000_000),
        "blob": st.binary(max_size=20),
    }[kind]


@st.composite
def structure(draw: st.DrawFn, service: ServiceModel, name: str, depth: int) -> dict[str, Any]:
    shape = service.shape(name)
    optional = [member for member in shape.members if member not in shape.required and member != shape.payload and member not in PATCHED]
    if shape.union:
        chosen = [draw(st.sampled_from(sorted(shape.members)))]
    elif depth > 4 or not optional:
        chosen = list(shape.required)
    else:
        chosen = [*shape.required, *draw(st.lists(st.sampled_from(optional), max_size=5, unique=True))]
    if shape.payload and depth == 0 and not service.shape(shape.members[shape.payload].shape).streaming:
        chosen.append(shape.payload)
    chosen += [member for member, ref in shape.members.items() if ref.host_label]
    return {member: draw(value(service, shape.members[member], depth + 1)) for member in dict.fromkeys(chosen)}


def without_empties(item: Any) -> Any:
    """XML and forms cannot tell an empty structure, list or map from none."""
    if isinstance(item, dict):
        kept = {key: without_empties(below) for key, below in item.items()}
        return {key: below for key, below in kept.items() if below not in ({}, [])}
    if isinstance(item, list):
        return [below for below in map(without_empties, item) if below not in ({}, [])]
    return item


def sent(name: str, protocol: str, operation: str, arguments: dict[str, Any]) -> tuple[str, str, str, dict[str, str], bytes]:
    botocore_model = client(name)
    made = create_serializer(protocol, include_validation=False).serialize_to_request(arguments, botocore_model.operation_model(operation))
    headers = {key.lower(): str(text) for key, text in made["headers"].items()}
    headers["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential=AKID/20260101/eu-west-1/{load_service(name).signing_name}/aws4_request, SignedHeaders=host, Signature=0"
    )
    body = made["body"]
    path, _, fixed = made["url_path"].partition("?")
    query = made["query_string"]
    pairs = [
        (key, one)
        for key, several in (query.items() if isinstance(query, dict) else query)
        for one in (several if isinstance(several, list) else [several])
    ]
    raw_query = "&".join(filter(None, [fixed, urlencode(pairs, quote_via=quote)]))
    if isinstance(body, dict):
        body = urlencode(body).encode()
    return made["method"], path, raw_query, headers, body if isinstance(body, bytes) else str(body or "").encode()


@pytest.mark.parametrize("name, protocol", CASES)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_what_boto3_sends_is_read(name: str, protocol: str, data: st.DataObject) -> None:
    service = model(name)
    names = [operation for operation in service.operation_names if operation not in ELSEWHERE.get(name, set())]
    operation = service.operation(data.draw(st.sampled_from(names)))
    arguments = data.draw(structure(service, operation.input, 0)) if operation.input else {}
    arguments.pop(operation.streaming_input or "", None)  # streams past the decoder
    if operation.input_shape.payload and not arguments.get(operation.input_shape.payload):
        arguments.pop(operation.input_shape.payload, None)  # an empty body is no payload
    method, path, raw_query, headers, body = sent(name, protocol, operation.name, arguments)
    route = router().route(method, "127.0.0.1:4566", path, raw_query, headers, body)
    assert (route.service, route.operation, route.protocol) == (name, operation.name, protocol)
    request = RawRequest(method, path, route.path_params, parse_query(raw_query), headers, body)
    decoded = READERS[route.protocol](operation, declared_tree(None))(request)
    if protocol in ("json", "smithy-rpc-v2-cbor"):
        assert decoded == arguments
    else:
        assert without_empties(decoded) == without_empties(arguments)


# Answered by hand in boto3 or here: the root of GetBucketLocation is the value itself; a deprecated twin has two members of one name;
# a payload of no bytes is none.
BY_HAND = {"s3": {"GetBucketLocation", "GetBucketNotification"}, "lambda": {"Invoke"}}


def instants(item: Any) -> Any:
    """What boto3 read, with instants as epoch seconds."""
    if isinstance(item, datetime):
        return round(item.timestamp())
    if isinstance(item, dict):
        return {key: instants(below) for key, below in item.items()}
    return [instants(below) for below in item] if isinstance(item, list) else item


@pytest.mark.parametrize("name, protocol", CASES)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_what_we_answer_boto3_reads(name: str, protocol: str, data: st.DataObject) -> None:
    service = model(name)
    hand = BY_HAND.get(name, set())
    names = [op.name for op in service.operations() if op.output and not op.event_output and op.name not in hand]
    operation = service.operation(data.draw(st.sampled_from(names)))
    assert operation.output is not None
    result = data.draw(structure(service, operation.output, 0))
    for member, ref in operation.output_shape.members.items():
        if ref.location == "statusCode":
            result[member] = 202
    payload = operation.output_shape.payload
    blob = payload is not None and service.shape(operation.output_shape.members[payload].shape).type == "blob"
    content = result.get(payload or "", b"") if blob else b""
    if operation.streaming_output:
        result.pop(operation.streaming_output, None)  # streams past the encoder
    status, headers, body = compile_encoder(service, operation.name, protocol, strict=True)(result, "id")
    wire = {key.decode().title(): text.decode() for key, text in headers}
    shape = client(name).operation_model(operation.name).output_shape
    if blob:  # the client hands it on as it came
        assert operation.streaming_output or body == content
        result.pop(payload or "", None)
        body = b""
    parsed = create_parser(protocol).parse({"headers": HeadersOf(wire), "body": body, "status_code": status}, shape)
    parsed.pop("ResponseMetadata", None)
    if blob:
        assert not parsed.pop(payload or "")
    for member in PATCHED:
        result.pop(member, None), parsed.pop(member, None)
    assert without_empties(instants(parsed)) == without_empties(result)


class HeadersOf(dict[str, str]):
    """Case-insensitive, as botocore's parser expects."""

    def __getitem__(self, key: str) -> str:
        return super().__getitem__(key.title())

    def __contains__(self, key: object) -> bool:
        return super().__contains__(str(key).title())

    def get(self, key: str, default: Any = None) -> Any:
        return super().get(key.title(), default)

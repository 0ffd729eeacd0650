"""Whatever boto3 can send, the decoders read back: botocore's serialiser is the client, hypothesis thinks of the arguments."""

from functools import cache
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from botocore.loaders import Loader
from botocore.model import ServiceModel as BotocoreService
from botocore.serialize import create_serializer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from windtunnel.wire.members import declared_tree
from windtunnel.wire.models import Ref, ServiceModel, load_service
from windtunnel.wire.protocols import READERS, RawRequest, parse_query
from windtunnel.wire.routing import Router

SERVICES = [
    "ssm",
    "sts",
    "iam",
    "ec2",
    "s3",
    "codebuild",
    "codecommit",
    "codepipeline",
    "codedeploy",
    "logs",
    "events",
    "scheduler",
    "accessanalyzer",
    "lambda",
]
# Not sent as their models say: another endpoint, an event stream, or a deprecated twin at the same address.
ELSEWHERE = {
    "s3": {
        "WriteGetObjectResponse",
        "ListDirectoryBuckets",
        "PutBucketLifecycle",
        "PutBucketNotification",
        "GetBucketLifecycle",
        "GetBucketNotification",
    }
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
    return {member: draw(value(service, shape.members[member], depth + 1)) for member in dict.fromkeys(chosen)}


def without_empties(item: Any) -> Any:
    """XML and forms cannot tell an empty structure, list or map from none."""
    if isinstance(item, dict):
        kept = {key: without_empties(below) for key, below in item.items()}
        return {key: below for key, below in kept.items() if below not in ({}, [])}
    if isinstance(item, list):
        return [below for below in map(without_empties, item) if below not in ({}, [])]
    return item


def sent(name: str, operation: str, arguments: dict[str, Any]) -> tuple[str, str, str, dict[str, str], bytes]:
    botocore_model = client(name)
    protocol = botocore_model.metadata["protocol"]
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


@pytest.mark.parametrize("name", SERVICES)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_what_boto3_sends_is_read(name: str, data: st.DataObject) -> None:
    service = model(name)
    names = [operation for operation in service.operation_names if operation not in ELSEWHERE.get(name, set())]
    operation = service.operation(data.draw(st.sampled_from(names)))
    arguments = data.draw(structure(service, operation.input, 0)) if operation.input else {}
    arguments.pop(operation.streaming_input or "", None)  # streams past the decoder
    if operation.input_shape.payload and not arguments.get(operation.input_shape.payload):
        arguments.pop(operation.input_shape.payload, None)  # an empty body is no payload
    method, path, raw_query, headers, body = sent(name, operation.name, arguments)
    route = router().route(method, "127.0.0.1:4566", path, raw_query, headers, body)
    assert (route.service, route.operation) == (name, operation.name)
    request = RawRequest(method, path, route.path_params, parse_query(raw_query), headers, body)
    decoded = READERS[route.protocol](operation, declared_tree(None))(request)
    if route.protocol == "json":
        assert decoded == arguments
    else:
        assert without_empties(decoded) == without_empties(arguments)

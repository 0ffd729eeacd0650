"""Whatever arrives, a decoder answers with arguments or an AwsError, soon; and what is compiled keeps no model alive."""

import gc
import json
import time
import weakref
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import Declared, ServiceRules
from windtunnel.wire import cbor
from windtunnel.wire.models import load_service, read_service
from windtunnel.wire.paging import page_tokens
from windtunnel.wire.protocols import RawRequest, compile_decoder, compile_encoder, compile_error_encoder, parse_query, protocol_of
from windtunnel.wire.protocols.events import compile_event_encoder
from windtunnel.wire.routing import Router

JSON = [("ssm", "PutParameter"), ("codepipeline", "CreatePipeline"), ("codebuild", "CreateProject"), ("logs", "PutLogEvents")]
FORMS = [("ec2", "RunInstances"), ("iam", "CreateRole"), ("sts", "AssumeRole")]
REST = ["PutBucketLifecycleConfiguration", "DeleteObjects", "PutObject", "ListObjectsV2", "PutBucketNotificationConfiguration"]
DECODERS: dict[tuple[str, str], Any] = {}


def decoder(name: str, operation: str) -> Any:
    key = (name, operation)
    if key not in DECODERS:
        DECODERS[key] = compile_decoder(load_service(name), operation)
    return DECODERS[key]


def outcome(name: str, operation: str, request: RawRequest) -> dict[str, Any] | AwsError:
    try:
        result: dict[str, Any] = decoder(name, operation)(request)
        return result
    except AwsError as error:
        return error


def members(name: str, operation: str) -> list[str]:
    return list(load_service(name).operation(operation).input_shape.members)


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda below: st.lists(below, max_size=4) | st.dictionaries(st.text(max_size=8), below, max_size=4),
    max_leaves=12,
)


@settings(deadline=None)
@given(st.sampled_from(JSON), st.data())
def test_any_json(where: tuple[str, str], data: st.DataObject) -> None:
    value = data.draw(st.dictionaries(st.sampled_from(members(*where)), ANY_JSON, max_size=6) | ANY_JSON)
    found = outcome(*where, RawRequest("POST", "/", {}, [], {}, json.dumps(value).encode()))
    assert isinstance(found, dict) or found.code in ("SerializationException", "ValidationException", "NotImplemented")


@settings(deadline=None)
@given(st.sampled_from(JSON), st.binary(max_size=60))
def test_any_bytes_as_json(where: tuple[str, str], body: bytes) -> None:
    found = outcome(*where, RawRequest("POST", "/", {}, [], {}, body))
    assert isinstance(found, dict) or found.code in ("SerializationException", "ValidationException", "NotImplemented")


@settings(deadline=None)
@given(st.sampled_from(FORMS), st.data())
def test_any_form(where: tuple[str, str], data: st.DataObject) -> None:
    steps = st.sampled_from(members(*where)) | st.sampled_from(
        ["member", "1", "2", "999999999999", "-1", "0", "Key", "Value", "", "x", "%", "Tag", "Ebs"]
    )
    names = st.lists(steps, min_size=1, max_size=6).map(".".join)
    pairs = data.draw(st.lists(st.tuples(names, st.text(max_size=6)), max_size=8))
    body = "&".join(f"{name}={text}" for name, text in pairs).encode("utf-8", "surrogatepass")
    found = outcome(*where, RawRequest("POST", "/", {}, [], {}, body))
    assert isinstance(found, dict) or found.code in (
        "MalformedInput",
        "ValidationError",
        "NotImplemented",
        "MissingParameter",
        "InvalidParameterValue",
    )


@settings(deadline=None)
@given(st.sampled_from(REST), st.binary(max_size=80), st.lists(st.tuples(st.text(max_size=10), st.text(max_size=10)), max_size=3))
def test_any_rest_request(operation: str, body: bytes, query: list[tuple[str, str]]) -> None:
    headers = {name.lower(): text for name, text in query if name}
    found = outcome("s3", operation, RawRequest("PUT", "/b/k", {"Bucket": "b", "Key": "k"}, query, headers, body))
    assert isinstance(found, dict) or found.code in ("MalformedXML", "InvalidArgument", "NotImplemented", "MissingRequestBodyError")


@settings(deadline=None)
@given(
    st.sampled_from(["CreateSchedule", "ListSchedules", "UpdateSchedule"]),
    st.binary(max_size=80),
    st.lists(st.tuples(st.sampled_from(["MaxResults", "x", "NamePrefix"]), st.text(max_size=10)), max_size=3),
)
def test_any_rest_json_request(operation: str, body: bytes, query: list[tuple[str, str]]) -> None:
    found = outcome("scheduler", operation, RawRequest("POST", "/schedules/a", {"Name": "a"}, query, {}, body))
    assert isinstance(found, dict) or found.code in ("SerializationException", "ValidationException", "NotImplemented")


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(["Namespace", "MetricData", "x"]), ANY_JSON, max_size=3) | ANY_JSON)
def test_any_cbor(value: Any) -> None:
    try:
        body = cbor.encode(value)
    except ValueError:
        return
    found = outcome("cloudwatch", "PutMetricData", RawRequest("POST", "/", {}, [], {}, body))
    assert isinstance(found, dict) or found.code in ("SerializationException", "ValidationException", "NotImplemented")


@settings(deadline=None)
@given(
    st.text(max_size=40),
    st.text(max_size=40),
    st.binary(max_size=40),
    st.sampled_from(["GET", "PUT", "POST", "HEAD", "DELETE", "PATCH", "X"]),
)
def test_any_address(path: str, query: str, body: bytes, method: str) -> None:
    router = DECODERS.setdefault(("router", ""), Router({"s3": {"GetObject"}, "iam": {"GetUser"}, "ssm": {"GetParameter"}}))
    for headers in ({}, {"x-amz-target": path}, {"content-type": "application/x-www-form-urlencoded"}, {"authorization": query}):
        try:
            route = router.route(method, path, "/" + path, query, headers, body)
            assert (route.service, route.operation) in {("s3", "GetObject"), ("iam", "GetUser"), ("ssm", "GetParameter")}
        except AwsError as error:
            assert error.status in (400, 403, 404, 405, 501)


@pytest.mark.parametrize(
    "name, operation, body",
    [
        pytest.param("ssm", "PutParameter", b'{"Name":' + b"[" * 500_000, id="half a million brackets"),
        pytest.param("ssm", "PutParameter", b'{"a":' * 200_000, id="200,000 objects"),
        pytest.param("ssm", "PutParameter", b'{"Version":1' + b"0" * 1_000_000 + b"}", id="a number of a million digits"),
        pytest.param(
            "codepipeline",
            "CreatePipeline",
            json.dumps({"pipeline": {"roleArn": "arn:aws:iam::" + ":" * 200_000, "name": "a"}}).encode(),
            id="colons for a pattern",
        ),
        pytest.param(
            "iam",
            "CreateRole",
            b"&".join(b"Tags.member.%d.Key=x" % (10**8 - i) for i in range(8000)),
            id="8,000 tags numbered from the top",
        ),
        pytest.param("ec2", "RunInstances", b"BlockDeviceMapping.1" * 50_000, id="one name of a megabyte"),
    ],
)
def test_hostile_bodies_are_answered_soon(name: str, operation: str, body: bytes) -> None:
    decoder(name, operation)
    started = time.process_time()
    assert isinstance(outcome(name, operation, RawRequest("POST", "/", {}, [], {}, body)), AwsError)
    assert time.process_time() - started < 2.0


def test_too_many_parameters() -> None:
    with pytest.raises(AwsError, match="more than"):
        parse_query("&".join("a=1" for _ in range(10_000)))


@pytest.mark.parametrize(
    "name, operation",
    [
        ("ssm", "GetParameter"),
        ("codepipeline", "CreatePipeline"),
        ("iam", "CreateRole"),
        ("ec2", "RunInstances"),
        ("s3", "PutObject"),
        ("s3", "DeleteObjects"),
        ("dynamodb", "PutItem"),
        ("scheduler", "CreateSchedule"),
        ("lambda", "Invoke"),
        ("cloudwatch", "PutMetricData"),
        ("logs", "StartLiveTail"),
        ("logs", "DescribeLogGroups"),
    ],
)
def test_what_is_compiled_keeps_no_model(name: str, operation: str) -> None:
    service = read_service(name)
    watch = weakref.ref(service)
    shape = service.operation(operation)
    kept = (
        compile_decoder(service, operation),
        compile_decoder(service, operation, Declared(frozenset(service.operation(operation).input_shape.members))),
        compile_encoder(service, operation),
        compile_encoder(service, operation, strict=True),
        compile_error_encoder(service),
    )
    kept = (*kept, compile_event_encoder(shape, protocol_of(service), True), page_tokens(shape, ServiceRules()))
    del service, shape
    gc.collect()
    assert watch() is None, kept

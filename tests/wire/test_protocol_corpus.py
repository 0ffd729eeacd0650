"""The AWS protocol corpus run backwards: its requests are decoded to the arguments, its results encoded to what its clients read."""

import json
import re
from base64 import b64decode
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from xml.etree import ElementTree

import pytest
from botocore.model import OperationModel as BotocoreOperation
from botocore.model import ServiceModel as BotocoreService
from botocore.parsers import create_parser

from windtunnel.kernel.errors import AwsError
from windtunnel.wire import cbor
from windtunnel.wire.models import ServiceModel
from windtunnel.wire.naming import xform
from windtunnel.wire.protocols import RawRequest, compile_decoder, compile_encoder, compile_error_encoder, parse_query
from windtunnel.wire.resttable import RestTable

PLACES = [above / "shared" / "data" / "protocols" for above in Path(__file__).parents[3:]]  # beside the repository, or beside its worktrees
CORPUS = next(filter(Path.is_dir, PLACES), PLACES[0])
FILES = {
    "json.json": "json",
    "json_1_0.json": "json",
    "json_1_0-query-compatible.json": "json",
    "query.json": "query",
    "ec2.json": "ec2",
    "rest-json.json": "rest-json",
    "rest-xml.json": "rest-xml",
    "smithy-rpc-v2-cbor.json": "smithy-rpc-v2-cbor",
    "smithy-rpc-v2-cbor-query-compatible.json": "smithy-rpc-v2-cbor",
    "smithy-rpc-v2-cbor-non-query-compatible.json": "smithy-rpc-v2-cbor",
}

_GZIP = "the corpus gives no body for compressed requests"
_PARSER = "botocore's parser, the reader here, has this case on its own ignore list; the text itself is compared below"
NOT_INPUT = {
    "SDKAppliedContentEncoding_awsJson1_0": _GZIP,
    "SDKAppendsGzipAndIgnoresHttpProvidedEncoding_awsJson1_0": _GZIP,
    "SDKAppliedContentEncoding_awsJson1_1": _GZIP,
    "SDKAppendsGzipAndIgnoresHttpProvidedEncoding_awsJson1_1": _GZIP,
    "SDKAppliedContentEncoding_restXml": _GZIP,
    "SDKAppendedGzipAfterProvidedEncoding_restXml": _GZIP,
    "SDKAppliedContentEncoding_restJson1": _GZIP,
    "SDKAppendedGzipAfterProvidedEncoding_restJson1": _GZIP,
    "SDKAppliedContentEncoding_awsQuery": _GZIP,
    "SDKAppendsGzipAndIgnoresHttpProvidedEncoding_awsQuery": _GZIP,
    "SDKAppliedContentEncoding_ec2Query": _GZIP,
    "SDKAppendsGzipAndIgnoresHttpProvidedEncoding_ec2Query": _GZIP,
    "RestJsonQueryPrecedence": "which of two values a client sends; the one it does not send cannot be read",
    "RestJsonHostWithPath": "an endpoint with a path of its own: ours has none",
    "RestXmlQueryPrecedence": "which of two values a client sends; the one it does not send cannot be read",
}
NOT_OUTPUT = {
    "QueryXmlLists": _PARSER,
    "Ec2XmlLists": _PARSER,
    "XmlLists": _PARSER,
    "BodyWithXmlName": _PARSER,
    "HttpPayloadTraitsWithNoBlobBody": _PARSER,
    "RestXmlHttpPayloadWithUnsetUnion": _PARSER,
    "InputAndOutputWithTimestampHeaders": _PARSER,
    "RestJsonHttpPayloadTraitsWithNoBlobBody": _PARSER,
    "RestJsonHttpPayloadWithUnsetUnion": _PARSER,
    "RestJsonInputAndOutputWithTimestampHeaders": _PARSER,
    "RestJsonInputAndOutputWithQuotedStringHeaders": _PARSER,
    "HttpPrefixHeadersResponse": "the prefix is empty, so that a client reads our own headers into it too; the headers are compared below",
    "QueryCompatibleRpcV2CborCustomCodeError": "the corpus answers 400 where its own error shape says 402",
    "RpcV2CborPayloadWithUnsetUnion": "the corpus' body is another case's",
    "QueryCompatibleAwsJson10CustomCodeError": "the corpus answers 400 where its own error shape says 402",
}
NOT_XML = dict.fromkeys(
    (
        "AwsQueryDateTimeWithNegativeOffset",
        "AwsQueryDateTimeWithPositiveOffset",
        "Ec2QueryDateTimeWithNegativeOffset",
        "Ec2QueryDateTimeWithPositiveOffset",
        "RestXmlDateTimeWithNegativeOffset",
        "RestXmlDateTimeWithPositiveOffset",
    ),
    "we always write UTC",
)


def cases(direction: str, reasons: dict[str, str]) -> list[Any]:
    out = []
    for file, protocol in FILES.items():
        path = CORPUS / direction / file
        for suite in json.loads(path.read_text()) if path.is_file() else []:
            for case in suite["cases"]:
                reason = reasons.get(case["id"])
                marks = [pytest.mark.skip(reason=reason)] if reason else []
                out.append(pytest.param(suite, case, protocol, id=f"{file}:{case['id']}", marks=marks))
    return out


INPUT, OUTPUT = cases("input", NOT_INPUT), cases("output", NOT_OUTPUT)
present = pytest.mark.skipif(not CORPUS.is_dir(), reason=f"the protocol corpus is not at {CORPUS}")


def service_of(suite: dict[str, Any], case: dict[str, Any], protocol: str) -> ServiceModel:
    given = client_operation(case["given"], protocol)
    document = {
        "metadata": {"endpointPrefix": "corpus", "serviceId": "corpus", **suite["metadata"], "protocols": [protocol]},
        "operations": {given["name"]: {**given, "errors": [{"shape": e["shape"]} for e in given.get("errors", [])]}},
        "shapes": suite["shapes"],
    }
    return ServiceModel.from_document("corpus", document)


def request_of(case: dict[str, Any], service: ServiceModel) -> RawRequest:
    sent = case["serialized"]
    url = urlsplit(sent.get("uri", "/"))
    headers = {name.lower(): value for name, value in sent.get("headers", {}).items()}
    query = parse_query(url.query)
    operation = service.operation(case["given"]["name"])
    params: dict[str, str] = {}
    if operation.http_uri != "/" and service.protocols[0].startswith("rest-"):
        found = RestTable(service).match(operation.http_method, url.path, query, headers)
        assert found is not None, "no route"
        params = found[1]
    return RawRequest(sent.get("method", "POST"), url.path, params, query, headers, body_bytes(sent, service.protocols[0]))


def body_bytes(message: dict[str, Any], protocol: str) -> bytes:
    """The corpus' body; CBOR stands there in base64."""
    body = message.get("body") or ""
    return b64decode(body) if protocol.endswith("cbor") else body.encode()


def client_operation(given: dict[str, Any], protocol: str) -> dict[str, Any]:
    """The corpus leaves out what every real model of a query service has."""
    if protocol == "query" and "output" in given:
        return {**given, "output": {"resultWrapper": f"{given['name']}Result", **given["output"]}}
    return given


class Normal:
    """The corpus' notation of values (blobs as text, NaN as a word) made comparable with ours, along the shape."""

    def __init__(self, service: ServiceModel) -> None:
        self.service = service

    def value(self, name: str, value: Any) -> Any:
        shape = self.service.shape(name)
        if value is None:
            return None
        if shape.type == "structure" and not shape.document:
            return {key: self.value(shape.members[key].shape, item) for key, item in value.items() if key in shape.members}
        if shape.type == "list":
            assert shape.member is not None
            return [self.value(shape.member.shape, item) for item in value]
        if shape.type == "map":
            assert shape.value is not None
            return {key: self.value(shape.value.shape, item) for key, item in value.items()}
        if shape.type == "blob":
            return value if isinstance(value, bytes) else value.encode("utf-8")
        if shape.type in ("float", "double"):
            return str(float(value))
        if shape.type == "timestamp":
            return round(float(value), 3)
        return value


@present
@pytest.mark.parametrize("suite, case, protocol", INPUT)
def test_request(suite: dict[str, Any], case: dict[str, Any], protocol: str) -> None:
    service = service_of(suite, case, protocol)
    operation = service.operation(case["given"]["name"])
    decoded = compile_decoder(service, operation.name, protocol=protocol)(request_of(case, service))
    normal = Normal(service)
    expected = dict(case["params"])
    if operation.streaming_input:
        expected.pop(operation.streaming_input, None)
    names = {xform(name): name for name in operation.input_shape.members}
    actual = {names[key]: value for key, value in decoded.items()}
    if operation.input is None:
        assert (actual, expected) == ({}, {})
        return
    bound = {ref.location_name for ref in operation.input_shape.members.values() if ref.location == "querystring"}
    for name, ref in operation.input_shape.members.items():
        if ref.location == "querystring" and isinstance(expected.get(name), dict):  # what has a member of its own stands there only
            expected[name] = {key: item for key, item in expected[name].items() if key not in bound}
        if ref.jsonvalue and ref.location:
            expected[name] = json.loads(expected[name])
    # A client fills in tokens by itself; what is null or empty it may leave out, and then nothing can be read.
    for name, ref in operation.input_shape.members.items():
        if ref.idempotency_token and name not in expected:
            assert actual.pop(name) == "00000000-0000-4000-8000-000000000000"
    expected = {name: value for name, value in expected.items() if name in actual or value not in (None, {}, [], "")}
    assert normal.value(operation.input, actual) == normal.value(operation.input, expected)


def corpus_result(service: ServiceModel, name: str, value: Any) -> Any:
    """A result as a handler gives it: blobs as bytes, floats as floats."""
    shape = service.shape(name)
    if shape.document or value is None:
        return value
    if shape.type == "structure":
        return {key: corpus_result(service, shape.members[key].shape, item) for key, item in value.items() if key in shape.members}
    if shape.type == "list":
        assert shape.member is not None
        return [corpus_result(service, shape.member.shape, item) for item in value]
    if shape.type == "map":
        assert shape.value is not None
        return {key: corpus_result(service, shape.value.shape, item) for key, item in value.items()}
    if shape.type == "blob":
        return value.encode("utf-8") if isinstance(value, str) else value
    return float(value) if shape.type in ("float", "double") else value


@present
@pytest.mark.parametrize("suite, case, protocol", OUTPUT)
def test_response(suite: dict[str, Any], case: dict[str, Any], protocol: str) -> None:
    """What we encode, botocore's parser reads back as the corpus' result."""
    service = service_of(suite, case, protocol)
    name = case["given"]["name"]
    operation = service.operation(name)
    if "errorCode" in case or "error" in case:
        check_error(suite, case, protocol, service)
        return
    given = case.get("result") or {}
    result = corpus_result(service, operation.output, given) if operation.output else {}
    streamed = result.pop(operation.streaming_output, b"") if operation.streaming_output else b""
    status, headers, body = compile_encoder(service, name, protocol, strict=True)(result, "request-id")
    assert status == case["response"].get("status_code", 200)
    client = BotocoreService({"metadata": suite["metadata"], "operations": {name: case["given"]}, "shapes": suite["shapes"]})
    parser = create_parser(protocol)
    parser._timestamp_parser = lambda text: text
    shape = BotocoreOperation(client_operation(case["given"], protocol), client).output_shape
    wire_headers = {key.decode(): value.decode() for key, value in headers}
    parsed = parser.parse({"headers": Headers(wire_headers), "body": body or streamed, "status_code": status}, shape)
    parsed.pop("ResponseMetadata", None)
    if operation.output is None:
        assert parsed == {}
        return
    actual = Comparable(service).value(operation.output, parsed)
    expected = Comparable(service).value(operation.output, {k: v for k, v in given.items() if v is not None})
    assert actual == expected


class Headers(dict[str, str]):
    """Case-insensitive, as botocore's parser expects."""

    def __getitem__(self, key: str) -> str:
        return super().__getitem__(key.lower())

    def __contains__(self, key: object) -> bool:
        return super().__contains__(str(key).lower())

    def get(self, key: str, default: Any = None) -> Any:
        return super().get(key.lower(), default)


class Comparable(Normal):
    """Timestamps as instants whatever their text; empty containers as absent, since XML cannot tell them apart."""

    def value(self, name: str, value: Any) -> Any:
        shape = self.service.shape(name)
        if shape.type == "timestamp" and isinstance(value, str):
            from windtunnel.wire.protocols import timestamps

            return round(timestamps.parse(value, "iso8601") or -1.0, 3)
        if shape.type == "structure" and isinstance(value, dict) and not shape.document:
            below = {key: self.value(shape.members[key].shape, item) for key, item in value.items() if key in shape.members}
            return {key: item for key, item in below.items() if item not in ({}, [], None)}
        return super().value(name, value)


def check_error(suite: dict[str, Any], case: dict[str, Any], protocol: str, service: ServiceModel) -> None:
    code = case["errorCode"]
    expected = case.get("error") or {}
    extra = {key: value for key, value in expected.items() if key.lower() != "message"}
    error = AwsError(code, case.get("errorMessage") or expected.get("message") or expected.get("Message") or "", extra=extra)
    status, headers, body = compile_error_encoder(service, protocol)(error, "request-id", False)
    parser = create_parser(protocol)
    wire_headers = {key.decode(): value.decode() for key, value in headers}
    parsed = parser.parse({"headers": Headers(wire_headers), "body": body, "status_code": status}, None)
    assert parsed["Error"]["Code"] == code
    assert (parsed["Error"]["Message"] or "") == error.message
    assert status == case["response"]["status_code"]


def response_of(suite: dict[str, Any], case: dict[str, Any], protocol: str) -> tuple[int, dict[str, str], bytes]:
    """Our answer with the corpus' result."""
    service = service_of(suite, case, protocol)
    operation = service.operation(case["given"]["name"])
    result = corpus_result(service, operation.output, case.get("result") or {}) if operation.output else {}
    if operation.streaming_output:
        result.pop(operation.streaming_output, None)
    status, headers, body = compile_encoder(service, operation.name, protocol, strict=True)(result, "requestid")
    return status, {key.decode(): value.decode() for key, value in headers}, body


NOT_HEADERS = {"MediaTypeHeaderOutputBase64": "the corpus gives the JSON as text; a handler gives the value"}


def has_headers(_: dict[str, Any], case: dict[str, Any], protocol: str) -> bool:
    return protocol.startswith("rest-") and "errorCode" not in case and bool(case["response"].get("headers"))


@present
@pytest.mark.parametrize("suite, case, protocol", [param for param in cases("output", NOT_HEADERS) if has_headers(*param.values)])
def test_headers_are_the_corpus_headers(suite: dict[str, Any], case: dict[str, Any], protocol: str) -> None:
    _, headers, body = response_of(suite, case, protocol)
    for name, text in case["response"]["headers"].items():
        if name.lower() == "content-length":
            assert len(body) == int(text)
        elif name.lower() != "content-type" or body:
            assert without_blanks(headers[name.lower()]) == without_blanks(text)


def without_blanks(header: str) -> str:
    """A list's items are told apart by commas, with or without a blank."""
    return header.replace(", ", ",")


NOT_JSON = {
    "RestJsonDeserializesDenseSetMapAndSkipsNull": "a null that we never write",
    "RestJsonDeserializeIgnoreType": "a __type that we never write",
    "RestJsonDateTimeWithNegativeOffset": "we always write UTC",
    "RestJsonDateTimeWithPositiveOffset": "we always write UTC",
    "RestJsonDoesntDeserializeNullStructureValues": "a null that we never write",
    "RestJsonNoInputAndNoOutput": "an operation without an output answers without a body",
    "RestJsonUnitInputAndOutputNoOutput": "an operation without an output answers without a body",
}


def has_json(_: dict[str, Any], case: dict[str, Any], protocol: str) -> bool:
    return protocol == "rest-json" and "errorCode" not in case and (case["response"].get("body") or "").startswith(("{", "["))


@present
@pytest.mark.parametrize("suite, case, protocol", [param for param in cases("output", NOT_JSON) if has_json(*param.values)])
def test_json_is_the_corpus_json(suite: dict[str, Any], case: dict[str, Any], protocol: str) -> None:
    assert json.loads(response_of(suite, case, protocol)[2]) == json.loads(case["response"]["body"])


NOT_CBOR = {
    "RpcV2CborDeserializesDenseSetMapAndSkipsNull": "a null that we never write",
    "RpcV2CborClientDoesntDeserializeNullStructureValues": "a null that we never write",
    "RpcV2CborExtraFieldsInTheBodyShouldBeSkippedByClients": "a member that no shape has",
    "RpcV2CborPayloadWithUnsetUnion": "the corpus' body is another case's",
    "NoOutputClientAllowsEmptyCbor": "an operation without an output answers without a body",
}


def has_cbor(_: dict[str, Any], case: dict[str, Any], protocol: str) -> bool:
    return protocol == "smithy-rpc-v2-cbor" and "errorCode" not in case and bool(case["response"].get("body"))


@present
@pytest.mark.parametrize("suite, case, protocol", [param for param in cases("output", NOT_CBOR) if has_cbor(*param.values)])
def test_cbor_says_what_the_corpus_says(suite: dict[str, Any], case: dict[str, Any], protocol: str) -> None:
    """Value for value, whatever width a number has and whether a length was known."""
    _, headers, body = response_of(suite, case, protocol)
    assert repr(cbor.decode(body, 64)) == repr(cbor.decode(body_bytes(case["response"], protocol), 64))
    assert headers["smithy-protocol"] == "rpc-v2-cbor"
    assert headers["content-type"] == "application/cbor"


QUERY_CODES = [param for param in cases("output", {}) if "query-compatible" in str(param.id) and "errorCode" in param.values[1]]


@present
@pytest.mark.parametrize("suite, case, protocol", QUERY_CODES)
def test_an_error_has_its_newer_name_in_the_body_and_its_older_code_in_a_header(
    suite: dict[str, Any], case: dict[str, Any], protocol: str
) -> None:
    error = AwsError(case["errorCode"], case["errorMessage"])
    _, headers, body = compile_error_encoder(service_of(suite, case, protocol), protocol)(error, "request-id", False)
    wire = dict(headers)
    read = (lambda data: cbor.decode(data, 64)) if protocol.endswith("cbor") else json.loads
    expected = read(body_bytes(case["response"], protocol))
    assert read(body) == {**expected, "__type": expected["__type"].partition("#")[2]}
    code = case["response"]["headers"].get("x-amzn-query-error", f"{case['errorCode']};Sender")
    assert wire[b"x-amzn-query-error"].decode() == code


def has_xml(_: dict[str, Any], case: dict[str, Any], protocol: str) -> bool:
    body = (case["response"].get("body") or "").strip()
    return protocol != "json" and "errorCode" not in case and body.startswith("<") and "output" in case["given"]


@present
def test_the_corpus_is_there() -> None:
    assert len(INPUT) > 150 and len(OUTPUT) > 150
    assert {re.split("[.:]", str(param.id))[0] for param in INPUT} == {Path(file).stem for file in FILES}


@present
@pytest.mark.parametrize("suite, case, protocol", [param for param in cases("output", NOT_XML) if has_xml(*param.values)])
def test_xml_is_the_corpus_xml(suite: dict[str, Any], case: dict[str, Any], protocol: str) -> None:
    """Element for element what the corpus has: same names, nesting and text (order and request ids aside)."""
    service = service_of(suite, case, protocol)
    operation = service.operation(case["given"]["name"])
    assert operation.output is not None
    result = corpus_result(service, operation.output, case.get("result") or {})
    ours = compile_encoder(service, operation.name, protocol, strict=True)(result, "requestid")[2]
    assert flat(ours.decode()) == flat(case["response"]["body"])


def flat(xml: str) -> list[tuple[str, str]]:
    """(path, text) of all leaf elements, sorted, without namespaces and the request's id."""
    out: list[tuple[str, str]] = []

    def walk(element: ElementTree.Element, path: str) -> None:
        name = element.tag.rpartition("}")[2]
        if name in ("RequestId", "requestId", "ResponseMetadata"):
            return
        if len(element) == 0:
            out.append((f"{path}/{name}", (element.text or "").strip()))
        for child in element:
            walk(child, f"{path}/{name}")

    walk(ElementTree.fromstring(xml), "")
    return sorted(out)

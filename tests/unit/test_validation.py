"""Bad input is refused in AWS's words: types first, then every violated constraint at once."""

import json
from typing import Any

import pytest

from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import MemberErrors, ServiceRules
from windtunnel.wire.models import ServiceModel, load_service
from windtunnel.wire.protocols import RawRequest, compile_decoder
from windtunnel.wire.protocols.patterns import compiled_pattern

SHAPES = {
    "In": {
        "type": "structure",
        "required": ["Name"],
        "members": {
            "Name": {"shape": "Name"},
            "DBName": {"shape": "Name"},
            "Count": {"shape": "Count"},
            "Size": {"shape": "Long"},
            "Ratio": {"shape": "Double"},
            "Flag": {"shape": "Boolean"},
            "When": {"shape": "Timestamp"},
            "Data": {"shape": "Blob"},
            "Mode": {"shape": "Mode"},
            "Names": {"shape": "Names"},
            "Tags": {"shape": "Tags"},
            "Labels": {"shape": "Labels"},
            "Inner": {"shape": "Inner"},
            "Modes": {"shape": "Modes"},
        },
    },
    "Name": {"type": "string", "min": 2, "max": 5, "pattern": "[a-z]*"},
    "Count": {"type": "integer", "min": 1, "max": 10},
    "Long": {"type": "long"},
    "Double": {"type": "double"},
    "Boolean": {"type": "boolean"},
    "Timestamp": {"type": "timestamp"},
    "Blob": {"type": "blob", "max": 4},
    "Mode": {"type": "string", "enum": ["ON", "OFF"]},
    "Modes": {"type": "list", "member": {"shape": "Mode"}},
    "Names": {"type": "list", "member": {"shape": "Name"}, "min": 1, "max": 3},
    "Tag": {"type": "structure", "required": ["Key"], "members": {"Key": {"shape": "Name"}}},
    "Tags": {"type": "list", "member": {"shape": "Tag"}},
    "Labels": {"type": "map", "key": {"shape": "Name"}, "value": {"shape": "Name"}},
    "Inner": {"type": "structure", "required": ["Must"], "members": {"Must": {"shape": "Mode"}, "Self": {"shape": "Inner"}}},
}


def service(protocol: str = "json") -> ServiceModel:
    document = {
        "metadata": {"endpointPrefix": "x", "protocol": protocol, "jsonVersion": "1.1"},
        "operations": {"Op": {"name": "Op", "input": {"shape": "In"}}},
        "shapes": SHAPES,
    }
    return ServiceModel.from_document("thing", document)


DECODE = compile_decoder(service(), "Op")


def refusal(body: bytes | dict[str, Any]) -> AwsError:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    with pytest.raises(AwsError) as caught:
        DECODE(RawRequest("POST", "/", {}, [], {}, raw))
    return caught.value


@pytest.mark.parametrize(
    "value, message",
    [
        ({"Name": 1}, "NUMBER_VALUE can not be converted to a String"),
        ({"Name": True}, "TRUE_VALUE can not be converted to a String"),
        ({"Name": ["x"]}, "Start of list found where not expected"),
        ({"Name": {"a": 1}}, "Start of structure or map found where not expected."),
        ({"Count": "1"}, "STRING_VALUE can not be converted to an Integer"),
        ({"Count": True}, "TRUE_VALUE can not be converted to an Integer"),
        ({"Count": False}, "FALSE_VALUE can not be converted to an Integer"),
        ({"Count": 1.5}, "NUMBER_VALUE can not be converted to an Integer"),
        ({"Count": 2**31}, "NUMBER_VALUE can not be converted to an Integer"),
        ({"Count": 10**400}, "NUMBER_VALUE can not be converted to an Integer"),
        ({"Size": "1"}, "STRING_VALUE can not be converted to a Long"),
        ({"Size": 2**63}, "NUMBER_VALUE can not be converted to a Long"),
        ({"Ratio": "much"}, "STRING_VALUE can not be converted to a Double"),
        ({"Flag": "maybe"}, "STRING_VALUE can not be converted to a Boolean"),
        ({"Flag": 1}, "NUMBER_VALUE can not be converted to a Boolean"),
        ({"When": "2020-01-01T00:00:00Z"}, "STRING_VALUE can not be converted to milliseconds since epoch"),
        ({"When": 1e300}, "NUMBER_VALUE can not be converted to milliseconds since epoch"),
        (
            {"Data": "23456"},
            "STRING_VALUE can not be converted to a Blob: Base64 encoded length is expected a multiple of 4 bytes but found: 5",
        ),
        ({"Data": "=+/="}, "STRING_VALUE can not be converted to a Blob: Invalid Base64 character"),
        ({"Data": 1}, "NUMBER_VALUE can not be converted to a Blob"),
        ({"Names": "x"}, "Expected list or null"),
        ({"Names": {}}, "Start of structure or map found where not expected."),
        ({"Names": [1]}, "NUMBER_VALUE can not be converted to a String"),
        ({"Labels": "x"}, "Expected map or null"),
        ({"Labels": []}, "Start of list found where not expected"),
        ({"Inner": "x"}, "Expected null"),
        ({"Inner": []}, "Start of list found where not expected"),
        ([], "Start of list found where not expected"),
    ],
)
def test_wrong_types(value: Any, message: str) -> None:
    error = refusal(json.dumps(value).encode())
    assert (error.code, error.status, error.message) == ("SerializationException", 400, message)


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"null",
        b'"x"',
        b"1",
        b'{"Name":"ab",}',
        b"\xff",
        b'{"Name":"\xff"}',
        b'{"Name":"\\ud800"}',
        b"[" * 100_000,
        b'{"Inner":' * 100_000,
        b"\x00",
    ],
)
def test_bodies_that_are_no_json_object(body: bytes) -> None:
    error = refusal(body)
    assert (error.code, error.status) == ("SerializationException", 400)


def nested(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {"Must": "ON"}
    for _ in range(levels):
        value = {"Must": "ON", "Self": value}
    return {"Name": "ab", "Inner": value}


def test_nesting_is_bounded() -> None:
    assert DECODE(RawRequest("POST", "/", {}, [], {}, json.dumps(nested(60)).encode()))["name"] == "ab"
    assert refusal(nested(64)).code == "SerializationException"
    assert refusal(nested(900)).code == "SerializationException"


NULL = "Value null at '{}' failed to satisfy constraint: Member must not be null"


@pytest.mark.parametrize(
    "value, violations",
    [
        ({}, [NULL.format("name")]),
        ({"Name": None}, [NULL.format("name")]),
        ({"Name": "a"}, ["Value 'a' at 'name' failed to satisfy constraint: Member must have length greater than or equal to 2"]),
        ({"Name": "abcdef"}, ["Value 'abcdef' at 'name' failed to satisfy constraint: Member must have length less than or equal to 5"]),
        ({"Name": "AB"}, ["Value 'AB' at 'name' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-z]*"]),
        ({"Name": "ab\n"}, ["Value 'ab\n' at 'name' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-z]*"]),
        (
            {"Name": "ab", "DBName": "a"},
            ["Value 'a' at 'dBName' failed to satisfy constraint: Member must have length greater than or equal to 2"],
        ),
        (
            {"Name": "ab", "Count": 0},
            ["Value '0' at 'count' failed to satisfy constraint: Member must have value greater than or equal to 1"],
        ),
        (
            {"Name": "ab", "Count": 11},
            ["Value '11' at 'count' failed to satisfy constraint: Member must have value less than or equal to 10"],
        ),
        (
            {"Name": "ab", "Mode": "on"},
            ["Value 'on' at 'mode' failed to satisfy constraint: Member must satisfy enum value set: [ON, OFF]"],
        ),
        (
            {"Name": "ab", "Names": []},
            ["Value '[]' at 'names' failed to satisfy constraint: Member must have length greater than or equal to 1"],
        ),
        (
            {"Name": "ab", "Names": ["ab", "x"]},
            [
                "Value '[ab, x]' at 'names' failed to satisfy constraint: Member must satisfy constraint: [Member must have length less than or equal to 5, "
                "Member must have length greater than or equal to 2, Member must satisfy regular expression pattern: [a-z]*]"
            ],
        ),
        (
            {"Name": "ab", "Modes": ["ON", "x"]},
            [
                "Value '[ON, x]' at 'modes' failed to satisfy constraint: Member must satisfy constraint: [Member must satisfy enum value set: [ON, OFF]]"
            ],
        ),
        ({"Name": "ab", "Tags": [{"Key": "ab"}, {}]}, [NULL.format("tags.2.member.key")]),
        ({"Name": "ab", "Inner": {"Must": "ON", "Self": {}}}, [NULL.format("inner.self.must")]),
        (
            {"Name": "ab", "Labels": {"x": "ab"}},
            [
                "Value '{x=ab}' at 'labels' failed to satisfy constraint: Map keys must satisfy constraint: [Member must have length less than or equal to 5, "
                "Member must have length greater than or equal to 2, Member must satisfy regular expression pattern: [a-z]*]"
            ],
        ),
        (
            {"Count": 0},
            [NULL.format("name"), "Value '0' at 'count' failed to satisfy constraint: Member must have value greater than or equal to 1"],
        ),
        (
            {"Name": "ab", "Data": "QUJDREU="},
            [
                "Value 'java.nio.HeapByteBuffer[pos=0 lim=5 cap=5]' at 'data' failed to satisfy constraint: Member must have length less than or equal to 4"
            ],
        ),
    ],
)
def test_violated_constraints(value: dict[str, Any], violations: list[str]) -> None:
    error = refusal(value)
    noun = "error" if len(violations) == 1 else "errors"
    assert error.code == "ValidationException"
    assert error.message == f"{len(violations)} validation {noun} detected: " + "; ".join(violations)


def test_types_come_before_constraints() -> None:
    assert refusal({"Name": "a", "Count": "1"}).code == "SerializationException"


@pytest.mark.parametrize(
    "value, code",
    [
        ({}, "RepositoryNameRequiredException"),
        ({"repositoryName": ""}, "InvalidRepositoryNameException"),
        ({"repositoryName": "a b"}, "InvalidRepositoryNameException"),
    ],
)
def test_a_service_may_have_codes_of_its_own(value: dict[str, Any], code: str) -> None:
    rules = ServiceRules(members={"repositoryName": MemberErrors("RepositoryNameRequiredException", "InvalidRepositoryNameException")})
    decode = compile_decoder(load_service("codecommit"), "GetRepository", rules=rules)
    with pytest.raises(AwsError) as caught:
        decode(RawRequest("POST", "/", {}, [], {}, json.dumps(value).encode()))
    assert caught.value.code == code
    assert caught.value.message == load_service("codecommit").documentation(code)


@pytest.mark.parametrize(
    "name, operation, body, expected",
    [
        ("sts", "AssumeRole", b"RoleArn=x", "ValidationError: 2 validation errors detected: Value"),
        ("sts", "AssumeRole", b"DurationSeconds=soon", "MalformedInput: 'soon' is not a valid integer"),
        ("sts", "AssumeRole", b"RoleArn.x=1&RoleArn=2", "MalformedInput"),
        ("sts", "AssumeRole", b"PolicyArns.1.arn=x", "MalformedInput: The elements at PolicyArns are named member.N."),
        ("sts", "AssumeRole", b"PolicyArns.member.x.arn=x", "MalformedInput: x is not a valid index at PolicyArns."),
        ("sts", "AssumeRole", b"Policyarns=x", "NotImplemented: Windtunnel does not run sts:AssumeRole with Policyarns yet"),
        ("sts", "AssumeRole", b"\xff=1", "MalformedInput"),
        ("sts", "AssumeRole", b"a=1&" * 9000, "MalformedInput"),
        ("sts", "AssumeRole", b"Policy" + b".x" * 5000 + b"=1", "MalformedInput"),
        ("ec2", "RunInstances", b"ImageId=ami-1", "MissingParameter: The request must contain the parameter MaxCount"),
        (
            "ec2",
            "RunInstances",
            b"MinCount=1&MaxCount=1&InstanceType=t9.huge",
            "InvalidParameterValue: Invalid value 't9.huge' for InstanceType.",
        ),
        ("ec2", "RunInstances", b"MinCount=one", "InvalidParameterValue"),
        (
            "ec2",
            "RunInstances",
            b"MinCount=1&MaxCount=1&Nonsense.1.X=1",
            "NotImplemented: Windtunnel does not run ec2:RunInstances with Nonsense.1 yet",
        ),
    ],
)
def test_forms(name: str, operation: str, body: bytes, expected: str) -> None:
    decode = compile_decoder(load_service(name), operation)
    with pytest.raises(AwsError) as caught:
        decode(RawRequest("POST", "/", {}, [], {}, body))
    assert str(caught.value).startswith(expected)


@pytest.mark.parametrize(
    "operation, query, headers, body, expected",
    [
        (
            "PutBucketVersioning",
            [("versioning", "")],
            {},
            b"<VersioningConfiguration><Status>On</Status></VersioningConfiguration>",
            "MalformedXML",
        ),
        ("PutBucketVersioning", [("versioning", "")], {}, b"", "MissingRequestBodyError"),
        ("PutBucketVersioning", [("versioning", "")], {}, b"<!DOCTYPE x [<!ENTITY a 'b'>]><VersioningConfiguration/>", "MalformedXML"),
        ("PutBucketVersioning", [("versioning", "")], {}, b"<a>" * 10_000, "MalformedXML"),
        ("PutBucketVersioning", [("versioning", "")], {}, b"\xff\xfe", "MalformedXML"),
        (
            "PutBucketVersioning",
            [("versioning", "")],
            {},
            b"<VersioningConfiguration><Status>Enabled</Status><Status>Enabled</Status></VersioningConfiguration>",
            "MalformedXML",
        ),
        (
            "PutBucketVersioning",
            [("versioning", "")],
            {},
            b"<VersioningConfiguration><Nope/></VersioningConfiguration>",
            "NotImplemented: Windtunnel does not run s3:PutBucketVersioning with VersioningConfiguration.Nope yet",
        ),
        ("ListObjectsV2", [("list-type", "2"), ("max-keys", "many")], {}, b"", "InvalidArgument: Provided max-keys is not a valid integer"),
        (
            "ListObjectsV2",
            [("list-type", "2"), ("colour", "red")],
            {},
            b"",
            "NotImplemented: Windtunnel does not run s3:ListObjectsV2 with ?colour yet",
        ),
        (
            "ListObjectsV2",
            [("list-type", "2")],
            {"x-amz-colour": "red"},
            b"",
            "NotImplemented: Windtunnel does not run s3:ListObjectsV2 with x-amz-colour yet",
        ),
    ],
)
def test_rest_xml(operation: str, query: list[tuple[str, str]], headers: dict[str, str], body: bytes, expected: str) -> None:
    decode = compile_decoder(load_service("s3"), operation)
    with pytest.raises(AwsError) as caught:
        decode(RawRequest("PUT", "/b", {"Bucket": "bucket"}, query, headers, body))
    assert str(caught.value).startswith(expected)


@pytest.mark.parametrize(
    "pattern, good, bad",
    [
        (r"^([\p{L}\p{Z}\p{N}_.:/=+\-@]*)$", "Größe 1/2=a_b", "a\tb"),
        (r"[\w-_]*", "a-b_c", "a b"),
        (r"\p{ASCII}*", "abc", "é"),
        (r"[\u0020-\uD7FF\uE000-\uFFFD\uD800\uDC00-\uDBFF\uDFFF\r\n\t]*", "a\U0001f600\n", "\x01"),
    ],
)
def test_javas_patterns(pattern: str, good: str, bad: str) -> None:
    compiled = compiled_pattern(pattern)
    assert compiled is not None
    assert compiled.matches(good)
    assert not compiled.matches(bad)


def test_a_pattern_that_python_cannot_say_is_left_out() -> None:
    assert compiled_pattern(r"[a-z&&[^b]]\p{Alpha}(") is None


@pytest.mark.parametrize(
    "pattern, kept",
    [
        (r"^[ \t]*[\x20-\x7E]+([ \t]+[\x20-\x7E]+)*[ \t]*$", False),
        (r"^[a-z0-9*](?:[._\-/a-z0-9*]?[a-z0-9*]+)*$", False),
        (r"(a+)*", False),
        (r"((a|b)+)+", False),
        (r"((/[A-Za-z0-9\.,\+@=_-]+)*)/", True),
        (r"arn:aws(-[\w]+)*:iam::[0-9]{12}:role/.*", True),
        (r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(\/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*", True),
        (r"^(?:[a-z0-9]+(?:[._-][a-z0-9]*)*/)*[a-z0-9]*(?:[._-][a-z0-9]*)*$", True),
        (r"([a-z]{1,63}\.)*[a-z]+", True),
    ],
)
def test_patterns_that_backtrack_exponentially_are_left_out(pattern: str, kept: bool) -> None:
    assert (compiled_pattern(pattern) is not None) == kept


def test_long_values_are_not_put_to_patterns_of_many_repeats() -> None:
    several, one = compiled_pattern("arn:.+:.+:x"), compiled_pattern("[a-z]*")
    assert several is not None and one is not None
    assert several.longest == 4096 < one.longest

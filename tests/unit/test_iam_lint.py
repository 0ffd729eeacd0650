"""Access Analyzer's findings: each row one policy and the issue codes that it has, no more."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from windtunnel.iam.grammar import validate
from windtunnel.iam.lint import Kind, lint
from windtunnel.iam.source import Malformed, parse, statements
from windtunnel.kernel.errors import AwsError

OK: dict[str, Any] = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::bucket/*"}


def document(*items: dict[str, Any], **top: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(items), **top})


def having(**more: Any) -> str:
    """A statement with some elements changed; None takes one away."""
    return document({name: value for name, value in {**OK, **more}.items() if value is not None})


def under(**condition: Any) -> str:
    return having(Condition=condition)


IDENTITY = [
    pytest.param(document(OK), [], id="nothing is wrong"),
    pytest.param("{", ["JSON_SYNTAX_ERROR"], id="not JSON"),
    pytest.param('{"Version": "2012-10-17", "Statement": [}', ["JSON_SYNTAX_ERROR"], id="not JSON inside"),
    pytest.param("[]", ["DATA_TYPE_MISMATCH"], id="a list"),
    pytest.param(json.dumps({"Statement": [OK]}), ["MISSING_VERSION"], id="no version"),
    pytest.param(document(OK, Version="2020-01-01"), ["INVALID_VERSION"], id="another version"),
    pytest.param(document(OK, Comment="x"), ["INVALID_POLICY_ELEMENT"], id="an element of nobody's"),
    pytest.param(document(), ["MISSING_STATEMENT"], id="no statement"),
    pytest.param(having(Effect=None), ["MISSING_EFFECT"], id="no effect"),
    pytest.param(having(Effect="allow"), ["INVALID_EFFECT"], id="an effect in lower case"),
    pytest.param(having(Action=None), ["MISSING_ACTION"], id="no action"),
    pytest.param(having(Resource=None), ["MISSING_RESOURCE"], id="no resource"),
    pytest.param(having(Action=[]), ["EMPTY_ARRAY_ACTION"], id="an empty list of actions"),
    pytest.param(having(Action=1), ["DATA_TYPE_MISMATCH"], id="a number as action"),
    pytest.param(having(NotAction="s3:Put*"), ["UNSUPPORTED_ELEMENT_COMBINATION"], id="both Action and NotAction"),
    pytest.param(having(Principal="*"), ["UNSUPPORTED_PRINCIPAL"], id="a principal"),
    pytest.param(having(Sid="a-b"), ["UNSUPPORTED_SID"], id="a Sid with a hyphen"),
    pytest.param(having(Sid=""), ["EMPTY_SID_VALUE"], id="an empty Sid"),
    pytest.param(document({**OK, "Sid": "a"}, {**OK, "Sid": "a", "Action": "s3:PutObject"}), ["UNIQUE_SIDS_REQUIRED"], id="a Sid twice"),
    pytest.param(document(OK, {**OK, "Sid": "again"}), ["REDUNDANT_STATEMENT"], id="a statement twice"),
    pytest.param(having(Action="s3:GetObjekt"), ["INVALID_ACTION"], id="an action that is not there"),
    pytest.param(having(Action="s4:GetObject"), ["INVALID_SERVICE_IN_ACTION"], id="a service that is not there"),
    pytest.param(having(Action="s*:GetObject"), ["WILDCARD_IN_SERVICE_NAME"], id="a wildcard in the service"),
    pytest.param(having(Action=["s3:Get*", "s3:GetObject"]), ["REDUNDANT_ACTION"], id="an action that another covers"),
    pytest.param(having(Action=["s3:Get*", "s3:*Object"]), [], id="actions that only meet"),
    pytest.param(having(Resource=["arn:aws:s3:::bucket/*", "arn:aws:s3:::bucket/a"]), ["REDUNDANT_RESOURCE"], id="a resource covered"),
    pytest.param(having(Resource="bucket"), ["INVALID_ARN_PREFIX"], id="no ARN"),
    pytest.param(having(Resource="arn:aws:s3:bucket"), ["MISSING_ARN_FIELD"], id="an ARN with too few fields"),
    pytest.param(having(Resource="arn:amazon:s3:::bucket"), ["INVALID_PARTITION"], id="a partition that is not there"),
    pytest.param(having(Resource="arn:aws:s3:us-east-1::bucket"), ["ARN_REGION_NOT_ALLOWED"], id="a bucket with a region"),
    pytest.param(having(Resource="arn:aws:s3::123456789012:bucket"), ["ARN_ACCOUNT_NOT_ALLOWED"], id="a bucket with an account"),
    pytest.param(
        having(Action="sqs:SendMessage", Resource="arn:aws:sqs::123456789012:q"), ["MISSING_ARN_REGION"], id="a queue without one"
    ),
    pytest.param(having(Action="sqs:SendMessage", Resource="arn:aws:sqs:us-east-1:12:q"), ["INVALID_ARN_ACCOUNT"], id="a short account"),
    pytest.param(having(Action="iam:PassRole", Resource="*"), ["PASS_ROLE_WITH_STAR_IN_RESOURCE"], id="any role"),
    pytest.param(
        having(Action="iam:PassRole", Resource="*", Condition={"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}}),
        [],
        id="any role to one service",
    ),
    pytest.param(
        having(Action="*", Resource="*"),
        ["CREATE_SLR_WITH_STAR_IN_ACTION_AND_RESOURCE", "PASS_ROLE_WITH_STAR_IN_ACTION_AND_RESOURCE"],
        id="everything",
    ),
    pytest.param(having(Effect="Deny", Action="*", Resource="*"), [], id="nothing at all"),
    pytest.param(under(), ["EMPTY_OBJECT_CONDITION"], id="no condition in the element"),
    pytest.param(under(StringIs={"aws:username": "a"}), ["INVALID_CONDITION_OPERATOR"], id="an operator that is not there"),
    pytest.param(under(NullIfExists={"aws:username": "true"}), ["NULL_WITH_IF_EXISTS"], id="Null with IfExists"),
    pytest.param(under(StringEquals={"aws:nobody": "a"}), ["INVALID_GLOBAL_CONDITION_KEY"], id="a global key that is not there"),
    pytest.param(under(StringEquals={"s3:nobody": "a"}), ["INVALID_SERVICE_CONDITION_KEY"], id="a service's key that is not there"),
    pytest.param(under(StringEquals={"nobody": "a"}), ["INVALID_CONDITION_KEY_FORMAT"], id="a key without a service"),
    pytest.param(under(StringEquals={"aws:ResourceTag": "a"}), ["MISSING_TAG_KEY_IN_CONDITION"], id="a tag without its key"),
    pytest.param(under(StringEquals={"aws:username": "a*"}), ["WILDCARD_WITHOUT_LIKE_OPERATOR"], id="a wildcard that is none"),
    pytest.param(under(Bool={"aws:SecureTransport": "yes"}), ["TYPE_MISMATCH_BOOLEAN"], id="a truth that is none"),
    pytest.param(under(DateLessThan={"aws:CurrentTime": "tomorrow"}), ["TYPE_MISMATCH_DATE"], id="a date that is none"),
    pytest.param(under(NumericLessThan={"s3:max-keys": "many"}), ["TYPE_MISMATCH_NUMBER"], id="a number that is none"),
    pytest.param(under(IpAddress={"aws:SourceIp": "here"}), ["TYPE_MISMATCH_IP_RANGE"], id="a range that is none"),
    pytest.param(under(IpAddress={"aws:SourceIp": "10.0.0.0/8"}), ["PRIVATE_IP_ADDRESS"], id="a private range"),
    pytest.param(under(IpAddress={"aws:SourceIp": ["10.0.0.0/8", "8.8.8.0/24"]}), ["PRIVATE_IP_ADDRESS_SUBSET"], id="private in part"),
    pytest.param(under(IpAddress={"aws:SourceIp": "8.8.8.8/24"}), ["IMPROVE_IP_RANGE"], id="bits behind the mask"),
    pytest.param(
        under(**{"ForAllValues:StringEquals": {"aws:username": "a"}}), ["FORALLVALUES_WITH_SINGLE_VALUED_KEY"], id="all of one value"
    ),
    pytest.param(under(**{"ForAllValues:StringEquals": {"aws:TagKeys": ["a"]}}), [], id="all of several values"),
    pytest.param(under(StringEquals={"aws:username": "${aws:userid"}), ["MISSING_BRACE_IN_VARIABLE"], id="a variable without its end"),
    pytest.param(under(StringEquals={"aws:username": "${}"}), ["EMPTY_VARIABLE"], id="an empty variable"),
    pytest.param(under(NumericEquals={"s3:max-keys": "${aws:userid}"}), ["INVALID_VARIABLE_FOR_OPERATOR"], id="a variable as number"),
    pytest.param(having(Action="s3:${aws:username}"), ["VARIABLE_UNSUPPORTED_IN_ELEMENT"], id="a variable as action"),
    pytest.param(
        json.dumps({"Version": "2008-10-17", "Statement": [{**OK, "Resource": "arn:aws:s3:::b/${aws:username}"}]}),
        ["VARIABLE_UNSUPPORTED_IN_VERSION"],
        id="a variable before there were any",
    ),
]


def codes(text: str, kind: Kind) -> list[str]:
    return sorted(finding.code for finding in lint(text, kind))


@pytest.mark.parametrize("text, expected", IDENTITY)
def test_an_identity_policy(text: str, expected: list[str]) -> None:
    assert codes(text, "identity") == expected


@pytest.mark.parametrize(
    "principal, expected",
    [
        pytest.param({"AWS": "123456789012"}, [], id="an account"),
        pytest.param("*", [], id="everyone"),
        pytest.param(None, ["MISSING_PRINCIPAL"], id="nobody"),
        pytest.param("alice", ["INVALID_PRINCIPAL_FORMAT"], id="a bare text"),
        pytest.param({"User": "a"}, ["INVALID_PRINCIPAL_KEY"], id="a kind that is not there"),
        pytest.param({"AWS": "arn:aws:iam::123456789012:user/*"}, ["UNSUPPORTED_WILDCARD_IN_PRINCIPAL"], id="some users"),
        pytest.param({"Service": "ec2"}, ["INVALID_SERVICE_PRINCIPAL_FORMAT"], id="a service by its short name"),
        pytest.param({}, ["EMPTY_OBJECT_PRINCIPAL"], id="an empty object"),
    ],
)
def test_a_resource_policy(principal: Any, expected: list[str]) -> None:
    assert codes(having(Principal=principal), "resource") == expected


def test_a_trust_policy_has_no_resource() -> None:
    trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "ec2.amazonaws.com"}}
    assert codes(document(trust), "trust") == []
    assert codes(document({**trust, "Resource": "*"}), "trust") == ["INVALID_POLICY_ELEMENT"]


def test_a_finding_says_where() -> None:
    text = '{\n  "Version": "2012-10-17",\n  "Statement": [\n    {"Effect": "Allow", "Action": ["s3:Nothing"], "Resource": "*"}\n  ]\n}'
    (found,) = lint(text, "identity")
    (location,) = found.locations
    assert location.path == ("Statement", 0, "Action", 0)
    assert (location.start.line, text[location.start.offset : location.end.offset]) == (4, '"s3:Nothing"')
    assert location.start.column == location.start.offset - text.index("    {")
    assert found.link.endswith("#access-analyzer-reference-policy-checks-error-invalid-action")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=12,
)


@given(JSON, st.sampled_from([None, 1]))
def test_the_reader_reads_as_json_does(value: Any, indent: int | None) -> None:
    text = json.dumps(value, indent=indent)
    node = parse(f" {text}\n")
    assert node.value == value
    assert text == f" {text}\n"[node.start : node.end]


ELEMENTS = st.sampled_from(["Sid", "Effect", "Action", "NotAction", "Resource", "Principal", "Condition", "Other"])
VALUES = st.sampled_from(["Allow", "Deny", "*", "s3:GetObject", "arn:aws:s3:::b/*", "${a", [], ["s3:*", "s3:Get*"], 1, None, {}, {"AWS": "*"},
                          {"StringEquals": {"aws:username": "a"}}, {"Bool": {"x": [True, "y"]}}, {"IpAddress": []}])  # fmt: skip
POLICIES = st.fixed_dictionaries(
    {},
    optional={
        "Version": VALUES | st.just("2012-10-17"),
        "Statement": st.lists(st.dictionaries(ELEMENTS, VALUES, max_size=5), max_size=3) | VALUES,
    },
)


@given(POLICIES, st.sampled_from(["identity", "resource", "trust"]))
@settings(max_examples=300)
def test_whatever_is_written_is_judged_without_a_fall(policy: dict[str, Any], kind: Any) -> None:
    text = json.dumps(policy)
    found = lint(text, kind)
    for finding in found:
        for location in finding.locations:
            assert 0 <= location.start.offset < location.end.offset <= len(text)
    try:
        validate(text, kind)
    except AwsError:
        return
    assert not [
        finding for finding in found if finding.code in ("MISSING_EFFECT", "MISSING_ACTION", "INVALID_EFFECT", "DATA_TYPE_MISMATCH")
    ]


@pytest.mark.parametrize("text", ["", "{", "[1,]", '{"a" 1}', '{"a":}', '"a', "[[" * 200, "nul", '{"a":1,}', "1 2"])
def test_what_is_no_json_has_a_place(text: str) -> None:
    with pytest.raises(Malformed) as wrong:
        parse(text)
    assert 0 <= wrong.value.offset <= len(text)


def test_statements_are_found_alone_and_in_lists() -> None:
    assert len(statements(parse('{"Statement": {"a": 1}}'))) == 1
    assert len(statements(parse('{"Statement": [{"a": 1}, {"b": 2}]}'))) == 2
    assert statements(parse("{}")) == ()

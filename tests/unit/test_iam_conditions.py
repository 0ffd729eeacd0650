"""Condition operators and policy variables, one row for each thing that IAM says of them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from windtunnel.iam.conditions import compile_conditions
from windtunnel.iam.request import Caller, ContextValue, Request

ALICE = Caller("User", "123456789012", "arn:aws:iam::123456789012:user/alice", user_id="AIDAALICE", name="alice", tags={"Team": "blue"})
BINARY = "UG9saWN5"  # "Policy"


def case(sentence: str, block: dict[str, Any], context: dict[str, ContextValue], holds: bool) -> Any:
    return pytest.param(block, context, holds, id=sentence)


@pytest.mark.parametrize(
    "block, context, holds",
    [
        # strings
        case("StringEquals wants the same text", {"StringEquals": {"k": "v"}}, {"k": "v"}, True),
        case("StringEquals minds case", {"StringEquals": {"k": "v"}}, {"k": "V"}, False),
        case("StringEquals takes a star as a star", {"StringEquals": {"k": "v*"}}, {"k": "vv"}, False),
        case("one of several values is enough", {"StringEquals": {"k": ["u", "v"]}}, {"k": "v"}, True),
        case("an empty list of values matches nothing", {"StringEquals": {"k": []}}, {"k": "v"}, False),
        case("a key's name may be in any case", {"StringEquals": {"AWS:Key": "v"}}, {"aws:kEY": "v"}, True),
        case("a missing key fails StringEquals", {"StringEquals": {"k": "v"}}, {}, False),
        case("a missing key passes StringEqualsIfExists", {"StringEqualsIfExists": {"k": "v"}}, {}, True),
        case("a wrong value fails StringEqualsIfExists", {"StringEqualsIfExists": {"k": "v"}}, {"k": "w"}, False),
        case("StringNotEquals wants another text", {"StringNotEquals": {"k": "v"}}, {"k": "w"}, True),
        case("StringNotEquals fails on the same text", {"StringNotEquals": {"k": "v"}}, {"k": "v"}, False),
        case("StringNotEquals refuses each of its values", {"StringNotEquals": {"k": ["u", "v"]}}, {"k": "v"}, False),
        case("a missing key passes StringNotEquals", {"StringNotEquals": {"k": "v"}}, {}, True),
        case("a missing key passes StringNotEqualsIfExists", {"StringNotEqualsIfExists": {"k": "v"}}, {}, True),
        case("StringEqualsIgnoreCase does not mind case", {"StringEqualsIgnoreCase": {"k": "Value"}}, {"k": "vALUE"}, True),
        case("StringNotEqualsIgnoreCase does not mind case", {"StringNotEqualsIgnoreCase": {"k": "Value"}}, {"k": "vALUE"}, False),
        case("StringLike knows the star", {"StringLike": {"k": "refs/heads/*"}}, {"k": "refs/heads/a/b"}, True),
        case("StringLike knows the question mark", {"StringLike": {"k": "v?"}}, {"k": "v1"}, True),
        case("StringLike minds case", {"StringLike": {"k": "V*"}}, {"k": "v1"}, False),
        case("StringLike fails where nothing fits", {"StringLike": {"k": ["a*", "b*"]}}, {"k": "c"}, False),
        case("a star takes the empty text", {"StringLike": {"k": "*"}}, {"k": ""}, True),
        case("StringNotLike is the opposite", {"StringNotLike": {"k": "a*"}}, {"k": "ab"}, False),
        case("a missing key passes StringNotLike", {"StringNotLike": {"k": "a*"}}, {}, True),
        # numbers
        case("NumericEquals compares numbers, not texts", {"NumericEquals": {"k": "10"}}, {"k": "10.0"}, True),
        case("NumericEquals takes a number from the context", {"NumericEquals": {"k": 10}}, {"k": 10}, True),
        case("NumericNotEquals is the opposite", {"NumericNotEquals": {"k": "10"}}, {"k": "10"}, False),
        case("NumericLessThan is strict", {"NumericLessThan": {"k": "10"}}, {"k": 10}, False),
        case("NumericLessThan compares as numbers", {"NumericLessThan": {"k": "10"}}, {"k": "9"}, True),
        case("NumericLessThanEquals takes the limit", {"NumericLessThanEquals": {"k": "10"}}, {"k": 10}, True),
        case("NumericGreaterThan is strict", {"NumericGreaterThan": {"k": "10"}}, {"k": 10}, False),
        case("NumericGreaterThanEquals takes the limit", {"NumericGreaterThanEquals": {"k": "10"}}, {"k": 10}, True),
        case("text is no number", {"NumericLessThan": {"k": "10"}}, {"k": "few"}, False),
        case("nan is no number", {"NumericNotEquals": {"k": "nan"}}, {"k": "nan"}, True),
        case("a missing key fails NumericLessThan", {"NumericLessThan": {"k": "10"}}, {}, False),
        case("a missing key passes NumericLessThanIfExists", {"NumericLessThanIfExists": {"k": "10"}}, {}, True),
        # dates
        case("DateLessThan before the date", {"DateLessThan": {"k": "2030-01-01T00:00:00Z"}}, {"k": "2029-12-31T23:59:59Z"}, True),
        case("DateLessThan is strict", {"DateLessThan": {"k": "2030-01-01T00:00:00Z"}}, {"k": "2030-01-01T00:00:00Z"}, False),
        case("DateLessThanEquals takes the date", {"DateLessThanEquals": {"k": "2030-01-01"}}, {"k": "2030-01-01T00:00:00Z"}, True),
        case("DateGreaterThan after the date", {"DateGreaterThan": {"k": "2030-01-01"}}, {"k": "2030-01-01T00:00:01Z"}, True),
        case("DateGreaterThanEquals before the date", {"DateGreaterThanEquals": {"k": "2030-01-01"}}, {"k": "2029-01-01"}, False),
        case("dates may be seconds", {"DateEquals": {"k": "1577836800"}}, {"k": "2020-01-01T00:00:00Z"}, True),
        case("dates may have zones", {"DateEquals": {"k": "2020-01-01T02:00:00+02:00"}}, {"k": "2020-01-01T00:00:00Z"}, True),
        case("DateNotEquals is the opposite", {"DateNotEquals": {"k": "2020-01-01"}}, {"k": "2020-01-01"}, False),
        case("a context may hold a datetime", {"DateEquals": {"k": "2020-01-01"}}, {"k": datetime(2020, 1, 1, tzinfo=UTC)}, True),
        case("text is no date", {"DateLessThan": {"k": "2020-01-01"}}, {"k": "yesterday"}, False),
        # booleans, binaries
        case("Bool wants the same truth", {"Bool": {"k": "true"}}, {"k": True}, True),
        case("Bool takes JSON booleans", {"Bool": {"k": False}}, {"k": "false"}, True),
        case("Bool does not mind case", {"Bool": {"k": "TRUE"}}, {"k": "True"}, True),
        case("a missing key fails Bool false", {"Bool": {"aws:MultiFactorAuthPresent": "false"}}, {}, False),
        case("a missing key passes BoolIfExists", {"BoolIfExists": {"aws:MultiFactorAuthPresent": "false"}}, {}, True),
        case("BinaryEquals compares the bytes", {"BinaryEquals": {"k": BINARY}}, {"k": b"Policy"}, True),
        case("BinaryEquals sees other bytes", {"BinaryEquals": {"k": BINARY}}, {"k": b"policy"}, False),
        # addresses
        case("an address within a network", {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}, {"aws:SourceIp": "10.1.2.3"}, True),
        case("an address outside of it", {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}, {"aws:SourceIp": "11.1.2.3"}, False),
        case("an address alone is its own network", {"IpAddress": {"aws:SourceIp": "10.1.2.3"}}, {"aws:SourceIp": "10.1.2.3"}, True),
        case("a network with host bits", {"IpAddress": {"aws:SourceIp": "10.1.2.3/8"}}, {"aws:SourceIp": "10.9.9.9"}, True),
        case("version 6", {"IpAddress": {"aws:SourceIp": "2001:db8::/32"}}, {"aws:SourceIp": "2001:db8::1"}, True),
        case("version 4 is not in version 6", {"IpAddress": {"aws:SourceIp": "::/0"}}, {"aws:SourceIp": "10.0.0.1"}, False),
        case("NotIpAddress outside", {"NotIpAddress": {"aws:SourceIp": ["10.0.0.0/8", "192.168.0.0/16"]}}, {"aws:SourceIp": "8.8.8.8"}, True),
        case("NotIpAddress inside one", {"NotIpAddress": {"aws:SourceIp": ["10.0.0.0/8", "192.168.0.0/16"]}}, {"aws:SourceIp": "10.0.0.1"}, False),
        case("a missing address passes NotIpAddress", {"NotIpAddress": {"aws:SourceIp": "10.0.0.0/8"}}, {}, True),
        # ARNs
        case("ArnEquals knows wildcards", {"ArnEquals": {"k": "arn:aws:sns:*:1:t*"}}, {"k": "arn:aws:sns:eu-west-1:1:topic"}, True),
        case("ArnLike compares field by field", {"ArnLike": {"k": "arn:aws:sns:*:topic"}}, {"k": "arn:aws:sns:eu-west-1:1:topic"}, False),
        case("ArnNotLike is the opposite", {"ArnNotLike": {"k": "arn:aws:s3:::b*"}}, {"k": "arn:aws:s3:::bucket"}, False),
        case("a missing key passes ArnNotEquals", {"ArnNotEquals": {"k": "arn:aws:s3:::b"}}, {}, True),
        case("text that is no ARN fails ArnLike", {"ArnLike": {"k": "arn:aws:s3:::*"}}, {"k": "bucket"}, False),
        # Null
        case("Null true wants the key missing", {"Null": {"k": "true"}}, {}, True),
        case("Null true fails on a key that is there", {"Null": {"k": "true"}}, {"k": ""}, False),
        case("Null false wants the key", {"Null": {"k": "false"}}, {"k": "x"}, True),
        case("Null false fails on a missing key", {"Null": {"k": False}}, {}, False),
        case("an empty set of values is Null", {"Null": {"k": "true"}}, {"k": []}, True),
        # sets
        case("ForAllValues: every value must match", {"ForAllValues:StringEquals": {"aws:TagKeys": ["a", "b"]}}, {"aws:TagKeys": ["a", "b"]}, True),
        case("ForAllValues: one stranger fails it", {"ForAllValues:StringEquals": {"aws:TagKeys": ["a", "b"]}}, {"aws:TagKeys": ["a", "c"]}, False),
        case("ForAllValues: a missing key passes", {"ForAllValues:StringEquals": {"aws:TagKeys": "a"}}, {}, True),
        case("ForAllValues: no values pass", {"ForAllValues:StringEquals": {"aws:TagKeys": "a"}}, {"aws:TagKeys": []}, True),
        case("ForAllValues: negated, none may match", {"ForAllValues:StringNotEquals": {"k": "a"}}, {"k": ["a", "b"]}, False),
        case("ForAnyValue: one match is enough", {"ForAnyValue:StringEquals": {"k": ["a"]}}, {"k": ["x", "a"]}, True),
        case("ForAnyValue: no match fails", {"ForAnyValue:StringLike": {"k": ["a*"]}}, {"k": ["x", "y"]}, False),
        case("ForAnyValue: a missing key fails", {"ForAnyValue:StringEquals": {"k": "a"}}, {}, False),
        case("ForAnyValue: negated, a missing key fails too", {"ForAnyValue:StringNotEquals": {"k": "a"}}, {}, False),
        case("ForAnyValue: negated, one other value is enough", {"ForAnyValue:StringNotEquals": {"k": "a"}}, {"k": ["a", "b"]}, True),
        case("ForAnyValue with IfExists lets a missing key pass", {"ForAnyValue:StringEqualsIfExists": {"k": "a"}}, {}, True),
        case("without a set operator one of the values is enough", {"StringEquals": {"k": "a"}}, {"k": ["x", "a"]}, True),
        case("without a set operator no value may match a negated one", {"StringNotEquals": {"k": "a"}}, {"k": ["x", "a"]}, False),
        # together
        case("all keys of an operator must hold", {"StringEquals": {"a": "1", "b": "2"}}, {"a": "1", "b": "3"}, False),
        case("all operators must hold", {"StringEquals": {"a": "1"}, "Bool": {"b": "true"}}, {"a": "1", "b": "false"}, False),
        case("an empty block holds", {}, {}, True),
        # the caller's own keys
        case("aws:username is the caller's", {"StringEquals": {"aws:username": "alice"}}, {}, True),
        case("no context overrides the caller's keys", {"StringEquals": {"aws:username": "bob"}}, {"aws:username": "bob"}, False),
        case("principal tags are found in any case", {"StringEquals": {"aws:PrincipalTag/TEAM": "blue"}}, {}, True),
        case("aws:PrincipalArn", {"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:user/al*"}}, {}, True),
        case("aws:PrincipalAccount", {"StringEquals": {"aws:PrincipalAccount": "123456789012"}}, {}, True),
        case("aws:PrincipalType", {"StringEquals": {"aws:PrincipalType": "User"}}, {}, True),
        case("a user is no AWS service", {"Bool": {"aws:PrincipalIsAWSService": "false"}}, {}, True),
        # variables
        case("a variable is replaced", {"StringEquals": {"k": "home/${aws:username}"}}, {"k": "home/alice"}, True),
        case("a variable's name may be in any case", {"StringLike": {"k": "${AWS:UserName}/*"}}, {"k": "alice/x"}, True),
        case("ABAC: the resource's tag is the caller's", {"StringEquals": {"aws:ResourceTag/team": "${aws:PrincipalTag/Team}"}}, {"aws:ResourceTag/Team": "blue"}, True),
        case("a missing variable matches nothing", {"StringEquals": {"k": "${aws:SourceVpc}"}}, {"k": ""}, False),
        case("a missing variable passes a negated operator", {"StringNotEquals": {"k": "${aws:SourceVpc}"}}, {"k": "x"}, True),
        case("a default stands in", {"StringEquals": {"k": "${aws:PrincipalTag/x, 'none'}"}}, {"k": "none"}, True),
        case("a default is not used if the key is there", {"StringEquals": {"k": "${aws:username, 'none'}"}}, {"k": "none"}, False),
        case("an escaped star is a star", {"StringLike": {"k": "a${*}"}}, {"k": "a*"}, True),
        case("an escaped star is no wildcard", {"StringLike": {"k": "a${*}"}}, {"k": "ab"}, False),
        case("an escaped question mark is no wildcard", {"StringLike": {"k": "a${?}*"}}, {"k": "ab"}, False),
        case("an escaped dollar", {"StringEquals": {"k": "${$}5"}}, {"k": "$5"}, True),
        case("a variable's star is no wildcard", {"StringLike": {"k": "${pattern}"}}, {"pattern": "*", "k": "anything"}, False),
        case("a variable's mark is no wildcard", {"StringLike": {"k": "${pattern}"}}, {"pattern": "\ufdd0", "k": "anything"}, False),
        case("a variable with two values matches nothing", {"StringEquals": {"k": "${many}"}}, {"many": ["a", "b"], "k": "a"}, False),
        case("numbers know no variables", {"NumericEquals": {"k": "${n}"}}, {"n": "1", "k": "1"}, False),
    ],
)  # fmt: skip
def test_condition(block: dict[str, Any], context: dict[str, ContextValue], holds: bool) -> None:
    conditions = compile_conditions(block, variables=True)
    request = Request(ALICE, "s3:GetObject", "*", context)
    assert all(condition(request) for condition in conditions) is holds
    lazy = Request(ALICE, "s3:GetObject", "*", {key.lower(): value for key, value in context.items()}.get)
    assert all(condition(lazy) for condition in conditions) is holds


def test_the_old_policy_version_has_no_variables() -> None:
    (condition,) = compile_conditions({"StringEquals": {"k": "${aws:username}"}}, variables=False)
    assert condition(Request(ALICE, "s3:GetObject", "*", {"k": "${aws:username}"}))

"""The pattern grammar, as the EventBridge user guide and the specification's vectors have it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windtunnel.services.events.patterns import InvalidPattern, compile_pattern

EVENT = {
    "source": "aws.codecommit",
    "detail-type": "CodeCommit Repository State Change",
    "resources": ["arn:aws:codecommit:us-east-1:1:web", "arn:two"],
    "detail": {
        "event": "referenceUpdated",
        "referenceName": "main",
        "count": 3,
        "ratio": 3.0,
        "none": None,
        "empty": "",
        "yes": True,
        "ip": "10.0.0.7",
        "path": "src/app/main.py",
        "people": [{"name": "Ada", "age": 36}, {"name": "Bob", "age": 12}],
        "nested": {"deep": {"state": "A"}},
        "tags": ["x", "y"],
        "nothing": [],
    },
}


def detail(**fields: Any) -> dict[str, Any]:
    return {"detail": fields}


@pytest.mark.parametrize(
    "pattern, expected",
    [
        pytest.param({"source": ["aws.codecommit"]}, True, id="one value"),
        pytest.param({"source": ["aws.s3", "aws.codecommit"]}, True, id="values are OR"),
        pytest.param({"source": ["aws.codecommit"], "detail-type": ["Other"]}, False, id="fields are AND"),
        pytest.param({"source": ["AWS.CodeCommit"]}, False, id="case counts"),
        pytest.param({"account": ["1"]}, False, id="a missing field matches no value"),
        pytest.param({"resources": ["arn:two"]}, True, id="any element of an array"),
        pytest.param({"resources": [{"prefix": "arn:aws:codecommit"}]}, True, id="a filter on any element"),
        pytest.param(detail(referenceName=[{"prefix": "ma"}]), True, id="prefix"),
        pytest.param(detail(referenceName=[{"prefix": {"equals-ignore-case": "MA"}}]), True, id="prefix whatever the case"),
        pytest.param(detail(path=[{"suffix": ".py"}]), True, id="suffix"),
        pytest.param(detail(path=[{"suffix": ".js"}]), False, id="another suffix"),
        pytest.param(detail(referenceName=[{"equals-ignore-case": "MAIN"}]), True, id="equals-ignore-case"),
        pytest.param(detail(path=[{"wildcard": "src/*/main.*"}]), True, id="wildcards"),
        pytest.param(detail(path=[{"wildcard": "src/*main"}]), False, id="a wildcard is anchored"),
        pytest.param(detail(path=[{"wildcard": "*app*app*"}]), False, id="a part is used once"),
        pytest.param(detail(path=[{"wildcard": "src\\*"}]), False, id="an escaped asterisk is itself"),
        pytest.param(detail(referenceName=[{"anything-but": "main"}]), False, id="anything-but the value"),
        pytest.param(detail(referenceName=[{"anything-but": ["a", "b"]}]), True, id="anything-but a list"),
        pytest.param(detail(referenceName=[{"anything-but": {"prefix": "feature/"}}]), True, id="anything-but a prefix"),
        pytest.param(detail(referenceName=[{"anything-but": {"suffix": ["in", "x"]}}]), False, id="anything-but suffixes"),
        pytest.param(detail(referenceName=[{"anything-but": {"wildcard": "m*n"}}]), False, id="anything-but a wildcard"),
        pytest.param(detail(referenceName=[{"anything-but": {"equals-ignore-case": ["MAIN"]}}]), False, id="anything-but in any case"),
        pytest.param(detail(state=[{"anything-but": ["A"]}]), False, id="anything-but does not match a missing field"),
        pytest.param(detail(count=[{"anything-but": [4]}]), True, id="anything-but numbers"),
        pytest.param(detail(count=[{"numeric": ["=", 3]}]), True, id="numeric equality"),
        pytest.param(detail(ratio=[{"numeric": ["=", 3]}]), True, id="numeric equality of 3.0 and 3"),
        pytest.param(detail(count=[{"numeric": [">", 0, "<=", 5]}]), True, id="a numeric range"),
        pytest.param(detail(count=[{"numeric": [">", 3]}]), False, id="greater"),
        pytest.param(detail(referenceName=[{"numeric": [">", 3]}]), False, id="numeric on text"),
        pytest.param(detail(yes=[{"numeric": ["=", 1]}]), False, id="true is no number"),
        pytest.param(detail(count=[3]), True, id="an exact number"),
        pytest.param(detail(ratio=[3]), False, id="exact numbers are compared as written"),
        pytest.param(detail(yes=[True]), True, id="true"),
        pytest.param(detail(count=["3"]), False, id="text is no number"),
        pytest.param(detail(none=[None]), True, id="null"),
        pytest.param(detail(empty=[""]), True, id="the empty string"),
        pytest.param(detail(none=[""]), False, id="null is not the empty string"),
        pytest.param(detail(missing=[None]), False, id="a missing field is not null"),
        pytest.param(detail(referenceName=[{"exists": True}]), True, id="exists"),
        pytest.param(detail(missing=[{"exists": False}]), True, id="does not exist"),
        pytest.param(detail(missing=["x", {"exists": False}]), True, id="a value, or absent"),
        pytest.param({"detail": {"absent": {"below": [{"exists": False}]}}}, True, id="absent below something absent"),
        pytest.param({"detail": {"nested": {"deep": {"state": ["A"]}}}}, True, id="nested objects"),
        pytest.param({"detail": {"nested": {"deep": {"state": ["B"]}}}}, False, id="nested objects differ"),
        pytest.param({"detail": {"people": {"name": ["Bob"], "age": [12]}}}, True, id="one object of an array fits"),
        pytest.param({"detail": {"people": {"name": ["Ada"], "age": [12]}}}, False, id="not two objects together"),
        pytest.param(detail(ip=[{"cidr": "10.0.0.0/24"}]), True, id="cidr"),
        pytest.param(detail(ip=[{"cidr": "10.0.1.0/24"}]), False, id="another network"),
        pytest.param(detail(path=[{"cidr": "10.0.1.0/24"}]), False, id="cidr on what is no address"),
        pytest.param({"$or": [{"source": ["aws.s3"]}, {"detail": {"count": [3]}}]}, True, id="$or"),
        pytest.param({"$or": [{"source": ["aws.s3"]}, {"detail": {"count": [4]}}]}, False, id="$or, none of them"),
        pytest.param({"detail": {"$or": [{"count": [4]}, {"yes": [True]}], "empty": [""]}}, True, id="$or below, AND its neighbours"),
        pytest.param(detail(nothing=["x"]), False, id="an empty array holds nothing"),
    ],
)
def test_matching(pattern: dict[str, Any], expected: bool) -> None:
    assert compile_pattern(json.dumps(pattern))(EVENT) is expected


@pytest.mark.parametrize(
    "text, reason",
    [
        pytest.param("{}", "Empty objects are not allowed", id="empty"),
        pytest.param("[]", "Filter is not an object", id="a list"),
        pytest.param('{"source": "aws.s3"}', '"source" must be an object or an array', id="a bare value"),
        pytest.param('{"source": []}', "Empty arrays are not allowed", id="an empty array"),
        pytest.param('{"source": [[1]]}', "Match value must be String, number, true, false, or null", id="a nested array"),
        pytest.param('{"source": [{"like": "x"}]}', "Unrecognized match type like", id="an unknown filter"),
        pytest.param('{"source": [{"prefix": "x", "suffix": "y"}]}', "Only one key allowed in match expression", id="two filters in one"),
        pytest.param('{"source": [{"prefix": 1}]}', "prefix match pattern must be a string", id="a numeric prefix"),
        pytest.param('{"a": [{"numeric": 3}]}', "Value of numeric must be an array.", id="numeric without array"),
        pytest.param('{"a": [{"numeric": []}]}', "Invalid member in numeric match: ]", id="numeric with nothing"),
        pytest.param('{"a": [{"numeric": ["<", 3, ">", 1]}]}', "Bad numeric range operator: <", id="a range the wrong way"),
        pytest.param('{"a": [{"numeric": [">", 3, ">", 5]}]}', "Bad numeric range operator: >", id="a range with two bottoms"),
        pytest.param('{"a": [{"numeric": [">", 5, "<", 5]}]}', "Bottom must be less than top", id="an empty range"),
        pytest.param('{"a": [{"numeric": ["~", 5]}]}', "Unrecognized numeric range operator: ~", id="an unknown comparison"),
        pytest.param('{"a": [{"numeric": [">", "5"]}]}', "Value of > must be numeric", id="a text bound"),
        pytest.param('{"a": [{"numeric": [">", 6e9]}]}', "Value must be between -5.0E9 and 5.0E9, inclusive", id="a bound too great"),
        pytest.param('{"a": [{"exists": "no"}]}', "exists match pattern must be either true or false.", id="exists with text"),
        pytest.param('{"a": [{"wildcard": "a**b"}]}', "Consecutive wildcard characters at pos 1", id="two asterisks"),
        pytest.param('{"a": [{"wildcard": "a\\\\x"}]}', "Invalid escape character at pos 1", id="an escape of something else"),
        pytest.param('{"a": [{"anything-but": []}]}', "Empty arrays are not allowed", id="anything-but nothing"),
        pytest.param('{"a": [{"anything-but": {"numeric": 1}}]}', "Unsupported anything-but pattern: numeric", id="anything-but numeric"),
        pytest.param('{"a": [{"cidr": "10.0.0.0/99"}]}', "Nonstandard IP address: 10.0.0.0/99", id="no network"),
        pytest.param('{"a": ' * 200 + '["x"]' + "}" * 200, "Event pattern is nested too deeply", id="too deep"),
    ],
)
def test_refusals(text: str, reason: str) -> None:
    with pytest.raises(InvalidPattern) as refused:
        compile_pattern(text)
    assert str(refused.value) == reason


def test_a_broken_pattern_says_that_it_is_no_json() -> None:
    with pytest.raises(InvalidPattern, match="Invalid JSON"):
        compile_pattern("{")


LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8)
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4))
PATTERNS = [
    compile_pattern(json.dumps({"a": {"b": [{"anything-but": "x"}, {"wildcard": "*a*"}, {"numeric": [">", 1]}, {"cidr": "10.0.0.0/8"}]}})),
    compile_pattern(json.dumps({"a": [{"exists": False}, {"prefix": "a"}, {"suffix": "b"}, {"equals-ignore-case": "c"}, None, 1]})),
]


@given(VALUES)
def test_a_pattern_takes_any_event(value: Any) -> None:
    assert all(matches({"a": value}) in (True, False) for matches in PATTERNS)


@given(st.text(alphabet="ab", max_size=12), st.text(alphabet="ab*", max_size=8))
def test_wildcards_agree_with_a_naive_matcher(value: str, pattern: str) -> None:
    while "**" in pattern:
        pattern = pattern.replace("**", "*")
    if not pattern:
        return

    def naive(p: str, v: str) -> bool:
        if not p:
            return not v
        if p[0] == "*":
            return any(naive(p[1:], v[n:]) for n in range(len(v) + 1))
        return bool(v) and v[0] == p[0] and naive(p[1:], v[1:])

    assert compile_pattern(json.dumps({"a": [{"wildcard": pattern}]}))({"a": value}) is naive(pattern, value)

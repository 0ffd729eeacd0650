"""Parameters: what is given, what is meant, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from windtunnel.services.cloudformation.language.errors import TemplateError
from windtunnel.services.cloudformation.language.parameters import Lookup, declared, resolved, values, wanted
from windtunnel.services.cloudformation.language.patterns import compiled_pattern


def one(**members: Any) -> Any:
    return declared({"Parameters": {"P": {"Type": "String", **members}}})


def given(value: str | None = None, previous: bool | None = None, key: str = "P") -> list[dict[str, Any]]:
    entry: dict[str, Any] = {"ParameterKey": key}
    if value is not None:
        entry["ParameterValue"] = value
    if previous is not None:
        entry["UsePreviousValue"] = previous
    return [entry]


def test_the_given_value_goes_before_the_default() -> None:
    parameters = one(Default="d")
    assert values(parameters, [], None) == {"P": "d"}
    assert values(parameters, given("v"), None) == {"P": "v"}
    assert values(parameters, given(""), None) == {"P": ""}
    assert values(parameters, given(), None) == {"P": "d"}


def test_an_update_without_a_value_takes_the_default_and_not_the_previous_value() -> None:
    assert values(one(Default="d"), [], {"P": "before"}) == {"P": "d"}
    assert values(one(Default="d"), given(previous=True), {"P": "before"}) == {"P": "before"}


def test_values_come_in_the_templates_order() -> None:
    parameters = declared({"Parameters": {"B": {"Type": "String"}, "A": {"Type": "String"}}})
    assert list(values(parameters, given("1", key="A") + given("2", key="B"), None)) == ["B", "A"]


REFUSED = [
    pytest.param(one(), [], None, "Parameters: [P] must have values", id="nothing given"),
    pytest.param(one(), given("x", key="Q") + given("x", key="R"), None, "Parameters: [Q, R] do not exist in the template", id="names that are not declared"),
    pytest.param(one(), given(), None, "Parameter P should either have input value or default value", id="an entry without value"),
    pytest.param(one(), given("x", previous=True), {"P": "y"}, "Invalid input for parameter key P. Cannot specify usePreviousValue as true and non empty value for a parameter", id="a value and the previous one"),
    pytest.param(one(), given(previous=True), {}, "Invalid input for parameter key P. Cannot specify usePreviousValue as true for a parameter key not in the previous template", id="a previous value that is not"),
    pytest.param(one(Default="d"), given(previous=True), None, "Invalid input for parameter key P. Cannot specify usePreviousValue as true for a parameter key not in the previous template", id="a previous value of no stack"),
    pytest.param(one(Type="Number"), given("x"), None, "Parameter 'P' must be a number.", id="no number"),
    pytest.param(one(Type="Number", ConstraintDescription="said"), given("x"), None, "Parameter 'P' must be a number.", id="no number, whatever is said of it"),
    pytest.param(one(Type="List<Number>"), given("1, x"), None, "Parameter 'P' must be a number.", id="no list of numbers"),
    pytest.param(one(Type="Number", MinValue=2), given("1"), None, "Parameter 'P' must be a number not less than 2", id="too small"),
    pytest.param(one(Type="Number", MaxValue=2.5), given("3"), None, "Parameter 'P' must be a number not greater than 2.5", id="too great"),
    pytest.param(one(MinLength=3), given("ab"), None, "Parameter 'P' must contain at least 3 characters", id="too short"),
    pytest.param(one(MaxLength="3"), given("abcd"), None, "Parameter 'P' must contain at most 3 characters", id="too long"),
    pytest.param(one(AllowedPattern="[a-z]+"), given("ab1"), None, "Parameter 'P' must match pattern [a-z]+", id="a pattern that only begins to match"),
    pytest.param(one(AllowedPattern="[a-z]+", ConstraintDescription="small letters"), given("A"), None, "Parameter P failed to satisfy constraint: small letters", id="a pattern in words"),
    pytest.param(one(AllowedValues=["a", 1, True]), given("b"), None, "Parameter 'P' must be one of AllowedValues", id="what is not allowed"),
    pytest.param(one(Type="CommaDelimitedList", AllowedValues=["a", "b"]), given("a,c"), None, "Parameter 'P' must be one of AllowedValues", id="an item that is not allowed"),
    pytest.param(one(), given("x" * 4097), None, "Parameter 'P' value length is greater than 4096.", id="4097 letters"),
]  # fmt: skip


@pytest.mark.parametrize("parameters, entries, previous, message", REFUSED)
def test_what_is_refused(parameters: Any, entries: Any, previous: Any, message: str) -> None:
    with pytest.raises(TemplateError) as raised:
        values(parameters, entries, previous)
    assert raised.value.message == message


@pytest.mark.parametrize(
    "members, value",
    [
        pytest.param({"AllowedValues": ["a", 1, True]}, "true", id="a boolean among the allowed values"),
        pytest.param({"AllowedValues": ["a", 1, True]}, "1", id="a number among the allowed values"),
        pytest.param({"Type": "Number", "MinValue": -1, "MaxValue": 1}, "-0.5", id="a fraction"),
        pytest.param({"Type": "Number"}, "1e3", id="an exponent"),
        pytest.param({"Type": "Number"}, "080", id="a leading zero"),
        pytest.param({"AllowedPattern": "^$|^[a-z]$"}, "", id="an empty text that a pattern allows"),
        pytest.param({"Type": "CommaDelimitedList", "AllowedValues": ["a", "b"]}, "a, b", id="items with spaces"),
        pytest.param({"Type": "AWS::SSM::Parameter::Value<List<String>>"}, "/a", id="the name of an SSM parameter"),
        pytest.param({"MaxLength": 4096}, "x" * 4096, id="4096 letters"),
    ],
)
def test_what_is_taken_stays_as_it_was_given(members: dict[str, Any], value: str) -> None:
    assert values(one(**members), given(value), None) == {"P": value}


@pytest.mark.parametrize(
    "kind, value, lookup",
    [
        pytest.param("String", "x", None, id="a text"),
        pytest.param("CommaDelimitedList", "x,y", None, id="a list"),
        pytest.param("AWS::EC2::VPC::Id", "vpc-1", Lookup("P", "AWS::EC2::VPC::Id", ["vpc-1"]), id="a VPC"),
        pytest.param("List<AWS::EC2::Subnet::Id>", "a, b", Lookup("P", "AWS::EC2::Subnet::Id", ["a", "b"]), id="subnets"),
        pytest.param("AWS::SSM::Parameter::Name", "/a", Lookup("P", "AWS::SSM::Parameter::Name", ["/a"]), id="the name of a parameter"),
        pytest.param("AWS::SSM::Parameter::Value<String>", "/a", Lookup("P", "ssm", ["/a"]), id="the value of a parameter"),
        pytest.param("AWS::SSM::Parameter::Value<AWS::EC2::Image::Id>", "/ami", Lookup("P", "ssm", ["/ami"], "AWS::EC2::Image::Id"), id="an image by a parameter"),
        pytest.param("AWS::SSM::Parameter::Value<List<AWS::EC2::Subnet::Id>>", "/s", Lookup("P", "ssm", ["/s"], "AWS::EC2::Subnet::Id"), id="subnets by a parameter"),
    ],
)  # fmt: skip
def test_what_must_be_looked_up(kind: str, value: str, lookup: Lookup | None) -> None:
    assert wanted(one(Type=kind), {"P": value}) == ([] if lookup is None else [lookup])


@pytest.mark.parametrize(
    "kind, value, reference",
    [
        pytest.param("String", " x, y ", " x, y ", id="a text"),
        pytest.param("Number", "080", "080", id="a number is text"),
        pytest.param("CommaDelimitedList", " x, y ,", ["x", "y", ""], id="a list is trimmed"),
        pytest.param("CommaDelimitedList", "", [""], id="a list of nothing"),
        pytest.param("List<Number>", "1, 2", ["1", "2"], id="numbers"),
        pytest.param("List<AWS::EC2::Subnet::Id>", "a,b", ["a", "b"], id="subnets"),
        pytest.param("AWS::SSM::Parameter::Name", "/a", "/a", id="the name of a parameter"),
        pytest.param("AWS::SSM::Parameter::Value<String>", "/a", "live, value", id="a live value"),
        pytest.param("AWS::SSM::Parameter::Value<List<String>>", "/a", ["live", "value"], id="a live list"),
        pytest.param("AWS::SSM::Parameter::Value<CommaDelimitedList>", "/a", ["live", "value"], id="a live comma delimited list"),
    ],
)
def test_what_ref_gives(kind: str, value: str, reference: Any) -> None:
    assert resolved(one(Type=kind), {"P": value}, {"/a": "live, value"}) == {"P": reference}


def test_an_ssm_parameter_that_is_not_there() -> None:
    with pytest.raises(TemplateError, match=r"^Unable to fetch parameters \[/b\] from parameter store for this account\.$"):
        resolved(one(Type="AWS::SSM::Parameter::Value<String>"), {"P": "/b"}, {"/a": "x"})


@pytest.mark.parametrize(
    "pattern, yes, no",
    [
        pytest.param(r"[\w-\+]+@\w+", ["a-b+c@d"], ["a b@c"], id="a hyphen beside a class stands for itself"),
        pytest.param(r"[a-z&&[^aeiou]]+", ["bcd"], ["abc"], id="an intersection"),
        pytest.param(r"[a-c[x-z]]+", ["ax"], ["m"], id="a union"),
        pytest.param(r"[^[ab]]", ["c"], ["a"], id="not of a union"),
        pytest.param(r"\p{Alpha}[\p{Alnum}_-]*", ["a-9_"], ["9"], id="classes by name"),
        pytest.param(r"\P{Digit}+", ["abc"], ["a1"], id="not of a class by name"),
        pytest.param(r"[]a]+", ["]a"], ["b"], id="a bracket that comes first"),
        pytest.param(r"(?<year>\d{4})-\Qa.b\E", ["2026-a.b"], ["2026-axb"], id="a named group and a quotation"),
        pytest.param(r"[^-]|[a-]", ["a", "-"], ["ab"], id="a hyphen at the edge"),
        pytest.param(r"\d+", ["12"], ["١٢"], id="digits are ASCII"),
        pytest.param(r"[a-z]{1,64}(-[a-z]{1,64}){0,10}", ["ab-cd"], ["ab--c"], id="repetitions of repetitions"),
        pytest.param(r"(a++)b", ["aab"], ["b"], id="possessive"),
    ],
)
def test_a_pattern_is_javas(pattern: str, yes: list[str], no: list[str]) -> None:
    compiled = compiled_pattern("P", pattern)
    assert [compiled.matches(text) for text in [*yes, *no]] == [True] * len(yes) + [False] * len(no)


def test_a_pattern_that_would_take_years_is_given_up() -> None:
    parameters = one(AllowedPattern="^(([a-z])+.)+[A-Z]([a-z])+$")
    with pytest.raises(TemplateError, match="^Parameter 'P' AllowedPattern takes too long to match.$"):
        values(parameters, given("a" * 4000), None)


@pytest.mark.parametrize("pattern", ["[", "(", "*", "\\", "[a", r"\p{Foo}", "[z-a]", "[a&&", "[[[[", "(?<n"])
def test_a_pattern_that_is_none(pattern: str) -> None:
    with pytest.raises(TemplateError, match="^Parameter 'P' AllowedPattern must be a valid regular expression.$"):
        one(AllowedPattern=pattern)

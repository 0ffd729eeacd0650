"""From text to template: YAML's quirks as AWS has them, lines, and dynamic references."""

from __future__ import annotations

import json
from typing import Any

import pytest

from windtunnel.services.cloudformation.language.dynamic import DynamicReference, dynamic_references, replace
from windtunnel.services.cloudformation.language.errors import TemplateError
from windtunnel.services.cloudformation.language.lines import line_of
from windtunnel.services.cloudformation.language.parse import parse
from windtunnel.services.cloudformation.language.scalars import text_of


@pytest.mark.parametrize(
    "written, value, printed",
    [
        pytest.param("2010-09-09", "2010-09-09", "2010-09-09", id="a date is text"),
        pytest.param("2010-09-09T10:00:00Z", "2010-09-09T10:00:00Z", "2010-09-09T10:00:00Z", id="a time is text"),
        pytest.param("yes", True, "true", id="yes is true"),
        pytest.param("NO", False, "false", id="NO is false"),
        pytest.param("on", True, "true", id="on is true"),
        pytest.param("y", "y", "y", id="y is text"),
        pytest.param("'yes'", "yes", "yes", id="a quoted yes is text"),
        pytest.param("0300", 192, "192", id="a leading zero is octal"),
        pytest.param("012345678901", 12345678901.0, "1.2345678901E10", id="no octal number is a float"),
        pytest.param("'012345678901'", "012345678901", "012345678901", id="a quoted account stays"),
        pytest.param("080", 80.0, "80.0", id="eighty with a zero is a float"),
        pytest.param("1.10", 1.1, "1.1", id="a version loses its zero"),
        pytest.param("1.10.0", "1.10.0", "1.10.0", id="a version of three parts is text"),
        pytest.param("22:22", 1342, "1342", id="ports are counted in sixties"),
        pytest.param("0x1F", 31, "31", id="hexadecimal"),
        pytest.param("0b101", 5, "5", id="binary"),
        pytest.param("1_000", 1000, "1000", id="underscores in numbers"),
        pytest.param("-5", -5, "-5", id="a negative number"),
        pytest.param("1e3", 1000.0, "1000.0", id="an exponent"),
        pytest.param("12345678.0", 12345678.0, "1.2345678E7", id="ten million and more has an exponent"),
        pytest.param("0.0001", 0.0001, "1.0E-4", id="less than a thousandth has an exponent"),
        pytest.param("0.001", 0.001, "0.001", id="a thousandth has none"),
        pytest.param(".inf", "Infinity", "Infinity", id="infinity has no form in JSON"),
        pytest.param("123456789012345678901234567890", "123456789012345678901234567890", "123456789012345678901234567890", id="too long for a number"),
        pytest.param("!!str 080", "080", "080", id="told to be text"),
        pytest.param("! 080", "080", "080", id="told not to be looked at"),
        pytest.param("10.0.0.0/16", "10.0.0.0/16", "10.0.0.0/16", id="a block of addresses"),
        pytest.param("arn:aws:s3:::b", "arn:aws:s3:::b", "arn:aws:s3:::b", id="an ARN"),
    ],
)  # fmt: skip
def test_a_scalar(written: str, value: Any, printed: str) -> None:
    read = parse(f"V: {written}")["V"]
    assert (read, type(read), text_of(read)) == (value, type(value), printed)


@pytest.mark.parametrize(
    "written, value",
    [
        pytest.param("!Ref A", {"Ref": "A"}, id="Ref"),
        pytest.param("!Condition A", {"Condition": "A"}, id="Condition"),
        pytest.param("!GetAtt A.B.C", {"Fn::GetAtt": ["A", "B.C"]}, id="GetAtt splits at the first dot"),
        pytest.param("!GetAtt [A, !Ref B]", {"Fn::GetAtt": ["A", {"Ref": "B"}]}, id="GetAtt in a list"),
        pytest.param("!GetAZs", {"Fn::GetAZs": ""}, id="GetAZs of nothing"),
        pytest.param("!Sub 5", {"Fn::Sub": "5"}, id="what a tag is put on is text"),
        pytest.param("!If [A, !Ref B, 1]", {"Fn::If": ["A", {"Ref": "B"}, 1]}, id="functions in functions"),
        pytest.param("!Transform {Name: 'AWS::Include', Parameters: {Location: x}}", {"Fn::Transform": {"Name": "AWS::Include", "Parameters": {"Location": "x"}}}, id="Transform"),
        pytest.param("\n  !Sub |\n    a\n    b\n", {"Fn::Sub": "a\nb\n"}, id="a block"),
        pytest.param("\n  Fn::Base64:\n    !Sub x", {"Fn::Base64": {"Fn::Sub": "x"}}, id="a short form under a long one"),
    ],
)  # fmt: skip
def test_a_short_form_is_its_long_form(written: str, value: Any) -> None:
    assert parse(f"V: {written}") == {"V": value}


def test_of_two_equal_keys_the_last_wins() -> None:
    assert parse("A: 1\nB: 2\nA: 3") == parse('{"B": 2, "A": 1, "A": 3}') == {"A": 3, "B": 2}


def test_an_alias_is_what_it_stands_for() -> None:
    assert parse("A: &a [1, !Ref X]\nB: *a\nC: [*a]") == {"A": [1, {"Ref": "X"}], "B": [1, {"Ref": "X"}], "C": [[1, {"Ref": "X"}]]}


def test_a_byte_order_mark_is_not_seen() -> None:
    assert parse('\ufeff{"A": 1}') == parse("\ufeffA: 1") == {"A": 1}


def test_json_numbers_are_as_in_yaml() -> None:
    big = 2**70
    assert parse(json.dumps({"a": 1.5, "b": 3, "c": big})) == {"a": 1.5, "b": 3, "c": str(big)}


TEMPLATE = """\
Parameters:
  Env: {Type: String}
Resources:
  Web:
    Type: AWS::EC2::Instance
    Properties:
      ImageId: ami-1
      Tags:
        - Key: Name
          Value: !Sub
            - '${a}'
            - a: !Ref Env
      UserData:
        Fn::Base64: !Join ['', [a, b]]
"""


@pytest.mark.parametrize(
    "pointer, line",
    [
        pytest.param(("Resources",), 3, id="a section"),
        pytest.param(("Resources", "Web"), 4, id="a resource"),
        pytest.param(("Resources", "Web", "Properties", "ImageId"), 7, id="a property"),
        pytest.param(("Resources", "Web", "Properties", "Tags", "0", "Value"), 10, id="within a list"),
        pytest.param(("Resources", "Web", "Properties", "Tags", 0, "Value", "Fn::Sub", 1, "a"), 12, id="within a short form"),
        pytest.param(("Resources", "Web", "Properties", "UserData", "Fn::Base64", "Fn::Join", 1), 14, id="a short form under a long one"),
        pytest.param(("Resources", "Web", "Properties", "Nothing", "Deep"), 6, id="as far as there is something"),
        pytest.param(("Outputs",), None, id="nothing of it"),
        pytest.param((), None, id="no pointer"),
    ],
)
def test_the_line_of_a_pointer(pointer: tuple[str | int, ...], line: int | None) -> None:
    assert line_of(TEMPLATE, pointer) == line


def test_the_line_of_a_pointer_in_json() -> None:
    text = json.dumps(parse(TEMPLATE), indent="\t")
    line = line_of(text, ("Resources", "Web", "Properties", "ImageId"))
    assert line is not None
    assert '"ImageId"' in text.splitlines()[line - 1]


def test_what_is_no_template_has_no_lines() -> None:
    assert line_of("a: [", ("a",)) is None


ARN = "arn:aws:secretsmanager:us-east-1:123456789012:secret:db-AbCdEf"


@pytest.mark.parametrize(
    "text, reference",
    [
        pytest.param("{{resolve:ssm:/a/b}}", DynamicReference("ssm", "/a/b"), id="a parameter"),
        pytest.param("{{resolve:ssm:/a/b:7}}", DynamicReference("ssm", "/a/b", "7"), id="a parameter's version"),
        pytest.param("{{resolve:ssm-secure:pw:10}}", DynamicReference("ssm-secure", "pw", "10"), id="a secure parameter"),
        pytest.param(
            "{{resolve:ssm:arn:aws:ssm:us-east-1:123456789012:parameter/a}}",
            DynamicReference("ssm", "arn:aws:ssm:us-east-1:123456789012:parameter/a"),
            id="a parameter of another account",
        ),
        pytest.param("{{resolve:secretsmanager:db}}", DynamicReference("secretsmanager", "db"), id="a secret"),
        pytest.param(
            "{{resolve:secretsmanager:db:SecretString:password}}",
            DynamicReference("secretsmanager", "db", json_key="password"),
            id="a secret's member",
        ),
        pytest.param(
            "{{resolve:secretsmanager:db:SecretString:password:AWSPREVIOUS}}",
            DynamicReference("secretsmanager", "db", json_key="password", stage="AWSPREVIOUS"),
            id="a secret's stage",
        ),
        pytest.param(
            "{{resolve:secretsmanager:db:SecretString:password::v1}}",
            DynamicReference("secretsmanager", "db", "v1", "password"),
            id="a secret's version",
        ),
        pytest.param(
            f"{{{{resolve:secretsmanager:{ARN}:SecretString:user}}}}",
            DynamicReference("secretsmanager", ARN, json_key="user"),
            id="a secret by its ARN",
        ),
    ],
)
def test_a_dynamic_reference(text: str, reference: DynamicReference) -> None:
    (found,) = dynamic_references(f"x {text} y")
    assert found.text == text
    assert DynamicReference(found.service, found.name, found.version, found.json_key, found.stage) == reference


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("{{resolve:s3:x}}", id="an unknown service"),
        pytest.param("{{resolve:ssm:}}", id="no name"),
        pytest.param("{{resolve:secretsmanager:db:SecretBinary:x}}", id="binary"),
        pytest.param("{{resolve:secretsmanager:db:SecretString:k:stage:version}}", id="a stage and a version"),
    ],
)
def test_a_malformed_dynamic_reference(text: str) -> None:
    with pytest.raises(TemplateError):
        dynamic_references(text)


def test_references_are_replaced_where_they_stand() -> None:
    text = "a={{resolve:ssm:a}} b={{resolve:ssm:b:2}} {{other}}"
    assert replace(text, lambda reference: f"<{reference.name}{reference.version}>") == "a=<a> b=<b2> {{other}}"
    assert dynamic_references("plain") == []

"""What can never come true is said before anything is made; what a resource may still bring is waited for."""

from __future__ import annotations

from typing import Any

import pytest

from windtunnel.services.cloudformation.language.environment import Environment
from windtunnel.services.cloudformation.language.errors import TemplateError
from windtunnel.services.cloudformation.language.resolve import resolve
from windtunnel.services.cloudformation.language.scope import Scope
from windtunnel.services.cloudformation.reading import Understood, whole

ENV = Environment(account="000000000000", region="us-east-1", stack_name="s", stack_id="arn", partition="aws")


def read(properties: str, type_name: str = "AWS::SQS::Queue", given: str = "a,b") -> Any:
    text = f"""
Parameters: {{List: {{Type: CommaDelimitedList}}, Key: {{Type: String, Default: b}}}}
Mappings: {{M: {{a: {{x: y}}}}}}
Resources:
  Other: {{Type: AWS::SNS::Topic}}
  It: {{Type: {type_name}, Properties: {properties}}}
"""
    return whole(text, [{"ParameterKey": "List", "ParameterValue": given}], None, None, ENV)


@pytest.mark.parametrize(
    ("properties", "message"),
    [
        pytest.param("{QueueName: !Select [5, [a]]}", "Fn::Select cannot select nonexistent value at index 5", id="of a literal list"),
        pytest.param("{QueueName: !Select [2, !Ref List]}", "Fn::Select cannot select nonexistent value at index 2", id="of a parameter"),
        pytest.param(
            "{Tags: [{Key: a, Value: !Sub ['${V}', {V: !Select [2, !Ref List]}]}]}",
            "Fn::Select cannot select nonexistent value at index 2",
            id="deep inside",
        ),
        pytest.param("{QueueName: !FindInMap [M, !Ref Key, x]}", "Unable to get mapping for M::b::x", id="a mapping by a parameter"),
        pytest.param(
            "{QueueName: 'q-{{resolve:ssm-secure:name:1}}'}",
            "SSM Secure reference is not supported in: [AWS::SQS::Queue/Properties/QueueName]",
            id="a secure string where it would be seen",
        ),
        pytest.param(
            "{Tags: [{Key: k, Value: {'Fn::Sub': '{{resolve:ssm-secure:name}}'}}]}",
            "SSM Secure reference is not supported in: [AWS::SQS::Queue/Properties/Tags/Value]",
            id="a secure string within a function",
        ),
    ],
)
def test_what_cannot_be_is_refused(properties: str, message: str) -> None:
    with pytest.raises(TemplateError) as raised:
        read(properties)
    assert message in raised.value.message


@pytest.mark.parametrize(
    ("properties", "type_name"),
    [
        pytest.param("{QueueName: !Select [9, !Split [':', !Ref Other]]}", "AWS::SQS::Queue", id="of what a resource will be called"),
        pytest.param("{QueueName: !Select [9, !Split [':', !ImportValue e]]}", "AWS::SQS::Queue", id="of an import"),
        pytest.param("{QueueName: !Select [1, !Ref List]}", "AWS::SQS::Queue", id="within the list"),
        pytest.param("{LoginProfile: {Password: '{{resolve:ssm-secure:p}}'}}", "AWS::IAM::User", id="a password that may be secure"),
    ],
)
def test_what_may_be_is_not(properties: str, type_name: str) -> None:
    assert isinstance(read(properties, type_name), Understood)


def nested(levels: int, wrap: Any) -> Any:
    value: Any = '"' * 10
    for _ in range(levels):
        value = wrap(value)
    return value


@pytest.mark.parametrize(
    ("name", "bomb"),
    [
        pytest.param("Fn::Sub", nested(20, lambda inner: {"Fn::Sub": ["${b}" * 10, {"b": inner}]}), id="substitutions"),
        pytest.param("Fn::Join", {"Fn::Join": ["", [{"Ref": "Long"}] * 300]}, id="a joined parameter"),
        pytest.param("Fn::Join", {"Fn::Join": [{"Ref": "Long"}, ["a"] * 300]}, id="a long delimiter"),
        pytest.param("Fn::Join", {"Fn::Join": ["", [1, *([{"Ref": "Long"}] * 300)]]}, id="joined with a number"),
        pytest.param("Fn::Base64", nested(90, lambda inner: {"Fn::Base64": inner}), id="base64 of base64"),
        pytest.param("Fn::ToJsonString", nested(40, lambda inner: {"Fn::ToJsonString": [inner]}), id="JSON in JSON"),
    ],
)
def test_a_small_template_makes_no_huge_value(name: str, bomb: Any) -> None:
    with pytest.raises(TemplateError, match=f"the value of {name} is longer than 1048576 characters"):
        resolve(bomb, Scope(parameters={"Long": "x" * 4096}, env=ENV))


def test_what_is_never_closed_is_text() -> None:
    assert resolve({"Fn::Sub": "${" * 25_000}, Scope(parameters={}, env=ENV)) == "${" * 25_000
    assert resolve({"Fn::Sub": "${AWS::Region}" + "${" * 25_000}, Scope(parameters={}, env=ENV)) == "us-east-1" + "${" * 25_000

"""Functions and their values."""

from __future__ import annotations

from typing import Any

import pytest

from windtunnel.services.cloudformation.language.environment import Environment
from windtunnel.services.cloudformation.language.parse import parse
from windtunnel.services.cloudformation.language.resolve import NO_VALUE, UNKNOWN, Scope, compiled, resolve

STACK = "arn:aws:cloudformation:eu-west-1:123456789012:stack/web/51af3dc0"
ENV = Environment(
    "123456789012",
    "eu-west-1",
    "web",
    STACK,
    notification_arns=["arn:aws:sns:eu-west-1:123456789012:ops"],
    zones={"eu-west-1": ["eu-west-1a", "eu-west-1b", "eu-west-1c"], "us-east-1": ["us-east-1a"]},
)
PARAMETERS = {"Env": "prod", "Count": "2", "Subnets": ["subnet-1", "subnet-2"], "Empty": "", "Secret": "{{resolve:ssm:/db/password:3}}"}
MAPPINGS = {"Sizes": {"prod": {"Type": "m5.large", "Zones": ["a", "b"], "Number": 3}, "eu-west-1": {"Ami": "ami-1"}}}
UNRESOLVED = {"Later", "Later.Arn"}


def ref(name: str) -> Any:
    return UNKNOWN if name in UNRESOLVED else f"{name.lower()}-id"


def attribute(name: str, key: str) -> Any:
    if name == "Later":
        return UNKNOWN
    return ["ns-1", "ns-2"] if key == "NameServers" else f"arn:{name}:{key}"


def dynamic(text: str) -> str:
    return text.replace("{{resolve:ssm:/db/password:3}}", "hunter2")


SCOPE = Scope(
    PARAMETERS,
    ENV,
    {"IsProd": True, "IsTest": False},
    MAPPINGS,
    refs=ref,
    attributes=attribute,
    imports=lambda name: f"imported {name}",
    dynamic=dynamic,
)


def value_of(written: str) -> Any:
    """The value of a property as YAML writes it."""
    return resolve(parse(f"V: {written}")["V"], SCOPE)


def row(sentence: str, written: str, value: Any) -> Any:
    return pytest.param(written, value, id=sentence)


@pytest.mark.parametrize(
    "written, value",
    [
        row("what holds no function is itself", "{a: [1, 2.5, true, text]}", {"a": [1, 2.5, True, "text"]}),
        row("a parameter", "!Ref Env", "prod"),
        row("a list parameter is a list", "!Ref Subnets", ["subnet-1", "subnet-2"]),
        row("a resource", "!Ref Web", "web-id"),
        row("the account", "!Ref 'AWS::AccountId'", "123456789012"),
        row("the region", "!Ref 'AWS::Region'", "eu-west-1"),
        row("the partition", "!Ref 'AWS::Partition'", "aws"),
        row("the stack's name", "!Ref 'AWS::StackName'", "web"),
        row("the stack's ARN", "!Ref 'AWS::StackId'", STACK),
        row("the suffix of URLs", "!Ref 'AWS::URLSuffix'", "amazonaws.com"),
        row("the notification topics", "!Ref 'AWS::NotificationARNs'", ["arn:aws:sns:eu-west-1:123456789012:ops"]),
        row("no value takes its key away", "{a: 1, b: !Ref 'AWS::NoValue'}", {"a": 1}),
        row("no value takes its item away", "[a, !Ref 'AWS::NoValue', b]", ["a", "b"]),
        row("no value at the very top", "!Ref 'AWS::NoValue'", NO_VALUE),
        row("an attribute, short", "!GetAtt Web.Arn", "arn:Web:Arn"),
        row("an attribute with dots", "!GetAtt Nested.Outputs.Url", "arn:Nested:Outputs.Url"),
        row("an attribute in a list", "!GetAtt [Web, Arn]", "arn:Web:Arn"),
        row("an attribute, long, as text", "{'Fn::GetAtt': Web.Arn}", "arn:Web:Arn"),
        row("an attribute that a parameter names", "{'Fn::GetAtt': [Web, !Ref Env]}", "arn:Web:prod"),
        row("an attribute that is a list", "!GetAtt Zone.NameServers", ["ns-1", "ns-2"]),
        row("a substitution", "!Sub 'x-${Env}-${Web}-${Web.Arn}'", "x-prod-web-id-arn:Web:Arn"),
        row("pseudo parameters in a substitution", "!Sub '${AWS::Region}/${AWS::AccountId}'", "eu-west-1/123456789012"),
        row("a literal in a substitution", "!Sub '${!Env} ${Env}'", "${Env} prod"),
        row("a dollar without brace", "!Sub '$Env $$ {Env} $${Env}'", "$Env $$ {Env} $prod"),
        row("own variables go first", "!Sub ['${Env}-${n}', {Env: test, n: 5}]", "test-5"),
        row("own variables by functions", "!Sub ['${z}', {z: !Select [1, !Ref Subnets]}]", "subnet-2"),
        row("a substitution without variables", "!Sub plain", "plain"),
        row("no value in a substitution is nothing", "!Sub 'a${AWS::NoValue}b'", "ab"),
        row("booleans and numbers in a substitution", "!Sub ['${a} ${b} ${c}', {a: true, b: 1.50, c: 10}]", "true 1.5 10"),
        row("a join", "!Join ['-', [a, !Ref Env, b]]", "a-prod-b"),
        row("a join by nothing", "!Join ['', [a, b]]", "ab"),
        row("a join of a list parameter", "!Join [',', !Ref Subnets]", "subnet-1,subnet-2"),
        row("a join of numbers and booleans", "!Join [' ', [1, 2.0, true, false, 1e10, 0.0001]]", "1 2.0 true false 1.0E10 1.0E-4"),
        row("a join leaves no value out", "!Join ['-', [a, !Ref 'AWS::NoValue', b]]", "a-b"),
        row("a join of nothing", "!Join ['-', []]", ""),
        row("a split keeps what is empty", "!Split [',', ',a,,b,']", ["", "a", "", "b", ""]),
        row("a split by more than a letter", "!Split ['||', 'a||b|c']", ["a", "b|c"]),
        row("a select by number", "!Select [1, [a, b]]", "b"),
        row("a select by text", "!Select ['1', [a, b]]", "b"),
        row("a select by parameter", "!Select [!Ref Count, !GetAZs '']", "eu-west-1c"),
        row("a select of a split", "!Select [2, !Split [':', !GetAtt Web.Arn]]", "Arn"),
        row("a select looks only at what it takes", "!Select [0, [a, !Ref Later]]", "a"),
        row("a mapping", "!FindInMap [Sizes, !Ref Env, Type]", "m5.large"),
        row("a mapping's list", "!FindInMap [Sizes, prod, Zones]", ["a", "b"]),
        row("a mapping's number", "!FindInMap [Sizes, prod, Number]", 3),
        row("a mapping by region", "!FindInMap [Sizes, !Ref 'AWS::Region', Ami]", "ami-1"),
        row("a mapping in a mapping", "!FindInMap [Sizes, !Select [0, [prod]], !Join ['', [Ty, pe]]]", "m5.large"),
        row("a mapping's default", "!FindInMap [Sizes, test, Type, {DefaultValue: t3.micro}]", "t3.micro"),
        row("a default that is a function", "!FindInMap [None, test, Type, {DefaultValue: !Ref Env}]", "prod"),
        row("a default that is not needed", "!FindInMap [Sizes, prod, Type, {DefaultValue: t3.micro}]", "m5.large"),
        row("base64", "!Base64 'héllo'", "aMOpbGxv"),
        row("base64 of a substitution", "{'Fn::Base64': !Sub '${Env}'}", "cHJvZA=="),
        row("zones of this region", "!GetAZs ''", ["eu-west-1a", "eu-west-1b", "eu-west-1c"]),
        row("zones of another region", "!GetAZs us-east-1", ["us-east-1a"]),
        row("zones by the region's name", "{'Fn::GetAZs': !Ref 'AWS::Region'}", ["eu-west-1a", "eu-west-1b", "eu-west-1c"]),
        row("zones of no region", "!GetAZs nowhere", []),
        row("blocks", "!Cidr [10.0.0.0/16, 3, 8]", ["10.0.0.0/24", "10.0.1.0/24", "10.0.2.0/24"]),
        row("blocks by text", "!Cidr [192.168.0.0/24, '2', '5']", ["192.168.0.0/27", "192.168.0.32/27"]),
        row("blocks without bits", "!Cidr [10.0.0.0/16, 1]", ["10.0.0.0/24"]),
        row("blocks of IPv6", "!Cidr ['2001:db8::/56', 2, 64]", ["2001:db8::/64", "2001:db8:0:1::/64"]),
        row("an import", "!ImportValue {'Fn::Sub': '${Env}-vpc'}", "imported prod-vpc"),
        row("what holds", "!If [IsProd, a, b]", "a"),
        row("what does not hold", "!If [IsTest, a, b]", "b"),
        row("a choice of no value takes its key away", "{a: !If [IsTest, x, !Ref 'AWS::NoValue'], b: 1}", {"b": 1}),
        row("a choice of no value takes its item away", "[!If [IsTest, x, !Ref 'AWS::NoValue'], y]", ["y"]),
        row("a choice looks only at what it takes", "!If [IsTest, !Ref Later, x]", "x"),
        row("a choice of maps", "{a: !If [IsProd, {b: !Ref Env}, {}]}", {"a": {"b": "prod"}}),
        row("a length", "{'Fn::Length': [a, b, c]}", 3),
        row("a length of a list parameter", "{'Fn::Length': !Ref Subnets}", 2),
        row("JSON text", "{'Fn::ToJsonString': {b: 1, a: [!Ref Env, true, 'x\"y'], n: !Ref 'AWS::NoValue'}}", '{"b":1,"a":["prod",true,"x\\"y"]}'),
        row("a dynamic reference", "'{{resolve:ssm:/db/password:3}}'", "hunter2"),
        row("a dynamic reference within a text", "'p={{resolve:ssm:/db/password:3}};'", "p=hunter2;"),
        row("a dynamic reference that is put together", "!Sub ['{{resolve:ssm:/db/password:${n}}}', {n: 3}]", "hunter2"),
        row("a dynamic reference by parameter", "!Ref Secret", "hunter2"),
        row("a dynamic reference in a choice", "!If [IsProd, '{{resolve:ssm:/db/password:3}}', x]", "hunter2"),
        row("a dynamic reference in a join", "!Join ['', ['{{resolve:ssm:/db/', 'password:3}}']]", "hunter2"),
        row("base64 encodes the reference, not its value", "!Base64 '{{resolve:ssm:/db/password:3}}'", "e3tyZXNvbHZlOnNzbTovZGIvcGFzc3dvcmQ6M319"),
        row("maps with more keys than a function's are data", "{Ref: Env, a: b}", {"Ref": "Env", "a": "b"}),
        row("Condition is data in a policy", "{Condition: x}", {"Condition": "x"}),
        row("what is unknown stays inside", "{a: !Ref Later, b: 1}", {"a": UNKNOWN, "b": 1}),
        row("a join with what is unknown", "!Join ['', [a, !Ref Later]]", UNKNOWN),
        row("a substitution of what is unknown", "!Sub 'a${Later.Arn}'", UNKNOWN),
        row("a split of what is unknown", "!Split [':', !Ref Later]", UNKNOWN),
        row("a select of what is unknown", "!Select [0, !Split [':', !Ref Later]]", UNKNOWN),
        row("a length of what is unknown", "{'Fn::Length': !Split [':', !Ref Later]}", UNKNOWN),
        row("JSON text with what is unknown", "{'Fn::ToJsonString': {a: !Ref Later}}", UNKNOWN),
        row("base64 of what is unknown", "{'Fn::Base64': !Ref Later}", UNKNOWN),
        row("an import by what is unknown", "!ImportValue {Ref: Later}", UNKNOWN),
        row("a mapping by what is unknown", "!FindInMap [Sizes, !Ref Later, Type]", UNKNOWN),
    ],
)  # fmt: skip
def test_a_function_has_a_value(written: str, value: Any) -> None:
    assert value_of(written) == value


def test_what_is_compiled_once_serves_every_scope() -> None:
    run = compiled({"a": {"Ref": "Env"}, "b": [{"Fn::If": ["C", 1, {"Ref": "AWS::NoValue"}]}], "c": {"d": "e"}})
    first = run(Scope({"Env": "x"}, ENV, {"C": True}))
    second = run(Scope({"Env": "y"}, ENV, {"C": False}))
    assert (first, second) == ({"a": "x", "b": [1], "c": {"d": "e"}}, {"a": "y", "b": [], "c": {"d": "e"}})


def test_what_holds_no_function_is_not_copied() -> None:
    node = {"a": {"b": [1, 2]}, "c": {"Ref": "Env"}}
    assert resolve(node, SCOPE)["a"] is node["a"]

"""Conditions, rules, dependencies and loops: what holds, what needs what, and what a template becomes."""

from __future__ import annotations

from typing import Any

import pytest

from windtunnel.services.cloudformation.language.conditions import conditions
from windtunnel.services.cloudformation.language.environment import Environment
from windtunnel.services.cloudformation.language.errors import TemplateError
from windtunnel.services.cloudformation.language.extensions import expand
from windtunnel.services.cloudformation.language.graph import dependencies
from windtunnel.services.cloudformation.language.macros import Macro, is_to_be_transformed, macros, put, transforms
from windtunnel.services.cloudformation.language.parameters import declared
from windtunnel.services.cloudformation.language.parse import parse
from windtunnel.services.cloudformation.language.rules import broken_rules
from windtunnel.services.cloudformation.language.structure import check
from windtunnel.services.cloudformation.language.summary import summary
from windtunnel.services.cloudformation.language.uses import attribute_references, condition_references, parameter_references, references

ENV = Environment("123456789012", "eu-west-1", "web", "arn:aws:cloudformation:eu-west-1:123456789012:stack/web/0")


@pytest.mark.parametrize(
    "test, holds",
    [
        pytest.param("!Equals [!Ref Env, prod]", True, id="equal"),
        pytest.param("!Equals [!Ref Env, Prod]", False, id="letters count"),
        pytest.param("!Equals [!Ref Flag, true]", True, id="a boolean is its text"),
        pytest.param("!Equals [!Ref Count, 2]", True, id="a number is its text"),
        pytest.param("!Equals [!Ref 'AWS::Region', eu-west-1]", True, id="a pseudo parameter"),
        pytest.param("!Equals [!Join [',', !Ref List], 'a,b']", True, id="functions within"),
        pytest.param("!Equals [!Select [0, !Ref List], a]", True, id="an item"),
        pytest.param("!Equals [!FindInMap [M, !Ref Env, Big], yes]", True, id="a mapping"),
        pytest.param("!Not [!Equals [a, a]]", False, id="not"),
        pytest.param("!And [!Equals [a, a], !Condition Later]", True, id="and, with a condition that comes later"),
        pytest.param("!Or [!Equals [a, b], !Not [!Condition Later]]", False, id="or"),
        pytest.param("{Condition: Later}", True, id="another by name alone"),
    ],
)
def test_a_condition(test: str, holds: bool) -> None:
    template = parse(f"Mappings: {{M: {{prod: {{Big: yes}}}}}}\nConditions:\n  C: {test}\n  Later: !Equals [!Ref Env, prod]")
    parameters = {"Env": "prod", "Flag": "true", "Count": "2", "List": ["a", "b"]}
    assert conditions(template, parameters, ENV) == {"C": holds, "Later": True}


def test_a_thousand_conditions_in_a_chain() -> None:
    chain: dict[str, Any] = {f"C{n}": {"Fn::Not": [{"Condition": f"C{n + 1}"}]} for n in range(1000)}
    assert conditions({"Conditions": {**chain, "C1000": {"Fn::Equals": ["a", "a"]}}}, {}, ENV)["C0"] is True


@pytest.mark.parametrize(
    "rule, said",
    [
        pytest.param("{Assertions: [{Assert: !Equals [!Ref Env, prod]}]}", None, id="it holds"),
        pytest.param("{Assertions: [{Assert: !Equals [!Ref Env, test], AssertDescription: only tests}]}", "Rule R failed: only tests", id="it does not hold"),
        pytest.param("{RuleCondition: !Equals [!Ref Env, test], Assertions: [{Assert: !Equals [a, b]}]}", None, id="its condition does not hold"),
        pytest.param("{Assertions: [{Assert: {'Fn::Contains': [[prod, test], !Ref Env]}}]}", None, id="contained"),
        pytest.param("{Assertions: [{Assert: {'Fn::Contains': [[dev, test], !Ref Env]}}]}", "Rule R failed: the assertion of rule R is not met", id="not contained"),
        pytest.param("{Assertions: [{Assert: {'Fn::EachMemberIn': [!Ref List, [a, b, c]]}}]}", None, id="each among them"),
        pytest.param("{Assertions: [{Assert: {'Fn::EachMemberIn': [!Ref List, [a]]}, AssertDescription: no b}]}", "Rule R failed: no b", id="one not among them"),
        pytest.param("{Assertions: [{Assert: {'Fn::EachMemberEquals': [!Ref List, a]}, AssertDescription: all a}]}", "Rule R failed: all a", id="each the same"),
        pytest.param("{Assertions: [{Assert: {'Fn::Contains': [{'Fn::RefAll': String}, prod]}}]}", None, id="all parameters of a type"),
        pytest.param("{Assertions: [{Assert: {'Fn::Not': [{'Fn::Contains': [[dev], !Ref Env]}]}}]}", None, id="not contained, as it should be"),
        pytest.param("{Assertions: [{Assert: {'Fn::And': [{'Fn::Contains': [[prod], !Ref Env]}, !Equals [a, a]]}}]}", None, id="both"),
    ],
)  # fmt: skip
def test_a_rule(rule: str, said: str | None) -> None:
    template = parse(
        "Parameters: {Env: {Type: String}, List: {Type: CommaDelimitedList}}\n"
        f"Resources: {{T: {{Type: AWS::SNS::Topic}}}}\nRules: {{R: {rule}}}"
    )
    check(template, known_types=lambda kind: True)
    assert broken_rules(template, {"Env": "prod", "List": ["a", "b"]}, ENV) == said


RESOURCES = """
Parameters: {P: {Type: String}}
Resources:
  Vpc: {Type: T}
  Subnet: {Type: T, Properties: {VpcId: !Ref Vpc, Name: !Sub '${AWS::StackName}-${P}-${Vpc.CidrBlock}'}}
  Gateway: {Type: T, Condition: Public}
  Attach: {Type: T, Condition: Public, Properties: {Both: [!Ref Vpc, !Ref Gateway]}}
  Server:
    Type: T
    DependsOn: [Attach, Log]
    Metadata: {Topic: !Ref Topic}
    Properties: {A: !If [Public, !Ref Gateway, !Ref Log], B: !GetAtt Subnet.Id, C: {'Fn::Sub': ['${x}', {x: !Ref Vpc}]}}
  Log: {Type: T}
  Topic: {Type: T, DependsOn: Log, UpdatePolicy: {X: !Ref Vpc}}
"""


@pytest.mark.parametrize(
    "public, needs",
    [
        pytest.param(
            True,
            {
                "Vpc": [],
                "Subnet": ["Vpc"],
                "Gateway": [],
                "Attach": ["Vpc", "Gateway"],
                "Server": ["Vpc", "Subnet", "Gateway", "Attach", "Log", "Topic"],
                "Log": [],
                "Topic": ["Vpc", "Log"],
            },
            id="with a condition that holds",
        ),
        pytest.param(
            False,
            {"Vpc": [], "Subnet": ["Vpc"], "Server": ["Vpc", "Subnet", "Log", "Topic"], "Log": [], "Topic": ["Vpc", "Log"]},
            id="with a condition that does not hold",
        ),
    ],
)
def test_who_needs_whom(public: bool, needs: dict[str, list[str]]) -> None:
    found = dependencies(parse(RESOURCES), {"Public": public})
    assert found == needs
    assert list(found) == list(needs)


def test_a_circle_through_a_choice_is_one_only_when_it_is_taken() -> None:
    template = parse("Resources: {A: {Type: T, Properties: {B: !If [C, !Ref B, x]}}, B: {Type: T, DependsOn: A}}")
    assert dependencies(template, {"C": False}) == {"A": [], "B": ["A"]}
    with pytest.raises(TemplateError, match=r"^Circular dependency between resources: \[A, B\]$"):
        dependencies(template, {"C": True})


def test_five_hundred_resources_in_a_chain() -> None:
    chain = {f"R{n}": {"Type": "T", "DependsOn": f"R{n + 1}"} for n in range(499)}
    assert len(dependencies({"Resources": {**chain, "R499": {"Type": "T"}}}, {})) == 500


def test_what_a_node_refers_to() -> None:
    node = parse("V: [!Ref P, !Sub '${R} ${R.Arn} ${AWS::Region}', !GetAtt S.Id, !If [C, !Ref Q, 1]]")["V"]
    assert references(node) == {"P", "R", "Q"}
    assert attribute_references(node) == {("R", "Arn"), ("S", "Id")}
    assert parameter_references(node, {"P", "Q", "X"}) == {"P", "Q"}
    assert condition_references(node) == {"C"}


LOOP = """
Transform: AWS::LanguageExtensions
Parameters: {Names: {Type: CommaDelimitedList}, Policy: {Type: String}}
Mappings: {M: {a: {b: [x, y]}}}
Conditions:
  Fn::ForEach::Conditions: [N, !Ref Names, {'Is${N}': !Equals [!Ref Policy, '${N}']}]
Resources:
  Fn::ForEach::Topics:
    - Name
    - !Ref Names
    - Topic&{Name}:
        Type: AWS::SNS::Topic
        DeletionPolicy: !Ref Policy
        Properties:
          TopicName: !Join ['.', [!Ref Name, fifo]]
          DisplayName: !Sub '${Name} of ${AWS::StackName}'
          Fn::ForEach::Tags: [K, [p, q], {'Tag${K}${Name}': '${K}'}]
  Fn::ForEach::Outer:
    - A
    - [1, 2]
    - Fn::ForEach::Inner: [B, !FindInMap [M, a, b], {'Queue${A}${B}': {Type: AWS::SQS::Queue}}]
  Plain: {Type: AWS::S3::Bucket}
Outputs:
  Fn::ForEach::Outs: [Name, !Ref Names, {'Out&{Name}': {Value: !GetAtt ['Topic&{Name}', TopicArn]}}]
"""


def test_loops_are_unrolled_everywhere() -> None:
    written = parse(LOOP)
    template = expand(written, {"Names": ["a-1", "b"], "Policy": "Retain"}, ENV)
    assert template == parse(
        """
Parameters: {Names: {Type: CommaDelimitedList}, Policy: {Type: String}}
Mappings: {M: {a: {b: [x, y]}}}
Conditions: {Isa-1: !Equals [!Ref Policy, a-1], Isb: !Equals [!Ref Policy, b]}
Resources:
  Topica1:
    Type: AWS::SNS::Topic
    DeletionPolicy: Retain
    Properties: {TopicName: !Join ['.', [a-1, fifo]], DisplayName: !Sub 'a-1 of ${AWS::StackName}', Tagpa-1: p, Tagqa-1: q}
  Topicb:
    Type: AWS::SNS::Topic
    DeletionPolicy: Retain
    Properties: {TopicName: !Join ['.', [b, fifo]], DisplayName: !Sub 'b of ${AWS::StackName}', Tagpb: p, Tagqb: q}
  Queue1x: {Type: AWS::SQS::Queue}
  Queue1y: {Type: AWS::SQS::Queue}
  Queue2x: {Type: AWS::SQS::Queue}
  Queue2y: {Type: AWS::SQS::Queue}
  Plain: {Type: AWS::S3::Bucket}
Outputs: {Outa1: {Value: !GetAtt [Topica1, TopicArn]}, Outb: {Value: !GetAtt [Topicb, TopicArn]}}
"""
    )
    assert list(template["Resources"]) == ["Topica1", "Topicb", "Queue1x", "Queue1y", "Queue2x", "Queue2y", "Plain"]
    assert written == parse(LOOP)


def test_without_the_transform_a_template_is_left_alone() -> None:
    template = parse("Resources: {'Fn::ForEach::X': [A, [a], {}]}")
    assert expand(template, {}, ENV) is template


def test_other_transforms_stay_to_be_made() -> None:
    template = parse("Transform: [AWS::LanguageExtensions, AWS::Serverless-2016-10-31]\nResources: {A: {Type: T}}")
    assert expand(template, {}, ENV)["Transform"] == ["AWS::Serverless-2016-10-31"]


MACROS = """
Transform: [First, {Name: Second, Parameters: {a: b}}]
Resources:
  A:
    Type: T
    Properties:
      Fn::Transform: {Name: 'AWS::Include', Parameters: {Location: s3://b/k}}
      Own: 1
      Deep: [{'Fn::Transform': {Name: Inner}, x: y}]
"""


def test_macros_are_found_inner_ones_first() -> None:
    template = parse(MACROS)
    inner, include = macros(template)
    assert inner == Macro(("Resources", "A", "Properties", "Deep", 0), "Inner", {}, {"x": "y"})
    assert (include.pointer, include.name, include.parameters) == (
        ("Resources", "A", "Properties"),
        "AWS::Include",
        {"Location": "s3://b/k"},
    )
    assert transforms(template) == ["First", {"Name": "Second", "Parameters": {"a": "b"}}]
    assert is_to_be_transformed(template)


def test_an_answer_takes_the_macros_place_and_what_is_included_stands_beside_the_rest() -> None:
    template = parse(MACROS)
    (inner, _) = macros(template)
    once = put(template, inner, "answer")
    (include,) = macros(once)
    twice = put(once, include, {"Included": 2})
    assert twice["Resources"]["A"]["Properties"] == {"Own": 1, "Deep": ["answer"], "Included": 2}
    assert macros(twice) == []
    assert template == parse(MACROS)


def test_an_answer_is_held_to_what_a_template_may_hold() -> None:
    template = parse(MACROS)
    (inner, _) = macros(template)
    with pytest.raises(TemplateError, match=r"^\[/a/0\] 'null' values are not allowed in templates$"):
        put(template, inner, {"a": [None]})


@pytest.mark.parametrize(
    "resources, capabilities, reason",
    [
        pytest.param("{A: {Type: AWS::SNS::Topic}}", [], None, id="no capability"),
        pytest.param("{A: {Type: AWS::IAM::Role}, B: {Type: AWS::IAM::Policy}}", ["CAPABILITY_IAM"], "The following resource(s) require capabilities: [AWS::IAM::Policy, AWS::IAM::Role]", id="IAM"),
        pytest.param("{A: {Type: AWS::IAM::Role, Properties: {RoleName: x}}}", ["CAPABILITY_NAMED_IAM"], "The following resource(s) require capabilities: [AWS::IAM::Role]", id="IAM with names of one's own"),
        pytest.param("{A: {Type: AWS::IAM::Policy, Properties: {PolicyName: x}}}", ["CAPABILITY_IAM"], "The following resource(s) require capabilities: [AWS::IAM::Policy]", id="a policy's name is no name of one's own"),
        pytest.param("{A: {Type: T, Properties: {'Fn::Transform': {Name: X}}}}", ["CAPABILITY_AUTO_EXPAND"], "The following transform(s) require capabilities: [X]", id="a macro"),
    ],
)  # fmt: skip
def test_the_capabilities_of_a_template(resources: str, capabilities: list[str], reason: str | None) -> None:
    said = summary(parse(f"Resources: {resources}"), {})
    assert (said["Capabilities"], said.get("CapabilitiesReason")) == (capabilities, reason)


def test_what_a_template_declares() -> None:
    template = parse(
        "AWSTemplateFormatVersion: 2010-09-09\nDescription: d\nMetadata: {a: {b: 1}}\nTransform: AWS::LanguageExtensions\n"
        "Parameters:\n  P: {Type: String, Default: x, NoEcho: true, Description: p, AllowedValues: [x, y]}\n  Q: {Type: Number}\n"
        "Resources: {A: {Type: T}, B: {Type: U}, C: {Type: T}}"
    )
    assert summary(template, declared(template)) == {
        "Version": "2010-09-09",
        "Description": "d",
        "Metadata": '{"a":{"b":1}}',
        "DeclaredTransforms": ["AWS::LanguageExtensions"],
        "ResourceTypes": ["T", "U"],
        "Capabilities": ["CAPABILITY_AUTO_EXPAND"],
        "CapabilitiesReason": "The following transform(s) require capabilities: [AWS::LanguageExtensions]",
        "Parameters": [
            {
                "ParameterKey": "P",
                "ParameterType": "String",
                "NoEcho": True,
                "DefaultValue": "****",
                "Description": "p",
                "ParameterConstraints": {"AllowedValues": ["x", "y"]},
            },
            {"ParameterKey": "Q", "ParameterType": "Number", "NoEcho": False, "ParameterConstraints": {}},
        ],
    }

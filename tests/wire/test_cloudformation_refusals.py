"""Calls that AWS refuses, each with its error; and what happens when many call at once."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from clients import Door
from harness import ACCOUNT, REGION, InProcessCloud, until
from stacks import Scripted, Stacks, template, thing
from windtunnel.provision.registry import RESOURCE_TYPES, handler

GROUP = "AWS::Logs::LogGroup"
PLAIN = json.dumps({"Resources": {"Group": {"Type": GROUP}}})
ROLE = json.dumps({"Resources": {"R": {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": {}}}}})
NAMED = json.dumps({"Resources": {"R": {"Type": "AWS::IAM::Role", "Properties": {"RoleName": "r", "AssumeRolePolicyDocument": {}}}}})


def asks(kind: str = "String", **more: Any) -> str:
    return json.dumps({"Parameters": {"P": {"Type": kind, **more}}, "Resources": {"Group": {"Type": GROUP}}})


def given(*pairs: tuple[str, str]) -> list[dict[str, Any]]:
    return [{"ParameterKey": key, "ParameterValue": value} for key, value in pairs]


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcessCloud]:
    with InProcessCloud(tmp_path_factory.mktemp("refusals")) as running:
        yield running


@pytest.fixture(scope="module")
def stacks(cloud: InProcessCloud) -> Stacks:
    """A cloud with a stack `there`, one that failed (`failed`), and one that is protected (`safe`)."""
    made = Stacks(Door(cloud))
    assert made.create("there", asks(Default="x"), Tags=[{"Key": "a", "Value": "b"}]) == "CREATE_COMPLETE"
    assert made.create("failed", json.dumps({"Resources": {"X": {"Type": GROUP, "Properties": {"No": 1}}}})) == "ROLLBACK_COMPLETE"
    assert made.create("safe", PLAIN, EnableTerminationProtection=True) == "CREATE_COMPLETE"
    return made


CREATE: list[Any] = [
    pytest.param({"StackName": "1st"}, "failed to satisfy constraint", id="a name that begins with a digit"),
    pytest.param({"StackName": "a_b"}, "failed to satisfy constraint", id="a name with an underscore"),
    pytest.param({"StackName": "there"}, "AlreadyExistsException: Stack [there] already exists", id="a name that is taken"),
    pytest.param({"TemplateBody": None}, "Either Template URL or Template Body must be specified.", id="no template"),
    pytest.param({"TemplateURL": "https://x.s3.amazonaws.com/y"}, "Both TemplateBody and TemplateURL", id="two templates"),
    pytest.param({"TemplateBody": None, "TemplateURL": "nonsense"}, "TemplateURL must be a supported URL.", id="a URL that is none"),
    pytest.param({"TemplateBody": None, "TemplateURL": "https://example.com/t"}, "TemplateURL must be a supported URL.", id="not of S3"),
    pytest.param(
        {"TemplateBody": None, "TemplateURL": "https://nobucket.s3.amazonaws.com/t"},
        "S3 error: The specified bucket does not exist",
        id="bucket",
    ),
    pytest.param({"TemplateBody": "{" + " " * 52000 + "}"}, "Member must have length less than or equal to 51200", id="a body too long"),
    pytest.param({"TemplateBody": ROLE}, "InsufficientCapabilitiesException: Requires capabilities : [CAPABILITY_IAM]", id="capability"),
    pytest.param(
        {"TemplateBody": NAMED, "Capabilities": ["CAPABILITY_IAM"]}, "Requires capabilities : [CAPABILITY_NAMED_IAM]", id="named capability"
    ),
    pytest.param({"TemplateBody": asks()}, "Parameters: [P] must have values", id="a parameter without a value"),
    pytest.param(
        {"TemplateBody": asks(), "Parameters": given(("P", "x"), ("Q", "y"))}, "Parameters: [Q] do not exist in the template", id="Q"
    ),
    pytest.param({"TemplateBody": asks("Number"), "Parameters": given(("P", "x"))}, "Parameter 'P' must be a number.", id="no number"),
    pytest.param(
        {"TemplateBody": asks(AllowedValues=["a", "b"]), "Parameters": given(("P", "c"))},
        "Parameter 'P' must be one of AllowedValues",
        id="allowed",
    ),
    pytest.param(
        {"TemplateBody": asks(AllowedPattern="[a-z]+"), "Parameters": given(("P", "1"))}, "must match pattern [a-z]+", id="pattern"
    ),
    pytest.param(
        {"TemplateBody": asks(MinLength=3, ConstraintDescription="be long"), "Parameters": given(("P", "a"))},
        "Parameter P failed to satisfy constraint: be long",
        id="constraint description",
    ),
    pytest.param({"TemplateBody": asks(MaxLength=1), "Parameters": given(("P", "ab"))}, "must contain at most 1 characters", id="too long"),
    pytest.param(
        {"TemplateBody": asks(), "Parameters": [{"ParameterKey": "P", "UsePreviousValue": True}]},
        "usePreviousValue as true",
        id="no previous",
    ),
    pytest.param(
        {"TemplateBody": asks("AWS::SSM::Parameter::Value<String>"), "Parameters": given(("P", "/none"))},
        "Unable to fetch parameters [/none] from parameter store for this account.",
        id="an SSM parameter that is not there",
    ),
    pytest.param({"Tags": [{"Key": "aws:x", "Value": "y"}]}, "reserved for internal AWS use", id="a tag of AWS's"),
    pytest.param(
        {"TemplateBody": json.dumps({"Resources": {"Fn::ForEach::L": ["X", ["a"], {"G${X}": {"Type": GROUP}}]}})},
        "[/Resources/Fn::ForEach::L] resource definition is malformed",
        id="a loop that nothing expands",
    ),
    pytest.param(
        {"TemplateBody": json.dumps({"Resources": {"A": {"Type": f"Custom::{'x' * 61}"}}})},
        "Unrecognized resource types: [Custom::x",
        id="a custom type's name that is too long",
    ),
    pytest.param({"Tags": [{"Key": "x", "Value": "1"}, {"Key": "x", "Value": "2"}]}, "Duplicate tag keys found: x", id="a tag twice"),
    pytest.param(
        {"ResourceTypes": ["AWS::SNS::*"]}, f"Resource type {GROUP} is not allowed by parameter ResourceTypes [AWS::SNS::*]", id="types"
    ),
    pytest.param({"RoleARN": f"arn:aws:iam::{ACCOUNT}:role/none"}, "is invalid or cannot be assumed", id="a role that is not there"),
    pytest.param(
        {"OnFailure": "DELETE", "DisableRollback": True}, "Either DisableRollback or OnFailure can be specified, not both.", id="both"
    ),
    pytest.param({"OnFailure": "EXPLODE"}, "failed to satisfy constraint", id="an unknown wish"),
    pytest.param({"NotificationARNs": ["x"]}, "is not a valid SNS topic ARN", id="no topic"),
    pytest.param(
        {"NotificationARNs": [f"arn:aws:sns:{REGION}:{ACCOUNT}:t"] * 6}, "Member must have length less than or equal to 5", id="six topics"
    ),
    pytest.param({"StackPolicyBody": "{}"}, "Error validating stack policy: Invalid stack policy", id="no stack policy"),
    pytest.param({"StackPolicyBody": "{}", "StackPolicyURL": "https://x.s3.amazonaws.com/y"}, "You cannot specify both", id="two policies"),
    pytest.param(
        {"TemplateBody": json.dumps({"Transform": "Mine", "Resources": {"G": {"Type": GROUP}}})}, "CAPABILITY_AUTO_EXPAND", id="expand"
    ),
    pytest.param({"TimeoutInMinutes": 0}, "failed to satisfy constraint", id="no time at all"),
    pytest.param(
        {"RollbackConfiguration": {"RollbackTriggers": [{"Arn": "a", "Type": "AWS::CloudWatch::Alarm"}]}},
        "does not run",
        id="alarms, by name",
    ),
]


@pytest.mark.parametrize(("call", "message"), CREATE)
def test_creations(stacks: Stacks, call: dict[str, Any], message: str) -> None:
    arguments = {"StackName": "new", "TemplateBody": PLAIN, **call}
    refused(lambda: stacks.api.create_stack(**{name: value for name, value in arguments.items() if value is not None}), message)
    assert "new" not in {stack["StackName"] for stack in stacks.api.list_stacks()["StackSummaries"]}


def refused(call: Any, message: str) -> None:
    with pytest.raises(ClientError) as error:
        call()
    said = error.value.response["Error"]
    assert message in f"{said['Code']}: {said['Message']}"


BY_NAME: list[Any] = [
    pytest.param("describe_stacks", {}, "Stack with id none does not exist", id="DescribeStacks"),
    pytest.param("get_template", {}, "Stack with id none does not exist", id="GetTemplate"),
    pytest.param("get_template_summary", {}, "Stack with id none does not exist", id="GetTemplateSummary"),
    pytest.param("list_stack_resources", {}, "Stack with id none does not exist", id="ListStackResources"),
    pytest.param("describe_stack_resources", {}, "Stack with id none does not exist", id="DescribeStackResources"),
    pytest.param("describe_stack_resource", {"LogicalResourceId": "A"}, "Stack 'none' does not exist", id="DescribeStackResource"),
    pytest.param("describe_stack_events", {}, "Stack [none] does not exist", id="DescribeStackEvents"),
    pytest.param("update_stack", {"TemplateBody": PLAIN}, "Stack [none] does not exist", id="UpdateStack"),
    pytest.param("cancel_update_stack", {}, "Stack [none] does not exist", id="CancelUpdateStack"),
    pytest.param("continue_update_rollback", {}, "Stack [none] does not exist", id="ContinueUpdateRollback"),
    pytest.param("rollback_stack", {}, "Stack [none] does not exist", id="RollbackStack"),
    pytest.param("get_stack_policy", {}, "Stack [none] does not exist", id="GetStackPolicy"),
    pytest.param("update_termination_protection", {"EnableTerminationProtection": True}, "Stack [none] does not exist", id="protection"),
    pytest.param("create_change_set", {"ChangeSetName": "c", "TemplateBody": PLAIN}, "Stack [none] does not exist", id="CreateChangeSet"),
    pytest.param("list_change_sets", {}, "Stack [none] does not exist", id="ListChangeSets"),
]


@pytest.mark.parametrize(("operation", "call", "message"), BY_NAME)
def test_stacks_that_are_not_there(stacks: Stacks, operation: str, call: dict[str, Any], message: str) -> None:
    refused(lambda: getattr(stacks.api, operation)(StackName="none", **call), message)


def test_deleting_what_is_not_there_is_success(stacks: Stacks) -> None:
    assert stacks.api.delete_stack(StackName="none")["ResponseMetadata"]["HTTPStatusCode"] == 200


STATES: list[Any] = [
    pytest.param(
        "update_stack", {"StackName": "failed", "TemplateBody": PLAIN}, "is in ROLLBACK_COMPLETE state and can not be updated.", id="update"
    ),
    pytest.param("update_stack", {"StackName": "there", "UsePreviousTemplate": True}, "No updates are to be performed.", id="nothing new"),
    pytest.param("cancel_update_stack", {"StackName": "there"}, "cannot be called from current stack status CREATE_COMPLETE", id="cancel"),
    pytest.param(
        "continue_update_rollback", {"StackName": "there"}, "is in CREATE_COMPLETE state and can not continue rollback.", id="continue"
    ),
    pytest.param("rollback_stack", {"StackName": "there"}, "is in CREATE_COMPLETE state and can not be rolled back.", id="roll back"),
    pytest.param(
        "delete_stack", {"StackName": "safe"}, "Stack [safe] cannot be deleted while TerminationProtection is enabled", id="protected"
    ),
    pytest.param("delete_stack", {"StackName": "there", "RetainResources": ["Group"]}, "RetainResources is only applicable", id="retain"),
    pytest.param(
        "signal_resource",
        {"StackName": "there", "LogicalResourceId": "Group", "UniqueId": "x", "Status": "SUCCESS"},
        "Resource Group is in CREATE_COMPLETE state and cannot be signaled",
        id="a signal that nobody waits for",
    ),
    pytest.param(
        "describe_stack_resource",
        {"StackName": "there", "LogicalResourceId": "No"},
        "Resource No does not exist for stack there",
        id="resource",
    ),
    pytest.param("describe_stack_resources", {}, "Either StackName or PhysicalResourceId must be specified.", id="neither"),
    pytest.param("describe_stack_resources", {"PhysicalResourceId": "no"}, "Stack for no does not exist", id="nobody's"),
    pytest.param("get_template", {}, "StackName is a required parameter.", id="no name"),
    pytest.param(
        "get_template", {"ChangeSetName": "c"}, "StackName is required if ChangeSetName is not specified.", id="a change set's name"
    ),
    pytest.param("list_imports", {"ExportName": "no"}, "Export 'no' is not imported by any stack.", id="no import"),
    pytest.param("set_stack_policy", {"StackName": "there"}, "Either StackPolicyURL or StackPolicyBody must be specified.", id="no policy"),
    pytest.param("set_stack_policy", {"StackName": "there", "StackPolicyBody": "[]"}, "Invalid stack policy", id="a list"),
    pytest.param("validate_template", {}, "Either Template URL or Template Body must be specified.", id="nothing to validate"),
    pytest.param(
        "update_stack",
        {"StackName": "there", "TemplateBody": json.dumps({"Resources": {"Group": {"Type": "AWS::SQS::Queue"}}})},
        "Update of resource type is not permitted.",
        id="another type",
    ),
]


@pytest.mark.parametrize(("operation", "call", "message"), STATES)
def test_states_and_gaps(stacks: Stacks, operation: str, call: dict[str, Any], message: str) -> None:
    refused(lambda: getattr(stacks.api, operation)(**call), message)


# -- many at once -------------------------------------------------------------------------------------------------------


def at_once(*calls: Any) -> list[Any]:
    """The answers, or the errors' codes, of calls made together."""
    answers: list[Any] = [None] * len(calls)
    gate = threading.Barrier(len(calls))

    def run(number: int) -> None:
        gate.wait()
        try:
            answers[number] = calls[number]()
        except ClientError as error:
            answers[number] = error.response["Error"]["Code"]

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return answers


def test_ten_stacks_at_once(stacks: Stacks) -> None:
    body = json.dumps({"Resources": {f"G{n}": {"Type": GROUP} for n in range(10)}})
    names = [f"ten-{n}" for n in range(10)]
    at_once(*(lambda name=name: stacks.api.create_stack(StackName=name, TemplateBody=body) for name in names))
    assert [stacks.arrived(name) for name in names] == ["CREATE_COMPLETE"] * 10
    arns = [stacks.describe(name)["StackId"] for name in names]
    at_once(*(lambda name=name: stacks.api.delete_stack(StackName=name) for name in names))
    assert [stacks.arrived(arn) for arn in arns] == ["DELETE_COMPLETE"] * 10


def test_two_callers_on_one_stack(stacks: Stacks, monkeypatch: pytest.MonkeyPatch) -> None:
    handler(GROUP)
    script = Scripted()
    monkeypatch.setitem(RESOURCE_TYPES, "AWS::CloudFormation::CustomResource", script)
    stacks.create("both", template(A=thing(Colour="red")))
    new = [json.dumps(template(A=thing(Colour=colour, Slow=["update"]))) for colour in ("blue", "green")]
    answers = at_once(*(lambda body=body: stacks.api.update_stack(StackName="both", TemplateBody=body) for body in new))
    assert sorted(isinstance(answer, dict) for answer in answers) == [False, True] and "ValidationError" in answers
    until(lambda: script.exists["a-1"]["Colour"] in ("blue", "green"))
    refused(lambda: stacks.api.delete_stack(StackName="both"), "cannot be deleted while in status UPDATE_IN_PROGRESS")
    script.let.add("A")
    assert stacks.arrived("both") == "UPDATE_COMPLETE"
    assert script.calls.count("update A") == 1

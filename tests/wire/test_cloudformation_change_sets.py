"""Change sets through boto3: what they foretell is what then happens, and nothing happens before."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from stacks import Scripted, Stacks, template, thing

GROUP = "AWS::Logs::LogGroup"


def changes(stacks: Stacks, stack: str, body: dict[str, Any], **options: Any) -> dict[str, Any]:
    """The change set as it is described."""
    name = options.pop("ChangeSetName", "plan")
    values = options.pop("IncludePropertyValues", False)
    stacks.api.create_change_set(StackName=stack, ChangeSetName=name, TemplateBody=json.dumps(body), **options)
    found: dict[str, Any] = stacks.api.describe_change_set(StackName=stack, ChangeSetName=name, IncludePropertyValues=values)
    return found


def by_id(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {change["ResourceChange"]["LogicalResourceId"]: change["ResourceChange"] for change in found["Changes"]}


def test_a_first_change_set_makes_a_stack_that_is_only_reviewed(stacks: Stacks, script: Scripted) -> None:
    found = changes(stacks, "new", template(A=thing()), ChangeSetType="CREATE")
    assert (found["Status"], found["ExecutionStatus"]) == ("CREATE_COMPLETE", "AVAILABLE")
    assert by_id(found)["A"]["Action"] == "Add" and script.exists == {}
    assert stacks.describe("new")["StackStatus"] == "REVIEW_IN_PROGRESS"
    stacks.api.execute_change_set(StackName="new", ChangeSetName="plan")
    assert stacks.arrived("new") == "CREATE_COMPLETE" and list(script.exists) == ["a-1"]
    assert stacks.statuses("new")[:2] == ["new REVIEW_IN_PROGRESS", "new CREATE_IN_PROGRESS"]
    with pytest.raises(ClientError, match="cannot be executed in its current status of"):
        stacks.api.execute_change_set(StackName="new", ChangeSetName="plan")


def test_kinds_of_changes(stacks: Stacks) -> None:
    old = {
        "Parameters": {"Days": {"Type": "Number", "Default": "7"}},
        "Resources": {
            "Direct": {"Type": GROUP, "Properties": {"RetentionInDays": 1}},
            "ByParameter": {"Type": GROUP, "Properties": {"RetentionInDays": {"Ref": "Days"}}},
            "Replaced": {"Type": GROUP, "Properties": {"LogGroupName": "old"}},
            "Depends": {"Type": "AWS::Logs::LogStream", "Properties": {"LogGroupName": {"Ref": "Replaced"}}},
            "Leaves": {"Type": GROUP, "DeletionPolicy": "Retain"},
            "Same": {"Type": GROUP},
        },
    }
    assert stacks.create("kinds", old) == "CREATE_COMPLETE"
    new = json.loads(json.dumps(old))
    new["Resources"]["Direct"]["Properties"]["RetentionInDays"] = 3
    new["Resources"]["Replaced"]["Properties"]["LogGroupName"] = "new"
    del new["Resources"]["Leaves"]
    new["Resources"]["Comes"] = {"Type": GROUP}
    found = changes(stacks, "kinds", new, Parameters=[{"ParameterKey": "Days", "ParameterValue": "14"}])
    told = by_id(found)
    assert list(told) == ["ByParameter", "Comes", "Depends", "Direct", "Leaves", "Replaced"]
    assert told["Direct"]["Replacement"] == "False" and told["Direct"]["Scope"] == ["Properties"]
    assert told["Direct"]["Details"] == [
        {
            "Target": {"Attribute": "Properties", "Name": "RetentionInDays", "RequiresRecreation": "Never"},
            "Evaluation": "Static",
            "ChangeSource": "DirectModification",
        }
    ]
    assert [(d["ChangeSource"], d["Evaluation"], d.get("CausingEntity")) for d in told["ByParameter"]["Details"]] == [
        ("ParameterReference", "Static", "Days"),
        ("DirectModification", "Dynamic", None),
    ]
    assert (told["Replaced"]["Replacement"], told["Replaced"]["PolicyAction"]) == ("True", "ReplaceAndDelete")
    assert told["Replaced"]["Details"][0]["Target"]["RequiresRecreation"] == "Always"
    assert told["Depends"]["Details"][0]["CausingEntity"] == "Replaced" and told["Depends"]["Replacement"] == "True"
    assert (told["Leaves"]["Action"], told["Leaves"]["PolicyAction"]) == ("Remove", "Retain")
    assert told["Comes"]["Action"] == "Add" and told["Comes"]["Details"] == []
    before = stacks.events("kinds")
    stacks.api.execute_change_set(ChangeSetName=found["ChangeSetId"])
    assert stacks.arrived("kinds") == "UPDATE_COMPLETE"
    happened = {event.split()[0] for event in stacks.statuses("kinds", since=len(before))} - {"kinds"}
    assert happened == set(told)


def test_values_of_properties_are_told_when_asked_for(stacks: Stacks) -> None:
    stacks.create("values", template(Group={"Type": GROUP, "Properties": {"RetentionInDays": 1}}))
    new = template(Group={"Type": GROUP, "Properties": {"RetentionInDays": 3}})
    change = by_id(changes(stacks, "values", new, IncludePropertyValues=True))["Group"]
    target = change["Details"][0]["Target"]
    assert (target["Path"], target["BeforeValue"], target["AfterValue"]) == ("/Properties/RetentionInDays", "1", "3")
    assert target["AttributeChangeType"] == "Modify"
    assert json.loads(change["BeforeContext"]) == {"Properties": {"RetentionInDays": "1"}}
    assert json.loads(change["AfterContext"]) == {"Properties": {"RetentionInDays": "3"}}


def test_a_change_set_without_changes_fails_and_says_so(stacks: Stacks, script: Scripted) -> None:
    stacks.create("calm", template(A=thing()))
    found = changes(stacks, "calm", template(A=thing()))
    assert (found["Status"], found["ExecutionStatus"], found["Changes"]) == ("FAILED", "UNAVAILABLE", [])
    assert found["StatusReason"].startswith("The submitted information didn't contain changes.")
    with pytest.raises(ClientError, match=r"cannot be executed in its current status of \[FAILED\]"):
        stacks.api.execute_change_set(StackName="calm", ChangeSetName="plan")
    stacks.api.delete_change_set(StackName="calm", ChangeSetName="plan")
    assert stacks.api.list_change_sets(StackName="calm")["Summaries"] == []


def test_another_update_makes_a_plan_obsolete(stacks: Stacks, script: Scripted) -> None:
    stacks.create("race", template(A=thing()))
    changes(stacks, "race", template(A=thing(Colour="red")))
    assert stacks.update("race", template(A=thing(Colour="blue"))) == "UPDATE_COMPLETE"
    with pytest.raises(ClientError, match=r"cannot be executed in its current status of \[OBSOLETE\]"):
        stacks.api.execute_change_set(StackName="race", ChangeSetName="plan")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        pytest.param({"StackName": "none", "ChangeSetName": "a"}, "Stack [none] does not exist", id="no stack"),
        pytest.param(
            {"StackName": "there", "ChangeSetName": "a", "ChangeSetType": "CREATE"}, "already exists and cannot be created", id="there"
        ),
        pytest.param({"StackName": "there", "ChangeSetName": "made"}, "ChangeSet made already exists", id="made before"),
        pytest.param({"StackName": "there", "ChangeSetName": "a", "OnStackFailure": "DELETE"}, "change set of type CREATE", id="delete"),
    ],
)
def test_refusals(stacks: Stacks, script: Scripted, call: dict[str, Any], message: str) -> None:
    stacks.create("there", template(A=thing()))
    changes(stacks, "there", template(A=thing(Colour="red")), ChangeSetName="made")
    with pytest.raises(ClientError) as refused:
        stacks.api.create_change_set(TemplateBody=json.dumps(template(A=thing(Colour="red"))), **call)
    assert message in refused.value.response["Error"]["Message"]


def test_what_is_not_there_is_not_described(stacks: Stacks) -> None:
    with pytest.raises(ClientError, match="StackName must be specified if ChangeSetName is not specified as an ARN."):
        stacks.api.describe_change_set(ChangeSetName="plan")
    stacks.create("bare", template(Group={"Type": GROUP}))
    with pytest.raises(ClientError, match=r"ChangeSet \[plan\] does not exist") as refused:
        stacks.api.describe_change_set(ChangeSetName="plan", StackName="bare")
    assert refused.value.response["Error"]["Code"] == "ChangeSetNotFound"
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404

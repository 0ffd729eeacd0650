"""Change sets with IncludeNestedStacks: each nested stack has its own, all are executed with the root's, and it happens what they foretold."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from families import Templates, child
from stacks import Scripted, Stacks, template, thing

NOTHING = "The submitted information didn't contain changes."


def plan(stacks: Stacks, body: dict[str, Any], **options: Any) -> dict[str, Any]:
    options = {"StackName": "outer", "ChangeSetName": "plan", "IncludeNestedStacks": True} | options
    made = stacks.api.create_change_set(TemplateBody=json.dumps(body), **options)
    return seen(stacks, made["Id"])


def seen(stacks: Stacks, arn: str) -> dict[str, Any]:
    found: dict[str, Any] = stacks.api.describe_change_set(ChangeSetName=arn)
    return found


def by_id(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {change["ResourceChange"]["LogicalResourceId"]: change["ResourceChange"] for change in found["Changes"]}


def execute(stacks: Stacks) -> str:
    stacks.api.execute_change_set(StackName="outer", ChangeSetName="plan")
    return stacks.arrived("outer")


def test_a_new_family_is_reviewed_whole_and_then_created_so(stacks: Stacks, script: Scripted, keep: Templates) -> None:
    middle = keep("middle", template(Deep=keep("deep", child(Colour="red")), Thing=thing()))
    root = plan(stacks, template(Child=middle), ChangeSetType="CREATE")
    assert (root["Status"], root["ExecutionStatus"], root["IncludeNestedStacks"]) == ("CREATE_COMPLETE", "AVAILABLE", True)
    assert "ParentChangeSetId" not in root and by_id(root)["Child"]["Action"] == "Add"
    within = seen(stacks, by_id(root)["Child"]["ChangeSetId"])
    assert within["ChangeSetName"].startswith("plan-Child-") and within["StackName"].startswith("outer-Child-")
    assert (within["Status"], within["ExecutionStatus"]) == ("CREATE_COMPLETE", "UNAVAILABLE")
    assert within["StatusReason"] == "Executable from root change set"
    deepest = seen(stacks, by_id(within)["Deep"]["ChangeSetId"])
    assert (deepest["ParentChangeSetId"], deepest["RootChangeSetId"]) == (within["ChangeSetId"], root["ChangeSetId"])
    assert by_id(deepest)["Thing"]["Action"] == "Add" and script.exists == {}
    for arn in (within["StackId"], deepest["StackId"]):
        assert stacks.describe(arn)["StackStatus"] == "REVIEW_IN_PROGRESS"
    keep("deep", child(Colour="blue"))
    assert execute(stacks) == "CREATE_COMPLETE"
    assert sorted(properties.get("Colour", "none") for properties in script.exists.values()) == ["none", "red"], "as it was reviewed"
    assert stacks.physical("outer", "Child") == within["StackId"] and stacks.physical(within["StackId"], "Deep") == deepest["StackId"]
    inner = stacks.describe(deepest["StackId"])
    assert (inner["StackStatus"], inner["ChangeSetId"]) == ("CREATE_COMPLETE", deepest["ChangeSetId"])
    assert seen(stacks, deepest["ChangeSetId"])["ExecutionStatus"] == "EXECUTE_COMPLETE"
    name = deepest["StackName"]
    assert [status for status in stacks.statuses(name) if status.startswith(name)] == [
        f"{name} REVIEW_IN_PROGRESS",
        f"{name} CREATE_IN_PROGRESS",
        f"{name} CREATE_COMPLETE",
    ]


def test_only_what_changes_is_named(stacks: Stacks, script: Scripted, keep: Templates) -> None:
    """What uses the outputs of a nested stack in which nothing changes does not change either."""
    uses = thing(Colour={"Fn::GetAtt": ["Calm", "Outputs.Colour"]})
    body = template(Calm=keep("calm", child(Colour="red")), Moved=keep("moved", child(Colour="green")), Uses=uses)
    stacks.create("outer", body)
    calm, moved = stacks.physical("outer", "Calm"), stacks.physical("outer", "Moved")
    keep("moved", child(Colour="blue"))
    root = plan(stacks, body)
    assert list(by_id(root)) == ["Moved"]
    change = by_id(root)["Moved"]
    assert (change["Action"], change["Replacement"], change["PhysicalResourceId"]) == ("Modify", "False", moved)
    assert [(detail["ChangeSource"], detail["Evaluation"]) for detail in change["Details"]] == [("Automatic", "Dynamic")]
    assert list(by_id(seen(stacks, change["ChangeSetId"]))) == ["Thing"]
    listed = stacks.api.list_change_sets(StackName=moved)["Summaries"][0]
    assert (listed["ChangeSetId"], listed["ParentChangeSetId"]) == (change["ChangeSetId"], root["ChangeSetId"])
    refused = stacks.api.list_change_sets(StackName=calm)["Summaries"][0]
    assert refused["Status"] == "FAILED" and refused["StatusReason"].startswith(NOTHING)
    keep("calm", child(Colour="black"))
    keep("moved", child(Colour="white"))
    assert execute(stacks) == "UPDATE_COMPLETE"
    assert sorted(properties["Colour"] for properties in script.exists.values()) == ["blue", "red", "red"], "as it was reviewed"
    assert stacks.describe(calm)["StackStatus"] == "CREATE_COMPLETE" and stacks.describe(moved)["StackStatus"] == "UPDATE_COMPLETE"
    assert stacks.api.list_change_sets(StackName=calm)["Summaries"] == []


def test_a_family_in_which_nothing_changes_has_no_change_set(stacks: Stacks, script: Scripted, keep: Templates) -> None:
    body = template(Child=keep("child", child()))
    stacks.create("outer", body)
    root = plan(stacks, body)
    assert (root["Status"], root["Changes"]) == ("FAILED", []) and root["StatusReason"].startswith(NOTHING)
    without = plan(stacks, body, ChangeSetName="other", IncludeNestedStacks=False)
    assert without["Status"] == "CREATE_COMPLETE" and "ChangeSetId" not in by_id(without)["Child"]


def test_what_is_known_only_later_is_told_as_such(stacks: Stacks, script: Scripted, keep: Templates) -> None:
    def body(days: int) -> dict[str, Any]:
        inner = template(Thing=thing(Colour={"Ref": "Name"})) | {"Parameters": {"Name": {"Type": "String"}}}
        return template(First=thing(Replace=days), Child=keep("child", inner, Name={"Ref": "First"}))

    stacks.create("outer", body(1))
    root = plan(stacks, body(2))
    assert list(by_id(root)) == ["Child", "First"]
    details = by_id(seen(stacks, by_id(root)["Child"]["ChangeSetId"]))["Thing"]["Details"]
    assert ("ParameterReference", "Dynamic") in [(detail["ChangeSource"], detail["Evaluation"]) for detail in details]
    assert execute(stacks) == "UPDATE_COMPLETE"
    made = {name.split("-")[0]: properties for name, properties in script.exists.items()}
    assert made["thing"]["Colour"] == stacks.physical("outer", "First")


def test_what_cannot_be_read_before_is_looked_at_when_its_turn_comes(stacks: Stacks, script: Scripted, keep: Templates) -> None:
    inner = template(Thing=thing(Colour={"Ref": "Number"})) | {"Parameters": {"Number": {"Type": "Number"}}}
    group = {"Type": "AWS::Logs::LogGroup", "Properties": {"RetentionInDays": 3}}
    number = {"Fn::Select": [1, {"Fn::Split": ["7", {"Fn::Join": ["7", [{"Ref": "Group"}, "42"]]}]}]}
    root = plan(stacks, template(Group=group, Child=keep("child", inner, Number=number)), ChangeSetType="CREATE")
    assert root["Status"] == "CREATE_COMPLETE" and "ChangeSetId" not in by_id(root)["Child"]


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        pytest.param({"Resources": {"A": {"Type": "AWS::Nothing::There"}, "B": 1}}, "Template format error", id="no template"),
        pytest.param({"Resources": {"R": {"Type": "AWS::IAM::User"}}}, "Requires capabilities : [CAPABILITY_IAM]", id="capabilities"),
        pytest.param(
            {"Parameters": {"P": {"Type": "String"}}, "Resources": {"R": thing()}}, "Parameters: [P] must have values", id="parameters"
        ),
    ],
)
def test_what_cannot_be_planned_fails_the_root(
    stacks: Stacks, script: Scripted, keep: Templates, broken: dict[str, Any], reason: str
) -> None:
    root = plan(stacks, template(Child=keep("child", broken), Other=thing()), ChangeSetType="CREATE")
    assert (root["Status"], root["ExecutionStatus"]) == ("FAILED", "UNAVAILABLE") and reason in root["StatusReason"]
    with pytest.raises(ClientError, match=r"cannot be executed in its current status of \[FAILED\]"):
        stacks.api.execute_change_set(StackName="outer", ChangeSetName="plan")


def test_a_nested_change_set_that_fails_fails_the_root(stacks: Stacks, script: Scripted, keep: Templates) -> None:
    macro = {"Transform": "AWS::Include", "Resources": {"R": thing()}}
    middle = keep("middle", template(Deep=keep("deep", {**macro, "Resources": {"Fn::Transform": {"Name": "Absent"}}})))
    root = plan(stacks, template(Child=middle), ChangeSetType="CREATE", Capabilities=["CAPABILITY_AUTO_EXPAND"])
    assert root["Status"] == "FAILED"
    arn = root["StatusReason"].split()[3]
    assert root["StatusReason"] == f"Nested change set {arn} was not successfully created: Currently in FAILED."
    assert seen(stacks, arn)["Status"] == "FAILED"


def test_a_family_is_executed_and_deleted_from_its_root_only(stacks: Stacks, script: Scripted, keep: Templates) -> None:
    body = template(Child=keep("child", child()), New=keep("new", child(Colour="red")))
    stacks.create("outer", template(Child=body["Resources"]["Child"]))
    keep("child", child(Colour="blue"))
    root = plan(stacks, body)
    changed, new = (by_id(root)[name]["ChangeSetId"] for name in ("Child", "New"))
    with pytest.raises(ClientError, match=r"cannot be executed in its current execution status of \[UNAVAILABLE\]") as refused:
        stacks.api.execute_change_set(ChangeSetName=changed)
    assert refused.value.response["Error"]["Code"] == "InvalidChangeSetStatus"
    with pytest.raises(ClientError, match="only allowed on root change set"):
        stacks.api.delete_change_set(ChangeSetName=new)
    reviewed = seen(stacks, new)["StackId"]
    stacks.api.delete_change_set(StackName="outer", ChangeSetName="plan")
    for arn in (changed, new):
        with pytest.raises(ClientError, match="does not exist"):
            seen(stacks, arn)
    assert stacks.describe(reviewed)["StackStatus"] == "DELETE_COMPLETE"
    assert list(script.exists) == ["thing-1"]


def test_what_was_reviewed_for_a_plan_that_failed_goes(stacks: Stacks, script: Scripted, keep: Templates) -> None:
    body = template(Bad=thing(Fail=["create"]), Child=keep("child", child(), "Bad"))
    root = plan(stacks, body, ChangeSetType="CREATE")
    within = seen(stacks, by_id(root)["Child"]["ChangeSetId"])
    assert execute(stacks) == "ROLLBACK_COMPLETE"
    assert stacks.describe(within["StackId"])["StackStatus"] == "DELETE_COMPLETE"
    assert stacks.delete("outer") == "DELETE_COMPLETE" and script.exists == {}


def test_a_reviewed_family_is_deleted_whole(stacks: Stacks, script: Scripted, keep: Templates) -> None:
    root = plan(stacks, template(Child=keep("child", child())), ChangeSetType="CREATE")
    within = seen(stacks, by_id(root)["Child"]["ChangeSetId"])
    assert stacks.delete("outer") == "DELETE_COMPLETE"
    assert stacks.describe(within["StackId"])["StackStatus"] == "DELETE_COMPLETE"


def test_an_update_makes_a_familys_plan_obsolete(stacks: Stacks, script: Scripted, keep: Templates) -> None:
    body = template(Child=keep("child", child()))
    stacks.create("outer", body)
    keep("child", child(Colour="red"))
    root = plan(stacks, body)
    within = by_id(root)["Child"]["ChangeSetId"]
    assert stacks.update("outer", body) == "UPDATE_COMPLETE"
    for arn in (root["ChangeSetId"], within):
        assert seen(stacks, arn)["ExecutionStatus"] == "OBSOLETE"
    with pytest.raises(ClientError, match=r"\[OBSOLETE\]"):
        stacks.api.execute_change_set(StackName="outer", ChangeSetName="plan")


def test_what_nobody_is_to_see_is_stars_at_every_level(stacks: Stacks, script: Scripted, keep: Templates) -> None:
    def family(**resources: Any) -> dict[str, Any]:
        return template(**resources) | {"Parameters": {"Key": {"Type": "String", "NoEcho": True}}}

    def given(value: str) -> dict[str, Any]:
        return {"Parameters": [{"ParameterKey": "Key", "ParameterValue": value}]}

    def told(root: dict[str, Any]) -> list[dict[str, Any]]:
        within = by_id(seen(stacks, root["ChangeSetId"]))["Child"]["ChangeSetId"]
        return [stacks.api.describe_change_set(ChangeSetName=arn, IncludePropertyValues=True) for arn in (root["ChangeSetId"], within)]

    inner = family(Thing=thing(Colour={"Fn::Sub": "key=${Key}"}))
    body = family(Child=keep("child", inner, Key={"Ref": "Key"}))
    first = told(plan(stacks, body, ChangeSetType="CREATE", **given("open sesame")))
    assert execute(stacks) == "CREATE_COMPLETE" and script.exists["thing-1"]["Colour"] == "key=open sesame"
    second = told(plan(stacks, body, ChangeSetName="other", **given("mellon")))
    for found in (*first, *second):
        text = json.dumps(found, default=str)
        assert "****" in text and "sesame" not in text and "mellon" not in text


def test_big_stacks_are_planned_apart_and_say_the_same(stacks: Stacks, script: Scripted, keep: Templates) -> None:
    """In a helper process, to which what is calm and what is unknown is told as data."""

    def many(colour: Any) -> dict[str, Any]:
        return template(**{f"T{number}": thing(Colour=colour) for number in range(70)}) | {"Parameters": {"Name": {"Type": "String"}}}

    def body(name: str) -> dict[str, Any]:
        first = {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": name}}
        nested = keep("many", many({"Ref": "Name"}), Name={"Ref": "First"})
        return template(First=first, Calm=keep("calm", child()), Child=nested, **many("red")["Resources"])

    stacks.create("outer", body("old"))
    root = plan(stacks, body("new"))
    assert list(by_id(root)) == ["Child", "First"]
    assert len(seen(stacks, by_id(root)["Child"]["ChangeSetId"])["Changes"]) == 70

"""Nested stacks through boto3: they are made, changed, turned back and deleted with their parents, and say so as on AWS."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from clients import Door
from families import Templates, child
from harness import until
from stacks import Scripted, Stacks, template, thing

GROUP = "AWS::Logs::LogGroup"


def colours(script: Scripted) -> list[Any]:
    return sorted(properties.get("Colour", "none") for properties in script.exists.values())


def test_a_nested_stack_lives_and_changes_with_its_parent(door: Door, stacks: Stacks, keep: Templates) -> None:
    logs = door.client("logs")

    def inner(days: int) -> dict[str, Any]:
        group = {"Type": GROUP, "Properties": {"LogGroupName": {"Ref": "Name"}, "RetentionInDays": days}}
        outputs = {"Arn": {"Value": {"Fn::GetAtt": ["Group", "Arn"]}}}
        return {"Parameters": {"Name": {"Type": "String"}}, "Resources": {"Group": group}, "Outputs": outputs}

    body = template(Child=keep("child", inner(1), Name="inner"))
    body["Outputs"] = {"Arn": {"Value": {"Fn::GetAtt": ["Child", "Outputs.Arn"]}}}
    assert stacks.create("outer", body) == "CREATE_COMPLETE"
    assert stacks.describe("outer")["Outputs"][0]["OutputValue"].endswith(":log-group:inner:*")
    arn = stacks.physical("outer", "Child")
    shown = stacks.describe(arn)
    assert shown["StackName"].startswith("outer-Child-") and shown["ParentId"] == shown["RootId"] == stacks.describe("outer")["StackId"]
    keep("child", inner(3))
    assert stacks.update("outer", body) == "UPDATE_COMPLETE", "the same template at the same address, whose content is another one"
    assert logs.describe_log_groups()["logGroups"][0]["retentionInDays"] == 3
    with pytest.raises(ClientError, match="nested stack"):
        stacks.api.update_termination_protection(StackName=arn, EnableTerminationProtection=True)
    assert stacks.delete("outer") == "DELETE_COMPLETE"
    assert logs.describe_log_groups()["logGroups"] == [] and stacks.describe(arn)["StackStatus"] == "DELETE_COMPLETE"


def test_an_update_in_which_nothing_changed_looks_at_the_nested_stacks_and_leaves_them(
    stacks: Stacks, script: Scripted, keep: Templates
) -> None:
    body = template(Child=keep("child", child()), Other=thing())
    stacks.create("outer", body)
    inner = stacks.physical("outer", "Child")
    since, since_inner = len(stacks.events("outer")), len(stacks.events(inner))
    assert stacks.update("outer", body) == "UPDATE_COMPLETE"
    assert stacks.statuses("outer", since) == [
        "outer UPDATE_IN_PROGRESS",
        "Child UPDATE_IN_PROGRESS",
        "Child UPDATE_COMPLETE",
        "outer UPDATE_COMPLETE_CLEANUP_IN_PROGRESS",
        "Child UPDATE_COMPLETE",
        "outer UPDATE_COMPLETE",
    ]
    assert stacks.describe(inner)["StackStatus"] == "CREATE_COMPLETE" and len(stacks.events(inner)) == since_inner
    with pytest.raises(ClientError, match=r"No updates are to be performed\."):
        stacks.api.update_stack(StackName=inner, UsePreviousTemplate=True)


def test_a_nested_stack_cleans_up_when_its_parent_does(stacks: Stacks, script: Scripted, keep: Templates) -> None:
    deep = keep("deep", template(Leaves=thing(), Stays=thing()))
    body = template(Child=keep("child", template(Deep=deep)), Late=thing("Child", Colour="red"))
    stacks.create("outer", body)
    middle = stacks.physical("outer", "Child")
    inner = stacks.physical(middle, "Deep")
    keep("deep", template(Stays=thing(Colour="red")))
    since, since_middle, since_inner = (len(stacks.events(name)) for name in ("outer", middle, inner))
    late = thing("Child", Colour="blue", Slow=["update"])
    stacks.api.update_stack(StackName="outer", TemplateBody=json.dumps(template(Child=body["Resources"]["Child"], Late=late)))
    stacks.reached("outer", "Late", "UPDATE_IN_PROGRESS")
    for held in (middle, inner):
        assert stacks.describe(held)["StackStatus"] == "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"
    assert "leaves-1" in script.exists, "what the parent may still need is not cleaned up"
    script.let.add("Late")
    assert stacks.arrived("outer") == "UPDATE_COMPLETE" and "leaves-1" not in script.exists
    middle_name, inner_name = middle.split("/")[1], inner.split("/")[1]
    assert stacks.statuses("outer", since)[-4:] == [
        "Late UPDATE_COMPLETE",
        "outer UPDATE_COMPLETE_CLEANUP_IN_PROGRESS",
        "Child UPDATE_COMPLETE",
        "outer UPDATE_COMPLETE",
    ]
    assert stacks.statuses(middle, since_middle) == [
        f"{middle_name} UPDATE_IN_PROGRESS",
        "Deep UPDATE_IN_PROGRESS",
        "Deep UPDATE_COMPLETE",
        f"{middle_name} UPDATE_COMPLETE_CLEANUP_IN_PROGRESS",
        "Deep UPDATE_COMPLETE",
        f"{middle_name} UPDATE_COMPLETE",
    ]
    assert stacks.statuses(inner, since_inner) == [
        f"{inner_name} UPDATE_IN_PROGRESS",
        "Stays UPDATE_IN_PROGRESS",
        "Stays UPDATE_COMPLETE",
        f"{inner_name} UPDATE_COMPLETE_CLEANUP_IN_PROGRESS",
        "Leaves DELETE_IN_PROGRESS",
        "Leaves DELETE_COMPLETE",
        f"{inner_name} UPDATE_COMPLETE",
    ]


def test_a_nested_stack_that_was_updated_turns_back_with_its_parent(stacks: Stacks, script: Scripted, keep: Templates) -> None:
    body = template(Child=keep("child", child(Colour="red"))) | {"Outputs": {"C": {"Value": {"Fn::GetAtt": ["Child", "Outputs.Colour"]}}}}
    stacks.create("outer", body)
    inner = stacks.physical("outer", "Child")
    keep("child", child(Colour="blue"))
    since, since_inner = len(stacks.events("outer")), len(stacks.events(inner))
    bad = template(Child=body["Resources"]["Child"], Bad=thing("Child", Fail=["create"]))
    assert stacks.update("outer", bad) == "UPDATE_ROLLBACK_COMPLETE"
    assert stacks.statuses("outer", since) == [
        "outer UPDATE_IN_PROGRESS",
        "Child UPDATE_IN_PROGRESS",
        "Child UPDATE_COMPLETE",
        "Bad CREATE_IN_PROGRESS",
        "Bad CREATE_FAILED",
        "outer UPDATE_ROLLBACK_IN_PROGRESS",
        "Child UPDATE_IN_PROGRESS",
        "Child UPDATE_COMPLETE",
        "outer UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS",
        "Bad DELETE_COMPLETE",
        "Child UPDATE_COMPLETE",
        "outer UPDATE_ROLLBACK_COMPLETE",
    ]
    name = inner.split("/")[1]
    assert stacks.statuses(inner, since_inner) == [
        f"{name} UPDATE_IN_PROGRESS",
        "Thing UPDATE_IN_PROGRESS",
        "Thing UPDATE_COMPLETE",
        f"{name} UPDATE_COMPLETE_CLEANUP_IN_PROGRESS",
        f"{name} UPDATE_ROLLBACK_IN_PROGRESS",
        "Thing UPDATE_IN_PROGRESS",
        "Thing UPDATE_COMPLETE",
        f"{name} UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS",
        f"{name} UPDATE_ROLLBACK_COMPLETE",
    ]
    assert colours(script) == ["red"] and stacks.describe(inner)["Outputs"][0]["OutputValue"] == "red"
    assert stacks.update("outer", body) == "UPDATE_COMPLETE" and colours(script) == ["blue"]
    assert stacks.describe("outer")["Outputs"][0]["OutputValue"] == "blue"


def test_a_nested_stack_that_cannot_be_created_fails_its_parent(stacks: Stacks, script: Scripted, keep: Templates) -> None:
    broken = template(Good=thing(), Bad=thing("Good", Fail=["create"]))
    assert stacks.create("outer", template(Child=keep("child", broken))) == "ROLLBACK_COMPLETE"
    happened = {(logical, status): reason for logical, status, reason in stacks.events("outer")}
    reason = happened["Child", "CREATE_FAILED"]
    inner = reason.split()[2]
    said = "The following resource(s) failed to create: [Bad]. "
    assert reason == f"Embedded stack {inner} was not successfully created: {said}"
    assert happened["outer", "ROLLBACK_IN_PROGRESS"] == "The following resource(s) failed to create: [Child]. Rollback requested by user."
    name = inner.split("/")[1]
    own = [(status, reason) for logical, status, reason in stacks.events(inner) if logical == name]
    assert own == [
        ("CREATE_IN_PROGRESS", "User Initiated"),
        ("CREATE_FAILED", said),
        ("DELETE_IN_PROGRESS", "User Initiated"),
        ("DELETE_COMPLETE", ""),
    ]
    assert script.exists == {}


def test_a_nested_stack_that_cannot_be_updated_turns_back_by_itself(stacks: Stacks, script: Scripted, keep: Templates) -> None:
    body = template(Child=keep("child", child()), Other=thing("Child"))
    stacks.create("outer", body)
    inner = stacks.physical("outer", "Child")
    keep("child", child(Colour="blue", Fail=["update"]) | template(Thing=thing(Colour="blue", Fail=["update"]), New=thing()))
    assert stacks.update("outer", body) == "UPDATE_ROLLBACK_COMPLETE"
    reasons = [reason for logical, status, reason in stacks.events("outer") if (logical, status) == ("Child", "UPDATE_FAILED")]
    assert reasons == [
        f"Embedded stack {inner} was not successfully updated. Currently in UPDATE_ROLLBACK_IN_PROGRESS with reason: "
        "The following resource(s) failed to update: [Thing]. "
    ]
    name = inner.split("/")[1]
    own = [status for logical, status, _ in stacks.events(inner) if logical == name][2:]
    assert own == [
        "UPDATE_IN_PROGRESS",
        "UPDATE_ROLLBACK_IN_PROGRESS",
        "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS",
        "UPDATE_ROLLBACK_COMPLETE",
    ]
    assert sorted(script.exists) == ["other-2", "thing-1"]


def test_cancelling_the_root_turns_a_nested_stack_back_that_is_at_it(stacks: Stacks, script: Scripted, keep: Templates) -> None:
    body = template(Child=keep("child", child(Colour="red")))
    stacks.create("outer", body)
    inner = stacks.physical("outer", "Child")
    keep("child", child(Colour="blue", Slow=["update"]))
    stacks.api.update_stack(StackName="outer", TemplateBody=json.dumps(body))
    stacks.reached(inner, "Thing", "UPDATE_IN_PROGRESS")
    with pytest.raises(ClientError, match="cannot be invoked on child stacks"):
        stacks.api.cancel_update_stack(StackName=inner)
    stacks.api.cancel_update_stack(StackName="outer")
    assert stacks.arrived("outer") == "UPDATE_ROLLBACK_COMPLETE"
    assert stacks.describe(inner)["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE" and colours(script) == ["red"]
    assert ("Child", "UPDATE_FAILED", "Resource update cancelled") in stacks.events("outer")
    assert (inner.split("/")[1], "UPDATE_ROLLBACK_IN_PROGRESS", "User Initiated") in stacks.events(inner)


@pytest.fixture
def stuck(stacks: Stacks, script: Scripted, keep: Templates) -> tuple[str, str]:
    """A root whose rollback failed in one nested stack, while another one has turned back and waits: their ARNs."""
    body = template(
        Stuck=keep("stuck", child(Colour="red", Fail=["update"])), Well=keep("well", child(Colour="green")), Bad=thing("Stuck", "Well")
    )
    stacks.create("outer", body)
    keep("stuck", child(Colour="blue"))
    keep("well", child(Colour="black"))
    bad = template(**{**body["Resources"], "Bad": thing("Stuck", "Well", Fail=["update"])})
    assert stacks.update("outer", bad) == "UPDATE_ROLLBACK_FAILED"
    return stacks.physical("outer", "Stuck"), stacks.physical("outer", "Well")


def test_a_rollback_that_fails_within_goes_on_from_the_root(stacks: Stacks, script: Scripted, stuck: tuple[str, str]) -> None:
    inner, well = stuck
    name = inner.split("/")[1]
    assert stacks.describe(inner)["StackStatus"] == "UPDATE_ROLLBACK_FAILED"
    assert stacks.describe(well)["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS", "it waits for its parent"
    refusals = [
        (inner, [], "RollbackUpdatedStack cannot be invoked on child stacks"),
        ("outer", ["Thing"], "does not belong to stack outer"),
        ("outer", ["Stuck"], "Nested stacks could not be skipped"),
        ("outer", ["Stuck.Thing"], r"Stack \[Stuck\] does not exist"),
        ("outer", [f"{well.split('/')[1]}.Thing"], "Only the resources failed during UpdateRollback are allowed to be skipped"),
    ]
    for stack, skip, message in refusals:
        with pytest.raises(ClientError, match=message):
            stacks.api.continue_update_rollback(StackName=stack, ResourcesToSkip=skip)
    stacks.api.continue_update_rollback(StackName="outer")
    assert stacks.arrived("outer") == "UPDATE_ROLLBACK_FAILED", "what was not mended fails again"
    stacks.api.continue_update_rollback(StackName="outer", ResourcesToSkip=[f"{name}.Thing"])
    assert stacks.arrived("outer") == "UPDATE_ROLLBACK_COMPLETE"
    for arn in stuck:
        assert stacks.describe(arn)["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert colours(script) == ["blue", "green", "none"], "the skipped one is as the failed update left it"


def test_a_root_that_is_stuck_is_deleted_with_what_is_nested_in_it(stacks: Stacks, script: Scripted, stuck: tuple[str, str]) -> None:
    assert stacks.delete("outer") == "DELETE_COMPLETE" and script.exists == {}
    for arn in stuck:
        assert stacks.describe(arn)["StackStatus"] == "DELETE_COMPLETE"


def test_what_an_update_without_rollback_left_is_updated_again(stacks: Stacks, script: Scripted, keep: Templates) -> None:
    body = template(Good=keep("good", child(Colour="red")), Child=keep("child", child(Colour="green")), Last=thing("Good", "Child"))
    stacks.create("outer", body)
    good, inner = stacks.physical("outer", "Good"), stacks.physical("outer", "Child")
    keep("good", child(Colour="blue"))
    nested = keep("child", child(Colour="black", Fail=["update"]), "Good")
    body = template(**{**body["Resources"], "Child": nested})
    assert stacks.update("outer", body, DisableRollback=True) == "UPDATE_FAILED"
    assert stacks.describe(inner)["StackStatus"] == "UPDATE_FAILED"
    keep("child", child(Colour="white"))
    keep("good", child(Colour="yellow"))
    assert stacks.update("outer", body, DisableRollback=True) == "UPDATE_COMPLETE"
    assert colours(script) == ["none", "white", "yellow"]
    for arn in (good, inner):
        assert stacks.describe(arn)["StackStatus"] == "UPDATE_COMPLETE"


def test_what_an_update_without_rollback_left_is_turned_back_by_hand(stacks: Stacks, script: Scripted, keep: Templates) -> None:
    body = template(Good=keep("good", child(Colour="red")), Child=keep("child", child(Colour="green"), "Good"))
    stacks.create("outer", body)
    good, inner = stacks.physical("outer", "Good"), stacks.physical("outer", "Child")
    keep("good", child(Colour="blue"))
    keep("child", template(Thing=thing(Colour="black"), Worse=thing("Thing", Fail=["create"])))
    assert stacks.update("outer", body, DisableRollback=True) == "UPDATE_FAILED"
    assert colours(script) == ["black", "blue"]
    stacks.api.rollback_stack(StackName="outer")
    assert stacks.arrived("outer") == "UPDATE_ROLLBACK_COMPLETE" and colours(script) == ["green", "red"]
    for arn in (good, inner):
        assert stacks.describe(arn)["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"


def test_a_nested_stack_that_cannot_be_deleted_keeps_its_parent(stacks: Stacks, script: Scripted, keep: Templates) -> None:
    stacks.create("outer", template(Child=keep("child", child(Fail=["delete"]))))
    inner = stacks.physical("outer", "Child")
    assert stacks.delete("outer") == "DELETE_FAILED"
    reason = next(reason for logical, status, reason in stacks.events("outer") if (logical, status) == ("Child", "DELETE_FAILED"))
    assert reason == f"Embedded stack {inner} was not successfully deleted: The following resource(s) failed to delete: [Thing]. "
    assert stacks.describe(inner)["StackStatus"] == "DELETE_FAILED"
    assert stacks.delete("outer") == "DELETE_FAILED", "it is tried again, and fails again"
    assert stacks.delete("outer", DeletionMode="FORCE_DELETE_STACK") == "DELETE_COMPLETE"
    assert stacks.describe(inner)["StackStatus"] == "DELETE_COMPLETE" and list(script.exists) == ["thing-1"]


def test_a_nested_stack_whose_export_is_used_stays(stacks: Stacks, script: Scripted, keep: Templates) -> None:
    exporting = template(Thing=thing()) | {"Outputs": {"O": {"Value": "v", "Export": {"Name": "shared"}}}}
    stacks.create("outer", template(Child=keep("child", exporting)))
    stacks.create("user", template(Thing=thing(Colour={"Fn::ImportValue": "shared"})))
    assert stacks.delete("outer") == "DELETE_FAILED"
    reason = next(reason for logical, status, reason in stacks.events("outer") if (logical, status) == ("Child", "DELETE_FAILED"))
    assert reason.endswith("Export shared cannot be deleted as it is in use by user")
    assert stacks.delete("user") == stacks.delete("outer") == "DELETE_COMPLETE"


def test_a_nested_stack_may_be_updated_by_itself(stacks: Stacks, script: Scripted, keep: Templates) -> None:
    stacks.create("outer", template(Child=keep("child", child(Colour="red"))))
    inner = stacks.physical("outer", "Child")
    assert stacks.update(inner, child(Colour="blue")) == "UPDATE_COMPLETE" and colours(script) == ["blue"]
    with pytest.raises(ClientError, match="RollbackStack cannot be invoked on child stacks"):
        stacks.api.rollback_stack(StackName=inner)
    until(lambda: stacks.describe("outer")["StackStatus"] == "CREATE_COMPLETE", 5.0, "the parent to be as it was")


def test_parameters_of_nested_stacks_are_texts(stacks: Stacks, script: Scripted, keep: Templates) -> None:
    inner = template(Thing=thing(Colour={"Ref": "Flag"}, Many={"Ref": "Many"}))
    inner["Parameters"] = {"Flag": {"Type": "String"}, "Many": {"Type": "CommaDelimitedList"}}
    assert stacks.create("outer", template(Child=keep("child", inner, Flag=True, Many=[True, 1, "x"]))) == "CREATE_COMPLETE"
    made = script.exists["thing-1"]
    assert (made["Colour"], made["Many"]) == ("true", ["true", "1", "x"])


def test_what_is_skipped_may_be_nested_deeper(stacks: Stacks, script: Scripted, keep: Templates) -> None:
    middle = keep("middle", template(Deep=keep("deep", child(Colour="red", Fail=["update"])), Beside=thing(Colour="green")))
    stacks.create("outer", template(Child=middle, Bad=thing("Child")))
    inner = stacks.physical("outer", "Child")
    deep = stacks.physical(inner, "Deep")
    keep("deep", child(Colour="blue"))
    assert stacks.update("outer", template(Child=middle, Bad=thing("Child", Fail=["update"]))) == "UPDATE_ROLLBACK_FAILED"
    for arn in (inner, deep):
        assert stacks.describe(arn)["StackStatus"] == "UPDATE_ROLLBACK_FAILED"
    stacks.api.continue_update_rollback(StackName="outer", ResourcesToSkip=[f"{deep.split('/')[1]}.Thing"])
    assert stacks.arrived("outer") == "UPDATE_ROLLBACK_COMPLETE"
    for arn in (inner, deep):
        assert stacks.describe(arn)["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"

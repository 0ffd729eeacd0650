"""Stack operations through boto3: what becomes of resources and what the history says, in success and in every kind of failure."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from clients import Door
from harness import InProcessCloud, until
from stacks import Scripted, Stacks, template, thing
from windtunnel.kernel.clock import FixedClock

GROUP = "AWS::Logs::LogGroup"


def group(days: int | None = None, name: str = "") -> dict[str, Any]:
    properties: dict[str, Any] = {} if days is None else {"RetentionInDays": days}
    if name:
        properties["LogGroupName"] = name
    return {"Type": GROUP, "Properties": properties}


def test_a_stack_is_created_updated_and_deleted(door: Door, stacks: Stacks) -> None:
    logs = door.client("logs")
    first = {
        "Parameters": {"Days": {"Type": "Number", "Default": "7"}},
        "Resources": {"Group": {"Type": GROUP, "Properties": {"RetentionInDays": {"Ref": "Days"}}}},
        "Outputs": {"Name": {"Value": {"Ref": "Group"}, "Export": {"Name": "the-group"}}},
    }
    assert stacks.create("one", first, Tags=[{"Key": "course", "Value": "devops"}]) == "CREATE_COMPLETE"
    shown = stacks.describe("one")
    name = shown["Outputs"][0]["OutputValue"]
    assert name.startswith("one-Group-") and shown["Tags"] == [{"Key": "course", "Value": "devops"}]
    assert shown["Parameters"] == [{"ParameterKey": "Days", "ParameterValue": "7"}]
    assert logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"][0]["retentionInDays"] == 7
    assert logs.list_tags_log_group(logGroupName=name)["tags"]["course"] == "devops"
    assert stacks.api.list_exports()["Exports"][0]["Value"] == name
    assert stacks.events("one") == [
        ("one", "CREATE_IN_PROGRESS", "User Initiated"),
        ("Group", "CREATE_IN_PROGRESS", ""),
        ("Group", "CREATE_IN_PROGRESS", "Resource creation Initiated"),
        ("Group", "CREATE_COMPLETE", ""),
        ("one", "CREATE_COMPLETE", ""),
    ]

    assert stacks.update("one", first, Parameters=[{"ParameterKey": "Days", "ParameterValue": "14"}]) == "UPDATE_COMPLETE"
    assert logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"][0]["retentionInDays"] == 14
    assert stacks.statuses("one", since=5) == [
        "one UPDATE_IN_PROGRESS",
        "Group UPDATE_IN_PROGRESS",
        "Group UPDATE_COMPLETE",
        "one UPDATE_COMPLETE_CLEANUP_IN_PROGRESS",
        "one UPDATE_COMPLETE",
    ]
    with pytest.raises(ClientError, match="No updates are to be performed."):
        stacks.update("one", first, Parameters=[{"ParameterKey": "Days", "UsePreviousValue": True}])

    assert stacks.delete("one") == "DELETE_COMPLETE"
    assert logs.describe_log_groups()["logGroups"] == [] and stacks.api.list_exports()["Exports"] == []
    with pytest.raises(ClientError, match="Stack with id one does not exist"):
        stacks.describe("one")
    assert [found["StackStatus"] for found in stacks.api.list_stacks()["StackSummaries"]] == ["DELETE_COMPLETE"]


def test_what_needs_another_comes_after_it_and_goes_before_it(stacks: Stacks, script: Scripted) -> None:
    assert stacks.create("order", template(C=thing("B"), A=thing(), B=thing("A"))) == "CREATE_COMPLETE"
    assert stacks.delete("order") == "DELETE_COMPLETE"
    assert script.calls == ["create A", "create B", "create C", "delete C", "delete B", "delete A"]


def test_a_replacement_is_made_first_and_the_old_one_goes_in_cleanup(door: Door, stacks: Stacks) -> None:
    stacks.create("swap", template(Group=group(name="old")))
    assert stacks.update("swap", template(Group=group(name="new"))) == "UPDATE_COMPLETE"
    assert [found["logGroupName"] for found in door.client("logs").describe_log_groups()["logGroups"]] == ["new"]
    assert stacks.events("swap")[6:] == [
        ("Group", "UPDATE_IN_PROGRESS", "Requested update requires the creation of a new physical resource; hence creating one."),
        ("Group", "UPDATE_IN_PROGRESS", "Resource creation Initiated"),
        ("Group", "UPDATE_COMPLETE", ""),
        ("swap", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", ""),
        ("Group", "DELETE_IN_PROGRESS", ""),
        ("Group", "DELETE_COMPLETE", ""),
        ("swap", "UPDATE_COMPLETE", ""),
    ]


def test_a_removed_resource_goes_in_cleanup_unless_it_is_retained(stacks: Stacks, script: Scripted) -> None:
    kept = thing() | {"DeletionPolicy": "Retain"}
    stacks.create("less", template(A=thing(), B=kept, C=thing()))
    assert stacks.update("less", template(C=thing())) == "UPDATE_COMPLETE"
    assert stacks.statuses("less")[-4:] == ["B DELETE_SKIPPED", "A DELETE_IN_PROGRESS", "A DELETE_COMPLETE", "less UPDATE_COMPLETE"]
    assert sorted(script.exists) == ["b-2", "c-3"]
    assert [found["LogicalResourceId"] for found in stacks.api.list_stack_resources(StackName="less")["StackResourceSummaries"]] == ["C"]


def test_a_failing_creation_is_rolled_back(stacks: Stacks, script: Scripted) -> None:
    assert stacks.create("bad", template(A=thing(), B=thing("A", Fail=["create"]), C=thing("B"))) == "ROLLBACK_COMPLETE"
    assert script.exists == {}
    history = stacks.events("bad")
    assert ("bad", "ROLLBACK_IN_PROGRESS", "The following resource(s) failed to create: [B]. Rollback requested by user.") in history
    failed = next(reason for logical, status, reason in history if status == "CREATE_FAILED" and logical == "B")
    assert failed.startswith('Resource handler returned message: "B was told to fail"') and "HandlerErrorCode: InvalidRequest" in failed
    assert not any(logical == "C" for logical, _, _ in history)
    with pytest.raises(ClientError, match="is in ROLLBACK_COMPLETE state and can not be updated"):
        stacks.update("bad", template(A=thing()))
    assert stacks.delete("bad") == "DELETE_COMPLETE"


def test_what_is_coming_when_another_fails_is_cancelled(stacks: Stacks, script: Scripted) -> None:
    assert stacks.create("late", template(A=thing(Slow=["create"]), B=thing(Fail=["create"]))) == "ROLLBACK_COMPLETE"
    assert ("A", "CREATE_FAILED", "Resource creation cancelled") in stacks.events("late")
    assert script.exists == {}


@pytest.mark.parametrize(
    ("options", "status"),
    [
        pytest.param({"OnFailure": "DO_NOTHING"}, "CREATE_FAILED", id="do nothing"),
        pytest.param({"DisableRollback": True}, "CREATE_FAILED", id="rollback disabled"),
        pytest.param({"OnFailure": "ROLLBACK"}, "ROLLBACK_COMPLETE", id="roll back"),
    ],
)
def test_failure_options_of_a_creation(stacks: Stacks, script: Scripted, options: dict[str, Any], status: str) -> None:
    assert stacks.create("opts", template(A=thing(), B=thing("A", Fail=["create"])), **options) == status
    assert bool(script.exists) == (status == "CREATE_FAILED")


def test_a_failing_creation_can_delete_itself(stacks: Stacks, script: Scripted) -> None:
    body = json.dumps(template(A=thing(Fail=["create"])))
    arn = stacks.api.create_stack(StackName="gone", TemplateBody=body, OnFailure="DELETE")["StackId"]
    assert stacks.arrived(arn) == "DELETE_COMPLETE"


def test_a_preserved_failure_is_mended_or_rolled_back(stacks: Stacks, script: Scripted) -> None:
    bad, good = template(A=thing(), B=thing("A", Fail=["create"])), template(A=thing(), B=thing("A"))
    stacks.create("mend", bad, DisableRollback=True)
    assert stacks.update("mend", good, DisableRollback=True) == "UPDATE_COMPLETE"
    assert sorted(script.exists) == ["a-1", "b-2"]
    stacks.create("undo", bad, DisableRollback=True)
    stacks.api.rollback_stack(StackName="undo")
    assert stacks.arrived("undo") == "ROLLBACK_COMPLETE" and sorted(script.exists) == ["a-1", "b-2"]


def test_a_failing_update_restores_what_was(stacks: Stacks, script: Scripted) -> None:
    stacks.create("back", template(A=thing(Colour="red"), B=thing(Colour="red"), C=thing()))
    before = dict(script.exists)
    new = template(A=thing(Colour="blue"), B=thing(Colour="red", Replace="yes"), D=thing(), E=thing("A", "B", "D", Fail=["create"]))
    assert stacks.update("back", new) == "UPDATE_ROLLBACK_COMPLETE"
    assert script.exists == before
    history = stacks.statuses("back")
    assert "back UPDATE_ROLLBACK_IN_PROGRESS" in history and "back UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS" in history
    assert [stacks.physical("back", name) for name in "ABC"] == ["a-1", "b-2", "c-3"]
    assert stacks.update("back", template(A=thing(Colour="green"))) == "UPDATE_COMPLETE"


def test_an_update_that_cannot_be_rolled_back_is_continued(stacks: Stacks, script: Scripted) -> None:
    stacks.create("stuck", template(A=thing(Fail=["update"]), B=thing(Colour="red")))
    new = template(A=thing(), B=thing(Colour="blue"), C=thing("A", "B", Fail=["create"]))
    assert stacks.update("stuck", new) == "UPDATE_ROLLBACK_FAILED"
    assert stacks.describe("stuck")["StackStatusReason"] == "The following resource(s) failed to update: [A]. "
    stacks.api.continue_update_rollback(StackName="stuck")
    assert stacks.arrived("stuck") == "UPDATE_ROLLBACK_FAILED"
    with pytest.raises(ClientError, match="Only the resources failed during UpdateRollback are allowed to be skipped"):
        stacks.api.continue_update_rollback(StackName="stuck", ResourcesToSkip=["B"])
    stacks.api.continue_update_rollback(StackName="stuck", ResourcesToSkip=["A"])
    assert stacks.arrived("stuck") == "UPDATE_ROLLBACK_COMPLETE"
    assert script.exists["b-2"]["Colour"] == "red" and sorted(script.exists) == ["a-1", "b-2"]


def test_a_preserved_failing_update_is_rolled_back_on_request(stacks: Stacks, script: Scripted) -> None:
    stacks.create("keep", template(A=thing(Colour="red")))
    assert stacks.update("keep", template(A=thing(Colour="blue"), B=thing("A", Fail=["create"])), DisableRollback=True) == "UPDATE_FAILED"
    assert script.exists["a-1"]["Colour"] == "blue"
    stacks.api.rollback_stack(StackName="keep")
    assert stacks.arrived("keep") == "UPDATE_ROLLBACK_COMPLETE"
    assert script.exists["a-1"]["Colour"] == "red"


def test_an_update_is_cancelled(stacks: Stacks, script: Scripted) -> None:
    stacks.create("halt", template(A=thing(Colour="red")))
    body = json.dumps(template(A=thing(Colour="blue"), B=thing("A", Slow=["create"])))
    stacks.api.update_stack(StackName="halt", TemplateBody=body)
    until(lambda: "B CREATE_IN_PROGRESS" in stacks.statuses("halt"))
    stacks.api.cancel_update_stack(StackName="halt")
    assert stacks.arrived("halt") == "UPDATE_ROLLBACK_COMPLETE"
    assert list(script.exists) == ["a-1"] and script.exists["a-1"]["Colour"] == "red"
    with pytest.raises(ClientError, match="CancelUpdateStack cannot be called from current stack status UPDATE_ROLLBACK_COMPLETE"):
        stacks.api.cancel_update_stack(StackName="halt")


def test_a_deletion_that_fails_is_tried_again(stacks: Stacks, script: Scripted) -> None:
    stacks.create("stays", template(A=thing(), B=thing("A", Fail=["delete"]), C=thing()))
    assert stacks.delete("stays") == "DELETE_FAILED"
    assert stacks.describe("stays")["StackStatusReason"] == "The following resource(s) failed to delete: [B]. "
    assert sorted(script.exists) == ["a-1", "b-3"] or sorted(script.exists) == ["a-1", "b-2"]
    with pytest.raises(ClientError, match="do not exist in stack"):
        stacks.delete("stays", RetainResources=["X"])
    assert stacks.delete("stays", RetainResources=["B"]) == "DELETE_COMPLETE"
    assert len(script.exists) == 1


def test_a_forced_deletion_lets_go_of_what_will_not_leave(stacks: Stacks, script: Scripted) -> None:
    stacks.create("force", template(A=thing(Fail=["delete"]), B=thing("A")))
    assert stacks.delete("force") == "DELETE_FAILED"
    assert stacks.delete("force", DeletionMode="FORCE_DELETE_STACK") == "DELETE_COMPLETE"


def test_a_creation_is_overtaken_by_a_deletion(stacks: Stacks, script: Scripted) -> None:
    body = json.dumps(template(A=thing(Slow=["create"]), B=thing("A")))
    arn = stacks.api.create_stack(StackName="early", TemplateBody=body)["StackId"]
    until(lambda: script.exists)
    stacks.api.delete_stack(StackName="early")
    assert stacks.arrived(arn) == "DELETE_COMPLETE" and script.exists == {}


def test_a_protected_stack_is_not_deleted(stacks: Stacks, script: Scripted) -> None:
    stacks.create("safe", template(A=thing()), EnableTerminationProtection=True)
    with pytest.raises(ClientError, match=r"Stack \[safe\] cannot be deleted while TerminationProtection is enabled"):
        stacks.delete("safe")
    stacks.api.update_termination_protection(StackName="safe", EnableTerminationProtection=False)
    assert stacks.delete("safe") == "DELETE_COMPLETE"


def test_a_creation_policy_waits_for_its_signals(stacks: Stacks, script: Scripted) -> None:
    waits = thing() | {"CreationPolicy": {"ResourceSignal": {"Count": 2, "Timeout": "PT5M"}}}
    stacks.api.create_stack(StackName="hears", TemplateBody=json.dumps(template(A=waits)))
    until(lambda: script.exists)
    for unique in ("i-1", "i-1", "i-2"):
        until(lambda: stacks.resource("hears", "A").get("ResourceStatus") == "CREATE_IN_PROGRESS")
        stacks.api.signal_resource(StackName="hears", LogicalResourceId="A", UniqueId=unique, Status="SUCCESS")
    assert stacks.arrived("hears") == "CREATE_COMPLETE"
    assert [reason for _, _, reason in stacks.events("hears") if reason.startswith("Received")] == [
        "Received SUCCESS signal with UniqueId i-1",
        "Received SUCCESS signal with UniqueId i-2",
    ]
    with pytest.raises(ClientError, match="Resource A is in CREATE_COMPLETE state and cannot be signaled"):
        stacks.api.signal_resource(StackName="hears", LogicalResourceId="A", UniqueId="i-3", Status="SUCCESS")


def test_a_failure_signal_and_a_silence_fail_the_resource(stacks: Stacks, script: Scripted) -> None:
    waits = thing() | {"CreationPolicy": {"ResourceSignal": {"Timeout": "PT5M"}}}
    stacks.api.create_stack(StackName="told", TemplateBody=json.dumps(template(A=waits)))
    until(lambda: script.exists)
    until(lambda: stacks.resource("told", "A").get("ResourceStatus") == "CREATE_IN_PROGRESS")
    stacks.api.signal_resource(StackName="told", LogicalResourceId="A", UniqueId="i-1", Status="FAILURE")
    assert stacks.arrived("told") == "ROLLBACK_COMPLETE"
    assert ("A", "CREATE_FAILED", "Received FAILURE signal with UniqueId i-1") in stacks.events("told")
    silent = thing() | {"CreationPolicy": {"ResourceSignal": {"Timeout": "PT0.2S"}}}
    assert stacks.create("mute", template(A=silent)) == "ROLLBACK_COMPLETE"
    reason = "Failed to receive 1 resource signal(s) within the specified duration"
    assert ("A", "CREATE_FAILED", reason) in stacks.events("mute")


def test_an_export_in_use_holds_its_stack(stacks: Stacks, script: Scripted) -> None:
    gives = template(A=thing()) | {"Outputs": {"Out": {"Value": "1", "Export": {"Name": "shared"}}}}
    takes = template(B=thing(Of={"Fn::ImportValue": "shared"}))
    stacks.create("gives", gives)
    stacks.create("takes", takes)
    assert stacks.api.list_imports(ExportName="shared")["Imports"] == ["takes"]
    assert stacks.delete("gives") == "DELETE_FAILED"
    assert stacks.describe("gives")["StackStatusReason"] == "Export shared cannot be deleted as it is in use by takes"
    stacks.delete("takes")
    with pytest.raises(ClientError, match="Export 'shared' is not imported by any stack."):
        stacks.api.list_imports(ExportName="shared")
    assert stacks.delete("gives") == "DELETE_COMPLETE"
    assert stacks.create("lost", takes) == "ROLLBACK_COMPLETE"
    assert any("No export named shared found" in reason for _, _, reason in stacks.events("lost"))


def test_a_stack_policy_denies_an_update(stacks: Stacks, script: Scripted) -> None:
    deny = {"Effect": "Deny", "Action": "Update:*", "Principal": "*", "Resource": "LogicalResourceId/A"}
    allow = {"Effect": "Allow", "Action": "Update:*", "Principal": "*", "Resource": "*"}
    stacks.create("ruled", template(A=thing(Colour="red")), StackPolicyBody=json.dumps({"Statement": [deny, allow]}))
    assert stacks.update("ruled", template(A=thing(Colour="blue"))) == "UPDATE_ROLLBACK_COMPLETE"
    assert any(reason.startswith("Action denied by stack policy: Statement [#0] does not allow") for _, _, reason in stacks.events("ruled"))
    during = json.dumps({"Statement": [allow]})
    assert stacks.update("ruled", template(A=thing(Colour="blue")), StackPolicyDuringUpdateBody=during) == "UPDATE_COMPLETE"
    assert json.loads(stacks.api.get_stack_policy(StackName="ruled")["StackPolicyBody"])["Statement"] == [deny, allow]


def test_a_stack_does_what_its_role_may_and_no_more(door: Door, stacks: Stacks) -> None:
    iam = door.client("iam")
    trust = {"Effect": "Allow", "Principal": {"Service": "cloudformation.amazonaws.com"}, "Action": "sts:AssumeRole"}
    arn = iam.create_role(RoleName="maker", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}))["Role"][
        "Arn"
    ]
    assert stacks.create("poor", template(Group=group()), RoleARN=arn) == "ROLLBACK_COMPLETE"
    assert any("AccessDenied" in reason and "logs:CreateLogGroup" in reason for _, _, reason in stacks.events("poor"))
    may = {"Effect": "Allow", "Action": "logs:*", "Resource": "*"}
    iam.put_role_policy(RoleName="maker", PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [may]}))
    assert stacks.create("rich", template(Group=group()), RoleARN=arn) == "CREATE_COMPLETE"
    with pytest.raises(ClientError, match="Role arn:aws:iam::123456789012:role/none is invalid or cannot be assumed"):
        stacks.create("none", template(Group=group()), RoleARN="arn:aws:iam::123456789012:role/none")


def test_a_role_that_is_gone_fails_a_deletion_until_another_is_given(door: Door, stacks: Stacks) -> None:
    iam = door.client("iam")
    trust = {"Effect": "Allow", "Principal": {"Service": "cloudformation.amazonaws.com"}, "Action": "sts:AssumeRole"}
    may = {"Effect": "Allow", "Action": "logs:*", "Resource": "*"}
    for name in ("first", "second"):
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}))
        iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [may]}))
    role = "arn:aws:iam::123456789012:role/"
    assert stacks.create("orphan", template(Group=group()), RoleARN=f"{role}first") == "CREATE_COMPLETE"
    iam.delete_role_policy(RoleName="first", PolicyName="p")
    iam.delete_role(RoleName="first")
    assert stacks.delete("orphan") == "DELETE_FAILED"
    assert stacks.delete("orphan", RoleARN=f"{role}second") == "DELETE_COMPLETE"


def test_nothing_begins_when_a_parameter_names_what_is_not_there(stacks: Stacks, script: Scripted) -> None:
    body = {"Parameters": {"Group": {"Type": "AWS::EC2::SecurityGroup::Id"}}, "Resources": {"A": thing()}}
    given = [{"ParameterKey": "Group", "ParameterValue": "sg-00000000000000000"}]
    assert stacks.create("nowhere", body, Parameters=given) == "ROLLBACK_COMPLETE"
    assert script.calls == [] and stacks.statuses("nowhere") == [
        f"nowhere {s}" for s in ("CREATE_IN_PROGRESS", "ROLLBACK_IN_PROGRESS", "ROLLBACK_COMPLETE")
    ]
    assert "parameter value sg-00000000000000000 for parameter name Group does not exist" in stacks.events("nowhere")[1][2]
    del body["Parameters"]
    stacks.delete("nowhere")
    assert stacks.create("nowhere", body) == "CREATE_COMPLETE"
    before = dict(script.exists)
    worse = {"Parameters": {"Group": {"Type": "AWS::EC2::SecurityGroup::Id"}}, "Resources": {"A": thing(Colour="red"), "B": thing()}}
    assert stacks.update("nowhere", worse, Parameters=given) == "UPDATE_ROLLBACK_COMPLETE"
    assert script.exists == before and script.calls == ["create A"]


def test_a_type_that_does_not_run_fails_the_stack_and_says_so(stacks: Stacks) -> None:
    assert stacks.create("other", template(Db={"Type": "AWS::Neptune::DBCluster"})) == "ROLLBACK_COMPLETE"
    assert any("does not run the resource type AWS::Neptune::DBCluster" in reason for _, _, reason in stacks.events("other"))


def test_a_secret_parameter_and_a_looked_up_value_are_not_shown(door: Door, stacks: Stacks, script: Scripted) -> None:
    door.client("ssm").put_parameter(Name="/word", Value="looked-up", Type="String")
    body = {
        "Parameters": {"Word": {"Type": "String", "NoEcho": True}},
        "Resources": {"A": thing(Word={"Ref": "Word"}, Other="{{resolve:ssm:/word}}")},
    }
    assert stacks.create("hush", body, Parameters=[{"ParameterKey": "Word", "ParameterValue": "s3cret"}]) == "CREATE_COMPLETE"
    given = next(iter(script.exists.values()))
    assert (given["Word"], given["Other"]) == ("s3cret", "looked-up")
    assert stacks.describe("hush")["Parameters"] == [{"ParameterKey": "Word", "ParameterValue": "****"}]
    events = json.dumps(stacks.api.describe_stack_events(StackName="hush")["StackEvents"], default=str)
    assert "s3cret" not in events and "looked-up" not in events


def test_the_same_request_token_is_the_same_request(stacks: Stacks, script: Scripted) -> None:
    body = json.dumps(template(A=thing(Slow=["create"])))
    first = stacks.api.create_stack(StackName="token", TemplateBody=body, ClientRequestToken="t")["StackId"]
    assert stacks.api.create_stack(StackName="token", TemplateBody=body, ClientRequestToken="t")["StackId"] == first
    with pytest.raises(ClientError, match=r"Stack \[token\] already exists"):
        stacks.api.create_stack(StackName="token", TemplateBody=body, ClientRequestToken="other")
    with pytest.raises(ClientError, match="TokenAlreadyExistsException"):
        stacks.api.create_stack(StackName="token", TemplateBody=json.dumps(template(Other=group())), ClientRequestToken="t")
    script.let.add("A")
    assert stacks.arrived("token") == "CREATE_COMPLETE"


def test_a_creation_that_takes_too_long_is_rolled_back(tmp_path: Path, script: Scripted) -> None:
    clock = FixedClock(time.time())
    with InProcessCloud(tmp_path, clock=clock) as cloud:
        stacks = Stacks(Door(cloud))
        body = json.dumps(template(A=thing(Slow=["create"])))
        stacks.api.create_stack(StackName="slow", TemplateBody=body, TimeoutInMinutes=1)
        until(lambda: script.exists)
        clock.advance(61)
        assert stacks.arrived("slow") == "ROLLBACK_COMPLETE" and script.exists == {}
        said = "Stack creation time exceeded the specified timeout of 1 minutes. Rollback requested by user."
        assert ("slow", "ROLLBACK_IN_PROGRESS", said) in stacks.events("slow")


def test_topics_and_rules_hear_of_a_stack(door: Door, stacks: Stacks, script: Scripted) -> None:
    sqs, sns, events = (door.client(name) for name in ("sqs", "sns", "events"))
    queue = sqs.create_queue(QueueName="heard")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    allow = {"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": arn}
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": json.dumps({"Version": "2012-10-17", "Statement": [allow]})})
    topic = sns.create_topic(Name="stacks")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": "true"})
    events.put_rule(
        Name="stacks",
        EventPattern=json.dumps({"source": ["aws.cloudformation"], "detail": {"status-details": {"status": ["CREATE_COMPLETE"]}}}),
    )
    events.put_targets(Rule="stacks", Targets=[{"Id": "q", "Arn": arn}])
    stacks.create("told", template(A=thing()), NotificationARNs=[topic])
    bodies: list[str] = []

    def all_heard() -> bool:
        for message in sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", []):
            bodies.append(message["Body"])
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        return len(bodies) >= 7

    until(all_heard)
    notified = [body for body in bodies if body.startswith("StackId='")]
    seen = [json.loads(body) for body in bodies if body.startswith("{")]
    assert (
        len(notified) == 5 and "LogicalResourceId='A'\n" in "".join(notified) and "ResourceStatus='CREATE_COMPLETE'\n" in "".join(notified)
    )
    assert sorted(event["detail-type"] for event in seen) == [
        "CloudFormation Resource Status Change",
        "CloudFormation Stack Status Change",
    ]
    assert {event["detail"].get("logical-resource-id") for event in seen} == {"A", None}


def test_no_two_events_have_one_id(stacks: Stacks) -> None:
    stacks.create("many", template(**{f"G{number}": group() for number in range(20)}))
    found = [
        event for page in stacks.api.get_paginator("describe_stack_events").paginate(StackName="many") for event in page["StackEvents"]
    ]
    assert len(found) == 62 and len({event["EventId"] for event in found}) == 62
    assert found[1]["EventId"].startswith("G19-CREATE_COMPLETE-20")

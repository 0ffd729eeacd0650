"""Cloud Control with boto3: requests and their progress, resources of several services, and AWS's errors."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from clients import Door
from harness import ACCOUNT, REGION, InProcessCloud, until
from windtunnel.provision.checking import differences
from windtunnel.provision.schemas import schema

GROUP = "AWS::Logs::LogGroup"
RULE = "AWS::Events::Rule"


@pytest.fixture
def control(door: Door) -> Any:
    return door.client("cloudcontrol")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """For tests that leave one another alone."""
    with InProcessCloud(tmp_path_factory.mktemp("shared")) as running:
        yield Door(running).client("cloudcontrol")


def ended(control: Any, event: dict[str, Any]) -> dict[str, Any]:
    """A request's last progress event."""
    found: dict[str, Any] = {}

    def over() -> bool:
        found.update(control.get_resource_request_status(RequestToken=event["RequestToken"])["ProgressEvent"])
        return found["OperationStatus"] in ("SUCCESS", "FAILED", "CANCEL_COMPLETE")

    until(over, what="the request has ended")
    return found


def create(control: Any, type_name: str, state: dict[str, Any], **more: Any) -> dict[str, Any]:
    return ended(control, control.create_resource(TypeName=type_name, DesiredState=json.dumps(state), **more)["ProgressEvent"])


def told(control: Any, type_name: str, identifier: str) -> dict[str, Any]:
    reply = control.get_resource(TypeName=type_name, Identifier=identifier)
    assert reply["ResourceDescription"]["Identifier"] == identifier
    properties: dict[str, Any] = json.loads(reply["ResourceDescription"]["Properties"])
    return properties


def update(control: Any, type_name: str, identifier: str, *patch: dict[str, Any]) -> dict[str, Any]:
    asked = control.update_resource(TypeName=type_name, Identifier=identifier, PatchDocument=json.dumps(patch))
    return ended(control, asked["ProgressEvent"])


def test_the_life_of_a_log_group(control: Any, door: Door) -> None:
    asked = control.create_resource(TypeName=GROUP, DesiredState=json.dumps({"LogGroupName": "/web", "RetentionInDays": "7"}))[
        "ProgressEvent"
    ]
    assert (asked["Operation"], asked["OperationStatus"], asked["TypeName"]) == ("CREATE", "IN_PROGRESS", GROUP)
    made = ended(control, asked)
    assert (made["OperationStatus"], made["Identifier"]) == ("SUCCESS", "/web"), made
    assert door.client("logs").describe_log_groups()["logGroups"][0]["retentionInDays"] == 7
    shown = told(control, GROUP, "/web")
    assert (shown["RetentionInDays"], shown["Arn"]) == (7, f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/web:*")

    changed = update(control, GROUP, "/web", {"op": "replace", "path": "/RetentionInDays", "value": 14})
    assert changed["OperationStatus"] == "SUCCESS" and json.loads(changed["ResourceModel"])["RetentionInDays"] == 14
    assert told(control, GROUP, "/web")["RetentionInDays"] == 14
    [one] = control.list_resources(TypeName=GROUP)["ResourceDescriptions"]
    assert one == {"Identifier": "/web", "Properties": '{"LogGroupName":"/web"}'}

    gone = ended(control, control.delete_resource(TypeName=GROUP, Identifier="/web")["ProgressEvent"])
    assert gone["OperationStatus"] == "SUCCESS" and "ResourceModel" not in gone
    assert door.client("logs").describe_log_groups()["logGroups"] == []
    kinds = [one["Operation"] for one in control.list_resource_requests()["ResourceRequestStatusSummaries"]]
    assert kinds == ["DELETE", "UPDATE", "CREATE"]


def test_a_type_whose_identifier_is_not_its_physical_id(control: Any) -> None:
    made = create(control, RULE, {"Name": "nightly", "ScheduleExpression": "rate(1 day)"})
    arn = f"arn:aws:events:{REGION}:{ACCOUNT}:rule/nightly"
    assert made["Identifier"] == arn, made
    assert told(control, RULE, arn)["ScheduleExpression"] == "rate(1 day)"
    changed = update(control, RULE, arn, {"op": "add", "path": "/Description", "value": "every night"})
    assert changed["OperationStatus"] == "SUCCESS", changed
    assert told(control, RULE, arn)["Description"] == "every night"
    assert (
        ended(control, control.delete_resource(TypeName=RULE, Identifier=json.dumps({"Arn": arn}))["ProgressEvent"])["OperationStatus"]
        == "SUCCESS"
    )


def test_a_resource_without_a_name_is_given_one(control: Any) -> None:
    made = create(control, GROUP, {})
    assert made["OperationStatus"] == "SUCCESS" and made["Identifier"].startswith("LogGroup-")


def refused(call: Any, **arguments: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as error:
        call(**arguments)
    return error.value.response["Error"]["Code"], error.value.response["Error"]["Message"]


@pytest.mark.parametrize(
    "operation, arguments, code, message",
    [
        pytest.param("create_resource", {"TypeName": "AWS::No::Such", "DesiredState": "{}"}, "TypeNotFoundException", "The type 'AWS::No::Such' cannot be found.", id="no such type"),
        pytest.param("create_resource", {"TypeName": "AWS::CodeBuild::Project", "DesiredState": "{}"}, "UnsupportedActionException",
            "Resource type AWS::CodeBuild::Project does not support CREATE action", id="a type that the registry cannot run"),
        pytest.param("create_resource", {"TypeName": "AWS::Athena::WorkGroup", "DesiredState": "{}"}, "NotImplemented", "AWS::Athena::WorkGroup", id="a type that is not built"),
        pytest.param("create_resource", {"TypeName": GROUP, "DesiredState": "[]"}, "InvalidRequestException", "Desired state", id="no object"),
        pytest.param("create_resource", {"TypeName": GROUP, "DesiredState": '{"Foo": 1}'}, "ValidationException",
            "Model validation failed (#: extraneous key [Foo] is not permitted)", id="an unknown property"),
        pytest.param("create_resource", {"TypeName": GROUP, "DesiredState": "{}", "TypeVersionId": "00000001"}, "NotImplemented", "TypeVersionId", id="a version"),
        pytest.param("get_resource", {"TypeName": GROUP, "Identifier": "none"}, "ResourceNotFoundException",
            "AWS::Logs::LogGroup Handler returned status FAILED: Resource of type 'AWS::Logs::LogGroup' with identifier 'none' was not found. (HandlerErrorCode: NotFound",
            id="nothing there"),
        pytest.param("update_resource", {"TypeName": GROUP, "Identifier": "none", "PatchDocument": "[]"}, "ResourceNotFoundException", "was not found", id="nothing to change"),
        pytest.param("update_resource", {"TypeName": GROUP, "Identifier": "there", "PatchDocument": "{}"}, "InvalidRequestException", "JSON array", id="no patch"),
        pytest.param("update_resource", {"TypeName": GROUP, "Identifier": "there", "PatchDocument": '[{"op": "remove", "path": "/KmsKeyId"}]'},
            "InvalidRequestException", "Invalid patch update", id="a patch that does not apply"),
        pytest.param("update_resource", {"TypeName": GROUP, "Identifier": "there", "PatchDocument": '[{"op": "replace", "path": "/LogGroupName", "value": "x"}]'},
            "NotUpdatableException", "Invalid patch update: createOnlyProperties [/properties/LogGroupName] cannot be updated", id="a create-only property"),
        pytest.param("update_resource", {"TypeName": GROUP, "Identifier": "there", "PatchDocument": '[{"op": "replace", "path": "/Arn", "value": "x"}]'},
            "ValidationException", "Invalid patch update: readOnlyProperties [/properties/Arn] cannot be updated", id="a read-only property"),
        pytest.param("update_resource", {"TypeName": GROUP, "Identifier": "there",
            "PatchDocument": json.dumps([{"op": "add", "path": "/ResourcePolicyDocument", "value": {"a": "x" * 1000}}]
                + [{"op": "copy", "from": "/ResourcePolicyDocument", "path": f"/ResourcePolicyDocument/{n}"} for n in range(40)])},
            "InvalidRequestException", "too large", id="a patch that doubles again and again"),
        pytest.param("get_resource_request_status", {"RequestToken": "none"}, "RequestTokenNotFoundException", "Request with token none", id="no such request"),
        pytest.param("cancel_resource_request", {"RequestToken": "none"}, "RequestTokenNotFoundException", "Request with token none", id="none to cancel"),
    ],
)  # fmt: skip
def test_errors(shared: Any, operation: str, arguments: dict[str, Any], code: str, message: str) -> None:
    control = shared
    create(control, GROUP, {"LogGroupName": "there"})
    found, text = refused(getattr(control, operation), **arguments)
    assert (found, message in text) == (code, True), text
    assert [one["Identifier"] for one in control.list_resources(TypeName=GROUP)["ResourceDescriptions"]] == ["there"]


def test_what_a_service_refuses_is_the_requests_end(control: Any) -> None:
    create(control, GROUP, {"LogGroupName": "twice"})
    again = create(control, GROUP, {"LogGroupName": "twice"})
    assert (again["OperationStatus"], again["ErrorCode"]) == ("FAILED", "AlreadyExists")
    assert "already exists" in again["StatusMessage"]
    gone = ended(control, control.delete_resource(TypeName=GROUP, Identifier="none")["ProgressEvent"])
    assert (gone["OperationStatus"], gone["ErrorCode"]) == ("FAILED", "NotFound")


def test_a_client_token_is_one_request(control: Any) -> None:
    wish = {"TypeName": GROUP, "DesiredState": '{"LogGroupName": "once"}', "ClientToken": "token-1"}
    first = control.create_resource(**wish)["ProgressEvent"]
    assert ended(control, first)["OperationStatus"] == "SUCCESS"
    assert control.create_resource(**wish)["ProgressEvent"]["RequestToken"] == first["RequestToken"]
    code, _ = refused(control.create_resource, **{**wish, "DesiredState": '{"LogGroupName": "twice"}'})
    assert code == "ClientTokenConflictException"


def test_the_list_of_requests_has_pages_and_filters(control: Any) -> None:
    for name in ("a", "b", "c", "a"):
        create(control, GROUP, {"LogGroupName": name})
    page = control.list_resource_requests(MaxResults=3)
    rest = control.list_resource_requests(MaxResults=3, NextToken=page["NextToken"])
    names = [one.get("Identifier") for one in page["ResourceRequestStatusSummaries"] + rest["ResourceRequestStatusSummaries"]]
    assert names == [None, "c", "b", "a"] and "NextToken" not in rest
    failed = control.list_resource_requests(ResourceRequestStatusFilter={"Operations": ["CREATE"], "OperationStatuses": ["FAILED"]})
    assert [one["ErrorCode"] for one in failed["ResourceRequestStatusSummaries"]] == ["AlreadyExists"]
    first = control.list_resources(TypeName=GROUP, MaxResults=2)
    second = control.list_resources(TypeName=GROUP, MaxResults=2, NextToken=first["NextToken"])
    assert [one["Identifier"] for one in first["ResourceDescriptions"] + second["ResourceDescriptions"]] == ["a", "b", "c"]


def test_a_caller_may_do_through_it_only_what_he_may_do_himself(control: Any, door: Door, cloud: InProcessCloud) -> None:
    iam = door.client("iam")
    iam.create_user(UserName="half")
    policy = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": ["cloudformation:*", "logs:DescribeLogGroups"], "Resource": "*"}],
    }
    iam.put_user_policy(UserName="half", PolicyName="p", PolicyDocument=json.dumps(policy))
    key = iam.create_access_key(UserName="half")["AccessKey"]
    half = door.client("cloudcontrol", (key["AccessKeyId"], key["SecretAccessKey"], ""))
    made = create(half, GROUP, {"LogGroupName": "mine"})
    assert (made["OperationStatus"], made["ErrorCode"]) == ("FAILED", "AccessDenied"), made
    assert "logs:CreateLogGroup" in made["StatusMessage"]
    assert control.list_resources(TypeName=GROUP)["ResourceDescriptions"] == []


def test_requests_go_on_after_a_restart(tmp_path: Path) -> None:
    with InProcessCloud(tmp_path) as first:
        control = Door(first).client("cloudcontrol")
        asked = control.create_resource(TypeName=GROUP, DesiredState='{"LogGroupName": "kept"}')["ProgressEvent"]
    with InProcessCloud(tmp_path) as second:
        control = Door(second).client("cloudcontrol")
        assert ended(control, asked)["OperationStatus"] == "SUCCESS"
        assert told(control, GROUP, "kept")["LogGroupName"] == "kept"


def test_what_a_request_wants_is_not_kept_in_the_clear(tmp_path: Path) -> None:
    with InProcessCloud(tmp_path) as cloud:
        control = Door(cloud).client("cloudcontrol")
        made = create(control, "AWS::SecretsManager::Secret", {"Name": "hidden", "SecretString": "hush-0f9d3c5b7a1e"})
        assert made["OperationStatus"] == "SUCCESS", made
        assert "hush" not in made["ResourceModel"] and "hidden" in made["ResourceModel"]
        assert "SecretString" not in told(control, "AWS::SecretsManager::Secret", made["Identifier"])
    found = [path for path in tmp_path.rglob("*") if path.is_file() and b"hush-0f9d3c5b7a1e" in path.read_bytes()]
    assert found == []


def test_what_goes_slowly_is_waited_for(control: Any, door: Door) -> None:
    kind = "AWS::Scheduler::ScheduleGroup"
    made = create(control, kind, {"Name": "nights", "Tags": [{"Key": "a", "Value": "b"}]})
    assert (made["OperationStatus"], made["Identifier"]) == ("SUCCESS", "nights"), made
    assert told(control, kind, "nights")["Tags"] == [{"Key": "a", "Value": "b"}]
    gone = ended(control, control.delete_resource(TypeName=kind, Identifier="nights")["ProgressEvent"])
    assert gone["OperationStatus"] == "SUCCESS"
    assert door.client("scheduler").list_schedule_groups(NamePrefix="nights")["ScheduleGroups"] == []


@pytest.mark.parametrize(
    "type_name, state",
    [
        pytest.param("AWS::SQS::Queue", {"QueueName": "q", "VisibilityTimeout": 60, "Tags": [{"Key": "a", "Value": "b"}]}, id="a queue"),
        pytest.param("AWS::SNS::Topic", {"TopicName": "t", "DisplayName": "d"}, id="a topic"),
        pytest.param("AWS::S3::Bucket", {"BucketName": "a-bucket", "VersioningConfiguration": {"Status": "Enabled"}}, id="a bucket"),
        pytest.param("AWS::IAM::Role", {"RoleName": "r", "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}]}}, id="a role"),
        pytest.param("AWS::KMS::Key", {"Description": "k", "KeyPolicy": {"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "kms:*", "Resource": "*"}]}}, id="a key"),
        pytest.param("AWS::SSM::Parameter", {"Name": "p", "Type": "String", "Value": "v"}, id="a parameter"),
        pytest.param("AWS::EC2::VPC", {"CidrBlock": "10.9.0.0/16"}, id="a network"),
        pytest.param("AWS::ECR::Repository", {"RepositoryName": "images"}, id="a repository"),
        pytest.param("AWS::Events::EventBus", {"Name": "bus"}, id="a bus"),
    ],
)  # fmt: skip
def test_resources_of_every_service(shared: Any, type_name: str, state: dict[str, Any]) -> None:
    """Made, told as they were asked for, listed, and gone."""
    control = shared
    made = create(control, type_name, state)
    assert made["OperationStatus"] == "SUCCESS", made
    identifier = made["Identifier"]
    known = schema(type_name)
    assert known is not None
    assert differences(known, state, told(control, type_name, identifier)) == []
    assert identifier in [one["Identifier"] for one in control.list_resources(TypeName=type_name)["ResourceDescriptions"]]
    gone = ended(control, control.delete_resource(TypeName=type_name, Identifier=identifier)["ProgressEvent"])
    assert gone["OperationStatus"] == "SUCCESS", gone
    if type_name != "AWS::KMS::Key":  # a key is scheduled for deletion, and told until then
        code, _ = refused(control.get_resource, TypeName=type_name, Identifier=identifier)
        assert code == "ResourceNotFoundException"

"""What CDK asks of change sets beside the template: nested stacks and existing resources included, and a mode that is newer than our models."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from clients import Door
from harness import InProcessCloud
from stacks import Stacks


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    with InProcessCloud(tmp_path_factory.mktemp("cdk-requests")) as cloud:
        yield Door(cloud)


def change_set(door: Door, name: str, mode: str = "", **options: Any) -> dict[str, Any]:
    """CDK's first change set of a stack, as it describes itself afterwards."""
    client = door.client("cloudformation")
    if mode:
        client.meta.events.register(
            "before-call.cloudformation", lambda params, **_: params["body"].update({"DeploymentConfig.Mode": mode})
        )
    resources = options.pop("resources", {"Queue": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "work"}}})
    body = json.dumps({"Resources": resources})
    client.create_change_set(StackName=name, ChangeSetName="cdk", ChangeSetType="CREATE", TemplateBody=body, **options)
    found: dict[str, Any] = door.client("cloudformation").describe_change_set(StackName=name, ChangeSetName="cdk")
    return found


def refusal(door: Door, name: str, **options: Any) -> str:
    with pytest.raises(ClientError) as refused:
        change_set(door, name, **options)
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501
    with pytest.raises(ClientError, match="does not exist"):
        door.client("cloudformation").describe_stacks(StackName=name)
    return str(refused.value.response["Error"]["Message"])


def test_a_change_set_as_cdk_asks_for_it(door: Door) -> None:
    found = change_set(door, "plain", mode="STANDARD", IncludeNestedStacks=True, ImportExistingResources=True)
    assert (found["Status"], found["IncludeNestedStacks"], found["ImportExistingResources"]) == ("CREATE_COMPLETE", True, True)


def test_another_mode_is_refused_by_name(door: Door) -> None:
    assert "DeploymentConfig.Mode" in refusal(door, "express", mode="EXPRESS")


def test_what_exists_is_not_imported_in_silence(door: Door, tmp_path: Path) -> None:
    door.client("sqs").create_queue(QueueName="taken")
    resources = {"Mine": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "taken"}}, "Other": {"Type": "AWS::SQS::Queue"}}
    said = refusal(door, "importing", resources=resources, ImportExistingResources=True)
    assert "ImportExistingResources" in said and "AWS::SQS::Queue taken exists" in said


def test_a_change_set_looks_into_nested_stacks(door: Door) -> None:
    s3 = door.client("s3")
    s3.create_bucket(Bucket="nested")
    s3.put_object(Bucket="nested", Key="child", Body=json.dumps({"Resources": {"Inner": {"Type": "AWS::SQS::Queue"}}}).encode())
    child = {"Type": "AWS::CloudFormation::Stack", "Properties": {"TemplateURL": "https://s3.amazonaws.com/nested/child"}}
    found = change_set(door, "nested", resources={"Child": child}, IncludeNestedStacks=True)
    assert (found["Status"], found["IncludeNestedStacks"], found.get("StatusReason")) == ("CREATE_COMPLETE", True, None)
    stacks = Stacks(door)
    within = stacks.api.describe_change_set(ChangeSetName=found["Changes"][0]["ResourceChange"]["ChangeSetId"])
    assert [change["ResourceChange"]["LogicalResourceId"] for change in within["Changes"]] == ["Inner"]
    stacks.api.execute_change_set(StackName="nested", ChangeSetName="cdk")
    assert stacks.arrived("nested") == "CREATE_COMPLETE"
    assert stacks.physical("nested", "Child") == within["StackId"]

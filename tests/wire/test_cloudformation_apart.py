"""Big templates are read in a helper process: the same answers, the same errors, and none that hangs."""

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
from windtunnel.helpers.pool import HelperTimedOut
from windtunnel.services.cloudformation import apart, previewing


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[InProcessCloud, Stacks]]:
    with InProcessCloud(tmp_path_factory.mktemp("cloud")) as cloud:
        yield cloud, Stacks(Door(cloud))


def big(**more: Any) -> dict[str, Any]:
    """More than is read in the server itself: its metadata sees to that."""
    base = {"Metadata": {"Long": "x" * apart.JSON_HERE}, "Resources": {"Queue": {"Type": "AWS::SQS::Queue"}}}
    return base | more


def said(action: Any, **arguments: Any) -> str:
    with pytest.raises(ClientError) as caught:
        action(**arguments)
    return str(caught.value.response["Error"]["Message"])


def test_a_big_template_becomes_a_stack_and_is_updated(shared: tuple[InProcessCloud, Stacks]) -> None:
    cloud, stacks = shared
    template = big(
        Parameters={
            "Seconds": {"Type": "Number", "Default": "7"},
            "Image": {"Type": "AWS::SSM::Parameter::Value<String>", "Default": "/big/image"},
        },
        Outputs={"Image": {"Value": {"Ref": "Image"}}},
    )
    cloud.api("ssm", "PutParameter", name="/big/image", value="found", type="String")
    template["Resources"]["Queue"]["Properties"] = {"VisibilityTimeout": {"Ref": "Seconds"}}
    assert stacks.create("big", template) == "CREATE_COMPLETE"
    assert cloud.cloud.helpers.pids, "it was read in the server"
    assert stacks.describe("big")["Outputs"][0]["OutputValue"] == "found"
    assert said(stacks.api.update_stack, StackName="big", TemplateBody=json.dumps(template)) == "No updates are to be performed."
    changed = [{"ParameterKey": "Seconds", "ParameterValue": "8"}]
    assert stacks.update("big", template, Parameters=changed) == "UPDATE_COMPLETE"


@pytest.mark.parametrize(
    "more",
    [
        pytest.param({"Outputs": {"A": {"Value": {"Ref": "Nobody"}}}}, id="a reference to nothing"),
        pytest.param({"Resources": {"A": {"Type": "AWS::No::Such"}}}, id="an unknown type"),
        pytest.param({"Parameters": {"P": {"Type": "Number"}}}, id="a parameter without a value"),
        pytest.param({"Resources": {"A": {"Type": "AWS::IAM::User"}}}, id="a capability that is lacking"),
        pytest.param(
            {"Rules": {"R": {"Assertions": [{"Assert": {"Fn::Equals": ["a", "b"]}, "AssertDescription": "no"}]}}},
            id="a rule that is broken",
        ),
        pytest.param({"Transform": "Nobodys"}, id="a macro that nobody has"),
    ],
)
def test_errors_are_the_same_in_a_helper_process(shared: tuple[InProcessCloud, Stacks], more: dict[str, Any]) -> None:
    _, stacks = shared
    large, small = big(**more), big(**more)
    del small["Metadata"]
    told = [said(stacks.api.create_stack, StackName="broken", TemplateBody=json.dumps(template)) for template in (large, small)]
    assert told[0] == told[1]


def test_a_summary_is_the_same_in_a_helper_process(shared: tuple[InProcessCloud, Stacks]) -> None:
    _, stacks = shared
    more = {"Parameters": {"P": {"Type": "String", "Default": "d"}}, "Resources": {"U": {"Type": "AWS::IAM::User"}}}
    large, small = (stacks.api.get_template_summary(TemplateBody=json.dumps(template)) for template in (big(**more), more))
    for shown in (large, small):
        shown.pop("ResponseMetadata")
    large.pop("Metadata")
    assert large == small and large["Capabilities"] == ["CAPABILITY_IAM"]


def test_what_takes_too_long_is_refused(tmp_path: Path) -> None:
    class Slow:
        def run(self, name: str, *args: Any, seconds: float) -> Any:
            raise HelperTimedOut(name)

    with InProcessCloud(tmp_path, parts={"helper": Slow()}) as cloud:
        stacks = Stacks(Door(cloud))
        assert said(stacks.api.validate_template, TemplateBody=json.dumps(big())).startswith(
            "Template error: the template could not be processed"
        )


def test_a_plan_is_the_same_in_a_helper_process(shared: tuple[InProcessCloud, Stacks], monkeypatch: pytest.MonkeyPatch) -> None:
    _, stacks = shared

    def template(value: str, name: str) -> str:
        made: dict[str, Any] = {
            f"P{n}": {"Type": "AWS::SSM::Parameter", "Properties": {"Type": "String", "Value": value if n % 7 == 0 else "same"}}
            for n in range(31)
        }
        made["Queue"] = {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": name}}
        made["After"] = {"Type": "AWS::SSM::Parameter", "Properties": {"Type": "String", "Value": {"Fn::GetAtt": ["Queue", "Arn"]}}}
        return json.dumps({"Resources": made})

    assert stacks.create("planned", template("old", "first")) == "CREATE_COMPLETE"
    told: list[list[Any]] = []
    for name, few in (("there", 0), ("here", 10_000)):
        monkeypatch.setattr(previewing, "FEW", few)
        stacks.api.create_change_set(StackName="planned", ChangeSetName=name, TemplateBody=template("new", "second"))
        told.append(stacks.api.describe_change_set(StackName="planned", ChangeSetName=name, IncludePropertyValues=True)["Changes"])
    assert told[0] == told[1]
    changed = {change["ResourceChange"]["LogicalResourceId"]: change["ResourceChange"].get("Replacement") for change in told[0]}
    assert changed["Queue"] == "True" and {"P0", "P7", "After"} <= changed.keys() and "P1" not in changed

"""`windtunnel explain STACK`: the first cause, with the denied action or the bad property, and the line."""

from __future__ import annotations

import json

from clients import Door
from families import Templates
from harness import ACCOUNT, InProcessCloud
from people import user_keys
from stacks import Stacks, template
from windtunnel.commands.explain import stack_as_text
from windtunnel.services.cloudformation.explaining import explain_stack

YAML = """\
Resources:
  Good:
    Type: AWS::Logs::LogGroup
  Bad:
    Type: AWS::Logs::LogGroup
    DependsOn: Good
    Properties:
      RetentionInDays: 7
      Nonsense: true
"""


def told(cloud: InProcessCloud, name: str) -> str:
    return stack_as_text(cloud.read(lambda ctx: explain_stack(ctx, name))["stack"])


def test_a_bad_property_is_found_in_the_template(cloud: InProcessCloud, stacks: Stacks) -> None:
    assert stacks.create("typo", YAML) == "ROLLBACK_COMPLETE"
    text = told(cloud, "typo")
    assert "Bad (AWS::Logs::LogGroup) CREATE_FAILED" in text
    assert "property: Nonsense" in text and "template, line 9: Nonsense: true" in text


def test_a_denied_action_is_named(cloud: InProcessCloud, door: Door) -> None:
    keys = user_keys(door.client("iam"), "maker", {"Effect": "Allow", "Action": "cloudformation:*", "Resource": "*"})
    stacks = Stacks(door, keys=keys)
    assert stacks.create("poor", json.dumps({"Resources": {"Group": {"Type": "AWS::Logs::LogGroup"}}})) == "ROLLBACK_COMPLETE"
    assert f"denied: logs:CreateLogGroup on arn:aws:logs:us-east-1:{ACCOUNT}:log-group:poor-Group" in told(cloud, "poor")


def test_what_no_resource_failed_at_is_told_too(cloud: InProcessCloud, stacks: Stacks) -> None:
    exporting = "Resources:\n  G{}:\n    Type: AWS::Logs::LogGroup\nOutputs:\n  O:\n    Value: x\n    Export:\n      Name: shared\n"
    stacks.create("gives", exporting.format("A"))
    assert stacks.create("again", exporting.format("B")) == "ROLLBACK_COMPLETE"
    assert "Export with name shared is already exported by stack gives." in told(cloud, "again")
    assert "template, line 8: Name: shared" in told(cloud, "again")
    astray = "Parameters:\n  Net:\n    Type: AWS::EC2::VPC::Id\n    Default: vpc-0\nResources:\n  G:\n    Type: AWS::Logs::LogGroup\n"
    assert stacks.create("astray", astray) == "ROLLBACK_COMPLETE"
    assert "parameter value vpc-0 for parameter name Net does not exist" in told(cloud, "astray")
    assert "template, line 2: Net:" in told(cloud, "astray")


def test_a_stack_that_deleted_itself_is_still_explained(cloud: InProcessCloud, stacks: Stacks) -> None:
    arn = stacks.api.create_stack(StackName="flash", TemplateBody=YAML, OnFailure="DELETE")["StackId"]
    assert stacks.arrived(arn) == "DELETE_COMPLETE"
    assert "stack flash is DELETE_COMPLETE" in told(cloud, "flash") and "property: Nonsense" in told(cloud, "flash")


def test_of_a_nested_stack_it_is_the_nested_stacks_cause(cloud: InProcessCloud, door: Door, stacks: Stacks) -> None:
    s3 = door.client("s3")
    s3.create_bucket(Bucket="templates")
    s3.put_object(Bucket="templates", Key="child", Body=YAML.encode())
    nested = {"Type": "AWS::CloudFormation::Stack", "Properties": {"TemplateURL": "https://templates.s3.amazonaws.com/child"}}
    assert stacks.create("outer", json.dumps({"Resources": {"Child": nested}})) == "ROLLBACK_COMPLETE"
    text = told(cloud, "outer")
    assert "Bad (AWS::Logs::LogGroup) in nested stack outer-Child-" in text and "template, line 9: Nonsense: true" in text


def test_a_stack_that_arrived_has_no_cause(cloud: InProcessCloud, stacks: Stacks) -> None:
    stacks.create("fine", json.dumps({"Resources": {"Group": {"Type": "AWS::Logs::LogGroup"}}}))
    assert "nothing failed in its last operation" in told(cloud, "fine")
    assert cloud.read(lambda ctx: explain_stack(ctx, "none")) == {"stack": None}


def test_the_cause_within_a_nested_stack_is_named(cloud: InProcessCloud, stacks: Stacks, door: Door) -> None:
    """Though its parent has deleted it since."""
    outer = template(Child=Templates(door)("child", template(Bad={"Type": "AWS::Logs::LogGroup", "Properties": {"Nonsense": True}})))
    assert stacks.create("outer", outer) == "ROLLBACK_COMPLETE"
    text = told(cloud, "outer")
    assert "Bad (AWS::Logs::LogGroup) in nested stack outer-Child-" in text and "property: Nonsense" in text

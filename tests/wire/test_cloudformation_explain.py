"""`windtunnel explain STACK`: the first cause, with the denied action or the bad property, and the line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from clients import Door
from harness import ACCOUNT, InProcessCloud
from people import user_keys
from stacks import Stacks
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


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[InProcessCloud]:
    with InProcessCloud(tmp_path) as running:
        yield running


@pytest.fixture
def stacks(door: Door) -> Stacks:
    return Stacks(door)


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


def test_a_stack_that_arrived_has_no_cause(cloud: InProcessCloud, stacks: Stacks) -> None:
    stacks.create("fine", json.dumps({"Resources": {"Group": {"Type": "AWS::Logs::LogGroup"}}}))
    assert "nothing failed in its last operation" in told(cloud, "fine")
    assert cloud.read(lambda ctx: explain_stack(ctx, "none")) == {"stack": None}

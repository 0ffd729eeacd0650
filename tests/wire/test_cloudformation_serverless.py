"""SAM through the translator that AWS runs, in the helper process."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from clients import Door
from harness import InProcessCloud
from stacks import Stacks

SAM = """\
Transform: AWS::Serverless-2016-10-31
Globals:
  Function: {Timeout: 3}
Resources:
  Queue:
    Type: AWS::SQS::Queue
"""
FUNCTION = """\
Transform: AWS::Serverless-2016-10-31
Resources:
  Hello:
    Type: AWS::Serverless::Function
    Properties: {Runtime: python3.12, Handler: app.handler, InlineCode: "def handler(e, c): return 1"}
"""
BROKEN = """\
Transform: AWS::Serverless-2016-10-31
Resources:
  Hello:
    Type: AWS::Serverless::Function
    Properties: {Runtime: python3.12}
"""
EXPAND = ["CAPABILITY_AUTO_EXPAND", "CAPABILITY_IAM"]


@pytest.fixture(scope="module")
def stacks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stacks]:
    with InProcessCloud(tmp_path_factory.mktemp("serverless")) as cloud:
        yield Stacks(Door(cloud))


def test_a_template_without_functions_is_made(stacks: Stacks) -> None:
    assert stacks.create("plain", SAM, Capabilities=EXPAND) == "CREATE_COMPLETE"
    assert stacks.api.get_template(StackName="plain")["TemplateBody"] == SAM
    processed = stacks.api.get_template(StackName="plain", TemplateStage="Processed")["TemplateBody"]
    found = processed if isinstance(processed, dict) else json.loads(processed)
    assert "Transform" not in found and "Globals" not in found


def test_a_function_becomes_what_aws_makes_of_it_and_fails_by_name(stacks: Stacks) -> None:
    assert stacks.create("function", FUNCTION, Capabilities=EXPAND) == "ROLLBACK_COMPLETE"
    assert any("does not run the resource type AWS::Lambda::Function" in reason for _, _, reason in stacks.events("function"))
    assert "HelloRole CREATE_COMPLETE" in stacks.statuses("function")


def test_the_translators_complaints_are_told(stacks: Stacks) -> None:
    assert stacks.create("broken", BROKEN, Capabilities=EXPAND) == "ROLLBACK_COMPLETE"
    said = next(reason for logical, status, reason in stacks.events("broken") if status == "ROLLBACK_IN_PROGRESS")
    assert said.startswith("Transform AWS::Serverless-2016-10-31 failed with: Invalid Serverless Application Specification document.")
    assert "Hello" in said and said.endswith("Rollback requested by user.")

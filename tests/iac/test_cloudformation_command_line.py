"""`aws cloudformation` as people use it: package, deploy, wait, and what it says when there is nothing to do; cfn-lint on Lab 1's template."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest

from harness import until
from shell import Shell, started_shell

pytestmark = pytest.mark.slow

CHILD = """
Parameters: {Days: {Type: Number}}
Resources:
  Log: {Type: "AWS::Logs::LogGroup", Properties: {RetentionInDays: !Ref Days}}
Outputs:
  Name: {Value: !Ref Log}
"""
PARENT = """
Parameters: {Seconds: {Type: Number, Default: 60}}
Resources:
  Queue: {Type: "AWS::SQS::Queue", Properties: {MessageRetentionPeriod: !Ref Seconds}}
  Logs:
    Type: AWS::CloudFormation::Stack
    Properties: {TemplateURL: ./child.yaml, Parameters: {Days: 7}}
Outputs:
  Url: {Value: !Ref Queue}
  Log: {Value: !GetAtt Logs.Outputs.Name}
"""


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    yield from started_shell(tmp_path_factory.mktemp("cloudformation"))


def outputs(shell: Shell, stack: str) -> dict[str, str]:
    [found] = shell.json("cloudformation", "describe-stacks", "--stack-name", stack)["Stacks"]
    return {one["OutputKey"]: one["OutputValue"] for one in found["Outputs"]}


def another_second() -> None:
    """The CLI names its change sets by the second."""
    began = int(time.time())
    until(lambda: int(time.time()) > began)


def test_package_deploy_and_wait(shell: Shell) -> None:
    (shell.work / "child.yaml").write_text(CHILD)
    (shell.work / "parent.yaml").write_text(PARENT)
    shell.aws("s3", "mb", "s3://artifacts")
    shell.aws(
        "cloudformation", "package", "--template-file", "parent.yaml", "--s3-bucket", "artifacts", "--output-template-file", "packaged.yaml"
    )
    assert "artifacts/" in (shell.work / "packaged.yaml").read_text()
    deploy = ("cloudformation", "deploy", "--stack-name", "work", "--template-file", "packaged.yaml", "--tags", "team=blue")
    assert "Successfully created/updated stack - work" in shell.aws(*deploy)
    shell.aws("cloudformation", "wait", "stack-create-complete", "--stack-name", "work")
    made = outputs(shell, "work")
    [group] = shell.client("logs").describe_log_groups(logGroupNamePrefix=made["Log"])["logGroups"]
    assert group["retentionInDays"] == 7
    assert shell.client("logs").list_tags_for_resource(resourceArn=group["arn"].removesuffix(":*"))["tags"]["team"] == "blue"

    # What is nested may have changed behind its URL, so a parent can be deployed again.
    another_second()
    assert "Successfully created/updated stack - work" in shell.aws(*deploy, "--no-fail-on-empty-changeset")
    another_second()
    shell.aws(*deploy, "--parameter-overrides", "Seconds=120")
    shell.aws("cloudformation", "wait", "stack-update-complete", "--stack-name", "work")
    attributes = shell.client("sqs").get_queue_attributes(QueueUrl=made["Url"], AttributeNames=["MessageRetentionPeriod"])["Attributes"]
    assert attributes == {"MessageRetentionPeriod": "120"}

    change = ("--stack-name", "work", "--change-set-name", "more")
    shell.aws(
        "cloudformation", "create-change-set", *change, "--use-previous-template", "--parameters", "ParameterKey=Seconds,ParameterValue=180"
    )
    shell.aws("cloudformation", "wait", "change-set-create-complete", *change)
    shell.aws("cloudformation", "execute-change-set", *change)
    shell.aws("cloudformation", "wait", "stack-update-complete", "--stack-name", "work")
    shell.aws("cloudformation", "delete-stack", "--stack-name", "work")
    shell.aws("cloudformation", "wait", "stack-delete-complete", "--stack-name", "work")
    assert shell.client("logs").describe_log_groups()["logGroups"] == []


def test_a_deployment_of_nothing_new_says_so(shell: Shell) -> None:
    (shell.work / "alone.yaml").write_text(CHILD)
    deploy = ("cloudformation", "deploy", "--stack-name", "alone", "--template-file", "alone.yaml", "--parameter-overrides", "Days=7")
    assert "Successfully created/updated stack - alone" in shell.aws(*deploy)
    another_second()
    assert "No changes to deploy" in shell.aws(*deploy, "--no-fail-on-empty-changeset")
    another_second()
    shell.aws(*deploy, "--fail-on-empty-changeset", fails="No changes to deploy")
    shell.aws("cloudformation", "delete-stack", "--stack-name", "alone")
    shell.aws("cloudformation", "wait", "stack-delete-complete", "--stack-name", "alone")


def test_a_deployment_that_fails_says_so(shell: Shell) -> None:
    (shell.work / "bad.json").write_text(
        json.dumps({"Resources": {"Log": {"Type": "AWS::Logs::LogGroup", "Properties": {"RetentionInDays": 2}}}})
    )
    said = shell.aws(
        "cloudformation", "deploy", "--stack-name", "bad", "--template-file", "bad.json", fails="Failed to create/update the stack"
    )
    assert "describe-stack-events --stack-name bad" in said


def test_lab_1s_template_is_clean(tmp_path: Path) -> None:
    text = (files("windtunnel.labs") / "1" / "lab.md").read_text()
    found = re.search(r"cat > infra\.yaml <<'?(\w+)'?\n(.*?)\n\1\n", text, re.DOTALL)
    assert found is not None
    (tmp_path / "infra.yaml").write_text(found[2] + "\n")
    command = [str(Path(sys.executable).with_name("cfn-lint")), "--regions", "us-east-1", "--", str(tmp_path / "infra.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr

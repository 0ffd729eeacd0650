"""The SAM CLI, the real program: `validate` and `deploy` of a template without functions, whose transform the cloud runs."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import installing
from people import user_keys
from shell import client
from windtunnel.labs.cloud import LabCloud, tail

pytestmark = pytest.mark.slow

TEMPLATE = """
AWSTemplateFormatVersion: "2010-09-09"
Transform: AWS::Serverless-2016-10-31
Description: A queue that hears a topic
Parameters: {Days: {Type: Number, Default: 7}}
Resources:
  Work: {Type: "AWS::SQS::Queue"}
  News:
    Type: AWS::SNS::Topic
    Properties: {Subscription: [{Protocol: sqs, Endpoint: !GetAtt Work.Arn}]}
  Hears:
    Type: AWS::Serverless::Connector
    Properties: {Source: {Id: News}, Destination: {Id: Work}, Permissions: [Write]}
  Log: {Type: "AWS::Logs::LogGroup", Properties: {RetentionInDays: !Ref Days}}
Outputs:
  Topic: {Value: !Ref News}
  Queue: {Value: !Ref Work}
"""


class Sam:
    def __init__(self, cloud: LabCloud, work: Path, program: Path) -> None:
        self.cloud, self.work, self._program = cloud, work, program
        running = cloud.environment()
        access, secret, _ = user_keys(client(cloud, "iam"), "developer", {"Effect": "Allow", "Action": "*", "Resource": "*"})
        self._environment = {
            **os.environ,
            **running,
            "AWS_ENDPOINT_URL": f"https://{running['CODE_COMMIT_ENDPOINT']}",
            "AWS_ACCESS_KEY_ID": access,
            "AWS_SECRET_ACCESS_KEY": secret,
            "HOME": str(work),
            "SAM_CLI_TELEMETRY": "0",
        }

    def __call__(self, *arguments: str, allow: tuple[int, ...] = (0,)) -> str:
        done = subprocess.run(
            [str(self._program), *arguments],
            cwd=self.work,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
        )
        said = f"{done.stdout[-6000:]}\n{done.stderr[-6000:]}"
        assert done.returncode in allow, f"sam {' '.join(arguments)} ended with {done.returncode}:\n{said}\n{tail(self.cloud.log)}"
        return said


@pytest.fixture(scope="module")
def sam(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sam]:
    program = installing.sam()
    work = tmp_path_factory.mktemp("sam")
    cloud = LabCloud(work / "data", work / "log")
    cloud.start()
    try:
        yield Sam(cloud, work, program)
    finally:
        cloud.stop()


def test_a_template_without_functions(sam: Sam) -> None:
    (sam.work / "template.yaml").write_text(TEMPLATE)
    assert "is a valid SAM Template" in sam("validate", "--lint") + sam("validate")
    deploy = (
        "deploy",
        "--stack-name",
        "news",
        "--resolve-s3",
        "--capabilities",
        "CAPABILITY_IAM",
        "--no-confirm-changeset",
        "--no-progressbar",
    )
    assert "Successfully created/updated stack - news" in sam(*deploy)
    [stack] = client(sam.cloud, "cloudformation").describe_stacks(StackName="news")["Stacks"]
    made = {one["OutputKey"]: one["OutputValue"] for one in stack["Outputs"]}
    client(sam.cloud, "sns").publish(TopicArn=made["Topic"], Message="hello")
    received = client(sam.cloud, "sqs").receive_message(QueueUrl=made["Queue"], WaitTimeSeconds=10).get("Messages", [])
    assert len(received) == 1, "the connector lets the topic into the queue"
    assert "No changes to deploy" in sam(*deploy, "--no-fail-on-empty-changeset")
    sam("delete", "--stack-name", "news", "--no-prompts")
    assert client(sam.cloud, "logs").describe_log_groups()["logGroups"] == []

"""AWS CDK, the real program with a real application, against a cloud of its own: bootstrap, deploy with a file asset, diff, deploy again, destroy.

Its user is no root user, so that each call goes through the roles that the bootstrap stack makes; it speaks TLS, for the staging bucket refuses
anything else.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

import installing
from people import user_keys
from shell import client
from windtunnel.labs.cloud import LabCloud, tail

pytestmark = pytest.mark.slow
APP = Path(__file__).parent.parent / "fixtures" / "cdk"
EVERYTHING = {"Effect": "Allow", "Action": "*", "Resource": "*"}


class Cdk:
    def __init__(self, cloud: LabCloud, work: Path, tools: Path) -> None:
        self.cloud, self.work, self._tools = cloud, work, tools
        shutil.copytree(APP, work / "app")
        (work / "app" / "node_modules").symlink_to(tools / "node_modules")
        running = cloud.environment()
        access, secret, _ = user_keys(client(cloud, "iam"), "developer", EVERYTHING)
        self._environment = {
            **os.environ,
            **running,
            "AWS_ENDPOINT_URL": f"https://{running['CODE_COMMIT_ENDPOINT']}",
            "AWS_ACCESS_KEY_ID": access,
            "AWS_SECRET_ACCESS_KEY": secret,
            "HOME": str(work),
            "CI": "true",
            "CDK_DISABLE_CLI_TELEMETRY": "true",
        }

    def __call__(self, *arguments: str, allow: tuple[int, ...] = (0,)) -> str:
        command = [str(self._tools / "node_modules" / ".bin" / "cdk"), "--app", "node app.js", "--no-notices", "--no-color", *arguments]
        done = subprocess.run(
            command,
            cwd=self.work / "app",
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
        )
        said = f"{done.stdout[-6000:]}\n{done.stderr[-6000:]}"
        assert done.returncode in allow, f"cdk {' '.join(arguments)} ended with {done.returncode}:\n{said}\n{tail(self.cloud.log)}"
        return said

    def over_tls(self, service: str) -> Any:
        """A client as the developer's, by TLS: the staging bucket denies itself to anything else."""
        import boto3

        found = self._environment
        keys = {"aws_access_key_id": found["AWS_ACCESS_KEY_ID"], "aws_secret_access_key": found["AWS_SECRET_ACCESS_KEY"]}
        there = {"endpoint_url": found["AWS_ENDPOINT_URL"], "verify": found["AWS_CA_BUNDLE"], "region_name": found["AWS_REGION"]}
        return boto3.client(service, **keys, **there)  # type: ignore[call-overload]

    def outputs(self) -> dict[str, str]:
        found: dict[str, str] = json.loads((self.work / "app" / "outputs.json").read_text())["Shop"]
        return found


@pytest.fixture(scope="module")
def cdk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cdk]:
    tools = installing.cdk()
    work = tmp_path_factory.mktemp("cdk")
    cloud = LabCloud(work / "data", work / "log")
    cloud.start()
    try:
        yield Cdk(cloud, work, tools)
    finally:
        cloud.stop()


def deploy(cdk: Cdk, *more: str) -> str:
    return cdk("deploy", "Shop", "--require-approval", "never", "--outputs-file", "outputs.json", *more)


def status(cloudformation: Any, name: str) -> str:
    try:
        return str(cloudformation.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"])
    except ClientError as error:
        return str(error.response["Error"]["Message"])


def visible(sqs: Any, url: str) -> str:
    return str(sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["VisibilityTimeout"])["Attributes"]["VisibilityTimeout"])


def test_an_applications_life(cdk: Cdk) -> None:
    services = ("cloudformation", "sqs", "sns", "ssm", "events", "ecr")
    cloudformation, sqs, sns, ssm, events, ecr = (client(cdk.cloud, name) for name in services)
    assert "bootstrapped" in cdk("bootstrap")
    assert int(ssm.get_parameter(Name="/cdk-bootstrap/hnb659fds/version")["Parameter"]["Value"]) >= 20
    [repository] = ecr.describe_repositories()["repositories"]
    assert repository["imageTagMutability"] == "IMMUTABLE"

    said = deploy(cdk)
    assert "could not be used to assume" not in said, "the bootstrap roles are assumed"
    outputs = cdk.outputs()
    content = cdk.over_tls("s3").get_object(Bucket=outputs["PageBucket"], Key=outputs["PageKey"])["Body"].read()
    with zipfile.ZipFile(io.BytesIO(content)) as asset:
        assert asset.read("index.html") == (APP / "page" / "index.html").read_bytes()
    assert ssm.get_parameter(Name="/shop/page")["Parameter"]["Value"] == f"s3://{outputs['PageBucket']}/{outputs['PageKey']}"
    [rule] = events.list_rules()["Rules"]
    [target] = events.list_targets_by_rule(Rule=rule["Name"])["Targets"]
    shown = sqs.get_queue_attributes(QueueUrl=outputs["QueueUrl"], AttributeNames=["All"])["Attributes"]
    assert (target["Arn"], shown["MessageRetentionPeriod"]) == (shown["QueueArn"], "600")
    [inner] = [url for url in sqs.list_queues()["QueueUrls"] if "Deliveries" in url]
    assert visible(sqs, inner) == "30", "the nested stack is deployed with its own asset"
    [topic] = sns.list_topics()["Topics"]
    sns.publish(TopicArn=topic["TopicArn"], Message="hello")
    received = sqs.receive_message(QueueUrl=outputs["QueueUrl"], WaitTimeSeconds=10)["Messages"]
    assert json.loads(received[0]["Body"])["Message"] == "hello", "what was deployed works"

    assert "There were no differences" in cdk("diff", "Shop", "--fail")
    differs = cdk("diff", "Shop", "--fail", "-c", "color=red", allow=(1,))
    assert "MessageRetentionPeriod" in differs and "DisplayName" in differs
    assert "(no changes)" in deploy(cdk)
    deploy(cdk, "-c", "color=red")
    shown = sqs.get_queue_attributes(QueueUrl=outputs["QueueUrl"], AttributeNames=["All"])["Attributes"]
    assert (shown["MessageRetentionPeriod"], visible(sqs, inner)) == ("1200", "40")
    assert status(cloudformation, "Shop") == "UPDATE_COMPLETE"

    cdk("destroy", "Shop", "--force")
    assert status(cloudformation, "Shop") == "Stack with id Shop does not exist"
    assert events.list_rules()["Rules"] == sns.list_topics()["Topics"] == sqs.list_queues().get("QueueUrls", []) == []
    assert status(cloudformation, "CDKToolkit") == "CREATE_COMPLETE"

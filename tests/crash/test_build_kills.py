"""Builds in real sandboxes, by a real client, against a server that is killed while they run."""

from __future__ import annotations

import io
import json
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from doomed import DoomedCloud, patiently, until  # noqa: E402

from sandboxes import needs_sandboxes  # noqa: E402

pytestmark = [pytest.mark.slow, needs_sandboxes]
BUCKET, ROLE = "builds", "builder"
SPEC = """
version: 0.2
env:
  parameter-store: {SECRET: /builds/secret}
  secrets-manager: {TOKEN: 'builds/app:token', WHOLE: builds/app}
  exported-variables: [RELEASE]
phases:
  install:
    commands:
      - GREETING="hello $WHO"
  pre_build:
    commands:
      - echo "$GREETING, the secret is $SECRET"
      - test "$SECRET" = s3cr3t && test "$TOKEN" = t0k3n && test "$OWN" = t0k3n && test "$LISTED" = s3cr3t && echo "all of $WHOLE are known"
  build:
    commands:
      - export RELEASE="$(cat release.txt)"
      - aws sts get-caller-identity --query Arn --output text
      - mkdir -p out/deep && echo "$RELEASE" > out/deep/page.html
  post_build:
    commands:
      - echo "succeeding $CODEBUILD_BUILD_SUCCEEDING"
artifacts:
  base-directory: out
  files: ['**/*']
"""
SLOW = 'version: 0.2\nphases: {build: {commands: ["for i in $(seq 40); do echo line $i; sleep 0.1; done"]}, post_build: {commands: ["echo after"]}}\n'


class Builds:
    def __init__(self, cloud: DoomedCloud) -> None:
        self.cloud = cloud
        self.codebuild = cloud.client("codebuild")
        self._logs = cloud.client("logs")
        self._set_up()

    def _set_up(self) -> None:
        trust = {"Effect": "Allow", "Principal": {"Service": "codebuild.amazonaws.com"}, "Action": "sts:AssumeRole"}
        may = {"Effect": "Allow", "Action": ["logs:*", "s3:*", "ssm:GetParameters", "secretsmanager:GetSecretValue"], "Resource": "*"}
        iam = self.cloud.client("iam")
        role = iam.create_role(RoleName=ROLE, AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}))
        iam.put_role_policy(RoleName=ROLE, PolicyName="may", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [may]}))
        key = self.cloud.client("kms").create_key()["KeyMetadata"]["Arn"]
        opens = {"Effect": "Allow", "Action": "kms:Decrypt", "Resource": key}
        iam.put_role_policy(RoleName=ROLE, PolicyName="key", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [opens]}))
        self.cloud.client("ssm").put_parameter(Name="/builds/secret", Value="s3cr3t", Type="SecureString", KeyId=key)
        self.cloud.client("secretsmanager").create_secret(Name="builds/app", SecretString='{"token":"t0k3n"}', KmsKeyId=key)
        source = io.BytesIO()
        with zipfile.ZipFile(source, "w") as zipped:
            zipped.writestr("buildspec.yml", SPEC)
            zipped.writestr("release.txt", "one")
        s3 = self.cloud.client("s3")
        s3.create_bucket(Bucket=BUCKET)
        s3.put_object(Bucket=BUCKET, Key="source.zip", Body=source.getvalue())
        self.codebuild.create_project(
            name="app",
            source={"type": "S3", "location": f"{BUCKET}/source.zip"},
            artifacts={"type": "S3", "location": BUCKET, "path": "made", "packaging": "ZIP", "name": "app.zip"},
            environment={
                "type": "LINUX_CONTAINER",
                "image": "aws/codebuild/amazonlinux-x86_64-standard:5.0",
                "computeType": "BUILD_GENERAL1_SMALL",
                "environmentVariables": [
                    {"name": "WHO", "value": "world"},
                    {"name": "OWN", "value": "builds/app:token:AWSCURRENT", "type": "SECRETS_MANAGER"},
                    {"name": "LISTED", "value": "/builds/secret", "type": "PARAMETER_STORE"},
                ],
            },
            serviceRole=role["Role"]["Arn"],
        )

    def start(self, **args: Any) -> str:
        return str(self.codebuild.start_build(projectName="app", **args)["build"]["id"])

    def get(self, build: str) -> dict[str, Any]:
        return dict(patiently(lambda: self.codebuild.batch_get_builds(ids=[build]))["builds"][0])

    def ended(self, build: str) -> dict[str, Any]:
        until(lambda: self.get(build)["buildComplete"], 180, f"the end of {build}")
        return self.get(build)

    def own_lines(self, build: str) -> list[str]:
        """What the build's commands printed, as far as the log goes."""
        if "streamName" not in self.get(build)["logs"]:
            return []
        events = patiently(
            lambda: self._logs.get_log_events(logGroupName="/aws/codebuild/app", logStreamName=build.split(":")[1], startFromHead=True)
        )["events"]
        return [event["message"].rstrip("\n") for event in events if not event["message"].startswith("[Container]")]


@pytest.fixture(scope="module")
def builds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Builds]:
    cloud = DoomedCloud(tmp_path_factory.mktemp("builds") / "data")
    try:
        yield Builds(cloud)
    finally:
        cloud.stop()


def test_a_build_from_s3_to_s3(builds: Builds) -> None:
    build = builds.start()
    found = builds.ended(build)
    lines = builds.own_lines(build)
    assert found["buildStatus"] == "SUCCEEDED", (found["phases"], lines)
    uuid = build.split(":")[1]
    caller = f"arn:aws:sts::123456789012:assumed-role/{ROLE}/AWSCodeBuild-{uuid}"
    assert lines == ["hello world, the secret is ***", "all of *** are known", caller, "succeeding 1"]
    assert found["exportedEnvironmentVariables"] == [{"name": "RELEASE", "value": "one"}]
    assert found["artifacts"]["location"] == f"arn:aws:s3:::{BUCKET}/made/app.zip"
    made = builds.cloud.client("s3").get_object(Bucket=BUCKET, Key="made/app.zip")["Body"].read()
    with zipfile.ZipFile(io.BytesIO(made)) as zipped:
        assert {name: zipped.read(name) for name in zipped.namelist()} == {"deep/page.html": b"one\n"}


def test_a_build_that_is_killed_under_goes_on_and_says_each_line_once(builds: Builds) -> None:
    deaths = builds.cloud.deaths
    build = builds.start(buildspecOverride=SLOW)
    pause = threading.Event()
    for wanted in ("line 5", "line 15", "line 25"):
        until(lambda wanted=wanted: wanted in builds.own_lines(build), 60, wanted)  # type: ignore[misc]
        builds.cloud.kill()
        pause.wait(0.3)
    found = builds.ended(build)
    assert found["buildStatus"] == "SUCCEEDED"
    assert builds.own_lines(build) == [*(f"line {n}" for n in range(1, 41)), "after"]
    assert builds.cloud.deaths == deaths + 3


def test_an_upload_waits_for_the_cloud(builds: Builds) -> None:
    """The source is fetched and the artifact uploaded by whatever server is there by then."""
    build = builds.start()
    builds.cloud.kill()
    assert builds.ended(build)["buildStatus"] == "SUCCEEDED"


def test_stopping_ends_the_commands_at_once(builds: Builds) -> None:
    build = builds.start(buildspecOverride="version: 0.2\nphases: {build: {commands: [\"echo begun; trap '' TERM; sleep 600\"]}}\n")
    until(lambda: builds.own_lines(build) == ["begun"], 60, "the command")
    began = time.monotonic()
    builds.codebuild.stop_build(id=build)
    found = builds.ended(build)
    assert time.monotonic() - began < 10
    assert found["buildStatus"] == "STOPPED"
    assert next(phase for phase in found["phases"] if phase["phaseType"] == "BUILD")["phaseStatus"] == "STOPPED"


def test_a_command_that_eats_all_memory_fails_the_build(builds: Builds) -> None:
    build = builds.start(
        buildspecOverride='version: 0.2\nphases: {build: {commands: ["python -c \\"x = bytearray(6 << 30)\\""]}}\n',
    )
    found = builds.ended(build)
    assert found["buildStatus"] in ("FAILED", "FAULT")
    assert "Error while executing command" in str(found["phases"]) or "out of memory" in str(found["phases"])

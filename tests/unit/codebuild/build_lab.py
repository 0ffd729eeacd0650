"""A cloud with CodeBuild over a scripted machine: the test says what a build's runner says."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness import ACCOUNT, InProcessCloud, until
from windtunnel.compute.dummy import DummyDriver, World
from windtunnel.kernel.context import Event
from windtunnel.kernel.trail import TrailLine

ROLE = f"arn:aws:iam::{ACCOUNT}:role/builder"
SPEC = "version: 0.2\nphases: {build: {commands: [make]}}\n"
PROJECT: dict[str, Any] = {
    "name": "app",
    "source": {"type": "NO_SOURCE", "buildspec": SPEC},
    "artifacts": {"type": "NO_ARTIFACTS"},
    "environment": {"type": "LINUX_CONTAINER", "image": "aws/codebuild/standard:7.0", "computeType": "BUILD_GENERAL1_SMALL"},
    "service_role": ROLE,
}
EVERYTHING = {"Effect": "Allow", "Action": "*", "Resource": "*"}


class Images:
    """The image store of a machine that has the stock image, once it has said so."""

    def ensure_stock(self, progress: Callable[[str], None]) -> str:
        progress("stock image: unpacking")
        return "stock"


class Lab:
    """One cloud after the other over the same machine and data."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.world = World()
        self.cloud: InProcessCloud
        self.events: list[Event] = []

    def up(self, **options: Any) -> InProcessCloud:
        parts = {"compute": DummyDriver(self.world), "images": Images()}
        self.cloud = InProcessCloud(self.data, parts=parts, **options)
        self.cloud.__enter__()
        return self.cloud

    def down(self) -> None:
        self.cloud.__exit__()

    def api(self, operation: str, **args: Any) -> Any:
        return self.cloud.api("codebuild", operation, **args)

    def role(self, *statements: dict[str, Any]) -> None:
        services = ["codebuild.amazonaws.com", "codepipeline.amazonaws.com"]
        trust = {"Effect": "Allow", "Principal": {"Service": services}, "Action": "sts:AssumeRole"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
        self.cloud.api("iam", "CreateRole", role_name="builder", assume_role_policy_document=document)
        self.allow(*(statements or (EVERYTHING,)))

    def allow(self, *statements: dict[str, Any]) -> None:
        document = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
        self.cloud.api("iam", "PutRolePolicy", role_name="builder", policy_name="may", policy_document=document)

    def start(self, **args: Any) -> str:
        """Start a build of `app`; its id."""
        return str(self.api("StartBuild", project_name="app", **args)["build"]["id"])

    def build(self, build_id: str) -> dict[str, Any]:
        [found] = self.api("BatchGetBuilds", ids=[build_id])["builds"]
        return dict(found)

    def in_sandbox(self, build_id: str) -> str:
        """Wait for the build's sandbox; its id."""
        uuid = build_id.split(":")[1]
        until(lambda: uuid in self.world.boots and self.build(build_id)["currentPhase"] == "DOWNLOAD_SOURCE", what="a sandbox")
        self.world.now = time.time()
        return uuid

    def say(self, build_id: str, *messages: dict[str, Any] | bytes) -> None:
        for message in messages:
            line = message if isinstance(message, bytes) else json.dumps({"t": time.time(), **message}).encode() + b"\n"
            self.world.say(build_id.split(":")[1], line)

    def play(self, build_id: str, *failing: str) -> None:
        """A whole build, as the runner would say it; the phases in `failing` fail."""
        for phase in ("DOWNLOAD_SOURCE", "INSTALL", "PRE_BUILD", "BUILD", "POST_BUILD", "UPLOAD_ARTIFACTS"):
            self.say(build_id, {"begin": phase}, {"log": f"in {phase}"})
            if phase in failing:
                contexts = [
                    {"statusCode": "COMMAND_EXECUTION_ERROR", "message": "Error while executing command: make. Reason: exit status 2"}
                ]
                self.say(build_id, {"phase": phase, "status": "FAILED", "contexts": contexts})
            else:
                self.say(build_id, {"phase": phase})
        self.say(build_id, {"done": True})

    def ended(self, build_id: str) -> dict[str, Any]:
        until(lambda: self.build(build_id)["buildComplete"], what="the end of the build")
        return self.build(build_id)

    def log(self, build_id: str) -> list[str]:
        project, uuid = build_id.split(":")
        events = self.cloud.api(
            "logs", "GetLogEvents", log_group_name=f"/aws/codebuild/{project}", log_stream_name=uuid, start_from_head=True
        )["events"]
        return [event["message"].rstrip("\n") for event in events]

    def trail(self, subject: str) -> list[str]:
        return [line.text for line in self.cloud.read(lambda ctx: ctx.tx.find(TrailLine, "subject", subject))]


def phases(build: dict[str, Any]) -> dict[str, str | None]:
    return {phase["phaseType"]: phase.get("phaseStatus") for phase in build["phases"]}

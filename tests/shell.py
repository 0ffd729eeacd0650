"""A started cloud, and the unmodified aws CLI beside it, used as a person types it; boto3 clients of a started cloud.

@pytest.fixture(scope="module")
def shell(tmp_path_factory): yield from started_shell(tmp_path_factory.mktemp("shell"))
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from windtunnel.labs.cloud import LabCloud

AWS = shutil.which("aws", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")


def client(cloud: LabCloud, service: str, **config: Any) -> Any:
    """A boto3 client of the root user. config: as botocore's Config takes it."""
    import boto3
    from botocore.config import Config

    found = cloud.environment()
    return boto3.client(
        service,
        endpoint_url=found["AWS_ENDPOINT_URL"],
        region_name="us-east-1",
        aws_access_key_id=found["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=found["AWS_SECRET_ACCESS_KEY"],
        config=Config(**{"s3": {"addressing_style": "path"}, "inject_host_prefix": False, **config}),
    )


class Shell:
    """Commands run in `work`, which is also their HOME."""

    def __init__(self, work: Path) -> None:
        self.work = work
        self.cloud = LabCloud(work / "data", work / "log")
        self.cloud.start()

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, **self.cloud.environment(), "AWS_PAGER": "", "HOME": str(self.work)}

    def aws(self, *arguments: str, fails: str = "") -> str:
        """What it printed. fails: it must fail, and say this; then what it said."""
        assert AWS is not None
        environment = self.environment
        # The CLI's version 1 has an address of its own for SQS, which this option alone overrides.
        there = ("--endpoint-url", environment["AWS_ENDPOINT_URL"]) if arguments[0] == "sqs" else ()
        done = subprocess.run(
            [AWS, *there, *arguments], env=environment, cwd=self.work, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL
        )
        if fails:
            assert done.returncode != 0 and fails in done.stdout + done.stderr, done.stdout + done.stderr
            return done.stderr
        assert done.returncode == 0, f"aws {' '.join(arguments)}: {done.stdout} {done.stderr}"
        return done.stdout.strip()

    def text(self, *arguments: str) -> str:
        return self.aws(*arguments, "--output", "text")

    def json(self, *arguments: str) -> Any:
        return json.loads(self.aws(*arguments, "--output", "json"))

    def client(self, service: str) -> Any:
        return client(self.cloud, service)


def started_shell(work: Path) -> Iterator[Shell]:
    """For a module's fixture: skips, and says so, where there is no aws CLI."""
    if AWS is None:
        pytest.skip("no aws CLI on this machine")
    made = Shell(work)
    try:
        yield made
    finally:
        made.cloud.stop()

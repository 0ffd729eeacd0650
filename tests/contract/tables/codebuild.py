"""What the generated contract tests need to know of `codebuild`."""

from __future__ import annotations

from typing import Any

from tables.shared import ROLE

NAMES: dict[str, Any] = {
    "name": "project",
    "names": ["project"],
    "ids": ["project:00000000-0000-0000-0000-000000000000"],
    "id": "project:00000000-0000-0000-0000-000000000000",
}
ALSO: dict[str, str] = {
    "RetryBuild": "id",
}
SEEDS: list[tuple[str, dict[str, Any]]] = [
    (
        "CreateProject",
        {
            "name": "project",
            "source": {"type": "S3", "location": "bucket/key"},
            "artifacts": {"type": "NO_ARTIFACTS"},
            "environment": {"type": "LINUX_CONTAINER", "image": "aws/codebuild/standard:7.0", "computeType": "BUILD_GENERAL1_SMALL"},
            "service_role": ROLE,
        },
    ),
]
ACTIONS: dict[str, list[str]] = {
    "CreateProject": ["codebuild:CreateProject", "iam:PassRole"],
}
AFTER = "iam s3"

"""What the generated contract tests need to know of `codepipeline`."""

from __future__ import annotations

from typing import Any

from harness import ACCOUNT, REGION
from tables.shared import ROLE

NAMES: dict[str, Any] = {
    "resourcearn": f"arn:aws:codepipeline:{REGION}:{ACCOUNT}:pipeline",
    "name": "pipeline",
    "pipelineexecutionid": "00000000-0000-0000-0000-000000000000",
}
SEEDS: list[tuple[str, dict[str, Any]]] = [
    (
        "CreatePipeline",
        {
            "pipeline": {
                "name": "pipeline",
                "roleArn": ROLE,
                "artifactStore": {"type": "S3", "location": "bucket"},
                "stages": [
                    {
                        "name": "Source",
                        "actions": [
                            {
                                "name": "Source",
                                "actionTypeId": {"category": "Source", "owner": "AWS", "provider": "CodeCommit", "version": "1"},
                                "configuration": {"RepositoryName": "repo", "BranchName": "main", "PollForSourceChanges": "false"},
                                "outputArtifacts": [{"name": "out"}],
                            }
                        ],
                    },
                    {
                        "name": "Approve",
                        "actions": [
                            {
                                "name": "Approve",
                                "actionTypeId": {"category": "Approval", "owner": "AWS", "provider": "Manual", "version": "1"},
                            }
                        ],
                    },
                ],
            }
        },
    ),
]
ACTIONS: dict[str, list[str]] = {
    "CreatePipeline": ["codepipeline:CreatePipeline", "iam:PassRole"],
    "UpdatePipeline": ["codepipeline:UpdatePipeline", "iam:PassRole"],
}
AFTER = "iam s3 codecommit"

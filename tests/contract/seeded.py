"""A small cloud in which most names that an operation can be asked about exist: what `samples` names, seeded through operations."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from samples import POLICY, ROLE, TRUST

from harness import InProcessCloud, until
from windtunnel.compute.dummy import DummyDriver, World

TABLES = ("doc", "idx", "outbox", "run", "step", "signal", "waiting")


@contextmanager
def seeded_cloud(data: Path) -> Iterator[InProcessCloud]:
    """A cloud with one of each thing that nothing has to run for, and nothing under way. Its sandboxes are in name only."""
    with InProcessCloud(data, parts={"compute": DummyDriver(World())}) as cloud:
        for service, operation, args in SEEDS:
            cloud.api(service, operation, **args)
        until(lambda: quiet(cloud), what="the seeds' events and jobs are done")
        yield cloud


def quiet(cloud: InProcessCloud) -> bool:
    """Whether no event waits for its delivery and no job is under way."""
    with cloud.cloud.store.thread_snapshot("", "") as tx:
        events = tx.connection.execute("SELECT count(*) FROM outbox").fetchone()[0]
        runs = tx.connection.execute("SELECT count(*) FROM run WHERE state='ready'").fetchone()[0]
    return not events and not runs


def store_hash(cloud: InProcessCloud) -> str:
    """Of everything but log lines."""
    digest = hashlib.sha256()
    with cloud.cloud.store.thread_snapshot("", "") as tx:
        for table in TABLES:
            for row in tx.connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2"):
                digest.update(repr(row).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


SEEDS: list[tuple[str, str, dict[str, Any]]] = [
    ("iam", "CreateUser", {"user_name": "alice"}),
    ("iam", "CreateGroup", {"group_name": "devs"}),
    ("iam", "CreateRole", {"role_name": "Deploy", "assume_role_policy_document": TRUST}),
    ("iam", "CreatePolicy", {"policy_name": "P", "policy_document": POLICY}),
    ("iam", "CreateInstanceProfile", {"instance_profile_name": "Web"}),
    ("iam", "AddRoleToInstanceProfile", {"instance_profile_name": "Web", "role_name": "Deploy"}),
    ("s3", "CreateBucket", {"bucket": "bucket"}),
    ("s3", "PutObject", {"bucket": "bucket", "key": "key", "body": b"content"}),
    ("codecommit", "CreateRepository", {"repository_name": "repo"}),
    ("ssm", "PutParameter", {"name": "/parameter", "value": "v", "type": "String"}),
    ("logs", "CreateLogGroup", {"log_group_name": "group"}),
    ("logs", "CreateLogStream", {"log_group_name": "group", "log_stream_name": "stream"}),
    ("events", "PutRule", {"name": "rule", "event_pattern": '{"source":["nobody"]}'}),
    (
        "codebuild",
        "CreateProject",
        {
            "name": "project",
            "source": {"type": "S3", "location": "bucket/key"},
            "artifacts": {"type": "NO_ARTIFACTS"},
            "environment": {"type": "LINUX_CONTAINER", "image": "aws/codebuild/standard:7.0", "computeType": "BUILD_GENERAL1_SMALL"},
            "service_role": ROLE,
        },
    ),
    ("codedeploy", "CreateApplication", {"application_name": "app"}),
    ("codedeploy", "CreateDeploymentGroup", {"application_name": "app", "deployment_group_name": "fleet", "service_role_arn": ROLE}),
    (
        "codepipeline",
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

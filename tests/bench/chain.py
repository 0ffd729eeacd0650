"""The chain's own time: push to execution started, build queued to first command, a pipeline's overhead for an action. Medians."""

from __future__ import annotations

import json
import os
import select
import statistics
import subprocess
import time
from pathlib import Path
from typing import Any

from requests_ import client
from servers import Windtunnel

RUNS = 9
SPEC = "version: 0.2\nphases: {build: {commands: [date +%s.%N]}}"


def wait(condition: Any, seconds: float = 60) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        select.select([], [], [], 0.02)
    raise SystemExit("bench: the chain did not get on")


def role(server: Windtunnel, service: str) -> str:
    trust = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"Service": f"{service}.amazonaws.com"}, "Action": "sts:AssumeRole"}],
    }
    everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    iam = client(server, "iam")
    made: str = iam.create_role(RoleName=service, AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    iam.put_role_policy(RoleName=service, PolicyName="all", PolicyDocument=json.dumps(everything))
    return made


def git(where: Path, *arguments: str) -> None:
    environment = {**os.environ, "GIT_AUTHOR_NAME": "b", "GIT_AUTHOR_EMAIL": "b@b", "GIT_COMMITTER_NAME": "b", "GIT_COMMITTER_EMAIL": "b@b"}
    subprocess.run(["git", *arguments], cwd=where, env=environment, check=True, capture_output=True, timeout=120)


def set_up(server: Windtunnel) -> tuple[Any, Any]:
    pipeline, build = client(server, "codepipeline"), client(server, "codebuild")
    client(server, "s3").create_bucket(Bucket="bench-chain")
    client(server, "codecommit").create_repository(repositoryName="bench")
    environment = {"type": "LINUX_CONTAINER", "image": "aws/codebuild/standard:7.0", "computeType": "BUILD_GENERAL1_SMALL"}
    build.create_project(
        name="bench",
        serviceRole=role(server, "codebuild"),
        environment=environment,
        source={"type": "NO_SOURCE", "buildspec": SPEC},
        artifacts={"type": "NO_ARTIFACTS"},
    )
    git_type = {"category": "Source", "owner": "AWS", "provider": "CodeCommit", "version": "1"}
    ask_type = {"category": "Approval", "owner": "AWS", "provider": "Manual", "version": "1"}
    source = {
        "name": "Source",
        "actionTypeId": git_type,
        "configuration": {"RepositoryName": "bench", "BranchName": "main"},
        "outputArtifacts": [{"name": "S"}],
    }
    stages = [{"name": "Source", "actions": [source]}, {"name": "Ask", "actions": [{"name": "Ask", "actionTypeId": ask_type}]}]
    pipeline.create_pipeline(
        pipeline={
            "name": "bench",
            "roleArn": role(server, "codepipeline"),
            "artifactStore": {"type": "S3", "location": "bench-chain"},
            "stages": stages,
        }
    )
    return pipeline, build


def clone(server: Windtunnel, credentials: Any) -> Path:
    where = server.directory / "bench"
    where.mkdir()
    git(where, "init", "-q", "-b", "main")
    user, password = credentials["ServiceUserName"], credentials["ServicePassword"]
    from urllib.parse import quote

    git(where, "remote", "add", "origin", f"http://{user}:{quote(password, safe='')}@127.0.0.1:{server.port}/v1/repos/bench")
    return where


def pushes(server: Windtunnel, pipeline: Any) -> tuple[list[float], list[float]]:
    """(push to execution started, source action's end to approval asked), seconds, by the times that the cloud itself recorded."""
    iam = client(server, "iam")
    iam.create_user(UserName="bench")
    iam.put_user_policy(
        UserName="bench",
        PolicyName="git",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "codecommit:*", "Resource": "*"}]}),
    )
    where = clone(
        server,
        iam.create_service_specific_credential(UserName="bench", ServiceName="codecommit.amazonaws.com")["ServiceSpecificCredential"],
    )
    started, between = [], []
    commits = client(server, "codecommit")
    for number in range(RUNS):
        (where / "n").write_text(str(number))
        git(where, "add", "-A")
        git(where, "commit", "-q", "-m", f"n{number}")
        git(where, "push", "-q", "origin", "main")
        head = commits.get_branch(repositoryName="bench", branchName="main")["branch"]["commitId"]
        moved = commits.get_repository(repositoryName="bench")["repositoryMetadata"]["lastModifiedDate"]

        def mine(head: str = head) -> Any:
            found = pipeline.list_pipeline_executions(pipelineName="bench")["pipelineExecutionSummaries"]
            return next((s for s in found if any(r["revisionId"] == head for r in s.get("sourceRevisions", []))), None)

        execution = wait(mine)

        def asked(execution: Any = execution) -> Any:
            listed = pipeline.list_action_executions(pipelineName="bench", filter={"pipelineExecutionId": execution["pipelineExecutionId"]})
            details = {d["actionName"]: d for d in listed["actionExecutionDetails"]}
            return details if "Ask" in details else None

        details = wait(asked)
        started.append((execution["startTime"] - moved).total_seconds())
        between.append((details["Ask"]["startTime"] - details["Source"]["lastUpdateTime"]).total_seconds())
        pipeline.stop_pipeline_execution(pipelineName="bench", pipelineExecutionId=execution["pipelineExecutionId"], abandon=True)
    return started, between


def builds(server: Windtunnel, build: Any) -> list[float]:
    """Build queued (startTime) to its first command, seconds: the command prints the time."""
    logs, found = client(server, "logs"), []
    for _ in range(RUNS + 1):
        made = build.start_build(projectName="bench")["build"]

        def over(name: str = made["id"]) -> Any:
            shown = build.batch_get_builds(ids=[name])["builds"][0]
            return shown if shown["buildComplete"] else None

        ended = wait(over)
        if ended["buildStatus"] != "SUCCEEDED":
            raise SystemExit(f"bench: the build {ended['buildStatus']}: {[p.get('contexts') for p in ended['phases']]}")
        events = logs.get_log_events(
            logGroupName=ended["logs"]["groupName"], logStreamName=ended["logs"]["streamName"], startFromHead=True
        )["events"]
        printed = next(float(e["message"]) for e in events if e["message"].strip().replace(".", "").isdigit())
        found.append(printed - ended["startTime"].timestamp())
    return found[1:]


def main() -> None:
    server = Windtunnel()
    try:
        pipeline, build = set_up(server)
        first = builds(server, build)
        started, between = pushes(server, pipeline)
        print(f"\n{'':44}{'median ms':>10}{'bar':>6}{'most':>8}")
        for name, values, bar in (
            ("push to execution started", started, 100),
            ("build queued to first command", first, 150),
            ("pipeline, end of action to start of next", between, 100),
        ):
            print(f"{name:44}{statistics.median(values) * 1000:10.0f}{bar:6}{max(values) * 1000:8.0f}")
    finally:
        server.close()

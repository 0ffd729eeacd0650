"""A cloud whose other services are scripted: what CodePipeline calls, with the answers that a test decides.

The fakes keep their state in records, so that a restart keeps it and an undone transaction undoes it, as with the real services.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from harness import ACCOUNT, REGION, InProcessCloud, until
from windtunnel.app import load_services
from windtunnel.kernel.cloud import BlobRef, Body
from windtunnel.kernel.context import Context, Need
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.principal import Credential, Principal
from windtunnel.kernel.records import Record, RecordScope, Tx
from windtunnel.kernel.registry import LISTENERS, OPERATIONS, Declared, Operation

ROLE = f"arn:aws:iam::{ACCOUNT}:role/pipeline"
COMMIT = "a" * 40
SCRIPTED = ("s3", "codecommit", "codebuild", "codedeploy")


class FakeObject(Record, kw_only=True):
    KIND: ClassVar[str] = "test.object"
    SCOPE: ClassVar[RecordScope] = "cloud"
    name: str
    sha256: str
    by: str

    def key(self) -> str:
        return self.name


class FakeWork(Record, kw_only=True):
    """A build or a deployment that somebody started."""

    KIND: ClassVar[str] = "test.work"
    SCOPE: ClassVar[RecordScope] = "cloud"
    id: str
    args: dict[str, Any]
    by: str
    exported: dict[str, str] = {}

    def key(self) -> str:
        return self.id


class Identity:
    """Everything is allowed but `denied` actions; every role is trusted but `untrusted` ones."""

    def __init__(self) -> None:
        self.denied: set[str] = set()
        self.untrusted: set[str] = set()
        self.asked: list[Need] = []

    def credential(self, tx: Tx, access_key: str) -> Credential | None:
        role = f"arn:aws:iam::{ACCOUNT}:role/{access_key}"
        return Credential(access_key, "s", self._session(role, "s", ""))

    def check(self, ctx: Context, needs: Iterable[Need]) -> None:
        for need in needs:
            self.asked.append(need)
            if need.action in self.denied and ctx.principal.kind == "assumed-role":
                raise AwsError("AccessDenied", f"User: {ctx.principal.arn} is not authorized to perform: {need.action}")

    def _session(self, role_arn: str, session: str, service: str) -> Principal:
        arn = f"arn:aws:sts::{ACCOUNT}:assumed-role/{role_arn.rsplit('/', 1)[-1]}/{session}"
        return Principal("assumed-role", ACCOUNT, arn, role_arn, f"AROA:{session}", session, via_service=service)

    def assume_for_service(self, ctx: Context, role_arn: str, session_name: str, service: str, source_arn: str = "") -> Principal:
        if role_arn in self.untrusted:
            raise AwsError("AccessDenied", f"{service} may not assume {role_arn}")
        return self._session(role_arn, session_name, service)

    def issue(self, ctx: Context, principal: Principal, seconds: float) -> Credential:
        raise AssertionError("CodePipeline's actions issue no credentials")


class Git:
    """part("git"): the archive of a commit is its id, zipped by nobody."""

    def __init__(self) -> None:
        self.blobs: Any = None

    def archive(self, repository_id: str, commit: str) -> BlobRef:
        content = f"{repository_id}@{commit}".encode()
        return BlobRef(commit.ljust(64, "0")[:64], len(content), "0" * 32, content)

    def sweep(self, known: set[str]) -> None:
        """There is nothing on a disk."""


class World:
    """What a test sees and moves."""

    def __init__(self, path: Path, **options: Any) -> None:
        self.identity = Identity()
        self.branches = {("web", "main"): COMMIT}
        self.objects: dict[str, str] = {}
        self.uploads = True
        self.cloud = InProcessCloud(path, parts={"git": Git()}, identity=self.identity, **options)

    # -- the scripted services ---------------------------------------------------------------------------------------

    def operations(self) -> list[Operation]:
        table: dict[tuple[str, str, Any], Any] = {
            ("codecommit", "GetBranch", "read"): self._branch,
            ("codecommit", "GetCommit", "read"): self._commit,
            ("codecommit", "GetRepository", "read"): lambda ctx, repository_name: {"repositoryMetadata": {"repositoryId": "r-1"}},
            ("s3", "PutObject", "write"): self._put_object,
            ("s3", "GetBucketVersioning", "read"): lambda ctx, bucket: {} if bucket == "plain" else {"Status": "Enabled"},
            ("s3", "HeadObject", "read"): self._head_object,
            ("s3", "CopyObject", "write"): self._copy_object,
            ("codebuild", "StartBuild", "write"): self._start_build,
            ("codebuild", "BatchGetBuilds", "read"): self._get_builds,
            ("codedeploy", "CreateDeployment", "write"): self._create_deployment,
        }
        return [
            Operation(service, name, kind, handler, self._needs(f"{service}:{name}"), Declared())
            for (service, name, kind), handler in table.items()
        ]

    def _needs(self, action: str) -> Any:
        return lambda ctx, **args: [Need(action)]

    def _branch(self, ctx: Context, repository_name: str, branch_name: str) -> dict[str, Any]:
        commit = self.branches.get((repository_name, branch_name))
        if commit is None:
            raise AwsError("BranchDoesNotExistException", f"{branch_name} does not exist")
        return {"branch": {"branchName": branch_name, "commitId": commit}}

    def _commit(self, ctx: Context, repository_name: str, commit_id: str) -> dict[str, Any]:
        person = {"name": "Ada", "email": "ada@example.com", "date": "1700000000 +0100"}
        return {"commit": {"commitId": commit_id, "message": "Say hello\n", "author": person, "committer": person}}

    def _put_object(self, ctx: Context, bucket: str, key: str, body: Any) -> dict[str, Any]:
        ref = body.ref if isinstance(body, Body) else body
        ctx.tx.insert(FakeObject(name=f"{bucket}/{key}", sha256=ref.sha256, by=ctx.principal.arn))
        return {}

    def _head_object(self, ctx: Context, bucket: str, key: str, version_id: str = "") -> dict[str, Any]:
        name = f"{bucket}/{key}"
        if bucket == "artifacts" and self.uploads:
            return {}
        if name not in self.objects:
            raise AwsError("NoSuchKey", "The specified key does not exist.")
        return {"VersionId": version_id or self.objects[name], "ETag": '"e1"', "LastModified": 1_700_000_000.0}

    def _copy_object(self, ctx: Context, bucket: str, key: str, copy_source: str) -> dict[str, Any]:
        ctx.tx.insert(FakeObject(name=f"{bucket}/{key}", sha256=copy_source, by=ctx.principal.arn))
        return {}

    def _start_build(self, ctx: Context, project_name: str, **args: Any) -> dict[str, Any]:
        if project_name == "none":
            raise AwsError("ResourceNotFoundException", "Project cannot be found: none")
        build = f"{project_name}:{ctx.ids.uuid()}"
        ctx.tx.insert(FakeWork(id=build, args=args, by=ctx.principal.arn))
        return {"build": {"id": build}}

    def _get_builds(self, ctx: Context, ids: list[str]) -> dict[str, Any]:
        found = [ctx.tx.get(FakeWork, identity) for identity in ids]
        return {
            "builds": [
                {"id": b.id, "exportedEnvironmentVariables": [{"name": n, "value": v} for n, v in b.exported.items()]}
                for b in found
                if b is not None
            ]
        }

    def _create_deployment(self, ctx: Context, **args: Any) -> dict[str, Any]:
        deployment = f"d-{ctx.ids.upper(9)}"
        ctx.tx.insert(FakeWork(id=deployment, args=args, by=ctx.principal.arn))
        return {"deploymentId": deployment}

    # -- what tests do and see -------------------------------------------------------------------------------------------

    def api(self, operation: str, **args: Any) -> Any:
        return self.cloud.api("codepipeline", operation, **args)

    def create(self, declaration: dict[str, Any]) -> str:
        """Create a pipeline; the id of the execution that this starts."""
        self.api("CreatePipeline", pipeline=declaration)
        return self.executions(declaration["name"])[0]["pipelineExecutionId"]

    def executions(self, name: str = "rel") -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.api("ListPipelineExecutions", pipeline_name=name)["pipelineExecutionSummaries"]
        return found

    def status(self, execution: str, name: str = "rel") -> str:
        return str(self.api("GetPipelineExecution", pipeline_name=name, pipeline_execution_id=execution)["pipelineExecution"]["status"])

    def stage(self, stage: str, name: str = "rel") -> dict[str, Any]:
        states = self.api("GetPipelineState", name=name)["stageStates"]
        return next(s for s in states if s["stageName"] == stage)

    def action(self, stage: str, action: str, name: str = "rel") -> dict[str, Any]:
        """The latestExecution of an action, {} when there is none."""
        states = self.stage(stage, name)["actionStates"]
        latest: dict[str, Any] = next(a for a in states if a["actionName"] == action).get("latestExecution", {})
        return latest

    def ends(self, execution: str, status: str, name: str = "rel") -> None:
        until(lambda: self.status(execution, name) == status, what=f"{execution} being {status}, last {self.status(execution, name)}")

    def work(self, prefix: str = "") -> list[FakeWork]:
        return self.cloud.read(lambda ctx: ctx.tx.scan(FakeWork, prefix=prefix))

    def stored(self) -> list[FakeObject]:
        return self.cloud.read(lambda ctx: ctx.tx.scan(FakeObject))

    def running(self, stage: str, action: str, name: str = "rel") -> str:
        """Wait until an action stands for outside work; the work's id."""
        latest = until(lambda: self.action(stage, action, name).get("externalExecutionId"), what=f"{action} having started something")
        return str(latest)

    def build_ends(self, build: str, status: str = "SUCCEEDED", **exported: str) -> None:
        arn = f"arn:aws:codebuild:{REGION}:{ACCOUNT}:build/{build}"
        detail = {"build-status": status, "project-name": build.split(":")[0], "build-id": arn}

        def end(ctx: Context) -> None:
            work = ctx.tx.get(FakeWork, build)
            if work is not None:
                ctx.tx.put(msgspec.structs.replace(work, exported=exported))
            ctx.emit("aws.codebuild", "CodeBuild Build State Change", [arn], detail)

        self.cloud.write(end)

    def deployment_ends(self, deployment: str, state: str = "SUCCESS") -> None:
        detail = {"deploymentId": deployment, "state": state, "region": REGION}
        self.cloud.write(lambda ctx: ctx.emit("aws.codedeploy", "CodeDeploy Deployment State-change Notification", [], detail))

    def push(self, commit: str, repository: str = "web", branch: str = "main") -> None:
        self.branches[repository, branch] = commit
        detail = {
            "event": "referenceUpdated",
            "referenceType": "branch",
            "repositoryName": repository,
            "referenceName": branch,
            "commitId": commit,
        }
        self.cloud.write(
            lambda ctx: ctx.caused_by(f"commit:{repository}@{commit}").emit(
                "aws.codecommit", "CodeCommit Repository State Change", [], detail
            )
        )

    def approve(self, stage: str, action: str, verdict: str = "Approved", summary: str = "looks good") -> None:
        token = until(lambda: self.action(stage, action).get("token"), what="an approval token")
        result = {"status": verdict, "summary": summary}
        self.api("PutApprovalResult", pipeline_name="rel", stage_name=stage, action_name=action, result=result, token=token)


@contextmanager
def world_at(path: Path, seen: list[Any] | None = None, **options: Any) -> Iterator[World]:
    """A running world; the same path again is the same cloud after a restart. seen: gets every event of CodePipeline."""
    load_services()
    world = World(path, **options)
    kept = {key: operation for key, operation in OPERATIONS.items() if key[0] in SCRIPTED}
    for key in kept:
        del OPERATIONS[key]
    OPERATIONS.update({(op.service, op.name): op for op in world.operations()})
    watcher = ("aws.codepipeline", "*", lambda ctx, event: seen.append(event) if seen is not None else None)
    LISTENERS.append(watcher)
    try:
        with world.cloud:
            yield world
    finally:
        LISTENERS.remove(watcher)
        for operation in world.operations():
            del OPERATIONS[operation.service, operation.name]
        OPERATIONS.update(kept)

"""CodePipeline's records: pipelines and their versions, executions, action executions, and the board of stages.

Invariant: the board alone says who holds a stage and who waits for it; an execution's own record says how far it has come.
Both are changed by `flow.py` only, together, in one transaction.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import msgspec

from windtunnel.kernel.principal import Principal
from windtunnel.kernel.records import Record, RecordScope
from windtunnel.kernel.scope import Scope

ExecutionStatus = Literal["Cancelled", "InProgress", "Stopped", "Stopping", "Succeeded", "Superseded", "Failed"]
StageStatus = Literal["Cancelled", "InProgress", "Failed", "Stopped", "Stopping", "Succeeded"]
ActionStatus = Literal["InProgress", "Abandoned", "Succeeded", "Failed"]
Declaration = dict[str, Any]
"""A PipelineDeclaration as the model writes it, with every default filled in (see structure.normalised)."""


def pipeline_arn(scope: Scope, *path: str) -> str:
    """The ARN of a pipeline (name), a stage (name, stage) or an action (name, stage, action)."""
    return scope.arn("codepipeline", "/".join(path))


def stage_names(declaration: Declaration) -> list[str]:
    return [stage["name"] for stage in declaration["stages"]]


def stage_of(declaration: Declaration, name: str) -> dict[str, Any] | None:
    return next((stage for stage in declaration["stages"] if stage["name"] == name), None)


def action_of(stage: dict[str, Any], name: str) -> dict[str, Any] | None:
    return next((action for action in stage["actions"] if action["name"] == name), None)


class Pipeline(Record, kw_only=True):
    """A pipeline as it is now. watches: what starts it by itself, as `codecommit:REPOSITORY:BRANCH` or `s3:BUCKET/KEY`."""

    KIND: ClassVar[str] = "codepipeline.pipeline"
    SCOPE: ClassVar[RecordScope] = "region"
    INDEXES: ClassVar = {"watches": lambda pipeline: pipeline.watches}

    declaration: Declaration
    created: float
    updated: float
    watches: list[str] = []
    tags: dict[str, str] = {}

    def key(self) -> str:
        return self.name

    @property
    def name(self) -> str:
        return str(self.declaration["name"])

    @property
    def version(self) -> int:
        return int(self.declaration["version"])

    @property
    def mode(self) -> str:
        return str(self.declaration["executionMode"])


class PipelineVersion(Record, kw_only=True):
    """A structure that a pipeline had or has: executions inside a stage go on with the version that they entered it with."""

    KIND: ClassVar[str] = "codepipeline.version"
    SCOPE: ClassVar[RecordScope] = "region"

    declaration: Declaration
    created: float

    def key(self) -> str:
        return version_key(self.declaration["name"], self.declaration["version"])


def version_key(pipeline: str, version: int) -> str:
    return f"{pipeline}/{version:08d}"


class Transition(msgspec.Struct):
    """A door between stages. by: the ARN of who moved it last; at: epoch seconds."""

    enabled: bool = True
    reason: str = ""
    by: str = ""
    at: float = 0.0


class Revision(msgspec.Struct):
    """What a source action found: revision id, a change identifier, when it was made, and where to look at it."""

    id: str
    change: str
    created: float
    summary: str = ""
    url: str = ""


class ActionFace(msgspec.Struct):
    """What GetPipelineState shows of an action: the key of its latest execution, and the revision it last brought."""

    latest: str = ""
    revision: Revision | None = None
    entity_url: str = ""


class Slot(msgspec.Struct):
    """One stage of a pipeline. holder: the execution inside, "" when free; inbound: those that wait before it, oldest first."""

    latest: str = ""
    latest_status: StageStatus = "InProgress"
    holder: str = ""
    inbound: list[str] = []
    inbound_door: Transition = msgspec.field(default_factory=Transition)
    outbound_door: Transition = msgspec.field(default_factory=Transition)
    actions: dict[str, ActionFace] = {}
    retries: int = 0


class Board(Record, kw_only=True):
    """The stages of one pipeline, and the counters that number its executions and actions."""

    KIND: ClassVar[str] = "codepipeline.board"
    SCOPE: ClassVar[RecordScope] = "region"

    pipeline: str
    stages: dict[str, Slot] = {}
    executions: int = 0
    actions: int = 0

    def key(self) -> str:
        return self.pipeline

    def slot(self, stage: str) -> Slot:
        return self.stages.setdefault(stage, Slot())


class Located(msgspec.Struct, frozen=True):
    """An artifact: its name in the pipeline and the object that holds it. revision: the source revision that it was made from.

    kms_key: the key of the artifact store that it is encrypted under, "" for the bucket's own default.
    """

    name: str
    bucket: str
    key: str
    revision: str = ""
    kms_key: str = ""

    def encryption(self) -> dict[str, str]:
        """The arguments of S3's operations that write it."""
        return {"server_side_encryption": "aws:kms", "ssekms_key_id": self.kms_key} if self.kms_key else {}

    def described(self) -> dict[str, Any]:
        return {"name": self.name, "s3location": {"bucket": self.bucket, "key": self.key}}


class SourceRevision(msgspec.Struct, frozen=True):
    """A revision that an execution runs with; artifact: the output artifact of the action that brought it."""

    action: str
    artifact: str
    revision: Revision


class ActionMark(msgspec.Struct):
    id: str
    status: ActionStatus


class StageRun(msgspec.Struct):
    """An execution's way through one stage. version: of the structure that it entered with; actions: the latest try of each."""

    status: StageStatus
    version: int
    actions: dict[str, ActionMark] = {}

    def statuses(self) -> dict[str, ActionStatus]:
        return {name: mark.status for name, mark in self.actions.items()}


class Trigger(msgspec.Struct, frozen=True):
    type: str
    detail: str = ""


class Execution(Record, kw_only=True):
    """One run through a pipeline. stage: where it is, or what it waits for when `waiting`; cause: the cause id it runs for."""

    KIND: ClassVar[str] = "codepipeline.execution"
    SCOPE: ClassVar[RecordScope] = "region"
    INDEXES: ClassVar = {
        "id": "id",
        "token": lambda e: [f"{e.pipeline}/{e.token}"] if e.token else [],
        "live": lambda e: [e.pipeline] if e.status in ("InProgress", "Stopping") else [],
    }

    pipeline: str
    number: int
    id: str
    version: int
    mode: str
    trigger: Trigger
    started: float
    updated: float
    status: ExecutionStatus = "InProgress"
    summary: str = ""
    stage: str = ""
    waiting: bool = False
    stages: dict[str, StageRun] = {}
    variables: dict[str, str] = {}
    overrides: list[dict[str, str]] = []
    artifacts: dict[str, Located] = {}
    namespaces: dict[str, dict[str, str]] = {}
    revisions: list[SourceRevision] = []
    stop_reason: str = ""
    token: str = ""
    cause: str = ""
    attempt: int = 1

    def key(self) -> str:
        return f"{self.pipeline}/{self.number:010d}"


class ActionExecution(Record, kw_only=True):
    """One try of one action. declared: its declaration as it was; external: the build, deployment, … that it stands for.

    token: of an approval, by which a verdict is known to be meant for this try; verdict: Approved or Rejected, once given.
    """

    KIND: ClassVar[str] = "codepipeline.action"
    SCOPE: ClassVar[RecordScope] = "region"
    INDEXES: ClassVar = {
        "execution": "execution",
        "external": lambda a: [a.external] if a.external and a.status == "InProgress" else [],
    }

    pipeline: str
    number: int
    id: str
    execution: str
    version: int
    stage: str
    declared: dict[str, Any]
    started: float
    updated: float
    status: ActionStatus = "InProgress"
    updated_by: str = ""
    resolved: dict[str, str] = {}
    inputs: list[Located] = []
    outputs: list[Located] = []
    external: str = ""
    external_url: str = ""
    summary: str = ""
    error_code: str = ""
    error_message: str = ""
    variables: dict[str, str] = {}
    token: str = ""
    verdict: str = ""

    def key(self) -> str:
        return action_key(self.pipeline, self.number)

    @property
    def name(self) -> str:
        return str(self.declared["name"])


def action_key(pipeline: str, number: int) -> str:
    return f"{pipeline}/{number:010d}"


class Act(msgspec.Struct, frozen=True):
    """An action as its provider runs it: everything resolved, nothing left to look up.

    key, id: of its ActionExecution. principal: the session of the role that it acts as. inputs and outputs in declared order; an
    output's object is already named. timeout: seconds that its outside work may take. override: (revision type, value) that the
    execution was started with for this source action.
    """

    key: str
    id: str
    pipeline: str
    execution: str
    stage: str
    name: str
    category: str
    provider: str
    configuration: dict[str, str]
    inputs: tuple[Located, ...]
    outputs: tuple[Located, ...]
    principal: Principal
    timeout: float
    override: tuple[str, str] | None = None


class Outcome(msgspec.Struct, frozen=True):
    """How an action ended well: what it brought. artifacts: those really written; revision: for source actions."""

    summary: str = ""
    variables: dict[str, str] = {}
    artifacts: tuple[Located, ...] = ()
    revision: Revision | None = None
    entity_url: str = ""


class ActionFailed(Exception):
    """How an action ended badly: code is one of AWS's FailureType, message its errorDetails.message."""

    def __init__(self, code: str, message: str, summary: str = "") -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message
        self.summary = summary

"""Projects, builds and their phases. Pure.

Invariant: a build's phases only grow; at most the last one is open (it has neither end nor status) until the build is complete.
"""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec

from windtunnel.compute.driver import Handle
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.records import Record
from windtunnel.kernel.registry import ServiceRules, service_rules
from windtunnel.kernel.scope import Scope

service_rules("codebuild", ServiceRules(validation_code="InvalidInputException"))

SERVICE = "codebuild.amazonaws.com"
RUNNER_PHASES = ("DOWNLOAD_SOURCE", "INSTALL", "PRE_BUILD", "BUILD", "POST_BUILD", "UPLOAD_ARTIFACTS")
Shape = dict[str, Any]


class Project(Record, kw_only=True):
    """settings: the project as AWS's Project shape, without arn and times. builds: how many were started."""

    KIND: ClassVar[str] = "codebuild.project"

    name: str
    settings: Shape
    created: float
    modified: float
    builds: int = 0

    def key(self) -> str:
        return self.name

    def described(self, scope: Scope) -> Shape:
        fixed = {"badge": {"badgeEnabled": False}, "projectVisibility": "PRIVATE"}
        times = {"created": self.created, "lastModified": self.modified}
        return {"name": self.name, "arn": project_arn(scope, self.name), **self.settings, **times, **fixed}


class Phase(msgspec.Struct):
    """start, end: epoch seconds. contexts: {statusCode, message}."""

    type: str
    start: float
    end: float | None = None
    status: str | None = None
    contexts: list[dict[str, str]] = []

    def described(self) -> Shape:
        reply: Shape = {"phaseType": self.type, "startTime": self.start}
        if self.end is not None:
            reply |= {"phaseStatus": self.status, "endTime": self.end, "durationInSeconds": int(self.end - self.start)}
            reply["contexts"] = self.contexts or [{"statusCode": "", "message": ""}]
        return reply


class Build(Record, kw_only=True):
    """A build. id: `project:uuid`. settings: what it runs with (AWS's Project shape, overrides applied).

    requested: StartBuild's arguments, for RetryBuild. stopping: why its sandbox is being ended (STOPPED, TIMED_OUT), "" if it is not.
    reported: whether the runner said that it had come to its end. terminated: whether it was told to end while it ran.
    log_trouble: why its log could not be written. token: `project/idempotency token`, "" when it was started without one.
    """

    KIND: ClassVar[str] = "codebuild.build"
    INDEXES: ClassVar = {"state": lambda build: () if build.complete else (build.state,), "token": "token"}

    id: str
    number: int
    settings: Shape
    source_version: str
    initiator: str
    started: float
    cause: str
    requested: Shape = {}
    token: str = ""
    state: str = "queued"
    status: str = "IN_PROGRESS"
    ended: float | None = None
    phases: list[Phase] = []
    resolved_version: str = ""
    exported: list[dict[str, str]] | None = None
    artifacts: Shape | None = None
    secondary_artifacts: list[Shape] = []
    handle: Handle | None = None
    stopping: str = ""
    reported: bool = False
    terminated: bool = False
    stream: str | None = None
    log_trouble: str = ""

    def key(self) -> str:
        return self.id

    @property
    def project(self) -> str:
        return self.id.split(":")[0]

    @property
    def uuid(self) -> str:
        return self.id.split(":")[1]

    @property
    def complete(self) -> bool:
        return self.ended is not None

    @property
    def group(self) -> str:
        return str(cloudwatch(self.settings).get("groupName") or f"/aws/codebuild/{self.project}")

    @property
    def logged(self) -> bool:
        return bool(cloudwatch(self.settings).get("status", "ENABLED") == "ENABLED")

    @property
    def open_phase(self) -> Phase | None:
        return self.phases[-1] if self.phases and self.phases[-1].end is None else None

    @property
    def current_phase(self) -> str:
        return self.phases[-1].type if self.phases else "SUBMITTED"

    def described(self, scope: Scope) -> Shape:
        settings = self.settings
        reply: Shape = {
            "id": self.id,
            "arn": build_arn(scope, self.id),
            "buildNumber": self.number,
            "startTime": self.started,
            "currentPhase": self.current_phase,
            "buildStatus": self.status,
            "projectName": self.project,
            "phases": [phase.described() for phase in self.phases],
            "artifacts": self.artifacts or {"location": ""},
            "secondaryArtifacts": self.secondary_artifacts,
            "logs": self._logs(scope),
            "buildComplete": self.complete,
            "initiator": self.initiator,
        }
        for member in (
            "source", "secondarySources", "secondarySourceVersions", "cache", "environment", "serviceRole", "timeoutInMinutes",
            "queuedTimeoutInMinutes", "encryptionKey",
        ):  # fmt: skip
            if member in settings:
                reply[member] = settings[member]
        if self.source_version:
            reply["sourceVersion"] = self.source_version
        if self.resolved_version:
            reply["resolvedSourceVersion"] = self.resolved_version
        if self.ended is not None:
            reply["endTime"] = self.ended
        if self.exported is not None:
            reply["exportedEnvironmentVariables"] = self.exported
        return reply

    def _logs(self, scope: Scope) -> Shape:
        status = "ENABLED" if self.logged else "DISABLED"
        reply: Shape = {"cloudWatchLogs": {**cloudwatch(self.settings), "status": status}, "s3Logs": {"status": "DISABLED"}}
        if not self.logged:
            return reply
        base = f"https://console.aws.amazon.com/cloudwatch/home?region={scope.region}#logEvent:group={self.group};stream="
        reply["groupName"] = self.group if self.stream else None
        reply["streamName"] = self.stream
        reply["deepLink"] = base + (self.stream or "null")
        reply["cloudWatchLogsArn"] = scope.arn(
            "logs", f"log-group:{self.group if self.stream else 'null'}:log-stream:{self.stream or 'null'}"
        )
        return {key: value for key, value in reply.items() if value is not None}


class BuildOutput(Record, kw_only=True):
    """How far a build's sandbox has been followed: offset of its log, and the line begun there (`rest`).

    tail: the last lines that the build's own commands printed, for whoever asks why it failed.
    """

    KIND: ClassVar[str] = "codebuild.output"

    build: str
    offset: int = 0
    rest: bytes = b""
    ended: bool = False
    tail: list[str] = []

    def key(self) -> str:
        return self.build


class Place(Record, kw_only=True):
    """Where a build stands in a listing: `all/TIME/…` and `project/NAME/TIME/…`."""

    KIND: ClassVar[str] = "codebuild.place"

    place: str
    build: str

    def key(self) -> str:
        return self.place


def places(build: Build) -> list[Place]:
    by_time = f"{int(build.started * 1000):015d}/{build.number:09d}/{build.id}"
    return [Place(place=f"{listing}/{by_time}", build=build.id) for listing in ("all", f"project/{build.project}")]


def cloudwatch(settings: Shape) -> Shape:
    """The project's logsConfig.cloudWatchLogs."""
    found: Shape = settings.get("logsConfig", {}).get("cloudWatchLogs", {})
    return found


# -- names ------------------------------------------------------------------------------------------------------------------


def project_arn(scope: Scope, name: str) -> str:
    return scope.arn("codebuild", f"project/{name}")


def build_arn(scope: Scope, build_id: str) -> str:
    return scope.arn("codebuild", f"build/{build_id}")


def project_name(given: str) -> str:
    """A project by name or by ARN."""
    return given.rsplit(":project/", 1)[-1]


def build_id(given: str) -> str:
    """A build by id or by ARN."""
    return given.rsplit(":build/", 1)[-1]


def no_project(scope: Scope, name: str) -> AwsError:
    return AwsError("ResourceNotFoundException", f"Project cannot be found: {project_arn(scope, name)}")


def no_build(scope: Scope, identifier: str) -> AwsError:
    return AwsError("ResourceNotFoundException", f"Build cannot be found: {build_arn(scope, identifier)}")


# -- phases -----------------------------------------------------------------------------------------------------------------


def outcome(phases: list[Phase]) -> str:
    """The build's status by its phases: the first that did not succeed says it."""
    for phase in phases:
        if phase.status not in (None, "SUCCEEDED"):
            return "FAULT" if phase.status == "FAULT" else str(phase.status)
    return "SUCCEEDED"


def session_name(build: Build) -> str:
    """The session in which a build acts as its service role."""
    return f"AWSCodeBuild-{build.uuid}"

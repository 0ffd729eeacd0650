"""What CodeDeploy keeps.

Invariants: a deployment's targets and their events are its only state of progress (a command to an agent is the target's current
event, never a record of its own); a deployment group remembers its last attempted and last successful deployment by id.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import msgspec

from windtunnel.kernel.records import Record, RecordScope

Location = dict[str, Any]
"""A RevisionLocation as the API shows it."""
ENDED = frozenset({"Succeeded", "Failed", "Stopped"})


class Application(Record, kw_only=True):
    """An application of the Server platform; created in epoch seconds."""

    KIND: ClassVar[str] = "codedeploy.application"
    SCOPE: ClassVar[RecordScope] = "region"

    name: str
    id: str
    created: float
    platform: str = "Server"
    tags: dict[str, str] = {}

    def key(self) -> str:
        return self.name


TriggerEvent = Literal[
    "DeploymentStart",
    "DeploymentSuccess",
    "DeploymentFailure",
    "DeploymentStop",
    "DeploymentRollback",
    "DeploymentReady",
    "InstanceStart",
    "InstanceSuccess",
    "InstanceFailure",
    "InstanceReady",
]


class Trigger(msgspec.Struct, frozen=True):
    """What a group tells an SNS topic."""

    name: str
    target: str
    events: list[str]


class Group(Record, kw_only=True):
    """A deployment group. filters and tag_set: as the API takes them; target_revision: the last one deployed with success."""

    KIND: ClassVar[str] = "codedeploy.group"
    SCOPE: ClassVar[RecordScope] = "region"
    INDEXES: ClassVar = {"config": "config_name"}

    application: str
    name: str
    id: str
    config_name: str
    role_arn: str
    filters: list[dict[str, str]] = []
    tag_set: list[list[dict[str, str]]] | None = None
    auto_rollback: dict[str, Any] | None = None
    triggers: list[Trigger] = []
    target_revision: Location | None = None
    last_attempted: str = ""
    last_successful: str = ""
    tags: dict[str, str] = {}

    def key(self) -> str:
        return f"{self.application}/{self.name}"


class Revision(Record, kw_only=True):
    """A registered revision; digest names its location within the application. groups: names of those that deployed it."""

    KIND: ClassVar[str] = "codedeploy.revision"
    SCOPE: ClassVar[RecordScope] = "region"

    application: str
    digest: str
    location: Location
    registered: float
    description: str = ""
    first_used: float | None = None
    last_used: float | None = None
    groups: list[str] = []

    def key(self) -> str:
        return f"{self.application}/{self.digest}"


class MinimumHealthy(msgspec.Struct, frozen=True):
    """type: HOST_COUNT, FLEET_PERCENT, or MOST_CONCURRENCY (only OneAtATime has it, as the API reference shows it)."""

    type: str
    value: int


class Config(Record, kw_only=True):
    """A deployment configuration of the Server platform; created is None for the predefined ones."""

    KIND: ClassVar[str] = "codedeploy.config"
    SCOPE: ClassVar[RecordScope] = "region"

    name: str
    id: str
    minimum: MinimumHealthy
    created: float | None = None

    def key(self) -> str:
        return self.name


class Deployment(Record, kw_only=True):
    """A deployment. fleet: how many instances the group had when it began; only: the instances it is limited to (a rollback's).

    stopping: StopDeployment was asked for while a script ran; stop_rollback: what the caller then said about rolling back.
    """

    KIND: ClassVar[str] = "codedeploy.deployment"
    SCOPE: ClassVar[RecordScope] = "region"
    INDEXES: ClassVar = {"group": "group_id", "application": "application"}

    id: str
    application: str
    group: str
    group_id: str
    config_name: str
    minimum: MinimumHealthy
    revision: Location
    created: float
    cause: str
    creator: str = "user"
    status: str = "Created"
    previous_revision: Location | None = None
    description: str = ""
    started: float | None = None
    completed: float | None = None
    error_code: str = ""
    error_message: str = ""
    ignore_stop_failures: bool = False
    auto_rollback: dict[str, Any] | None = None
    outdated_only: bool = False
    file_exists: str = "DISALLOW"
    only: list[str] = []
    fleet: int = 0
    overview: dict[str, int] = {}
    stopping: bool = False
    stop_rollback: bool | None = None
    rollback_id: str = ""
    rollback_of: str = ""
    rollback_message: str = ""

    def key(self) -> str:
        return self.id


class Active(Record, kw_only=True):
    """The group's deployment that has not ended; there is at most one."""

    KIND: ClassVar[str] = "codedeploy.active"
    SCOPE: ClassVar[RecordScope] = "region"

    group_id: str
    deployment: str

    def key(self) -> str:
        return self.group_id


class LifecycleEvent(msgspec.Struct):
    """One event of an instance's deployment. start and end in epoch seconds; error_code as the API has it, empty while it has none."""

    name: str
    status: str = "Pending"
    start: float | None = None
    end: float | None = None
    error_code: str = ""
    script: str = ""
    message: str = ""
    log_tail: str = ""


class Target(Record, kw_only=True):
    """An instance of a deployment. current: the index of the event whose command is out, None when none is.

    since: when that command was issued or, once acknowledged, when the agent began; order: the place in the order of deploying.
    """

    KIND: ClassVar[str] = "codedeploy.target"
    SCOPE: ClassVar[RecordScope] = "region"
    INDEXES: ClassVar = {"offered": lambda t: [t.host] if t.current is not None and not t.acknowledged else []}

    deployment: str
    instance: str
    host: str
    order: int
    events: list[LifecycleEvent]
    updated: float
    status: str = "Pending"
    current: int | None = None
    acknowledged: bool = False
    since: float = 0.0

    def key(self) -> str:
        return f"{self.deployment}/{self.instance}"


class HostState(Record, kw_only=True):
    """What a group last deployed to an instance: the order of the next deployment follows from it."""

    KIND: ClassVar[str] = "codedeploy.host"
    SCOPE: ClassVar[RecordScope] = "region"

    group_id: str
    instance: str
    digest: str
    healthy: bool

    def key(self) -> str:
        return f"{self.group_id}/{self.instance}"

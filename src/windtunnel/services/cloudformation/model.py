"""Stacks, their resources, events and operations, and the rules of their states (CloudFormation API reference, 2010-05-15). Pure.

Invariants: a stack has at most one operation that goes on, `Stack.operation`; whoever drives another one finds that out by comparing and stops.
A resource's `before` is what it was when the operation that goes on first touched it: rollback restores exactly that.
What is kept of a stack whose template tells of secrets is sealed at rest, all of it (`Stack.sealed`); other stacks' records stand in the clear.
"""

from __future__ import annotations

import re
from typing import Any, ClassVar, Literal

import msgspec
from msgspec import structs

from windtunnel.kernel.principal import Principal
from windtunnel.kernel.records import Record, RecordScope, Sealable
from windtunnel.kernel.scope import Arn, Scope

STACK_TYPE = "AWS::CloudFormation::Stack"
STACK_NAME = re.compile(r"[a-zA-Z][-a-zA-Z0-9]*\Z")
SHOWN = 90 * 86400.0
"""How long a deleted stack can be described by its id, in seconds."""
UPDATABLE = frozenset({"CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "IMPORT_COMPLETE", "IMPORT_ROLLBACK_COMPLETE"})
PRESERVED = frozenset({"CREATE_FAILED", "UPDATE_FAILED"})
"""What `--disable-rollback` leaves: it may be updated again, rolled back, or deleted."""
Kind = Literal["create", "update", "delete", "rollback", "update-rollback"]
Phase = Literal["make", "held", "clean", "restore", "held-restored", "clean-restored", "unmake"]
"""held, held-restored: a nested stack has done its part, and waits for its parent to clean up, or to turn back."""


class Value(msgspec.Struct):
    """A parameter of a stack. value: as given (of an SSM type, the parameter's name); resolved: what Ref gives, when that differs."""

    value: str
    resolved: Any = None
    no_echo: bool = False


class Options(msgspec.Struct, kw_only=True):
    """How an operation deals with failure. on_failure: of a creation."""

    on_failure: Literal["ROLLBACK", "DELETE", "DO_NOTHING"] = "ROLLBACK"
    timeout_minutes: int | None = None
    retain_except_on_create: bool = False
    retain: list[str] = []
    force: bool = False
    skip: list[str] = []
    policy: str = ""
    """The stack policy that holds during this update only."""


class Operation(Sealable, kw_only=True):
    """What is being done with a stack. principal: as whom. made: the template version that is made true, back_to: the one of before.

    phase: how far it is. cancelled: someone asked an update to turn back. unmade: a creation's rollback, or a deletion.
    nested: the parent does it, and says when it may clean up. turned: why it turned back, as the stack said. outputs: those of before, while it
    is held. change_set: the id of the change set that it executes.
    """

    KIND: ClassVar[str] = "cloudformation.operation"
    SCOPE: ClassVar[RecordScope] = "region"

    id: str
    stack: str
    kind: Kind
    principal: Principal
    started: float
    role_arn: str = ""
    token: str = ""
    made: int = 0
    back_to: int = 0
    phase: Phase = "make"
    options: Options = msgspec.field(default_factory=Options)
    cancelled: bool = False
    failed: list[str] = []
    reason: str = ""
    nested: bool = False
    turned: str = ""
    outputs: list[dict[str, str]] = []
    change_set: str = ""

    def key(self) -> str:
        return self.id

    def shell(self) -> Operation:
        return structs.replace(self, reason="", turned="", outputs=[])


class Template(Sealable, kw_only=True):
    """A version of a stack's template. text: as submitted; processed: JSON after transforms; parameters: what Ref gives; hidden: of which NoEcho."""

    KIND: ClassVar[str] = "cloudformation.template"
    SCOPE: ClassVar[RecordScope] = "region"

    stack: str
    version: int
    text: str
    processed: str
    parameters: dict[str, Any]
    conditions: dict[str, bool]
    needs: dict[str, list[str]]
    given: dict[str, Value] = {}
    hidden: list[str] = []
    transforms: list[str] = []
    tags: dict[str, str] = {}
    zones: dict[str, list[str]] = {}
    significant: str = ""
    """A digest of what of it makes a stack (`reading.significant`)."""
    types: dict[str, str] = {}
    """logical id -> type, of the resources that there shall be."""

    def key(self) -> str:
        return f"{self.stack}/{self.version:06d}"

    def shell(self) -> Template:
        return structs.replace(self, text="", processed="", parameters={}, conditions={}, needs={}, given={}, significant="")


class Stack(Sealable, kw_only=True):
    """id: the UUID at the end of its ARN. made: the template version in force (0: none yet); next_version, next_event: counters.
    parent, root: `NAME/ID` of the stacks above a nested one."""

    KIND: ClassVar[str] = "cloudformation.stack"
    SCOPE: ClassVar[RecordScope] = "region"
    INDEXES: ClassVar = {
        "name": lambda stack: [] if stack.status == "DELETE_COMPLETE" else [stack.name],
        "parent": lambda stack: [stack.parent] if stack.parent else [],
    }

    id: str
    name: str
    status: str
    created: float
    reason: str = ""
    updated: float | None = None
    deleted: float | None = None
    description: str = ""
    parameters: dict[str, Value] = {}
    tags: dict[str, str] = {}
    capabilities: list[str] = []
    role_arn: str = ""
    notification_arns: list[str] = []
    timeout_minutes: int | None = None
    disable_rollback: bool = False
    protected: bool = False
    policy: str = ""
    parent: str = ""
    root: str = ""
    outputs: list[dict[str, str]] = []
    made: int = 0
    next_version: int = 1
    next_event: int = 1
    epoch: int = 0
    """How many operations have ended with nothing that a later one may have to turn back."""
    operation: str = ""
    token: str = ""
    change_set: str = ""
    retain_except_on_create: bool = False
    drift: dict[str, Any] = {}

    def key(self) -> str:
        return self.id

    def shell(self) -> Stack:
        return structs.replace(self, reason="", description="", parameters={}, outputs=[], drift={})

    def arn(self, scope: Scope) -> str:
        return stack_arn(scope, self.name, self.id)


class State(msgspec.Struct, kw_only=True):
    """What a resource is: enough to restore it, or to delete it."""

    physical: str
    properties: dict[str, Any] = {}
    attributes: dict[str, Any] = {}
    metadata: dict[str, Any] = {}
    needs: list[str] = []
    deletion: str = "Delete"
    replacement: str = "Delete"
    type: str = ""
    token: str = ""

    def shell(self) -> State:
        return structs.replace(self, properties={}, attributes={}, metadata={})


class ChangeSet(Sealable, kw_only=True):
    """What an operation would do. id: the UUID at the end of its ARN. version: of the stack's templates. changes: as `planning.preview` gives them.

    first: the stack was made for it (REVIEW_IN_PROGRESS) and is created when it is executed. parent, root: `NAME/ID` of the change sets above that of
    a nested stack, which is `logical` in its parent.
    """

    KIND: ClassVar[str] = "cloudformation.change-set"
    SCOPE: ClassVar[RecordScope] = "region"
    INDEXES: ClassVar = {"id": "id", "parent": lambda change_set: [change_set.parent.split("/")[1]] if change_set.parent else []}

    stack: str
    name: str
    id: str
    created: float
    status: str
    execution: str
    reason: str = ""
    description: str = ""
    version: int = 0
    first: bool = False
    changes: list[dict[str, Any]] = []
    trouble: str = ""
    about: str = ""
    role_arn: str = ""
    tags: dict[str, str] = {}
    given: dict[str, Value] = {}
    capabilities: list[str] = []
    notification_arns: list[str] | None = None
    on_failure: str = ""
    nested: bool = False
    imports: bool = False
    token: str = ""
    parent: str = ""
    root: str = ""
    logical: str = ""

    def key(self) -> str:
        return f"{self.stack}/{self.name}"

    def shell(self) -> ChangeSet:
        return structs.replace(self, reason="", changes=[], trouble="", about="", given={})

    def arn(self, scope: Scope) -> str:
        return scope.arn("cloudformation", f"changeSet/{self.name}/{self.id}")

    def family(self, scope: Scope) -> dict[str, str]:
        """ParentChangeSetId and RootChangeSetId."""
        if not self.parent:
            return {}
        shown = {"ParentChangeSetId": self.parent, "RootChangeSetId": self.root}
        return {member: scope.arn("cloudformation", f"changeSet/{named}") for member, named in shown.items()}


class StackResource(Sealable, kw_only=True):
    """A resource of a stack. now: as it is (None: it does not exist, or not yet); before: as it was when the operation that goes on began with it;
    leftovers: physical resources that replacement left behind, deleted in cleanup.

    epoch: the stack's when this was written: `before`, `new` and `touched` are an operation's own, and mean nothing once the stack has another.

    new: it did not exist when the operation that goes on began. going: create, update or delete has begun and is looked at until it is done
    (`since`, epoch seconds). signals: how many a CreationPolicy waits for, `deadline` until when.
    """

    KIND: ClassVar[str] = "cloudformation.resource"
    SCOPE: ClassVar[RecordScope] = "region"
    INDEXES: ClassVar = {
        "physical": lambda r: [r.now.physical] if r.now is not None and r.now.physical and r.status != "DELETE_COMPLETE" else []
    }

    stack: str
    logical: str
    type: str
    status: str
    at: float
    reason: str = ""
    now: State | None = None
    before: State | None = None
    new: bool = False
    touched: str = ""
    epoch: int = 0
    leftovers: list[State] = []
    going: str = ""
    since: float = 0.0
    signals: int = 0
    deadline: float = 0.0
    drift: dict[str, Any] = {}
    last: str = ""
    """The physical id that a resource which is gone had."""

    def key(self) -> str:
        return f"{self.stack}/{self.logical}"

    def shell(self) -> StackResource:
        now = None if self.now is None else self.now.shell()
        return structs.replace(self, reason="", now=now, before=None, leftovers=[], drift={})


class StackEvent(Sealable, kw_only=True):
    """One line of a stack's history. properties: JSON text, "" for none."""

    KIND: ClassVar[str] = "cloudformation.event"
    SCOPE: ClassVar[RecordScope] = "region"

    stack: str
    seq: int
    id: str
    logical: str
    physical: str
    type: str
    status: str
    at: float
    reason: str = ""
    properties: str = ""
    token: str = ""
    operation: str = ""
    detail: str = ""

    def key(self) -> str:
        return f"{self.stack}/{self.seq:012d}"

    def shell(self) -> StackEvent:
        return structs.replace(self, reason="", properties="", detail="")


class Export(Record, kw_only=True):
    """An output that other stacks may import, by its name."""

    KIND: ClassVar[str] = "cloudformation.export"
    SCOPE: ClassVar[RecordScope] = "region"
    INDEXES: ClassVar = {"stack": "stack"}

    name: str
    value: str
    stack: str
    stack_arn: str

    def key(self) -> str:
        return self.name


class Import(Record, kw_only=True):
    """That a stack uses an export."""

    KIND: ClassVar[str] = "cloudformation.import"
    SCOPE: ClassVar[RecordScope] = "region"
    INDEXES: ClassVar = {"stack": "stack"}

    export: str
    stack: str
    stack_name: str

    def key(self) -> str:
        return f"{self.export}/{self.stack}"


class Signal(Sealable, kw_only=True):
    """A signal for a resource. seen: an event tells of it already."""

    KIND: ClassVar[str] = "cloudformation.signal"
    SCOPE: ClassVar[RecordScope] = "region"

    stack: str
    logical: str
    unique: str
    status: str
    at: float
    data: str = ""
    reason: str = ""
    seen: bool = False

    def key(self) -> str:
        return f"{self.stack}/{self.logical}/{self.unique}"

    def shell(self) -> Signal:
        return structs.replace(self, data="", reason="")


def stack_arn(scope: Scope, name: str, stack_id: str) -> str:
    return scope.arn("cloudformation", f"stack/{name}/{stack_id}")


def stack_of_arn(text: str) -> tuple[str, str] | None:
    """(name, id) in a stack's ARN; None when the text is none."""
    arn = Arn.parse(text)
    if arn is None or arn.service != "cloudformation" or not arn.resource.startswith("stack/"):
        return None
    parts = arn.resource.split("/")
    return (parts[1], parts[2]) if len(parts) == 3 else None


def in_progress(status: str) -> bool:
    return status.endswith("_IN_PROGRESS")


def arrival(stack_id: str) -> str:
    """What is notified when an operation on the stack has ended."""
    return f"cloudformation.arrived:{stack_id}"


def run_id(operation_id: str) -> str:
    """The run that carries an operation out."""
    return f"cloudformation/{operation_id}"

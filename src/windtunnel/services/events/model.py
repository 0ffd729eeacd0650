"""EventBridge's records: buses, rules with their targets, archives with their events, replays."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from windtunnel.kernel.context import Event
from windtunnel.kernel.records import Record, RecordScope, Tx
from windtunnel.kernel.scope import Arn, Scope
from windtunnel.services.events.transform import timestamp

RuleState = Literal["ENABLED", "DISABLED"]
DEFAULT_BUS = "default"
SERVICE = "events.amazonaws.com"
_AFTER_ALL_NAMES = "~"
"""Sorts after every character of a rule's name, and is none of them."""


def rule_arn(scope: Scope, name: str, bus: str = DEFAULT_BUS) -> str:
    return scope.arn("events", f"rule/{name}" if bus == DEFAULT_BUS else f"rule/{bus}/{name}")


def bus_arn(scope: Scope, name: str = DEFAULT_BUS) -> str:
    return scope.arn("events", f"event-bus/{name}")


def rule_key(name: str, bus: str) -> str:
    """Rules of the default bus come first, under their own names; then those of each other bus."""
    return name if bus == DEFAULT_BUS else rules_of(bus) + name


def rules_of(bus: str) -> str:
    """With what the keys of a bus's rules begin."""
    return "" if bus == DEFAULT_BUS else f"{_AFTER_ALL_NAMES}{bus}/"


def how_many_rules(tx: Tx, bus: str) -> int:
    found = tx.count(Rule, prefix=rules_of(bus))
    return found - tx.count(Rule, prefix=_AFTER_ALL_NAMES) if bus == DEFAULT_BUS else found


class Generation(Record, kw_only=True):
    """A new random id with every change of a rule, bus or archive: what is compiled from them is kept under it."""

    KIND: ClassVar[str] = "events.generation"
    SCOPE: ClassVar[RecordScope] = "region"
    ONCE: ClassVar[bool] = True

    id: str

    def key(self) -> str:
        return "current"


class Bus(Record, kw_only=True):
    """A custom bus, or what was changed of the default one. policy: its resource policy as JSON text."""

    KIND: ClassVar[str] = "events.bus"
    SCOPE: ClassVar[RecordScope] = "region"
    ONCE: ClassVar[bool] = True

    name: str
    created: float = 0.0
    modified: float = 0.0
    description: str = ""
    dead_letters: str = ""
    policy: str = ""
    tags: dict[str, str] = {}

    def key(self) -> str:
        return self.name

    def described(self, scope: Scope) -> dict[str, Any]:
        """The EventBus shape."""
        shown = {
            "Name": self.name,
            "Arn": bus_arn(scope, self.name),
            "Description": self.description,
            "Policy": self.policy,
            "CreationTime": self.created,
            "LastModifiedTime": self.modified,
        }
        return {name: value for name, value in shown.items() if value}


class Rule(Record, kw_only=True):
    """A rule. targets: as PutTargets gave them, by id. schedule_run: names the one schedule that is valid; a new one ends the old."""

    KIND: ClassVar[str] = "events.rule"
    SCOPE: ClassVar[RecordScope] = "region"
    INDEXES: ClassVar = {
        "matching": lambda rule: ["yes"] if rule.pattern and rule.state == "ENABLED" else [],
        "target": lambda rule: {target["Arn"] for target in rule.targets.values()},
    }

    name: str
    bus: str = DEFAULT_BUS
    pattern: str = ""
    schedule: str = ""
    state: RuleState = "ENABLED"
    description: str = ""
    role: str = ""
    created_by: str = ""
    targets: dict[str, dict[str, Any]] = {}
    tags: dict[str, str] = {}
    schedule_run: str = ""

    def key(self) -> str:
        return rule_key(self.name, self.bus)

    def arn(self, scope: Scope) -> str:
        return rule_arn(scope, self.name, self.bus)

    def described(self, scope: Scope) -> dict[str, Any]:
        """The Rule shape."""
        shown = {
            "Name": self.name,
            "Arn": self.arn(scope),
            "EventPattern": self.pattern,
            "ScheduleExpression": self.schedule,
            "State": self.state,
            "Description": self.description,
            "RoleArn": self.role,
            "EventBusName": self.bus,
        }
        return {name: value for name, value in shown.items() if value}


class Archive(Record, kw_only=True):
    """What a bus's events are kept in. id: names its events, also after its name has gone to another archive.

    retention: days, 0 for ever. sweep: names the one run that removes what is too old.
    """

    KIND: ClassVar[str] = "events.archive"
    SCOPE: ClassVar[RecordScope] = "region"

    name: str
    id: str
    bus: str
    created: float
    pattern: str = ""
    description: str = ""
    retention: int = 0
    sweep: str = ""

    def key(self) -> str:
        return self.name

    def arn(self, scope: Scope) -> str:
        return scope.arn("events", f"archive/{self.name}")


class Tally(Record, kw_only=True):
    """How much an archive (by its id) holds: apart from it, for it changes with every event."""

    KIND: ClassVar[str] = "events.tally"
    SCOPE: ClassVar[RecordScope] = "region"

    archive: str
    count: int = 0
    size: int = 0

    def key(self) -> str:
        return self.archive


class Kept(Record, kw_only=True):
    """An archived event, in order of its own time. archive: the archive's id; size: of its JSON in bytes; at: when it was archived.

    mark: tells an event from itself, when it comes onto a bus by two ways.
    """

    KIND: ClassVar[str] = "events.kept"
    SCOPE: ClassVar[RecordScope] = "region"

    archive: str
    event: dict[str, Any]
    time: float
    size: int
    at: float
    mark: str

    def key(self) -> str:
        return f"{kept_key(self.archive, self.time)}{self.event['id']}/{self.mark}"


def kept_key(archive: str, time: float) -> str:
    """Where the events of an archive begin that happened at that time (to the millisecond; before 1970 counts as 1970)."""
    return f"{archive}/{max(0, min(int(time * 1000), 10**15 - 1)):015d}/"


ReplayState = Literal["STARTING", "RUNNING", "CANCELLING", "COMPLETED", "CANCELLED", "FAILED"]


class Replay(Record, kw_only=True):
    """A replay of an archive's events onto their bus. filters: the ARNs of the rules it is for, none for all."""

    KIND: ClassVar[str] = "events.replay"
    SCOPE: ClassVar[RecordScope] = "region"

    name: str
    archive: str
    bus: str
    since: float
    until: float
    state: ReplayState
    started: float
    description: str = ""
    reason: str = ""
    filters: list[str] = []
    last: float | None = None
    ended: float | None = None

    def key(self) -> str:
        return self.name

    def arn(self, scope: Scope) -> str:
        return scope.arn("events", f"replay/{self.name}")


def bus_of(event: Event) -> tuple[str, str, str]:
    """(account, region, name) of the bus onto which an event was put."""
    if not event.bus.startswith("arn:"):
        return event.account, event.region, event.bus
    arn = Arn.parse(event.bus)
    assert arn is not None, "only ARNs that were parsed before become an event's bus"
    return arn.account, arn.region, arn.resource.removeprefix("event-bus/")


def envelope(event: Event) -> dict[str, Any]:
    """The event as rules match it and targets get it. Times have a second's precision."""
    return {
        "version": "0",
        "id": event.id,
        "detail-type": event.detail_type,
        "source": event.source,
        "account": event.account,
        "time": timestamp(event.time),
        "region": event.region,
        "resources": list(event.resources),
        "detail": event.detail,
    }

"""EventBridge's records: rules of the default bus with their targets."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from windtunnel.kernel.context import Event
from windtunnel.kernel.records import Record, RecordScope
from windtunnel.kernel.scope import Scope
from windtunnel.services.events.transform import timestamp

RuleState = Literal["ENABLED", "DISABLED"]
DEFAULT_BUS = "default"
SERVICE = "events.amazonaws.com"


def rule_arn(scope: Scope, name: str) -> str:
    return scope.arn("events", f"rule/{name}")


def bus_arn(scope: Scope, name: str = DEFAULT_BUS) -> str:
    return scope.arn("events", f"event-bus/{name}")


class Rule(Record, kw_only=True):
    """A rule. targets: as PutTargets gave them, by id. schedule_run: names the one schedule that is valid; a new one ends the old."""

    KIND: ClassVar[str] = "events.rule"
    SCOPE: ClassVar[RecordScope] = "region"
    INDEXES: ClassVar = {
        "matching": lambda rule: ["yes"] if rule.pattern and rule.state == "ENABLED" else [],
        "target": lambda rule: {target["Arn"] for target in rule.targets.values()},
    }

    name: str
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
        return self.name

    def described(self, scope: Scope) -> dict[str, Any]:
        """The Rule shape."""
        shown = {
            "Name": self.name,
            "Arn": rule_arn(scope, self.name),
            "EventPattern": self.pattern,
            "ScheduleExpression": self.schedule,
            "State": self.state,
            "Description": self.description,
            "RoleArn": self.role,
            "EventBusName": DEFAULT_BUS,
        }
        return {name: value for name, value in shown.items() if value}


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

"""The Scheduler's records, and when a schedule is due. Pure."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from typing import Any, ClassVar, Literal, NamedTuple

from windtunnel.events.schedule import Cron, InvalidSchedule, next_in_zone, parse
from windtunnel.kernel.records import Record, RecordScope
from windtunnel.kernel.scope import Scope

SERVICE = "scheduler.amazonaws.com"
DEFAULT_GROUP = "default"
RETRIES = {"MaximumEventAgeInSeconds": 86400, "MaximumRetryAttempts": 185}
_AT = re.compile(r"at\((\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})\)\Z")


def schedule_arn(scope: Scope, group: str, name: str) -> str:
    return scope.arn("scheduler", f"schedule/{group}/{name}")


def group_arn(scope: Scope, name: str) -> str:
    return scope.arn("scheduler", f"schedule-group/{name}")


class Group(Record, kw_only=True):
    """A schedule group. The default one is there without a record."""

    KIND: ClassVar[str] = "scheduler.group"
    SCOPE: ClassVar[RecordScope] = "region"

    name: str
    created: float = 0.0
    modified: float = 0.0
    state: Literal["ACTIVE", "DELETING"] = "ACTIVE"
    tags: dict[str, str] = {}
    token: str = ""

    def key(self) -> str:
        return self.name

    def described(self, scope: Scope) -> dict[str, Any]:
        """The ScheduleGroupSummary shape."""
        shown: dict[str, Any] = {"Name": self.name, "Arn": group_arn(scope, self.name), "State": self.state}
        return {**shown, "CreationDate": self.created, "LastModificationDate": self.modified} if self.created else shown


class Schedule(Record, kw_only=True):
    """A schedule. target: as it was given. run: names the one run that is valid; a new one ends the old.

    token: the ClientToken with which it was made. start, end: epoch seconds. window: minutes, 0 for none.
    """

    KIND: ClassVar[str] = "scheduler.schedule"
    SCOPE: ClassVar[RecordScope] = "region"

    group: str
    name: str
    expression: str
    target: dict[str, Any]
    created: float
    modified: float
    zone: str = "UTC"
    start: float | None = None
    end: float | None = None
    window: int = 0
    state: Literal["ENABLED", "DISABLED"] = "ENABLED"
    after: Literal["NONE", "DELETE"] = "NONE"
    description: str = ""
    token: str = ""
    run: str = ""

    def key(self) -> str:
        return f"{self.group}/{self.name}"

    def arn(self, scope: Scope) -> str:
        return schedule_arn(scope, self.group, self.name)

    def described(self, scope: Scope) -> dict[str, Any]:
        """GetSchedule's answer."""
        window: dict[str, Any] = {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": self.window} if self.window else {"Mode": "OFF"}
        shown = {
            "Arn": self.arn(scope),
            "GroupName": self.group,
            "Name": self.name,
            "ScheduleExpression": self.expression,
            "ScheduleExpressionTimezone": self.zone,
            "StartDate": self.start,
            "EndDate": self.end,
            "Description": self.description or None,
            "State": self.state,
            "ActionAfterCompletion": self.after,
            "FlexibleTimeWindow": window,
            "Target": {**self.target, "RetryPolicy": {**RETRIES, **self.target.get("RetryPolicy", {})}},
            "CreationDate": self.created,
            "LastModificationDate": self.modified,
        }
        return {name: value for name, value in shown.items() if value is not None}


class Deletion(Record, kw_only=True):
    """That something was deleted with a ClientToken, so that asking again is success. key: `schedule/G/N` or `group/N` and the token."""

    KIND: ClassVar[str] = "scheduler.deletion"
    SCOPE: ClassVar[RecordScope] = "region"

    what: str
    at: float

    def key(self) -> str:
        return self.what


class Once(NamedTuple):
    """A time of day on a date, without its zone."""

    clock: datetime


Timing = float | Cron | Once


@lru_cache(maxsize=1024)
def timing(expression: str) -> Timing:
    """A compiled expression: the period of a rate in seconds, a cron, or one time. Raises InvalidSchedule."""
    once = _AT.match(expression)
    if once is None:
        return parse(expression, exact=False)
    try:
        return Once(datetime.fromisoformat(once[1]))
    except ValueError as error:
        raise InvalidSchedule(expression) from error


def zone_of(name: str) -> tzinfo:
    """The time zone of that name. Raises InvalidSchedule."""
    if name == "UTC":
        return UTC
    from zoneinfo import ZoneInfo  # 4 ms at the start of a cloud that may have no schedule

    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError) as error:
        raise InvalidSchedule(name) from error


def next_due(schedule: Schedule, since: float | None, missed: float) -> float | None:
    """When it is due next after it was due at `since`; since=None: for the first time. None when never again.

    A rate is due at its beginning (the start date, or when it was written) and then each period; a cron not before the start date.
    missed: what was due before that, and is not the first, is left out.
    """
    when = timing(schedule.expression)
    if isinstance(when, Once):
        return None if since is not None else when.clock.replace(tzinfo=zone_of(schedule.zone)).timestamp()
    begins = schedule.modified if schedule.start is None else max(schedule.start, schedule.modified)
    if isinstance(when, float):
        at: float | None = begins if since is None else since + when * max(1, math.ceil((missed - since) / when))
    else:
        at = next_in_zone(when, begins - 1 if since is None else max(since, missed), zone_of(schedule.zone))
    return None if at is None or (schedule.end is not None and at > schedule.end) else at

"""The Scheduler's CloudFormation types: AWS::Scheduler::Schedule and AWS::Scheduler::ScheduleGroup."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from windtunnel.kernel.context import Context
from windtunnel.kernel.errors import AwsError
from windtunnel.provision.calling import perform
from windtunnel.provision.handling import Direct, attempt, listed, tag_changes, with_stack_tags
from windtunnel.provision.registry import Created, Name, Properties, Resource, Wanted, resource_type
from windtunnel.provision.showing import some, tags_shown

MISSING = frozenset({"ResourceNotFoundException"})
_SETTINGS = ("Description", "ScheduleExpression", "ScheduleExpressionTimezone", "State", "KmsKeyArn", "Target", "FlexibleTimeWindow")
_TIMES = ("StartDate", "EndDate")


def _moment(member: str, text: Any) -> float:
    """The template's text as a point in time: with a zone, or in UTC."""
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError as error:
        raise AwsError("ValidationException", f"Invalid {member} {text}.") from error
    return moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()


def _text(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@resource_type("AWS::Scheduler::Schedule")
class ScheduleType(Direct):
    """Ref is the schedule's name; its group is a property."""

    service = "scheduler"
    calls = "CreateSchedule UpdateSchedule DeleteSchedule"
    name = Name("Name", limit=64)
    missing = MISSING

    def _write(self, ctx: Context, operation: str, name: str, props: Properties, **more: Any) -> str:
        times = {member: _moment(member, props[member]) for member in _TIMES if props.get(member)}
        settings = {member: props.get(member) for member in _SETTINGS}
        arn: str = perform(ctx, "scheduler", operation, Name=name, GroupName=props.get("GroupName"), **settings, **times, **more)[
            "ScheduleArn"
        ]
        return arn

    def create(self, ctx: Context, props: Properties, wanted: Wanted) -> Created:
        return Created(id=wanted.name, attributes={"Arn": self._write(ctx, "CreateSchedule", wanted.name, props)})

    def read(self, ctx: Context, resource: Resource) -> Properties | None:
        group = resource.properties.get("GroupName")
        found = attempt(ctx, MISSING, "scheduler", "GetSchedule", Name=resource.id, GroupName=group)
        if found is None:
            return None
        return some(found, "Name", "GroupName", "Arn", *_SETTINGS) | {name: _text(found[name]) for name in _TIMES if name in found}

    def update(self, ctx: Context, resource: Resource, new: Properties, wanted: Wanted) -> Created | None:
        """A schedule cannot change its group, but CloudFormation can: a new one there, under the same name, and the old one goes."""
        if resource.properties.get("GroupName", "default") == new.get("GroupName", "default"):
            self._write(ctx, "UpdateSchedule", resource.id, new)
            return None
        arn = self._write(ctx, "CreateSchedule", resource.id, new)
        self.delete(ctx, resource)
        return Created(id=resource.id, attributes={"Arn": arn})

    def delete(self, ctx: Context, resource: Resource) -> bool | None:
        group = resource.properties.get("GroupName")
        attempt(ctx, MISSING, "scheduler", "DeleteSchedule", Name=resource.id, GroupName=group)
        return True

    def list(self, ctx: Context) -> Iterator[str]:
        return (one["Name"] for one in listed(ctx, "scheduler", "ListSchedules", "Schedules"))


@resource_type("AWS::Scheduler::ScheduleGroup")
class ScheduleGroupType(Direct):
    service = "scheduler"
    calls = "CreateScheduleGroup GetScheduleGroup DeleteScheduleGroup TagResource UntagResource"
    name = Name("Name", limit=64)
    missing = MISSING

    def create(self, ctx: Context, props: Properties, wanted: Wanted) -> Created:
        tags = with_stack_tags(props.get("Tags"), wanted)
        perform(ctx, "scheduler", "CreateScheduleGroup", Name=wanted.name, Tags=tags or None, ClientToken=wanted.token[:64] or None)
        return Created(id=wanted.name, attributes=self._attributes(self._found(ctx, wanted.name)))

    def _found(self, ctx: Context, name: str) -> Any:
        return attempt(ctx, MISSING, "scheduler", "GetScheduleGroup", Name=name)

    def _attributes(self, found: Any) -> dict[str, Any]:
        times = {name: _text(found[name]) for name in ("CreationDate", "LastModificationDate") if name in found}
        return {"Arn": found["Arn"], "State": found["State"], **times}

    def read(self, ctx: Context, resource: Resource) -> Properties | None:
        found = self._found(ctx, resource.id)
        if found is None:
            return None
        tags = perform(ctx, "scheduler", "ListTagsForResource", ResourceArn=found["Arn"])["Tags"]
        return {"Name": resource.id} | self._attributes(found) | tags_shown(tags)

    def update(self, ctx: Context, resource: Resource, new: Properties, wanted: Wanted) -> Created | None:
        arn = ctx.arn("scheduler", f"schedule-group/{resource.id}")
        added, gone = tag_changes(resource.properties.get("Tags"), new.get("Tags"))
        if gone:
            perform(ctx, "scheduler", "UntagResource", ResourceArn=arn, TagKeys=gone)
        if added:
            perform(ctx, "scheduler", "TagResource", ResourceArn=arn, Tags=added)
        return None

    def delete(self, ctx: Context, resource: Resource) -> bool | None:
        """Its schedules go first, in a job of the Scheduler's."""
        attempt(ctx, MISSING, "scheduler", "DeleteScheduleGroup", Name=resource.id)
        return False

    def gone(self, ctx: Context, resource: Resource) -> bool:
        return self._found(ctx, resource.id) is None

    def list(self, ctx: Context) -> Iterator[str]:
        return (one["Name"] for one in listed(ctx, "scheduler", "ListScheduleGroups", "ScheduleGroups"))

"""AWS::CloudTrail::Trail: a trail, whether it logs, and what it takes of events, which CloudTrail has as three things."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from windtunnel.kernel.context import Context
from windtunnel.provision.calling import perform
from windtunnel.provision.handling import Direct, attempt, changed, listed, tag_changes, with_stack_tags
from windtunnel.provision.registry import Created, Name, Properties, Resource, Wanted, resource_type
from windtunnel.provision.showing import renamed, tags_shown

MISSING = frozenset({"TrailNotFoundException", "ResourceNotFoundException"})
_MEMBERS = {
    "S3BucketName": "S3BucketName",
    "S3KeyPrefix": "S3KeyPrefix",
    "SnsTopicName": "SnsTopicName",
    "IncludeGlobalServiceEvents": "IncludeGlobalServiceEvents",
    "IsMultiRegionTrail": "IsMultiRegionTrail",
    "IsOrganizationTrail": "IsOrganizationTrail",
    "EnableLogFileValidation": "EnableLogFileValidation",
    "CloudWatchLogsLogGroupArn": "CloudWatchLogsLogGroupArn",
    "CloudWatchLogsRoleArn": "CloudWatchLogsRoleArn",
    "KMSKeyId": "KmsKeyId",
}
_SHOWN = {
    **_MEMBERS,
    "EnableLogFileValidation": "LogFileValidationEnabled",
    "TrailName": "Name",
    "Arn": "TrailARN",
    "SnsTopicArn": "SnsTopicARN",
}
_NOTHING: dict[str, Any] = {
    "S3KeyPrefix": "",
    "SnsTopicName": "",
    "IncludeGlobalServiceEvents": True,
    "IsMultiRegionTrail": False,
    "EnableLogFileValidation": False,
    "CloudWatchLogsLogGroupArn": "",
    "CloudWatchLogsRoleArn": "",
    "KMSKeyId": "",
}
"""What UpdateTrail has to be told of what a template says no more: it keeps what is not given."""
_ALL = [{"ReadWriteType": "All", "IncludeManagementEvents": True, "DataResources": []}]
_NOT_BUILT = {"InsightSelectors": "PutInsightSelectors", "AggregationConfigurations": "PutEventConfiguration"}


def _trail(ctx: Context, operation: str, **members: Any) -> Any:
    return perform(ctx, "cloudtrail", operation, **members)


@resource_type("AWS::CloudTrail::Trail")
class TrailType(Direct):
    service = "cloudtrail"
    calls = "CreateTrail UpdateTrail DeleteTrail GetTrail StartLogging StopLogging PutEventSelectors AddTags RemoveTags"
    name = Name("TrailName", limit=128)
    missing = MISSING

    def create(self, ctx: Context, props: Properties, wanted: Wanted) -> Created:
        self._refuse(ctx, props)
        members = {member: props.get(property) for property, member in _MEMBERS.items()}
        made = _trail(ctx, "CreateTrail", Name=wanted.name, TagsList=with_stack_tags(props.get("Tags"), wanted) or None, **members)
        self._select(ctx, wanted.name, {}, props)
        if props["IsLogging"]:
            _trail(ctx, "StartLogging", Name=wanted.name)
        return Created(id=wanted.name, attributes=self._attributes(made))

    def _refuse(self, ctx: Context, props: Properties) -> None:
        for name, operation in _NOT_BUILT.items():
            if props.get(name):
                _trail(ctx, operation)

    def _select(self, ctx: Context, name: str, old: Properties, new: Properties) -> None:
        if not changed(old, new, "EventSelectors", "AdvancedEventSelectors"):
            return
        if new.get("AdvancedEventSelectors"):
            _trail(ctx, "PutEventSelectors", TrailName=name, AdvancedEventSelectors=new["AdvancedEventSelectors"])
        else:
            _trail(ctx, "PutEventSelectors", TrailName=name, EventSelectors=new.get("EventSelectors") or _ALL)

    def _attributes(self, found: dict[str, Any]) -> dict[str, Any]:
        return {"Arn": found["TrailARN"], "SnsTopicArn": found.get("SnsTopicARN", "")}

    def read(self, ctx: Context, resource: Resource) -> Properties | None:
        found = attempt(ctx, MISSING, "cloudtrail", "GetTrail", Name=resource.id)
        if found is None:
            return None
        shown = renamed(found["Trail"], _SHOWN)
        shown["IsLogging"] = _trail(ctx, "GetTrailStatus", Name=resource.id)["IsLogging"]
        if "SnsTopicName" in shown and not resource.properties.get("SnsTopicName", "").startswith(
            "arn:"
        ):  # the service keeps the ARN of either
            shown["SnsTopicName"] = shown["SnsTopicName"].rpartition(":")[2]
        selectors = _trail(ctx, "GetEventSelectors", TrailName=resource.id)
        shown |= {name: selectors[name] for name in ("EventSelectors", "AdvancedEventSelectors") if selectors.get(name)}
        [tags] = _trail(ctx, "ListTags", ResourceIdList=[shown["Arn"]])["ResourceTagList"]
        return shown | tags_shown(tags["TagsList"])

    def update(self, ctx: Context, resource: Resource, new: Properties, wanted: Wanted) -> Created | None:
        old, name = resource.properties, resource.id
        self._refuse(ctx, new)
        if changed(old, new, *_MEMBERS):
            gone = {property: value for property, value in _NOTHING.items() if property in old}
            said = {**gone, **{property: new[property] for property in _MEMBERS if property in new}}
            _trail(ctx, "UpdateTrail", Name=name, **{_MEMBERS[property]: value for property, value in said.items()})
        self._select(ctx, name, old, new)
        if changed(old, new, "IsLogging"):
            _trail(ctx, "StartLogging" if new["IsLogging"] else "StopLogging", Name=name)
        attributes = self._attributes(_trail(ctx, "GetTrail", Name=name)["Trail"])
        added, gone_tags = tag_changes(old.get("Tags"), new.get("Tags"))
        if gone_tags:
            _trail(ctx, "RemoveTags", ResourceId=attributes["Arn"], TagsList=[{"Key": key} for key in gone_tags])
        if added:
            _trail(ctx, "AddTags", ResourceId=attributes["Arn"], TagsList=added)
        return Created(id=name, attributes=attributes)

    def delete(self, ctx: Context, resource: Resource) -> bool | None:
        attempt(ctx, MISSING, "cloudtrail", "DeleteTrail", Name=resource.id)
        return True

    def list(self, ctx: Context) -> Iterator[str]:
        return (one["Name"] for one in listed(ctx, "cloudtrail", "ListTrails", "Trails") if one["HomeRegion"] == ctx.scope.region)

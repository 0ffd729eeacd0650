"""AWS::Logs::SubscriptionFilter."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from windtunnel.kernel.context import Context
from windtunnel.provision.handling import Direct, already_exists
from windtunnel.provision.registry import Created, Name, Properties, Resource, Wanted, resource_type
from windtunnel.services.logs.resources.shared import MISSING, every, gently, logs, place

_MEMBERS = {
    "FilterPattern": "filterPattern",
    "DestinationArn": "destinationArn",
    "RoleArn": "roleArn",
    "Distribution": "distribution",
    "ApplyOnTransformedLogs": "applyOnTransformedLogs",
    "FieldSelectionCriteria": "fieldSelectionCriteria",
    "EmitSystemFields": "emitSystemFields",
}


@resource_type("AWS::Logs::SubscriptionFilter")
class SubscriptionFilterType(Direct):
    """Ref is the filter's name; Cloud Control calls it `FILTER|GROUP`."""

    service = "logs"
    calls = "PutSubscriptionFilter DescribeSubscriptionFilters DeleteSubscriptionFilter"
    name = Name("FilterName", limit=512)
    missing = MISSING

    def _put(self, ctx: Context, group: str, name: str, props: Properties) -> None:
        members = {member: props.get(property) for property, member in _MEMBERS.items()}
        logs(ctx, "PutSubscriptionFilter", logGroupName=group, filterName=name, **members)

    def _found(self, ctx: Context, group: str, name: str) -> Any:
        reply = gently(ctx, "DescribeSubscriptionFilters", logGroupName=group, filterNamePrefix=name)
        return next((one for one in reply["subscriptionFilters"] if one["filterName"] == name), None) if reply else None

    def create(self, ctx: Context, props: Properties, wanted: Wanted) -> Created:
        group = props["LogGroupName"]
        if self._found(ctx, group, wanted.name) is not None:
            raise already_exists(self.type, f"{wanted.name}|{group}")
        self._put(ctx, group, wanted.name, props)
        return Created(id=wanted.name)

    def _place(self, resource: Resource) -> tuple[str, str]:
        name, group = place(resource, "FilterName", "LogGroupName")
        return group, name

    def read(self, ctx: Context, resource: Resource) -> Properties | None:
        group, name = self._place(resource)
        found = self._found(ctx, group, name)
        if found is None:
            return None
        return {"LogGroupName": group, "FilterName": name} | {
            property: found[member] for property, member in _MEMBERS.items() if member in found
        }

    def update(self, ctx: Context, resource: Resource, new: Properties, wanted: Wanted) -> Created | None:
        group, name = self._place(resource)
        self._put(ctx, group, name, new)
        return None

    def delete(self, ctx: Context, resource: Resource) -> bool | None:
        group, name = self._place(resource)
        gently(ctx, "DeleteSubscriptionFilter", logGroupName=group, filterName=name)
        return True

    def list(self, ctx: Context) -> Iterator[str]:
        for group in every(ctx, "DescribeLogGroups", "logGroups"):
            name = group["logGroupName"]
            for one in every(ctx, "DescribeSubscriptionFilters", "subscriptionFilters", logGroupName=name):
                yield f"{one['filterName']}|{name}"

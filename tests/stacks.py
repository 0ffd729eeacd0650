"""Stacks as a client sees them, and a resource type whose life the test decides."""

from __future__ import annotations

import json
from typing import Any

from clients import Door
from harness import until
from windtunnel.kernel.context import Context
from windtunnel.provision.registry import Created, Failed, Properties, Resource, ResourceType, Wanted

Template = dict[str, Any]


class Stacks:
    """A client of CloudFormation that waits as `aws cloudformation wait` does, without its thirty seconds."""

    def __init__(self, door: Door, **client: Any) -> None:
        self.api = door.client("cloudformation", **client)

    def create(self, name: str, template: Template | str, **options: Any) -> str:
        """The status at which it arrived."""
        body = template if isinstance(template, str) else json.dumps(template)
        self.api.create_stack(StackName=name, TemplateBody=body, **options)
        return self.arrived(name)

    def update(self, name: str, template: Template | str, **options: Any) -> str:
        body = template if isinstance(template, str) else json.dumps(template)
        self.api.update_stack(StackName=name, TemplateBody=body, **options)
        return self.arrived(name)

    def delete(self, name: str, **options: Any) -> str:
        arn = self.describe(name)["StackId"]
        self.api.delete_stack(StackName=name, **options)
        return self.arrived(arn)

    def describe(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.api.describe_stacks(StackName=name)["Stacks"][0]
        return found

    def arrived(self, name: str, seconds: float = 30.0) -> str:
        return until(lambda: self._final(name), seconds, f"stack {name} to arrive")

    def _final(self, name: str) -> str:
        status: str = self.describe(name)["StackStatus"]
        return "" if status.endswith("_IN_PROGRESS") else status

    def reached(self, name: str, logical: str, status: str) -> None:
        until(lambda: self.resource(name, logical).get("ResourceStatus") == status, 30.0, f"{logical} to be {status}")

    def resource(self, name: str, logical: str) -> dict[str, Any]:
        found: list[dict[str, Any]] = self.api.describe_stack_resources(StackName=name)["StackResources"]
        return next((resource for resource in found if resource["LogicalResourceId"] == logical), {})

    def physical(self, name: str, logical: str) -> str:
        return str(self.resource(name, logical)["PhysicalResourceId"])

    def events(self, name: str) -> list[tuple[str, str, str]]:
        """(logical id, status, reason) from the oldest on."""
        found: list[dict[str, Any]] = []
        for page in self.api.get_paginator("describe_stack_events").paginate(StackName=name):
            found.extend(page["StackEvents"])
        return [(e["LogicalResourceId"], e["ResourceStatus"], e.get("ResourceStatusReason", "")) for e in reversed(found)]

    def statuses(self, name: str, since: int = 0) -> list[str]:
        """`LOGICAL STATUS` from the oldest on."""
        return [f"{logical} {status}" for logical, status, _ in self.events(name)[since:]]


class Scripted(ResourceType):
    """Does as its properties say. exists: physical id -> properties, of all that are there.

    Fail: the calls that fail (`create`, `update`, `delete`); Slow: the calls that take until `let` names the logical id.
    """

    def __init__(self) -> None:
        self.exists: dict[str, Properties] = {}
        self.let: set[str] = set()
        self.calls: list[str] = []
        self._count = 0

    def _tell(self, call: str, logical: str, props: Properties) -> None:
        self.calls.append(f"{call} {logical}")
        if call in props.get("Fail", ()):
            raise Failed(f"{logical} was told to fail", "InvalidRequest")

    def create(self, ctx: Context, props: Properties, wanted: Wanted) -> Created:
        self._tell("create", wanted.logical_id, props)
        self._count += 1
        made = f"{wanted.logical_id.lower()}-{self._count}"
        self.exists[made] = props
        return Created(id=made, attributes={"Name": made}, ready="create" not in props.get("Slow", ()))

    def settled(self, ctx: Context, resource: Resource) -> bool | Created:
        if "settle" in resource.properties.get("Fail", ()):
            raise Failed(f"{resource.logical_id} did not settle", "NotStabilized")
        return resource.logical_id in self.let

    def read(self, ctx: Context, resource: Resource) -> Properties | None:
        return self.exists.get(resource.id)

    def update(self, ctx: Context, resource: Resource, new: Properties, wanted: Wanted) -> Created | None:
        self._tell("update", resource.logical_id, new)
        self.exists[resource.id] = new
        return Created(id=resource.id, attributes=resource.attributes, ready="update" not in new.get("Slow", ()))

    def replaces(self, old: Properties, new: Properties, changed: frozenset[str]) -> bool:
        return "Replace" in changed

    def delete(self, ctx: Context, resource: Resource) -> bool | None:
        self._tell("delete", resource.logical_id, self.exists.get(resource.id, {}))
        if "delete" in resource.properties.get("Slow", ()):
            return False
        self.exists.pop(resource.id, None)
        return True

    def gone(self, ctx: Context, resource: Resource) -> bool:
        if resource.logical_id not in self.let:
            return False
        self.exists.pop(resource.id, None)
        return True


def thing(*needs: str, **properties: Any) -> dict[str, Any]:
    """A scripted resource of a template."""
    made: dict[str, Any] = {"Type": "Custom::Thing", "Properties": {"ServiceToken": "none", **properties}}
    if needs:
        made["DependsOn"] = list(needs)
    return made


def template(**resources: Any) -> Template:
    return {"Resources": resources}

"""AWS::Logs::ResourcePolicy and AWS::Logs::QueryDefinition: texts that an account keeps."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from windtunnel.kernel.context import Context
from windtunnel.provision.handling import Direct, already_exists
from windtunnel.provision.registry import Created, Properties, Resource, Wanted, resource_type
from windtunnel.services.logs.resources.shared import MISSING, every, gently, logs

_QUERY = {
    "Name": "name",
    "QueryString": "queryString",
    "LogGroupNames": "logGroupNames",
    "QueryLanguage": "queryLanguage",
    "Parameters": "parameters",
}


@resource_type("AWS::Logs::ResourcePolicy")
class ResourcePolicyType(Direct):
    service = "logs"
    calls = "PutResourcePolicy DescribeResourcePolicies DeleteResourcePolicy"
    missing = MISSING

    def _found(self, ctx: Context, name: str) -> Any:
        return next((one for one in every(ctx, "DescribeResourcePolicies", "resourcePolicies") if one["policyName"] == name), None)

    def _put(self, ctx: Context, name: str, props: Properties) -> None:
        document = props["PolicyDocument"]
        logs(ctx, "PutResourcePolicy", policyName=name, policyDocument=document if isinstance(document, str) else json.dumps(document))

    def create(self, ctx: Context, props: Properties, wanted: Wanted) -> Created:
        name = props["PolicyName"]
        if self._found(ctx, name) is not None:
            raise already_exists(self.type, name)
        self._put(ctx, name, props)
        return Created(id=name)

    def read(self, ctx: Context, resource: Resource) -> Properties | None:
        found = self._found(ctx, resource.id)
        return None if found is None else {"PolicyName": resource.id, "PolicyDocument": found["policyDocument"]}

    def update(self, ctx: Context, resource: Resource, new: Properties, wanted: Wanted) -> Created | None:
        self._put(ctx, resource.id, new)
        return None

    def delete(self, ctx: Context, resource: Resource) -> bool | None:
        gently(ctx, "DeleteResourcePolicy", policyName=resource.id)
        return True

    def list(self, ctx: Context) -> Iterator[str]:
        return (one["policyName"] for one in every(ctx, "DescribeResourcePolicies", "resourcePolicies"))


@resource_type("AWS::Logs::QueryDefinition")
class QueryDefinitionType(Direct):
    service = "logs"
    calls = "PutQueryDefinition DeleteQueryDefinition"
    missing = MISSING

    def _put(self, ctx: Context, props: Properties, identity: str | None) -> str:
        members = {member: props.get(property) for property, member in _QUERY.items()}
        made: str = logs(ctx, "PutQueryDefinition", queryDefinitionId=identity, **members)["queryDefinitionId"]
        return made

    def create(self, ctx: Context, props: Properties, wanted: Wanted) -> Created:
        made = self._put(ctx, props, None)
        return Created(id=made, attributes={"QueryDefinitionId": made})

    def _all(self, ctx: Context) -> Iterator[dict[str, Any]]:
        return every(ctx, "DescribeQueryDefinitions", "queryDefinitions")

    def read(self, ctx: Context, resource: Resource) -> Properties | None:
        found = next((one for one in self._all(ctx) if one["queryDefinitionId"] == resource.id), None)
        if found is None:
            return None
        return {"QueryDefinitionId": resource.id} | {property: found[member] for property, member in _QUERY.items() if member in found}

    def update(self, ctx: Context, resource: Resource, new: Properties, wanted: Wanted) -> Created | None:
        self._put(ctx, new, resource.id)
        return None

    def delete(self, ctx: Context, resource: Resource) -> bool | None:
        gently(ctx, "DeleteQueryDefinition", queryDefinitionId=resource.id)
        return True

    def list(self, ctx: Context) -> Iterator[str]:
        return (one["queryDefinitionId"] for one in self._all(ctx))

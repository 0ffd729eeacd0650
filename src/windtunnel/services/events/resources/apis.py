"""AWS::Events::Connection and AWS::Events::ApiDestination."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from windtunnel.kernel.context import Context
from windtunnel.provision.handling import Direct
from windtunnel.provision.registry import Created, Name, Properties, Resource, Wanted, resource_type
from windtunnel.provision.showing import some
from windtunnel.services.events.resources.shared import MISSING, events, every, found

_CONNECTION = ("Description", "AuthorizationType", "AuthParameters", "InvocationConnectivityParameters", "KmsKeyIdentifier")
_DESTINATION = ("Description", "ConnectionArn", "InvocationEndpoint", "HttpMethod", "InvocationRateLimitPerSecond")
_RATE = 300


def _without_id(arn: str) -> str:
    """`ArnForPolicy`: the ARN without the id that EventBridge draws."""
    return arn.rsplit("/", 1)[0]


@resource_type("AWS::Events::Connection")
class ConnectionType(Direct):
    """AuthParameters hold secrets, which EventBridge keeps and does not show: they are written only."""

    service = "events"
    calls = "CreateConnection UpdateConnection DeleteConnection DescribeConnection"
    name = Name("Name", limit=64)
    missing = MISSING

    def create(self, ctx: Context, props: Properties, wanted: Wanted) -> Created:
        events(ctx, "CreateConnection", Name=wanted.name, **{member: props.get(member) for member in _CONNECTION})
        return Created(id=wanted.name, attributes=self._attributes(ctx, wanted.name))

    def _attributes(self, ctx: Context, name: str) -> dict[str, Any]:
        made = events(ctx, "DescribeConnection", Name=name)
        return {"Arn": made["ConnectionArn"], "ArnForPolicy": _without_id(made["ConnectionArn"]), "SecretArn": made.get("SecretArn", "")}

    def read(self, ctx: Context, resource: Resource) -> Properties | None:
        connection = found(ctx, "DescribeConnection", Name=resource.id)
        if connection is None:
            return None
        shown = some(connection, "Name", "Description", "AuthorizationType", "SecretArn")
        return shown | {"Arn": connection["ConnectionArn"], "ArnForPolicy": _without_id(connection["ConnectionArn"])}

    def update(self, ctx: Context, resource: Resource, new: Properties, wanted: Wanted) -> Created | None:
        """UpdateConnection keeps what is not given."""
        said = {member: new.get(member) for member in _CONNECTION}
        if "Description" in resource.properties and "Description" not in new:
            said["Description"] = ""
        events(ctx, "UpdateConnection", Name=resource.id, **said)
        return Created(id=resource.id, attributes=self._attributes(ctx, resource.id))

    def delete(self, ctx: Context, resource: Resource) -> bool | None:
        found(ctx, "DeleteConnection", Name=resource.id)
        return True

    def list(self, ctx: Context) -> Iterator[str]:
        return (one["Name"] for one in every(ctx, "ListConnections", "Connections"))


@resource_type("AWS::Events::ApiDestination")
class ApiDestinationType(Direct):
    service = "events"
    calls = "CreateApiDestination UpdateApiDestination DeleteApiDestination"
    name = Name("Name", limit=64)
    missing = MISSING

    def create(self, ctx: Context, props: Properties, wanted: Wanted) -> Created:
        made = events(ctx, "CreateApiDestination", Name=wanted.name, **{member: props.get(member) for member in _DESTINATION})
        arn = made["ApiDestinationArn"]
        return Created(id=wanted.name, attributes={"Arn": arn, "ArnForPolicy": _without_id(arn)})

    def read(self, ctx: Context, resource: Resource) -> Properties | None:
        destination = found(ctx, "DescribeApiDestination", Name=resource.id)
        if destination is None:
            return None
        arn = destination["ApiDestinationArn"]
        return some(destination, "Name", *_DESTINATION) | {"Arn": arn, "ArnForPolicy": _without_id(arn)}

    def update(self, ctx: Context, resource: Resource, new: Properties, wanted: Wanted) -> Created | None:
        """UpdateApiDestination keeps what is not given."""
        said = {"Description": "", "InvocationRateLimitPerSecond": _RATE} | {name: new[name] for name in _DESTINATION if name in new}
        events(ctx, "UpdateApiDestination", Name=resource.id, **said)
        return None

    def delete(self, ctx: Context, resource: Resource) -> bool | None:
        found(ctx, "DeleteApiDestination", Name=resource.id)
        return True

    def list(self, ctx: Context) -> Iterator[str]:
        return (one["Name"] for one in every(ctx, "ListApiDestinations", "ApiDestinations"))

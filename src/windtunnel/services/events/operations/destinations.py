"""API destinations: HTTP endpoints that rules may have for targets."""

from __future__ import annotations

from typing import Any

import msgspec

from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import reads, writes
from windtunnel.services.events.apis import Destination, Slot, connection_of
from windtunnel.services.events.lookups import invalid, on_everything, page

MAX_DESTINATIONS = 3000
WRITTEN = "Name ConnectionArn InvocationEndpoint HttpMethod InvocationRateLimitPerSecond"
DEFAULT_RATE = 300


def on_destination(action: str) -> Any:
    def authorize(ctx: Context, name: str, **_: Any) -> list[Need]:
        found = ctx.tx.get(Destination, name)
        return [Need(f"events:{action}", found.arn(ctx.scope) if found is not None else ctx.arn("events", f"api-destination/{name}"))]

    return authorize


def the_destination(ctx: Context, name: str) -> Destination:
    found = ctx.tx.get(Destination, name)
    if found is None:
        raise AwsError(
            "ResourceNotFoundException", f"Failed to describe the api-destination(s). An api-destination '{name}' does not exist."
        )
    return found


def _check(ctx: Context, connection: str, endpoint: str) -> None:
    if connection_of(ctx, connection) is None:
        raise AwsError("ResourceNotFoundException", f"Connection '{connection}' does not exist.")
    if not endpoint.startswith(("https://", "http://")):
        raise invalid("Parameter InvocationEndpoint is not valid. Reason: it must be an HTTPS endpoint.")


def _state(ctx: Context, destination: Destination) -> str:
    connection = connection_of(ctx, destination.connection)
    return "ACTIVE" if connection is not None and connection.secret else "INACTIVE"


def _answer(ctx: Context, destination: Destination) -> Reply:
    return {
        "ApiDestinationArn": destination.arn(ctx.scope),
        "ApiDestinationState": _state(ctx, destination),
        "CreationTime": destination.created,
        "LastModifiedTime": destination.modified,
    }


def _shown(ctx: Context, destination: Destination) -> dict[str, Any]:
    """The ApiDestination shape."""
    return {
        **_answer(ctx, destination),
        "Name": destination.name,
        "ConnectionArn": destination.connection,
        "InvocationEndpoint": destination.endpoint,
        "HttpMethod": destination.method,
        "InvocationRateLimitPerSecond": destination.rate,
    }


@writes("events", "CreateApiDestination", authorize=on_destination("CreateApiDestination"), acts=WRITTEN, descriptive="Description")
def create_api_destination(
    ctx: Context,
    name: str,
    connection_arn: str,
    invocation_endpoint: str,
    http_method: str,
    invocation_rate_limit_per_second: int = DEFAULT_RATE,
    description: str = "",
) -> Reply:
    if ctx.tx.get(Destination, name) is not None:
        raise AwsError("ResourceAlreadyExistsException", f"An api-destination '{name}' already exists.")
    _check(ctx, connection_arn, invocation_endpoint)
    if ctx.tx.count(Destination) >= MAX_DESTINATIONS:
        raise AwsError("LimitExceededException", "The requested resource exceeds the maximum number allowed.")
    destination = Destination(
        name=name,
        id=ctx.ids.uuid(),
        connection=connection_arn,
        endpoint=invocation_endpoint,
        method=http_method,
        created=ctx.now,
        modified=ctx.now,
        rate=invocation_rate_limit_per_second,
        description=description,
    )
    ctx.tx.put(destination)
    return _answer(ctx, destination)


@writes("events", "UpdateApiDestination", authorize=on_destination("UpdateApiDestination"), acts=WRITTEN, descriptive="Description")
def update_api_destination(
    ctx: Context,
    name: str,
    connection_arn: str | None = None,
    invocation_endpoint: str | None = None,
    http_method: str | None = None,
    invocation_rate_limit_per_second: int | None = None,
    description: str | None = None,
) -> Reply:
    """What is not given stays."""
    old = the_destination(ctx, name)
    if connection_arn is not None or invocation_endpoint is not None:
        _check(ctx, connection_arn or old.connection, invocation_endpoint or old.endpoint)
    destination = msgspec.structs.replace(
        old,
        connection=connection_arn or old.connection,
        endpoint=invocation_endpoint or old.endpoint,
        method=http_method or old.method,
        rate=invocation_rate_limit_per_second or old.rate,
        description=old.description if description is None else description,
        modified=ctx.now,
    )
    ctx.tx.put(destination)
    return _answer(ctx, destination)


@writes("events", "DeleteApiDestination", authorize=on_destination("DeleteApiDestination"), acts="Name")
def delete_api_destination(ctx: Context, name: str) -> Reply:
    destination = the_destination(ctx, name)
    ctx.tx.delete(Destination, name)
    ctx.tx.delete(Slot, destination.id)
    return {}


@reads("events", "DescribeApiDestination", authorize=on_destination("DescribeApiDestination"), acts="Name")
def describe_api_destination(ctx: Context, name: str) -> Reply:
    destination = the_destination(ctx, name)
    return {**_shown(ctx, destination), **({"Description": destination.description} if destination.description else {})}


@reads(
    "events",
    "ListApiDestinations",
    authorize=on_everything("ListApiDestinations"),
    acts="NamePrefix ConnectionArn NextToken Limit",
    cost="scan",
)
def list_api_destinations(
    ctx: Context, name_prefix: str = "", connection_arn: str = "", next_token: str | None = None, limit: int = 100
) -> Reply:
    found = [one for one in ctx.tx.scan(Destination, prefix=name_prefix, after=next_token) if connection_arn in ("", one.connection)]
    return page(found, limit, "ApiDestinations", lambda one: _shown(ctx, one), Destination.key)

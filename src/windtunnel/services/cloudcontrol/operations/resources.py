"""Resources as they are now: one, or all of a type. Whoever made them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

import msgspec

from windtunnel.kernel.context import Context, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import reads
from windtunnel.provision.identity import find, identifier, look, parts_of
from windtunnel.provision.registry import Failed, Properties, Resource, ResourceType
from windtunnel.provision.schemas import TypeSchema
from windtunnel.services.cloudcontrol.acting import actor, as_exception, may, not_found, the_type, visible
from windtunnel.services.cloudcontrol.model import invalid, parse_state

PAGE = 100


@reads("cloudcontrol", "GetResource", authorize=may("GetResource"), acts="TypeName Identifier RoleArn", cost="scan")
def get_resource(ctx: Context, type_name: str, identifier: str, role_arn: str = "") -> Reply:
    handler, schema = the_type(type_name, "read")
    who = actor(ctx, ctx.principal, role_arn)
    try:
        found = find(who, handler, schema, identifier)
        if found is None:
            raise not_found(type_name, identifier)
    except (AwsError, Failed) as error:
        raise as_exception(ctx, type_name, error) from error
    return {"TypeName": type_name, "ResourceDescription": _description(schema, *found, whole=True)}


@reads(
    "cloudcontrol", "ListResources", authorize=may("ListResources"), acts="TypeName RoleArn NextToken MaxResults ResourceModel", cost="scan"
)
def list_resources(
    ctx: Context,
    type_name: str,
    role_arn: str = "",
    next_token: str | None = None,
    max_results: int = PAGE,
    resource_model: str | None = None,
) -> Reply:
    """Each with the properties of its identifier. ResourceModel: only those that have these properties."""
    handler, schema = the_type(type_name, "list")
    model = parse_state(resource_model) if resource_model else {}
    if next_token is not None and not next_token.isdigit():
        raise invalid("Invalid next token")
    start = int(next_token or 0)
    who = actor(ctx, ctx.principal, role_arn)
    try:
        found = list(islice(_found(who, handler, schema, model), start, start + max_results + 1))
    except (AwsError, Failed) as error:
        raise as_exception(ctx, type_name, error) from error
    shown = [_description(schema, resource, told, whole=False) for resource, told in found[:max_results]]
    reply: Reply = {"TypeName": type_name, "ResourceDescriptions": shown}
    return {**reply, "NextToken": str(start + max_results)} if len(found) > max_results else reply


def _found(ctx: Context, handler: ResourceType, schema: TypeSchema, model: Properties) -> Iterator[tuple[Resource, Properties]]:
    """What there is. A type that is identified by its physical id is only read when the model wants to know more."""
    for id in handler.list(ctx):
        found = look(ctx, handler, schema, id, {})
        if found is not None and all(found[1].get(name) == value for name, value in model.items()):
            yield found


def _description(schema: TypeSchema, resource: Resource, told: Properties, *, whole: bool) -> dict[str, Any]:
    shown = visible(schema, told) if whole else msgspec.json.encode(parts_of(schema, resource, told)).decode()
    return {"Identifier": identifier(schema, resource, told), "Properties": shown}

"""How a resource is known outside of its stack: by its type's primary identifier (Cloud Control, imports), which is often its physical id but not always.

Invariant: the identifier of a resource that was found by an identifier is that identifier again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from windtunnel.kernel.context import Context
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.typed import from_json
from windtunnel.provision.registry import Failed, Properties, Resource, ResourceType
from windtunnel.provision.schemas import TypeSchema

_BY_WORD = (
    ("AlreadyExist", "AlreadyExists"),
    ("AlreadyOwned", "AlreadyExists"),
    ("NameExists", "AlreadyExists"),
    ("Duplicate", "AlreadyExists"),
    ("NoSuch", "NotFound"),
    ("NotFound", "NotFound"),
    ("NonExistent", "NotFound"),
    ("DoesNotExist", "NotFound"),
    ("AccessDenied", "AccessDenied"),
    ("Unauthorized", "AccessDenied"),
    ("AuthorizationError", "AccessDenied"),
    ("Throttl", "Throttling"),
    ("Limit", "ServiceLimitExceeded"),
    ("Quota", "ServiceLimitExceeded"),
    ("NotEmpty", "GeneralServiceException"),
    ("Conflict", "ResourceConflict"),
    ("InUse", "ResourceConflict"),
    ("NotUpdatable", "NotUpdatable"),
    ("NotImplemented", "GeneralServiceException"),
    ("Internal", "ServiceInternalError"),
    ("ServiceUnavailable", "ServiceInternalError"),
)


def handler_code(error: AwsError | Failed) -> str:
    """The HandlerErrorCode for what a service, or a handler, said."""
    if isinstance(error, Failed):
        return error.code or "GeneralServiceException"
    return next((name for word, name in _BY_WORD if word in error.code), "InvalidRequest")


def identifier(schema: TypeSchema, resource: Resource, told: Mapping[str, Any]) -> str:
    """The primary identifier: its properties' values in the schema's order, `|` between them."""
    return "|".join(parts_of(schema, resource, told).values())


def parts_of(schema: TypeSchema, resource: Resource, told: Mapping[str, Any]) -> dict[str, str]:
    """Property -> value of the primary identifier. told: the properties that `read` gave. What nobody tells is taken from the physical id."""
    values = {name: _value(name, told, resource) for name in schema.identifier}
    lacking = [name for name, value in values.items() if value is None]
    own = resource.id.split("|") if len(schema.identifier) > 1 else [resource.id]
    if lacking and len(own) == len(schema.identifier):
        values = {name: own[at] if value is None else value for at, (name, value) in enumerate(values.items())}
    return {name: str(resource.id if value is None else value) for name, value in values.items()}


def _value(name: str, told: Mapping[str, Any], resource: Resource) -> Any:
    for source in (told, resource.attributes, resource.properties):
        value: Any = source
        for step in name.split("/"):
            value = value.get(step) if isinstance(value, Mapping) else None
        if value is None:
            value = source.get(name.replace("/", "."))
        if isinstance(value, str | int):
            return value
    return None


def parse(schema: TypeSchema, text: str) -> dict[str, str] | None:
    """A primary identifier as a client gives it: the values with `|` between them, or a JSON object. None: it is none of this type."""
    names = schema.identifier
    if text[:1] == "{":
        try:
            given = from_json(text, dict[str, str])
        except msgspec.DecodeError:
            return None
        plain = {name.removeprefix("/properties/"): value for name, value in given.items()}
        return {name: plain[name] for name in names} if set(plain) == set(names) else None
    values = text.split("|") if len(names) > 1 else [text]
    return dict(zip(names, values, strict=True)) if len(values) == len(names) else None


def find(ctx: Context, handler: ResourceType, schema: TypeSchema, text: str) -> tuple[Resource, Properties] | None:
    """The resource that an identifier names, with what `read` tells of it; None when there is none.

    Most types' identifiers are their physical ids; for the others every resource of the type is looked at.
    """
    wanted = parse(schema, text)
    if wanted is None:
        return None
    found = look(ctx, handler, schema, "|".join(wanted.values()), dict(wanted))
    if found is not None and parts_of(schema, *found) == wanted:
        return found
    if type(handler).list is ResourceType.list:
        return None
    for id in handler.list(ctx):
        found = look(ctx, handler, schema, id, {})
        if found is not None and parts_of(schema, *found) == wanted:
            return found
    return None


def look(ctx: Context, handler: ResourceType, schema: TypeSchema, id: str, known: dict[str, str]) -> tuple[Resource, Properties] | None:
    """A resource by its physical id. known: the properties that its identifier tells already."""
    resource = Resource(type=schema.name, logical_id="", id=id, properties=dict(known), attributes=dict(known))
    try:
        told = handler.read(ctx, resource)
    except AwsError as error:
        if error.code in handler.missing or handler_code(error) in ("NotFound", "InvalidRequest"):
            return None
        raise
    if told is None:
        return None
    read_only = {path[1:] for path in schema.read_only}
    resource.properties = {name: value for name, value in told.items() if name not in read_only}
    resource.attributes = {name: value for name, value in told.items() if name in read_only}
    return resource, told

"""Calling a type's handler: as whom, with which properties, and what its errors mean."""

from __future__ import annotations

from typing import Any, NamedTuple

from windtunnel.kernel.context import Context
from windtunnel.provision import checking, registry, schemas
from windtunnel.provision.names import physical_name
from windtunnel.provision.registry import Failed, Resource, ResourceType, Wanted
from windtunnel.services.cloudformation import happening
from windtunnel.services.cloudformation.executing.live import Live
from windtunnel.services.cloudformation.executing.lookups import dynamic_value
from windtunnel.services.cloudformation.language.dynamic import replace
from windtunnel.services.cloudformation.language.errors import TemplateError
from windtunnel.services.cloudformation.language.resolve import resolve
from windtunnel.services.cloudformation.model import Operation, StackResource, State

SERVICE = "cloudformation.amazonaws.com"


def acting(ctx: Context, operation: Operation, stack_arn: str) -> Context:
    """As the stack's role, or as whoever asked for the operation: what they may not do, the stack may not either."""
    if operation.role_arn:
        who = ctx.assuming(operation.role_arn, "AWSCloudFormation", SERVICE, stack_arn)
    else:
        who = ctx.acting(operation.principal)
    return who.on_behalf("cloudformation")


def handler_of(type_name: str) -> ResourceType:
    """Raises Failed when Windtunnel does not run the type."""
    name = "AWS::CloudFormation::CustomResource" if type_name.startswith("Custom::") else type_name
    found = registry.handler(name)
    if found is None:
        raise Failed(f"Windtunnel does not run the resource type {type_name} yet; nothing was made.", "UnsupportedOperation")
    return found


def as_resource(live: Live, resource: StackResource, state: State) -> Resource:
    return Resource(
        type=resource.type,
        logical_id=resource.logical,
        id=state.physical,
        properties=state.properties,
        attributes=state.attributes,
        stack_id=live.arn,
        stack_name=live.stack.name,
    )


def referred(resource: StackResource) -> Any:
    """What Ref of a resource gives."""
    state = resource.now
    assert state is not None
    if "Ref" in state.attributes:
        return state.attributes["Ref"]
    return state.physical


def attribute(resource: StackResource, name: str) -> Any:
    """What Fn::GetAtt gives. Raises TemplateError for one that the type does not have."""
    state = resource.now
    assert state is not None
    if name in state.attributes:
        return state.attributes[name]
    value: Any = state.properties
    for step in name.split("."):
        if not isinstance(value, dict) or step not in value:
            raise TemplateError(f"Template error: resource {resource.logical} does not support attribute type {name} in Fn::GetAtt")
        value = value[step]
    return value


def wanted(
    live: Live, resource: StackResource, handler: ResourceType, props: dict[str, Any], token: str, random: str, metadata: Any
) -> Wanted:
    name = ""
    if handler.name is not None:
        name = props.get(handler.name.property) or physical_name(handler.name, live.stack.name, resource.logical, random)
    tags = {
        "aws:cloudformation:stack-name": live.stack.name,
        "aws:cloudformation:logical-id": resource.logical,
        "aws:cloudformation:stack-id": live.arn,
    }
    return Wanted(
        logical_id=resource.logical,
        type=resource.type,
        stack_name=live.stack.name,
        stack_id=live.arn,
        name=name,
        token=token,
        tags=tags,
        metadata=metadata or {},
    )


class Stated(NamedTuple):
    """A resource as its template states it now. stored: what is remembered and compared, dynamic references left as text; given: what the
    handler gets. shown: JSON text of what events show, NoEcho values as stars."""

    stored: dict[str, Any]
    given: dict[str, Any]
    metadata: dict[str, Any]
    shown: str


def stated(ctx: Context, actor: Context, live: Live, logical: str) -> Stated:
    """Functions resolved, dynamic references looked up as the operation's principal, stack tags merged in, checked by the type's schema.

    Raises TemplateError, Failed, AwsError.
    """
    spec = live.spec(logical)
    type_name, written = spec["Type"], spec.get("Properties") or {}
    seen: list[str] = []

    def note(text: str) -> str:
        seen.append(text)
        return text

    scope = live.scope(ctx, dynamic=note)
    stored = merged(type_name, resolve(written, scope), live.stack.tags)
    metadata = resolve(spec["Metadata"], scope) if spec.get("Metadata") else {}
    template = live.template
    if template is not None and template.hidden:
        shown = happening.shown(resolve(written, live.scope(ctx, hidden=True)))
    else:
        shown = happening.shown(stored)
    if not seen:
        given = checked(type_name, logical, stored)
        return Stated(given, given, metadata, shown)
    looked_up = resolve(written, live.scope(ctx, dynamic=lambda text: replace(text, lambda reference: dynamic_value(actor, reference))))
    return Stated(stored, checked(type_name, logical, merged(type_name, looked_up, live.stack.tags)), metadata, shown)


def checked(type_name: str, logical: str, properties: dict[str, Any]) -> dict[str, Any]:
    """Coerced as the schema wants it. Raises Failed in AWS's words."""
    schema = schemas.schema(type_name)
    if schema is None:
        return properties
    coerced, problems = checking.check(schema, properties)
    if problems:
        raise Failed(checking.failure(schema, logical, problems), "")
    return coerced


def merged(type_name: str, properties: dict[str, Any], tags: dict[str, str]) -> dict[str, Any]:
    """The stack's tags go to every resource that can have tags; its own win."""
    schema = schemas.schema(type_name) if tags else None
    if schema is None or not schema.tag_property:
        return properties
    name, form = schema.tag_property, schema.tag_form
    own = properties.get(name)
    if form == "map":
        return {**properties, name: {**tags, **(own or {})}}
    if own is not None and not isinstance(own, list):
        return properties
    taken = {tag.get("Key") for tag in own or [] if isinstance(tag, dict)}
    extra = [{"Key": key, "Value": value} for key, value in tags.items() if key not in taken]
    return {**properties, name: [*(own or []), *extra]}

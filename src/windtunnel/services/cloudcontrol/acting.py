"""Which type a request is about, as whom its handler acts, and what a handler's failure is called.

Invariant: a handler acts as the caller, or as the role that the caller passes: what they may not do, Cloud Control may not either.
"""

from __future__ import annotations

from typing import Any

import msgspec

from windtunnel.kernel.context import Authorize, Context, Need
from windtunnel.kernel.errors import AwsError, not_built
from windtunnel.kernel.principal import Principal
from windtunnel.kernel.sealing import Sealer
from windtunnel.provision import registry, schemas
from windtunnel.provision.checking import check, model_failure
from windtunnel.provision.identity import handler_code
from windtunnel.provision.names import physical_name
from windtunnel.provision.registry import Failed, Properties, ResourceType, Wanted
from windtunnel.provision.saying import said as in_words
from windtunnel.provision.schemas import TypeSchema
from windtunnel.services.cloudcontrol.model import ERRORS, invalid

SERVICE = "cloudformation.amazonaws.com"
_ACTIONS = {
    "create": "CreateResource",
    "read": "GetResource",
    "update": "UpdateResource",
    "delete": "DeleteResource",
    "list": "ListResources",
}


def sealer(ctx: Context) -> Sealer:
    part: Sealer = ctx.cloud.part("sealer")
    return part


def may(action: str) -> Authorize:
    """authorize= for an operation; IAM has these actions under CloudFormation's prefix, without resources."""

    def authorize(ctx: Context, role_arn: str | None = None, **_: Any) -> list[Need]:
        needs = [Need(f"cloudformation:{action}")]
        return [*needs, Need("iam:PassRole", role_arn, {"iam:PassedToService": SERVICE})] if role_arn else needs

    return authorize


def the_type(type_name: str, action: str) -> tuple[ResourceType, TypeSchema]:
    """Raises AwsError: AWS has no such type, the registry cannot do that with it, or Windtunnel does not run it."""
    schema = schemas.schema(type_name)
    if schema is None:
        raise AwsError("TypeNotFoundException", f"The type '{type_name}' cannot be found.")
    if action not in schema.handlers:
        raise AwsError("UnsupportedActionException", f"Resource type {type_name} does not support {action.upper()} action")
    handler = registry.handler(type_name)
    if handler is None or (action == "list" and type(handler).list is ResourceType.list):
        raise not_built("cloudcontrol", _ACTIONS[action], type_name)
    return handler, schema


def actor(ctx: Context, principal: Principal, role_arn: str) -> Context:
    """Raises AwsError when the role does not exist or does not trust CloudFormation."""
    if not role_arn:
        return ctx.acting(principal).on_behalf("cloudcontrolapi")
    try:
        return ctx.assuming(role_arn, "AWSCloudFormation", SERVICE).on_behalf("cloudcontrolapi")
    except AwsError:
        raise invalid(f"Role {role_arn} is invalid or cannot be assumed") from None


def checked(schema: TypeSchema, properties: Properties) -> Properties:
    """Coerced to the schema's types. Raises AwsError in Cloud Control's words."""
    coerced, problems = check(schema, properties)
    if problems:
        raise AwsError("ValidationException", model_failure(problems))
    return coerced


def wanted(ctx: Context, handler: ResourceType, props: Properties, token: str) -> Wanted:
    name = ""
    if handler.name is not None:
        made_up = physical_name(handler.name, "", handler.type.rpartition("::")[2], ctx.ids.upper(12))
        name = props.get(handler.name.property) or made_up
    return Wanted(logical_id=handler.type.rpartition("::")[2], stack_name="", stack_id="", name=name, token=token)


def visible(schema: TypeSchema, told: Properties) -> str:
    """What a read tells, as JSON text: without write-only properties."""
    hidden = {path[1:] for path in schema.write_only}
    return msgspec.json.encode({name: value for name, value in told.items() if name not in hidden}).decode()


def said(ctx: Context, type_name: str, error: AwsError | Failed) -> str:
    """A failure in the words of a handler."""
    if isinstance(error, Failed) or error.status == 501:
        return error.message
    return in_words(error, type_name, ctx.ids.uuid())


def not_found(type_name: str, identifier: str) -> Failed:
    return Failed(f"Resource of type '{type_name}' with identifier '{identifier}' was not found.", "NotFound")


def as_exception(ctx: Context, type_name: str, error: AwsError | Failed) -> AwsError:
    """A handler's failure as a synchronous operation raises it; what is not built stays a 501."""
    if isinstance(error, AwsError) and error.status == 501:
        return error
    code = handler_code(error)
    text = f"{type_name} Handler returned status FAILED: {said(ctx, type_name, error)} (HandlerErrorCode: {code}, RequestToken: {ctx.ids.uuid()})"
    return AwsError(ERRORS.get(code, "GeneralServiceException"), text[:2048])

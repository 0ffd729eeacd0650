"""What a schedule invokes: a target of its own kind (templated), or any operation that runs here (universal), as its role.

Invariant: a target is checked when the schedule is written: what does not run here is refused by name then, never skipped later.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any, NamedTuple

import msgspec

from windtunnel.kernel.context import Context
from windtunnel.kernel.errors import AwsError, not_built
from windtunnel.kernel.registry import OPERATIONS, RULES, Operation
from windtunnel.kernel.scope import Arn
from windtunnel.wire.models import OperationModel, Ref, ServiceModel, load_metadata, load_service
from windtunnel.wire.protocols import Decoder, RawRequest, compile_decoder

UNIVERSAL = "arn:aws:scheduler:::aws-sdk:"
READS = ("get", "describe", "list", "batchget", "head", "lookup", "search", "query", "scan", "select", "view", "poll", "receive")
"""What operations begin with that only read: the Scheduler refuses them."""


class Call(NamedTuple):
    """An operation to be called, in the account and region of `arn`."""

    service: str
    operation: str
    args: dict[str, Any]
    arn: Arn | None = None

    @property
    def registered(self) -> Operation | None:
        return OPERATIONS.get((self.service, self.operation))


Template = Callable[[Context, Arn, dict[str, Any], str], Call]
"""(ctx, target's ARN, Target, input) -> the call."""
TEMPLATES: dict[str, Template] = {}


def template(service: str) -> Callable[[Template], Template]:
    def register(made: Template) -> Template:
        TEMPLATES[service] = made
        return made

    return register


@template("sqs")
def _sqs(ctx: Context, arn: Arn, target: dict[str, Any], given: str) -> Call:
    args = {"queue_url": f"{ctx.cloud.endpoint}/{arn.account}/{arn.resource}", "message_body": given}
    if "SqsParameters" in target:
        args["message_group_id"] = target["SqsParameters"]["MessageGroupId"]
    return Call("sqs", "SendMessage", args, arn)


@template("sns")
def _sns(ctx: Context, arn: Arn, target: dict[str, Any], given: str) -> Call:
    return Call("sns", "Publish", {"topic_arn": target["Arn"], "message": given}, arn)


@template("lambda")
def _lambda(ctx: Context, arn: Arn, target: dict[str, Any], given: str) -> Call:
    args = {"function_name": target["Arn"], "invocation_type": "Event", "payload": given.encode()}
    return Call("lambda", "Invoke", args, arn)


@template("events")
def _events(ctx: Context, arn: Arn, target: dict[str, Any], given: str) -> Call:
    parameters = target["EventBridgeParameters"]
    entry = {
        "Source": parameters["Source"],
        "DetailType": parameters["DetailType"],
        "Detail": given,
        "EventBusName": target["Arn"],
        "Time": ctx.now,
    }
    return Call("events", "PutEvents", {"entries": [entry]}, arn)


@template("codebuild")
def _codebuild(ctx: Context, arn: Arn, target: dict[str, Any], given: str) -> Call:
    return Call("codebuild", "StartBuild", {"project_name": arn.resource.removeprefix("project/")}, arn)


@template("codepipeline")
def _codepipeline(ctx: Context, arn: Arn, target: dict[str, Any], given: str) -> Call:
    return Call("codepipeline", "StartPipelineExecution", {"name": arn.resource}, arn)


def call_of(ctx: Context, target: dict[str, Any], given: str) -> Call:
    """What a target comes to. Raises AwsError for an input that the operation does not take."""
    if target["Arn"].startswith(UNIVERSAL):
        service, operation = universal(target["Arn"])
        return Call(service, operation, arguments(service, operation, given))
    arn = Arn.parse(target["Arn"])
    if arn is None or arn.service not in TEMPLATES:
        raise not_built("scheduler", "CreateSchedule", f"the target {target['Arn']}")
    return TEMPLATES[arn.service](ctx, arn, target, given)


# -- universal targets --------------------------------------------------------------------------------------------------


@cache
def _services() -> dict[str, str]:
    """How the SDKs for Java call a service that runs here, which these ARNs use -> its name here."""
    names = {service for service, _ in OPERATIONS}
    return {**{name: name for name in names}, **{load_metadata(name).service_id.replace(" ", "").lower(): name for name in names}}


def universal(arn: str) -> tuple[str, str]:
    """(botocore's service, operation) of `arn:aws:scheduler:::aws-sdk:SERVICE:action`. Raises AWS's error, or 501 for what does not run."""
    service, _, action = arn.removeprefix(UNIVERSAL).partition(":")
    name = _services().get(service)
    operation = action[:1].upper() + action[1:]
    if name is None:
        raise not_built("scheduler", "CreateSchedule", f"the target {service}:{operation}")
    if not action or not load_service(name).has_operation(operation):
        raise AwsError("ValidationException", f"{arn} is not a valid target: there is no such service or action.")
    if action.lower().startswith(READS):
        raise AwsError("ValidationException", f"{arn} is not a valid target: read-only actions are not supported.")
    if (name, operation) not in OPERATIONS:
        raise not_built("scheduler", "CreateSchedule", f"the target {name}:{operation}")
    return name, operation


@lru_cache(maxsize=64)
def _decoder(service: str, operation: str) -> tuple[Decoder, Callable[[Any], Any]]:
    model = load_service(service)
    found = model.operation(operation)
    decode = compile_decoder(model, operation, OPERATIONS[service, operation].declared, RULES.get(service), "json")
    return decode, _renamer(model, found)


def arguments(service: str, operation: str, given: str) -> dict[str, Any]:
    """An input's members as the handler takes them, checked as a request's would be."""
    decode, rename = _decoder(service, operation)
    try:
        value = msgspec.json.decode(given or "{}")
    except (msgspec.DecodeError, RecursionError) as error:
        raise AwsError("ValidationException", f"The input of the target is not valid JSON: {error}") from error
    if not isinstance(value, dict):
        raise AwsError("ValidationException", "The input of the target is not a JSON object.")
    body = msgspec.json.encode(rename(value))
    return decode(RawRequest("POST", "/", {}, [], {}, body))


def _renamer(model: ServiceModel, operation: OperationModel) -> Callable[[Any], Any]:
    """Members as the decoder takes them, by their names on the wire: the Scheduler takes the SDKs' names, with a capital."""

    def along(value: Any, ref: Ref) -> Any:
        shape = model.shape(ref.shape)
        if shape.type == "structure" and isinstance(value, dict):
            return structure(value, shape.members)
        if shape.type == "list" and isinstance(value, list) and shape.member is not None:
            member = shape.member
            return [along(element, member) for element in value]
        if shape.type == "map" and isinstance(value, dict) and shape.value is not None:
            element = shape.value
            return {key: along(each, element) for key, each in value.items()}
        return value

    def structure(value: dict[str, Any], members: dict[str, Ref]) -> dict[str, Any]:
        named: dict[str, Any] = {}
        for key, each in value.items():
            name = next((known for known in (key, key[:1].lower() + key[1:], key[:1].upper() + key[1:]) if known in members), key)
            ref = members.get(name)
            if ref is None:
                named[key] = each
            else:
                named[ref.location_name or name] = along(each, ref)
        return named

    return lambda value: structure(value, operation.input_shape.members)


def is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True

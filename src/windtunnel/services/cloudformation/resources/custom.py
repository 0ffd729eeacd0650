"""Custom resources: what a template asks of a provider behind an SNS topic (AWS CloudFormation user guide, "Custom resource reference").

Invariants: a request is recorded with the change that sends it; its answer decides, or its time; an answer with another physical id is a
replacement, whose old one is deleted in the cleanup.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from typing import Any

from windtunnel.kernel.context import Context
from windtunnel.provision.registry import Created, Failed, Properties, Resource, ResourceType, Wanted, resource_type
from windtunnel.services.cloudformation.answering import CustomRequest, address
from windtunnel.services.cloudformation.model import stack_of_arn

REQUEST = ".request"
DEFAULT_SECONDS = 3600.0
SUBJECT = "AWS CloudFormation custom resource request"
NO_ANSWER = (
    "CloudFormation did not receive a response from your Custom Resource. Please check your logs for requestId [{id}]. If you are using the Python"
    " cfn-response module, you may need to update your Lambda function code so that CloudFormation can attach the updated version."
)


def texts(value: Any) -> Any:
    """Properties as providers get them: every scalar a text."""
    if isinstance(value, dict):
        return {name: texts(part) for name, part in value.items()}
    if isinstance(value, list):
        return [texts(part) for part in value]
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else json.dumps(value)


def _stack_id(arn: str) -> str:
    found = stack_of_arn(arn)
    return found[1] if found is not None else ""


def _send(
    ctx: Context, resource_type_name: str, stack_arn: str, logical: str, request_id: str, kind: str, props: Properties, **more: Any
) -> None:
    """Record the request and hand it to the provider, as the operation's principal."""
    token = str(props.get("ServiceToken", ""))
    if not token.startswith("arn:") or ":sns:" not in token:
        if ":lambda:" in token:
            raise Failed(
                "Windtunnel does not run Lambda functions yet: custom resources need a ServiceToken of SNS.", "UnsupportedOperation"
            )
        raise Failed("Invalid service token.", "")
    seconds = float(props.get("ServiceTimeout", DEFAULT_SECONDS))
    stack = _stack_id(stack_arn)
    ctx.tx.put(CustomRequest(stack=stack, logical=logical, id=request_id, until=ctx.now + seconds))
    message = {
        "RequestType": kind,
        "ServiceToken": token,
        "ResponseURL": address(ctx, "cloudformation-custom-resource-response", stack_arn, logical, request_id),
        "StackId": stack_arn,
        "RequestId": request_id,
        "LogicalResourceId": logical,
        "ResourceType": resource_type_name,
        "ResourceProperties": texts(props),
        **more,
    }
    ctx.call("sns", "Publish", topic_arn=token, subject=SUBJECT, message=json.dumps(message))


def _answer(ctx: Context, stack_arn: str, logical: str, request_id: str) -> dict[str, Any] | None:
    """The answer when it is there. Raises Failed for a failure, a bad answer and for silence."""
    request = ctx.tx.get(CustomRequest, f"{_stack_id(stack_arn)}/{logical}/{request_id}")
    if request is None:
        raise Failed(NO_ANSWER.format(id=request_id), "")
    if request.answer is None:
        if ctx.now >= request.until:
            raise Failed(NO_ANSWER.format(id=request_id), "")
        return None
    told = request.answer
    for name in ("Status", "PhysicalResourceId"):
        if not told.get(name):
            raise Failed(f"Vendor response doesn't contain {name} attribute in object.", "")
    if told["Status"] != "SUCCESS":
        reason = told.get("Reason", "")
        raise Failed(f"Received response status [FAILED] from custom resource. Message returned: {reason} (RequestId: {request_id})", "")
    return told


@resource_type("AWS::CloudFormation::CustomResource")
class CustomResource(ResourceType):
    def create(self, ctx: Context, props: Properties, wanted: Wanted) -> Created:
        _send(ctx, wanted.type, wanted.stack_id, wanted.logical_id, wanted.token, "Create", props)
        proposed = f"{wanted.stack_name}-{wanted.logical_id}-{ctx.ids.upper(12)}"
        return Created(id=proposed, attributes={REQUEST: wanted.token}, ready=False)

    def settled(self, ctx: Context, resource: Resource) -> bool | Created:
        told = _answer(ctx, resource.stack_id, resource.logical_id, resource.attributes[REQUEST])
        if told is None:
            return False
        data = told.get("Data") or {}
        attributes = {str(name): value for name, value in data.items()} if isinstance(data, dict) else {}
        return Created(id=str(told["PhysicalResourceId"]), attributes=attributes)

    def read(self, ctx: Context, resource: Resource) -> Properties | None:
        return dict(resource.properties)

    def update(self, ctx: Context, resource: Resource, new: Properties, wanted: Wanted) -> Created | None:
        more = {"PhysicalResourceId": resource.id, "OldResourceProperties": texts(resource.properties)}
        _send(ctx, resource.type, wanted.stack_id, wanted.logical_id, wanted.token, "Update", new, **more)
        return Created(id=resource.id, attributes={**resource.attributes, REQUEST: wanted.token}, ready=False)

    def delete(self, ctx: Context, resource: Resource) -> bool | None:
        more = {"PhysicalResourceId": resource.id}
        _send(ctx, resource.type, resource.stack_id, resource.logical_id, _deletion(resource), "Delete", resource.properties, **more)
        return False

    def gone(self, ctx: Context, resource: Resource) -> bool:
        return _answer(ctx, resource.stack_id, resource.logical_id, _deletion(resource)) is not None


def _deletion(resource: Resource) -> str:
    """The id of the request that deletes it: the same for every attempt, since a deletion has no record of its own yet."""
    digest = hashlib.sha256(f"{resource.stack_id}/{resource.logical_id}/{resource.id}/Delete".encode()).hexdigest()
    return str(uuid.UUID(digest[:32]))

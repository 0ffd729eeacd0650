"""An event as CloudTrail shows it, from the note of a call. Pure.

Source: CloudTrail user guide, "CloudTrail record contents", eventVersion 1.11.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from windtunnel.services.cloudtrail.kinds import DATA, event_name
from windtunnel.services.cloudtrail.mentioned import resources
from windtunnel.services.cloudtrail.notes import OMITTED, Caller, Note, event_id
from windtunnel.wire.models import ServiceModel, UnknownService, load_metadata, load_service
from windtunnel.wire.naming import xform

VERSION = "1.11"
_KINDS = {"root": "Root", "user": "IAMUser", "assumed-role": "AssumedRole", "service": "AWSService", "anonymous": "AWSAccount"}
_RENAMED = {"s3": {"bucket": "bucketName"}, "sts": {}, "ssm": {}}


def iso(time: float) -> str:
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@lru_cache(512)
def event_source(service: str) -> str:
    try:
        return f"{load_metadata(service).endpoint_prefix}.amazonaws.com"
    except UnknownService:
        return f"{service}.amazonaws.com"


def username(caller: Caller) -> str:
    if caller.kind in ("assumed-role", "federated-user"):
        return caller.arn.rpartition("/")[2]
    return caller.name


def record(note: Note, caller: Caller, account: str, region: str) -> dict[str, Any]:
    """The record of a call that happened in `account` and `region`."""
    request, response = parameters(note)
    made: dict[str, Any] = {
        "eventVersion": VERSION,
        "userIdentity": identity(caller),
        "eventTime": iso(note.time),
        "eventSource": event_source(note.service),
        "eventName": event_name(note.service, note.operation),
        "awsRegion": region,
        "sourceIPAddress": caller.source_ip,
        "userAgent": caller.user_agent,
    }
    if note.code:
        made["errorCode"], made["errorMessage"] = _error(note)
    made |= {
        "requestParameters": request,
        "responseElements": response,
        "requestID": note.request,
        "eventID": event_id(note.request),
        "readOnly": note.read_only,
    }
    found = named(note, request, response)
    if note.data:
        found = _data_resources(note.service, request, account, region)
    arns = [{"accountId": account, "type": kind, "ARN": name} for kind, name in found if name.startswith("arn:")]
    if arns:
        made["resources"] = arns
    made |= {
        "eventType": "AwsApiCall",
        "managementEvent": not note.data,
        "recipientAccountId": account,
        "eventCategory": "Data" if note.data else "Management",
    }
    if caller.host:
        made["tlsDetails"] = {"clientProvidedHostHeader": caller.host}
    return made


def named(note: Note, request: Any, response: Any) -> list[tuple[str, str]]:
    """(type, name) of the resources that an event refers to."""
    return resources(note.service, note.operation, request, response)


def _data_resources(service: str, request: Any, account: str, region: str) -> list[tuple[str, str]]:
    """What a trail selects a data event by: the object, queue or topic."""
    asked: dict[str, Any] = request if isinstance(request, dict) else {}
    kind = DATA[service][0]
    if service == "s3":
        bucket = f"arn:aws:s3:::{asked.get('bucketName', '')}"
        return [(kind, f"{bucket}/{asked.get('key') or asked.get('prefix') or ''}"), ("AWS::S3::Bucket", bucket)]
    if service == "sqs":
        return [(kind, f"arn:aws:sqs:{region}:{account}:{str(asked.get('queueUrl', '')).rpartition('/')[2]}")]
    return [(kind, str(asked.get("topicArn") or asked.get("targetArn") or asked.get("functionName") or ""))]


def _error(note: Note) -> tuple[str, str]:
    code = "AccessDenied" if note.code in ("AccessDenied", "AccessDeniedException") else note.code
    return f"Client.{code}" if note.service == "ec2" else code, note.message


def identity(caller: Caller) -> dict[str, Any]:
    kind = _KINDS.get(caller.kind, "FederatedUser")
    if kind == "AWSService":
        return {"type": kind, "invokedBy": caller.name}
    if kind == "AWSAccount":
        return {"type": kind, "principalId": "", "accountId": "ANONYMOUS_PRINCIPAL"}
    made: dict[str, Any] = {"type": kind, "principalId": caller.unique_id, "arn": caller.arn, "accountId": caller.account}
    if caller.access_key:
        made["accessKeyId"] = caller.access_key
    if kind == "IAMUser":
        made["userName"] = caller.name
    if kind in ("AssumedRole", "FederatedUser"):
        made["sessionContext"] = _session(caller, kind)
    if caller.invoked_by:
        made["invokedBy"] = caller.invoked_by
    return made


def _session(caller: Caller, kind: str) -> dict[str, Any]:
    role = kind == "AssumedRole"
    issuer = {
        "type": "Role" if role else "Root" if caller.identity.endswith(":root") else "IAMUser",
        "principalId": caller.unique_id.partition(":")[0] if role else caller.issuer_id,
        "arn": caller.identity,
        "accountId": caller.account,
        "userName": caller.identity.rpartition("/")[2],
    }
    attributes = {"creationDate": caller.issued} if caller.issued else {}
    session: dict[str, Any] = {"sessionIssuer": issuer, "attributes": attributes | {"mfaAuthenticated": "true" if caller.mfa else "false"}}
    return session | ({"sourceIdentity": caller.source_identity} if caller.source_identity else {})


# -- parameters -----------------------------------------------------------------------------------------------------------


def parameters(note: Note) -> tuple[Any, Any]:
    """requestParameters and responseElements: the model's members, each with a small first letter."""
    try:
        model = load_service(note.service)
    except UnknownService:
        return note.args or None, note.result
    if not model.has_operation(note.operation):
        return note.args or None, note.result
    operation = model.operation(note.operation)
    request: Any = note.args
    if isinstance(request, dict) and request != OMITTED:
        shape = operation.input_shape
        original = {xform(name): name for name in shape.members}
        members = {name: shape.members[name].shape for name in shape.members}
        renamed = _RENAMED.get(note.service, {})
        request = {}
        for key, value in note.args.items():
            name = original.get(key, key)
            small = _small(name)
            request[renamed.get(small, small)] = _lowered(model, members[name], value, 0) if name in members else value
    response = note.result
    if isinstance(response, dict) and response != OMITTED and operation.output:
        response = _lowered(model, operation.output, response, 0)
    return request or None, response or None


def _small(name: str) -> str:
    """`RoleName` is `roleName`; `ARN` stays, as CloudTrail has it."""
    return name if name.isupper() else name[:1].lower() + name[1:]


def _lowered(model: ServiceModel, name: str, value: Any, depth: int) -> Any:
    if depth > 30:
        return value
    shape = model.shape(name)
    if shape.type == "structure" and isinstance(value, dict):
        members = shape.members
        return {
            _small(key): _lowered(model, members[key].shape, item, depth + 1) if key in members else item
            for key, item in value.items()
            if item is not None
        }
    if shape.type == "list" and isinstance(value, list) and shape.member is not None:
        return [_lowered(model, shape.member.shape, item, depth + 1) for item in value]
    if shape.type == "map" and isinstance(value, dict) and shape.value is not None:
        inner = shape.value.shape
        return {key: _lowered(model, inner, item, depth + 1) for key, item in value.items()}
    if shape.type == "timestamp" and isinstance(value, int | float):
        return datetime.fromtimestamp(value, UTC).strftime("%b %-d, %Y, %-I:%M:%S %p")
    return value

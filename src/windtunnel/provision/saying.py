"""What a handler of AWS's says when a service refused: the error's message, and what the SDK in the handler adds to it.

Source: events of AWS stacks, `… (Service: S3, Status Code: 409, Request ID: …)`; the service's name is the SDK for Java's.
"""

from __future__ import annotations

from functools import cache

from windtunnel.kernel.errors import AwsError
from windtunnel.wire.models import UnknownService, load_service
from windtunnel.wire.protocols.errors import ErrorTable

_NAMES = {"Logs": "CloudWatchLogs", "Events": "EventBridge"}
_SHORT = 2
"""`S3` and `EC2`: a name of so few letters stays as it is; the SDK writes the longer ones as words (`Iam`, `Sqs`)."""


def said(error: AwsError, type_name: str, request: str) -> str:
    """request: the id of the service's request."""
    return f"{error.message} (Service: {service_name(type_name)}, Status Code: {status(error, type_name)}, Request ID: {request})"


def service_name(type_name: str) -> str:
    """`AWS::SecretsManager::Secret` -> `SecretsManager`, `AWS::IAM::Role` -> `Iam`."""
    parts = type_name.split("::")
    if len(parts) != 3:
        return "CloudFormation"
    name = _NAMES.get(parts[1], parts[1])
    return name.capitalize() if name.isupper() and sum(letter.isalpha() for letter in name) > 1 else name


def status(error: AwsError, type_name: str) -> int:
    """The HTTP status with which the type's service would have answered."""
    if error.status is not None:
        return error.status
    table = _errors(type_name.split("::")[1].lower() if type_name.count("::") == _SHORT else "cloudformation")
    return 400 if table is None else table.status(error)


@cache
def _errors(service: str) -> ErrorTable | None:
    try:
        return ErrorTable(load_service(service))
    except UnknownService:
        return None

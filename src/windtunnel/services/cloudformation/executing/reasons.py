"""Why something failed, in the words that stack events have. Pure."""

from __future__ import annotations

from windtunnel.kernel.errors import AwsError
from windtunnel.provision.registry import Failed

_BY_WORD = (
    ("AlreadyExist", "AlreadyExists"),
    ("AlreadyOwned", "AlreadyExists"),
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
    ("Conflict", "ResourceConflict"),
    ("InUse", "ResourceConflict"),
)


def handler_code(code: str) -> str:
    """The HandlerErrorCode for a service's error code."""
    return next(
        (name for word, name in _BY_WORD if word in code), "GeneralServiceException" if code.endswith("Failure") else "InvalidRequest"
    )


def reason_of(error: AwsError | Failed, type_name: str, request: str, token: str) -> str:
    """ResourceStatusReason of a failed resource. request, token: UUIDs of the service's request and of the handler's."""
    if isinstance(error, Failed):
        if not error.code:
            return error.message
        return f'Resource handler returned message: "{error.message}" (RequestToken: {token}, HandlerErrorCode: {error.code})'
    service = type_name.split("::")[1].capitalize() if type_name.count("::") == 2 else "CloudFormation"
    said = f"{error.message} (Service: {service}, Status Code: {error.status or 400}, Request ID: {request})"
    return f'Resource handler returned message: "{said}" (RequestToken: {token}, HandlerErrorCode: {handler_code(error.code)})'


def names(logical: list[str]) -> str:
    return "[" + ", ".join(logical) + "]"

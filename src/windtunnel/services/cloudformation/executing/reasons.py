"""Why something failed, in the words that stack events have."""

from __future__ import annotations

from windtunnel.kernel.errors import AwsError
from windtunnel.provision.identity import handler_code
from windtunnel.provision.registry import Failed
from windtunnel.provision.saying import said
from windtunnel.services.cloudformation.model import STACK_TYPE


def reason_of(error: AwsError | Failed, type_name: str, request: str, token: str) -> str:
    """ResourceStatusReason of a failed resource. request, token: UUIDs of the service's request and of the handler's."""
    if isinstance(error, Failed):
        if not error.code:
            return error.message
        return f'Resource handler returned message: "{error.message}" (RequestToken: {token}, HandlerErrorCode: {error.code})'
    if type_name == STACK_TYPE:
        return error.message
    words = said(error, type_name, request)
    return f'Resource handler returned message: "{words}" (RequestToken: {token}, HandlerErrorCode: {handler_code(error)})'


def names(logical: list[str]) -> str:
    return "[" + ", ".join(logical) + "]"

"""Resource requests and their states, and the patches that updates are (Cloud Control API reference, 2021-09-30). Pure.

Invariants: a request that has ended stays as it ended; it is known for seven days. What a client wants of a resource, and what the resource became,
may hold secrets: at rest they are what the cloud's sealer made of them.
"""

from __future__ import annotations

import importlib
from typing import Any, ClassVar, Literal

import msgspec

from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.principal import Principal
from windtunnel.kernel.records import Record, RecordScope
from windtunnel.kernel.sealing import Sealer
from windtunnel.kernel.typed import from_json
from windtunnel.provision import checking
from windtunnel.provision.registry import Properties
from windtunnel.provision.schemas import TypeSchema

Kind = Literal["CREATE", "UPDATE", "DELETE"]
Status = Literal["PENDING", "IN_PROGRESS", "SUCCESS", "FAILED", "CANCEL_IN_PROGRESS", "CANCEL_COMPLETE"]
ENDED = frozenset({"SUCCESS", "FAILED", "CANCEL_COMPLETE"})
KEPT = 7 * 86400.0
MAX_DOCUMENT = 1 << 20
"""Bytes to which a patch may make a resource's properties grow: a few dozen copies would fill the memory."""
ERRORS = {
    "AccessDenied": "AccessDeniedException",
    "AlreadyExists": "AlreadyExistsException",
    "GeneralServiceException": "GeneralServiceException",
    "InvalidRequest": "InvalidRequestException",
    "NotFound": "ResourceNotFoundException",
    "NotStabilized": "NotStabilizedException",
    "NotUpdatable": "NotUpdatableException",
    "ResourceConflict": "ResourceConflictException",
    "ServiceInternalError": "ServiceInternalErrorException",
    "ServiceLimitExceeded": "ServiceLimitExceededException",
    "Throttling": "ThrottlingException",
}
"""HandlerErrorCode -> the exception by which a synchronous operation says it."""
CODES = frozenset(ERRORS) | {"InvalidCredentials", "ServiceTimeout", "NetworkFailure", "InternalFailure", "UnauthorizedTaggingOperation"}


class Held(msgspec.Struct):
    """What may hold secrets. state: the desired properties as JSON text (of an update, its patch). model: the ResourceModel. properties, attributes: as made."""

    state: str = ""
    model: str = ""
    properties: dict[str, Any] = {}
    attributes: dict[str, Any] = {}


class Request(Record, kw_only=True):
    """One request. asked: epoch seconds. digest: of what the client asked, under a key. sealed: a `Held`.

    identifier: the primary identifier, once known. physical: the id of what the handler made. phase: what is waited for.
    """

    KIND: ClassVar[str] = "cloudcontrol.request"
    SCOPE: ClassVar[RecordScope] = "region"
    INDEXES: ClassVar = {
        "token": "token",
        "client": lambda request: [request.client_token] if request.client_token else [],
        "active": lambda request: [f"{request.type} {request.identifier}"] if request.identifier and not request.ended else [],
    }

    token: str
    type: str
    kind: Kind
    status: Status
    asked: float
    principal: Principal
    role_arn: str = ""
    client_token: str = ""
    digest: str = ""
    identifier: str = ""
    sealed: bytes = b""
    message: str = ""
    code: str = ""
    changed: float = 0.0
    phase: Literal["", "coming", "going"] = ""
    physical: str = ""

    def key(self) -> str:
        return f"{int(self.asked * 1000):015d}/{self.token}"

    @property
    def ended(self) -> bool:
        return self.status in ENDED

    def held(self, sealer: Sealer) -> Held:
        return from_json(sealer.unseal(self.sealed, self._purpose), Held) if self.sealed else Held()

    def hold(self, sealer: Sealer, held: Held) -> None:
        self.sealed = sealer.seal(msgspec.json.encode(held), self._purpose)

    @property
    def _purpose(self) -> bytes:
        return f"cloudcontrol.request/{self.token}".encode()

    def event(self, sealer: Sealer) -> dict[str, Any]:
        """The ProgressEvent."""
        optional = {
            "Identifier": self.identifier,
            "ResourceModel": self.held(sealer).model if self.status == "SUCCESS" else "",
            "StatusMessage": self.message[:2048],
            "ErrorCode": self.code,
        }
        return {
            "TypeName": self.type,
            "RequestToken": self.token,
            "Operation": self.kind,
            "OperationStatus": self.status,
            "EventTime": self.changed or self.asked,
            **{name: value for name, value in optional.items() if value},
        }


def invalid(message: str) -> AwsError:
    return AwsError("ValidationException", message)


def parse_state(text: str) -> Properties:
    """A desired state. Raises AwsError when it is no JSON object."""
    try:
        return from_json(text, dict[str, Any])
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        raise AwsError("InvalidRequestException", "Desired state is not a valid JSON object") from None


def parse_patch(text: str) -> list[dict[str, Any]]:
    """A patch document (RFC 6902). Raises AwsError when it is none."""
    try:
        return from_json(text, list[dict[str, Any]])
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        raise AwsError("InvalidRequestException", "Patch document is not a valid JSON array of patch operations") from None


def patched(schema: TypeSchema, current: Properties, operations: list[dict[str, Any]]) -> Properties:
    """The properties after a patch. Raises AwsError when it cannot be applied, or changes what cannot be changed."""
    jsonpatch, jsonpointer = importlib.import_module("jsonpatch"), importlib.import_module("jsonpointer")
    made: Any = msgspec.json.decode(msgspec.json.encode(current))
    try:
        for operation in operations:
            made = jsonpatch.JsonPatch([operation]).apply(made, in_place=True)
            if operation.get("op") == "copy" and len(msgspec.json.encode(made)) > MAX_DOCUMENT:
                raise AwsError("InvalidRequestException", "Invalid patch update: the resource's properties would be too large")
    except (jsonpatch.JsonPatchException, jsonpointer.JsonPointerException, TypeError, KeyError, AttributeError, RecursionError):
        raise AwsError("InvalidRequestException", f"Invalid patch update: {_not_applied(operation)}") from None
    if not isinstance(made, dict):
        raise AwsError("InvalidRequestException", "Invalid patch update: a resource's properties are an object")
    _refuse(schema, current, made)
    return made


def _not_applied(operation: dict[str, Any]) -> str:
    """Which operation of a patch could not be carried out, and why; the library's own words show Python's values."""
    kind, path = operation.get("op"), operation.get("path")
    if kind not in ("add", "remove", "replace", "move", "copy", "test"):
        return f"unknown operation '{kind}'"
    if not isinstance(path, str):
        return f"operation '{kind}' needs a path"
    if kind in ("add", "replace", "test") and "value" not in operation:
        return f"operation '{kind}' needs a value"
    reason = "the value there is another one" if kind == "test" else "there is no such place in the resource's properties"
    return f"operation '{kind}' cannot be applied to '{path}': {reason}"


def _refuse(schema: TypeSchema, old: Properties, new: Properties) -> None:
    """Properties that nobody may change, and those that only a new resource may have."""
    changed = checking.changed(schema, old, new)
    read_only = sorted(path for path in schema.read_only if path[1:] in changed)
    if read_only:
        raise invalid(f"Invalid patch update: readOnlyProperties {_pointers(read_only)} cannot be updated")
    fixed = sorted(checking.create_only(schema, old, new, changed))
    if fixed:
        raise AwsError("NotUpdatableException", f"Invalid patch update: createOnlyProperties {_pointers(fixed)} cannot be updated")


def _pointers(paths: list[str]) -> str:
    return "[" + ", ".join(f"/properties{path}" for path in paths) + "]"

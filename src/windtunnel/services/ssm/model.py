"""Parameter Store's records and rules. Pure."""

from __future__ import annotations

import re
from typing import Any, ClassVar

import msgspec

from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.records import Record, RecordScope
from windtunnel.kernel.scope import Scope

NAME = re.compile(r"[a-zA-Z0-9_.\-/]+\Z")
MAX_LEVELS = 15
MAX_VERSIONS = 100
MAX_VALUE = {"Standard": 4096, "Advanced": 8192}


class ParameterVersion(msgspec.Struct):
    """One value that a parameter had; modified in epoch seconds, user the ARN of who wrote it."""

    version: int
    type: str
    value: str
    modified: float
    user: str
    description: str = ""
    allowed_pattern: str = ""
    tier: str = "Standard"
    data_type: str = "text"
    key_id: str = ""


class Parameter(Record, kw_only=True):
    """A parameter with its history, oldest first; the last entry is the current value."""

    KIND: ClassVar[str] = "ssm.parameter"
    SCOPE: ClassVar[RecordScope] = "region"

    name: str
    history: list[ParameterVersion]
    tags: dict[str, str] = {}

    def key(self) -> str:
        return self.name

    @property
    def current(self) -> ParameterVersion:
        return self.history[-1]


def parameter_arn(scope: Scope, name: str) -> str:
    """`arn:aws:ssm:R:A:parameter/name`, with one slash whether or not the name begins with one."""
    return scope.arn("ssm", f"parameter/{name.lstrip('/')}")


def check_name(name: str) -> None:
    """AWS's rules for a new parameter's name (API reference, PutParameter)."""
    if not NAME.match(name):
        raise AwsError(
            "ValidationException",
            'Parameter name: can\'t be prefixed with "ssm" (case-insensitive). If formed as a path, it can consist of sub-paths divided by slash symbol; each sub-path can be formed as a mix of letters, numbers and the following 3 symbols .-_',
        )
    first = name.strip("/").split("/")[0].lower()
    if first.startswith(("aws", "ssm")):
        said = "aws" if first.startswith("aws") else "ssm"
        raise AwsError("ValidationException", f'Parameter name: can\'t be prefixed with "{said}" (case-insensitive).')
    if "/" in name and not name.startswith("/"):
        raise AwsError("ValidationException", "Parameter name must be a fully qualified name.")
    if name.count("/") > MAX_LEVELS:
        raise AwsError("HierarchyLevelLimitExceededException", "A parameter hierarchy can have a maximum of 15 levels.")


def check_value(value: str, tier: str, allowed_pattern: str) -> None:
    limit = MAX_VALUE[tier]
    if len(value.encode()) > limit:
        raise AwsError("ValidationException", f"{tier} tier parameters support a maximum parameter value of {limit} characters.")
    if not allowed_pattern:
        return
    try:
        matches = re.fullmatch(allowed_pattern, value)
    except re.error as error:
        raise AwsError(
            "InvalidAllowedPatternException", f"The pattern {allowed_pattern} is not a valid regular expression: {error}."
        ) from error
    if matches is None:
        raise AwsError(
            "ParameterPatternMismatchException", f"Parameter value, cannot be validated against allowedPattern: {allowed_pattern}"
        )


def described(scope: Scope, parameter: Parameter, entry: ParameterVersion, selector: str = "") -> dict[str, Any]:
    """The Parameter shape that Get* return."""
    reply: dict[str, Any] = {
        "Name": parameter.name,
        "Type": entry.type,
        "Value": entry.value,
        "Version": entry.version,
        "LastModifiedDate": entry.modified,
        "ARN": parameter_arn(scope, parameter.name),
        "DataType": entry.data_type,
    }
    if selector:
        reply["Selector"] = selector
    return reply


def split_selector(name: str) -> tuple[str, str]:
    """`/a/b:3` -> (`/a/b`, `:3`); an ARN's own colons do not count."""
    if name.startswith("arn:"):
        resource = name.split(":parameter", 1)[-1]
        name = resource if resource.count("/") > 1 else resource.lstrip("/")
    base, colon, selector = name.partition(":")
    return base, colon + selector


def selected(parameter: Parameter, selector: str) -> ParameterVersion | None:
    """The version that `:N` names, or the current one without a selector."""
    if not selector:
        return parameter.current
    wanted = selector[1:]
    return next((entry for entry in parameter.history if str(entry.version) == wanted), None)

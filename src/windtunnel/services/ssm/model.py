"""Parameter Store's records and rules. Pure.

Invariant: a parameter's record holds its current version only, so that reading it is one small read however long its history;
the versions before it are records of their own (`Past`), at most `MAX_VERSIONS` in all.
"""

from __future__ import annotations

import re
from typing import Any, ClassVar

import msgspec

from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.records import Record, RecordScope, Tx
from windtunnel.kernel.scope import Arn, Scope
from windtunnel.services.ssm.policies import ParameterPolicy

NAME = re.compile(r"[a-zA-Z0-9_.\-/]+\Z")
MAX_LEVELS = 15
MAX_NAME = 1011
MAX_VERSIONS = 100
MAX_TAGS = 50
MAX_LABELS = 10
MAX_VALUE = {"Standard": 4096, "Advanced": 8192}
SECURE = "SecureString"
_LABEL = re.compile(r"(?!aws|ssm)[a-z_.\-][a-z0-9_.\-]{0,99}\Z", re.IGNORECASE)
PATH_WORDS = (
    'The parameter doesn\'t meet the parameter name requirements. The parameter name must begin with a forward slash "/".'
    ' It can\'t be prefixed with "aws" or "ssm" (case-insensitive). It must use only letters, numbers, or the following symbols:'
    " . (period), - (hyphen), _ (underscore). Special characters are not allowed. All sub-paths, if specified, must use the forward"
    ' slash symbol "/". Valid example: /get/parameters2-/by1./path0_.'
)


class ParameterVersion(msgspec.Struct, frozen=True):
    """One value that a parameter had; modified in epoch seconds, user the ARN of who wrote it.

    key_id: the KMS key of a SecureString, as it was given; its value is a ciphertext then.
    """

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
    policies: tuple[ParameterPolicy, ...] = ()


class Parameter(Record, kw_only=True):
    """A parameter as it is now. labels: label -> the version that it marks."""

    KIND: ClassVar[str] = "ssm.parameter"
    SCOPE: ClassVar[RecordScope] = "region"

    name: str
    current: ParameterVersion
    tags: dict[str, str] = {}
    labels: dict[str, int] = {}

    def key(self) -> str:
        return self.name


class Past(Record, kw_only=True):
    """A version that a newer one has replaced."""

    KIND: ClassVar[str] = "ssm.past-version"
    SCOPE: ClassVar[RecordScope] = "region"

    name: str
    entry: ParameterVersion

    def key(self) -> str:
        return past_key(self.name, self.entry.version)


def past_prefix(name: str) -> str:
    return f"{name}\x00"


def past_key(name: str, version: int) -> str:
    return f"{past_prefix(name)}{version:020d}"


def parameter_arn(scope: Scope, name: str) -> str:
    """`arn:aws:ssm:R:A:parameter/name`, with one slash whether or not the name begins with one."""
    return scope.arn("ssm", f"parameter/{name.lstrip('/')}")


def invalid(message: str) -> AwsError:
    return AwsError("ValidationException", message)


def check_name(name: str) -> None:
    """AWS's rules for a new parameter's name (API reference, PutParameter)."""
    if not NAME.match(name):
        raise invalid(
            'Parameter name: can\'t be prefixed with "ssm" (case-insensitive). If formed as a path, it can consist of sub-paths divided by'
            " slash symbol; each sub-path can be formed as a mix of letters, numbers and the following 3 symbols .-_"
        )
    first = name.strip("/").split("/")[0].lower()
    if first.startswith("aws"):
        if name.startswith("/"):
            raise AwsError("AccessDeniedException", f"No access to reserved parameter name: {name}.")
        raise invalid('Parameter name: can\'t be prefixed with "aws" (case-insensitive).')
    if first.startswith("ssm"):
        raise invalid('Parameter name: can\'t be prefixed with "ssm" (case-insensitive).')
    if "/" in name and not name.startswith("/"):
        raise invalid("Parameter name must be a fully qualified name.")
    if len(name) > MAX_NAME:
        raise invalid(f"Parameter name: the maximum length is {MAX_NAME} characters.")
    if name.count("/") > MAX_LEVELS:
        raise AwsError("HierarchyLevelLimitExceededException", f"A parameter hierarchy can have a maximum of {MAX_LEVELS} levels.")


def check_path(path: str) -> None:
    if not path.startswith("/") or not NAME.match(path) or "//" in path:
        raise invalid(PATH_WORDS)


def check_value(value: str, tier: str, allowed_pattern: str) -> None:
    if not value:
        raise invalid(
            "1 validation error detected: Value '' at 'value' failed to satisfy constraint: Member must have length greater than or equal to 1"
        )
    limit = MAX_VALUE[tier]
    if len(value.encode()) > limit:
        raise invalid(
            f"{tier} tier parameters support a maximum parameter value of {limit} characters."
            + (
                " To create a larger parameter value, upgrade the parameter to use the advanced-parameter tier. For more information, see"
                " https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-advanced-parameters.html"
                if tier == "Standard"
                else ""
            )
        )
    if not allowed_pattern:
        return
    try:
        matches = re.fullmatch(allowed_pattern, value)
    except re.error as error:
        words = f"The pattern {allowed_pattern} is not a valid regular expression: {error}."
        raise AwsError("InvalidAllowedPatternException", words) from error
    if matches is None:
        raise AwsError(
            "ParameterPatternMismatchException", f"Parameter value, cannot be validated against allowedPattern: {allowed_pattern}"
        )


def chosen_tier(asked: str | None, value: str, old: ParameterVersion | None, policies: bool = False) -> str:
    """The tier of a new version: an advanced parameter never goes back, and only Intelligent-Tiering goes up by itself.

    policies: it has some, which only an advanced one may.
    """
    if old is not None and old.tier == "Advanced":
        if asked == "Standard":
            raise invalid(
                "This parameter uses the advanced-parameter tier. You can't downgrade a parameter from the advanced-parameter tier to the"
                " standard-parameter tier. If necessary, you can delete the advanced parameter and recreate it as a standard parameter."
            )
        return "Advanced"
    if asked == "Advanced":
        return "Advanced"
    if asked == "Intelligent-Tiering" and (policies or len(value.encode()) > MAX_VALUE["Standard"]):
        return "Advanced"
    if policies:
        raise invalid(
            "Standard tier parameters don't support parameter policies. To use parameter policies, upgrade the parameter to use the"
            " advanced-parameter tier."
        )
    return "Standard"


def valid_label(label: str) -> bool:
    """Letters, digits and `._-`, at most 100; not beginning with a digit, `aws` or `ssm`."""
    return _LABEL.match(label) is not None


def described(arn: str, name: str, entry: ParameterVersion, selector: str = "") -> dict[str, Any]:
    """The Parameter shape that Get* return."""
    reply: dict[str, Any] = {
        "Name": name,
        "Type": entry.type,
        "Value": entry.value,
        "Version": entry.version,
        "LastModifiedDate": entry.modified,
        "ARN": arn,
        "DataType": entry.data_type,
    }
    if selector:
        reply["Selector"] = selector
    return reply


def split_selector(scope: Scope, name: str) -> tuple[str, str]:
    """`/a/b:3` -> (`/a/b`, `:3`); an ARN of this account and region stands for its name. "" for an ARN of elsewhere."""
    if name.startswith("arn:"):
        arn = Arn.parse(name)
        if arn is None or not arn.resource.startswith("parameter/"):
            raise invalid(f"Invalid parameter ARN: {name}")
        own = ("ssm", scope.region, scope.account)
        public = ("ssm", scope.region, "") if arn.resource.startswith("parameter/aws/") else own
        if (arn.service, arn.region, arn.account) not in (own, public):
            return "", ""
        resource = arn.resource.removeprefix("parameter")
        name = resource if resource.count("/") > 1 else resource.lstrip("/")
    base, colon, selector = name.partition(":")
    return base, colon + selector


def find_parameter(tx: Tx, scope: Scope, name: str) -> tuple[Parameter | None, str, str]:
    """(the parameter, its name, the selector) for a name or an ARN; `parameter/a` is the ARN of `a` and of `/a` alike."""
    base, selector = split_selector(scope, name)
    found = tx.get(Parameter, base)
    if found is None and name.startswith("arn:") and base and "/" not in base:
        found = tx.get(Parameter, f"/{base}")
    return found, found.name if found is not None else base, selector


def selected(tx: Tx, parameter: Parameter, selector: str) -> ParameterVersion | None:
    """The version that `:N` or `:label` names, or the current one without a selector."""
    if not selector:
        return parameter.current
    wanted = selector[1:]
    version = int(wanted) if wanted.isascii() and wanted.isdigit() and len(wanted) < 19 else parameter.labels.get(wanted)
    if version is None or version == parameter.current.version:
        return parameter.current if version is not None else None
    past = tx.get(Past, past_key(parameter.name, version))
    return None if past is None else past.entry

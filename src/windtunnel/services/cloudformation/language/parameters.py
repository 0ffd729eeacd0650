"""Parameters: how they are declared, the values given for them, and what `Ref` gives.

A value is the text that a caller gave (or the default, or the previous value). Of an SSM type it is the *name* of the SSM parameter, which is
what DescribeStacks shows and what `UsePreviousValue` keeps; the live value is looked up for each operation anew.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from windtunnel.services.cloudformation.language.errors import TemplateError
from windtunnel.services.cloudformation.language.functions import format_error, template_error
from windtunnel.services.cloudformation.language.patterns import compiled_pattern
from windtunnel.services.cloudformation.language.scalars import text_of
from windtunnel.services.cloudformation.language.shapes import SCALARS

SPECIFIC = frozenset(
    {
        "AWS::EC2::AvailabilityZone::Name",
        "AWS::EC2::Image::Id",
        "AWS::EC2::Instance::Id",
        "AWS::EC2::KeyPair::KeyName",
        "AWS::EC2::SecurityGroup::GroupName",
        "AWS::EC2::SecurityGroup::Id",
        "AWS::EC2::Subnet::Id",
        "AWS::EC2::VPC::Id",
        "AWS::EC2::Volume::Id",
        "AWS::Route53::HostedZone::Id",
    }
)
"""The types whose values must exist in the account and the region."""
BASIC = frozenset({"String", "Number", "CommaDelimitedList", "List<Number>", "List<String>"})
SSM_NAME = "AWS::SSM::Parameter::Name"
SSM_VALUE = "AWS::SSM::Parameter::Value<"
LIST = "List<"
MEMBERS = (
    "AllowedPattern", "AllowedValues", "ConstraintDescription", "Default", "Description", "MaxLength", "MaxValue", "MinLength",
    "MinValue", "NoEcho", "Type",
)  # fmt: skip
MAX_NUMBER = 200
MAX_NAME = 255
MAX_VALUE = 4096
MAX_DESCRIPTION = 4000
NUMBER = re.compile(r"\s*[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?\s*", re.ASCII)


class Parameter(msgspec.Struct):
    """A declaration. The bounds keep the text that the template has for them, for the messages."""

    key: str
    type: str
    default: str | None = None
    no_echo: bool = False
    description: str | None = None
    allowed_values: list[str] | None = None
    allowed_pattern: str | None = None
    constraint_description: str | None = None
    min_length: str | None = None
    max_length: str | None = None
    min_value: str | None = None
    max_value: str | None = None

    @property
    def ssm(self) -> bool:
        """Whether the value is the name of an SSM parameter whose value is what counts."""
        return self.type.startswith(SSM_VALUE)

    @property
    def value_type(self) -> str:
        """The type of what counts."""
        return self.type[len(SSM_VALUE) : -1] if self.ssm else self.type

    @property
    def many(self) -> bool:
        """Whether `Ref` gives a list."""
        return self.value_type == "CommaDelimitedList" or self.value_type.startswith(LIST)

    @property
    def item_type(self) -> str:
        """The type of a value, or of each item of a list."""
        kind = self.value_type
        if kind == "CommaDelimitedList":
            return "String"
        return kind[len(LIST) : -1] if kind.startswith(LIST) else kind


class Lookup(msgspec.Struct, frozen=True):
    """What must be looked up live for the parameter `key`. `kind` "ssm": the values of these SSM parameters; else the type of which these
    must exist. `then`: the type of which the values that were found must exist, or nothing."""

    key: str
    kind: str
    names: list[str]
    then: str = ""


def declared(template: Mapping[str, Any]) -> dict[str, Parameter]:
    """The Parameters section; TemplateError for what is wrong with it."""
    section = template.get("Parameters")
    if section is None:
        return {}
    if not isinstance(section, dict):
        raise format_error("Template parameters must be a map.")
    if len(section) > MAX_NUMBER:
        raise format_error(f"Number of parameters, {len(section)}, is greater than maximum allowed, {MAX_NUMBER}")
    return {key: _parameter(key, body) for key, body in section.items()}


def _parameter(key: str, body: Any) -> Parameter:
    if not (key.isascii() and key.isalnum()):
        raise format_error(f"Parameter name {key} is non alphanumeric.")
    if len(key) > MAX_NAME:
        raise format_error(f"Parameter name {key} is longer than {MAX_NAME} characters.")
    if not isinstance(body, dict):
        raise format_error("Any Parameters member must be an object.")
    for member in body:
        if member not in MEMBERS:
            raise TemplateError(f"Invalid template parameter property '{member}'")
    if "Type" not in body:
        raise format_error("Every Parameters object must contain a Type member.")
    parameter = Parameter(
        key=key,
        type=_type(body["Type"]),
        default=_text(body, "Default"),
        no_echo=_no_echo(body),
        description=_text(body, "Description"),
        allowed_values=_allowed_values(body),
        allowed_pattern=_text(body, "AllowedPattern"),
        constraint_description=_text(body, "ConstraintDescription"),
        min_length=_bound(key, body, "MinLength"),
        max_length=_bound(key, body, "MaxLength"),
        min_value=_bound(key, body, "MinValue"),
        max_value=_bound(key, body, "MaxValue"),
    )
    _consistent(parameter)
    return parameter


def _type(kind: Any) -> str:
    if not isinstance(kind, str):
        raise format_error("Every Type member must be a string.")
    inner = kind
    if kind.startswith(SSM_VALUE) and kind.endswith(">"):
        inner = kind[len(SSM_VALUE) : -1]
        if inner in ("Number", "List<Number>"):
            raise format_error(f"Unrecognized parameter type: {kind}")
    elif kind == SSM_NAME:
        return kind
    item = inner[len(LIST) : -1] if inner.startswith(LIST) and inner.endswith(">") else inner
    if inner in BASIC or (item in SPECIFIC and inner != "List<AWS::EC2::KeyPair::KeyName>"):
        return kind
    raise format_error(f"Unrecognized parameter type: {kind}")


def _text(body: dict[str, Any], member: str) -> str | None:
    value = body.get(member)
    if value is None:
        return None
    if not isinstance(value, SCALARS):
        raise format_error(f"Every {member} member must be a string.")
    return text_of(value)


def _no_echo(body: dict[str, Any]) -> bool:
    value = _text(body, "NoEcho")
    if value is None or value.lower() == "false":
        return False
    if value.lower() != "true":
        raise format_error("Every NoEcho member must be a boolean.")
    return True


def _allowed_values(body: dict[str, Any]) -> list[str] | None:
    allowed = body.get("AllowedValues")
    if allowed is None:
        return None
    if not isinstance(allowed, list):
        raise format_error("Every AllowedValues member must be a list.")
    if not all(isinstance(value, SCALARS) for value in allowed):
        raise format_error("Every AllowedValues value must be a string.")
    return [text_of(value) for value in allowed]


def _bound(key: str, body: dict[str, Any], member: str) -> str | None:
    text = _text(body, member)
    if text is not None and not NUMBER.fullmatch(text):
        raise template_error(f"Parameter '{key}' {member} must be a number.")
    return text


def _consistent(parameter: Parameter) -> None:
    key, lists = parameter.key, parameter.many
    numeric = parameter.item_type == "Number"
    text_only = {"AllowedPattern": parameter.allowed_pattern, "MinLength": parameter.min_length, "MaxLength": parameter.max_length}
    if numeric:
        for member, value in text_only.items():
            if value is not None:
                raise template_error(f"Parameter '{key}' {member} must be on a parameter of type String")
    elif not lists:
        for member, value in {"MinValue": parameter.min_value, "MaxValue": parameter.max_value}.items():
            if value is not None:
                raise template_error(f"Parameter '{key}' {member} must be on a parameter of type Number")
    for low, high, least, most in (
        ("MinLength", "MaxLength", parameter.min_length, parameter.max_length),
        ("MinValue", "MaxValue", parameter.min_value, parameter.max_value),
    ):
        if least is not None and most is not None and float(least) > float(most):
            raise template_error(f"Parameter '{key}' {low} must be less than {high}.")
    if parameter.description is not None and len(parameter.description) > MAX_DESCRIPTION:
        raise format_error(f"Parameter '{key}' Description length is greater than {MAX_DESCRIPTION}.")
    if parameter.default is not None and len(parameter.default.encode()) > MAX_VALUE:
        raise TemplateError(f"Parameter '{key}' default value '{parameter.default}' length is greater than {MAX_VALUE}.")
    if parameter.allowed_pattern is not None:
        compiled_pattern(key, parameter.allowed_pattern)


def values(
    declared: Mapping[str, Parameter], given: Iterable[Mapping[str, Any]], previous: Mapping[str, str] | None = None
) -> dict[str, str]:
    """The value of every parameter, in the template's order: the given one, else the default. `given`: as in the API (`ParameterKey`,
    `ParameterValue`, `UsePreviousValue`); `previous`: the stack's values, None when there is no stack."""
    given = list(given)
    unknown = list(dict.fromkeys(str(entry.get("ParameterKey")) for entry in given if entry.get("ParameterKey") not in declared))
    if unknown:
        raise TemplateError(f"Parameters: [{', '.join(unknown)}] do not exist in the template")
    chosen: dict[str, str] = {}
    for entry in given:
        key = entry["ParameterKey"]
        value = _given(declared[key], entry, previous)
        if value is None:
            raise TemplateError(f"Parameter {key} should either have input value or default value")
        chosen[key] = value
    result: dict[str, str] = {}
    missing = []
    for key, parameter in declared.items():
        chosen_or_default = chosen.get(key, parameter.default)
        if chosen_or_default is None:
            missing.append(key)
        else:
            result[key] = chosen_or_default
    if missing:
        raise TemplateError(f"Parameters: [{', '.join(missing)}] must have values")
    for key, value in result.items():
        _satisfied(declared[key], value)
    return result


def _given(parameter: Parameter, entry: Mapping[str, Any], previous: Mapping[str, str] | None) -> str | None:
    key, value = parameter.key, entry.get("ParameterValue")
    if not entry.get("UsePreviousValue"):
        return parameter.default if value is None else str(value)
    if value:
        raise TemplateError(
            f"Invalid input for parameter key {key}. Cannot specify usePreviousValue as true and non empty value for a parameter"
        )
    if previous is None or key not in previous:
        raise TemplateError(
            f"Invalid input for parameter key {key}. Cannot specify usePreviousValue as true for a parameter key not in the previous template"
        )
    return previous[key]


def _satisfied(parameter: Parameter, value: str) -> None:
    """The declared constraints, each item of a list by itself (of an SSM type: the name)."""
    key = parameter.key
    if len(value.encode(errors="surrogatepass")) > MAX_VALUE:
        raise TemplateError(f"Parameter '{key}' value length is greater than {MAX_VALUE}.")
    items = items_of(value) if parameter.many and not parameter.ssm else [value]
    for item in items:
        wrong = _wrong(parameter, item)
        if wrong is not None:
            if parameter.constraint_description is not None and wrong != NOT_A_NUMBER:
                raise TemplateError(f"Parameter {key} failed to satisfy constraint: {parameter.constraint_description}")
            raise TemplateError(f"Parameter '{key}' {wrong}")


NOT_A_NUMBER = "must be a number."


def _wrong(parameter: Parameter, item: str) -> str | None:
    if parameter.item_type == "Number" and not parameter.ssm and not NUMBER.fullmatch(item):
        return NOT_A_NUMBER
    if parameter.allowed_values is not None and item not in parameter.allowed_values:
        return "must be one of AllowedValues"
    if parameter.min_length is not None and len(item) < float(parameter.min_length):
        return f"must contain at least {parameter.min_length} characters"
    if parameter.max_length is not None and len(item) > float(parameter.max_length):
        return f"must contain at most {parameter.max_length} characters"
    if parameter.min_value is not None and NUMBER.fullmatch(item) and float(item) < float(parameter.min_value):
        return f"must be a number not less than {parameter.min_value}"
    if parameter.max_value is not None and NUMBER.fullmatch(item) and float(item) > float(parameter.max_value):
        return f"must be a number not greater than {parameter.max_value}"
    if parameter.allowed_pattern is not None and not compiled_pattern(parameter.key, parameter.allowed_pattern).matches(item):
        return f"must match pattern {parameter.allowed_pattern}"
    return None


def items_of(text: str) -> list[str]:
    """The items of a list that was given as text."""
    return [item.strip() for item in text.split(",")]


def wanted(declared: Mapping[str, Parameter], values: Mapping[str, str]) -> list[Lookup]:
    """What the values mean outside: SSM parameters to read, and identifiers that must exist."""
    lookups = []
    for key, value in values.items():
        parameter = declared[key]
        item = parameter.item_type
        if parameter.ssm:
            lookups.append(Lookup(key, "ssm", [value], then=item if item in SPECIFIC else ""))
        elif item in SPECIFIC or item == SSM_NAME:
            lookups.append(Lookup(key, item, items_of(value) if parameter.many else [value]))
    return lookups


def resolved(declared: Mapping[str, Parameter], values: Mapping[str, str], ssm: Mapping[str, str]) -> dict[str, Any]:
    """What `Ref` gives for each parameter: text, or a list of texts. `ssm`: the live values by the SSM parameters' names."""
    absent = [value for key, value in values.items() if declared[key].ssm and value not in ssm]
    if absent:
        names = ", ".join(dict.fromkeys(absent))
        raise TemplateError(f"Unable to fetch parameters [{names}] from parameter store for this account.")
    result: dict[str, Any] = {}
    for key, value in values.items():
        parameter = declared[key]
        text = ssm[value] if parameter.ssm else value
        result[key] = items_of(text) if parameter.many else text
    return result

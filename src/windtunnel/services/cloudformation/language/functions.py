"""The intrinsic functions by name, and how a call of one looks: a map with one key."""

from __future__ import annotations

import re
from typing import Any, Final

from windtunnel.services.cloudformation.language.errors import TemplateError

REF: Final = "Ref"
CONDITION: Final = "Condition"
FN: Final = "Fn::"
TRANSFORM: Final = "Fn::Transform"
FOR_EACH: Final = "Fn::ForEach::"

LISTED = (
    "Fn::Base64", "Fn::GetAtt", "Fn::GetAZs", "Fn::ImportValue", "Fn::Join", "Fn::Split", "Fn::FindInMap", "Fn::Select", "Ref",
    "Fn::Equals", "Fn::If", "Fn::Not", "Condition", "Fn::And", "Fn::Or", "Fn::Contains", "Fn::EachMemberEquals", "Fn::EachMemberIn",
    "Fn::ValueOf", "Fn::ValueOfAll", "Fn::RefAll", "Fn::Sub", "Fn::Cidr",
)  # fmt: skip
"""The functions as AWS's message about an unknown one lists them."""
BOOLEAN = frozenset({"Fn::And", "Fn::Or", "Fn::Not", "Fn::Equals"})
RULES_ONLY = frozenset({"Fn::Contains", "Fn::EachMemberEquals", "Fn::EachMemberIn", "Fn::RefAll", "Fn::ValueOf", "Fn::ValueOfAll"})
BY_EXTENSION = frozenset({"Fn::Length", "Fn::ToJsonString"})
VALUES = frozenset(LISTED) - BOOLEAN - RULES_ONLY - {CONDITION} | BY_EXTENSION
"""What may stand for a value in Resources and Outputs."""
KNOWN = VALUES | BOOLEAN

GET_ATT_SHAPE = "every Fn::GetAtt object requires two non-empty parameters, the resource name and the resource attribute"
SUB_SHAPE = (
    "One or more Fn::Sub intrinsic functions don't specify expected arguments. Specify a string as first argument, "
    "and an optional second argument to specify a mapping of values to replace in the string"
)
SUB_NAMES = "variable names in Fn::Sub syntax must contain only alphanumeric characters, underscores, periods, and colons"
SUB_KEYS = "every key of the context object of every Fn::Sub object must contain only alphanumeric characters and underscores"
VARIABLE = re.compile(r"\$\{([^}]*)\}")
VARIABLE_NAME = re.compile(r"[A-Za-z0-9_.:]+")
KEY_NAME = re.compile(r"[A-Za-z0-9_]+")


def template_error(text: str) -> TemplateError:
    return TemplateError(f"Template error: {text}")


def format_error(text: str) -> TemplateError:
    return TemplateError(f"Template format error: {text}")


def call_of(node: dict[str, Any]) -> str | None:
    """The name of the function that a map calls, known or not; None for plain data. `Condition` is data outside conditions."""
    if len(node) != 1:
        return None
    (name,) = node
    return name if name == REF or name.startswith(FN) else None


def unsupported(name: str) -> TemplateError:
    return TemplateError(f"Template Error: Encountered unsupported function: {name} Supported functions are: [{', '.join(LISTED)}]")


def get_att(argument: Any) -> tuple[Any, Any]:
    """The resource and the attribute of a `Fn::GetAtt`; the attribute (in the list form) may itself be a function."""
    if isinstance(argument, str):
        resource, _, attribute = argument.partition(".")
        argument = [resource, attribute]
    if not isinstance(argument, list) or len(argument) < 2:
        raise template_error(GET_ATT_SHAPE)
    resource, attribute = argument[0], argument[1]
    if len(argument) > 2:
        if not all(isinstance(part, str) for part in argument):
            raise template_error(GET_ATT_SHAPE)
        attribute = ".".join(argument[1:])
    if not isinstance(resource, str) or not resource or not attribute or not isinstance(attribute, str | dict):
        raise template_error(GET_ATT_SHAPE)
    return resource, attribute


def sub(argument: Any) -> tuple[str, dict[str, Any]]:
    """The text and the local variables of a `Fn::Sub`."""
    if isinstance(argument, str):
        return argument, {}
    if isinstance(argument, list) and len(argument) == 2 and isinstance(argument[0], str) and isinstance(argument[1], dict):
        if not all(KEY_NAME.fullmatch(key) for key in argument[1]):
            raise template_error(SUB_KEYS)
        return argument[0], argument[1]
    raise template_error(SUB_SHAPE)


def sub_parts(text: str) -> list[tuple[str, str | None]]:
    """The text of a `Fn::Sub` as (literal text, the variable that follows it), in order; `${!x}` is the literal `${x}`."""
    parts: list[tuple[str, str | None]] = []
    literal, position = "", 0
    for match in VARIABLE.finditer(text):
        literal += text[position : match.start()]
        position = match.end()
        name = match.group(1)
        if name.startswith("!"):
            literal += "${" + name[1:] + "}"
            continue
        if not VARIABLE_NAME.fullmatch(name):
            raise template_error(SUB_NAMES)
        parts.append((literal, name))
        literal = ""
    parts.append((literal + text[position:], None))
    return parts


def sub_variables(argument: Any) -> list[str]:
    """The variables of a `Fn::Sub` that it does not define itself."""
    text, own = sub(argument)
    return [name for _, name in sub_parts(text) if name is not None and name not in own]

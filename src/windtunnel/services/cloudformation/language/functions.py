"""The intrinsic functions by name, and how a call of one looks: a map with one key."""

from __future__ import annotations

import re
from functools import lru_cache
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

SUB_NAMES = "variable names in Fn::Sub syntax must contain only alphanumeric characters, underscores, periods, and colons"
REMEMBERED = 200
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


def sub_parts(text: str) -> list[tuple[str, str | None]]:
    """The text of a `Fn::Sub` as (literal text, the variable that follows it), in order; `${!x}` is the literal `${x}`. Nobody changes it:
    that of a short text is remembered, for it is asked for when a template is checked, ordered and resolved."""
    return _remembered(text) if len(text) <= REMEMBERED else _sub_parts(text)


def _sub_parts(text: str) -> list[tuple[str, str | None]]:
    parts: list[tuple[str, str | None]] = []
    literal, position = "", 0
    # Behind the last brace nothing can match, and looking there again from each "${" is quadratic.
    for match in VARIABLE.finditer(text, 0, text.rfind("}") + 1):
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


_remembered = lru_cache(maxsize=4096)(_sub_parts)

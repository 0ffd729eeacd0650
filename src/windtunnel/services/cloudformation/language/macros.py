"""Transforms and macros: which a template names, where the inline ones stand, and how an answer is put in.

Who applies them is the caller: AWS::Include needs S3, SAM a helper process, macros a function. AWS::LanguageExtensions is `extensions`.
"""

from __future__ import annotations

from typing import Any

import msgspec

from windtunnel.services.cloudformation.language.errors import TemplateError
from windtunnel.services.cloudformation.language.functions import FOR_EACH, TRANSFORM
from windtunnel.services.cloudformation.language.parse import sound

LANGUAGE_EXTENSIONS = "AWS::LanguageExtensions"
SERVERLESS = "AWS::Serverless-2016-10-31"
INCLUDE = "AWS::Include"
NOT_A_NAME = "Key Name of transform definition must be a string."
_IN_TEXT = (b'"Fn::Transform":', b'"Fn::ForEach::')
"""What the JSON of a template holds that has a macro or a loop: looked for at once, where a walk through the template takes milliseconds."""
Pointer = tuple[str | int, ...]


class Macro(msgspec.Struct, frozen=True):
    """A `Fn::Transform`. `pointer`: the map in which it stands; `siblings`: that map without it, which is what a macro is given as its
    fragment (the whole template when it stands at the top)."""

    pointer: Pointer
    name: str
    parameters: dict[str, Any]
    siblings: dict[str, Any]


def transforms(template: dict[str, Any]) -> list[str | dict[str, Any]]:
    """The Transform section: names, or maps with Name and Parameters, in the order of application."""
    section = template.get("Transform")
    if section is None:
        return []
    entries = section if isinstance(section, list) else [section]
    for entry in entries:
        transform_name(entry)
    return list(entries)


def transform_name(entry: Any) -> str:
    """The name of an entry of the Transform section, or of a `Fn::Transform`."""
    name = entry.get("Name") if isinstance(entry, dict) else entry
    if not isinstance(name, str) or not name:
        raise TemplateError(NOT_A_NAME)
    return name


def transform_parameters(entry: Any) -> dict[str, Any]:
    parameters = entry.get("Parameters") if isinstance(entry, dict) else None
    return parameters if isinstance(parameters, dict) else {}


def macros(template: dict[str, Any]) -> list[Macro]:
    """Every `Fn::Transform`, in the order of application: inner ones before outer ones, then as they stand in the template. After one of
    them was applied the template is another: look again."""
    found: list[Macro] = []
    if _IN_TEXT[0] in msgspec.json.encode(template):
        _find(template, (), found)
    return found


def _find(node: Any, pointer: Pointer, found: list[Macro]) -> None:
    if isinstance(node, dict):
        for key, child in node.items():
            if isinstance(child, dict | list) and not (pointer == () and key == "Transform"):
                _find(child, (*pointer, key), found)
        if TRANSFORM in node:
            entry = node[TRANSFORM]
            for one in entry if isinstance(entry, list) else [entry]:
                siblings = {key: child for key, child in node.items() if key != TRANSFORM}
                found.append(Macro(pointer, transform_name(one), transform_parameters(one), siblings))
    elif isinstance(node, list):
        for index, child in enumerate(node):
            if isinstance(child, dict | list):
                _find(child, (*pointer, index), found)


def put(template: dict[str, Any], macro: Macro, answer: Any) -> dict[str, Any]:
    """The template with the macro's map replaced by the answer; of `AWS::Include` the answer is what was included, and its siblings stay.
    A copy along the way; the rest is shared."""
    if macro.name == INCLUDE and isinstance(answer, dict):
        answer = {**macro.siblings, **answer}
    result: Any = replaced(template, macro.pointer, sound(answer))
    if not isinstance(result, dict):
        raise TemplateError(f"Transform {macro.name} failed with: the answer must be an object.")
    return result


def replaced(node: Any, pointer: Pointer, answer: Any) -> Any:
    if not pointer:
        return answer
    step = pointer[0]
    copy = node.copy()
    copy[step] = replaced(node[step], pointer[1:], answer)
    return copy


def is_to_be_transformed(template: dict[str, Any]) -> bool:
    """Whether something will still rewrite the template."""
    if template.get("Transform"):
        return True
    text = msgspec.json.encode(template)
    return any(mark in text for mark in _IN_TEXT) and _has_macro(template)


def looped(template: dict[str, Any]) -> str:
    """Where a `Fn::ForEach` stands that nothing has expanded, as a pointer; "" when there is none."""
    return _loop(template, "") if _IN_TEXT[1] in msgspec.json.encode(template) else ""


def _loop(node: Any, place: str) -> str:
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, child in items:
        if isinstance(key, str) and key.startswith(FOR_EACH):
            return f"{place}/{key}"
        found = _loop(child, f"{place}/{key}")
        if found:
            return found
    return ""


def _has_macro(node: Any) -> bool:
    if type(node) is dict:
        for key in node:
            if key[:4] == "Fn::" and (key == TRANSFORM or key.startswith(FOR_EACH)):
                return True
        children: Any = node.values()
    else:
        children = node
    for child in children:
        kind = type(child)
        if (kind is dict or kind is list) and _has_macro(child):
            return True
    return False

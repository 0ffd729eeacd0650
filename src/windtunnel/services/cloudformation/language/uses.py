"""What a node refers to, found without resolving it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from windtunnel.services.cloudformation.language.environment import PSEUDO_PARAMETERS
from windtunnel.services.cloudformation.language.functions import call_of, get_att, sub, sub_parts


class Uses(msgspec.Struct):
    """`names`: parameters and resources by `Ref` and `Fn::Sub` (no pseudo parameters); `attributes`: (resource, attribute), the attribute
    empty when a function gives it; `conditions`: of `Fn::If`. Each in the order of the first use. `maps` and `imports`: the arguments of
    every `Fn::FindInMap` and `Fn::ImportValue`; `zones`: whether `Fn::GetAZs` is called."""

    names: dict[str, None] = {}
    attributes: dict[tuple[str, str], None] = {}
    conditions: dict[str, None] = {}
    maps: list[Any] = []
    imports: list[Any] = []
    zones: bool = False


def uses(node: Any, conditions: dict[str, bool] | None = None) -> Uses:
    """All that a node refers to; with conditions, what the branches refer to that are taken."""
    found = Uses()
    _walk(node, found, conditions)
    return found


def references(node: Any) -> set[str]:
    """The parameters and resources that a node refers to by `Ref` or `Fn::Sub`."""
    return set(uses(node).names)


def attribute_references(node: Any) -> set[tuple[str, str]]:
    """The resources' attributes that a node refers to by `Fn::GetAtt` or `Fn::Sub`."""
    return set(uses(node).attributes)


def parameter_references(node: Any, declared: Any) -> set[str]:
    """The parameters that a node refers to."""
    return {name for name in uses(node).names if name in declared}


def condition_references(node: Any) -> set[str]:
    """The conditions by which a node's `Fn::If` choose."""
    return set(uses(node).conditions)


def _walk(node: Any, found: Uses, conditions: dict[str, bool] | None) -> None:
    kind = type(node)
    if kind is list:
        for child in node:
            if type(child) is dict or type(child) is list:
                _walk(child, found, conditions)
    elif kind is dict:
        if len(node) == 1:
            name = call_of(node)
            if name is not None:
                for child in _call(name, node[name], found, conditions):
                    _walk(child, found, conditions)
                return
        for child in node.values():
            if type(child) is dict or type(child) is list:
                _walk(child, found, conditions)


def _call(name: str, argument: Any, found: Uses, conditions: dict[str, bool] | None) -> Iterator[Any]:
    """Notes what a call itself refers to, and gives the arguments that remain to be looked at."""
    if name == "Ref":
        if isinstance(argument, str) and argument not in PSEUDO_PARAMETERS:
            found.names[argument] = None
        elif isinstance(argument, dict):
            yield argument
    elif name == "Fn::GetAtt":
        resource, attribute = get_att(argument)
        if isinstance(attribute, str):
            found.attributes[resource, attribute] = None
        else:
            found.attributes[resource, ""] = None
            yield attribute
    elif name == "Fn::Sub":
        text, own = sub(argument)
        _variables(text, own, found)
        yield own
    elif name == "Fn::If" and isinstance(argument, list) and len(argument) == 3 and isinstance(argument[0], str):
        found.conditions[argument[0]] = None
        if conditions is not None and argument[0] in conditions:
            yield argument[1 if conditions[argument[0]] else 2]
        else:
            yield argument[1:]
    else:
        if name == "Fn::FindInMap":
            found.maps.append(argument)
        elif name == "Fn::ImportValue":
            found.imports.append(argument)
        elif name == "Fn::GetAZs":
            found.zones = True
        yield argument


def _variables(text: str, own: dict[str, Any], found: Uses) -> None:
    if "${" not in text:
        return
    for _, variable in sub_parts(text):
        if variable is None or variable in own or variable in PSEUDO_PARAMETERS:
            continue
        resource, dot, attribute = variable.partition(".")
        if dot:
            found.attributes[resource, attribute] = None
        else:
            found.names[variable] = None

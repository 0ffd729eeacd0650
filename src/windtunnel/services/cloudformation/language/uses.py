"""What a node refers to, found without resolving it; whether its functions are called as they must be is looked at on the way."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import msgspec

from windtunnel.services.cloudformation.language import shapes
from windtunnel.services.cloudformation.language.environment import PSEUDO_PARAMETERS
from windtunnel.services.cloudformation.language.functions import BOOLEAN, REF, RULES_ONLY, sub_parts, unsupported


class Uses(msgspec.Struct):
    """`names`: parameters and resources by `Ref` and `Fn::Sub` (no pseudo parameters); `attributes`: (resource, attribute), the attribute
    empty when a function gives it; `conditions`: of `Fn::If`. Each in the order of the first use. `maps` and `imports`: the arguments of
    every `Fn::FindInMap` and `Fn::ImportValue`; `zones`: whether `Fn::GetAZs` is called; `test`: a boolean function that is."""

    names: dict[str, None] = {}
    attributes: dict[tuple[str, str], None] = {}
    conditions: dict[str, None] = {}
    maps: list[Any] = []
    imports: list[Any] = []
    zones: bool = False
    test: str = ""


Known = Mapping[str, bool] | None
Visit = Callable[[Any, Uses, Known], None]


def uses(node: Any, conditions: Known = None) -> Uses:
    """All that a node refers to; with conditions, what the branches refer to that are taken. TemplateError for a malformed function."""
    found = Uses()
    if type(node) is dict or type(node) is list:
        _walk(node, found, conditions)
    return found


def references(node: Any) -> set[str]:
    """The parameters and resources that a node refers to by `Ref` or `Fn::Sub`."""
    return set(uses(node).names)


def attribute_references(node: Any) -> set[tuple[str, str]]:
    """The resources' attributes that a node refers to by `Fn::GetAtt` or `Fn::Sub`."""
    return set(uses(node).attributes)


def parameter_references(node: Any, declared: Collection[str]) -> set[str]:
    """The parameters that a node refers to."""
    return {name for name in uses(node).names if name in declared}


def condition_references(node: Any) -> set[str]:
    """The conditions by which a node's `Fn::If` choose."""
    return set(uses(node).conditions)


def _walk(node: Any, found: Uses, conditions: Known) -> None:
    """`node` is a map or a list."""
    if type(node) is dict:
        if len(node) == 1:
            for name, argument in node.items():
                visit = VISITS.get(name)
                if visit is not None:
                    visit(argument, found, conditions)
                    return
                if name.startswith("Fn::"):
                    raise unsupported(name)
        children: Any = node.values()
    else:
        children = node
    for child in children:
        kind = type(child)
        if kind is dict or kind is list:
            _walk(child, found, conditions)


def _inside(argument: Any, found: Uses, conditions: Known) -> None:
    if type(argument) is dict or type(argument) is list:
        _walk(argument, found, conditions)


def _ref(argument: Any, found: Uses, conditions: Known) -> None:
    shapes.ref(argument)
    if argument not in PSEUDO_PARAMETERS:
        found.names[argument] = None


def _get_att(argument: Any, found: Uses, conditions: Known) -> None:
    resource, attribute = shapes.get_att(argument)
    if isinstance(attribute, str):
        found.attributes[resource, attribute] = None
    else:
        found.attributes[resource, ""] = None
        _walk(attribute, found, conditions)


def _sub(argument: Any, found: Uses, conditions: Known) -> None:
    text, own = shapes.sub(argument)
    if "${" in text:
        for _, variable in sub_parts(text):
            if variable is None or variable in own or variable in PSEUDO_PARAMETERS:
                continue
            resource, dot, attribute = variable.partition(".")
            if dot:
                found.attributes[resource, attribute] = None
            else:
                found.names[variable] = None
    if own:
        _walk(own, found, conditions)


def _if(argument: Any, found: Uses, conditions: Known) -> None:
    name = shapes.choice(argument)
    found.conditions[name] = None
    if conditions is not None and name in conditions:
        _inside(argument[1 if conditions[name] else 2], found, conditions)
    else:
        _inside(argument[1], found, conditions)
        _inside(argument[2], found, conditions)


def _find_in_map(argument: Any, found: Uses, conditions: Known) -> None:
    shapes.find_in_map(argument)
    found.maps.append(argument)
    _walk(argument, found, conditions)


def _import_value(argument: Any, found: Uses, conditions: Known) -> None:
    found.imports.append(argument)
    _inside(argument, found, conditions)


def _get_azs(argument: Any, found: Uses, conditions: Known) -> None:
    found.zones = True
    _inside(argument, found, conditions)


def _shaped(shape: Callable[[Any], None]) -> Visit:
    def visit(argument: Any, found: Uses, conditions: Known) -> None:
        shape(argument)
        _inside(argument, found, conditions)

    return visit


def _test(name: str) -> Visit:
    def visit(argument: Any, found: Uses, conditions: Known) -> None:
        found.test = name
        _inside(argument, found, conditions)

    return visit


VISITS: dict[str, Visit] = {
    REF: _ref,
    "Fn::GetAtt": _get_att,
    "Fn::Sub": _sub,
    "Fn::If": _if,
    "Fn::FindInMap": _find_in_map,
    "Fn::ImportValue": _import_value,
    "Fn::GetAZs": _get_azs,
    "Fn::Base64": _inside,
    "Fn::Cidr": _shaped(shapes.cidr),
    "Fn::Join": _shaped(shapes.join),
    "Fn::Split": _shaped(shapes.split),
    "Fn::Select": _shaped(shapes.select),
    "Fn::Length": _shaped(shapes.length),
    "Fn::ToJsonString": _shaped(shapes.to_json),
    **{name: _test(name) for name in BOOLEAN | RULES_ONLY},
}

"""Whether what a template refers to exists, and whether its functions are called as they must be."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from windtunnel.services.cloudformation.language.booleans import compile_test
from windtunnel.services.cloudformation.language.errors import TemplateError
from windtunnel.services.cloudformation.language.functions import format_error, template_error
from windtunnel.services.cloudformation.language.graph import explicit
from windtunnel.services.cloudformation.language.resources import is_custom
from windtunnel.services.cloudformation.language.scalars import text_of
from windtunnel.services.cloudformation.language.uses import Uses, uses

RESOLVED = ("CreationPolicy", "Metadata", "Properties", "UpdatePolicy")
"""The parts of a resource that may hold functions."""
INDEPENDENT = "must not depend on any resources, imported values, or Fn::GetAZs"


def names_of(template: dict[str, Any], section: str) -> dict[str, Any]:
    return template.get(section) or {}


def check_references(template: dict[str, Any]) -> dict[str, list[Uses]]:
    """What each resource refers to. TemplateError for the first function or reference that is wrong, in Resources and in Outputs."""
    parameters, resources = names_of(template, "Parameters"), names_of(template, "Resources")
    missing: dict[str, None] = {}
    found: dict[str, list[Uses]] = {}
    for name, resource in resources.items():
        _condition_exists(template, resource)
        parts = (resource[part] for part in RESOLVED if part in resource)
        found[name] = [_part(template, part, missing, parameters, resources) for part in parts]
        for other in explicit(resource):
            if other not in resources:
                missing[other] = None
    if missing:
        raise format_error(f"Unresolved resource dependencies [{', '.join(missing)}] in the Resources block of the template")
    for output in names_of(template, "Outputs").values():
        _condition_exists(template, output)
        _part(template, output["Value"], missing, parameters, resources)
        if "Export" in output:
            _export(template, output["Export"], missing, parameters, resources)
    if missing:
        raise TemplateError(f"Unresolved resource dependencies [{', '.join(missing)}] in the Outputs block of the template")
    return found


def check_attributes(
    template: dict[str, Any], used: Mapping[str, Iterable[Uses]], attributes: Callable[[str], Collection[str] | None]
) -> None:
    """TemplateError for an attribute that its resource's type does not have. What a nested stack puts out is known when it is made."""
    resources = names_of(template, "Resources")
    outputs = [uses([output["Value"]]) for output in names_of(template, "Outputs").values()]
    for part in [*(part for parts in used.values() for part in parts), *outputs]:
        for owner, attribute in part.attributes:
            kind = resources[owner]["Type"]
            if not attribute or is_custom(kind) or (kind == "AWS::CloudFormation::Stack" and attribute.startswith("Outputs.")):
                continue
            supported = attributes(kind)
            if supported is not None and attribute not in supported:
                raise template_error(f"resource {owner} does not support attribute type {attribute} in Fn::GetAtt")


def _condition_exists(template: dict[str, Any], part: dict[str, Any]) -> None:
    condition = part.get("Condition")
    if condition is not None and condition not in names_of(template, "Conditions"):
        raise format_error(f"Condition {condition}  is not defined.")


def _part(template: dict[str, Any], node: Any, missing: dict[str, None], parameters: Collection[str], resources: Collection[str]) -> Uses:
    used = uses(node)
    if used.test:
        raise template_error(f"{used.test} cannot be partially collapsed")
    for name in used.names:
        if name not in resources and name not in parameters:
            missing[name] = None
    for owner, attribute in used.attributes:
        if owner not in resources:
            raise _no_such_resource(node, owner, attribute)
    for condition in used.conditions:
        if condition not in names_of(template, "Conditions"):
            raise template_error(f"unresolved condition dependency {condition} in Fn::If")
    for argument in used.maps:
        check_map(template, argument)
    for argument in used.imports:
        if depends(argument, parameters):
            raise template_error(f"the attribute in Fn::ImportValue {INDEPENDENT}")
    return used


def _no_such_resource(node: Any, owner: str, attribute: str) -> TemplateError:
    if _in_a_sub(node, f"${{{owner}.{attribute}}}"):
        return template_error(f"instance of Fn::Sub references invalid resource attribute {owner}.{attribute}")
    return template_error(f"instance of Fn::GetAtt references undefined resource {owner}")


def _in_a_sub(node: Any, variable: str) -> bool:
    """Whether a variable stands in the text of some `Fn::Sub`: asked when an error is to be worded."""
    if isinstance(node, list):
        return any(_in_a_sub(child, variable) for child in node)
    if not isinstance(node, dict):
        return False
    argument = node.get("Fn::Sub")
    text = argument[0] if isinstance(argument, list) and argument else argument
    return (isinstance(text, str) and variable in text) or any(_in_a_sub(child, variable) for child in node.values())


def depends(node: Any, parameters: Collection[str]) -> bool:
    """Whether a node needs more than parameters, mappings and conditions."""
    used = uses(node)
    return bool(used.attributes or used.imports or used.zones or any(name not in parameters for name in used.names))


def check_map(template: dict[str, Any], argument: Any) -> None:
    """A `Fn::FindInMap` whose names are written out must find something."""
    if len(argument) == 4 or not isinstance(argument[0], str):
        return
    name, top, second = argument
    mappings = names_of(template, "Mappings")
    if name not in mappings:
        raise template_error(f"Mapping named '{name}' is not present in the 'Mappings' section of template.")
    if isinstance(top, dict | list) or isinstance(second, dict | list):
        return
    if text_of(second) not in mappings[name].get(text_of(top), ()):
        raise template_error(f"Unable to get mapping for {name}::{text_of(top)}::{text_of(second)}")


def _export(
    template: dict[str, Any], export: dict[str, Any], missing: dict[str, None], parameters: Collection[str], resources: Collection[str]
) -> None:
    name = export["Name"]
    if not isinstance(name, dict):
        return
    if depends(name, parameters):
        raise format_error(f"The Name field of Export {INDEPENDENT}.")
    _part(template, name, missing, parameters, resources)


def check_condition(template: dict[str, Any], body: dict[str, Any], parameters: Collection[str]) -> list[str]:
    """The shape of a condition; the names in it that are no parameters are returned."""
    used = uses(body)
    if used.imports:
        raise template_error("Cannot use Fn::ImportValue in Conditions.")
    compile_test(body)
    for argument in used.maps:
        check_map(template, argument)
    for owner, _ in used.attributes:
        if owner not in names_of(template, "Resources"):
            raise template_error(f"instance of Fn::GetAtt references undefined resource {owner}")
    return [name for name in [*used.names, *(owner for owner, _ in used.attributes)] if name not in parameters]

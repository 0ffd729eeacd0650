"""All that is wrong with a template whatever its parameters are, found in AWS's order and said in AWS's words.

A template that is still to be transformed (SAM, macros, loops) is held to what no transform can mend; the processed one to everything.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from types import NoneType
from typing import Any

from windtunnel.services.cloudformation.language import graph
from windtunnel.services.cloudformation.language.conditions import in_order
from windtunnel.services.cloudformation.language.errors import TemplateError
from windtunnel.services.cloudformation.language.functions import call_of, format_error, template_error
from windtunnel.services.cloudformation.language.macros import is_to_be_transformed
from windtunnel.services.cloudformation.language.parameters import declared
from windtunnel.services.cloudformation.language.references import check_attributes, check_condition, check_references, names_of
from windtunnel.services.cloudformation.language.resources import check_resource, is_custom, supports_snapshot
from windtunnel.services.cloudformation.language.rules import check_rules
from windtunnel.services.cloudformation.language.scalars import text_of
from windtunnel.services.cloudformation.language.shapes import SCALARS

VERSION = "2010-09-09"
SECTIONS = (
    "AWSTemplateFormatVersion", "Conditions", "Description", "Hooks", "Mappings", "Metadata", "Outputs", "Parameters", "Resources",
    "Rules", "Transform",
)  # fmt: skip
GLOBALS = "Globals"
"""SAM's own section, which its transform takes away."""
MAX_DESCRIPTION = 1024
MAX_RESOURCES = 500
MAX_NAME = 255
LIMITS = {"Mappings": 200, "Outputs": 200}
MAX_ATTRIBUTES = 200


def check(
    template: dict[str, Any],
    *,
    known_types: Callable[[str], bool],
    attributes: Callable[[str], Collection[str] | None] | None = None,
) -> None:
    """TemplateError for the first thing that is wrong. `known_types` says whether a resource type exists (modules too; custom resources
    always do), `attributes` what `Fn::GetAtt` takes of a type, None when anything."""
    later = is_to_be_transformed(template)
    _sections(template, later)
    parameters = declared(template)
    _mappings(template, later)
    _resources_exist(template)
    if later:
        return
    _conditions(template)
    _resources(template, known_types)
    _outputs(template)
    check_rules(template, parameters)
    _unique_names(template)
    used = check_references(template)
    if attributes is not None:
        check_attributes(template, used, attributes)
    graph.refuse_circles(graph.certain(template, used))


def _sections(template: dict[str, Any], later: bool) -> None:
    version = template.get("AWSTemplateFormatVersion")
    if not isinstance(version, (*SCALARS, NoneType)):
        raise format_error("Every AWSTemplateFormatVersion member must be a string.")
    if version is not None and version != VERSION:
        raise format_error(f"{text_of(version)} is not a supported value for AWSTemplateFormatVersion.")
    unknown = [name for name in template if name not in SECTIONS and not (later and (name == GLOBALS or name.startswith("Fn::")))]
    if unknown:
        raise TemplateError(f"Invalid template property or properties [{', '.join(unknown)}]")
    description = template.get("Description")
    if description is not None:
        if not isinstance(description, SCALARS):
            raise format_error("Every Description member must be a string.")
        if len(text_of(description).encode()) > MAX_DESCRIPTION:
            raise format_error(f"'Description' length is greater than {MAX_DESCRIPTION}")
    for name in ("Conditions", "Hooks", "Mappings", "Metadata", "Outputs", "Resources", "Rules"):
        if name in template and not isinstance(template[name], dict):
            raise format_error(f"{name} must be an object.")
    for name, most in LIMITS.items():
        _at_most(name.lower(), len(template.get(name) or ()), most)


def _at_most(what: str, number: int, most: int) -> None:
    if number > most:
        raise format_error(f"Number of {what}, {number}, is greater than maximum allowed, {most}")


def _alphanumeric(kind: str, name: str) -> None:
    if not (name.isascii() and name.isalnum()):
        raise format_error(f"{kind} name {name} is non alphanumeric.")
    if len(name) > MAX_NAME:
        raise format_error(f"{kind} name {name} is longer than {MAX_NAME} characters.")


def _mappings(template: dict[str, Any], later: bool) -> None:
    for name, mapping in (template.get("Mappings") or {}).items():
        if later and name.startswith("Fn::"):
            continue
        _alphanumeric("Mapping", name)
        if not isinstance(mapping, dict):
            raise format_error(f"Every Mappings member {name} must be a map")
        if later and "Fn::Transform" in mapping:
            continue
        _at_most("attributes", len(mapping), MAX_ATTRIBUTES)
        for key, row in mapping.items():
            _mapping_name(key)
            if not isinstance(row, dict):
                raise format_error(f"Every Mappings member {key} must be a map")
            _at_most("attributes", len(row), MAX_ATTRIBUTES)
            for attribute, value in row.items():
                _mapping_name(attribute)
                if not (isinstance(value, SCALARS) or (isinstance(value, list) and all(isinstance(item, SCALARS) for item in value))):
                    raise format_error("Every Mappings attribute must be a String or a List.")


def _mapping_name(name: str) -> None:
    if not (name.isascii() and name.replace("-", "").replace(".", "").isalnum()):
        raise format_error(f"Mappings attribute name '{name}' must contain only alphanumeric characters.")


def _resources_exist(template: dict[str, Any]) -> None:
    if not template.get("Resources"):
        raise format_error("At least one Resources member must be defined.")


def _conditions(template: dict[str, Any]) -> None:
    section = template.get("Conditions") or {}
    allowed = names_of(template, "Parameters")
    missing: dict[str, None] = {}
    for name, body in section.items():
        _alphanumeric("Condition", name)
        if not isinstance(body, dict):
            raise format_error("Any Conditions member must be an object.")
        missing.update(dict.fromkeys(check_condition(template, body, allowed)))
    if missing:
        names = ", ".join(missing)
        raise format_error(f"Unresolved dependencies [{names}]. Cannot reference resources in the Conditions block of the template")
    in_order(section)


def _resources(template: dict[str, Any], known_types: Callable[[str], bool]) -> None:
    resources = template["Resources"]
    _at_most("resources", len(resources), MAX_RESOURCES)
    for name, resource in resources.items():
        _alphanumeric("Resource", name)
        check_resource(name, resource)
    unknown = dict.fromkeys(
        resource["Type"] for resource in resources.values() if not is_custom(resource["Type"]) and not known_types(resource["Type"])
    )
    if unknown:
        raise format_error(f"Unrecognized resource types: [{', '.join(unknown)}]")
    for resource in resources.values():
        for policy in ("DeletionPolicy", "UpdateReplacePolicy"):
            if resource.get(policy) == "Snapshot" and not supports_snapshot(resource["Type"]):
                kind = "deletion policy" if policy == "DeletionPolicy" else "update replace policy"
                raise template_error(f"resource type {resource['Type']} does not support {kind} Snapshot")


def _outputs(template: dict[str, Any]) -> None:
    exported: dict[str, None] = {}
    for name, output in (template.get("Outputs") or {}).items():
        _alphanumeric("Output", name)
        if not isinstance(output, dict):
            raise format_error("Any Outputs member must be an object.")
        for member in output:
            if member not in ("Condition", "Description", "Export", "Value"):
                raise TemplateError(f"Invalid template output property '{member}'")
        if "Value" not in output:
            raise format_error("Every Outputs member must contain a Value object")
        _output_value(output["Value"])
        if not isinstance(output.get("Description", ""), SCALARS):
            raise format_error("Every Description member must be a string.")
        if len(text_of(output.get("Description", ""))) > MAX_DESCRIPTION:
            raise format_error(f"'Description' length is greater than {MAX_DESCRIPTION}")
        if not isinstance(output.get("Condition", ""), str):
            raise format_error("Every Condition member must be a string.")
        if "Export" in output:
            _export(output["Export"], exported)


def _output_value(value: Any) -> None:
    if not isinstance(value, dict | list) or (isinstance(value, dict) and call_of(value) is not None):
        return
    kind = "a Map" if isinstance(value, dict) else "a List"
    raise format_error(f"The Value field of every Outputs member must evaluate to a String and not {kind}.")


def _export(export: Any, exported: dict[str, None]) -> None:
    name = export.get("Name") if isinstance(export, dict) and set(export) == {"Name"} else None
    if name is None or isinstance(name, list) or name == "":
        raise format_error(
            "The Name field of every Export member must be specified and consist only of alphanumeric characters, colons, or hyphens."
        )
    if isinstance(name, dict):
        return
    export_name(text_of(name))
    if text_of(name) in exported:
        raise format_error(
            f"The Outputs section contains duplicate Export names: [{text_of(name)}]. Specify a unique name for each export."
        )
    exported[text_of(name)] = None


def export_name(name: str) -> None:
    """What holds for the name of an export, also when a function made it."""
    if not name or not (name.isascii() and name.replace(":", "").replace("-", "").isalnum()):
        raise format_error(
            "The Name field of every Export member must be specified and consist only of alphanumeric characters, colons, or hyphens."
        )
    if len(name) > MAX_NAME + 1:
        raise format_error("The Name field of every Export member must not be longer than 256 characters.")


def _unique_names(template: dict[str, Any]) -> None:
    both = [name for name in template["Resources"] if name in (template.get("Parameters") or ())]
    if both:
        raise template_error(f"all resources and parameters must have unique names. Common name(s):[{', '.join(both)}]")

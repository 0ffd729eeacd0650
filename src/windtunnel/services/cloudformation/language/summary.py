"""What a template declares, for GetTemplateSummary, ValidateTemplate and the capabilities that CreateStack asks for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from windtunnel.services.cloudformation.language.macros import macros, transform_name, transforms
from windtunnel.services.cloudformation.language.parameters import Parameter
from windtunnel.services.cloudformation.language.scalars import text_of

MASK = "****"
IAM = {
    "AWS::IAM::AccessKey": None,
    "AWS::IAM::Group": "GroupName",
    "AWS::IAM::InstanceProfile": "InstanceProfileName",
    "AWS::IAM::ManagedPolicy": "ManagedPolicyName",
    "AWS::IAM::Policy": None,
    "AWS::IAM::Role": "RoleName",
    "AWS::IAM::User": "UserName",
    "AWS::IAM::UserToGroupAddition": None,
}
"""The types that need a capability (User Guide, "Acknowledging IAM resources"), and the property that gives a name of one's own."""


def summary(template: Mapping[str, Any], declared: Mapping[str, Parameter]) -> dict[str, Any]:
    """Members as GetTemplateSummary has them; what the template does not have is left out."""
    resources: dict[str, Any] = {
        name: resource for name, resource in (template.get("Resources") or {}).items() if isinstance(resource, dict)
    }
    types = list(dict.fromkeys(resource["Type"] for resource in resources.values() if isinstance(resource.get("Type"), str)))
    expanding = declared_transforms(template)
    result: dict[str, Any] = {
        "Parameters": [declaration(parameter) for parameter in declared.values()],
        "ResourceTypes": types,
        "DeclaredTransforms": [transform_name(entry) for entry in transforms(dict(template))],
        **_capabilities(resources, types, expanding),
    }
    if "Description" in template:
        result["Description"] = text_of(template["Description"])
    if "Metadata" in template:
        result["Metadata"] = msgspec.json.encode(template["Metadata"]).decode()
    if "AWSTemplateFormatVersion" in template:
        result["Version"] = text_of(template["AWSTemplateFormatVersion"])
    return result


def declared_transforms(template: Mapping[str, Any]) -> list[str]:
    """Everything that rewrites the template, by name: the Transform section, then what is inline."""
    names = [transform_name(entry) for entry in transforms(dict(template))]
    return list(dict.fromkeys([*names, *(macro.name for macro in macros(dict(template)))]))


def declaration(parameter: Parameter) -> dict[str, Any]:
    """A `ParameterDeclaration`."""
    result: dict[str, Any] = {"ParameterKey": parameter.key, "ParameterType": parameter.type, "NoEcho": parameter.no_echo}
    if parameter.default is not None:
        result["DefaultValue"] = MASK if parameter.no_echo else parameter.default
    if parameter.description is not None:
        result["Description"] = parameter.description
    constraints = {} if parameter.allowed_values is None else {"AllowedValues": parameter.allowed_values}
    result["ParameterConstraints"] = constraints
    return result


def _capabilities(resources: Mapping[str, Any], types: list[str], expanding: list[str]) -> dict[str, Any]:
    capabilities, reasons = [], []
    needing = sorted(kind for kind in types if kind in IAM)
    if needing:
        capabilities.append("CAPABILITY_NAMED_IAM" if any(map(_named, resources.values())) else "CAPABILITY_IAM")
        reasons.append(f"The following resource(s) require capabilities: [{', '.join(needing)}]")
    if expanding:
        capabilities.append("CAPABILITY_AUTO_EXPAND")
        reasons.append(f"The following transform(s) require capabilities: [{', '.join(expanding)}]")
    if not capabilities:
        return {"Capabilities": []}
    return {"Capabilities": capabilities, "CapabilitiesReason": "; ".join(reasons)}


def _named(resource: Mapping[str, Any]) -> bool:
    name = IAM.get(resource.get("Type", ""))
    properties = resource.get("Properties")
    return name is not None and isinstance(properties, dict) and name in properties

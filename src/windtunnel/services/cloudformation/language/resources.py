"""The members of a resource that are the language's own: everything but its properties."""

from __future__ import annotations

import re
from typing import Any

from windtunnel.services.cloudformation.language.errors import TemplateError
from windtunnel.services.cloudformation.language.functions import format_error
from windtunnel.services.cloudformation.language.scalars import text_of

MEMBERS = frozenset(
    {
        "Condition",
        "CreationPolicy",
        "DeletionPolicy",
        "DependsOn",
        "Description",
        "Metadata",
        "Properties",
        "Type",
        "UpdatePolicy",
        "UpdateReplacePolicy",
        "Version",
    }
)
OBJECTS = ("CreationPolicy", "Metadata", "Properties", "UpdatePolicy")
POLICIES = {
    "DeletionPolicy": ("Delete", "Retain", "RetainExceptOnCreate", "Snapshot"),
    "UpdateReplacePolicy": ("Delete", "Retain", "Snapshot"),
}
SNAPSHOT = frozenset(
    {
        "AWS::DocDB::DBCluster",
        "AWS::EC2::Volume",
        "AWS::ElastiCache::CacheCluster",
        "AWS::ElastiCache::ReplicationGroup",
        "AWS::Neptune::DBCluster",
        "AWS::RDS::DBCluster",
        "AWS::RDS::DBInstance",
        "AWS::Redshift::Cluster",
    }
)
"""The types that support a snapshot (Template reference, DeletionPolicy attribute)."""


CUSTOM = re.compile(r"Custom::[A-Za-z0-9_@-]{1,60}\Z")


def is_custom(kind: str) -> bool:
    """Whether a type is a custom resource, which whoever stands behind it answers for."""
    return kind == "AWS::CloudFormation::CustomResource" or (kind.startswith("Custom::") and CUSTOM.match(kind) is not None)


def supports_snapshot(kind: str) -> bool:
    return kind in SNAPSHOT


def check_resource(name: str, resource: Any) -> None:
    """TemplateError for what is wrong with a resource whatever its type is."""
    if not isinstance(resource, dict):
        raise format_error("Any Resources member must be an object.")
    if "Type" not in resource:
        raise format_error(f"[/Resources/{name}] Every Resources object must contain a Type member.")
    if not isinstance(resource["Type"], str):
        raise format_error("Every Type member must be a string.")
    if not MEMBERS.issuperset(resource):
        unknown = next(member for member in resource if member not in MEMBERS)
        raise TemplateError(f"Invalid template resource property '{unknown}'")
    for member in OBJECTS:
        if member in resource and not isinstance(resource[member], dict):
            raise format_error(f"[/Resources/{name}/{member}] '{member}' must be an object.")
    if "DependsOn" in resource:
        _depends_on(resource["DependsOn"])
    if not isinstance(resource.get("Condition", ""), str):
        raise format_error("Every Condition member must be a string.")
    for member, allowed in POLICIES.items():
        if member in resource:
            _policy(name, member, resource[member], allowed)


def _depends_on(needed: Any) -> None:
    if isinstance(needed, str):
        return
    if not isinstance(needed, list):
        raise format_error("DependsOn must be a string or list of strings.")
    if not all(isinstance(item, str) for item in needed):
        raise format_error("Every DependsOn value must be a string.")


def _policy(name: str, member: str, value: Any, allowed: tuple[str, ...]) -> None:
    if isinstance(value, dict | list):
        raise format_error(f"Every {member} member must be a string.")
    if value not in allowed:
        raise format_error(f"Unrecognized {member} {text_of(value)} for resource {name}")

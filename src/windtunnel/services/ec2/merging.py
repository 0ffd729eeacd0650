"""RunInstances from a launch template: what the version says, under what the request says itself.

Invariant: whatever a version says that RunInstances could not be told directly is refused at the launch, by its name.
"""

from __future__ import annotations

from typing import Any

from windtunnel.kernel.context import Context
from windtunnel.kernel.errors import not_built
from windtunnel.kernel.registry import OPERATIONS
from windtunnel.services.ec2.templates import launch_data
from windtunnel.wire.members import MISSING, Node, declared_tree
from windtunnel.wire.naming import xform


def merged(ctx: Context, given: dict[str, Any]) -> dict[str, Any]:
    """The request's arguments, those of its launch template filled in. Raises AwsError."""
    asked = given.get("launch_template")
    if not asked or "template" in given:
        return given
    template, version = launch_data(ctx, asked)
    tree = declared_tree(OPERATIONS["ec2", "RunInstances"].declared)
    for name, value in version.data.items():
        known(tree.child(name), value, name)
    said = {xform(name): value for name, value in version.data.items()}
    own = {name: value for name, value in given.items() if value is not None}
    tags = [*(said.get("tag_specifications") or [])]
    for item in own.get("tag_specifications") or []:
        tags = [other for other in tags if other.get("ResourceType") != item.get("ResourceType")] + [item]
    found = {**said, **own, "template": {"id": template.id, "name": template.name, "version": str(version.number)}}
    return {**found, **({"tag_specifications": tags} if tags else {})}


def known(node: Node | None, value: Any, path: str) -> None:
    if node is None or (node.default is not MISSING and value != node.default):
        raise not_built("ec2", "RunInstances", f"LaunchTemplateData.{path}")
    if isinstance(value, dict):
        for name, inner in value.items():
            known(node.child(name), inner, f"{path}.{name}")
    elif isinstance(value, list):
        below = node.child("[]")
        for inner in value:
            if isinstance(inner, dict | list) or below is not None:
                known(below, inner, f"{path}[]")

"""Transforms that need more than the template: AWS::Include, SAM, macros. AWS::LanguageExtensions is the language's own (language/extensions.py)."""

from __future__ import annotations

from typing import Any

from windtunnel.kernel.context import Context
from windtunnel.kernel.errors import not_built
from windtunnel.services.cloudformation.language.environment import Environment


def transforms_of(template: dict[str, Any]) -> list[str]:
    """The names of the template's top-level transforms, in their order."""
    declared = template.get("Transform") or []
    listed = declared if isinstance(declared, list) else [declared]
    return [item if isinstance(item, str) else str(item.get("Name", "")) for item in listed]


def transformed(ctx: Context, template: dict[str, Any], parameters: dict[str, Any], env: Environment) -> dict[str, Any]:
    """After every transform but the language's own."""
    for name in transforms_of(template):
        if name != "AWS::LanguageExtensions":
            raise not_built("cloudformation", "CreateStack", f"Transform {name}")
    return template

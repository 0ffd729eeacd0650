"""The Conditions section: each condition once, those first that others need."""

from __future__ import annotations

import graphlib
from collections.abc import Mapping
from typing import Any

from windtunnel.services.cloudformation.language.booleans import compile_test
from windtunnel.services.cloudformation.language.environment import Environment
from windtunnel.services.cloudformation.language.functions import format_error, template_error
from windtunnel.services.cloudformation.language.scope import Scope


def conditions(template: dict[str, Any], parameters: Mapping[str, Any], env: Environment) -> dict[str, bool]:
    """Every condition of the template, in its order. Resources are unknown here."""
    section: dict[str, Any] = template.get("Conditions") or {}
    known: dict[str, bool] = {}
    scope = Scope(parameters, env, known, template.get("Mappings") or {})
    for name in in_order(section):
        known[name] = compile_test(section[name])(scope)
    return {name: known[name] for name in section}


def in_order(section: dict[str, Any]) -> list[str]:
    """The names of the conditions, each after those that it needs."""
    needs = {name: needed(body) for name, body in section.items()}
    for names in needs.values():
        for other in names:
            if other not in section:
                raise format_error(f"Unresolved condition dependency {other} in the Conditions block of the template")
    try:
        return list(graphlib.TopologicalSorter(needs).static_order())
    except graphlib.CycleError as error:
        members = sorted(set(error.args[1]), key=list(section).index)
        raise template_error(f"Found circular condition dependency between: [{', '.join(members)}]") from error


def needed(node: Any) -> list[str]:
    """The conditions that a condition is made of."""
    found: dict[str, None] = {}
    _collect(node, found)
    return list(found)


def _collect(node: Any, found: dict[str, None]) -> None:
    if isinstance(node, list):
        for child in node:
            _collect(child, found)
    elif isinstance(node, dict):
        for key, child in node.items():
            if key == "Condition" and isinstance(child, str) and len(node) == 1:
                found[child] = None
            elif key == "Fn::If" and isinstance(child, list) and child and isinstance(child[0], str):
                found[child[0]] = None
                _collect(child[1:], found)
            else:
                _collect(child, found)

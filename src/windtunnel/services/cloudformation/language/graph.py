"""Which resource needs which: explicit (`DependsOn`) and implicit (`Ref`, `Fn::GetAtt`, `Fn::Sub`)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from windtunnel.services.cloudformation.language.errors import TemplateError
from windtunnel.services.cloudformation.language.functions import format_error
from windtunnel.services.cloudformation.language.uses import Uses, uses

LOOKED_AT = ("Properties", "Metadata", "CreationPolicy", "UpdatePolicy", "DeletionPolicy", "UpdateReplacePolicy")
"""The parts of a resource from which dependencies come."""


def dependencies(template: dict[str, Any], conditions: dict[str, bool]) -> dict[str, list[str]]:
    """By logical id the ids that it needs, both in the template's order; without the resources whose condition is false, and without what
    the branches name that an `Fn::If` does not take. TemplateError for a reference to what is not there, in outputs too, and for a circle."""
    resources: dict[str, Any] = template["Resources"]
    parameters: Mapping[str, Any] = template.get("Parameters") or {}
    present = {name: place for place, name in enumerate(resources) if _holds(resources[name], conditions)}
    needs: dict[str, list[str]] = {}
    missing: dict[str, None] = {}
    for name in present:
        found = _referred(resources[name], conditions, parameters, present, missing)
        for other in explicit(resources[name]):
            if other in present:
                found[other] = None
        needs[name] = sorted(found, key=present.__getitem__) if len(found) > 1 else list(found)
    if missing:
        raise format_error(f"Unresolved resource dependencies [{', '.join(missing)}] in the Resources block of the template")
    _outputs(template, conditions, parameters, present)
    refuse_circles(needs)
    return needs


def _holds(part: dict[str, Any], conditions: Mapping[str, bool]) -> bool:
    condition = part.get("Condition")
    return condition is None or conditions.get(condition, True)


def _referred(
    resource: dict[str, Any],
    conditions: dict[str, bool],
    parameters: Collection[str],
    present: Collection[str],
    missing: dict[str, None],
) -> dict[str, None]:
    parts = [resource[part] for part in LOOKED_AT if part in resource]
    return _known(uses(parts, conditions), parameters, present, missing)


def _known(used: Any, parameters: Collection[str], present: Collection[str], missing: dict[str, None]) -> dict[str, None]:
    found: dict[str, None] = {}
    for name in used.names:
        if name in present:
            found[name] = None
        elif name not in parameters:
            missing[name] = None
    for name, _ in used.attributes:
        if name in present:
            found[name] = None
        else:
            missing[name] = None
    return found


def _outputs(template: dict[str, Any], conditions: dict[str, bool], parameters: Collection[str], present: Collection[str]) -> None:
    missing: dict[str, None] = {}
    for output in (template.get("Outputs") or {}).values():
        if _holds(output, conditions):
            _known(uses([output.get("Value"), output.get("Export")], conditions), parameters, present, missing)
    if missing:
        raise TemplateError(f"Unresolved resource dependencies [{', '.join(missing)}] in the Outputs block of the template")


def explicit(resource: dict[str, Any]) -> list[str]:
    """The ids of `DependsOn`."""
    needed = resource.get("DependsOn")
    if needed is None:
        return []
    return [needed] if isinstance(needed, str) else needed


def refuse_circles(needs: Mapping[str, Iterable[str]]) -> None:
    """TemplateError that names what cannot be ordered, in the order of the mapping: the circles, and, as on AWS, what needs them."""
    left = circles(needs)
    if left:
        raise TemplateError(f"Circular dependency between resources: [{', '.join(left)}]")


def circles(needs: Mapping[str, Iterable[str]]) -> list[str]:
    """What is left when everything is taken away, again and again, that needs nothing more."""
    waits = {name: set(others) for name, others in needs.items()}
    needed_by: dict[str, list[str]] = {name: [] for name in needs}
    for name, others in waits.items():
        for other in others:
            needed_by[other].append(name)
    ready = [name for name, others in waits.items() if not others]
    while ready:
        done = ready.pop()
        del waits[done]
        for name in needed_by[done]:
            waits[name].discard(done)
            if not waits[name]:
                ready.append(name)
    return [name for name in needs if name in waits]


def certain(template: dict[str, Any], used: Mapping[str, Iterable[Uses]]) -> dict[str, list[str]]:
    """The dependencies that hold whatever the parameters are: of resources without a condition, outside every `Fn::If`. `used`: what the
    parts of each resource refer to."""
    resources: dict[str, Any] = template["Resources"]
    sure = {name for name, resource in resources.items() if "Condition" not in resource}
    needs: dict[str, list[str]] = {}
    for name in resources:
        if name not in sure:
            continue
        found = dict.fromkeys(explicit(resources[name]))
        parts = used[name]
        if any(part.conditions for part in parts):
            parts = [uses([_without_choices(resources[name][part]) for part in LOOKED_AT if part in resources[name]])]
        for part in parts:
            found.update(part.names)
            found.update((owner, None) for owner, _ in part.attributes)
        needs[name] = [other for other in found if other in sure]
    return needs


def _without_choices(node: Any) -> Any:
    if isinstance(node, dict):
        return None if "Fn::If" in node else {key: _without_choices(child) for key, child in node.items()}
    if isinstance(node, list):
        return [_without_choices(child) for child in node]
    return node

"""What an update would change, before it is made: a change set's contents. Pure: templates and what exists in, changes out.

Invariant: a resource of which nothing can change is not named; what depends on something that is known only after it was made is `Dynamic`, and
replacement that hangs on it `Conditional` (API reference, ResourceChangeDetail).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from typing import Any

import msgspec

from windtunnel.provision import checking
from windtunnel.provision.schemas import TypeSchema
from windtunnel.services.cloudformation.executing.walk import Walk
from windtunnel.services.cloudformation.language.environment import Environment
from windtunnel.services.cloudformation.language.errors import TemplateError
from windtunnel.services.cloudformation.language.resolve import attribute_references, references, resolve
from windtunnel.services.cloudformation.language.scope import UNKNOWN, Scope
from windtunnel.services.cloudformation.model import STACK_TYPE, State

AFTER_APPLY = "{{changeSet:KNOWN_AFTER_APPLY}}"
ATTRIBUTES = ("CreationPolicy", "DeletionPolicy", "UpdatePolicy", "UpdateReplacePolicy")
RANK = {"Never": 0, "Conditionally": 1, "Always": 2}
Fate = str
"""`same`, `modified`, `maybe` (perhaps replaced), `replaced`, `new`."""


class Side(msgspec.Struct, kw_only=True):
    """One of the two templates. processed: after transforms; parameters: what Ref gives; tags: the stack's."""

    processed: Mapping[str, Any]
    parameters: Mapping[str, Any]
    conditions: Mapping[str, bool]
    needs: Mapping[str, list[str]]
    tags: Mapping[str, str] = {}

    def spec(self, logical: str) -> Mapping[str, Any]:
        found: Mapping[str, Any] = (self.processed.get("Resources") or {}).get(logical) or {}
        return found


class World(msgspec.Struct, kw_only=True):
    """What is looked up elsewhere. exists: the stack's resources; ref, attribute: of one of them."""

    exists: Mapping[str, State]
    env: Environment
    schema: Callable[[str], TypeSchema | None]
    merged: Callable[[str, dict[str, Any], Mapping[str, str]], dict[str, Any]]
    ref: Callable[[str], Any]
    attribute: Callable[[str, str], Any]
    imports: Callable[[str], Any]
    calm: Collection[str] = ()
    """Nested stacks in which nothing changes."""
    replaces: Callable[[str, dict[str, Any], dict[str, Any], frozenset[str]], bool]


def preview(old: Side | None, new: Side, world: World) -> list[dict[str, Any]]:
    """The ResourceChange shapes, by logical id; each detail has its values, which `shown` takes out where they are not asked for."""
    fates: dict[str, Fate] = {}
    found: list[dict[str, Any]] = []
    walk = Walk(new.needs)
    scope = _scope(new, world, fates)
    while walk.ready:
        logical = walk.ready.popleft()
        if logical not in world.exists:
            fates[logical] = "new"
            found.append(_added(logical, new, scope))
        else:
            change = _modified(logical, old, new, world, scope, fates)
            if change is not None:
                found.append(change)
        walk.done(logical)
    for logical, state in world.exists.items():
        if logical not in new.needs:
            found.append(_removed(logical, state))
    return sorted(found, key=lambda change: str(change["LogicalResourceId"]))


def _scope(new: Side, world: World, fates: Mapping[str, Fate]) -> Scope:
    def ref(logical: str) -> Any:
        return UNKNOWN if fates.get(logical) in ("new", "replaced", "maybe") else world.ref(logical)

    def attribute(logical: str, name: str) -> Any:
        return world.attribute(logical, name) if fates.get(logical, "same") == "same" else UNKNOWN

    return Scope(
        parameters=new.parameters,
        env=world.env,
        conditions=new.conditions,
        mappings=new.processed.get("Mappings") or {},
        refs=ref,
        attributes=attribute,
        imports=world.imports,
    )


def _resolved(node: Any, scope: Scope) -> Any:
    try:
        return resolve(node, scope)
    except (TemplateError, KeyError):
        return UNKNOWN


def _unknown(value: Any) -> bool:
    if value is UNKNOWN:
        return True
    if isinstance(value, dict):
        return any(_unknown(part) for part in value.values())
    return isinstance(value, list) and any(_unknown(part) for part in value)


def _plain(value: Any) -> Any:
    """With a text in the place of what is not known yet."""
    if value is UNKNOWN:
        return AFTER_APPLY
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, list) else value


def _context(properties: Any, metadata: Any = None) -> str:
    context = {"Properties": _texts(properties)}
    if metadata:
        context["Metadata"] = metadata
    return json.dumps(context, separators=(",", ":"))


def _texts(value: Any) -> Any:
    """Scalars as texts, as AWS shows them in contexts."""
    if isinstance(value, dict):
        return {name: _texts(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_texts(part) for part in value]
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else json.dumps(value)


def _added(logical: str, new: Side, scope: Scope) -> dict[str, Any]:
    spec = new.spec(logical)
    after = _plain(_resolved(spec.get("Properties") or {}, scope))
    return {
        "Action": "Add",
        "LogicalResourceId": logical,
        "ResourceType": spec["Type"],
        "Scope": [],
        "Details": [],
        "AfterContext": _context(after if isinstance(after, dict) else {}),
    }


def _removed(logical: str, state: State) -> dict[str, Any]:
    policy = {"Retain": "Retain", "RetainExceptOnCreate": "Retain", "Snapshot": "Snapshot"}.get(state.deletion, "Delete")
    return {
        "PolicyAction": policy,
        "Action": "Remove",
        "LogicalResourceId": logical,
        "PhysicalResourceId": state.physical,
        "ResourceType": state.type,
        "Scope": [],
        "Details": [],
        "BeforeContext": _context(state.properties, state.metadata),
    }


def _modified(logical: str, old: Side | None, new: Side, world: World, scope: Scope, fates: dict[str, Fate]) -> dict[str, Any] | None:
    state, spec = world.exists[logical], new.spec(logical)
    before_spec = old.spec(logical) if old is not None else {}
    schema = world.schema(state.type)
    resolved = _resolved(spec.get("Properties") or {}, scope)
    resolved = resolved if isinstance(resolved, dict) else {}
    after = world.merged(state.type, _plain(resolved), new.tags)
    if schema is not None:
        after, _ = checking.check(schema, after)
        names = checking.changed(schema, state.properties, after)
    else:
        names = frozenset(name for name in state.properties.keys() | after.keys() if state.properties.get(name) != after.get(name))
    details: list[dict[str, Any]] = []
    for name in sorted(names):
        details += _of_property(name, logical, state, after, schema, old, new, resolved, fates)
    metadata = _resolved(spec["Metadata"], scope) if spec.get("Metadata") else {}
    if metadata != state.metadata and not _unknown(metadata):
        details.append(_attribute_changed("Metadata"))
    for attribute in ATTRIBUTES:
        if spec.get(attribute) != before_spec.get(attribute):
            details.append(_attribute_changed(attribute))
    if state.type == STACK_TYPE and not details and logical not in world.calm:
        target = {"Attribute": "Properties", "RequiresRecreation": "Never"}
        details.append({"Target": target, "Evaluation": "Dynamic", "ChangeSource": "Automatic"})
    if not details:
        fates[logical] = "same"
        return None
    replacement = _replacement(details)
    if replacement != "True" and names and world.replaces(state.type, state.properties, after, names):
        replacement = "True"
    fates[logical] = "same" if logical in world.calm else {"True": "replaced", "Conditional": "maybe"}.get(replacement, "modified")
    change: dict[str, Any] = {
        "Action": "Modify",
        "LogicalResourceId": logical,
        "PhysicalResourceId": state.physical,
        "ResourceType": state.type,
        "Replacement": replacement,
        "Scope": sorted({str(detail["Target"]["Attribute"]) for detail in details}),
        "Details": details,
        "BeforeContext": _context(state.properties, state.metadata),
        "AfterContext": _context(after, metadata if not _unknown(metadata) else None),
    }
    if replacement != "False":
        change["PolicyAction"] = {"Retain": "ReplaceAndRetain", "Snapshot": "ReplaceAndSnapshot"}.get(state.replacement, "ReplaceAndDelete")
    return change


def _attribute_changed(attribute: str) -> dict[str, Any]:
    return {
        "Target": {"Attribute": attribute, "RequiresRecreation": "Never"},
        "Evaluation": "Static",
        "ChangeSource": "DirectModification",
    }


def _replacement(details: list[dict[str, Any]]) -> str:
    strongest = "False"
    for detail in details:
        recreation = detail["Target"]["RequiresRecreation"]
        if recreation == "Always" and detail["Evaluation"] == "Static":
            return "True"
        if recreation != "Never":
            strongest = "Conditional"
    return strongest


def _of_property(
    name: str,
    logical: str,
    state: State,
    after: dict[str, Any],
    schema: TypeSchema | None,
    old: Side | None,
    new: Side,
    resolved: dict[str, Any],
    fates: Mapping[str, Fate],
) -> list[dict[str, Any]]:
    """Why a property changes, each reason with each path that does."""
    node = (new.spec(logical).get("Properties") or {}).get(name)
    before_node = (old.spec(logical).get("Properties") or {}).get(name) if old is not None else None
    causes = _causes(node, before_node, old, new, fates, dynamic=_unknown(resolved.get(name)))
    tags = schema is not None and schema.tag_property == name
    if schema is None:
        paths = [
            (f"/Properties/{name}", "Never", _kind(name, state.properties, after), _shown(state.properties, name), _shown(after, name))
        ]
    else:
        old_part = {name: state.properties[name]} if name in state.properties else {}
        new_part = {name: after[name]} if name in after else {}
        paths = [(c.path, c.recreation, c.change, c.before, c.after) for c in checking.changes(schema, old_part, new_part)]
    worst = max((path[1] for path in paths), key=RANK.__getitem__, default="Never")
    found = []
    for path, _, kind, before, changed in paths:
        target: dict[str, Any] = {"Attribute": "Tags" if tags else "Properties", "RequiresRecreation": worst}
        if not tags:
            target["Name"] = name
        target |= {"Path": path, "AttributeChangeType": kind}
        if before is not None:
            target["BeforeValue"] = before
        if changed is not None:
            target["AfterValue"] = changed
        found += [{"Target": target, **cause} for cause in causes]
    return found


def _kind(name: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    return "Add" if name not in before else "Remove" if name not in after else "Modify"


def _shown(properties: Mapping[str, Any], name: str) -> str | None:
    return checking.shown(properties[name]) if name in properties else None


def _causes(node: Any, before: Any, old: Side | None, new: Side, fates: Mapping[str, Fate], *, dynamic: bool) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for name in sorted(references(node)):
        if name in new.parameters:
            if old is None or old.parameters.get(name) != new.parameters[name]:
                certain = "Dynamic" if new.parameters[name] is UNKNOWN else "Static"
                found.append({"Evaluation": certain, "ChangeSource": "ParameterReference", "CausingEntity": name})
        elif fates.get(name) in ("replaced", "maybe"):
            certain = "Static" if fates[name] == "replaced" else "Dynamic"
            found.append({"Evaluation": certain, "ChangeSource": "ResourceReference", "CausingEntity": name})
    for owner, attribute in sorted(attribute_references(node)):
        fate = fates.get(owner, "same")
        if fate not in ("same", "new"):
            certain = "Static" if fate == "replaced" else "Dynamic"
            found.append({"Evaluation": certain, "ChangeSource": "ResourceAttribute", "CausingEntity": f"{owner}.{attribute}"})
    if found:
        return [*found, {"Evaluation": "Dynamic", "ChangeSource": "DirectModification"}]
    return [{"Evaluation": "Dynamic" if dynamic and node == before else "Static", "ChangeSource": "DirectModification"}]


VALUES = ("Path", "BeforeValue", "AfterValue", "AttributeChangeType")
CONTEXTS = ("BeforeContext", "AfterContext")


def shown(change: Mapping[str, Any], *, values: bool) -> dict[str, Any]:
    """A change as DescribeChangeSet tells it, with or without property values. Without, each reason is told once a property."""
    if values:
        told = dict(change)
        if told["Action"] == "Add":
            told["Replacement"] = "True"
        return told
    told = {name: part for name, part in change.items() if name not in CONTEXTS}
    details: list[dict[str, Any]] = []
    for detail in change["Details"]:
        target = {name: part for name, part in detail["Target"].items() if name not in VALUES}
        plain = {**detail, "Target": target}
        if plain not in details:
            details.append(plain)
    return {**told, "Details": details}

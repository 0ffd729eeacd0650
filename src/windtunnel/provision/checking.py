"""A resource's properties against its type's schema: coerced as CloudFormation does, refused in its words, compared as it compares.

Invariant: pure; never an exception for what JSON can say. Costs microseconds a resource, for a stack of 500 is checked while it is deployed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Literal

import msgspec

from windtunnel.provision.compiling import Problem, frozen
from windtunnel.provision.registry import Properties
from windtunnel.provision.schemas import Node, TypeSchema

Recreation = Literal["Always", "Conditionally", "Never"]
Difference = Literal["NOT_EQUAL", "ADD", "REMOVE"]
_LEGACY = frozenset({"AWS::SSM::Parameter"})
"""Checked by CloudFormation's older engine although the registry can run them."""
_OLD_WORDS = {"string": "String", "integer": "Number", "number": "Number", "boolean": "Boolean", "array": "List", "object": "Map"}
_NOTHING = object()


class PropertyDifference(msgspec.Struct, frozen=True):
    """One property that drifted. path: `/Tags/0/Value`; expected, actual: as AWS shows them, text (JSON for what is no scalar, `null` for nothing)."""

    path: str
    expected: str
    actual: str
    type: Difference


class PropertyChange(msgspec.Struct, frozen=True):
    """One property of a change set. path: `/Properties/Tags/0/Value`; name: the top-level property; before/after: text, None when absent."""

    path: str
    name: str
    recreation: Recreation
    change: Literal["Add", "Remove", "Modify"]
    before: str | None
    after: str | None


def check(schema: TypeSchema, properties: Properties) -> tuple[Properties, list[Problem]]:
    """The properties with the schema's types, and everything that is wrong with them (`failure` words it)."""
    found: list[Problem] = []
    coerced = schema.check(properties, None, found)
    for path in schema.read_only:
        name = path[1:]
        if name in properties:  # deeper ones are left out by AWS, not refused
            found.append(Problem("", "additionalProperties", f"extraneous key [{name}] is not permitted", (name,)))
    return coerced, found


def failure(schema: TypeSchema, logical_id: str, problems: Iterable[Problem]) -> str:
    """What a stack event says of these problems."""
    problems = list(problems)
    if not schema.handlers or schema.name in _LEGACY:
        old = [text for one in problems if (text := _old_text(one))]
        if old:
            return f"Property validation failure: [{', '.join(old)}]"
    return f"Properties validation failed for resource {logical_id} with message:\n" + "\n".join(one.text for one in problems)


def model_failure(problems: Iterable[Problem]) -> str:
    """The same as Cloud Control says it."""
    return f"Model validation failed ({chr(10).join(one.text for one in problems)})"


def _old_text(one: Problem) -> str:
    """In the words of the engine that types without registry handlers are still checked by."""
    if one.keyword == "required":
        return f"The property {{{one.path}/{one.names[0]}}} is required"
    if one.keyword == "additionalProperties":
        return f"Encountered unsupported properties in {{{one.path or '/'}}}: [{', '.join(one.names)}]"
    return (
        f"Value of property {{{one.path}}} does not match type {{{_OLD_WORDS.get(one.names[0], 'String')}}}"
        if one.keyword == "type"
        else ""
    )


def same(node: Node | None, one: Any, other: Any) -> bool:
    """Whether two values are the same where this node stands: arrays as sets where their order does not matter, JSON text as what it says."""
    if type(one) is type(other) and one == other:
        return True
    return bool(_normal(node, one) == _normal(node, other))


def _normal(node: Node | None, value: Any) -> Any:
    if type(value) is str and value[:1] in "{[" and node is not None and "object" in node.kinds:
        try:
            value = msgspec.json.decode(value)
        except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
            return value
    if type(value) is dict:
        return ("{", frozenset((key, _normal(_below(node, key), item)) for key, item in value.items()))
    if type(value) is list:
        items = [_normal(node.items if node is not None else None, item) for item in value]
        if node is not None and not node.ordered:
            counted: dict[Any, int] = {}
            for item in items:
                counted[item] = counted.get(item, 0) + 1
            return ("[", frozenset(counted.items()))
        return ("[", *items)
    return frozen(value)


def _below(node: Node | None, key: str) -> Node | None:
    return None if node is None else node.properties.get(key) or node.values


def changed(schema: TypeSchema, old: Properties, new: Properties) -> frozenset[str]:
    """The top-level properties that differ."""
    nodes = schema.properties
    return frozenset(
        name
        for name in {**old, **new}
        if name not in old or name not in new or (old[name] != new[name] and not same(nodes.get(name), old[name], new[name]))
    )


def create_only(schema: TypeSchema, old: Properties, new: Properties, names: Iterable[str] | None = None) -> frozenset[str]:
    """Paths of what differs and can be set at creation only: the resource must be replaced. names: top-level properties that differ, if known."""
    differing = changed(schema, old, new) if names is None else frozenset(names)
    return frozenset(path for path in schema.create_only if path[1:].partition("/")[0] in differing and _differs(schema, path, old, new))


def conditionally(schema: TypeSchema, old: Properties, new: Properties) -> frozenset[str]:
    """Paths of what differs and may need a replacement, as the handler's `replaces` decides."""
    return frozenset(path for path in schema.conditional_create_only if _differs(schema, path, old, new))


def _differs(schema: TypeSchema, path: str, old: Properties, new: Properties) -> bool:
    steps = path[1:].split("/")
    node: Node | None = schema.root
    for step in steps:
        node = None if node is None else node.items if step == "*" else _below(node, step)
    return not same(node, _reached(old, steps), _reached(new, steps))


def _reached(value: Any, steps: list[str]) -> Any:
    for index, step in enumerate(steps):
        if step == "*":
            rest = steps[index + 1 :]
            items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
            return [_reached(item, rest) for item in items]
        value = value.get(step) if isinstance(value, dict) else None
    return value


def recreation(schema: TypeSchema, path: str) -> Recreation:
    """What a change at a path (`/VpcConfig/SubnetIds`, with indices or `*`) does: replace the resource always, perhaps, or never."""
    steps = path[1:].split("/")
    if any(_covers(pattern, steps) for pattern in schema.create_only):
        return "Always"
    return "Conditionally" if any(_covers(pattern, steps) for pattern in schema.conditional_create_only) else "Never"


def _covers(pattern: str, steps: list[str]) -> bool:
    """Whether the change is at the pattern, below it, or (a whole property changed) above it."""
    return all(one in ("*", other) or other == "*" for one, other in zip(pattern[1:].split("/"), steps, strict=False))


def differences(schema: TypeSchema, expected: Properties, actual: Properties) -> list[PropertyDifference]:
    """Drift: what of the expected (the template's) properties is otherwise in the live ones; what the template does not give is not compared,
    nor what cannot be read (write-only properties). Sorted by path."""
    hidden = [pattern[1:].split("/") for pattern in schema.write_only]
    found: list[PropertyDifference] = []
    for path, node, one, other in _pairs(schema.root, expected, actual, ("",), top=True):
        if any(_same_path(pattern, path[1:]) for pattern in hidden) or same(node, one, other):
            continue
        kind: Difference = "REMOVE" if other is _NOTHING else "ADD" if one is _NOTHING else "NOT_EQUAL"
        found.append(PropertyDifference("/".join(path), shown(one), shown(other), kind))
    return sorted(found, key=lambda one: one.path)


def _same_path(pattern: list[str], path: tuple[str, ...]) -> bool:
    return len(pattern) <= len(path) and all(one in ("*", other) for one, other in zip(pattern, path, strict=False))


def shown(value: Any) -> str:
    """A value as drift and change sets show it."""
    if value is _NOTHING or value is None:
        return "null"
    if type(value) is str:
        return value
    return ("true" if value else "false") if type(value) is bool else msgspec.json.encode(value).decode()


_Pair = tuple[tuple[str, ...], "Node | None", Any, Any]


def _pairs(node: Node | None, one: Any, other: Any, path: tuple[str, ...], *, top: bool = False) -> Iterator[_Pair]:
    """The smallest places at which two values may differ: members of objects, items of arrays (unordered ones matched by what they are)."""
    if type(one) is dict and type(other) is dict:
        for key in one if top else {**one, **other}:
            if key in one or (node is not None and node.values is not None):  # a service may add defaults to an object, not keys to a map
                yield from _pairs(_below(node, key), one.get(key, _NOTHING), other.get(key, _NOTHING), (*path, key))
    elif type(one) is list and type(other) is list:
        items = node.items if node is not None else None
        for index, mine, theirs in _aligned(node, one, other):
            yield from _pairs(items, mine, theirs, (*path, str(index)))
    else:
        yield path, node, one, other


def _aligned(node: Node | None, one: list[Any], other: list[Any]) -> Iterator[tuple[int, Any, Any]]:
    if node is None or node.ordered:
        for index in range(max(len(one), len(other))):
            yield index, one[index] if index < len(one) else _NOTHING, other[index] if index < len(other) else _NOTHING
        return
    left = list(enumerate(other))
    unmatched: list[tuple[int, Any]] = []
    for index, mine in enumerate(one):
        twin = next((place for place, (_, theirs) in enumerate(left) if same(node.items, mine, theirs)), None)
        if twin is None:
            unmatched.append((index, mine))
        else:
            left.pop(twin)
    for index, mine in unmatched:
        twin = next((place for place, (_, theirs) in enumerate(left) if _key(mine) is not None and _key(mine) == _key(theirs)), None)
        yield index, mine, left.pop(twin)[1] if twin is not None else _NOTHING
    for index, theirs in left:
        yield index, _NOTHING, theirs


def _key(item: Any) -> Any:
    """By what an item of a set is known when its other members changed: a tag's key, a target's id."""
    return next((item[name] for name in ("Key", "Id", "Name") if name in item), None) if type(item) is dict else None


def changes(schema: TypeSchema, old: Properties, new: Properties) -> list[PropertyChange]:
    """What a change set tells of each property that differs, by path."""
    found = []
    for name in sorted(changed(schema, old, new)):
        for path, _, before, after in _pairs(schema.properties.get(name), old.get(name, _NOTHING), new.get(name, _NOTHING), (name,)):
            if before is after or (before is not _NOTHING and after is not _NOTHING and same(None, before, after)):
                continue
            found.append(
                PropertyChange(
                    path="/Properties/" + "/".join(path),
                    name=name,
                    recreation=recreation(schema, "/" + "/".join(path)),
                    change="Add" if before is _NOTHING else "Remove" if after is _NOTHING else "Modify",
                    before=None if before is _NOTHING else shown(before),
                    after=None if after is _NOTHING else shown(after),
                )
            )
    return found

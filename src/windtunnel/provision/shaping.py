"""From CloudFormation's properties to an operation's arguments, by a walk along the input shape; and from an operation's reply to properties.

`ServiceRole` finds `serviceRole`, tags become a map or a list as the shape wants them, numbers and booleans and JSON take the shape's type.
Invariant: nothing is dropped in silence. A property that finds no member, and a member that the operation does not declare, is a 501 that names it;
what breaks the model's constraints is the service's own validation error, as it would be for a client.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import msgspec

from windtunnel.kernel.context import Context, Reply
from windtunnel.kernel.errors import AwsError, not_built
from windtunnel.kernel.registry import OPERATIONS, RULES, ServiceRules
from windtunnel.provision.registry import Properties
from windtunnel.provision.schemas import Node as Place
from windtunnel.provision.schemas import TypeSchema
from windtunnel.wire.members import MISSING, Node, declared_tree
from windtunnel.wire.models import Ref, ServiceModel, Shape, load_service
from windtunnel.wire.naming import xform
from windtunnel.wire.protocols import protocol_of
from windtunnel.wire.protocols.timestamps import parse
from windtunnel.wire.protocols.validation import Validator, reporter

Convert = Callable[[Any], Any]
_CONTAINERS = ("structure", "list", "map")
_KEYS = ("key", "tagkey", "name")
_VALUES = ("value", "tagvalue")
_encode = msgspec.json.Encoder().encode


def plain(name: str) -> str:
    """How names are compared: `KMSMasterKeyId`, `kmsMasterKeyID` and `kms_master_key_id` are one."""
    return name.replace("_", "").replace("-", "").lower()


class Walk:
    """How one type's properties become one operation's arguments. Made when a module is imported; compiled at its first use.

    rename: property path to member name, `{"TopicName": "Name", "Source.Auth.Resource": "resource"}`; list indices and map keys are not in paths.
    A property that is renamed to "" is dropped, as one in `drop` is: on purpose, because the handler sees to it elsewhere.
    rest: the top-level member that takes what no other does: a map of strings (SQS's `Attributes`) or a structure (`pipeline`).
    """

    def __init__(
        self, service: str, operation: str, *, rename: Mapping[str, str] | None = None, drop: tuple[str, ...] = (), rest: str = ""
    ) -> None:
        self.service = service
        self.operation = operation
        self._rename = {**(rename or {}), **dict.fromkeys(drop, "")}
        self._rest = rest
        self._compiled: Convert | None = None

    def members(self, properties: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments by the model's member names, checked. Raises AwsError."""
        if self._compiled is None:
            self.compile()
        assert self._compiled is not None
        made: dict[str, Any] = self._compiled(properties)
        return made

    def arguments(self, properties: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments of `ctx.call`."""
        return {xform(name): value for name, value in self.members(properties).items()}

    def call(self, ctx: Context, properties: Mapping[str, Any]) -> Reply:
        return ctx.call(self.service, self.operation, **self.arguments(properties))

    def compile(self) -> None:
        """Read the model, once: milliseconds, tens for EC2's; done in a thread when the type is first planned (see `warming`)."""
        if self._compiled is not None:
            return
        found = OPERATIONS.get((self.service, self.operation))
        if found is None:
            raise not_built(self.service, self.operation)
        model = load_service(self.service)
        operation = model.operation(self.operation)
        shape = operation.input_shape
        convert = _Compiler(model, self.operation, self._rename).top(shape, declared_tree(found.declared), self._rest)
        check = Validator(model).input(operation)
        report = reporter(operation, RULES.get(self.service) or ServiceRules(), protocol_of(model))

        def run(properties: Any) -> Any:
            made = convert(properties)
            violations: list[Any] = []
            if check is not None:
                check(made, None, violations)
                violations = [one for one in violations if one.kind != "required" or "." in one.path]  # the handler may add to these
            if violations:
                report(violations)
            return made

        self._compiled = run


@lru_cache(maxsize=1024)
def _walk(service: str, operation: str, rename: tuple[tuple[str, str], ...], drop: tuple[str, ...], rest: str) -> Walk:
    return Walk(service, operation, rename=dict(rename), drop=drop, rest=rest)


def arguments(
    service: str,
    operation: str,
    properties: Mapping[str, Any],
    *,
    rename: Mapping[str, str] | None = None,
    drop: tuple[str, ...] = (),
    rest: str = "",
) -> dict[str, Any]:
    """The arguments of `ctx.call(service, operation, …)` out of properties; see `Walk`, which is quicker where it can be kept."""
    return _walk(service, operation, tuple((rename or {}).items()), tuple(drop), rest).arguments(properties)


class _Compiler:
    """Compiles one operation's input; holds the model only while it does."""

    def __init__(self, model: ServiceModel, operation: str, rename: Mapping[str, str]) -> None:
        self._model = model
        self._service = model.name
        self._operation = operation
        self._rename = rename
        self._whole: dict[tuple[str, str], list[Convert]] = {}
        self._inner = any("." in path for path in rename)

    def top(self, shape: Shape, node: Node, rest: str) -> Convert:
        if not rest:
            return self._structure(shape, node, "", "")
        members = self._members(shape, node, "", "", leave=rest)
        ref, below = shape.members[rest], node.child(rest)
        if below is None:
            raise not_built(self._service, self._operation, rest)
        target = self._model.shape(ref.shape)
        if target.type == "structure":
            others = self._structure(target, below, rest, "")
            return lambda properties: _with_rest(members, others, properties, rest, self._service, self._operation)
        return lambda properties: _with_rest(members, _texts, properties, rest, self._service, self._operation)

    def _members(self, shape: Shape, node: Node, path: str, at: str, leave: str = "") -> dict[str, tuple[str, Convert] | None]:
        """plain property name -> (member, how its value is converted); None: left out on purpose."""
        members: dict[str, tuple[str, Convert] | None] = {}
        for name, ref in shape.members.items():
            if name == leave:
                continue
            where = f"{path}.{name}" if path else name
            source = next((key for key, to in self._rename.items() if to == name and key.rpartition(".")[0] == at), name)
            inner = f"{at}.{source.rpartition('.')[2]}" if at else source
            below = node.child(name)
            if below is not None:
                found = (name, self._member(ref, below, where, inner))
                members.update(dict.fromkeys((plain(name), name, name[:1].upper() + name[1:]), found))
        for key, to in self._rename.items():
            above, _, own = key.rpartition(".")
            if above != at or (to and to == leave):
                continue
            undeclared = (to, _refused(self._service, self._operation, f"{path}.{to}" if path else to))
            members[own] = members[plain(own)] = (members.get(to) or undeclared) if to else None
        return members

    def _structure(self, shape: Shape, node: Node, path: str, at: str) -> Convert:
        members = self._members(shape, node, path, at)
        service, operation = self._service, self._operation
        pair = _pair(shape)

        def convert(value: Any) -> Any:
            if not isinstance(value, Mapping):
                raise _wrong(service, operation, path, "a structure", value)
            made = {}
            for key, item in value.items():
                member = members[key] if key in members else members.get(plain(key), MISSING)
                if member is MISSING and pair is not None and key in pair:
                    member = members.get(pair[key], MISSING)
                if member is None:
                    continue
                if member is MISSING:
                    raise not_built(service, operation, f"{path}.{key}" if path else key)
                if item is not None:
                    made[member[0]] = member[1](item)
            return made

        return convert

    def _member(self, ref: Ref, node: Node, path: str, at: str) -> Convert:
        shape = self._model.shape(ref.shape)
        if node.default is not MISSING:
            return _only(node.default, self._value(ref, shape, _EVERYTHING, path, at), self._service, self._operation, path)
        return self._value(ref, shape, node, path, at)

    def _value(self, ref: Ref, shape: Shape, node: Node, path: str, at: str) -> Convert:
        if shape.type not in _CONTAINERS or shape.document:
            return _scalar(shape, self._service, self._operation, path)
        if not node.everything:
            return self._container(shape, node, path, at)
        key = (ref.shape, at if self._inner else "")
        cell = self._whole.get(key)
        if cell is None:
            cell = self._whole[key] = []
            cell.append(self._container(shape, node, path, at))
        if cell:
            return cell[0]
        return lambda item: cell[0](item)  # a recursive shape: its closure is not there yet

    def _container(self, shape: Shape, node: Node, path: str, at: str) -> Convert:
        if shape.type == "structure":
            return self._structure(shape, node, path, at)
        element, segment = (shape.member, "[]") if shape.type == "list" else (shape.value, "{}")
        assert element is not None
        below = node.child(segment)
        inner = self._model.shape(element.shape)
        if below is None and (inner.type not in _CONTAINERS or inner.document) and node.covers_scalars(segment):
            below = node
        where = path + segment
        each = self._member(element, below, where, at) if below is not None else _refused(self._service, self._operation, where)
        if shape.type == "list":
            return _list(each, _pair_names(inner), self._service, self._operation, path)
        return _map(each, self._service, self._operation, path)


_EVERYTHING = Node()
_EVERYTHING.everything = True


def _with_rest(
    members: dict[str, tuple[str, Convert] | None], others: Convert, properties: Mapping[str, Any], rest: str, service: str, operation: str
) -> dict[str, Any]:
    made: dict[str, Any] = {}
    left: dict[str, Any] = {}
    for key, item in properties.items():
        member = members.get(plain(key), MISSING)
        if member is None or item is None:
            continue
        if member is MISSING:
            left[key] = item
        else:
            made[member[0]] = member[1](item)
    if left:
        made[rest] = others(left)
    return made


def _texts(properties: Mapping[str, Any]) -> dict[str, str]:
    return {name: text(value) for name, value in properties.items()}


def text(value: Any) -> str:
    """A value as the string that AWS's attributes have for it: `true`, `30`, JSON without blanks."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return _encode(value).decode() if isinstance(value, dict | list) else str(value)


def _pair_names(shape: Shape) -> tuple[str, str] | None:
    """(key, value) member names of a structure that is a tag, or an environment variable."""
    if shape.type != "structure" or len(shape.members) > 3:
        return None
    key = next((name for name in shape.members if plain(name) in _KEYS), None)
    value = next((name for name in shape.members if plain(name) in _VALUES), None)
    return (key, value) if key is not None and value is not None else None


def _pair(shape: Shape) -> dict[str, str] | None:
    """For a tag whose members are `TagKey` and `TagValue`: how CloudFormation's Key and Value find them."""
    names = _pair_names(shape)
    return {"Key": plain(names[0]), "Value": plain(names[1])} if names is not None else None


def _list(each: Convert, pair: tuple[str, str] | None, service: str, operation: str, path: str) -> Convert:
    def convert(value: Any) -> Any:
        if isinstance(value, Mapping) and pair is not None:
            return [each({"Key": key, "Value": item}) for key, item in value.items()]
        if not isinstance(value, list):
            raise _wrong(service, operation, path, "a list", value)
        return [each(item) for item in value]

    return convert


def _is_tag(item: Any) -> bool:
    """Whether it is CloudFormation's Key and Value, and may become an entry of a map."""
    return isinstance(item, Mapping) and {*item} <= {"Key", "Value"} and isinstance(item.get("Key"), str)


def _map(each: Convert, service: str, operation: str, path: str) -> Convert:
    def convert(value: Any) -> Any:
        if isinstance(value, list) and all(map(_is_tag, value)):
            return {item["Key"]: each(item.get("Value", "")) for item in value}
        if not isinstance(value, Mapping):
            raise _wrong(service, operation, path, "a map", value)
        return {key: each(item) for key, item in value.items()}

    return convert


def _refused(service: str, operation: str, path: str) -> Convert:
    def refuse(value: Any) -> Any:
        raise not_built(service, operation, path)

    return refuse


def _only(default: Any, convert: Convert, service: str, operation: str, path: str) -> Convert:
    def take(value: Any) -> Any:
        made = convert(value)
        if made != default:
            raise not_built(service, operation, path)
        return made

    return take


def _wrong(service: str, operation: str, path: str, wanted: str, value: Any) -> AwsError:
    return AwsError("ValidationException", f"{service}:{operation}: {path or 'the input'} must be {wanted}, not {type(value).__name__}")


def _scalar(shape: Shape, service: str, operation: str, path: str) -> Convert:
    kind = shape.type
    if shape.document:
        return _as_is

    def number(value: Any) -> Any:
        try:
            return value if type(value) is int else int(value) if kind in ("integer", "long") else float(value)
        except (TypeError, ValueError, OverflowError):
            raise _wrong(service, operation, path, "a number", value) from None

    def boolean(value: Any) -> Any:
        known = value if isinstance(value, bool) else {"true": True, "false": False}.get(str(value).lower())
        if known is None:
            raise _wrong(service, operation, path, "true or false", value)
        return known

    def moment(value: Any) -> Any:
        seconds = value if isinstance(value, int | float) else parse(str(value), "iso8601")
        if seconds is None:
            raise _wrong(service, operation, path, "a point in time", value)
        return seconds

    def blob(value: Any) -> Any:
        return value.encode() if isinstance(value, str) else value

    if kind in ("integer", "long", "float", "double"):
        return number
    return {"boolean": boolean, "timestamp": moment, "blob": blob}.get(kind, text)


def _as_is(value: Any) -> Any:
    return value


def properties(schema: TypeSchema, reply: Mapping[str, Any], *, rename: Mapping[str, str] | None = None) -> Properties:
    """The properties of a type that an operation's reply tells, as the schema has them; what is no property of the type is left out.

    rename: property path to the reply's member, as for `Walk` (the same mapping serves both). Values take the schema's types.
    """
    made = _structure_of(schema.root, reply, "", rename or {})
    coerced: Properties = schema.check(made, None, [])
    return coerced


def _structure_of(place: Place, reply: Mapping[str, Any], at: str, rename: Mapping[str, str]) -> dict[str, Any]:
    found = {plain(name): value for name, value in reply.items() if value is not None}
    made = {}
    for name, below in place.properties.items():
        where = f"{at}.{name}" if at else name
        key = plain(rename.get(where, name))
        if key in found:
            made[name] = _value_of(below, found[key], where, rename)
    return made


def _value_of(place: Place, value: Any, at: str, rename: Mapping[str, str]) -> Any:
    if place.items is not None:
        return _list_of(place, place.items, value, at, rename)
    if isinstance(value, Mapping):
        if place.properties:
            return _structure_of(place, value, at, rename)
        return {key: _value_of(place.values, item, at, rename) if place.values else item for key, item in value.items()}
    if (
        place.kinds == ("object",) and isinstance(value, list) and all(isinstance(one, Mapping) for one in value)
    ):  # tags, which the schema has as a map
        return {tag["Key"]: tag.get("Value", "") for tag in map(_tag, value) if isinstance(tag["Key"], str)}
    return value


def _list_of(place: Place, items: Place, value: Any, at: str, rename: Mapping[str, str]) -> Any:
    if isinstance(value, Mapping) and place.is_tags:
        return [{"Key": key, "Value": item} for key, item in value.items()]
    if not isinstance(value, list):
        return value
    if place.is_tags:
        return [_tag(item) for item in value if isinstance(item, Mapping)]
    return [_value_of(items, item, at, rename) for item in value]


def _tag(item: Mapping[str, Any]) -> dict[str, Any]:
    """A tag of any service (`key`, `TagKey`) as CloudFormation has it."""
    found = {plain(name): value for name, value in item.items()}
    key = next((found[name] for name in _KEYS if name in found), "")
    return {"Key": key, "Value": next((found[name] for name in _VALUES if name in found), "")}

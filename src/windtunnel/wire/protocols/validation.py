"""The constraints of a model (required, length, range, enum, pattern) checked on a decoded input, reported as AWS reports them.

Invariant: every violation of a request is found and all are told at once; nothing is copied or changed. Checks run after decoding,
so they meet only values of the model's types.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, NoReturn

from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import RULES, MemberErrors, ServiceRules
from windtunnel.wire.models import OperationModel, Ref, ServiceModel, Shape
from windtunnel.wire.naming import lower_first
from windtunnel.wire.protocols.patterns import Pattern, compiled_pattern

Path = tuple[Any, str | int]
"""(the path above or None, this step): joined only when something is wrong."""


class Violation(NamedTuple):
    """member: the top-level member it is in; wire: its name on the wire; value: None when missing."""

    member: str
    path: str
    constraint: str
    kind: str
    value: Any

    def text(self) -> str:
        shown = "null" if self.value is None else f"'{render(self.value)}'"
        return f"Value {shown} at '{self.path}' failed to satisfy constraint: {self.constraint}"


Check = Callable[[Any, Any, "list[Violation]"], None]
"""(value, path, found so far)"""
_MAX_SHOWN = 1024


def render(value: Any) -> str:
    """A value as AWS's (Java) services print it."""
    if isinstance(value, bool):
        text = "true" if value else "false"
    elif isinstance(value, dict):
        text = "{" + ", ".join(f"{key}={render(item)}" for key, item in value.items()) + "}"
    elif isinstance(value, list):
        text = "[" + ", ".join(render(item) for item in value) + "]"
    elif isinstance(value, bytes):
        text = f"java.nio.HeapByteBuffer[pos=0 lim={len(value)} cap={len(value)}]"
    else:
        text = str(value)
    return text if len(text) <= _MAX_SHOWN else text[:_MAX_SHOWN] + "..."


def violation(path: Any, constraint: str, kind: str, value: Any) -> Violation:
    steps: list[str] = []
    top = ""
    while path is not None:
        path, step = path
        steps.append(lower_first(step) if isinstance(step, str) else f"{step}.member")
        top = step if isinstance(step, str) else top
    return Violation(top, ".".join(reversed(steps)), constraint, kind, value)


class Validator:
    """Compiles the checks of one service's shapes; a shape without constraints costs nothing at run time."""

    def __init__(self, service: ServiceModel) -> None:
        self.service = service
        self._cells: dict[str, list[Check | None]] = {}
        rules = RULES.get(service.name)
        self._left_to_the_service = rules.unchecked_shapes if rules is not None else frozenset()

    def input(self, operation: OperationModel) -> Check | None:
        return self._structure(operation.input_shape) if operation.input else None

    def check(self, ref: Ref) -> Check | None:
        if ref.shape in self._left_to_the_service:
            return None
        shape = self.service.shape(ref.shape)
        if shape.type not in ("structure", "list", "map"):
            return scalar_check(shape)
        cell = self._cells.get(ref.shape)
        if cell is None:
            cell = self._cells[ref.shape] = []
            cell.append(self._container(shape))
        if cell:
            return cell[0]

        def later(value: Any, path: Any, found: list[Violation]) -> None:
            check = cell[0]
            if check is not None:
                check(value, path, found)

        return later

    def _container(self, shape: Shape) -> Check | None:
        if shape.type == "structure":
            return self._structure(shape)
        if shape.type == "list":
            return self._list(shape)
        return self._map(shape)

    def _structure(self, shape: Shape) -> Check | None:
        required = tuple(shape.required)
        members = [(name, check) for name, ref in shape.members.items() if (check := self.check(ref))]
        if not required and not members:
            return None

        def run(value: Any, path: Any, found: list[Violation]) -> None:
            for name in required:
                if name not in value:
                    found.append(violation((path, name), "Member must not be null", "required", None))
            for name, check in members:
                item = value.get(name)
                if item is not None:
                    check(item, (path, name), found)

        return run

    def _list(self, shape: Shape) -> Check | None:
        assert shape.member is not None
        size = scalar_check(shape)
        below = self.service.shape(shape.member.shape)
        if below.type in ("structure", "list", "map"):
            each = self.check(shape.member)
            return _both(size, _each(each)) if each else size
        if shape.member.shape in self._left_to_the_service:
            return size
        constraints = constraint_texts(below)
        element = scalar_check(below)
        return _both(size, _any(element, f"Member must satisfy constraint: [{constraints}]", list)) if element else size

    def _map(self, shape: Shape) -> Check | None:
        assert shape.key is not None and shape.value is not None
        keys, value = self.service.shape(shape.key.shape), self.service.shape(shape.value.shape)
        check = scalar_check(shape)
        key_check = scalar_check(keys) if shape.key.shape not in self._left_to_the_service else None
        if key_check:
            check = _both(check, _any(key_check, f"Map keys must satisfy constraint: [{constraint_texts(keys)}]", list))
        if value.type in ("structure", "list", "map"):
            each = self.check(shape.value)
            return _both(check, _each_value(each)) if each else check
        value_check = scalar_check(value)
        if value_check is None:
            return check
        texts = constraint_texts(value)
        return _both(check, _any(value_check, f"Map value must satisfy constraint: [{texts}]", lambda item: list(item.values())))


def _both(first: Check | None, second: Check) -> Check:
    if first is None:
        return second

    def run(value: Any, path: Any, found: list[Violation]) -> None:
        first(value, path, found)
        second(value, path, found)

    return run


def _each(check: Check) -> Check:
    def run(value: Any, path: Any, found: list[Violation]) -> None:
        for index, item in enumerate(value, 1):
            if item is not None:
                check(item, (path, index), found)

    return run


def _each_value(check: Check) -> Check:
    def run(value: Any, path: Any, found: list[Violation]) -> None:
        for key, item in value.items():
            if item is not None:
                check(item, ((path, key), "member"), found)

    return run


def _any(check: Check, constraint: str, parts: Callable[[Any], list[Any]]) -> Check:
    """One violation for the whole collection when any part of it fails, as AWS words it."""

    def run(value: Any, path: Any, found: list[Violation]) -> None:
        inner: list[Violation] = []
        for item in parts(value):
            if item is not None:
                check(item, None, inner)
                if inner:
                    found.append(violation(path, constraint, "invalid", value))
                    return

    return run


_SIZED = {"string", "blob", "list", "map", "character"}
_NUMERIC = {"integer", "long", "float", "double"}


def constraint_texts(shape: Shape) -> str:
    """The constraints of a shape as AWS lists them for the members of a collection."""
    texts = []
    noun = "length" if shape.type in _SIZED else "value"
    if shape.max is not None:
        texts.append(f"Member must have {noun} less than or equal to {shape.max}")
    if shape.min is not None:
        texts.append(f"Member must have {noun} greater than or equal to {shape.min}")
    if shape.pattern:
        texts.append(f"Member must satisfy regular expression pattern: {shape.pattern}")
    if shape.enum:
        texts.append(_enum_text(shape.enum))
    return ", ".join(texts)


def _enum_text(values: list[str]) -> str:
    return f"Member must satisfy enum value set: [{', '.join(values)}]"


def scalar_check(shape: Shape) -> Check | None:
    """The check of length or range, enum and pattern; None when the shape has none."""
    check: Check | None = None
    if (shape.min is not None or shape.max is not None) and shape.type in _SIZED | _NUMERIC:
        check = _bounds(shape)
    if shape.enum and shape.type == "string":
        check = _both(check, _enum(shape.enum))
    pattern = compiled_pattern(shape.pattern) if shape.pattern and shape.type == "string" else None
    if pattern is not None:
        check = _both(check, _pattern(pattern, shape.pattern or ""))
    return check


def _bounds(shape: Shape) -> Check | None:
    sized = shape.type in _SIZED
    noun = "length" if sized else "value"
    low = shape.min if shape.min is not None else float("-inf")
    high = shape.max if shape.max is not None else float("inf")
    too_small = f"Member must have {noun} greater than or equal to {shape.min}"
    too_great = f"Member must have {noun} less than or equal to {shape.max}"
    if sized and low <= 0 and high == float("inf"):
        return None

    def run(value: Any, path: Any, found: list[Violation]) -> None:
        size = len(value) if sized else value
        if size < low:
            found.append(violation(path, too_small, "invalid", value))
        elif size > high:
            found.append(violation(path, too_great, "invalid", value))

    return run


def _enum(values: list[str]) -> Check:
    allowed = frozenset(values)
    text = _enum_text(values)

    def run(value: Any, path: Any, found: list[Violation]) -> None:
        if value not in allowed:
            found.append(violation(path, text, "enum", value))

    return run


def _pattern(pattern: Pattern, source: str) -> Check:
    matches, longest = pattern
    text = f"Member must satisfy regular expression pattern: {source}"

    def run(value: Any, path: Any, found: list[Violation]) -> None:
        if len(value) <= longest and matches(value) is None:
            found.append(violation(path, text, "invalid", value))

    return run


def reporter(operation: OperationModel, rules: ServiceRules, protocol: str) -> Callable[[list[Violation]], NoReturn]:
    """What turns the violations of a request into the service's error."""
    if protocol == "ec2":
        return _report_ec2
    if protocol == "rest-xml":
        return _report_rest_xml(operation)
    own = _own_errors(operation, rules.members)
    code = rules.validation_code
    if protocol in ("query", "query-json") and code == "ValidationException":
        code = "ValidationError"

    def report(found: list[Violation]) -> NoReturn:
        for item in found:
            codes = own.get(item.member)
            if codes is not None:
                error = codes[0] if item.kind == "required" else codes[1]
                if error is not None:
                    raise AwsError(*error)
        noun = "error" if len(found) == 1 else "errors"
        raise AwsError(code, f"{len(found)} validation {noun} detected: " + "; ".join(item.text() for item in found))

    return report


_OwnErrors = tuple["tuple[str, str] | None", "tuple[str, str] | None"]


def _own_errors(operation: OperationModel, members: Mapping[str, MemberErrors]) -> dict[str, _OwnErrors]:
    """The service's own codes for its members, each with the words that the model has for it."""

    def words(code: str | None) -> tuple[str, str] | None:
        return (code, operation.service.documentation(code) or code) if code else None

    return {name: (words(codes.required), words(codes.invalid)) for name, codes in members.items() if name in operation.input_shape.members}


def _report_ec2(found: list[Violation]) -> NoReturn:
    first = found[0]
    name = ".".join(step[:1].upper() + step[1:] for step in first.path.split("."))
    if first.kind == "required":
        raise AwsError("MissingParameter", f"The request must contain the parameter {name}")
    if first.kind == "enum":
        raise AwsError("InvalidParameterValue", f"Invalid value '{render(first.value)}' for {name}.")
    raise AwsError("InvalidParameterValue", f"Value ({render(first.value)}) for parameter {first.path} is invalid. {first.constraint}.")


def _report_rest_xml(operation: OperationModel) -> Callable[[list[Violation]], NoReturn]:
    body_members = {name for name, ref in operation.input_shape.members.items() if ref.location is None}
    wires = {name: ref.location_name or name for name, ref in operation.input_shape.members.items()}

    def report(found: list[Violation]) -> NoReturn:
        first = found[0]
        if first.member in body_members:
            if first.kind == "required" and "." not in first.path:
                raise AwsError("MissingRequestBodyError", "Request Body is empty", status=400)
            raise AwsError("MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema")
        extra = {"ArgumentName": wires[first.member], "ArgumentValue": "" if first.value is None else render(first.value)}
        raise AwsError("InvalidArgument", first.constraint, status=400, extra=extra)

    return report

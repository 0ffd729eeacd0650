"""A provider schema becomes closures that coerce a value as CloudFormation does and say what is wrong with it, in the words of AWS's own validator.

Invariants: nothing that was given is changed in place; a closure never raises for a value that JSON can say; the schema's document can go once it is
compiled. The wording is that of AWS's open resource-schema library: it tells values for none of the keywords whose messages would contain one
(`enum`, `pattern`, `minimum`, …: "failed validation constraint for keyword [enum]").
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import msgspec

from windtunnel.provision.patterns import searcher

Path = Any
"""(the path above or None, this step): joined only when something is wrong."""
Schema = dict[str, Any]


class Problem(NamedTuple):
    """path: a JSON pointer (`/Tags/0/Key`, "" for the resource itself). keyword: the schema's word that does not hold. names: the properties it is about."""

    path: str
    keyword: str
    message: str
    names: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        return f"#{self.path}: {self.message}"


Check = Callable[[Any, Path, "list[Problem]"], Any]
"""(value, path, problems found so far) -> the value as its schema's type."""
Test = Callable[[Any, Path, "list[Problem]"], None]
_PRIMITIVES = {"string": str, "boolean": bool, "integer": int}
_INTEGER = re.compile(r"[+-]?[0-9]{1,400}")
_NUMBER = re.compile(r"[+-]?[0-9]{1,400}(\.[0-9]{1,400})?([eE][+-]?[0-9]{1,3})?")
_EXPECTED = {
    "string": "String",
    "integer": "Integer",
    "number": "Number",
    "boolean": "Boolean",
    "array": "JSONArray",
    "object": "JSONObject",
}
_FOUND = {str: "String", bool: "Boolean", int: "Integer", float: "BigDecimal", list: "JSONArray", dict: "JSONObject", type(None): "null"}
_MISFIT = object()
_ANYTHING = frozenset({"description", "title", "default", "examples", "$comment", "format", "insertionOrder", "relationshipRef"})


def pointer(path: Path) -> str:
    steps: list[str] = []
    while path is not None:
        path, step = path
        steps.append(str(step).replace("~", "~0").replace("/", "~1"))
    return "".join(f"/{step}" for step in reversed(steps))


def problem(path: Path, keyword: str, message: str, *names: str) -> Problem:
    return Problem(pointer(path), keyword, message, names)


def hidden(path: Path, keyword: str) -> Problem:
    return problem(path, keyword, f"failed validation constraint for keyword [{keyword}]")


class Compiler:
    """Compiles one document; each of its definitions once."""

    def __init__(self, document: Schema) -> None:
        self._document = document
        self._cells: dict[str, list[Check | None]] = {}

    def root(self) -> Check:
        keywords = (
            "properties",
            "required",
            "additionalProperties",
            "patternProperties",
            "allOf",
            "anyOf",
            "oneOf",
            "dependencies",
            "if",
            "then",
        )
        return self.node({"type": "object", **{name: self._document[name] for name in keywords if name in self._document}}) or _anything

    def node(self, raw: Schema) -> Check | None:
        """The check of a schema; None when anything fits it."""
        reference = raw.get("$ref")
        if isinstance(reference, str):
            return self._reference(reference)
        types = raw.get("type")
        kinds: tuple[str, ...] = tuple(types) if isinstance(types, list) else (types,) if types else ()
        tests = list(self._tests(raw))
        if kinds == ("object",) or (not kinds and ("properties" in raw or "patternProperties" in raw)):
            return self._object(raw, bool(kinds), tests)
        if kinds == ("array",):
            return self._array(raw, tests)
        if not kinds and not tests:
            return None
        inner = self._object(raw, False, []) if "object" in kinds and ("properties" in raw or "patternProperties" in raw) else None
        return _scalar(kinds, tests, inner)

    def member(self, raw: Schema) -> tuple[type | None, Check]:
        """(a type that passes as it is, the check of everything else)"""
        if set(raw) - _ANYTHING == {"type"} and isinstance(raw["type"], str) and raw["type"] in _PRIMITIVES:
            return _PRIMITIVES[raw["type"]], _scalar((raw["type"],), [], None)
        return None, self.node(raw) or _anything

    def _reference(self, reference: str) -> Check | None:
        cell = self._cells.get(reference)
        if cell is None:
            cell = self._cells[reference] = []
            cell.append(self.node(self.resolve(reference)))
        if cell:
            return cell[0]

        def later(value: Any, path: Path, found: list[Problem]) -> Any:
            check = cell[0]
            return value if check is None else check(value, path, found)

        return later

    def resolve(self, reference: str) -> Schema:
        at: Any = self._document
        for step in reference.removeprefix("#/").split("/"):
            at = at.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(at, dict) else None
        return at if isinstance(at, dict) else {}

    def _object(self, raw: Schema, strict: bool, tests: list[Test]) -> Check:
        members = {name: self.member(child) for name, child in raw.get("properties", {}).items()}
        required = tuple(raw.get("required", ()))
        patterns = [(searcher(name), self.node(child) or _anything) for name, child in raw.get("patternProperties", {}).items()]
        additional = raw.get("additionalProperties", True)
        others: Check | None = (self.node(additional) or _anything) if isinstance(additional, dict) else _anything if additional else None
        wrong = _mismatch("object")

        def check(value: Any, path: Path, found: list[Problem]) -> Any:
            if type(value) is not dict:
                value = _as_object(value) if strict else value
                if type(value) is not dict:
                    if strict:
                        wrong(value, path, found)
                    return value
            out = {}
            before = len(found)
            extraneous: list[str] | None = None
            for key, item in value.items():
                member = members.get(key)
                if member is not None:
                    exact, convert = member
                    out[key] = item if type(item) is exact else convert(item, (path, key), found)
                    continue
                fitting = _fitting(patterns, key) if patterns else None
                if fitting is not None:
                    out[key] = fitting(item, (path, key), found)
                elif others is not None:
                    out[key] = others(item, (path, key), found)
                else:
                    extraneous = [*(extraneous or ()), key]
            if extraneous:
                found[before:before] = [
                    problem(path, "additionalProperties", f"extraneous key [{key}] is not permitted", key) for key in extraneous
                ]
            for name in required:
                if name not in value:
                    found.insert(before, problem(path, "required", f"required key [{name}] not found", name))
                    before += 1
            for test in tests:
                test(out, path, found)
            return out

        return check

    def _array(self, raw: Schema, tests: list[Test]) -> Check:
        items = raw.get("items")
        exact, convert = self.member(items) if isinstance(items, dict) else (None, _anything)
        wrong = _mismatch("array")

        def check(value: Any, path: Path, found: list[Problem]) -> Any:
            if type(value) is not list:
                wrong(value, path, found)
                return value
            out = [item if type(item) is exact else convert(item, (path, index), found) for index, item in enumerate(value)]
            for test in tests:
                test(out, path, found)
            return out

        return check

    def _tests(self, raw: Schema) -> Iterable[Test]:
        """What is looked at after the value has its type."""
        for keyword, make in _SIMPLE.items():
            if keyword in raw:
                test = make(raw[keyword])
                if test is not None:
                    yield test
        if "enum" in raw or "const" in raw:
            yield _enum("enum" if "enum" in raw else "const", raw.get("enum", [raw.get("const")]), "type" in raw)
        if "required" in raw and raw.get("type") != "object" and "properties" not in raw and "patternProperties" not in raw:
            yield _required(tuple(raw["required"]))
        for keyword in ("oneOf", "anyOf", "allOf"):
            branches = [self.node(branch) for branch in raw.get(keyword, ())]
            if keyword == "anyOf" and None in branches or not any(branches):
                continue  # some branch takes anything: cfn-lint's hints of a format
            yield _combined(keyword, [branch or _anything for branch in branches])
        if "not" in raw:
            yield _not(self.node(raw["not"]) or _anything)
        if "if" in raw:
            yield _conditional(self.node(raw["if"]), self.node(raw.get("then", {})), self.node(raw.get("else", {})))
        for name, wanted in raw.get("dependencies", {}).items():
            if isinstance(wanted, list):
                yield _depends(name, tuple(wanted))
            elif (branch := self.node(wanted)) is not None:
                yield _depends_on(name, branch)


def _anything(value: Any, path: Path, found: list[Problem]) -> Any:
    return value


def _fitting(patterns: list[tuple[Callable[[str], Any], Check]], key: str) -> Check | None:
    return next((check for fits, check in patterns if fits(key)), None)


def _mismatch(kind: str) -> Test:
    expected = _EXPECTED.get(kind, kind)

    def wrong(value: Any, path: Path, found: list[Problem]) -> None:
        found.append(problem(path, "type", f"expected type: {expected}, found: {_FOUND.get(type(value), type(value).__name__)}", kind))

    return wrong


def _as_object(value: Any) -> Any:
    """JSON text where the schema wants an object (a policy given as a string)."""
    if type(value) is str and value[:64].lstrip()[:1] == "{":
        try:
            return msgspec.json.decode(value)
        except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
            return value
    return value


def _as_text(value: Any) -> Any:
    if type(value) is bool:
        return "true" if value else "false"
    return str(value) if type(value) in (int, float) else _MISFIT


def _as_integer(value: Any) -> Any:
    if type(value) is str and _INTEGER.fullmatch(value.strip()):
        return int(value)
    if type(value) is float and value.is_integer():
        return int(value)
    return _MISFIT


def _as_number(value: Any) -> Any:
    if type(value) is str and _NUMBER.fullmatch(value.strip()):
        return int(value) if _INTEGER.fullmatch(value.strip()) else float(value)
    return _MISFIT


def _as_boolean(value: Any) -> Any:
    return {"true": True, "false": False}.get(value.lower(), _MISFIT) if type(value) is str else _MISFIT


_COERCE: dict[str, tuple[tuple[type, ...], Callable[[Any], Any]]] = {
    "string": ((str,), _as_text),
    "integer": ((int,), _as_integer),
    "number": ((int, float), _as_number),
    "boolean": ((bool,), _as_boolean),
    "object": ((dict,), lambda value: made if type(made := _as_object(value)) is dict else _MISFIT),
    "array": ((list,), lambda value: _MISFIT),
    "null": ((type(None),), lambda value: _MISFIT),
}


def _scalar(kinds: tuple[str, ...], tests: list[Test], inner: Check | None) -> Check:
    accepted = frozenset(kind for name in kinds for kind in _COERCE[name][0])
    coercions = [_COERCE[name][1] for name in kinds]
    wrong = _mismatch(kinds[0] if kinds else "string")

    def check(value: Any, path: Path, found: list[Problem]) -> Any:
        kind = type(value)
        if accepted and kind not in accepted:
            for coerce in coercions:
                made = coerce(value)
                if made is not _MISFIT:
                    value = made
                    break
            else:
                wrong(value, path, found)
                return value
        if inner is not None and type(value) is dict:
            value = inner(value, path, found)
        for test in tests:
            test(value, path, found)
        return value

    return check


def _length(limit: Any, *, least: bool) -> Test | None:
    word = "minLength" if least else "maxLength"
    if least and limit <= 0:
        return None

    def test(value: Any, path: Path, found: list[Problem]) -> None:
        if type(value) is str and (len(value) < limit if least else len(value) > limit):
            found.append(problem(path, word, f"expected {word}: {limit}, actual: {len(value)}"))

    return test


def _count(limit: Any, *, least: bool) -> Test | None:
    noun = "minimum" if least else "maximum"
    if least and limit <= 0:
        return None

    def test(value: Any, path: Path, found: list[Problem]) -> None:
        if type(value) is list and (len(value) < limit if least else len(value) > limit):
            found.append(problem(path, "minItems" if least else "maxItems", f"expected {noun} item count: {limit}, found: {len(value)}"))

    return test


def _size(limit: Any, *, least: bool) -> Test:
    noun = "minimum" if least else "maximum"

    def test(value: Any, path: Path, found: list[Problem]) -> None:
        if type(value) is dict and (len(value) < limit if least else len(value) > limit):
            found.append(problem(path, f"{noun[:3]}Properties", f"{noun} size: [{limit}], found: [{len(value)}]"))

    return test


def _bound(keyword: str, fails: Callable[[Any, Any], bool]) -> Callable[[Any], Test]:
    def make(limit: Any) -> Test:
        def test(value: Any, path: Path, found: list[Problem]) -> None:
            if type(value) in (int, float) and fails(value, limit):
                found.append(hidden(path, keyword))

        return test

    return make


def _not_multiple(value: float, of: float) -> bool:
    if of == 0 or math.isinf(value) or math.isnan(value):
        return False
    rest = math.fmod(value, of)
    return min(abs(rest), abs(of) - abs(rest)) > 1e-9


def _pattern(source: str) -> Test:
    fits = searcher(source)

    def test(value: Any, path: Path, found: list[Problem]) -> None:
        if type(value) is str and not fits(value):
            found.append(hidden(path, "pattern"))

    return test


def frozen(value: Any) -> Any:
    """Something hashable that is equal for equal JSON values, whatever the order of an object's keys; true is not 1."""
    if type(value) is dict:
        return ("{", frozenset((key, frozen(item)) for key, item in value.items()))
    if type(value) is list:
        return ("[", *map(frozen, value))
    return (bool, value) if type(value) is bool else value


def _unique(wanted: Any) -> Test | None:
    if not wanted:
        return None

    def test(value: Any, path: Path, found: list[Problem]) -> None:
        if type(value) is list and len(value) > 1 and len(set(map(frozen, value))) < len(value):
            found.append(problem(path, "uniqueItems", "array items are not unique"))

    return test


def _enum(keyword: str, values: list[Any], typed: bool) -> Test:
    allowed = frozenset(map(frozen, values))

    def test(value: Any, path: Path, found: list[Problem]) -> None:
        if (value if type(value) is str else frozen(value)) not in allowed:
            if typed:  # the validator sees the type and the values as two schemas
                found.append(problem(path, "allOf", "#: only 1 subschema matches out of 2"))
            found.append(hidden(path, keyword))

    return test


def _required(names: tuple[str, ...]) -> Test:
    def test(value: Any, path: Path, found: list[Problem]) -> None:
        if type(value) is dict:
            found.extend(problem(path, "required", f"required key [{name}] not found", name) for name in names if name not in value)

    return test


def _combined(keyword: str, branches: list[Check]) -> Test:
    def test(value: Any, path: Path, found: list[Problem]) -> None:
        inner: list[Problem] = []
        matched = 0
        for branch in branches:
            own: list[Problem] = []
            branch(value, path, own)
            matched += not own
            inner += own
        if keyword == "oneOf" and matched != 1:
            found.append(problem(path, "oneOf", f"#: {matched} subschemas matched instead of one"))
        elif keyword == "anyOf" and matched == 0:
            found.append(problem(path, "anyOf", f"#: no subschema matched out of the total {len(branches)} subschemas"))
        elif keyword == "allOf" and matched < len(branches):
            found.append(problem(path, "allOf", f"#: only {matched} subschema matches out of {len(branches)}"))
        else:
            return
        found.extend(dict.fromkeys(inner))

    return test


def _not(branch: Check) -> Test:
    def test(value: Any, path: Path, found: list[Problem]) -> None:
        inner: list[Problem] = []
        branch(value, path, inner)
        if not inner:
            found.append(hidden(path, "not"))

    return test


def _conditional(condition: Check | None, then: Check | None, otherwise: Check | None) -> Test:
    def test(value: Any, path: Path, found: list[Problem]) -> None:
        inner: list[Problem] = []
        if condition is not None:
            condition(value, path, inner)
        chosen = otherwise if inner else then
        if chosen is not None:
            chosen(value, path, found)

    return test


def _depends(name: str, wanted: tuple[str, ...]) -> Test:
    def test(value: Any, path: Path, found: list[Problem]) -> None:
        if type(value) is dict and name in value:
            found.extend(problem(path, "dependencies", f"property [{other}] is required", other) for other in wanted if other not in value)

    return test


def _depends_on(name: str, branch: Check) -> Test:
    def test(value: Any, path: Path, found: list[Problem]) -> None:
        if type(value) is dict and name in value:
            branch(value, path, found)

    return test


_SIMPLE: dict[str, Callable[[Any], Test | None]] = {
    "minLength": lambda limit: _length(limit, least=True),
    "maxLength": lambda limit: _length(limit, least=False),
    "pattern": _pattern,
    "minimum": _bound("minimum", lambda value, limit: value < limit),
    "maximum": _bound("maximum", lambda value, limit: value > limit),
    "exclusiveMinimum": _bound("exclusiveMinimum", lambda value, limit: value <= limit),
    "exclusiveMaximum": _bound("exclusiveMaximum", lambda value, limit: value >= limit),
    "multipleOf": _bound("multipleOf", _not_multiple),
    "minItems": lambda limit: _count(limit, least=True),
    "maxItems": lambda limit: _count(limit, least=False),
    "uniqueItems": _unique,
    "minProperties": lambda limit: _size(limit, least=True),
    "maxProperties": lambda limit: _size(limit, least=False),
}

"""Event patterns: checked in AWS's words and compiled once to functions over events (EventBridge user guide, "Event patterns"). Pure.

Invariant: a compiled pattern never raises, whatever the event; a pattern's cost is linear in the values that it looks at.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from windtunnel.kernel.matching import COMPARISONS, fits

Test = Callable[[Any], bool]
Matcher = Callable[[dict[str, Any]], bool]
MAX_DEPTH = 64
BOUND = 5e9


class InvalidPattern(ValueError):
    """Why a pattern is not one; the text is the reason in AWS's words."""


class _Absent:
    pass


ABSENT = _Absent()
Key = tuple[str, Any]


@lru_cache(maxsize=4096)
def compile_pattern(text: str) -> Matcher:
    """The matcher of a pattern's JSON text. Raises InvalidPattern."""
    try:
        pattern = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidPattern(f"Invalid JSON: {error}") from error
    if not isinstance(pattern, dict):
        raise InvalidPattern("Filter is not an object")
    return _object(pattern, 0)


def exact_texts(pattern: dict[str, Any], above: tuple[str, ...] = ()) -> dict[tuple[str, ...], frozenset[str]]:
    """The fields of which a (valid) pattern wants one of some texts and nothing else: path -> texts."""
    found: dict[tuple[str, ...], frozenset[str]] = {}
    for key, value in pattern.items():
        if isinstance(value, dict):
            found |= exact_texts(value, (*above, key))
        elif key != "$or" and all(isinstance(one, str) for one in value):
            found[*above, key] = frozenset(value)
    return found


def _object(pattern: dict[str, Any], depth: int) -> Matcher:
    if not pattern:
        raise InvalidPattern("Empty objects are not allowed")
    if depth > MAX_DEPTH:
        raise InvalidPattern("Event pattern is nested too deeply")
    fields: list[tuple[str, Test]] = []
    choices: list[list[Matcher]] = []
    for key, value in pattern.items():
        if key == "$or" and isinstance(value, list) and len(value) > 1 and all(isinstance(v, dict) for v in value):
            choices.append([_object(choice, depth + 1) for choice in value])
        elif isinstance(value, dict):
            fields.append((key, _nested(_object(value, depth + 1))))
        elif isinstance(value, list):
            fields.append((key, _leaf(value)))
        else:
            raise InvalidPattern(f'"{key}" must be an object or an array')

    def matches(event: dict[str, Any]) -> bool:
        for key, test in fields:
            if not test(event.get(key, ABSENT)):
                return False
        return not choices or all(any(choice(event) for choice in alternatives) for alternatives in choices)

    return matches


def _nested(inner: Matcher) -> Test:
    """An object's pattern over an object, over any one object of a list, or over nothing (for `exists: false` below)."""

    def test(value: Any) -> bool:
        if isinstance(value, dict):
            return inner(value)
        if isinstance(value, list):
            return any(inner(element) for element in value if isinstance(element, dict))
        return inner({})

    return test


def _leaf(allowed: list[Any]) -> Test:
    if not allowed:
        raise InvalidPattern("Empty arrays are not allowed")
    exact = {_key(value) for value in allowed if not isinstance(value, dict | list)}
    if any(isinstance(value, list) for value in allowed):
        raise InvalidPattern("Match value must be String, number, true, false, or null")
    filters = [_filter(value) for value in allowed if isinstance(value, dict)]

    def one(value: Any) -> bool:
        if value is not ABSENT and (type(value).__name__, value) in exact:
            return True
        return bool(filters) and any(test(value) for test in filters)

    def test(value: Any) -> bool:
        if isinstance(value, list):
            found = list(_scalars(value))
            return any(map(one, found)) if found else one(ABSENT)
        return one(ABSENT if isinstance(value, dict) else value)

    return test


def _scalars(values: list[Any]) -> list[Any]:
    """The scalars of a list, those of lists in it too."""
    found, pending = [], list(reversed(values))
    while pending:
        value = pending.pop()
        if isinstance(value, list):
            pending.extend(reversed(value))
        elif not isinstance(value, dict):
            found.append(value)
    return found


def _key(value: Any) -> Key:
    """Equal for equal JSON scalars only: 1, 1.0, true and "1" are four values."""
    return type(value).__name__, value


def _filter(given: dict[str, Any]) -> Test:
    if len(given) != 1:
        raise InvalidPattern("Only one key allowed in match expression")
    ((kind, argument),) = given.items()
    build = FILTERS.get(kind)
    if build is None:
        raise InvalidPattern(f"Unrecognized match type {kind}")
    return build(argument)


def _on_text(test: Callable[[str], bool]) -> Test:
    return lambda value: isinstance(value, str) and test(value)


def _text(kind: str, argument: Any) -> str:
    if not isinstance(argument, str):
        raise InvalidPattern(f"{kind} match pattern must be a string")
    return argument


def _affix(kind: str, starts: bool) -> Callable[[Any], Test]:
    def build(argument: Any) -> Test:
        if isinstance(argument, dict) and set(argument) == {"equals-ignore-case"}:
            folded = _text(kind, argument["equals-ignore-case"]).casefold()
            return _on_text(lambda v: v.casefold().startswith(folded) if starts else v.casefold().endswith(folded))
        wanted = _text(kind, argument)
        return _on_text(lambda v: v.startswith(wanted) if starts else v.endswith(wanted))

    return build


def _ignore_case(argument: Any) -> Test:
    wanted = _text("equals-ignore-case", argument).casefold()
    return _on_text(lambda value: value.casefold() == wanted)


def _wildcard(argument: Any) -> Test:
    parts = _wildcard_parts(_text("wildcard", argument))
    return _on_text(lambda value: fits(parts, value))


def _wildcard_parts(text: str) -> list[str]:
    """The literal parts between the asterisks; `\\*` and `\\\\` stand for themselves."""
    parts, position, last_star = [""], 0, -2
    while position < len(text):
        character = text[position]
        if character == "\\":
            following = text[position + 1 : position + 2]
            if following not in ("*", "\\") or not following:
                raise InvalidPattern(f"Invalid escape character at pos {position}")
            parts[-1] += following
            position += 2
            continue
        if character == "*":
            if last_star == position - 1:
                raise InvalidPattern(f"Consecutive wildcard characters at pos {last_star}")
            last_star = position
            parts.append("")
        else:
            parts[-1] += character
        position += 1
    return parts


def _exists(argument: Any) -> Test:
    if not isinstance(argument, bool):
        raise InvalidPattern("exists match pattern must be either true or false.")
    return lambda value: (value is not ABSENT) == argument


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _numeric(argument: Any) -> Test:
    if not isinstance(argument, list):
        raise InvalidPattern("Value of numeric must be an array.")
    if not argument:
        raise InvalidPattern("Invalid member in numeric match: ]")
    if len(argument) not in (2, 4):
        if len(argument) % 2:
            raise InvalidPattern(f"Value of {argument[-1]} must be numeric")
        raise InvalidPattern("Too many elements in numeric expression")
    pairs = [(argument[n], argument[n + 1]) for n in range(0, len(argument), 2)]
    for operator, bound in pairs:
        if not isinstance(operator, str):
            raise InvalidPattern(f"Invalid member in numeric match: {operator}")
        if operator not in COMPARISONS:
            raise InvalidPattern(f"Unrecognized numeric range operator: {operator}")
        if not _number(bound):
            raise InvalidPattern(f"Value of {operator} must be numeric")
        if not -BOUND <= bound <= BOUND:
            raise InvalidPattern("Value must be between -5.0E9 and 5.0E9, inclusive")
    if len(pairs) == 2:
        _check_range(pairs)
    return lambda value: _number(value) and all(COMPARISONS[operator](value, bound) for operator, bound in pairs)


def _check_range(pairs: list[tuple[str, float]]) -> None:
    (low, bottom), (high, top) = pairs
    if low not in (">", ">="):
        raise InvalidPattern("Too many terms in numeric range expression" if low == "=" else f"Bad numeric range operator: {low}")
    if high not in ("<", "<="):
        raise InvalidPattern(f"Bad numeric range operator: {high}")
    if bottom >= top:
        raise InvalidPattern("Bottom must be less than top")


def _cidr(argument: Any) -> Test:
    text = _text("cidr", argument)
    if text.count("/") > 1:
        raise InvalidPattern("Malformed CIDR, one '/' required")
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError as error:
        raise InvalidPattern(f"Nonstandard IP address: {text}") from error

    def inside(value: str) -> bool:
        try:
            return ipaddress.ip_address(value) in network
        except ValueError:
            return False

    return _on_text(inside)


def _anything_but(argument: Any) -> Test:
    if isinstance(argument, dict):
        refused = _anything_but_filter(argument)
    else:
        values = argument if isinstance(argument, list) else [argument]
        if not values:
            raise InvalidPattern("Empty arrays are not allowed")
        texts, numbers = all(isinstance(v, str) for v in values), all(_number(v) for v in values)
        if not texts and not numbers:
            raise InvalidPattern("Inside anything but list, either all values are number or string, mixed type is not supported")
        keys = {_key(v) for v in values}

        def refused(value: Any) -> bool:
            return _key(value) in keys

    return lambda value: value is not ABSENT and not refused(value)


def _anything_but_filter(argument: dict[str, Any]) -> Test:
    if len(argument) != 1:
        raise InvalidPattern("Only one key allowed in match expression")
    ((kind, inner),) = argument.items()
    if kind not in ("prefix", "suffix", "wildcard", "equals-ignore-case"):
        raise InvalidPattern(f"Unsupported anything-but pattern: {kind}")
    several = inner if isinstance(inner, list) else [inner]
    if not several:
        raise InvalidPattern("Empty arrays are not allowed")
    tests = [FILTERS[kind](one) for one in several]
    return lambda value: any(test(value) for test in tests)


FILTERS: dict[str, Callable[[Any], Test]] = {
    "prefix": _affix("prefix", True),
    "suffix": _affix("suffix", False),
    "equals-ignore-case": _ignore_case,
    "wildcard": _wildcard,
    "anything-but": _anything_but,
    "numeric": _numeric,
    "exists": _exists,
    "cidr": _cidr,
}

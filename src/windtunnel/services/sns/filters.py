"""Filter policies: checked in SNS's words and compiled once to functions over attributes or bodies. Pure.

Source: Developer Guide, Amazon SNS subscription filter policies. A key of a policy must match, of its values one; a policy on the body
is nested as the body is. Invariant: a compiled policy never raises, whatever the message.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.matching import COMPARISONS, fits

Test = Callable[[list[Any]], bool]
"""Over the values that a key has; none when it is absent."""
Matcher = Callable[[Mapping[str, Any]], bool]
MAX_KEYS, MAX_COMBINATIONS, MAX_DEPTH = 5, 150, 32
BOUND = 1e9


class InvalidFilter(ValueError):
    """Why a policy is not one."""


@lru_cache(maxsize=2048)
def compile_filter(text: str, scope: str) -> Matcher:
    """scope: MessageAttributes or MessageBody. Raises InvalidFilter."""
    try:
        policy = json.loads(text)
    except (ValueError, RecursionError):
        raise InvalidFilter("failed to parse JSON.") from None
    if not isinstance(policy, dict):
        raise InvalidFilter("Filter is not an object")
    keys, combinations = _size(policy, 1)
    if keys > MAX_KEYS:
        raise InvalidFilter("Filter policy can not have more than 5 keys")
    if combinations > MAX_COMBINATIONS:
        raise InvalidFilter("Filter policy is too complex")
    return _object(policy, scope == "MessageBody", 1)


def check_filter(text: str, scope: str) -> None:
    try:
        compile_filter(text, scope)
    except InvalidFilter as reason:
        raise AwsError("InvalidParameter", f"Invalid parameter: Attributes Reason: FilterPolicy: {reason}") from None


def _size(policy: dict[str, Any], depth: int) -> tuple[int, int]:
    """(leaf keys, combinations of their values, each weighed by its depth)."""
    keys, combinations = 0, 1
    for key, value in policy.items():
        if key == "$or" and isinstance(value, list) and value and all(isinstance(one, dict) for one in value):
            sizes = [_size(one, depth) for one in value]
            keys += max(size[0] for size in sizes)
            combinations *= sum(size[1] for size in sizes)
        elif isinstance(value, dict) and depth < MAX_DEPTH:
            below = _size(value, depth + 1)
            keys, combinations = keys + below[0], combinations * below[1]
        else:
            keys += 1
            combinations *= max(1, len(value) if isinstance(value, list) else 1) * depth
    return keys, combinations


def _object(policy: dict[str, Any], nested: bool, depth: int) -> Matcher:
    if depth > MAX_DEPTH:
        raise InvalidFilter("Filter policy is nested too deeply")
    tests: list[Matcher] = []
    for key, value in policy.items():
        if key == "$or" and isinstance(value, list) and len(value) > 1 and all(isinstance(one, dict) and one for one in value):
            tests.append(_any_of([_object(one, nested, depth + 1) for one in value]))
        elif isinstance(value, dict):
            if not nested:
                raise InvalidFilter("Filter policy scope MessageAttributes does not support nested filter policy")
            if not value:
                raise InvalidFilter("Empty objects are not allowed")
            tests.append(_below(key, _object(value, nested, depth + 1)))
        elif isinstance(value, list):
            tests.append(_at(key, _leaf(value)))
        else:
            raise InvalidFilter(f'"{key}" must be an object or an array')
    return lambda found: all(test(found) for test in tests)


def _any_of(matchers: list[Matcher]) -> Matcher:
    return lambda found: any(matches(found) for matches in matchers)


def _below(key: str, inner: Matcher) -> Matcher:
    def matches(found: Mapping[str, Any]) -> bool:
        value = found.get(key)
        several = value if isinstance(value, list) else [value]
        objects = [one for one in several if isinstance(one, dict)]
        return any(inner(one) for one in objects) if objects else inner({})

    return matches


def _at(key: str, test: Test) -> Matcher:
    return lambda found: test(_values(found[key]) if key in found else [])


def _values(value: Any) -> list[Any]:
    if isinstance(value, list):
        return [one for inner in value for one in (_values(inner) if isinstance(inner, list) else [inner])]
    return [] if isinstance(value, dict) else [value]


def _leaf(allowed: list[Any]) -> Test:
    if not allowed:
        raise InvalidFilter("Empty arrays are not allowed")
    if any(isinstance(one, list) for one in allowed):
        raise InvalidFilter("Match value must be String, number, true, false, or null")
    exact = {_key(one) for one in allowed if not isinstance(one, dict)}
    filters = [_filter(one) for one in allowed if isinstance(one, dict)]

    def test(values: list[Any]) -> bool:
        return any(_key(value) in exact for value in values) or any(accepts(values) for accepts in filters)

    return test


def _key(value: Any) -> tuple[str, Any]:
    """Equal for what SNS holds equal: 1 and 1.0 are, 1 and "1" and true are not."""
    if isinstance(value, bool) or value is None:
        return "literal", value
    return ("number", float(value)) if _is_number(value) else ("text", value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and -1e300 < value < 1e300


def _filter(given: dict[str, Any]) -> Test:
    if len(given) != 1:
        raise InvalidFilter("Only one key allowed in match expression")
    ((kind, argument),) = given.items()
    if kind == "exists":
        if not isinstance(argument, bool):
            raise InvalidFilter("exists match pattern must be either true or false.")
        return lambda values: bool(values) == argument
    build = _KINDS.get(kind)
    if build is None:
        raise InvalidFilter(f"Unrecognized match type {kind}")
    accepts = build(argument)
    return lambda values: any(accepts(value) for value in values)


def _text(kind: str, argument: Any) -> str:
    if not isinstance(argument, str):
        raise InvalidFilter(f"{kind} match pattern must be a string")
    return argument


def _prefix(argument: Any) -> Callable[[Any], bool]:
    wanted = _text("prefix", argument)
    return lambda value: isinstance(value, str) and value.startswith(wanted)


def _suffix(argument: Any) -> Callable[[Any], bool]:
    wanted = _text("suffix", argument)
    return lambda value: isinstance(value, str) and value.endswith(wanted)


def _ignore_case(argument: Any) -> Callable[[Any], bool]:
    wanted = _text("equals-ignore-case", argument).casefold()
    return lambda value: isinstance(value, str) and value.casefold() == wanted


def _wildcard(argument: Any) -> Callable[[Any], bool]:
    parts = _text("wildcard", argument).split("*")
    if "" in parts[1:-1]:
        raise InvalidFilter("Consecutive wildcard characters are not allowed")

    return lambda value: isinstance(value, str) and fits(parts, value)


def _numeric(argument: Any) -> Callable[[Any], bool]:
    if not isinstance(argument, list) or not argument:
        raise InvalidFilter("Value of numeric must be an array.")
    if len(argument) not in (2, 4):
        raise InvalidFilter("Too many elements in numeric expression" if len(argument) > 4 else "Value must be numeric")
    pairs = [(argument[n], argument[n + 1]) for n in range(0, len(argument), 2)]
    for operator, bound in pairs:
        if not isinstance(operator, str) or operator not in COMPARISONS:
            raise InvalidFilter(f"Unrecognized numeric range operator: {operator}")
        if not _is_number(bound):
            raise InvalidFilter(f"Value of {operator} must be numeric")
        if not -BOUND <= bound <= BOUND:
            raise InvalidFilter("Value must be between -1.0E9 and 1.0E9, inclusive")
    if len(pairs) == 2:
        (low, bottom), (high, top) = pairs
        if low not in (">", ">=") or high not in ("<", "<="):
            raise InvalidFilter(f"Bad numeric range operator: {low if low not in ('>', '>=') else high}")
        if bottom >= top:
            raise InvalidFilter("Bottom must be less than top")
    return lambda value: _is_number(value) and all(COMPARISONS[operator](value, bound) for operator, bound in pairs)


def _cidr(argument: Any) -> Callable[[Any], bool]:
    text = _text("cidr", argument)
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise InvalidFilter(f"Nonstandard IP address: {text}") from None

    def inside(value: Any) -> bool:
        try:
            return isinstance(value, str) and ipaddress.ip_address(value) in network
        except ValueError:
            return False

    return inside


def _anything_but(argument: Any) -> Callable[[Any], bool]:
    if isinstance(argument, dict):
        if len(argument) != 1 or next(iter(argument)) not in ("prefix", "suffix", "wildcard", "equals-ignore-case"):
            raise InvalidFilter("Unsupported anything-but pattern")
        ((kind, inner),) = argument.items()
        refused = [_KINDS[kind](one) for one in (inner if isinstance(inner, list) else [inner])]
        if not refused:
            raise InvalidFilter("Empty arrays are not allowed")
        return lambda value: not any(test(value) for test in refused)
    values = argument if isinstance(argument, list) else [argument]
    if not values:
        raise InvalidFilter("Empty arrays are not allowed")
    if not all(isinstance(one, str) for one in values) and not all(_is_number(one) for one in values):
        raise InvalidFilter("Inside anything but list, either all values are number or string, mixed type is not supported")
    keys = {_key(one) for one in values}
    return lambda value: _key(value) not in keys


_KINDS: dict[str, Callable[[Any], Callable[[Any], bool]]] = {
    "prefix": _prefix,
    "suffix": _suffix,
    "equals-ignore-case": _ignore_case,
    "wildcard": _wildcard,
    "numeric": _numeric,
    "cidr": _cidr,
    "anything-but": _anything_but,
}


def passes(policy: str | None, scope: str, attributes: Mapping[str, Mapping[str, Any]], body: str) -> bool:
    """Whether a message reaches the subscription."""
    if not policy:
        return True
    matches = compile_filter(policy, scope)
    if scope == "MessageBody":
        try:
            decoded = json.loads(body)
        except (ValueError, RecursionError):
            return False
        return isinstance(decoded, dict) and matches(decoded)
    return matches({name: _attribute(value) for name, value in attributes.items() if not value["DataType"].startswith("Binary")})


def _attribute(value: Mapping[str, Any]) -> Any:
    """A message attribute as a filter sees it: numbers as numbers, String.Array as its elements."""
    text = value.get("StringValue", "")
    if value["DataType"].startswith("Number"):
        try:
            return float(text)
        except ValueError:
            return text
    if value["DataType"] == "String.Array":
        try:
            decoded = json.loads(text)
        except (ValueError, RecursionError):
            return text
        return decoded if isinstance(decoded, list) else text
    return text

"""The Condition element, compiled to tests of a request.

Invariant (IAM's semantics of a missing key): a positive operator is false, a negated one true, `…IfExists` true,
`ForAllValues:` true, `ForAnyValue:` false; `Null` asks for exactly that. All operators and keys of a block must hold, one of a
key's values is enough (none of them may match, for a negated operator).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from windtunnel.iam.operators import OPERATORS, Operator, Test
from windtunnel.iam.request import Request, Values
from windtunnel.iam.variables import Template, resolve, template

Condition = Callable[[Request], bool]

_ALL = "ForAllValues:"
_ANY = "ForAnyValue:"
_IF_EXISTS = "IfExists"


class Name(NamedTuple):
    """An operator's name, taken apart."""

    base: str
    quantifier: str
    if_exists: bool


def parse_operator(text: str) -> Name | None:
    """The parts of `ForAllValues:StringLikeIfExists`; None if IAM has no such operator."""
    quantifier = next((prefix for prefix in (_ALL, _ANY) if text.startswith(prefix)), "")
    base = text[len(quantifier) :]
    if base == "Null":
        return None if quantifier else Name(base, "", False)
    if_exists = base.endswith(_IF_EXISTS)
    base = base.removesuffix(_IF_EXISTS)
    return Name(base, quantifier, if_exists) if base in OPERATORS else None


def compile_conditions(block: Mapping[str, Mapping[str, Any]], *, variables: bool) -> tuple[Condition, ...]:
    """A validated Condition element. variables: the policy's version knows policy variables."""
    conditions: list[Condition] = []
    for operator, keys in block.items():
        name = parse_operator(operator)
        for key, values in keys.items():
            texts = condition_values(values)
            if name is None:
                raise ValueError(f"no condition operator {operator}")
            if name.base == "Null":
                conditions.append(_null(key.lower(), texts))
            else:
                conditions.append(_condition(name, key.lower(), texts, variables))
    return tuple(conditions)


def condition_values(values: Any) -> tuple[str, ...]:
    """A condition's value or list of values as texts (JSON booleans and numbers are allowed there)."""
    items = values if isinstance(values, list) else [values]
    return tuple(("true" if item else "false") if isinstance(item, bool) else str(item) for item in items)


def _null(key: str, texts: tuple[str, ...]) -> Condition:
    wanted = frozenset(text.lower() == "true" for text in texts)
    return lambda request: (not request.values(key)) in wanted


def _condition(name: Name, key: str, texts: tuple[str, ...], variables: bool) -> Condition:
    operator = OPERATORS[name.base]
    if_missing = name.if_exists or name.quantifier == _ALL or (operator.negated and name.quantifier != _ANY)
    over_values = _quantified(name.quantifier, operator.negated)
    test_for = _tester(operator, texts, variables)

    def holds(request: Request) -> bool:
        values = request.values(key)
        return over_values(test_for(request), values) if values else if_missing

    return holds


def _quantified(quantifier: str, negated: bool) -> Callable[[Test, Values], bool]:
    """How a test of one value becomes a test of a key's values."""
    if quantifier == _ALL:
        return lambda test, values: all(test(value) is not negated for value in values)
    if quantifier == _ANY:
        return lambda test, values: any(test(value) is not negated for value in values)
    return lambda test, values: any(map(test, values)) is not negated


def _tester(operator: Operator, texts: tuple[str, ...], variables: bool) -> Callable[[Request], Test]:
    """The positive test; built once unless a value has a policy variable."""
    templates = [template(text, variables=variables and operator.variables, wildcards=operator.wildcards) for text in texts]
    constants = [text for text in templates if isinstance(text, str)]
    if len(constants) == len(templates):
        test = operator.build(constants)
        return lambda request: test
    return _with_variables(operator, templates)


def _with_variables(operator: Operator, templates: list[Template]) -> Callable[[Request], Test]:
    build = lru_cache(maxsize=16)(operator.build)

    def test_for(request: Request) -> Test:
        return build(tuple(text for text in (resolve(item, request) for item in templates) if text is not None))

    return test_for

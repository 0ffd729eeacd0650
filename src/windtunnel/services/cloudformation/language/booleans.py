"""The functions that give true or false, as conditions use them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from windtunnel.services.cloudformation.language import calls as calls
from windtunnel.services.cloudformation.language import cidr as cidr
from windtunnel.services.cloudformation.language.compiling import as_function, compile_node
from windtunnel.services.cloudformation.language.functions import template_error
from windtunnel.services.cloudformation.language.scalars import text_of
from windtunnel.services.cloudformation.language.scope import Scope
from windtunnel.services.cloudformation.language.shapes import SCALARS

Test = Callable[[Scope], bool]
EQUALS = "every Fn::Equals object requires a list of 2 string parameters."
MANY = "every {} object requires a list of at least 2 and at most 10 boolean parameters."
NOT = "Fn::Not requires a list argument with one element"
NOT_A_FUNCTION = "Fn::Not requires a list argument with one function token"
ONLY_BOOLEAN = "Conditions can only be boolean operations on parameters and other conditions"


def compile_test(node: Any) -> Test:
    """A boolean function as a function of a scope. TemplateError when it is none, or malformed."""
    if not isinstance(node, dict) or len(node) != 1:
        raise template_error(ONLY_BOOLEAN)
    ((name, argument),) = node.items()
    compiler = TESTS.get(name)
    if compiler is None:
        raise template_error(ONLY_BOOLEAN)
    return compiler(argument)


def is_test(node: Any) -> bool:
    return isinstance(node, dict) and len(node) == 1 and next(iter(node)) in TESTS


def _equals(argument: Any) -> Test:
    if not isinstance(argument, list) or len(argument) != 2:
        raise template_error(EQUALS)
    left_of, right_of = (as_function(compile_node(side)) for side in argument)
    return lambda scope: comparable(left_of(scope)) == comparable(right_of(scope))


def comparable(value: Any) -> Any:
    """Scalars are compared as text (`true` equals "true"), lists item by item."""
    if isinstance(value, SCALARS):
        return text_of(value)
    if isinstance(value, list):
        return [comparable(item) for item in value]
    raise template_error(EQUALS)


def _and(argument: Any) -> Test:
    tests = _many("Fn::And", argument)
    return lambda scope: all(test(scope) for test in tests)


def _or(argument: Any) -> Test:
    tests = _many("Fn::Or", argument)
    return lambda scope: any(test(scope) for test in tests)


def _many(name: str, argument: Any) -> list[Test]:
    if not isinstance(argument, list) or not 2 <= len(argument) <= 10 or not all(is_test(item) for item in argument):
        raise template_error(MANY.format(name))
    return [compile_test(item) for item in argument]


def _not(argument: Any) -> Test:
    if not isinstance(argument, list) or len(argument) != 1:
        raise template_error(NOT)
    if not is_test(argument[0]):
        raise template_error(NOT_A_FUNCTION)
    test = compile_test(argument[0])
    return lambda scope: not test(scope)


def _condition(argument: Any) -> Test:
    if not isinstance(argument, str):
        raise template_error("All Conditions must be of type string")

    def run(scope: Scope) -> bool:
        if argument not in scope.conditions:
            raise template_error(f"unresolved condition dependency: {argument}")
        return scope.conditions[argument]

    return run


TESTS: dict[str, Callable[[Any], Test]] = {
    "Fn::Equals": _equals,
    "Fn::And": _and,
    "Fn::Or": _or,
    "Fn::Not": _not,
    "Condition": _condition,
}

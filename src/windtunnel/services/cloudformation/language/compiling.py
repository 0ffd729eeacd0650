"""Nodes into closures: maps, lists, scalars, and calls by the table that `calls` fills.

A dynamic reference (`{{resolve:…}}`) is replaced in the text that stands in the template in the end, so only outermost: a function's
arguments keep it as it is written, as on AWS (Fn::Base64 of a dynamic reference encodes the reference).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from windtunnel.services.cloudformation.language.functions import BOOLEAN, call_of, template_error, unsupported
from windtunnel.services.cloudformation.language.scope import NO_VALUE, Scope

Compiled = Callable[[Scope], Any]
DYNAMIC = "{{resolve:"


class Constant:
    """The result of compiling what does not depend on the scope."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


Node = Constant | Compiled
CALLS: dict[str, Callable[[Any], Node]] = {}
"""By function name: its argument, not yet compiled, into a node."""
PASSED_ON = frozenset({"Fn::If"})
"""What gives one of its arguments back as it is: the arguments are outermost when the call is."""
NOT_TEXT_OF_THE_TEMPLATE = frozenset({"Fn::GetAtt", "Fn::Base64", "Fn::GetAZs", "Fn::Cidr", "Fn::ImportValue", "Fn::Length"})
OUTERMOST: dict[str, Callable[[Any], Node]] = {}


def call(*names: str) -> Callable[[Callable[[Any], Node]], Callable[[Any], Node]]:
    """Enters a function into the table."""

    def enter(function: Callable[[Any], Node]) -> Callable[[Any], Node]:
        for name in names:
            CALLS[name] = function
        return function

    return enter


def compile_node(node: Any, outermost: bool = False) -> Node:
    kind = type(node)
    if kind is str:
        if outermost and DYNAMIC in node:
            return lambda scope: scope.dynamic(node)
        return Constant(node)
    if kind is dict:
        name = call_of(node)
        if name is None:
            return _map(node, outermost)
        return _call(name, node[name], outermost)
    if kind is list:
        return _list(node, outermost)
    return Constant(node)


def _call(name: str, argument: Any, outermost: bool) -> Node:
    if outermost and name in OUTERMOST:
        return OUTERMOST[name](argument)
    function = CALLS.get(name)
    if function is None:
        raise template_error(f"{name} cannot be partially collapsed") if name in BOOLEAN else unsupported(name)
    node = function(argument)
    if not outermost or name in NOT_TEXT_OF_THE_TEMPLATE or name in PASSED_ON:
        return node
    if isinstance(node, Constant):
        return compile_node(node.value, outermost=True) if type(node.value) is str else node

    def replaced(scope: Scope) -> Any:
        value = node(scope)
        if type(value) is str and DYNAMIC in value:
            return scope.dynamic(value)
        return value

    return replaced


def _is_itself(child: Any, kind: type, outermost: bool) -> bool:
    """Whether a scalar is its own value in every scope: asked before a scalar is compiled, because most of a template is scalars."""
    if kind is str:
        return not outermost or DYNAMIC not in child
    return kind is not dict and kind is not list


def _map(node: dict[str, Any], outermost: bool) -> Node:
    changing: list[tuple[str, Compiled]] = []
    base: dict[str, Any] | None = None
    for key, child in node.items():
        if _is_itself(child, type(child), outermost):
            continue
        result = compile_node(child, outermost)
        if not isinstance(result, Constant):
            changing.append((key, result))
        elif result.value is not child:
            base = dict(node) if base is None else base
            base[key] = result.value
    fixed = node if base is None else {key: value for key, value in base.items() if value is not NO_VALUE}
    if not changing:
        return Constant(fixed)

    def run(scope: Scope) -> dict[str, Any]:
        values = fixed.copy()
        for key, value_of in changing:
            value = value_of(scope)
            if value is NO_VALUE:
                del values[key]
            else:
                values[key] = value
        return values

    return run


def _list(node: list[Any], outermost: bool) -> Node:
    changing: list[tuple[int, Compiled]] = []
    base: list[Any] | None = None
    for index, child in enumerate(node):
        if _is_itself(child, type(child), outermost):
            continue
        result = compile_node(child, outermost)
        if not isinstance(result, Constant):
            changing.append((index, result))
        elif result.value is not child:
            base = list(node) if base is None else base
            base[index] = result.value
    fixed = node if base is None else base
    gone = base is not None and any(value is NO_VALUE for value in base)
    if not changing:
        return Constant([value for value in fixed if value is not NO_VALUE] if gone else fixed)

    def run(scope: Scope) -> list[Any]:
        items = fixed.copy()
        removed = gone
        for index, value_of in changing:
            value = value_of(scope)
            items[index] = value
            removed = removed or value is NO_VALUE
        return [item for item in items if item is not NO_VALUE] if removed else items

    return run


def compiled_items(node: list[Any]) -> list[Compiled]:
    """Each item of a list by itself, for functions that take a literal list."""
    return [as_function(compile_node(item)) for item in node]


def as_function(node: Node) -> Compiled:
    if isinstance(node, Constant):
        value = node.value
        return lambda scope: value
    return node


def folded(node: Compiled, *parts: Node) -> Node:
    """A call whose parts are all constant is called now; scopes hold nothing that it would look at."""
    if all(isinstance(part, Constant) for part in parts):
        return Constant(node(NOTHING))
    return node


NOTHING: Any = None
"""The scope of what looks at no scope."""

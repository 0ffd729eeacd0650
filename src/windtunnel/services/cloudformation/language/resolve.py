"""Functions to values.

A node is compiled once into a closure and may then be run against any number of scopes; what holds no function is itself the result, not
a copy of it. So results share structure with the template: nobody changes either in place.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from windtunnel.services.cloudformation.language import calls as calls
from windtunnel.services.cloudformation.language import cidr as cidr
from windtunnel.services.cloudformation.language.compiling import Compiled, Constant, compile_node
from windtunnel.services.cloudformation.language.scope import NO_VALUE as NO_VALUE
from windtunnel.services.cloudformation.language.scope import UNKNOWN as UNKNOWN
from windtunnel.services.cloudformation.language.scope import Scope as Scope
from windtunnel.services.cloudformation.language.uses import attribute_references as attribute_references
from windtunnel.services.cloudformation.language.uses import references as references


def compiled(node: Any) -> Callable[[Scope], Any]:
    """A node as a function of a scope. TemplateError when a function in it is malformed."""
    result = compile_node(node, outermost=True)
    if isinstance(result, Constant):
        value = result.value
        return lambda scope: value
    return result


def resolve(node: Any, scope: Scope) -> Any:
    """A node's value: every function called, every `AWS::NoValue` left out. TemplateError in AWS's words."""
    return compiled(node)(scope)


__all__ = ["NO_VALUE", "UNKNOWN", "Compiled", "Scope", "attribute_references", "compiled", "references", "resolve"]

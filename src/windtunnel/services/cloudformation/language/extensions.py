"""AWS::LanguageExtensions: loops, and functions where CloudFormation itself takes only text.

`Fn::Length`, `Fn::ToJsonString`, `Fn::FindInMap` with a default and functions among their arguments are ordinary functions (`calls`); what has
to be done before a template is checked is done here: `Fn::ForEach` is unrolled, DeletionPolicy and UpdateReplacePolicy become text, so do names
that functions give to `Ref` and `Fn::GetAtt`, and the transform's name is taken out of the template.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from windtunnel.services.cloudformation.language import calls as calls
from windtunnel.services.cloudformation.language.compiling import as_function, compile_node
from windtunnel.services.cloudformation.language.conditions import conditions
from windtunnel.services.cloudformation.language.environment import Environment
from windtunnel.services.cloudformation.language.errors import TemplateError
from windtunnel.services.cloudformation.language.functions import FOR_EACH, call_of
from windtunnel.services.cloudformation.language.macros import LANGUAGE_EXTENSIONS, transform_name, transforms
from windtunnel.services.cloudformation.language.macros import Macro as Macro
from windtunnel.services.cloudformation.language.macros import macros as macros
from windtunnel.services.cloudformation.language.macros import put as put
from windtunnel.services.cloudformation.language.scalars import text_of
from windtunnel.services.cloudformation.language.scope import Scope

UNROLLED = ("Conditions", "Resources", "Outputs")
POLICIES = ("DeletionPolicy", "UpdateReplacePolicy")
MAX_NODES = 200_000
"""How much loops may make: more than the largest template holds."""
MAX_LEVELS = 5


def failed(text: str) -> TemplateError:
    """What goes wrong inside the transform; where a stack is rolled back for it, the caller adds that."""
    return TemplateError(f"Transform {LANGUAGE_EXTENSIONS} failed with: {text}")


def expand(template: dict[str, Any], parameters: Mapping[str, Any], env: Environment) -> dict[str, Any]:
    """The template after the transform, or the template itself when it does not name it."""
    named = transforms(template)
    if LANGUAGE_EXTENSIONS not in map(transform_name, named):
        return template
    result = dict(template)
    others = [entry for entry in named if transform_name(entry) != LANGUAGE_EXTENSIONS]
    if others:
        result["Transform"] = others
    else:
        del result["Transform"]
    unroller = Unroller(Scope(parameters, env, mappings=template.get("Mappings") or {}))
    for section in UNROLLED:
        if isinstance(result.get(section), dict):
            result[section] = unroller.unrolled(result[section])
    namer = Namer(result, parameters, env)
    for section in UNROLLED[1:]:
        if isinstance(result.get(section), dict):
            result[section] = namer.named(result[section])
    _policies(result, parameters, env)
    return result


def _policies(template: dict[str, Any], parameters: Mapping[str, Any], env: Environment) -> None:
    """Changes `Resources` of a template that is already ours."""
    resources = template.get("Resources")
    if not isinstance(resources, dict):
        return
    called = {
        name: resource
        for name, resource in resources.items()
        if isinstance(resource, dict) and any(isinstance(resource.get(policy), dict) for policy in POLICIES)
    }
    if not called:
        return
    scope = Scope(parameters, env, conditions(template, parameters, env), template.get("Mappings") or {})
    template["Resources"] = resources = dict(resources)
    for name, resource in called.items():
        resources[name] = changed = dict(resource)
        for policy in POLICIES:
            if isinstance(resource.get(policy), dict):
                changed[policy] = as_function(compile_node(resource[policy]))(scope)


class Namer:
    """Gives `Ref` and `Fn::GetAtt` the names that functions say: `Fn::GetAtt: [{Fn::Sub: Bucket${X}}, Arn]`, as AWS's own loops over outputs have it."""

    def __init__(self, template: dict[str, Any], parameters: Mapping[str, Any], env: Environment) -> None:
        self._of = (template, parameters, env)
        self._scope: Scope | None = None

    def named(self, node: Any) -> Any:
        """The same object when no function of it names anything."""
        if isinstance(node, list):
            items = [self.named(child) if isinstance(child, dict | list) else child for child in node]
            return node if all(a is b for a, b in zip(items, node, strict=True)) else items
        if not isinstance(node, dict):
            return node
        called = call_of(node)
        if called == "Ref" and isinstance(node["Ref"], dict):
            return {"Ref": self._name(node["Ref"])}
        if called == "Fn::GetAtt" and isinstance(argument := node["Fn::GetAtt"], list) and argument and isinstance(argument[0], dict):
            return {"Fn::GetAtt": [self._name(argument[0]), *argument[1:]]}
        result = {key: self.named(child) if isinstance(child, dict | list) else child for key, child in node.items()}
        return node if all(result[key] is child for key, child in node.items()) else result

    def _name(self, function: dict[str, Any]) -> str:
        if self._scope is None:
            template, parameters, env = self._of
            self._scope = Scope(parameters, env, conditions(template, parameters, env), template.get("Mappings") or {})
        name = as_function(compile_node(function))(self._scope)
        if not isinstance(name, str) or not name:
            raise failed("a logical resource name must be a string that is known before the stack is made")
        return name


class Unroller:
    """Unrolls the loops of a template for one set of parameters."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.made = 0

    def unrolled(self, node: Any, level: int = 0) -> Any:
        """A node without loops; the same object when it holds none."""
        if isinstance(node, dict):
            return self._map(node, level)
        if isinstance(node, list):
            items = [self.unrolled(child, level) if isinstance(child, dict | list) else child for child in node]
            return node if all(a is b for a, b in zip(items, node, strict=True)) else items
        return node

    def _map(self, node: dict[str, Any], level: int) -> dict[str, Any]:
        result: dict[str, Any] = {}
        changed = False
        for key, child in node.items():
            if key.startswith(FOR_EACH):
                changed = True
                for made, value in self._loop(key, child, level + 1):
                    if made in result or (made in node and not made.startswith(FOR_EACH)):
                        raise failed(f"Duplicate key '{made}' when merging keys to parent object in Fn::ForEach")
                    result[made] = value
            else:
                result[key] = self.unrolled(child, level) if isinstance(child, dict | list) else child
                changed = changed or result[key] is not child
        return result if changed else node

    def _loop(self, name: str, argument: Any, level: int) -> list[tuple[str, Any]]:
        if level > MAX_LEVELS:
            raise failed(f"{name} is nested more than {MAX_LEVELS} levels deep")
        if not isinstance(argument, list) or len(argument) != 3 or not isinstance(argument[2], dict):
            raise failed(f"{name} layout is incorrect")
        identifier, collection, body = argument
        if not isinstance(identifier, str) or not identifier:
            raise failed(f"{name} layout is incorrect")
        items = self._items(name, collection)
        made: list[tuple[str, Any]] = []
        for item in items:
            for key, value in self.replaced(body, identifier, item).items():
                if key.startswith(FOR_EACH):
                    made += self._loop(key, value, level + 1)
                else:
                    made.append((key, self.unrolled(value, level)))
        return made

    def _items(self, name: str, collection: Any) -> list[str]:
        if not isinstance(collection, list | dict):
            raise failed(f"{name} layout is incorrect")
        values = as_function(compile_node(collection))(self.scope)
        if not isinstance(values, list):
            raise failed(f"{name} could not be resolved to a list")
        items: list[str] = []
        for value in values:
            for item in value if isinstance(value, list) else [value]:
                if not isinstance(item, str | int | float | bool):
                    raise failed(f"{name} could not be resolved to a list of strings")
                items.append(text_of(item))
        return items

    def replaced(self, node: Any, identifier: str, item: str) -> Any:
        """A copy of a loop's body for one item: `${X}`, `&{X}` (letters and digits only) and `Ref: X` stand for the item."""
        forms = {"${" + identifier + "}": item, "&{" + identifier + "}": re.sub("[^A-Za-z0-9]", "", item)}
        return self._replaced(node, identifier, item, forms)

    def _replaced(self, node: Any, identifier: str, item: str, forms: dict[str, str]) -> Any:
        self.made += 1
        if self.made > MAX_NODES:
            raise failed("the template that the loops make is too large")
        if isinstance(node, str):
            return _text(node, forms)
        if isinstance(node, list):
            return [self._replaced(child, identifier, item, forms) for child in node]
        if isinstance(node, dict):
            if call_of(node) == "Ref" and node["Ref"] == identifier:
                return item
            return {_text(key, forms): self._replaced(child, identifier, item, forms) for key, child in node.items()}
        return node


def _text(text: str, forms: dict[str, str]) -> str:
    if "{" in text:
        for form, item in forms.items():
            text = text.replace(form, item)
    return text


__all__ = ["Macro", "Unroller", "expand", "macros", "put", "transforms"]

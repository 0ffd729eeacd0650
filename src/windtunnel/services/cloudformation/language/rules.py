"""The Rules section: assertions over parameters, made before anything is created."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from windtunnel.services.cloudformation.language.booleans import TESTS, comparable, compile_test, is_test
from windtunnel.services.cloudformation.language.compiling import as_function, compile_node
from windtunnel.services.cloudformation.language.environment import Environment
from windtunnel.services.cloudformation.language.functions import format_error, template_error
from windtunnel.services.cloudformation.language.parameters import Parameter, declared
from windtunnel.services.cloudformation.language.scope import Scope
from windtunnel.services.cloudformation.language.uses import uses

Test = Callable[[Scope], bool]
MEMBERS = frozenset({"Assertions", "RuleCondition"})
ASSERTION = frozenset({"Assert", "AssertDescription"})


def check_rules(template: dict[str, Any], parameters: Mapping[str, Parameter]) -> None:
    """TemplateError for a rule that is malformed or refers to what is no parameter."""
    for name, rule in (template.get("Rules") or {}).items():
        if not isinstance(rule, dict) or not MEMBERS.issuperset(rule):
            raise format_error(f"Rule {name} must be an object with Assertions and an optional RuleCondition.")
        assertions = rule.get("Assertions")
        if not isinstance(assertions, list) or not assertions:
            raise format_error(f"Rule {name} must have at least one assertion.")
        for assertion in assertions:
            if not isinstance(assertion, dict) or not ASSERTION.issuperset(assertion) or "Assert" not in assertion:
                raise format_error(f"Every assertion of rule {name} must have an Assert member.")
            compile_rule(assertion["Assert"], parameters)
        if "RuleCondition" in rule:
            compile_rule(rule["RuleCondition"], parameters)
        used = uses(rule)
        missing = [other for other in [*used.names, *(owner for owner, _ in used.attributes)] if other not in parameters]
        if missing:
            raise format_error(
                f"Unresolved dependencies [{', '.join(missing)}]. Cannot reference resources in the Rules block of the template"
            )


def broken_rules(template: dict[str, Any], parameters: Mapping[str, Any], env: Environment) -> str | None:
    """What AWS says of the first assertion that does not hold; None when all do."""
    known = declared(template)
    scope = Scope(parameters, env, mappings=template.get("Mappings") or {})
    for name, rule in (template.get("Rules") or {}).items():
        if "RuleCondition" in rule and not compile_rule(rule["RuleCondition"], known)(scope):
            continue
        for assertion in rule["Assertions"]:
            if not compile_rule(assertion["Assert"], known)(scope):
                said = assertion.get("AssertDescription", f"the assertion of rule {name} is not met")
                return f"Rule {name} failed: {said}"
    return None


def compile_rule(node: Any, parameters: Mapping[str, Parameter]) -> Test:
    """A rule-specific function, or one of the conditions' own, as a test."""
    if isinstance(node, dict) and len(node) == 1:
        ((name, argument),) = node.items()
        match name:
            case "Fn::Contains":
                return _contains(argument, parameters)
            case "Fn::EachMemberIn":
                return _each_member_in(argument, parameters)
            case "Fn::EachMemberEquals":
                return _each_member_equals(argument, parameters)
            case "Fn::And" | "Fn::Or" if isinstance(argument, list) and 2 <= len(argument) <= 10:
                tests = [compile_rule(item, parameters) for item in argument]
                if name == "Fn::And":
                    return lambda scope: all(test(scope) for test in tests)
                return lambda scope: any(test(scope) for test in tests)
            case "Fn::Not" if isinstance(argument, list) and len(argument) == 1:
                test = compile_rule(argument[0], parameters)
                return lambda scope: not test(scope)
    if is_test(node):
        return compile_test(node)
    raise template_error(f"rules can only use {', '.join([*TESTS, 'Fn::Contains', 'Fn::EachMemberEquals', 'Fn::EachMemberIn'])}.")


def _two(name: str, argument: Any) -> tuple[Any, Any]:
    if not isinstance(argument, list) or len(argument) != 2:
        raise template_error(f"every {name} object requires a list of 2 parameters.")
    return argument[0], argument[1]


def _list(node: Any, parameters: Mapping[str, Parameter]) -> Callable[[Scope], list[Any]]:
    """A list of texts: written out, of one list parameter, or of all parameters of a type (`Fn::RefAll`)."""
    if isinstance(node, dict) and len(node) == 1:
        ((name, argument),) = node.items()
        if name == "Fn::RefAll":
            keys = [key for key, parameter in parameters.items() if argument in (parameter.type, parameter.item_type)]
            return lambda scope: [item for key in keys for item in _items(scope.parameters.get(key, []))]
        if name in ("Fn::ValueOf", "Fn::ValueOfAll"):
            return _live(name, argument, parameters)
    value_of = as_function(compile_node(node))
    return lambda scope: [comparable(item) for item in _items(value_of(scope))]


READABLE = {
    "AWS::EC2::VPC::Id": ("DefaultNetworkAcl", "DefaultSecurityGroup"),
    "AWS::EC2::Subnet::Id": ("AvailabilityZone", "VpcId"),
    "AWS::EC2::SecurityGroup::Id": (),
}
"""A parameter's type -> the attributes of its values that rules can read, besides `Tags.KEY`."""


def _live(name: str, argument: Any, parameters: Mapping[str, Parameter]) -> Callable[[Scope], list[Any]]:
    """An attribute of what a parameter names (`Fn::ValueOf`), or of what all parameters of a type do (`Fn::ValueOfAll`)."""
    whose, attribute = _two(name, argument)
    if not isinstance(whose, str) or not isinstance(attribute, str):
        raise template_error(f"every {name} object requires a list of 2 parameters.")
    if name == "Fn::ValueOf":
        if whose not in parameters:
            raise format_error(f"Unresolved dependencies [{whose}]. Cannot reference resources in the Rules block of the template")
        keys, kind = [whose], parameters[whose].item_type
    else:
        keys, kind = [key for key, parameter in parameters.items() if whose in (parameter.type, parameter.item_type)], whose
    if kind not in READABLE or not (attribute in READABLE[kind] or attribute.startswith("Tags.")):
        raise template_error(f"{name} cannot read the attribute {attribute} of the type {kind}.")

    def values(scope: Scope) -> list[Any]:
        ids = [str(item) for key in keys for item in _items(scope.parameters.get(key, []))]
        return [scope.env.facts.get(id, {}).get(attribute, "") for id in ids]

    return values


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _contains(argument: Any, parameters: Mapping[str, Parameter]) -> Test:
    among, one = _two("Fn::Contains", argument)
    list_of, value_of = _list(among, parameters), _list(one, parameters)
    return lambda scope: all(value in list_of(scope) for value in value_of(scope))


def _each_member_in(argument: Any, parameters: Mapping[str, Parameter]) -> Test:
    each, among = _two("Fn::EachMemberIn", argument)
    each_of, among_of = _list(each, parameters), _list(among, parameters)
    return lambda scope: set(each_of(scope)) <= set(among_of(scope))


def _each_member_equals(argument: Any, parameters: Mapping[str, Parameter]) -> Test:
    each, one = _two("Fn::EachMemberEquals", argument)
    each_of, value_of = _list(each, parameters), _list(one, parameters)
    return lambda scope: all(value == value_of(scope)[0] for value in each_of(scope))

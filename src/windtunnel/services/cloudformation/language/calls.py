"""The functions that give values, each from its argument to a closure."""

from __future__ import annotations

import base64
from operator import attrgetter
from typing import Any

from windtunnel.services.cloudformation.language import shapes
from windtunnel.services.cloudformation.language.compiling import (
    OUTERMOST,
    Compiled,
    Constant,
    Node,
    as_function,
    call,
    compile_node,
    compiled_items,
    folded,
)
from windtunnel.services.cloudformation.language.environment import NO_VALUE_NAME, PSEUDO_PARAMETERS
from windtunnel.services.cloudformation.language.errors import TemplateError
from windtunnel.services.cloudformation.language.functions import sub_parts, template_error
from windtunnel.services.cloudformation.language.scalars import text_of
from windtunnel.services.cloudformation.language.scope import NO_VALUE, UNKNOWN, Scope
from windtunnel.services.cloudformation.language.shapes import GET_ATT, JOIN, LENGTH, SCALARS, SELECT, SPLIT, TO_JSON

FIELDS = {
    "AWS::AccountId": "env.account",
    "AWS::NotificationARNs": "env.notification_arns",
    "AWS::Partition": "env.partition",
    "AWS::Region": "env.region",
    "AWS::StackId": "env.stack_id",
    "AWS::StackName": "env.stack_name",
    "AWS::URLSuffix": "env.url_suffix",
}
BASE64 = "every Fn::Base64 object must have a String-typed value."
GET_AZS = "every Fn::GetAZs object must have a String-typed value."
IMPORT_VALUE = "every Fn::ImportValue object must have a String-typed value."


LONGEST = 1_048_576
MOST_ITEMS = 100_000
"""What a function may make: a few nested substitutions of a small template would fill this machine's memory otherwise."""


def too_long(name: str) -> TemplateError:
    return template_error(f"the value of {name} is longer than {LONGEST} characters.")


def bounded(name: str, text: str) -> str:
    if len(text) > LONGEST:
        raise too_long(name)
    return text


@call("Ref")
def ref(argument: Any) -> Node:
    shapes.ref(argument)
    return _named(argument)


def _named(name: str) -> Node:
    if name in PSEUDO_PARAMETERS:
        return Constant(NO_VALUE) if name == NO_VALUE_NAME else attrgetter(FIELDS[name])

    def run(scope: Scope) -> Any:
        parameters = scope.parameters
        return parameters[name] if name in parameters else scope.refs(name)

    return run


@call("Fn::GetAtt")
def get_attribute(argument: Any) -> Node:
    resource, attribute = shapes.get_att(argument)
    if isinstance(attribute, str):
        return lambda scope: scope.attributes(resource, attribute)
    attribute_of = as_function(compile_node(attribute))

    def run(scope: Scope) -> Any:
        name = attribute_of(scope)
        if name is UNKNOWN:
            return UNKNOWN
        if not isinstance(name, str) or not name:
            raise template_error(GET_ATT)
        return scope.attributes(resource, name)

    return run


@call("Fn::Sub")
def substituted(argument: Any) -> Node:
    text, own = shapes.sub(argument)
    parts = sub_parts(text)
    if len(parts) == 1:
        return Constant(parts[0][0])
    # A variable is looked up once, however often it stands there: nested ones would be looked up times times times otherwise.
    names = dict.fromkeys(name for _, name in parts[:-1])
    variables = {name: as_function(_variable(name, own)) for name in names if name is not None}
    end = parts[-1][0]

    def run(scope: Scope) -> Any:
        values: dict[str | None, str] = {}
        for name, value_of in variables.items():
            value = value_of(scope)
            if type(value) is not str:
                if value is UNKNOWN:
                    return UNKNOWN
                value = _into_text(name, value)
            values[name] = value
        result: list[str] = []
        for literal, named in parts[:-1]:
            result += (literal, values[named])
        result.append(end)
        if sum(map(len, result)) > LONGEST:
            raise too_long("Fn::Sub")
        return "".join(result)

    return run


def _variable(name: str, own: dict[str, Any]) -> Node:
    if name in own:
        return compile_node(own[name])
    resource, dot, attribute = name.partition(".")
    if not dot:
        return _named(name)
    if not resource or not attribute:
        raise template_error(f"instance of Fn::Sub references invalid resource attribute {name}")
    return lambda scope: scope.attributes(resource, attribute)


def _into_text(name: str, value: Any) -> str:
    if value is NO_VALUE:
        return ""
    if not isinstance(value, SCALARS):
        raise template_error(f"variable {name} in Fn::Sub expression does not resolve to a string")
    return text_of(value)


@call("Fn::Join")
def joined(argument: Any) -> Node:
    shapes.join(argument)
    delimiter, items = compile_node(argument[0]), compile_node(argument[1])
    if isinstance(items, Constant) and not isinstance(items.value, list):
        raise template_error(JOIN)
    delimiter_of, items_of = as_function(delimiter), as_function(items)

    def run(scope: Scope) -> Any:
        separator, values = delimiter_of(scope), items_of(scope)
        if separator is UNKNOWN or values is UNKNOWN:
            return UNKNOWN
        if not isinstance(separator, SCALARS) or type(values) is not list:
            raise template_error(JOIN)
        between = text_of(separator)
        try:
            if sum(map(len, values)) + len(between) * len(values) > LONGEST:
                raise too_long("Fn::Join")
            return between.join(values)
        except TypeError:
            return _joined_slowly(between, values)

    return folded(run, delimiter, items)


def _joined_slowly(separator: str, values: list[Any]) -> Any:
    if any(value is UNKNOWN for value in values):
        return UNKNOWN
    if not all(isinstance(value, SCALARS) for value in values):
        raise template_error(JOIN)
    texts = [text_of(value) for value in values]
    if sum(map(len, texts)) + len(separator) * len(texts) > LONGEST:
        raise too_long("Fn::Join")
    return separator.join(texts)


@call("Fn::Split")
def split(argument: Any) -> Node:
    shapes.split(argument)
    delimiter, source = compile_node(argument[0]), compile_node(argument[1])
    delimiter_of, source_of = as_function(delimiter), as_function(source)

    def run(scope: Scope) -> Any:
        separator, text = delimiter_of(scope), source_of(scope)
        if separator is UNKNOWN or text is UNKNOWN:
            return UNKNOWN
        if not isinstance(separator, str) or not separator or not isinstance(text, SCALARS):
            raise template_error(SPLIT)
        whole = text_of(text)
        if whole.count(separator) > MOST_ITEMS:
            raise too_long("Fn::Split")
        return whole.split(separator)

    return folded(run, delimiter, source)


@call("Fn::Select")
def selected(argument: Any) -> Node:
    shapes.select(argument)
    index_of = as_function(compile_node(argument[0]))
    if isinstance(argument[1], list):
        items = compiled_items(argument[1])
        return lambda scope: _picked(index_of(scope), items, scope)
    list_of = as_function(compile_node(argument[1]))

    def run(scope: Scope) -> Any:
        position, values = index_of(scope), list_of(scope)
        if position is UNKNOWN or values is UNKNOWN:
            return UNKNOWN
        if not isinstance(values, list):
            raise template_error(SELECT)
        number = shapes.index(position)
        if not 0 <= number < len(values):
            raise template_error(f"Fn::Select cannot select nonexistent value at index {number}")
        return values[number]

    return run


def _picked(position: Any, items: list[Compiled], scope: Scope) -> Any:
    """Of a literal list only the item that is selected is looked at."""
    if position is UNKNOWN:
        return UNKNOWN
    number = shapes.index(position)
    if not 0 <= number < len(items):
        raise template_error(f"Fn::Select cannot select nonexistent value at index {number}")
    value = items[number](scope)
    if value is NO_VALUE:
        raise template_error(f"Fn::Select cannot select null value at index {number}")
    return value


@call("Fn::FindInMap")
def found_in_map(argument: Any) -> Node:
    shapes.find_in_map(argument)
    default = as_function(compile_node(argument[3]["DefaultValue"])) if len(argument) == 4 else None
    keys = compiled_items(argument[:3])

    def run(scope: Scope) -> Any:
        names = [key_of(scope) for key_of in keys]
        if any(name is UNKNOWN for name in names):
            return UNKNOWN
        if not all(isinstance(name, SCALARS) for name in names):
            raise template_error(shapes.FIND_IN_MAP)
        name, top, second = map(text_of, names)
        mapping = scope.mappings.get(name)
        row = mapping.get(top) if isinstance(mapping, dict) else None
        if isinstance(row, dict) and second in row:
            return row[second]
        if default is not None:
            return default(scope)
        if mapping is None:
            raise template_error(f"Mapping named '{name}' is not present in the 'Mappings' section of template.")
        raise template_error(f"Unable to get mapping for {name}::{top}::{second}")

    return run


@call("Fn::Base64")
def base64_of(argument: Any) -> Node:
    source = compile_node(argument)
    source_of = as_function(source)

    def run(scope: Scope) -> Any:
        value = source_of(scope)
        if value is UNKNOWN:
            return UNKNOWN
        if not isinstance(value, SCALARS):
            raise template_error(BASE64)
        return bounded("Fn::Base64", base64.b64encode(text_of(value).encode()).decode())

    return folded(run, source)


@call("Fn::GetAZs")
def zones(argument: Any) -> Node:
    region_of = as_function(compile_node(argument))

    def run(scope: Scope) -> Any:
        region = region_of(scope)
        if region is UNKNOWN:
            return UNKNOWN
        if region is NO_VALUE:
            region = ""
        if not isinstance(region, str):
            raise template_error(GET_AZS)
        return list(scope.env.zones.get(region or scope.env.region, []))

    return run


@call("Fn::ImportValue")
def imported(argument: Any) -> Node:
    name_of = as_function(compile_node(argument))

    def run(scope: Scope) -> Any:
        name = name_of(scope)
        if name is UNKNOWN:
            return UNKNOWN
        if not isinstance(name, SCALARS):
            raise template_error(IMPORT_VALUE)
        return scope.imports(text_of(name))

    return run


@call("Fn::Length")
def length(argument: Any) -> Node:
    shapes.length(argument)
    items = compile_node(argument)
    items_of = as_function(items)

    def run(scope: Scope) -> Any:
        values = items_of(scope)
        if values is UNKNOWN:
            return UNKNOWN
        if not isinstance(values, list):
            raise template_error(LENGTH)
        return len(values)

    return folded(run, items)


@call("Fn::ToJsonString")
def json_text(argument: Any) -> Node:
    shapes.to_json(argument)
    content = compile_node(argument)
    content_of = as_function(content)

    def run(scope: Scope) -> Any:
        value = content_of(scope)
        if value is UNKNOWN:
            return UNKNOWN
        if not isinstance(value, list | dict):
            raise template_error(TO_JSON)
        return as_json(value)

    return folded(run, content)


def as_json(value: Any) -> Any:
    """Without a space, keys in the order in which they stand; UNKNOWN when something in it is."""
    import msgspec

    try:
        return bounded("Fn::ToJsonString", msgspec.json.encode(value).decode())
    except TypeError:
        return UNKNOWN


@call("Fn::If")
def chosen(argument: Any) -> Node:
    return _if(argument, outermost=False)


def _if_outermost(argument: Any) -> Node:
    return _if(argument, outermost=True)


def _if(argument: Any, outermost: bool) -> Node:
    name = shapes.choice(argument)
    first, second = (as_function(compile_node(branch, outermost)) for branch in argument[1:])

    def run(scope: Scope) -> Any:
        conditions = scope.conditions
        if name not in conditions:
            raise template_error(f"unresolved condition dependency {name} in Fn::If")
        return first(scope) if conditions[name] else second(scope)

    return run


OUTERMOST["Fn::If"] = _if_outermost

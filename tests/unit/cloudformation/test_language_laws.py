"""Whatever a template is: an answer or a TemplateError, and soon."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from windtunnel.services.cloudformation.language import conditions, extensions, graph, macros, parameters, rules, structure, summary
from windtunnel.services.cloudformation.language.environment import PSEUDO_PARAMETERS, Environment
from windtunnel.services.cloudformation.language.errors import TemplateError
from windtunnel.services.cloudformation.language.functions import KNOWN, RULES_ONLY
from windtunnel.services.cloudformation.language.lines import line_of
from windtunnel.services.cloudformation.language.parse import parse
from windtunnel.services.cloudformation.language.patterns import compiled_pattern
from windtunnel.services.cloudformation.language.resolve import NO_VALUE, UNKNOWN, Scope, resolve
from windtunnel.services.cloudformation.language.scalars import java_double, plain, text_of

ENV = Environment("123456789012", "us-east-1", "stack", "arn:aws:cloudformation:us-east-1:123456789012:stack/stack/0")
NAMES = ["A", "B", "C", "P", "L", "Cond", "Map", "Key", "Missing", *sorted(PSEUDO_PARAMETERS)]
FUNCTIONS = sorted(KNOWN | RULES_ONLY | {"Fn::ForEach::X", "Fn::Transform", "Fn::Nothing", "Condition"})
TEXTS = st.one_of(
    st.sampled_from(NAMES),
    st.sampled_from(
        ["", "0", "1", "-1", "${A}", "${A.Arn}", "${!A}", "${x", "${}", "A.Arn", "10.0.0.0/16", "{{resolve:ssm:a}}", "AWS::S3::Bucket"]
    ),
    st.text(max_size=6),
)
SCALARS = st.one_of(TEXTS, st.integers(-3, 300), st.booleans(), st.floats(allow_nan=False, allow_infinity=False, width=32))


def call(children: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.builds(lambda name, argument: {name: argument}, st.sampled_from(FUNCTIONS), children)


NODES = st.recursive(
    SCALARS,
    lambda children: st.one_of(
        call(children),
        call(st.lists(children, max_size=4)),
        st.lists(children, max_size=3),
        st.dictionaries(TEXTS, children, max_size=3),
    ),
    max_leaves=12,
)
MAPS = st.dictionaries(TEXTS, NODES, max_size=3)
RESOURCE = st.fixed_dictionaries(
    {"Type": st.sampled_from(["AWS::S3::Bucket", "Custom::X"]), "Properties": MAPS},
    optional={"DependsOn": st.sampled_from(["A", "B", ["C"], "Z"]), "Condition": st.sampled_from(["Cond", "Other"]), "Metadata": MAPS},
)
TESTS = st.recursive(
    st.builds(lambda left, right: {"Fn::Equals": [left, right]}, NODES, NODES),
    lambda children: st.one_of(
        st.builds(lambda child: {"Fn::Not": [child]}, children),
        st.builds(lambda name, both: {name: both}, st.sampled_from(["Fn::And", "Fn::Or"]), st.lists(children, min_size=2, max_size=3)),
        st.sampled_from([{"Condition": "Cond"}, {"Condition": "Other"}]),
    ),
    max_leaves=4,
)
SHAPED = st.fixed_dictionaries(
    {"Resources": st.dictionaries(st.sampled_from(["A", "B", "C"]), RESOURCE, min_size=1)},
    optional={
        "Parameters": st.just({"P": {"Type": "String", "Default": "p"}, "L": {"Type": "CommaDelimitedList", "Default": "a,b"}}),
        "Conditions": st.dictionaries(st.sampled_from(["Cond", "Other"]), TESTS, max_size=2),
        "Mappings": st.just({"Map": {"Key": {"Value": "v", "List": ["a", "b"]}}}),
        "Outputs": st.dictionaries(st.sampled_from(["O", "Q"]), st.fixed_dictionaries({"Value": NODES}, optional={"Export": MAPS})),
        "Rules": st.dictionaries(
            st.sampled_from(["R"]), st.fixed_dictionaries({"Assertions": st.lists(st.fixed_dictionaries({"Assert": NODES}))})
        ),
        "Transform": st.just(["AWS::LanguageExtensions"]),
    },
)
SECTIONS = [*structure.SECTIONS, "Globals"]
TEMPLATES = st.one_of(
    SHAPED,
    SHAPED,
    st.builds(lambda shaped, section, node: {**shaped, section: node}, SHAPED, st.sampled_from(SECTIONS), NODES),
    st.builds(
        lambda shaped, member, node: {**shaped, "Resources": {"A": {"Type": "Custom::X", member: node}}},
        SHAPED,
        st.sampled_from(["Type", "DependsOn", "Condition", "DeletionPolicy", "UpdatePolicy", "Metadata", "Other"]),
        NODES,
    ),
    st.builds(
        lambda shaped, member, node: {**shaped, "Parameters": {"P": {"Type": "String", member: node}}},
        SHAPED,
        st.sampled_from(parameters.MEMBERS),
        NODES,
    ),
    st.builds(lambda shaped, loop: {**shaped, "Resources": {"Fn::ForEach::X": loop}}, SHAPED, NODES),
)


@given(st.one_of(st.text(), st.text(alphabet="{}[]:,-?&*!|>%#\"'\\ \n\tabR019.~", max_size=60)))
@settings(max_examples=150, deadline=None)
def test_any_text_is_a_template_or_is_refused(text: str) -> None:
    try:
        assert isinstance(parse(text), dict)
    except TemplateError as error:
        assert error.message
    assert line_of(text, ("a", 0, "R")) is None or isinstance(line_of(text, ("a", 0, "R")), int)


@given(TEMPLATES)
@settings(max_examples=150, deadline=None)
def test_any_template_is_good_or_is_refused(written: dict[str, Any]) -> None:
    """What passes the check then also comes to an end, with values or with AWS's words."""
    text = json.dumps(written)
    try:
        template = parse(text)
        structure.check(template, known_types=lambda kind: True)
        declared = parameters.declared(template)
        summary.summary(template, declared)
        values = parameters.resolved(declared, parameters.values(declared, [], None), {})
        processed = extensions.expand(template, values, ENV)
        if macros.is_to_be_transformed(processed):
            return
        structure.check(processed, known_types=lambda kind: True)
        assert rules.broken_rules(processed, values, ENV) is None or isinstance(rules.broken_rules(processed, values, ENV), str)
        held = conditions.conditions(processed, values, ENV)
        needs = graph.dependencies(processed, held)
        assert all(other in needs for others in needs.values() for other in others)
    except TemplateError as error:
        assert error.message
    assert json.dumps(written) == text


@given(NODES)
@settings(max_examples=300, deadline=None)
def test_any_node_has_a_value_or_is_refused(node: Any) -> None:
    before = json.dumps(node)
    for known in (True, False):
        scope = Scope(
            {"P": "p", "L": ["a", "b"]},
            ENV,
            {"Cond": True},
            {"Map": {"Key": {"Value": "v", "List": ["a", "b"]}}},
            refs=str if known else unknown,
            attributes=attribute_of if known else unknown,
            imports=str,
        )
        try:
            value = resolve(node, scope)
        except TemplateError as error:
            assert error.message
        else:
            assert NO_VALUE not in inside(value)
    assert json.dumps(node) == before


def attribute_of(name: str, attribute: str) -> str:
    return f"{name}.{attribute}"


def unknown(*names: str) -> Any:
    return UNKNOWN


def inside(value: Any) -> list[Any]:
    """All that a value holds, itself left out."""
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [found for child in children for found in (child, *inside(child))]


@given(NODES)
@settings(max_examples=100, deadline=None)
def test_what_is_unknown_makes_unknown_whatever_is_made_of_it(node: Any) -> None:
    """Never a value that a change set would show and that would not come true."""
    scope = Scope({}, ENV, refs=unknown, attributes=unknown)
    joined = {"Fn::Join": ["", ["x", {"Ref": "R"}, node if isinstance(node, str) else "y"]]}
    assert resolve(joined, scope) is UNKNOWN
    assert resolve({"Fn::Base64": joined}, scope) is UNKNOWN
    assert resolve({"Fn::Select": [0, {"Fn::Split": [",", joined]}]}, scope) is UNKNOWN
    assert resolve({"Fn::Sub": ["${x}", {"x": joined}]}, scope) is UNKNOWN


LAUGHS = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join(['*' + before] * 9)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
TEXT_BOMB = "a: &a '" + "x" * 50_000 + "'\nb: [" + ",".join(["*a"] * 1000) + "]"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(LAUGHS, id="nested aliases"),
        pytest.param(TEXT_BOMB, id="a long text, aliased often"),
        pytest.param("a: &a [*a]", id="an alias of itself"),
        pytest.param("[" * 100_000, id="open brackets"),
        pytest.param('{"a":' * 100_000, id="open braces"),
        pytest.param("- " * 100_000, id="nested items"),
        pytest.param("a: " + "[" * 100_000, id="open brackets in YAML"),
        pytest.param("? " * 100_000, id="nested complex keys"),
        pytest.param("\n".join(" " * depth + "a:" for depth in range(2000)), id="nested maps"),
        pytest.param("!Sub " * 100_000, id="a tower of tags"),
    ],
)
def test_a_text_that_grows_is_refused_soon(text: str) -> None:
    started = time.process_time()
    with pytest.raises(TemplateError):
        parse(text)
    assert time.process_time() - started < 2


def test_a_loop_that_grows_is_refused_soon() -> None:
    items = [str(number) for number in range(60)]
    body: Any = {"K${a}${b}${c}": {"Type": "AWS::SNS::Topic"}}
    for name in "cba":
        body = {f"Fn::ForEach::L{name}": [name, items, body]}
    template = {"Transform": "AWS::LanguageExtensions", "Resources": body}
    started = time.process_time()
    with pytest.raises(TemplateError, match="the template that the loops make is too large"):
        extensions.expand(template, {}, ENV)
    assert time.process_time() - started < 5


@given(st.text(alphabet="[]()^-&\\pPdw{}Alph*+?|.,0123Q E<>:=!a", max_size=25), st.text(max_size=5))
@settings(max_examples=200, deadline=None)
def test_any_pattern_matches_or_does_not_or_is_refused(pattern: str, value: str) -> None:
    try:
        assert compiled_pattern("P", pattern).matches(value) in (True, False)
    except TemplateError as error:
        assert error.message.startswith("Parameter 'P' AllowedPattern ")


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_as_java_prints_it_reads_back(number: float) -> None:
    assert float(java_double(number)) == number


@given(st.one_of(st.integers(-(2**62), 2**62), st.booleans()))
def test_a_scalar_that_is_printed_and_read_is_the_same(value: Any) -> None:
    assert plain(text_of(value)) == value

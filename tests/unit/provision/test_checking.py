"""Properties against provider schemas: what becomes of values, and AWS's words for what is wrong."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given as given_by
from hypothesis import settings
from hypothesis import strategies as st

from windtunnel.provision import checking
from windtunnel.provision.checking import PropertyDifference, check, differences, failure
from windtunnel.provision.schemas import TypeSchema, all_types, compile_schema, known, schema


def of(**document: Any) -> TypeSchema:
    return compile_schema({"typeName": "AWS::Test::Thing", "additionalProperties": False, "handlers": {"create": {}}, **document})


def aws(name: str) -> TypeSchema:
    found = schema(name)
    assert found is not None
    return found


THING = of(
    properties={
        "Name": {"type": "string", "pattern": "^[a-z]+$", "maxLength": 5},
        "Size": {"type": "integer", "minimum": 1, "maximum": 10},
        "Ratio": {"type": "number"},
        "On": {"type": "boolean"},
        "Kind": {"type": "string", "enum": ["A", "B"]},
        "Policy": {"type": "object"},
        "Either": {"type": ["object", "string"]},
        "Names": {"type": "array", "items": {"type": "string"}, "uniqueItems": True, "insertionOrder": False, "maxItems": 3},
        "Steps": {"type": "array", "items": {"$ref": "#/definitions/Step"}},
        "Map": {"type": "object", "patternProperties": {"^[a-z]+$": {"type": "integer"}}, "additionalProperties": False},
        "Arn": {"type": "string"},
        "Choice": {
            "type": "object",
            "properties": {"One": {"type": "string"}, "Two": {"type": "string"}},
            "oneOf": [{"required": ["One"]}, {"required": ["Two"]}],
            "additionalProperties": False,
        },
        "Tags": {"type": "array", "insertionOrder": False, "items": {"$ref": "#/definitions/Tag"}},
        "Secret": {"type": "string"},
    },
    definitions={
        "Step": {
            "type": "object",
            "additionalProperties": False,
            "required": ["Do"],
            "properties": {"Do": {"type": "string"}, "Then": {"$ref": "#/definitions/Step"}, "Times": {"type": "integer"}},
        },
        "Tag": {
            "type": "object",
            "additionalProperties": False,
            "required": ["Key", "Value"],
            "properties": {"Key": {"type": "string"}, "Value": {"type": "string"}},
        },
    },
    required=["Name"],
    createOnlyProperties=["/properties/Name", "/properties/Steps/*/Do"],
    conditionalCreateOnlyProperties=["/properties/Size"],
    readOnlyProperties=["/properties/Arn"],
    writeOnlyProperties=["/properties/Secret"],
    primaryIdentifier=["/properties/Arn"],
    tagging={"taggable": True, "tagProperty": "/properties/Tags"},
)


@pytest.mark.parametrize(
    "given, wanted",
    [
        pytest.param({"Size": "7"}, {"Size": 7}, id="text to an integer"),
        pytest.param({"Size": 7.0}, {"Size": 7}, id="a whole float to an integer"),
        pytest.param({"Ratio": "1.5"}, {"Ratio": 1.5}, id="text to a number"),
        pytest.param({"Ratio": "3"}, {"Ratio": 3}, id="text to a whole number"),
        pytest.param({"On": "TRUE"}, {"On": True}, id="text to a boolean"),
        pytest.param({"Kind": "A", "Secret": 12}, {"Kind": "A", "Secret": "12"}, id="a number to text"),
        pytest.param({"Secret": True}, {"Secret": "true"}, id="a boolean to text"),
        pytest.param({"Policy": '{"a": [1]}'}, {"Policy": {"a": [1]}}, id="JSON text to an object"),
        pytest.param({"Either": '{"a": 1}'}, {"Either": '{"a": 1}'}, id="JSON text stays where text is allowed"),
        pytest.param({"Names": [1, "b"]}, {"Names": ["1", "b"]}, id="items of a list"),
        pytest.param({"Map": {"a": "1"}}, {"Map": {"a": 1}}, id="values of a map"),
        pytest.param({"Steps": [{"Do": 1, "Then": {"Do": 2}}]}, {"Steps": [{"Do": "1", "Then": {"Do": "2"}}]}, id="a recursive definition"),
    ],
)
def test_values_take_the_type_of_their_schema(given: dict[str, Any], wanted: dict[str, Any]) -> None:
    kept = repr(given)
    coerced, problems = check(THING, {"Name": "n", **given})
    assert (coerced, problems) == ({"Name": "n", **wanted}, [])
    assert repr(given) == kept


@pytest.mark.parametrize(
    "given, lines",
    [
        pytest.param({}, ["#: required key [Name] not found"], id="nothing"),
        pytest.param({"Name": "n", "Foo": 1}, ["#: extraneous key [Foo] is not permitted"], id="an unknown property"),
        pytest.param({"Name": "n", "Arn": "x"}, ["#: extraneous key [Arn] is not permitted"], id="a read-only property"),
        pytest.param(
            {"Foo": 1, "Size": "x"},
            ["#: required key [Name] not found", "#: extraneous key [Foo] is not permitted", "#/Size: expected type: Integer, found: String"],
            id="all are told, the outer ones first",
        ),
        pytest.param({"Name": "n", "On": "yes"}, ["#/On: expected type: Boolean, found: String"], id="no boolean"),
        pytest.param({"Name": "n", "Names": "a"}, ["#/Names: expected type: JSONArray, found: String"], id="no list"),
        pytest.param({"Name": "n", "Policy": "a"}, ["#/Policy: expected type: JSONObject, found: String"], id="no object"),
        pytest.param({"Name": ["n"]}, ["#/Name: expected type: String, found: JSONArray"], id="a list for text"),
        pytest.param({"Name": None}, ["#/Name: expected type: String, found: null"], id="null"),
        pytest.param({"Name": "N"}, ["#/Name: failed validation constraint for keyword [pattern]"], id="a pattern"),
        pytest.param({"Name": "nnnnnn"}, ["#/Name: expected maxLength: 5, actual: 6"], id="too long"),
        pytest.param({"Name": "n", "Size": 11}, ["#/Size: failed validation constraint for keyword [maximum]"], id="too great"),
        pytest.param(
            {"Name": "n", "Kind": "C"},
            ["#/Kind: #: only 1 subschema matches out of 2", "#/Kind: failed validation constraint for keyword [enum]"],
            id="an enum",
        ),
        pytest.param({"Name": "n", "Names": ["a", "a"]}, ["#/Names: array items are not unique"], id="a set with a twin"),
        pytest.param({"Name": "n", "Names": list("abcd")}, ["#/Names: expected maximum item count: 3, found: 4"], id="too many"),
        pytest.param({"Name": "n", "Map": {"A": 1}}, ["#/Map: extraneous key [A] is not permitted"], id="a key that fits no pattern"),
        pytest.param({"Name": "n", "Steps": [{}]}, ["#/Steps/0: required key [Do] not found"], id="inside a list"),
        pytest.param({"Name": "n", "Steps": [{"Do": "a", "Then": {"do": "b"}}]},
            ["#/Steps/0/Then: required key [Do] not found", "#/Steps/0/Then: extraneous key [do] is not permitted"], id="deep inside"),
        pytest.param(
            {"Name": "n", "Choice": {"One": "a", "Two": "b"}}, ["#/Choice: #: 2 subschemas matched instead of one"], id="both of one"
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_awss_words(given: dict[str, Any], lines: list[str]) -> None:
    _, problems = check(THING, given)
    assert [one.text for one in problems] == lines
    assert failure(THING, "Res", problems) == "\n".join(["Properties validation failed for resource Res with message:", *lines])


@pytest.mark.parametrize(
    "type_name, given, message",
    [
        pytest.param("AWS::SSM::Parameter", {"Value": "v"}, "Property validation failure: [The property {/Type} is required]", id="recorded"),
        pytest.param(
            "AWS::CodeBuild::Project",
            {"ServiceRole": "r", "Source": {"Type": "NO_SOURCE"}, "Artifacts": {"Type": "NO_ARTIFACTS"}, "Foo": 1,
             "Environment": {"Type": "LINUX_CONTAINER", "Image": "i", "ComputeType": "BUILD_GENERAL1_SMALL", "Bar": 1}},
            "Property validation failure: [Encountered unsupported properties in {/}: [Foo], "
            "Encountered unsupported properties in {/Environment}: [Bar]]",
            id="a type without handlers in the registry",
        ),
        pytest.param("AWS::SSM::Parameter", {"Value": "v", "Type": "String", "Tags": [{"Key": "a", "Value": "b"}]},
            "Property validation failure: [Value of property {/Tags} does not match type {Map}]", id="a list for a map"),
    ],
)  # fmt: skip
def test_types_older_than_the_registry_have_their_own_words(type_name: str, given: dict[str, Any], message: str) -> None:
    _, problems = check(aws(type_name), given)
    assert failure(aws(type_name), "Res", problems) == message


def test_cloud_control_words_the_same_otherwise() -> None:
    _, problems = check(aws("AWS::Logs::LogGroup"), {"Foo": 1, "KmsKeyId": "x"})
    assert checking.model_failure(problems) == (
        "Model validation failed (#: extraneous key [Foo] is not permitted\n#/KmsKeyId: failed validation constraint for keyword [pattern])"
    )


def test_what_a_schema_tells() -> None:
    queue = aws("AWS::SQS::Queue")
    assert (queue.tag_property, queue.tag_form) == ("Tags", "list")
    assert queue.create_only == {"/FifoQueue", "/QueueName"}
    assert queue.identifier == ("QueueUrl",)
    assert {"Arn", "QueueName", "QueueUrl"} <= queue.attributes
    assert "/Tags" in aws("AWS::S3::Bucket").unordered
    assert aws("AWS::SSM::Parameter").tag_form == "map"
    assert "/LifecycleConfiguration/Rules/*/Transition" in aws("AWS::S3::Bucket").write_only
    assert schema("AWS::No::Thing") is None and not known('AWS::S3::Bucket": "') and known("AWS::S3::Bucket")


def test_every_type_of_aws_compiles() -> None:
    names = all_types()
    assert len(names) > 1_500
    for name in names[::25]:
        _, problems = check(aws(name), {"No": {"such": ["property"]}})
        assert any("No" in one.names or "[No]" in one.message for one in problems), name


def test_changed_compares_sets_as_sets() -> None:
    old = {"Name": "n", "Names": ["a", "b"], "Steps": [{"Do": "x"}, {"Do": "y"}], "Either": '{"a": 1}', "Size": 1}
    new = {"Name": "n", "Names": ["b", "a"], "Steps": [{"Do": "y"}, {"Do": "x"}], "Either": {"a": 1}, "On": True}
    assert checking.changed(THING, old, new) == {"Steps", "Size", "On"}
    assert checking.create_only(THING, old, new) == {"/Steps/*/Do"}
    assert checking.conditionally(THING, old, new) == {"/Size"}
    assert checking.create_only(THING, {"Name": "n"}, {"Name": "m"}) == {"/Name"}


@pytest.mark.parametrize(
    "path, wanted",
    [
        ("/Name", "Always"),
        ("/Steps/0/Do", "Always"),
        ("/Steps", "Always"),
        ("/Steps/0/Times", "Never"),
        ("/Size", "Conditionally"),
        ("/On", "Never"),
    ],
)
def test_recreation_by_path(path: str, wanted: str) -> None:
    assert checking.recreation(THING, path) == wanted


def test_drift_is_told_by_the_smallest_path() -> None:
    expected = {"Name": "n", "Tags": [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}], "Secret": "x", "Map": {"a": 1}, "On": True}
    actual = {
        "Name": "m",
        "Arn": "arn",
        "Tags": [{"Key": "b", "Value": "3"}, {"Key": "c", "Value": "4"}, {"Key": "a", "Value": "1"}],
        "Map": {"a": 1, "b": 2},
        "Size": 3,
    }
    assert differences(THING, expected, actual) == [
        PropertyDifference("/Map/b", "null", "2", "ADD"),
        PropertyDifference("/Name", "n", "m", "NOT_EQUAL"),
        PropertyDifference("/On", "true", "null", "REMOVE"),
        PropertyDifference("/Tags/1", "null", '{"Key":"c","Value":"4"}', "ADD"),
        PropertyDifference("/Tags/1/Value", "2", "3", "NOT_EQUAL"),
    ]


def test_a_change_set_tells_each_property() -> None:
    found = checking.changes(
        THING, {"Name": "n", "Steps": [{"Do": "x", "Times": 1}], "On": True}, {"Name": "m", "Steps": [{"Do": "x", "Times": 2}], "Size": 3}
    )
    assert [(one.path, one.recreation, one.change, one.before, one.after) for one in found] == [
        ("/Properties/Name", "Always", "Modify", "n", "m"),
        ("/Properties/On", "Never", "Remove", "true", None),
        ("/Properties/Size", "Conditionally", "Add", None, "3"),
        ("/Properties/Steps/0/Times", "Never", "Modify", "1", "2"),
    ]


HOSTILE = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["1", "true", "{", "[]", '{"a":', "9" * 500, "-1e400"]),
    lambda below: (
        st.lists(below, max_size=3)
        | st.dictionaries(st.text(max_size=4) | st.sampled_from(["Key", "Value", "Do", "Then"]), below, max_size=3)
    ),
    max_leaves=12,
)
OF_AWS = [
    aws(name)
    for name in (
        "AWS::SQS::Queue",
        "AWS::S3::Bucket",
        "AWS::EC2::Instance",
        "AWS::Events::Rule",
        "AWS::CodeBuild::Project",
        "AWS::SSM::Parameter",
    )
]


@st.composite
def some_properties(draw: st.DrawFn) -> tuple[TypeSchema, dict[str, Any], dict[str, Any]]:
    kind = draw(st.sampled_from([THING, *OF_AWS]))
    names = st.sampled_from(sorted(kind.properties)) | st.text(max_size=3)
    values = st.dictionaries(names, HOSTILE, max_size=4)
    return kind, draw(values), draw(values)


@settings(max_examples=150, deadline=None)
@given_by(some_properties())
def test_nothing_that_json_can_say_breaks_it(case: tuple[TypeSchema, dict[str, Any], dict[str, Any]]) -> None:
    kind, old, new = case
    coerced, problems = check(kind, old)
    assert failure(kind, "R", problems) or not problems
    again, still = check(kind, coerced)
    assert repr(again) == repr(coerced) and len(still) <= len(problems), "coercing twice is coercing once"
    names = checking.changed(kind, old, new)
    assert names <= {*old, *new}
    assert checking.create_only(kind, old, new) <= kind.create_only
    assert {one.name for one in checking.changes(kind, old, new)} <= names
    assert all(one.path.startswith("/") for one in differences(kind, old, new))

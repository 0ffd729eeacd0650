"""Coverage by member: what is declared is decoded, what is not is refused by its path, and `coverage` says the same as the decoders."""

import json
from typing import Any

import pytest

from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import Declared
from windtunnel.wire import coverage
from windtunnel.wire.models import ServiceModel, load_service
from windtunnel.wire.protocols import RawRequest, compile_decoder

SHAPES = {
    "In": {
        "type": "structure",
        "members": {
            "name": {"shape": "String"},
            "names": {"shape": "Strings"},
            "tags": {"shape": "Tags"},
            "labels": {"shape": "Labels"},
            "source": {"shape": "Source"},
            "tree": {"shape": "Tree"},
        },
    },
    "String": {"type": "string"},
    "Strings": {"type": "list", "member": {"shape": "String"}},
    "Tags": {"type": "list", "member": {"shape": "Tag"}},
    "Tag": {"type": "structure", "members": {"key": {"shape": "String"}, "value": {"shape": "String"}}},
    "Labels": {"type": "map", "key": {"shape": "String"}, "value": {"shape": "String"}},
    "Source": {"type": "structure", "members": {"type": {"shape": "String"}, "auth": {"shape": "Tag"}}},
    "Tree": {"type": "structure", "members": {"leaf": {"shape": "String"}, "branches": {"shape": "Trees"}}},
    "Trees": {"type": "list", "member": {"shape": "Tree"}},
}


def service() -> ServiceModel:
    document = {
        "metadata": {"endpointPrefix": "x", "protocol": "json", "jsonVersion": "1.1"},
        "operations": {"Op": {"name": "Op", "input": {"shape": "In"}}},
        "shapes": SHAPES,
    }
    return ServiceModel.from_document("thing", document)


def decode(declared: Declared | None, value: Any) -> dict[str, Any]:
    return compile_decoder(service(), "Op", declared)(RawRequest("POST", "/", {}, [], {}, json.dumps(value).encode()))


def declared(*acts: str, **default_only: Any) -> Declared:
    return Declared(frozenset(acts), frozenset(), default_only)


@pytest.mark.parametrize(
    "what, value",
    [
        pytest.param(declared("name"), {"name": "a"}, id="a scalar"),
        pytest.param(declared("names"), {"names": ["a"]}, id="a list of scalars by its name"),
        pytest.param(declared("names[]"), {"names": ["a"]}, id="a list of scalars by its elements"),
        pytest.param(declared("labels{}"), {"labels": {"a": "b"}}, id="a map of scalars"),
        pytest.param(declared("tags[].key"), {"tags": [{"key": "a"}, {}]}, id="a member of a list's structures"),
        pytest.param(declared("tags[].*"), {"tags": [{"key": "a", "value": "b"}]}, id="all members of a list's structures"),
        pytest.param(declared("tags.*"), {"tags": [{"key": "a", "value": "b"}]}, id="everything below a list"),
        pytest.param(declared("source.*"), {"source": {"type": "a", "auth": {"key": "b"}}}, id="everything below a structure"),
        pytest.param(declared("source.type"), {"source": {"type": "a"}}, id="one member of a structure"),
        pytest.param(declared("source.type"), {"source": {}}, id="a structure that is empty"),
        pytest.param(
            declared("tree.*"), {"tree": {"branches": [{"branches": [{"leaf": "a"}]}]}}, id="everything below a recursive structure"
        ),
        pytest.param(declared("*"), {"name": "a", "source": {"auth": {"value": "b"}}}, id="everything"),
        pytest.param(declared(), {}, id="nothing"),
        pytest.param(declared(name="a"), {"name": "a"}, id="a default"),
        pytest.param(declared(tags=[]), {"tags": []}, id="an empty list as the default"),
        pytest.param(declared(), {"name": None, "nonsense": None}, id="nulls are absent"),
    ],
)
def test_what_is_declared_is_decoded(what: Declared, value: Any) -> None:
    assert decode(what, value) == {key: item for key, item in value.items() if item is not None}


@pytest.mark.parametrize(
    "what, value, path",
    [
        pytest.param(declared(), {"name": "a"}, "name", id="a scalar"),
        pytest.param(declared("name"), {"nmae": "a"}, "nmae", id="a member that the model lacks"),
        pytest.param(declared("source.type"), {"source": {"auth": {"key": "a"}}}, "source.auth", id="a nested member"),
        pytest.param(declared("source.type"), {"source": {"autx": 1}}, "source.autx", id="a nested member that the model lacks"),
        pytest.param(declared("source"), {"source": {"type": "a"}}, "source.type", id="a structure's name does not cover its members"),
        pytest.param(declared("tags[].key"), {"tags": [{"key": "a"}, {"value": "b"}]}, "tags[].value", id="in a list's second element"),
        pytest.param(declared("tags"), {"tags": [{"key": "a"}]}, "tags[]", id="a list's name does not cover structures"),
        pytest.param(declared(name="a"), {"name": "b"}, "name", id="not the default"),
        pytest.param(declared(tags=[]), {"tags": [{"key": "a"}]}, "tags", id="not the default list"),
        pytest.param(declared("tree.leaf"), {"tree": {"branches": [{"leaf": "a"}]}}, "tree.branches", id="below a recursive structure"),
    ],
)
def test_what_is_not_declared_is_refused_by_name(what: Declared, value: Any, path: str) -> None:
    with pytest.raises(AwsError) as caught:
        decode(what, value)
    assert (caught.value.code, caught.value.status) == ("NotImplemented", 501)
    assert caught.value.message == f"Windtunnel does not run thing:Op with {path} yet; nothing was changed."


def test_coverage_of_an_operation() -> None:
    what = Declared(frozenset({"name", "tags[].key", "tree.*"}), frozenset({"labels", "source.type"}), {"names": []})
    assert {member.path: member.kind for member in coverage.coverage(service(), "Op", what)} == {
        "name": "acts",
        "names": "default-only",
        "tags[].key": "acts",
        "tags[].value": "refused",
        "labels{}": "descriptive",
        "source.type": "descriptive",
        "source.auth.key": "refused",
        "source.auth.value": "refused",
        "tree.leaf": "acts",
        "tree.branches[].*": "acts",
    }


def test_misspelt_declarations_are_found() -> None:
    what = Declared(frozenset({"name", "nmae", "tags[].key", "tags{}.key", "tags.key", "tree.*", "tree.branches[].branches[].leaf"}))
    assert coverage.stale(service(), "Op", what) == ["nmae", "tags.key", "tags{}.key"]


def at(model: ServiceModel, shape: str, path: list[str]) -> Any:
    """A value whose only member is at the path."""
    kind = model.shape(shape)
    if not path or path == ["*"]:
        return sample(model, shape)
    head, *rest = path
    if head == "[]":
        assert kind.member is not None
        return [at(model, kind.member.shape, rest)]
    if head == "{}":
        assert kind.value is not None
        return {"k": at(model, kind.value.shape, rest)}
    return {kind.members[head].location_name or head: at(model, kind.members[head].shape, rest)}


def sample(model: ServiceModel, shape: str) -> Any:
    kind = model.shape(shape)
    values: dict[str, Any] = {
        "structure": {},
        "list": [],
        "map": {},
        "boolean": True,
        "integer": 1,
        "long": 1,
        "timestamp": 1.0,
        "blob": "eA==",
    }
    return values.get(kind.type, "x" if kind.type == "string" else 1.5)


@pytest.mark.parametrize(
    "name, operation",
    [("codebuild", "CreateProject"), ("codepipeline", "CreatePipeline"), ("codedeploy", "CreateDeploymentGroup"), ("ssm", "PutParameter")],
)
def test_every_undeclared_path_of_a_real_operation_is_refused(name: str, operation: str) -> None:
    model = load_service(name)
    decode = compile_decoder(model, operation, Declared())
    paths = coverage.input_paths(model, operation)
    assert len(paths) > 5
    for path in paths:
        segments = path.replace("[]", ".[]").replace("{}", ".{}").split(".")
        shape = model.operation(operation).input
        assert shape is not None
        body = json.dumps(at(model, shape, segments)).encode()
        with pytest.raises(AwsError) as caught:
            decode(RawRequest("POST", "/", {}, [], {}, body))
        assert caught.value.status == 501, path
        assert f" with {segments[0]} yet" in caught.value.message


def test_real_operations_with_recursive_shapes_end() -> None:
    assert any(path.endswith(".*") for path in coverage.input_paths(load_service("dynamodb"), "PutItem"))
    assert len(coverage.input_paths(load_service("ec2"), "RunInstances")) > 100

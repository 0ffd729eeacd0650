"""The resource types of IAM, S3, SNS, SQS, KMS, Secrets Manager and Parameter Store through real stacks: created, updated and deleted by a client.

The properties are checked against the provider schemas here; what lives afterwards is read apart from the stack.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from clients import Door
from harness import InProcessCloud
from resource_tables import iam, keys, messaging, s3
from stacks import Stacks
from stacks_lab import Lab, differences
from windtunnel.provision.registry import Resource


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcessCloud]:
    with InProcessCloud(tmp_path_factory.mktemp("stack-resources")) as made:
        for world in (iam, s3, messaging, keys):
            world.world(made)
        yield made


@pytest.fixture(scope="module")
def stacks(cloud: InProcessCloud) -> Stacks:
    return Stacks(Door(cloud))


def _rows() -> Iterator[Any]:
    yield from (*iam.CASES, *messaging.LIVES, *keys.LIVES)
    for number, (name, first, second) in enumerate(s3.PROPERTIES):
        yield pytest.param("AWS::S3::Bucket", {name: first}, {name: second}, id=f"bucket, {number} {name}")


def _template(type_name: str, props: dict[str, Any]) -> dict[str, Any]:
    return {"Resources": {"Thing": {"Type": type_name, "Properties": props}}, "Outputs": {"Ref": {"Value": {"Ref": "Thing"}}}}


def _why(stacks: Stacks, name: str) -> str:
    return "; ".join(reason for _, status, reason in stacks.events(name) if status.endswith("_FAILED"))


@pytest.mark.parametrize(("type_name", "first", "second"), list(_rows()))
def test_a_stack_of_one(cloud: InProcessCloud, stacks: Stacks, type_name: str, first: dict[str, Any], second: dict[str, Any]) -> None:
    options = {"Capabilities": ["CAPABILITY_NAMED_IAM"]}
    lab, name = Lab(cloud), "one"
    assert stacks.create(name, _template(type_name, first), **options) == "CREATE_COMPLETE", _why(stacks, name)
    described = stacks.describe(name)
    thing = Resource(type=type_name, logical_id="Thing", id=stacks.physical(name, "Thing"), properties=first)
    assert described["Outputs"][0]["OutputValue"] == lab.ref(thing)
    assert differences(keys.readable(type_name, first), lab.read(thing)) == []
    if first != second:
        assert stacks.update(name, _template(type_name, second), **options) == "UPDATE_COMPLETE", _why(stacks, name)
        assert stacks.physical(name, "Thing") == thing.id, "no update of these replaces"
        thing.properties = second
        assert differences(keys.readable(type_name, second), lab.read(thing)) == []
    assert stacks.delete(name) == "DELETE_COMPLETE", _why(stacks, described["StackId"])
    if "https" not in str(first):
        assert lab.read(thing) is None

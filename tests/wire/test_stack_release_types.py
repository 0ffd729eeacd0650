"""The resource types of what releases lean on, and of the delivery tools, through real stacks: created, updated and deleted by a client.

What lives afterwards is read apart from the stack.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from clients import Door
from harness import InProcessCloud
from resource_tables import delivery, release
from stacks import Stacks
from stacks_lab import Lab, differences
from windtunnel.provision.registry import Resource


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcessCloud]:
    with InProcessCloud(tmp_path_factory.mktemp("stack-release-types")) as made:
        for table in (release, delivery):
            table.world(made)
        yield made


@pytest.fixture(scope="module")
def stacks(cloud: InProcessCloud) -> Stacks:
    return Stacks(Door(cloud))


def _rows() -> Iterator[Any]:
    for table in (release, delivery):
        yield from (pytest.param(table, *row.values, id=row.id) for row in table.CASES)


def _template(type_name: str, props: dict[str, Any]) -> dict[str, Any]:
    return {"Resources": {"Thing": {"Type": type_name, "Properties": props}}, "Outputs": {"Ref": {"Value": {"Ref": "Thing"}}}}


def _why(stacks: Stacks, name: str) -> str:
    return "; ".join(reason for _, status, reason in stacks.events(name) if status.endswith("_FAILED"))


@pytest.mark.parametrize(("table", "type_name", "first", "second"), list(_rows()))
def test_a_stack_of_one(
    cloud: InProcessCloud, stacks: Stacks, table: ModuleType, type_name: str, first: dict[str, Any], second: dict[str, Any] | None
) -> None:
    lab, name = Lab(cloud), "one"
    first, second = release.resolved(cloud, first), None if second is None else release.resolved(cloud, second)
    assert stacks.create(name, _template(type_name, first)) == "CREATE_COMPLETE", _why(stacks, name)
    described = stacks.describe(name)
    thing = Resource(type=type_name, logical_id="Thing", id=stacks.physical(name, "Thing"), properties=first)
    assert described["Outputs"][0]["OutputValue"] == lab.ref(thing)
    assert differences(table.readable(type_name, first), lab.read(thing)) == []
    if second is not None:
        assert stacks.update(name, _template(type_name, second)) == "UPDATE_COMPLETE", _why(stacks, name)
        assert stacks.physical(name, "Thing") == thing.id, "no update of these replaces"
        thing.properties = second
        assert differences(table.readable(type_name, second), lab.read(thing)) == []
    assert stacks.delete(name) == "DELETE_COMPLETE", _why(stacks, described["StackId"])
    assert lab.read(thing) is None

"""Once a type was warmed, in a thread, its creations, updates and deletions compile nothing more on the cloud's loop."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from harness import InProcessCloud
from resource_tables import delivery, iam, keys, messaging, release, s3
from stacks_lab import Lab
from windtunnel.provision import calling
from windtunnel.provision.warming import cool, warm


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with InProcessCloud(tmp_path_factory.mktemp("warm")) as cloud:
        for world in (iam, s3, messaging, keys, release, delivery):
            world.world(cloud)
        yield Lab(cloud)


def _rows() -> list[Any]:
    rows = [*iam.CASES, *messaging.LIVES, *keys.LIVES, *release.CASES, *delivery.CASES]
    return rows + [pytest.param("AWS::S3::Bucket", {name: first}, {name: second}, id=name) for name, first, second in s3.PROPERTIES]


@pytest.mark.parametrize(("type_name", "first", "second"), _rows())
def test_nothing_is_left_to_compile(lab: Lab, type_name: str, first: dict[str, Any], second: dict[str, Any] | None) -> None:
    first, second = release.resolved(lab.cloud, first), None if second is None else release.resolved(lab.cloud, second)
    cool()
    warm([type_name])
    before = calling._checker.cache_info().misses
    assert before > 0
    made = lab.create(type_name, **first)
    if second is not None:
        lab.update(made, **second)
        lab.update(made, **first)
    lab.delete(made)
    assert calling._checker.cache_info().misses == before

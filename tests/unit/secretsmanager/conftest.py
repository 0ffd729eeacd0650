"""A cloud for Secrets Manager's tests, and people in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clients import Door
from harness import InProcessCloud
from people import People


@pytest.fixture()
def cloud(tmp_path: Path) -> Iterator[InProcessCloud]:
    with InProcessCloud(tmp_path / "data") as started:
        yield started


@pytest.fixture()
def secrets(door: Door) -> Any:
    """The root user's client."""
    return door.client("secretsmanager")


@pytest.fixture()
def person(cloud: InProcessCloud, door: Door) -> People:
    return People(cloud, door, "secretsmanager")

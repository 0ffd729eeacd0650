"""Makes the scripted world importable, and gives it as a fixture."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from pipeline_world import World, world_at  # noqa: E402


@pytest.fixture()
def world(tmp_path: Path) -> Iterator[World]:
    with world_at(tmp_path) as started:
        yield started

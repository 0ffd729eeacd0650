"""The fixture of CodeBuild's tests: a cloud over a scripted machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from build_lab import PROJECT, Lab

from windtunnel.kernel.context import Context, Event
from windtunnel.kernel.registry import LISTENERS


@pytest.fixture()
def lab(tmp_path: Path) -> Iterator[Lab]:
    made = Lab(tmp_path)

    def listen(ctx: Context, event: Event) -> None:
        made.events.append(event)

    listener = ("aws.codebuild", "*", listen)
    LISTENERS.append(listener)
    made.up()
    made.role()
    made.api("CreateProject", **PROJECT)
    yield made
    made.down()
    LISTENERS.remove(listener)

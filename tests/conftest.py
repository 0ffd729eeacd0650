"""Shared by all tests: the harness is importable, and a write handler that touches the world outside the store is an error."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from windtunnel.store.writer import inside  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clients import Door
    from families import Templates
    from harness import InProcessCloud
    from stacks import Scripted, Stacks

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


def _refuse_the_world(event: str, arguments: tuple[object, ...]) -> None:
    """No socket, process or file write while a write handler holds the store's one write transaction."""
    if not getattr(inside, "active", False):
        return
    if event in ("socket.connect", "socket.bind", "subprocess.Popen", "os.fork", "os.posix_spawn", "os.system"):
        raise RuntimeError(f"{event} inside a write transaction")
    if event == "open" and isinstance(arguments[2], int) and arguments[2] & _WRITING and ".pyc" not in str(arguments[0]):
        raise RuntimeError(f"open({arguments[0]!r}) for writing inside a write transaction")


sys.addaudithook(_refuse_the_world)


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[InProcessCloud]:
    """A cloud of the test's own; a module that wants another one, or one for all its tests, has its own fixture of this name."""
    from harness import InProcessCloud

    with InProcessCloud(tmp_path) as running:
        yield running


@pytest.fixture
def door(cloud: InProcessCloud) -> Door:
    """Real boto3 clients of the test's `cloud`."""
    from clients import Door

    return Door(cloud)


@pytest.fixture
def stacks(door: Door) -> Stacks:
    """CloudFormation through boto3."""
    from stacks import Stacks

    return Stacks(door)


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Scripted:
    """The resource type that does as its properties say, in place of custom resources."""
    from stacks import Scripted
    from windtunnel.provision.registry import RESOURCE_TYPES, types

    types()  # loaded, so that what stands there now is put back afterwards
    scripted = Scripted()
    monkeypatch.setitem(RESOURCE_TYPES, "AWS::CloudFormation::CustomResource", scripted)
    return scripted


@pytest.fixture
def keep(door: Door) -> Templates:
    """Where nested stacks have their templates."""
    from families import Templates

    return Templates(door)

"""The worker dies at every boundary of every action in turn; after a restart the pipeline ends as if nothing had happened.

In process, a death is an exception that no job code can catch: the run is driven no further, as after a SIGKILL. What the real
signal does to a whole server is the crash suite's business.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from pipeline_world import World, world_at
from pipelines import full

from harness import until
from windtunnel.kernel.context import Event


class Killed(BaseException):
    """Stands for SIGKILL."""


class Killer:
    """Dies at the n-th boundary that codepipeline's actions pass, once; n None only counts."""

    def __init__(self, at: int | None) -> None:
        self._at = at
        self._lock = threading.Lock()
        self.passed: list[str] = []
        self.struck = threading.Event()

    def __call__(self, kind: str, step: str, when: str) -> None:
        if kind != "codepipeline.action":
            return
        with self._lock:
            self.passed.append(f"{step or 'run'} {when}")
            if self._at == len(self.passed):
                self.struck.set()
                raise Killed


def outside(world: World, done: Any) -> None:
    """Play builds, people and deployments until `done()`; each of them acts once."""
    played: set[str] = set()

    def turn() -> bool:
        for work in world.work():
            if work.id not in played:
                played.add(work.id)
                world.deployment_ends(work.id) if work.id.startswith("d-") else world.build_ends(work.id, VERSION="1")
        if world.action("Approve", "OK").get("token"):
            world.approve("Approve", "OK")
        return bool(done())

    until(turn, what="the pipeline's outside being played")


def ended(world: World) -> bool:
    return str(world.executions()[0]["status"]) not in ("InProgress", "Stopping")


BOUNDARIES = 60
"""At least as many as one pipeline has; the first test holds that none is left out."""


def test_the_boundaries_are_counted(tmp_path: Path) -> None:
    killer = Killer(None)
    with world_at(tmp_path, boundary=killer) as world:
        world.create(full())
        outside(world, lambda: ended(world))
        until(lambda: killer.passed.count("run end") == 4)
    assert 20 < len(killer.passed) <= BOUNDARIES, killer.passed


@pytest.mark.slow
@pytest.mark.parametrize("boundary", range(1, BOUNDARIES + 1))
def test_a_death_at_any_boundary_changes_nothing_in_the_end(tmp_path: Path, boundary: int, recwarn: pytest.WarningsRecorder) -> None:
    killer, events = Killer(boundary), list[Event]()
    with world_at(tmp_path, events, boundary=killer) as world:
        execution = world.create(full())
        outside(world, lambda: killer.struck.is_set() or ended(world))
    with world_at(tmp_path, events) as world:
        outside(world, lambda: ended(world))
        until(lambda: events[-1].detail["state"] == "SUCCEEDED" and "stage" not in events[-1].detail)
        assert world.status(execution) == "Succeeded"
        assert sorted(work.id[:2] for work in world.work()) == ["d-", "un"]
        assert len(world.stored()) == 1
        details = world.api("ListActionExecutions", pipeline_name="rel")["actionExecutionDetails"]
    assert [(d["actionName"], d["status"]) for d in details] == [
        *(("Ship", "Succeeded"), ("OK", "Succeeded"), ("Compile", "Succeeded"), ("Fetch", "Succeeded"))
    ]
    assert len(events) == 18

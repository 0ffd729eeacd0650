"""A build outlives the cloud: whatever was said is recorded once, and what was said while no cloud ran is recorded later."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from build_lab import PROJECT, Lab, phases

from harness import until
from windtunnel.compute.driver import SandboxSpec
from windtunnel.kernel.clock import FixedClock
from windtunnel.services.codebuild.model import BuildOutput


def again(lab: Lab) -> None:
    lab.down()
    lab.up()


def test_lines_are_logged_once_over_restarts(lab: Lab) -> None:
    build = lab.start()
    lab.in_sandbox(build)
    lab.say(build, {"begin": "DOWNLOAD_SOURCE"}, {"log": "one"}, f'{{"t": {time.time() + 0.01}, "log": "tw'.encode())
    until(lambda: lab.log(build)[-1:] == ["one"], what="the first line")
    again(lab)
    lab.say(build, b'o"}\n', {"log": "three"}, {"phase": "DOWNLOAD_SOURCE"})
    until(lambda: lab.log(build)[-1:] == ["three"], what="the third line")
    lab.down()
    lab.say(build, {"log": "while nobody listened"}, {"begin": "INSTALL"}, {"phase": "INSTALL"}, {"done": True})
    lab.world.end(build.split(":")[1])
    lab.up()
    found = lab.ended(build)
    assert [line for line in lab.log(build) if not line.startswith("[Container]")] == ["one", "two", "three", "while nobody listened"]
    assert (found["buildStatus"], phases(found)["INSTALL"]) == ("SUCCEEDED", "SUCCEEDED")
    until(lambda: build.split(":")[1] not in lab.world.boots, what="the sandbox's removal")


@pytest.mark.parametrize("at", ["queue", "start", "started", "end", "finish"])
def test_a_crash_at_any_step_ends_in_the_same_build(lab: Lab, at: str, caplog: pytest.LogCaptureFixture) -> None:
    """The cloud is gone at the step's boundary: nothing after it happened, and the next cloud does it."""
    lab.down()
    met: list[str] = []

    class Killed(BaseException):
        """As SIGKILL would: the job's thread does nothing more."""

    def boundary(kind: str, step: str, when: str) -> None:
        if kind == "codebuild.build" and step == at and when == "before":
            met.append(step)
            raise Killed

    lab.up(boundary=boundary)
    build = lab.start()
    if at in ("end", "finish"):
        lab.in_sandbox(build)
    if at == "finish":
        lab.play(build)
    until(lambda: met, what=f"the boundary of {at}")
    again(lab)
    uuid = lab.in_sandbox(build) if at != "finish" else build.split(":")[1]
    assert len(lab.world.boots.get(uuid, [None])) == 1
    if at != "finish":
        lab.play(build)
    found = lab.ended(build)
    assert found["buildStatus"] == "SUCCEEDED"
    assert [line for line in lab.log(build) if line.startswith("in ")] == [
        f"in {phase}" for phase in ("DOWNLOAD_SOURCE", "INSTALL", "PRE_BUILD", "BUILD", "POST_BUILD", "UPLOAD_ARTIFACTS")
    ]
    until(lambda: uuid not in lab.world.boots, what="the sandbox's removal")


def test_stopping_is_not_forgotten(lab: Lab) -> None:
    build = lab.start()
    lab.in_sandbox(build)
    lab.cloud.write(lambda ctx: ctx.signal(f"codebuild.stop:{build}"))
    again(lab)
    assert lab.ended(build)["buildStatus"] == "STOPPED"


def test_nothing_of_a_build_that_has_ended_is_followed(lab: Lab) -> None:
    build = lab.start()
    lab.in_sandbox(build)
    lab.play(build)
    lab.ended(build)
    assert lab.cloud.read(lambda ctx: ctx.tx.scan(BuildOutput)) == []


def test_a_sandbox_that_no_build_has_is_removed(lab: Lab) -> None:
    build = lab.start()
    uuid = lab.in_sandbox(build)
    stray, other = "00000000-0000-4000-8000-000000000000", "of-another-service"
    for name in (stray, other):
        lab.world.boot(SandboxSpec(id=name, image="stock", argv=("x",)), "t", None)
    again(lab)
    until(lambda: stray not in lab.world.boots, what="the stray's removal")
    assert {uuid, other} <= lab.world.boots.keys()


def test_time_runs_out_while_the_cloud_is_down(tmp_path: Path) -> None:
    clock = FixedClock(time.time())
    lab = Lab(tmp_path)
    lab.up(clock=clock)
    lab.role()
    lab.api("CreateProject", **PROJECT)
    build = lab.start(timeout_in_minutes_override=5)
    lab.in_sandbox(build)
    lab.say(build, {"begin": "DOWNLOAD_SOURCE"}, {"phase": "DOWNLOAD_SOURCE"}, {"begin": "BUILD"})
    until(lambda: lab.build(build)["currentPhase"] == "BUILD", what="BUILD")
    lab.down()
    clock.advance(301)
    lab.up(clock=clock)
    found = lab.ended(build)
    lab.down()
    assert (found["buildStatus"], phases(found)["BUILD"]) == ("TIMED_OUT", "TIMED_OUT")
    assert "BUILD_TIMED_OUT" in str(found["phases"])

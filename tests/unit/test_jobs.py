"""Runs: each step once, parked without a thread, found again after a restart."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import InProcessCloud, until
from windtunnel.jobs import Run, job
from windtunnel.kernel.clock import FixedClock
from windtunnel.kernel.cloud import Asleep
from windtunnel.kernel.context import Context
from windtunnel.services.ssm.model import Parameter

seen: list[str] = []


def note(ctx: Context, text: str) -> str:
    ctx.call("ssm", "PutParameter", name=f"/job/{text}", value=text, type="String", overwrite=True)
    return text


def touch(text: str, token: str) -> str:
    seen.append(f"{text}:{token}")
    return text


@job("test.two-halves")
def two_halves(run: Run, name: str) -> str:
    first = run.tx("first", note, f"{name}-first")
    run.effect("outside", touch, first)
    answer = run.wait_for(f"go-on:{name}")
    run.tx("second", note, f"{name}-{answer['word']}")
    return first


@job("test.timeout")
def times_out(run: Run) -> None:
    found = run.wait_for("never", timeout=0.05)
    run.tx("said", note, f"timed-out-{found is None}")


@job("test.sleeps")
def sleeps(run: Run, name: str) -> None:
    run.tx("looked", note, f"{name}-looked")
    run.wait_for(f"wake:{name}", key="pause", timeout=3600)
    run.tx("woke", note, f"{name}-woke")


@job("test.dismisses")
def dismisses(run: Run, name: str) -> None:
    run.tx("first", note, f"{name}-first")
    run.effect("dismiss", lambda token: run.tx("dismissed", lambda ctx: ctx.cloud.dismiss_job(ctx, run.id)))
    run.tx("second", note, f"{name}-second")


def asleep(ctx: Context, name: str, seconds: float) -> None:
    ctx.cloud.start_job(ctx, "test.sleeps", f"run-{name}", {"name": name}, Asleep("pause", f"wake:{name}", seconds))


def crash(ctx: Context, message: str, **args: object) -> None:
    note(ctx, "told")


@job("test.fails", failed=crash)
def fails(run: Run) -> None:
    raise ValueError("no way")


def names(cloud: InProcessCloud) -> set[str]:
    return {p.name for p in cloud.read(lambda ctx: ctx.tx.scan(Parameter, prefix="/job/"))}


@pytest.fixture()
def data(tmp_path: Path) -> Path:
    seen.clear()
    return tmp_path


def test_a_parked_run_goes_on_after_a_restart_and_repeats_no_step(data: Path) -> None:
    with InProcessCloud(data) as cloud:
        cloud.write(lambda ctx: ctx.start_job("test.two-halves", "run-1", name="a"))
        until(lambda: names(cloud) == {"/job/a-first"} and seen)
    with InProcessCloud(data) as cloud:
        cloud.write(lambda ctx: ctx.signal("go-on:a", {"word": "second"}))
        until(lambda: "/job/a-second" in names(cloud))
        version = cloud.api("ssm", "GetParameter", name="/job/a-first")["Parameter"]["Version"]
    assert version == 1
    assert seen == ["a-first:run-1/outside"]


def test_a_signal_that_comes_before_the_wait_is_kept(data: Path) -> None:
    with InProcessCloud(data) as cloud:
        cloud.write(lambda ctx: ctx.signal("go-on:b", {"word": "early"}))
        cloud.write(lambda ctx: ctx.start_job("test.two-halves", "run-2", name="b"))
        until(lambda: "/job/b-early" in names(cloud))


def test_a_wait_with_a_timeout_ends(data: Path) -> None:
    with InProcessCloud(data) as cloud:
        cloud.write(lambda ctx: ctx.start_job("test.timeout", "run-3"))
        until(lambda: "/job/timed-out-True" in names(cloud))


@job("test.minute")
def minute(run: Run) -> None:
    run.sleep("a minute", 60)
    run.tx("over", note, "over")
    run.sleep("another", 60)
    run.tx("over-again", note, "over-again")


def test_a_wait_counts_from_the_start_of_its_run_although_the_cloud_died_before_it_was_driven(data: Path) -> None:
    clock = FixedClock()
    with InProcessCloud(data, clock=clock) as cloud:
        cloud.cloud.engine.close()  # nothing is driven any more, as by a kill at that moment
        cloud.write(lambda ctx: ctx.start_job("test.minute", "m"))
    clock.advance(61)
    with InProcessCloud(data, clock=clock) as cloud:
        until(lambda: names(cloud) == {"/job/over"}, what="the first minute is over")
        cloud.settled()
        assert names(cloud) == {"/job/over"}, "the second minute begins when the first was over"


def test_a_run_that_fails_tells_its_service(data: Path, caplog: pytest.LogCaptureFixture) -> None:
    with InProcessCloud(data) as cloud:
        cloud.write(lambda ctx: ctx.start_job("test.fails", "run-4"))
        until(lambda: "/job/told" in names(cloud))


def test_starting_the_same_run_twice_is_one_run(data: Path) -> None:
    with InProcessCloud(data) as cloud:
        for _ in range(2):
            cloud.write(lambda ctx: ctx.start_job("test.two-halves", "run-5", name="c"))
        cloud.write(lambda ctx: ctx.signal("go-on:c", {"word": "x"}))
        until(lambda: "/job/c-x" in names(cloud))
    assert len(seen) == 1


def test_a_run_that_begins_asleep_is_driven_when_its_signal_comes(data: Path) -> None:
    with InProcessCloud(data) as cloud:
        cloud.write(lambda ctx: asleep(ctx, "s", 3600))
        cloud.settled()
        assert names(cloud) == set()
        cloud.write(lambda ctx: ctx.signal("wake:s"))
        until(lambda: names(cloud) == {"/job/s-looked", "/job/s-woke"})


def test_a_run_that_begins_asleep_is_driven_when_its_time_has_come(data: Path) -> None:
    with InProcessCloud(data) as cloud:
        cloud.write(lambda ctx: asleep(ctx, "t", 0.05))
        until(lambda: names(cloud) == {"/job/t-looked", "/job/t-woke"})


def test_a_run_that_begins_asleep_is_found_after_a_restart_and_sleeps_no_longer(data: Path) -> None:
    clock = FixedClock()
    with InProcessCloud(data, clock=clock) as cloud:
        cloud.write(lambda ctx: asleep(ctx, "r", 60))
    with InProcessCloud(data, clock=clock) as cloud:
        until(lambda: names(cloud) == {"/job/r-looked"})
        cloud.settled()
        assert names(cloud) == {"/job/r-looked"}
    clock.advance(61)
    with InProcessCloud(data, clock=clock) as cloud:
        until(lambda: names(cloud) == {"/job/r-looked", "/job/r-woke"})


def state(cloud: InProcessCloud, run_id: str) -> tuple[str, int]:
    """A run's state, and how many names wait for it."""
    with cloud.cloud.store.thread_snapshot("", "") as tx:
        (found,) = tx.connection.execute("SELECT state FROM run WHERE id=?", (run_id,)).fetchone()
        (waiting,) = tx.connection.execute("SELECT count(*) FROM waiting WHERE run=?", (run_id,)).fetchone()
    return found, waiting


def test_a_run_that_is_dismissed_while_it_waits_is_not_driven_again(data: Path) -> None:
    with InProcessCloud(data) as cloud:
        cloud.write(lambda ctx: asleep(ctx, "e", 3600))
        cloud.write(lambda ctx: ctx.cloud.dismiss_job(ctx, "run-e"))
        assert state(cloud, "run-e") == ("cancelled", 0)
        cloud.write(lambda ctx: ctx.signal("wake:e"))
    with InProcessCloud(data) as cloud:
        cloud.write(lambda ctx: asleep(ctx, "f", 0.01))
        until(lambda: "/job/f-woke" in names(cloud))
        assert "/job/e-looked" not in names(cloud)


def test_a_run_that_is_dismissed_while_it_is_driven_ends_at_its_next_boundary(data: Path) -> None:
    with InProcessCloud(data) as cloud:
        cloud.write(lambda ctx: ctx.start_job("test.dismisses", "run-g", name="g"))
        until(lambda: state(cloud, "run-g") == ("cancelled", 0))
        assert names(cloud) == {"/job/g-first"}


def test_a_dismissal_that_is_undone_leaves_the_run(data: Path) -> None:
    with InProcessCloud(data) as cloud:
        cloud.write(lambda ctx: asleep(ctx, "h", 3600))

        def undone(ctx: Context) -> None:
            ctx.cloud.dismiss_job(ctx, "run-h")
            raise ValueError("no")

        with pytest.raises(ValueError, match="no"):
            cloud.write(undone)
        cloud.write(lambda ctx: ctx.signal("wake:h"))
        until(lambda: "/job/h-woke" in names(cloud))

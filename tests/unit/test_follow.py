"""Following what sandboxes print: in order, each once, nothing lost when a commit fails, and the end after the last word."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future

import pytest

from harness import until
from windtunnel.compute.driver import Exited, Gone, Handle, LogFrame, SandboxSpec
from windtunnel.compute.dummy import DummyDriver, World
from windtunnel.compute.follow import Follower


class Sink:
    """Keeps what it is given; fails the first `failures` times."""

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.text = b""
        self.offset = 0
        self.status: Exited | Gone | None = None

    def take(self, frames: list[LogFrame], offset: int) -> Future[None]:
        done: Future[None] = Future()
        if self.failures:
            self.failures -= 1
            done.set_exception(OSError("the disk is full"))
            return done
        self.text += b"".join(frame.data for frame in frames)
        self.offset = offset
        done.set_result(None)
        return done

    def ended(self, status: Exited | Gone) -> Future[None]:
        self.status = status
        done: Future[None] = Future()
        done.set_result(None)
        return done


class Machine:
    def __init__(self) -> None:
        self.world = World()
        self.driver = DummyDriver(self.world)
        self.closing = threading.Event()
        self.follower = Follower(lambda: self.driver, self.closing)

    def start(self, name: str) -> Handle:
        return self.driver.start(SandboxSpec(id=name, image="stock", argv=("x",)), "t")


@pytest.fixture()
def machine() -> Iterator[Machine]:
    made = Machine()
    yield made
    made.closing.set()
    made.follower.follow(made.start("last"), 0, Sink())


def test_two_sandboxes_are_told_apart(machine: Machine) -> None:
    sinks = {name: Sink() for name in ("a", "b")}
    for name, sink in sinks.items():
        machine.follower.follow(machine.start(name), 0, sink)
        machine.world.say(name, f"{name}1 ".encode())
    for name in sinks:
        machine.world.say(name, f"{name}2".encode())
    until(lambda: sinks["a"].text == b"a1 a2" and sinks["b"].text == b"b1 b2", what="the output of both")


def test_the_end_comes_after_the_last_word(machine: Machine) -> None:
    sink = Sink()
    handle = machine.start("a")
    machine.world.say("a", b"last words")
    machine.world.end("a", code=3)
    machine.follower.follow(handle, 0, sink)
    until(lambda: sink.status is not None, what="the end")
    assert sink.text == b"last words"
    assert isinstance(sink.status, Exited) and sink.status.code == 3


def test_what_could_not_be_recorded_is_taken_again(machine: Machine, caplog: pytest.LogCaptureFixture) -> None:
    sink = Sink(failures=1)
    machine.world.script = lambda spec: None
    machine.follower.follow(machine.start("a"), 0, sink)
    machine.world.say("a", b"once")
    until(lambda: sink.text == b"once", what="the second try")
    assert "the disk is full" in caplog.text


def test_a_later_follower_goes_on_at_the_offset(machine: Machine) -> None:
    first, second = Sink(), Sink()
    handle = machine.start("a")
    machine.world.say("a", b"one")
    machine.follower.follow(handle, 0, first)
    until(lambda: first.text == b"one", what="the first follower")
    machine.world.say("a", b"two")
    later = Follower(lambda: machine.driver, machine.closing)
    later.follow(handle, first.offset, second)
    until(lambda: second.text == b"two", what="the second follower")


def test_a_sandbox_that_is_not_there_has_ended(machine: Machine) -> None:
    sink = Sink()
    handle = machine.start("a")
    machine.driver.remove(handle)
    machine.follower.follow(handle, 0, sink)
    until(lambda: sink.status is not None, what="the end")
    assert isinstance(sink.status, Gone)

"""What the driver contract's tests stand on: a machine for each driver, and programs that every driver can run.

A `Machine` outlives its driver: `restart` is the cloud after a crash. A `Program` is a guest as a shell script and as the dummy's script.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest

from windtunnel.compute.driver import Driver, Exited, GuestFile, Handle, ListenerKind, LogFrame, NoSuchImage, SandboxSpec
from windtunnel.compute.dummy import DummyDriver, Outcome, World
from windtunnel.compute.process import ProcessDriver
from windtunnel.compute.runc import RuncDriver

T = TypeVar("T")
ENDPOINT_PORT = 4566
SECONDS = 30.0


def eventually(what: str, look: Callable[[], T]) -> T:
    """The first true answer within the deadline."""
    deadline = time.monotonic() + SECONDS
    pause = threading.Event()
    while not (answer := look()):
        assert time.monotonic() < deadline, f"not within {SECONDS:g} s: {what}"
        pause.wait(0.01)
    return answer


@dataclass(frozen=True)
class Program:
    """Prints `output`, then exits with `code`; with code None it runs until SIGTERM, to which it answers with exit code 7."""

    output: bytes = b""
    code: int | None = 0

    @property
    def argv(self) -> tuple[str, ...]:
        prints = "printf '%b' '" + "".join(f"\\0{byte:03o}" for byte in self.output) + "'"
        if self.code is None:
            return ("sh", "-c", f"trap 'exit 7' TERM; {prints}; while :; do sleep 1000 & wait $!; done")
        return ("sh", "-c", f"{prints}; exit {self.code}")

    def outcome(self) -> Outcome | None:
        return None if self.code is None else Outcome(output=self.output, code=self.code)


class Greeter:
    """Serves the listeners of sandboxes: answers every connection with `<who> <sandbox id> <kind>`."""

    def __init__(self, who: str = "cloud") -> None:
        self.who = who
        self.open: set[tuple[str, str]] = set()
        self._stopped: list[threading.Thread] = []

    def __call__(self, sandbox_id: str, kind: ListenerKind, listener: socket.socket) -> Callable[[], None]:
        leaving, leave = os.pipe()
        thread = threading.Thread(target=self._serve, args=(sandbox_id, kind, listener, leaving), daemon=True)
        thread.start()
        self.open.add((sandbox_id, kind))

        def close() -> None:
            os.close(leave)
            thread.join()
            os.close(leaving)
            listener.close()
            self.open.discard((sandbox_id, kind))

        return close

    def _serve(self, sandbox_id: str, kind: str, listener: socket.socket, leaving: int) -> None:
        import select

        poll = select.poll()
        poll.register(listener, select.POLLIN)
        poll.register(leaving, select.POLLIN)
        while True:
            ready = {fd for fd, _ in poll.poll()}
            if leaving in ready:
                return
            with contextlib.suppress(OSError), listener.accept()[0] as connection:
                connection.settimeout(5)
                connection.recv(4096)
                body = f"{self.who} {sandbox_id} {kind}\n"
                connection.sendall(f"HTTP/1.0 200 OK\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())


class TestImage:
    """The stock image, and nothing else."""

    __test__ = False

    def __init__(self, layers: list[Path]) -> None:
        self._layers = layers

    def rootfs(self, image: str) -> list[Path]:
        if image != "stock":
            raise NoSuchImage(f"there is no image {image}")
        return self._layers


@dataclass
class Machine:
    kind: str
    root: Path
    layers: list[Path] = field(default_factory=list)
    world: World = field(default_factory=World)
    greeter: Greeter = field(default_factory=Greeter)
    driver: Driver = field(init=False)

    def __post_init__(self) -> None:
        self.driver = self.make()

    @property
    def confines(self) -> bool:
        return self.kind == "runc"

    @property
    def really_runs(self) -> bool:
        return self.kind != "dummy"

    def make(self) -> Driver:
        if self.kind == "dummy":
            return DummyDriver(self.world)
        if self.kind == "process":
            return ProcessDriver(self.root)
        return RuncDriver(self.root, TestImage(self.layers), self.greeter, ENDPOINT_PORT)

    def restart(self) -> list[Handle]:
        """The cloud ends, whatever runs goes on, and the next cloud finds it."""
        self.driver.close()
        self.driver = self.make()
        return self.driver.recover()

    def start(self, sandbox_id: str, program: Program, token: str = "first", **more: Any) -> Handle:
        self.world.script = lambda spec: program.outcome()
        handle = self.driver.start(SandboxSpec(id=sandbox_id, image="stock", argv=program.argv, **more), token)
        if self.kind == "dummy" and program.code is None:
            self.world.say(sandbox_id, program.output)
        return handle

    def sh(self, sandbox_id: str, script: str, token: str = "first", **more: Any) -> Handle:
        return self.driver.start(SandboxSpec(id=sandbox_id, image="stock", argv=("sh", "-c", script), **more), token)

    def exited(self, handle: Handle) -> Exited:
        def ended() -> Exited | None:
            status = self.driver.status(handle)
            return status if isinstance(status, Exited) else None

        return eventually(f"{handle.id} has ended", ended)

    def frames(self, handle: Handle) -> list[LogFrame]:
        frames: list[LogFrame] = []
        offset = 0
        while True:
            more, after = self.driver.logs(handle, offset)
            if after == offset:
                return frames
            frames += more
            offset = after

    def output(self, handle: Handle) -> bytes:
        return b"".join(frame.data for frame in self.frames(handle))

    def wait_output(self, handle: Handle, text: bytes) -> bytes:
        return eventually(f"{text!r} in the log", lambda: self.output(handle) if text in self.output(handle) else b"")

    def close(self) -> None:
        for sandbox_id in self.driver.orphans(()):
            self.driver.remove(sandbox_id)
        self.driver.close(remove_network=True)


@contextlib.contextmanager
def machine(kind: str, root: Path, layers: Callable[[], list[Path]]) -> Iterator[Machine]:
    if kind == "runc":
        reason = runc_missing(root)
        if reason is not None:
            pytest.skip(reason)
    lab = Machine(kind, root / "sandboxes", layers() if kind == "runc" else [])
    try:
        yield lab
    finally:
        lab.close()


def runc_missing(root: Path) -> str | None:
    probe = RuncDriver(root / "probe", TestImage([]), Greeter(), ENDPOINT_PORT)
    try:
        return probe.available()
    finally:
        probe.close()


class Other:
    """Another process that is in charge of a machine's sandboxes: a cloud to be killed."""

    def __init__(self, lab: Machine, spec: SandboxSpec, stall: str = "") -> None:
        order = {"kind": lab.kind, "root": str(lab.root), "layers": [str(layer) for layer in lab.layers], "stall": stall}
        order["spec"] = msgspec.to_builtins(spec)
        lab.driver.close()
        self._process = subprocess.Popen(
            [sys.executable, __file__, json.dumps(order)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.PIPE
        )

    def exec(self, *argv: str) -> None:
        """Have it begin a command inside, for whose end it waits."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(argv).encode() + b"\n")
        self._process.stdin.flush()

    def line(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the other cloud ended"
        answer: dict[str, Any] = json.loads(line)
        return answer

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(10)
        assert self._process.stdout is not None and self._process.stdin is not None
        self._process.stdout.close()
        self._process.stdin.close()


def main() -> None:
    order = json.loads(sys.argv[1])
    spec = msgspec.convert(order["spec"], SandboxSpec)
    greeter = Greeter("other")

    def stall(*_: Any) -> Callable[[], None]:
        print(json.dumps({"stalled": True}), flush=True)
        signal.pause()
        raise AssertionError("only a SIGKILL ends this")

    serve = stall if order["stall"] else greeter
    root = Path(order["root"])
    driver: Driver
    if order["kind"] == "runc":
        driver = RuncDriver(root, TestImage([Path(layer) for layer in order["layers"]]), serve, ENDPOINT_PORT)
    else:
        driver = ProcessDriver(root)
    handle = driver.start(spec, "first")
    print(json.dumps(msgspec.to_builtins(handle)), flush=True)
    for line in sys.stdin:
        driver.exec(handle, tuple(json.loads(line)))


def guest_file(path: str, text: str, mode: int = 0o644, user: str = "root") -> GuestFile:
    return GuestFile(path, text.encode(), mode, user)


if __name__ == "__main__":
    main()

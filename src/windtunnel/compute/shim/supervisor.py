"""One boot from its creation to its record: `python -I -S -c '...supervisor.main()'`, cwd the boot's directory, fd 3 the cloud.

    cloud                                supervisor
    starts it, writes boot.json
    says {"order": true}           ->    with the namespace of the private network, if it has one
                                         lock, mount, create, connect; state.json phase "created"
                                   <-    {"created": state} and the listeners as file descriptors
    records what it must, says "go" ->
                                         state.json phase "started"; start
                                   <-    {"started": true}, or {"failed": "why"} at any step

Invariant: the guest runs only after "go", and what ran has an exit.json. If the cloud dies before "go" (end of file on fd 3) nothing of
the boot is left but its directory without exit.json, which the next start sweeps. If it dies later the supervisor goes on alone:
it pumps the log, holds the listeners and the private network (a later cloud asks for them on `control`), runs commands inside (`execs.py`, likewise), and
records the end before it ends itself.
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import signal
import socket
import sys
import time

from windtunnel.compute.shim import log, messages, runner, runtimes
from windtunnel.compute.shim.events import Events
from windtunnel.compute.shim.execs import Command
from windtunnel.compute.shim.linux import become_subreaper, boot_id, start_time

TYPE_CHECKING = False  # not from typing: importing it would cost each sandbox 3 ms and half a megabyte
if TYPE_CHECKING:
    from typing import Any

READ_SIZE = 64 << 10
DRAIN_SECONDS = 10.0
REQUEST_SECONDS = 5.0


def write_whole(path: str, content: dict[str, Any], durable: bool) -> None:
    """Replace a file: whoever reads sees the old one or the new one.

    Durable costs two flushes of a disk that may be busy. A state needs none: should the machine itself go down, nothing runs any more,
    and whether the boot counts as never started or as lost, the effect that started it is repeated or told.
    """
    temporary = path + ".new"
    with open(temporary, "w") as f:
        json.dump(content, f)
        if durable:
            f.flush()
            os.fsync(f.fileno())
    os.rename(temporary, path)
    if not durable:
        return
    directory = os.open(os.path.dirname(path) or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    os.fsync(directory)
    os.close(directory)


class Supervisor:
    def __init__(self, cloud: socket.socket, order: dict[str, Any], switch: int) -> None:
        self._cloud = cloud
        self._order = order
        self._switch = switch
        self._runtime = runtimes.make(order["runtime"], switch)
        self._events = Events()
        self._log = log.Writer("log")
        self._pipes: dict[int, int] = {}
        self._writers: list[int] = []

    def run(self) -> None:
        lock = os.open(self._order["lock"], os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            self._boot(lock)
        except (runner.Failed, OSError, ValueError, LookupError) as problem:
            self._runtime.kill()
            self._runtime.cleanup()
            self._tell({"failed": str(problem)})
        except Abandoned:
            self._runtime.kill()
            self._runtime.cleanup()

    def _boot(self, lock: int) -> None:
        _take(lock, 10.0)
        if _is_readable(self._cloud):
            raise Abandoned  # the cloud died while this process was starting; the next one may be starting the boot anew
        for stream in (log.STDOUT, log.STDERR):
            reader, writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
            os.set_blocking(writer, True)
            self._pipes[reader] = stream
            self._writers.append(writer)
        pid = self._runtime.create(*self._writers)
        for writer in self._writers:
            os.close(writer)
        state = self._state(pid)
        write_whole("state.json", state, durable=False)
        sockets = self._runtime.listeners()
        messages.send(self._cloud, {"created": state}, [s.fileno() for s in sockets])
        if self._cloud.recv(16) != b"go":
            raise Abandoned
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as control:
            control.bind("control")  # before the state says "started": whoever reads that may connect
            control.listen(16)
            write_whole("state.json", {**state, "phase": "started", "started_at": time.time()}, durable=False)
            self._runtime.start()
            self._tell({"started": True})
            self._cloud.close()
            self._supervise(pid, sockets, control)

    def _state(self, pid: int) -> dict[str, Any]:
        return {
            **self._order["identity"],
            "phase": "created",
            "pid": pid,
            "start_time": start_time(pid) or 0,
            "boot_id": boot_id(),
            "shim_pid": os.getpid(),
            "shim_start_time": start_time(os.getpid()),
            "started_at": time.time(),
        }

    def _tell(self, message: dict[str, Any]) -> None:
        try:
            messages.send(self._cloud, message, [])
        except OSError:
            pass  # the cloud is gone; state.json and exit.json speak for themselves

    def _supervise(self, pid: int, sockets: list[socket.socket], control: socket.socket) -> None:
        ends: list[int] = []
        self._events.on_end(pid, ends.append)
        for fd in self._pipes:
            self._events.on_readable(fd, lambda fd=fd: self._pump(fd))  # type: ignore[misc]
        self._events.on_readable(control.fileno(), lambda: self._attend(control, sockets))
        self._events.run(lambda: bool(ends))
        ended_at = time.time()
        self._events.forget(control.fileno())
        control.close()
        os.unlink("control")
        for listener in sockets:
            listener.close()
        self._record(ends[0], ended_at)

    def _attend(self, control: socket.socket, sockets: list[socket.socket]) -> None:
        """A cloud connects: to get the listeners or the private network, or to have a command run."""
        try:
            connection = control.accept()[0]
            connection.settimeout(REQUEST_SECONDS)
            request, fds = messages.receive(connection)
            if request is not None and "exec" in request and isinstance(self._runtime, runtimes.Runc):
                Command(self._events, self._runtime.command, self._runtime.container, request["exec"], connection, fds)
            elif request is not None and "switch" in request:
                messages.send(connection, {"switch": True}, [self._switch])
                connection.close()
            else:
                messages.send(connection, {"listeners": len(sockets)}, [s.fileno() for s in sockets])
                connection.close()
            for fd in fds:
                os.close(fd)
        except (OSError, ValueError):
            pass  # it went away again; the next one asks anew

    def _pump(self, fd: int) -> None:
        """One read into the log."""
        try:
            data = os.read(fd, READ_SIZE)
        except BlockingIOError:
            return
        if data:
            self._log.write(self._pipes[fd], data)
            return
        self._events.forget(fd)
        os.close(fd)
        del self._pipes[fd]

    def _record(self, status: int, ended_at: float) -> None:
        """All output, then the end, then no trace. The kernel has ended everything in the namespace before init's end was reported."""
        killed, peak = self._runtime.usage()
        if self._order["runtime"]["kind"] == "plain":
            self._runtime.cleanup()
        self._events.run(lambda: not self._pipes, time.monotonic() + DRAIN_SECONDS)
        self._log.close()
        write_whole(
            "exit.json",
            {
                "code": status if status >= 0 else None,
                "signal": -status if status < 0 else None,
                "oom_killed": killed,
                "ended_at": ended_at,
                "memory_peak": peak,
                "reason": f"{self._log.dropped} bytes of output were dropped: the log was full, or the disk" if self._log.dropped else "",
            },
            durable=True,
        )
        self._runtime.cleanup()


class Abandoned(Exception):
    """The cloud ended before it said "go"."""


def _take(lock: int, seconds: float) -> None:
    """The sandbox's lock, held until this process ends: its last supervisor may still be cleaning up."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise OSError("the sandbox's disk is still in use by an earlier boot") from None
            time.sleep(0.01)


def _is_readable(connection: socket.socket) -> bool:
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    return bool(poll.poll(0))


def main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    become_subreaper()
    os.umask(0o022)
    os.chdir(sys.argv[1])
    os.set_inheritable(3, False)
    cloud = socket.socket(fileno=3)
    message, fds = messages.receive(cloud)
    if message is not None:
        with open("boot.json") as f:
            order = json.load(f)
        Supervisor(cloud, order, fds[0] if fds else -1).run()

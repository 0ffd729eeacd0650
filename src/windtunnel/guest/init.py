"""PID 1 of an instance: starts its services, keeps them, buries orphans, answers `systemctl`.

Why it exists: systemd needs control groups and mounts that a sandbox does not give; hooks and user data need what it does. This is
the part of it that they use, in one small process.

The invariant it keeps: it never exits while the instance is meant to run, whatever a unit file, a client or a service does; after
SIGTERM it is gone within STOP_LIMIT seconds and a little, every service stopped in the reverse order of its start.

One thread, one epoll loop. Talks over /run/windtunnel/init.sock: one JSON object a line in, one out (`answer` lists the verbs).
Its stdout is the machine's console.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable
from typing import Any

from windtunnel.guest import boot, unitdir
from windtunnel.guest.host import NOTIFY_SOCKET, ThisMachine
from windtunnel.guest.journal import LINE_LIMIT, Journal
from windtunnel.guest.manager import CannotLoad, Manager
from windtunnel.guest.unitfile import INFINITY, Service

SOCKET = "/run/windtunnel/init.sock"
LOG_SOCKET = "/dev/log"
STOP_LIMIT = 8.0
CHANGES = ("start", "stop", "restart", "reload", "kill", "daemon-reload", "reset-failed", "set-environment", "unset-environment")


class Init:
    """The loop and what hangs on it: signals, clients, services' pipes."""

    def __init__(self) -> None:
        self.console = os.dup(1)
        self.poll = select.epoll()
        self.readers: dict[int, Callable[[], None]] = {}
        self.journal = Journal()
        self.machine = ThisMachine(self.journal, self.console, self.add_pipe)
        self.manager = Manager(self.machine, self.settled)
        self.booting = True
        self.stopping_until = INFINITY
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)

    # Start and end

    def run(self) -> int:
        self.say_on_console(f"Welcome to {_os_name()}!")
        try:
            boot.prepare(os.environ)
        except OSError as error:
            self.say_on_console(f"The disk could not be prepared: {error}")
        self._signals()
        self._listen()
        names = [name for name in unitdir.wanted_at_boot() if name.endswith(".service")]
        for name in unitdir.wanted_at_boot():
            if not name.endswith((".service", ".target")):
                self.say_on_console(f"{name}: units of this type are not run here")
        self.manager.submit("start", names, self._booted)
        while True:
            self._turn()
            if time.monotonic() > self.stopping_until:
                self._kill_all()
                return 0

    def _booted(self, errors: dict[str, str]) -> None:
        self.booting = False
        for name, error in errors.items():
            if error.startswith(("Unit", name)):
                self.say_on_console(f"[FAILED] {error}")
        self.say_on_console("[  OK  ] Reached target multi-user.target - Multi-User System.")
        self.say_on_console(f"\n{socket.gethostname()} login: ")

    def _signals(self) -> None:
        read, write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGPWR):
            signal.signal(number, lambda *_: None)
        self.watch(read, lambda: self._signalled(read))

    def _signalled(self, fd: int) -> None:
        numbers = os.read(fd, 512)
        if any(n in (signal.SIGTERM, signal.SIGINT, signal.SIGPWR) for n in numbers) and self.stopping_until == INFINITY:
            self.shut_down()

    def shut_down(self) -> None:
        self.say_on_console("Stopping all services.")
        self.stopping_until = time.monotonic() + STOP_LIMIT
        self.manager.stop_all(self._stopped)

    def _stopped(self, errors: dict[str, str]) -> None:
        self.say_on_console("[  OK  ] Reached target poweroff.target - System Power Off.")
        self.stopping_until = 0.0

    def _kill_all(self) -> None:
        """Whoever is left: SIGTERM, a moment, SIGKILL."""
        for number, moments in ((signal.SIGTERM, 20), (signal.SIGKILL, 40)):
            try:
                os.kill(-1, number)
            except ProcessLookupError:
                return
            for _ in range(moments):
                try:
                    while os.waitpid(-1, os.WNOHANG)[0]:
                        pass
                except ChildProcessError:
                    return
                select.select([], [], [], 0.025)

    # The loop

    def _turn(self) -> None:
        now = time.monotonic()
        due = min(self.manager.next_deadline(), self.stopping_until)
        # Bounded: a daemon that is no child of ours ends without a signal to us.
        wait = max(0.0, min(due - now, 1.0 if self._waiting() else 3600.0))
        for fd, _ in self.poll.poll(wait):
            reader = self.readers.get(fd)
            if reader is not None:
                reader()
        self._reap()
        self.manager.tick()

    def _waiting(self) -> bool:
        return any(unit.leaving for unit in self.manager.units.values())

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if not pid:
                break
            code = os.waitstatus_to_exitcode(status)
            self.manager.reaped(pid, max(code, 0), _signal_name(-code) if code < 0 else "")
        if self._waiting():
            self.manager.look()

    def watch(self, fd: int, reader: Callable[[], None]) -> None:
        self.readers[fd] = reader
        self.poll.register(fd, select.EPOLLIN)

    def unwatch(self, fd: int) -> None:
        del self.readers[fd]
        self.poll.unregister(fd)

    # Services' output

    def add_pipe(self, fd: int, unit: str, source: str) -> None:
        os.set_blocking(fd, False)
        source, _, also = source.partition("\t")
        partial = b""

        def read() -> None:
            nonlocal partial
            try:
                data = os.read(fd, 65536)
            except BlockingIOError:
                return
            *lines, partial = (partial + data).split(b"\n")
            if partial and (not data or len(partial) > LINE_LIMIT):
                lines, partial = [*lines, partial], b""
            for line in lines:
                text = line.decode("utf-8", "replace")
                self.journal.write(unit, source, text)
                if also:
                    self.say_on_console(text)
            if not data:
                self.unwatch(fd)
                os.close(fd)

        self.watch(fd, read)

    def say_on_console(self, text: str) -> None:
        try:
            os.write(self.console, text.encode() + b"\n")
        except OSError:
            return

    def settled(self, service: Service, kind: str, ok: bool) -> None:
        if self.booting or self.stopping_until != INFINITY:
            verb = {"start": "Start", "stop": "Stopp", "reload": "Reload"}[kind]
            line = f"[  OK  ] {verb}ed" if ok else f"[FAILED] Failed to {kind}"
            self.say_on_console(f"{line} {service.name} - {service.description}.")

    # Clients

    def _listen(self) -> None:
        self.listener.bind(SOCKET)
        os.chmod(SOCKET, 0o666)
        self.listener.listen(64)
        self.watch(self.listener.fileno(), self._accept)
        log, notify = _datagrams(LOG_SOCKET), _datagrams(NOTIFY_SOCKET)
        notify.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self.watch(log.fileno(), lambda: self._syslog(log))
        self.watch(notify.fileno(), lambda: self._notified(notify))

    def _notified(self, notify: socket.socket) -> None:
        """The kernel says who sent it."""
        data, ancillary, _, _ = notify.recvmsg(4096, socket.CMSG_SPACE(12))
        for level, kind, content in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_CREDENTIALS:
                self.manager.notified(struct.unpack("3i", content[:12])[0], data.decode("utf-8", "replace"))

    def _syslog(self, log: socket.socket) -> None:
        """A datagram of syslog(3): `<13>Nov 23 18:00:00 tag[pid]: text`."""
        text = log.recv(65536).decode("utf-8", "replace").rstrip("\n\0")
        if text.startswith("<"):
            text = text.partition(">")[2]
        if len(text) > 16 and text[3] == text[6] == " " and text[9] == text[12] == ":":
            text = text[16:]
        tag, _, message = text.partition(": ")
        self.journal.write("init", tag if message else "syslog", message or text)

    def _accept(self) -> None:
        try:
            client, _ = self.listener.accept()
        except OSError:
            return
        client.setblocking(False)
        received = b""

        def read() -> None:
            nonlocal received
            try:
                data = client.recv(65536)
            except OSError:
                data = b""
            received += data
            if data and b"\n" not in received and len(received) < 1 << 20:
                return
            self.unwatch(client.fileno())
            if b"\n" in received:
                self._serve(client, received)
            else:
                client.close()

        self.watch(client.fileno(), read)

    def _serve(self, client: socket.socket, line: bytes) -> None:
        def reply(answer: dict[str, Any]) -> None:
            try:
                client.setblocking(True)
                client.settimeout(1.0)
                client.sendall(json.dumps(answer).encode() + b"\n")
            except OSError:
                pass
            client.close()

        uid = struct.unpack("3i", client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[1]
        try:
            request = json.loads(line)
            verb, names = str(request["verb"]), [str(name) for name in request.get("units", [])]
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            reply({"error": "a request is one JSON object a line, with verb and units"})
            return
        for name in names:
            if not (name.isascii() and name.isprintable() and 0 < len(name) < 4096) or ("/" in name and not verb.endswith("-environment")):
                reply({"error": f"Invalid unit name {name!r}"})
                return
        if verb in CHANGES and uid != 0:
            reply({"error": "Access denied"})
            return
        self._answer(verb, names, request, reply)

    def _answer(self, verb: str, names: list[str], request: dict[str, Any], reply: Callable[[dict[str, Any]], None]) -> None:
        if verb in ("start", "stop", "restart", "reload"):
            if request.get("no_block"):
                self.manager.submit(verb, names, lambda errors: None)
                reply({"errors": {}})
            else:
                self.manager.submit(verb, names, lambda errors: reply({"errors": errors}))
        elif verb == "show":
            units = {name: self.manager.show(name) for name in names}
            reply({"units": units, "now": time.monotonic()})
        elif verb == "list":
            reply({"units": {name: self.manager.show(name) for name in sorted(self.manager.units)}, "now": time.monotonic()})
        elif verb == "kill":
            try:
                for name in names:
                    self.manager.signal(name, str(request.get("signal", "TERM")), str(request.get("whom", "all")))
                reply({"errors": {}})
            except CannotLoad as error:
                reply({"error": str(error)})
        elif verb == "daemon-reload":
            self.manager.reload_files()
            reply({"errors": {}})
        elif verb == "reset-failed":
            self.manager.reset_failed(names)
            reply({"errors": {}})
        elif verb in ("set-environment", "unset-environment"):
            for name, equals, value in (word.partition("=") for word in names):
                self.machine.base.pop(name, None)
                if equals and verb == "set-environment":
                    self.machine.base[name] = value
            reply({"errors": {}})
        else:
            reply({"error": f"Unknown command verb {verb}."})


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name.removeprefix("SIG")
    except ValueError:
        return f"RTMIN+{number - signal.SIGRTMIN}"


def _datagrams(path: str) -> socket.socket:
    """A socket that anybody may send to."""
    if os.path.lexists(path):
        os.unlink(path)
    made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    made.bind(path)
    os.chmod(path, 0o666)
    return made


def _os_name() -> str:
    try:
        with open("/etc/os-release", encoding="utf-8") as stream:
            return next((line[12:].strip().strip('"') for line in stream if line.startswith("PRETTY_NAME=")), "Linux")
    except OSError:
        return "Linux"


def main() -> int:
    if os.getpid() != 1:
        sys.stderr.write("This is the init of an instance; it runs as PID 1 only.\n")
        return 1
    os.umask(0o022)
    os.chdir("/")
    return Init().run()

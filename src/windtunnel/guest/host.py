"""The real machine under the service manager: unit files, processes, pipes to the journal.

Why it exists: `manager.py` decides, this does.

The invariant it keeps: whatever a service writes reaches the journal or the place that its unit names, and init never waits for it.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Mapping

from windtunnel.guest import procs, unitdir
from windtunnel.guest.journal import Journal
from windtunnel.guest.manager import CannotLoad, CannotSpawn, load_error
from windtunnel.guest.spawn import Identity, spawn
from windtunnel.guest.unitfile import BadUnit, Command, Service, environment_file, expand
from windtunnel.guest.unitfile import service as read_service

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
NOTIFY_SOCKET = "/run/systemd/notify"
# What the boot's environment does not pass to services: systemd gives them neither (systemd.exec(5)).
OWN = ("HOME", "USER", "LOGNAME", "SHELL", "PWD", "OLDPWD", "SHLVL", "_", "TERM", "HOSTNAME")


class ThisMachine:
    """manager.Host over this machine. pipe: called with (read end, unit, source) for every pipe that a service writes to."""

    def __init__(self, journal: Journal, console: int, pipe: Callable[[int, str, str], None]) -> None:
        self.journal = journal
        self.console = console
        self.pipe = pipe
        self.base = {"PATH": PATH, "LANG": "C.UTF-8", **{k: v for k, v in os.environ.items() if k not in OWN}}

    def load(self, name: str) -> Service:
        full = unitdir.full_name(name)
        if not full.endswith(".service"):
            kind = full.rpartition(".")[2]
            raise CannotLoad("not-found", f"{full}: units of type .{kind} are not run by this image's init.")
        try:
            unit = unitdir.find(full)
            return read_service(unit.name, unit.sections)
        except unitdir.NotFound:
            raise CannotLoad("not-found", f"Unit {full} not found.") from None
        except unitdir.Masked:
            raise CannotLoad("masked", f"Unit {full} is masked.") from None
        except BadUnit as error:
            raise load_error(full, error) from None
        except OSError as error:
            raise CannotLoad("error", f"Unit {full} could not be read: {error.strerror}.") from None
        except ValueError as error:
            raise load_error(full, BadUnit(f"{full}: {error}")) from None

    def members_of_target(self, name: str) -> list[str]:
        if name.removesuffix(".target") in unitdir.BOOT_TARGETS:
            return []
        found = []
        for directory in unitdir.SEARCH:
            folder = f"{directory}/{name}.wants"
            if os.path.isdir(folder):
                found += sorted(os.listdir(folder))
        if not found and not any(os.path.exists(f"{d}/{name}") for d in unitdir.SEARCH):
            raise CannotLoad("not-found", f"Unit {name} not found.")
        return [entry for entry in found if entry.endswith(".service")]

    def skip(self, service: Service) -> str:
        """Why the unit's conditions leave it out; "" if they hold."""
        for key, value in service.conditions:
            test = _CONDITIONS.get(key.removeprefix("Condition").removeprefix("Assert"))
            path = value.lstrip("|!")
            if test is not None and test(path) == value.lstrip("|").startswith("!"):
                return f"{service.description} was skipped because of an unmet condition check ({key}={value})."
        return ""

    def now(self) -> float:
        return time.monotonic()

    def ticks(self) -> int:
        return procs.ticks_now()

    def table(self) -> Mapping[int, procs.Process]:
        return procs.table()

    def kill(self, pid: int, signal_name: str) -> None:
        try:
            os.kill(pid, getattr(signal, f"SIG{signal_name}", signal.SIGTERM))
        except ProcessLookupError:
            return

    def read_pid(self, path: str) -> int:
        try:
            with open(path, encoding="ascii", errors="replace") as stream:
                text = stream.read(32).strip()
        except OSError:
            return 0
        return int(text) if text.isdigit() else 0

    def say(self, unit: str, text: str) -> None:
        self.journal.write(unit, "systemd[1]", text)

    def spawn(self, service: Service, command: Command, extra: Mapping[str, str]) -> int:
        identity = Identity(service)
        env = self._environment(service, identity, extra)
        if service.type.startswith("notify"):
            env["NOTIFY_SOCKET"] = NOTIFY_SOCKET
        argv = expand(command.words, env)
        if not argv:
            raise CannotSpawn(203, "the command is empty")
        source = service.identifier or os.path.basename(argv[0])
        opened: list[int] = []
        try:
            self._directories(service, identity)
            stdin = _open(opened, "/dev/null", os.O_RDONLY)
            stdout = self._output(opened, service, service.stdout, source)
            stderr = stdout if service.stderr == "inherit" else self._output(opened, service, service.stderr, source)
            runs_as = Identity(service._replace(user="", group="", groups=())) if command.privileged else identity
            return spawn(service, runs_as, argv, env, (stdin, stdout, stderr))
        except OSError as error:
            raise CannotSpawn(
                209, f"Failed to prepare {argv[0]}: {error.strerror}: {error.filename or 'no more processes or files'}"
            ) from None
        finally:
            for fd in opened:
                os.close(fd)

    def _environment(self, service: Service, identity: Identity, extra: Mapping[str, str]) -> dict[str, str]:
        env = {**self.base, **identity.environment(), "INVOCATION_ID": os.urandom(16).hex()}
        for word in service.environment:
            name, _, value = word.partition("=")
            env[name] = value
        for path in service.environment_files:
            try:
                with open(path.removeprefix("-"), encoding="utf-8", errors="replace") as stream:
                    env.update(environment_file(stream.read()))
            except OSError as error:
                if not path.startswith("-"):
                    raise CannotSpawn(203, f"Failed to load environment files: {error.strerror}: {path}") from None
        for name in service.unset:
            env.pop(name, None)
        return {**env, **extra}

    def _directories(self, service: Service, identity: Identity) -> None:
        for path, mode in service.directories:
            os.makedirs(path, exist_ok=True)
            os.chmod(path, mode)
            os.chown(path, identity.uid, identity.group)

    def _output(self, opened: list[int], service: Service, wanted: str, source: str) -> int:
        kind, _, path = wanted.partition(":")
        if kind in ("append", "file", "truncate"):
            flags = os.O_WRONLY | os.O_CREAT | {"append": os.O_APPEND, "file": 0, "truncate": os.O_TRUNC}[kind]
            return _open(opened, path, flags)
        if kind == "null":
            return _open(opened, "/dev/null", os.O_WRONLY)
        if kind in ("console", "tty"):
            return self.console
        read, write = os.pipe2(os.O_CLOEXEC)
        opened.append(write)
        # `> /dev/stdout` in a service of another user opens the pipe again, by its owner.
        os.fchmod(write, 0o622)
        self.pipe(read, service.name, source + ("\tconsole" if kind.endswith("+console") else ""))
        return write


def _open(opened: list[int], path: str, flags: int) -> int:
    fd = os.open(path, flags | os.O_CLOEXEC, 0o644)
    opened.append(fd)
    return fd


_CONDITIONS: dict[str, Callable[[str], bool]] = {
    "PathExists": os.path.exists,
    "PathIsDirectory": os.path.isdir,
    "PathIsSymbolicLink": os.path.islink,
    "FileIsExecutable": lambda path: os.path.isfile(path) and os.access(path, os.X_OK),
    "FileNotEmpty": lambda path: os.path.isfile(path) and os.path.getsize(path) > 0,
    "DirectoryNotEmpty": lambda path: os.path.isdir(path) and bool(os.listdir(path)),
}

"""Runs a build's commands one after the other, as if all were typed into one shell.

Each command has a shell process of its own, so that `exit 1` or `set -e` in one does not end the others; what it leaves (variables,
exported or not, and the working directory) is dumped at its end and is where the next one begins.

Invariants: a command is over when its shell has ended, whatever children it left behind; all output until then is said before its
status is known. This process is PID 1 of its sandbox: it reaps whatever is orphaned to it.
"""

from __future__ import annotations

import os
import pwd
import select
import signal
import time
from collections.abc import Callable, Mapping

STATE_IN, STATE_OUT = 198, 199
READ = 64 << 10
LINE_LIMIT = 32 << 10
PARTIAL_AFTER = 1.0
"""Seconds of silence after which a line that is not ended yet is shown."""

_BASH = r"""
__wt_leave() { [ -n "${__wt_left-}" ] || { __wt_left=1; { printf '%s\0' "$PWD"; declare -p; } > /proc/self/fd/199; } 2>/dev/null; }
. /proc/self/fd/198 2>/dev/null
trap __wt_leave EXIT
eval "$1"
__wt_status=$?
__wt_leave
exit $__wt_status
"""
_SH = r"""
__wt_leave() { [ -n "${__wt_left-}" ] || { __wt_left=1; { printf '%s\0' "$PWD"; set; export -p; } > /proc/self/fd/199; } 2>/dev/null; }
. /proc/self/fd/198 2>/dev/null
trap __wt_leave EXIT
eval "$1"
__wt_status=$?
__wt_leave
exit $__wt_status
"""
_NOT_CARRIED = (
    "BASH", "BASHOPTS", "BASHPID", "BASH_", "COMP_", "DIRSTACK", "EPOCH", "EUID", "FUNCNAME", "GROUPS", "HISTCMD", "LINENO", "OPTIND",
    "PIPESTATUS", "PPID", "RANDOM", "SECONDS", "SHELLOPTS", "SHLVL", "SRANDOM", "UID", "_=", "__wt_",
)  # fmt: skip


class Shell:
    """kind: "bash" or "sh". say: called with each line of output. environment, directory: where the first command begins.

    Variables that a shell cannot name (`my-var`) are passed on to every command as they were at the beginning.
    """

    def __init__(self, say: Callable[[str], None], environment: Mapping[str, str], directory: str, kind: str = "bash") -> None:
        self._say = say
        self._kind = kind
        self._fresh = dict(environment)
        self._home = directory
        self._directory = directory
        self._state: bytes | None = None
        self._extra: dict[str, str] = {}
        self._unnamed = {name: value for name, value in self._fresh.items() if not name.isidentifier()}
        self._user = "root"
        self._partial = b""
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        self._wake_reader, self._wake_writer = os.pipe()
        for fd in (self._wake_reader, self._wake_writer):
            os.set_blocking(fd, False)
        signal.set_wakeup_fd(self._wake_writer, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def set(self, name: str, value: str) -> None:
        """Export a variable to the commands from now on."""
        self._fresh[name] = value
        self._extra[name] = value

    def forget(self) -> None:
        """Begin anew, in the first directory with the first environment (buildspec 0.1 does so for each command)."""
        self._state, self._directory = None, self._home

    def run(self, command: str, user: str = "") -> int:
        """Run one command; its exit status (128 + the signal's number if it was killed). Its output has been said."""
        user = user or "root"
        if user != self._user:
            for name, value in identity(user).items():
                self.set(name, value)
            self._user = user
        state = os.memfd_create("state")
        before = os.memfd_create("before")
        try:
            os.write(before, self._begin())
            os.lseek(before, 0, os.SEEK_SET)
            pid = self._spawn(command, user, before, state)
            status = self._wait(pid)
            self._keep(os.pread(state, os.fstat(state).st_size, 0))
        finally:
            os.close(state)
            os.close(before)
        return status

    def evaluate(self, expression: str) -> str:
        """What a word means to the shell now: `$(date +%Y)-$NAME` as a string."""
        said: list[str] = []
        say, self._say = self._say, said.append
        try:
            self.run(f'printf "%s\\n" "{expression}"')
        finally:
            self._say = say
        return "\n".join(said)

    # -- one process ----------------------------------------------------------------------------------------------------

    def _begin(self) -> bytes:
        """What the next shell reads first: the last one's state, and what was set since."""
        if self._state is None:
            return b""
        exports = "".join(f"\nexport {name}={quoted(value)}" for name, value in self._extra.items())
        return self._state + exports.encode("utf-8", "surrogateescape") + b"\n"

    def _spawn(self, command: str, user: str, before: int, state: int) -> int:
        program = ["/bin/bash", "-c", _BASH, "bash", command] if self._kind == "bash" else ["/bin/sh", "-c", _SH, "sh", command]
        environment = self._fresh if self._state is None else self._unnamed
        pid = os.fork()
        if pid == 0:
            try:
                self._become(program, environment, user, before, state)
            finally:
                os._exit(127)
        return pid

    def _become(self, program: list[str], environment: Mapping[str, str], user: str, before: int, state: int) -> None:
        """The child: its own session, the build's pipe as output, the two states on fixed descriptors."""
        os.setsid()
        null = os.open("/dev/null", os.O_RDONLY)
        for ours, theirs in ((null, 0), (self._writer, 1), (self._writer, 2), (before, STATE_IN), (state, STATE_OUT)):
            os.dup2(ours, theirs)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        signal.set_wakeup_fd(-1)
        try:
            os.chdir(self._directory)
        except OSError:
            os.chdir(self._home)
        if user != "root":
            become(user)
        os.execve(program[0], program, environment)

    def _wait(self, pid: int) -> int:
        status: int | None = None
        while status is None:
            self._listen(PARTIAL_AFTER)
            status = self._reap(pid)
        self._drain()
        self._flush()
        return status

    def _listen(self, seconds: float) -> None:
        """Wait for output or for the end of a child; what is not ended after a silence is shown as it is."""
        began = time.monotonic()
        ready, _, _ = select.select([self._reader, self._wake_reader], [], [], seconds)
        if self._wake_reader in ready:
            os.read(self._wake_reader, READ)
        if self._reader in ready:
            self._drain()
        elif time.monotonic() - began >= seconds:
            self._flush()

    def _reap(self, wanted: int) -> int | None:
        found = None
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return found
            if pid == 0:
                return found
            if pid == wanted:
                code = os.waitstatus_to_exitcode(status)
                found = code if code >= 0 else 128 - code

    def _drain(self) -> None:
        """Say every whole line that is there now."""
        while True:
            try:
                data = os.read(self._reader, READ)
            except BlockingIOError:
                return
            *lines, self._partial = (self._partial + data).split(b"\n")
            for line in lines:
                self._say(text_of(line))
            if len(self._partial) > LINE_LIMIT:
                self._flush()

    def _flush(self) -> None:
        if self._partial:
            partial, self._partial = self._partial, b""
            self._say(text_of(partial))

    def _keep(self, dumped: bytes) -> None:
        directory, mark, state = dumped.partition(b"\0")
        if mark:
            self._directory = os.fsdecode(directory)
            self._state = carried(state) if self._kind == "bash" else carried_sh(state)
            self._extra = {}


def text_of(line: bytes) -> str:
    """A line as text; of what a carriage return overwrote only the last stays."""
    return line.decode("utf-8", "replace").rstrip("\r").rpartition("\r")[2]


def quoted(value: str) -> str:
    return "'" + value.replace("'", "'\\''") + "'"


def carried(state: bytes) -> bytes:
    """bash's `declare -p` without what is the shell's own, or read-only, or would not survive."""
    kept: list[bytes] = []
    keeping = False
    for line in state.split(b"\n"):
        if line.startswith(b"declare -"):
            flags, _, rest = line[len(b"declare ") :].partition(b" ")
            keeping = b"r" not in flags and not rest.startswith(tuple(name.encode() for name in _NOT_CARRIED))
        if keeping:
            kept.append(line)
    return b"\n".join(kept)


def carried_sh(state: bytes) -> bytes:
    """dash's `set` and `export -p`, without what is the shell's own."""
    own = tuple(name.encode() for name in ("PPID=", "OPTIND=", "_=", "__wt_", "export PPID=", "export _="))
    return b"\n".join(line for line in state.split(b"\n") if not line.startswith(own))


def identity(user: str) -> dict[str, str]:
    """The variables that go with a user. KeyError for an unknown one."""
    found = pwd.getpwnam(user)
    return {"HOME": found.pw_dir, "USER": found.pw_name, "LOGNAME": found.pw_name}


def become(user: str) -> None:
    """Take on a user's identity (in a child)."""
    found = pwd.getpwnam(user)
    os.initgroups(found.pw_name, found.pw_gid)
    os.setgid(found.pw_gid)
    os.setuid(found.pw_uid)

"""Run a helper program to its end, bounded, without threads and without pipes that its children could hold open.

Invariant: it returns within its time. Input and output are memory files, so nothing is waited for but the process itself.
"""

from __future__ import annotations

import json
import os
import signal
import time

from windtunnel.compute.shim.linux import wait_readable

OUTPUT_LIMIT = 64 << 10


class Failed(Exception):
    """A helper ended badly; the text is its own last words."""


def spawn(argv: list[str], fds: list[tuple[int, int]], session: bool = False) -> int:
    """posix_spawn with `fds` as (ours, theirs); signals that the supervisor ignores are the program's defaults again."""
    actions = [(os.POSIX_SPAWN_DUP2, ours, theirs) for ours, theirs in fds]
    defaults = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE]
    return os.posix_spawnp(argv[0], argv, os.environ, file_actions=actions, setsid=session, setsigdef=defaults)


def wait(pid: int, seconds: float) -> int | None:
    """The exit code (a signal's number negated), or None if it had to be killed for the time it took."""
    pidfd = os.pidfd_open(pid)
    try:
        in_time = wait_readable(pidfd, time.monotonic() + seconds)
        if not in_time:
            os.kill(pid, signal.SIGKILL)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        return code if in_time else None
    finally:
        os.close(pidfd)


def _memory_file(content: bytes) -> int:
    fd = os.memfd_create("windtunnel", os.MFD_CLOEXEC)
    os.write(fd, content)
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def start(argv: list[str], text: str = "") -> tuple[int, int]:
    """Start a helper with `text` as its input; give its (pid, output) to `finish`."""
    source, output = _memory_file(text.encode()), _memory_file(b"")
    try:
        return spawn(argv, [(source, 0), (output, 1), (output, 2)]), output
    finally:
        os.close(source)


def finish(argv: list[str], pid: int, output: int, seconds: float = 20.0) -> None:
    try:
        code = wait(pid, seconds)
        if code == 0:
            return
        how = f"did not end within {seconds:g} s" if code is None else f"ended with {code}"
        words = os.pread(output, OUTPUT_LIMIT, 0).decode("utf-8", "replace").strip()
        raise Failed(f"{os.path.basename(argv[0])} {how}: {words}" if words else f"{os.path.basename(argv[0])} {how}")
    finally:
        os.close(output)


def run(argv: list[str], text: str = "", seconds: float = 20.0) -> None:
    """Run a helper with `text` as its input. Raises Failed unless it exits with 0 in time."""
    pid, output = start(argv, text)
    finish(argv, pid, output, seconds)


def read(path: str) -> str:
    """A small file's text; empty if it cannot be read."""
    try:
        with open(path) as f:
            return f.read()
    except OSError:
        return ""


def last_words(path: str) -> str:
    """The message of the last line of runc's own log (`time=… level=error msg="…"`)."""
    lines = [line for line in read(path).splitlines() if "level=error" in line or "level=fatal" in line]
    if not lines:
        return ""
    message = lines[-1].partition("msg=")[2].strip()
    return json.loads(message) if message.startswith('"') else message

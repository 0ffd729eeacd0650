"""Run a command, take what it prints, and stop at its end or its time, whatever it left behind.

Invariant: it never waits for a pipe to close, only for the process: a child in the background may hold the pipe for ever.
"""

from __future__ import annotations

import os
import select
import subprocess
import time
from collections.abc import Callable, Mapping

from windtunnel.compute.driver import ExecResult

OUTPUT_LIMIT = 16 << 20
_READ = 64 << 10


class _Pipe:
    def __init__(self, owner: int) -> None:
        self.reader, self.writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        os.set_blocking(self.writer, True)
        if owner:
            os.fchown(self.writer, owner, owner)
            os.fchmod(self.writer, 0o666)
        self.data = bytearray()
        self.truncated = False

    def pump(self) -> bool:
        """One read; False if there is nothing now or nothing more."""
        try:
            chunk = os.read(self.reader, _READ)
        except BlockingIOError:
            return False
        room = OUTPUT_LIMIT - len(self.data)
        self.data += chunk[:room]
        self.truncated = self.truncated or len(chunk) > room
        return bool(chunk)


def collect(
    argv: list[str],
    stdin: bytes,
    timeout: float,
    owner: int,
    kill: Callable[[int], None],
    env: Mapping[str, str] | None = None,
    cwd: str | None = None,
) -> ExecResult:
    """owner: host id that may reopen the command's standard files. kill(pid): end what runs when the time is over.

    OSError if argv cannot be executed."""
    source = os.memfd_create("stdin", os.MFD_CLOEXEC)
    pipes = [_Pipe(owner), _Pipe(owner)]
    try:
        _fill(source, stdin, owner)
        process = subprocess.Popen(
            argv, stdin=source, stdout=pipes[0].writer, stderr=pipes[1].writer, env=env, cwd=cwd, start_new_session=True
        )
        in_time = _wait(process, pipes, time.monotonic() + timeout)
        if not in_time:
            kill(process.pid)
            process.kill()
            process.wait(10)
        for pipe in pipes:
            while pipe.pump():
                pass
    finally:
        os.close(source)
        for pipe in pipes:
            os.close(pipe.reader)
            os.close(pipe.writer)
    code = process.returncode
    return ExecResult(
        code=None if not in_time else code if code >= 0 else 128 - code,
        stdout=bytes(pipes[0].data),
        stderr=bytes(pipes[1].data),
        timed_out=not in_time,
        truncated=any(pipe.truncated for pipe in pipes),
    )


def _fill(fd: int, data: bytes, owner: int) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
    os.lseek(fd, 0, os.SEEK_SET)
    if owner:
        os.fchown(fd, owner, owner)


def _wait(process: subprocess.Popen[bytes], pipes: list[_Pipe], deadline: float) -> bool:
    """Read until the process ends (True) or the time does (False)."""
    pidfd = os.pidfd_open(process.pid)
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    readers = {pipe.reader: pipe for pipe in pipes}
    for reader in readers:
        poll.register(reader, select.POLLIN)
    try:
        while (left := deadline - time.monotonic()) > 0:
            for fd, _ in poll.poll(left * 1000):
                if fd == pidfd:
                    process.wait()
                    return True
                readers[fd].pump()
        return False
    finally:
        os.close(pidfd)

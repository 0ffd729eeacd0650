"""A command's standard files on our side: what it is given to read, and what it prints.

Invariant: nothing here waits for a pipe to close, only for the end that the caller names: a child that the command left in the
background may hold its pipes for ever.
"""

from __future__ import annotations

import os
import select
import time
from types import TracebackType

from windtunnel.compute.driver import ExecResult

OUTPUT_LIMIT = 16 << 20
_READ = 64 << 10


class Capture:
    """owner: the host id (user and group) that may open the files again inside (`> /dev/stdout`); 0 for nobody else."""

    def __init__(self, stdin: bytes, owner: int) -> None:
        self._source = os.memfd_create("stdin", os.MFD_CLOEXEC)
        self._pipes = [_Pipe(), _Pipe()]
        view = memoryview(stdin)
        while view:
            view = view[os.write(self._source, view) :]
        os.lseek(self._source, 0, os.SEEK_SET)
        if owner:
            for fd in self.fds():
                os.fchown(fd, owner, owner)
                os.fchmod(fd, 0o666)

    def fds(self) -> list[int]:
        """stdin, stdout, stderr for the command."""
        return [self._source, *(pipe.writer for pipe in self._pipes)]

    def until(self, end: int, deadline: float) -> bool:
        """Take output until `end` becomes readable (True) or time.monotonic() passes the deadline (False)."""
        poll = select.poll()
        poll.register(end, select.POLLIN)
        readers = {pipe.reader: pipe for pipe in self._pipes}
        for reader in readers:
            poll.register(reader, select.POLLIN)
        while (left := deadline - time.monotonic()) > 0:
            for fd, _ in poll.poll(left * 1000):
                if fd == end:
                    return True
                readers[fd].pump()
        return False

    def result(self, code: int | None) -> ExecResult:
        """With code None: its time was over."""
        for pipe in self._pipes:
            while len(pipe.data) < OUTPUT_LIMIT and pipe.pump():
                pass
        return ExecResult(
            code=code,
            stdout=bytes(self._pipes[0].data),
            stderr=bytes(self._pipes[1].data),
            timed_out=code is None,
            truncated=any(pipe.truncated for pipe in self._pipes),
        )

    def __enter__(self) -> Capture:
        return self

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None) -> None:
        os.close(self._source)
        for pipe in self._pipes:
            os.close(pipe.reader)
            os.close(pipe.writer)


class _Pipe:
    def __init__(self) -> None:
        self.reader, self.writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        os.set_blocking(self.writer, True)
        self.data = bytearray()
        self.truncated = False

    def pump(self) -> bool:
        """One read; False if there is nothing now."""
        try:
            chunk = os.read(self.reader, _READ)
        except BlockingIOError:
            return False
        room = OUTPUT_LIMIT - len(self.data)
        self.data += chunk[:room]
        self.truncated = self.truncated or len(chunk) > room
        return True

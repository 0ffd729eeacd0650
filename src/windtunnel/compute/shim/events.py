"""The supervisor's event loop: file descriptors that become readable, children that end.

Invariant: every child is reaped as soon as it ends, also one that nobody asked for: as a subreaper this process inherits orphans, and a
zombie of the guest's PID namespace would keep that namespace, and so the guest's own end, waiting for ever.
"""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Callable

REMEMBERED_ENDS = 64


class Events:
    def __init__(self) -> None:
        self._poll = select.poll()
        self._handlers: dict[int, Callable[[], None]] = {}
        self._ends: dict[int, Callable[[int], None]] = {}
        self._unclaimed: dict[int, int] = {}
        self._wake, waker = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
        self.on_readable(self._wake, self._reap)

    def on_readable(self, fd: int, handler: Callable[[], None]) -> None:
        self._handlers[fd] = handler
        self._poll.register(fd, select.POLLIN)

    def forget(self, fd: int) -> None:
        if self._handlers.pop(fd, None) is not None:
            self._poll.unregister(fd)

    def on_end(self, pid: int, handler: Callable[[int], None]) -> None:
        """Call handler with a child's exit code (a signal's number negated); at once if it was reaped before anyone asked."""
        if pid in self._unclaimed:
            handler(self._unclaimed.pop(pid))
        else:
            self._ends[pid] = handler

    def _reap(self) -> None:
        try:
            os.read(self._wake, 4096)
        except BlockingIOError:
            pass
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            code = os.waitstatus_to_exitcode(status)
            handler = self._ends.pop(pid, None)
            if handler is not None:
                handler(code)
                continue
            self._unclaimed[pid] = code
            if len(self._unclaimed) > REMEMBERED_ENDS:
                del self._unclaimed[next(iter(self._unclaimed))]

    def run(self, until: Callable[[], bool], deadline: float | None = None) -> None:
        """Handle what comes until `until` says so (looked at after each round) or time.monotonic() passes the deadline."""
        self._reap()
        while not until():
            left = None if deadline is None else (deadline - time.monotonic()) * 1000
            if left is not None and left <= 0:
                return
            for fd, _ in self._poll.poll(left):
                handler = self._handlers.get(fd)
                if handler is not None:
                    handler()

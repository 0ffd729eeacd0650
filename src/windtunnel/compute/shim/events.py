"""The supervisor's event loop: file descriptors that become readable, children that end.

Invariant: a handler is called on the one thread there is, and never after `forget`.
"""

from __future__ import annotations

import os
import select
import time
from collections.abc import Callable


class Events:
    def __init__(self) -> None:
        self._poll = select.poll()
        self._handlers: dict[int, Callable[[], None]] = {}

    def on_readable(self, fd: int, handler: Callable[[], None]) -> None:
        self._handlers[fd] = handler
        self._poll.register(fd, select.POLLIN)

    def forget(self, fd: int) -> None:
        if self._handlers.pop(fd, None) is not None:
            self._poll.unregister(fd)

    def on_end(self, pid: int, handler: Callable[[int], None]) -> None:
        """Call handler with the exit code (a signal's number negated) when a child has ended, and reap it."""
        pidfd = os.pidfd_open(pid)

        def ended() -> None:
            self.forget(pidfd)
            os.close(pidfd)
            handler(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))

        self.on_readable(pidfd, ended)

    def run(self, until: Callable[[], bool], deadline: float | None = None) -> None:
        """Handle what comes until `until` says so (looked at after each round) or time.monotonic() passes the deadline."""
        while not until():
            left = None if deadline is None else (deadline - time.monotonic()) * 1000
            if left is not None and left <= 0:
                return
            for fd, _ in self._poll.poll(left):
                handler = self._handlers.get(fd)
                if handler is not None:
                    handler()

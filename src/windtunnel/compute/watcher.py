"""One thread that waits for processes to end, all of them, by pidfd.

Invariant: each watched process is reported exactly once; the thread sleeps in epoll otherwise.
"""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Callable


class ExitWatcher:
    def __init__(self, name: str) -> None:
        self._name = name
        self._turn = threading.Lock()
        self._watched: dict[int, Callable[[], None]] = {}
        self._epoll: select.epoll | None = None
        self._wake = -1
        self._thread: threading.Thread | None = None

    def add(self, pid: int, ended: Callable[[], None]) -> None:
        """Call `ended` on the watcher's thread once `pid` has ended. ProcessLookupError if it has already and is not our child."""
        pidfd = os.pidfd_open(pid)
        with self._turn:
            if self._thread is None:
                self._begin()
            assert self._epoll is not None
            self._watched[pidfd] = ended
            self._epoll.register(pidfd, select.EPOLLIN)

    def _begin(self) -> None:
        self._epoll = select.epoll()
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._epoll.register(self._wake, select.EPOLLIN)
        self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        epoll, wake = self._epoll, self._wake
        assert epoll is not None
        while True:
            for fd, _ in epoll.poll():
                if fd == wake:
                    return
                with self._turn:
                    ended = self._watched.pop(fd)
                    epoll.unregister(fd)
                    os.close(fd)
                ended()

    def close(self) -> None:
        """Forget all that is watched and end the thread. Not from the watcher's own thread."""
        with self._turn:
            thread, self._thread = self._thread, None
            if thread is None:
                return
            os.eventfd_write(self._wake, 1)
        thread.join()
        assert self._epoll is not None
        self._epoll.close()
        os.close(self._wake)
        for pidfd in self._watched:
            os.close(pidfd)
        self._watched.clear()

"""The helper processes of one cloud: started when there is work, ended when there was none for a minute.

Invariants: a function runs in one process at a time and is pure, so it may be run again when its process dies under it; a call ends, with a result or
an error, within its time and the time of those before it; a process that does not answer in time is killed; none outlives the cloud, however that ends,
for each reads the end of the socket whose other end only this process holds.
"""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
import threading
import time
from typing import Any

from windtunnel.helpers import frames

IDLE = 60.0
SECONDS = 30.0
"""How long a function may run when its caller does not say."""
MOST = 2
"""Processes at once; whoever finds them busy waits for his turn, `PATIENCE` seconds at the longest."""
PATIENCE = 120.0
STOPPING = "the cloud is stopping"
log = logging.getLogger("windtunnel.helpers")


class HelperFailed(Exception):
    """A function did not come to a result: an error of its own that it did not foresee, or its process died twice."""


class HelperTimedOut(HelperFailed):
    """It took longer than it was given, and was killed."""


class Helper:
    """One process, used by one thread at a time."""

    def __init__(self, command: list[str]) -> None:
        self._sock, theirs = socket.socketpair()
        with theirs:
            # The child's other descriptors are closed: it holds no connection, no lock and no file of the server's.
            self._process = subprocess.Popen(command, stdin=theirs.fileno(), stdout=subprocess.DEVNULL)
        self.used = time.monotonic()

    @property
    def pid(self) -> int:
        return self._process.pid

    def run(self, name: str, args: tuple[Any, ...], seconds: float) -> list[Any]:
        """[True, result] or [False, message, traceback]. Raises OSError or EOFError when the process is gone, TimeoutError when it is too slow."""
        deadline = time.monotonic() + seconds
        self._sock.settimeout(seconds)
        frames.send(self._sock, [name, args])
        said: list[Any] = frames.receive(self._sock, deadline)
        self.used = time.monotonic()
        return said

    def kill(self) -> None:
        """It holds nothing that would be lost. Whoever waits for its answer reads the end of the socket."""
        self._process.kill()
        self._process.wait()

    def end(self) -> None:
        """For the thread that has it."""
        self.kill()
        self._sock.close()


class Helpers:
    """The part "helper"."""

    def __init__(self, *, idle: float = IDLE, most: int = MOST) -> None:
        self._most = min(most, os.cpu_count() or 1)
        self._idle = idle
        self._turn = threading.Condition()
        self._free: list[Helper] = []
        self._all: set[Helper] = set()
        self._starting = 0
        self._watched = False
        self._closed = False

    def run(self, name: str, *args: Any, seconds: float = SECONDS) -> Any:
        """`windtunnel.module:function`(*args) in another process; arguments and result are plain data (msgpack). For threads, never for the loop.

        Raises HelperTimedOut, or HelperFailed.
        """
        for attempt in (1, 2):
            helper = self._take()
            try:
                said = helper.run(name, args, seconds)
            except TimeoutError:
                self._drop(helper)
                log.error("%s took longer than %g s and was ended", name, seconds)
                raise HelperTimedOut(f"{name} took longer than {seconds:g} s") from None
            except (OSError, EOFError) as error:
                self._drop(helper)
                if attempt == 2 or self._closed:
                    raise HelperFailed(f"the process that ran {name} died: {error}") from None
                continue
            except BaseException:
                self._drop(helper)
                raise
            self._give_back(helper)
            if said[0]:
                return said[1]
            log.error("%s failed in a helper process:\n%s", name, said[2] or said[1])
            raise HelperFailed(said[1])
        raise AssertionError("unreachable")

    @property
    def pids(self) -> list[int]:
        with self._turn:
            return [helper.pid for helper in self._all]

    def _take(self) -> Helper:
        with self._turn:
            ready = self._turn.wait_for(lambda: self._closed or self._free or len(self._all) + self._starting < self._most, PATIENCE)
            if self._closed:
                raise HelperFailed(STOPPING)
            if not ready:
                raise HelperTimedOut(f"no helper process became free within {PATIENCE:g} s")
            if self._free:
                return self._free.pop()
            self._starting += 1
        made: Helper | None = None
        try:
            made = Helper([sys.executable, "-P", "-m", "windtunnel.helpers.worker"])
        finally:
            with self._turn:
                self._starting -= 1
                if made is not None:
                    self._all.add(made)
                self._turn.notify_all()
        if self._closed:
            self._drop(made)
            raise HelperFailed(STOPPING)
        self._watch()
        return made

    def _give_back(self, helper: Helper) -> None:
        with self._turn:
            if not self._closed:
                self._free.append(helper)
                self._turn.notify_all()

    def _drop(self, helper: Helper) -> None:
        with self._turn:
            self._all.discard(helper)
            self._turn.notify_all()
        helper.end()

    def _watch(self) -> None:
        """Have a thread that ends what is idle, for as long as there is anything."""
        with self._turn:
            if self._watched or self._closed:
                return
            self._watched = True
        threading.Thread(target=self._end_idle, name="helpers", daemon=True).start()

    def _end_idle(self) -> None:
        while True:
            with self._turn:
                self._turn.wait_for(lambda: self._closed or not self._all, self._idle / 2)
                if self._closed or not self._all:
                    self._watched = False
                    return
                old = [helper for helper in self._free if time.monotonic() - helper.used >= self._idle]
                self._free = [helper for helper in self._free if helper not in old]
            for helper in old:
                self._drop(helper)

    def close(self) -> None:
        """End all; what runs fails."""
        with self._turn:
            self._closed = True
            free, self._free = self._free, []
            busy = self._all.difference(free)
            self._all.clear()
            self._turn.notify_all()
        for helper in free:
            helper.end()
        for helper in busy:
            helper.kill()

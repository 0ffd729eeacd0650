"""Follows what sandboxes print, each exactly once, on one thread for all of them.

Why it exists: a guest program says what it does by writing lines to its stdout; the supervisor's log of them is durable and survives
the cloud. Whoever learns from those lines keeps the log's offset in the same transaction as what was learned (`Sink.take`), so that
after a crash the reading goes on where the last commit ended.

Invariants: a sink's `take` gets the frames in order, and the next ones only when the last were taken durably; `ended` comes once all
output was taken. The thread never works more than half of the time, and sleeps without a wake-up while nothing is followed.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Protocol

from windtunnel.compute.driver import Driver, Exited, Gone, Handle, LogFrame, SandboxError

log = logging.getLogger("windtunnel.follow")
READ = 256 << 10
EAGER, CALM = 0.004, 0.02
EAGER_FOR = 0.5
"""Seconds after the last output during which it is looked for every EAGER seconds, afterwards every CALM seconds."""
AFTER_FAILURE = 0.5


class Sink(Protocol):
    """Who learns from a sandbox's output. Both return when done; the future is done when it is durable."""

    def take(self, frames: list[LogFrame], offset: int) -> Future[None]: ...

    def ended(self, status: Exited | Gone) -> Future[None]: ...


class _Followed:
    def __init__(self, handle: Handle, offset: int, sink: Sink) -> None:
        self.handle = handle
        self.offset = offset
        self.sink = sink
        self.exited: Exited | Gone | None = None
        self.active = time.monotonic()
        self.not_before = 0.0


class Follower:
    """driver: called when the first sandbox is followed, so that an idle cloud needs none. closing: set when the cloud ends."""

    def __init__(self, driver: Callable[[], Driver], closing: threading.Event) -> None:
        self._driver = driver
        self._closing = closing
        self._followed: dict[tuple[str, str], _Followed] = {}
        self._wake = threading.Condition()
        self._woken = False
        self._thread: threading.Thread | None = None

    def follow(self, handle: Handle, offset: int, sink: Sink) -> None:
        """Begin at a log offset (0, or one that `take` was given). A boot that is followed already is left alone. Any thread."""
        with self._wake:
            key = (handle.id, handle.token)
            if self._closing.is_set() or key in self._followed:
                return
            self._followed[key] = _Followed(handle, offset, sink)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="follower", daemon=True)
                self._thread.start()
            self._kick()

    def _kick(self) -> None:
        self._woken = True
        self._wake.notify_all()

    def _run(self) -> None:
        watched: set[tuple[str, str]] = set()
        while True:
            began = time.monotonic()
            with self._wake:
                if self._closing.is_set():
                    return
                self._woken = False
                current = dict(self._followed)
            for key, one in current.items():
                if key not in watched:
                    watched.add(key)
                    self._watch(one)
            for key in self._pass(current):
                watched.discard(key)
                with self._wake:
                    self._followed.pop(key, None)
            self._pause(began)

    def _watch(self, one: _Followed) -> None:
        def ended(handle: Handle, exited: Exited) -> None:
            with self._wake:
                one.exited = exited
                self._kick()

        try:
            self._driver().watch(one.handle, ended)
        except SandboxError:
            one.exited = Gone()

    def _pass(self, current: dict[tuple[str, str], _Followed]) -> list[tuple[str, str]]:
        """Read what is new of each, have all of it taken at once, and wait for it. Returns who has ended."""
        driver = self._driver()
        now = time.monotonic()
        taking: list[tuple[_Followed, int, Future[None]]] = []
        ending: list[tuple[tuple[str, str], _Followed, Future[None]]] = []
        for key, one in current.items():
            if now < one.not_before:
                continue
            exited = one.exited  # before the reading: a log is complete once its boot has ended
            try:
                frames, offset = driver.logs(one.handle, one.offset, READ)
            except OSError as error:
                log.error("the log of sandbox %s could not be read and is tried again: %s", one.handle.id, error)
                one.not_before = now + AFTER_FAILURE
                continue
            if frames:
                taking.append((one, offset, one.sink.take(frames, offset)))
            elif exited is not None:
                ending.append((key, one, one.sink.ended(exited)))
        for one, offset, future in taking:
            if self._done(one, future):
                one.offset = offset
                one.active = time.monotonic()
        return [key for key, one, future in ending if self._done(one, future)]

    def _done(self, one: _Followed, future: Future[None]) -> bool:
        error = future.exception()
        if error is None:
            return True
        if not self._closing.is_set():
            log.error("what sandbox %s printed could not be recorded and is tried again: %s", one.handle.id, error, exc_info=error)
        one.not_before = time.monotonic() + AFTER_FAILURE
        return False

    def _pause(self, began: float) -> None:
        """At least as long as the pass took; without end when there is nobody to follow."""
        now = time.monotonic()
        with self._wake:
            if self._closing.is_set() or self._woken:
                return
            if not self._followed:
                self._wake.wait()
                return
            eager = any(now - one.active < EAGER_FOR for one in self._followed.values())
            self._wake.wait(max(EAGER if eager else CALM, now - began))

"""Time comes from here, so that tests can fix it and `--pace` can shorten intended waiting without touching real limits.

Invariant: a cloud's time never goes back, also when somebody sets the machine's clock back, and over restarts: what was sent is not of the
future, a lease that has begun ends. Only signatures are compared with the wall's time, which is the clients'.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

CATCH_UP = 0.95
"""How fast the cloud's time goes while it is ahead of a clock that was set back: they meet again, and waits are hardly longer meanwhile."""
BELIEVED = 86400.0
"""Seconds that an earlier cloud's time may be ahead of the clock at a start; more than a day was a clock that was wrong then."""


class Clock(Protocol):
    """`now` is UTC epoch seconds and never goes back; `wall` is what the machine's clock says; `monotonic` is seconds that only go on, for
    waits within a process; `paced` turns an intended wait (bake time, schedule) into the wait of this cloud."""

    def now(self) -> float: ...

    def wall(self) -> float: ...

    def monotonic(self) -> float: ...

    def paced(self, seconds: float) -> float: ...


class SystemClock:
    """The machine's clock. pace 60 makes an hour of intended waiting a minute. floor: the time that the last cloud here had come to."""

    def __init__(
        self,
        pace: float = 1.0,
        floor: float = 0.0,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.pace = pace
        self.wall = wall
        self.monotonic = monotonic
        begin = wall()
        self._last = (monotonic(), floor if begin < floor < begin + BELIEVED else begin)

    def now(self) -> float:
        wall, steady = self.wall(), self.monotonic()
        since, last = self._last
        now = max(wall, last + (steady - since) * CATCH_UP)
        self._last = (steady, now)
        return now

    def paced(self, seconds: float) -> float:
        return seconds / self.pace


class FixedClock:
    """A clock for tests: stands still until it is moved."""

    def __init__(self, at: float = 1_700_000_000.0) -> None:
        self.at = at

    def now(self) -> float:
        return self.at

    def wall(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self.at

    def paced(self, seconds: float) -> float:
        return seconds

    def advance(self, seconds: float) -> None:
        self.at += seconds

"""Time comes from here, so that tests can fix it and `--pace` can shorten intended waiting without touching real limits."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """`now` is UTC epoch seconds, and jumps when somebody sets it; `monotonic` is seconds that only go on, for waits within a process;
    `paced` turns an intended wait (bake time, schedule) into the wait of this cloud."""

    def now(self) -> float: ...

    def monotonic(self) -> float: ...

    def paced(self, seconds: float) -> float: ...


class SystemClock:
    """The machine's clock. pace 60 makes an hour of intended waiting a minute."""

    def __init__(self, pace: float = 1.0) -> None:
        self.pace = pace

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    def paced(self, seconds: float) -> float:
        return seconds / self.pace


class FixedClock:
    """A clock for tests: stands still until it is moved."""

    def __init__(self, at: float = 1_700_000_000.0) -> None:
        self.at = at

    def now(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self.at

    def paced(self, seconds: float) -> float:
        return seconds

    def advance(self, seconds: float) -> None:
        self.at += seconds

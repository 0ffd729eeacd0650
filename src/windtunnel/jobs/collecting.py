"""Ended runs are forgotten after a while, some at a time, so that a cloud that delivers all day does not grow by it; and each minute the
cloud's time is noted.

Invariant: a run that has not ended is never touched; one that has ended stays for MINUTES at the least (whoever starts it again under the
same id in that time starts nothing), and for a DAY unless there are more than MOST of them.
"""

from __future__ import annotations

import asyncio
import logging

from windtunnel.kernel.clock import Clock
from windtunnel.store.sqlite import SqliteTx, note_time
from windtunnel.store.writer import Writer

DAY = 86400.0
MINUTES = 900.0
MOST = 20_000
GROUP = 100
"""Runs that are removed in one transaction: about a millisecond of the loop."""
EVERY = 60.0
SOON = 0.05
log = logging.getLogger("windtunnel.jobs")


class Collector:
    """Runs on the loop, from `start` to `stop`."""

    def __init__(self, writer: Writer, loop: asyncio.AbstractEventLoop, clock: Clock) -> None:
        self._writer = writer
        self._loop = loop
        self._clock = clock
        self._next: asyncio.TimerHandle | None = None

    def start(self) -> None:
        self._next = self._loop.call_later(EVERY, self._begin)

    def stop(self) -> None:
        if self._next is not None:
            self._next.cancel()

    def _begin(self) -> None:
        now = self._clock.now()
        self._writer.submit(lambda tx: forget(tx, now)).add_done_callback(self._done)

    def _done(self, done: asyncio.Future[int]) -> None:
        failed = done.cancelled() or done.exception() is not None
        if failed:
            log.warning("ended runs could not be forgotten: %s", "cancelled" if done.cancelled() else done.exception())
        more = not failed and done.result() == GROUP
        self._next = self._loop.call_later(SOON if more else EVERY, self._begin)


def forget(tx: SqliteTx, now: float) -> int:
    """Remove up to GROUP ended runs, oldest first, with their steps, and note the time. How many."""
    db = tx.connection
    note_time(tx, now)
    row = db.execute("SELECT ended FROM run WHERE ended IS NOT NULL ORDER BY ended DESC LIMIT 1 OFFSET ?", (MOST,)).fetchone()
    before = now - DAY if row is None else max(now - DAY, min(row[0], now - MINUTES))
    found = db.execute("SELECT id FROM run WHERE ended IS NOT NULL AND ended < ? ORDER BY ended LIMIT ?", (before, GROUP)).fetchall()
    db.executemany("DELETE FROM step WHERE run=?", found)
    db.executemany("DELETE FROM run WHERE id=?", found)
    return len(found)

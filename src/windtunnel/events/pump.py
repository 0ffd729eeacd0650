"""The way out of the outbox: each event is taken out, shown to listeners and fanned out to deliveries in one transaction.

Invariants: an event leaves the outbox in the transaction that makes or starts its deliveries, so it is neither lost nor fanned out
twice; an internal target's own state commits with the delivery that is done, so it runs exactly once. An event that nobody wants
when it happens is not kept at all.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from functools import partial

import msgspec

from windtunnel.kernel.cloud import Cloud
from windtunnel.kernel.context import Context, Event
from windtunnel.kernel.principal import Principal
from windtunnel.kernel.registry import LISTENERS
from windtunnel.kernel.scope import Scope
from windtunnel.store.sqlite import SqliteTx
from windtunnel.store.writer import Writer

log = logging.getLogger("windtunnel.events")
GROUP = 32
SECONDS = 0.005
"""How long events are fanned out in one go: requests get in between."""
FanOut = Callable[[Context, Event, bool], None]
Wanted = Callable[[Context, Event], bool]


class Pump:
    """Takes events out of the outbox, oldest first. wanted and fan_out are services/events' rule matcher."""

    def __init__(self, writer: Writer, loop: asyncio.AbstractEventLoop, cloud: Cloud, wanted: Wanted, fan_out: FanOut) -> None:
        self._writer = writer
        self._loop = loop
        self._cloud = cloud
        self._wanted = wanted
        self._fan_out = fan_out
        self._pumping = False
        self._more = False

    def append(self, ctx: Context, event: Event) -> None:
        """Put an event into the outbox of this transaction, if anybody wants it."""
        tx = ctx.tx
        if not isinstance(tx, SqliteTx):
            raise TypeError("events are appended in a write transaction of the store")
        if not self._wanted(ctx, event):
            return
        tx.connection.execute("INSERT INTO outbox (body) VALUES (?)", (msgspec.json.encode(event),))
        ctx.tx.after_commit(self.kick)

    def kick(self) -> None:
        """Have the outbox emptied soon (loop thread)."""
        if self._pumping:
            self._more = True
            return
        self._pumping = True
        self._more = False
        self._writer.submit(self._take).add_done_callback(self._taken)

    def _take(self, tx: SqliteTx) -> bool:
        """Take events out. Returns whether there may be more."""
        rows = tx.connection.execute("SELECT seq, body FROM outbox ORDER BY seq LIMIT ?", (GROUP,)).fetchall()
        deadline = time.monotonic() + SECONDS
        for number, (seq, body) in enumerate(rows, 1):
            tx.connection.execute("DELETE FROM outbox WHERE seq=?", (seq,))
            event = msgspec.json.decode(body, type=Event)
            scope = Scope(event.account, event.region)
            principal = Principal.service("windtunnel", event.account)
            ctx = Context(tx.within(event.account, event.region), scope, principal, self._cloud, cause=event.cause)
            for source, detail_type, listener in LISTENERS:
                if source == event.source and detail_type in ("*", event.detail_type):
                    self._guarded(tx, event, partial(listener, ctx, event))
            if not self._guarded(tx, event, partial(self._fan_out, ctx, event, True)):
                self._guarded(tx, event, partial(self._fan_out, ctx, event, False))
            if time.monotonic() > deadline:
                return number < len(rows) or len(rows) == GROUP
        return len(rows) == GROUP

    def _guarded(self, tx: SqliteTx, event: Event, action: Callable[[], None]) -> bool:
        """Whether the action went well; what it did is undone when not."""
        tx.connection.execute("SAVEPOINT delivery")
        try:
            action()
        except Exception:  # the delivery edge: one listener's fault must not keep the event from the others
            log.exception("a listener failed on %s %s", event.source, event.detail_type)
            tx.connection.execute("ROLLBACK TO delivery")
            return False
        finally:
            tx.connection.execute("RELEASE delivery")
        return True

    def _taken(self, done: asyncio.Future[bool]) -> None:
        self._pumping = False
        if done.cancelled():
            return
        error = done.exception()
        if error is not None:
            log.error("the outbox could not be emptied: %s", error)
            self._loop.call_later(1.0, self.kick)
        elif self._more or done.result():
            self.kick()

"""The way out of the outbox: each event is taken out, shown to listeners and fanned out to deliveries in one transaction.

Invariants: an event leaves the outbox in the transaction that starts its deliveries, so it is neither lost nor fanned out
twice; a delivery is a job whose single step commits with the target's own state, so an internal target runs exactly once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

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
FanOut = Callable[[Context, Event], None]


class Pump:
    """Takes events out of the outbox, oldest first. fan_out is services/events' rule matcher."""

    def __init__(self, writer: Writer, loop: asyncio.AbstractEventLoop, cloud: Cloud, fan_out: FanOut) -> None:
        self._writer = writer
        self._loop = loop
        self._cloud = cloud
        self._fan_out = fan_out
        self._pumping = False
        self._more = False

    def append(self, ctx: Context, event: Event) -> None:
        """Put an event into the outbox of this transaction."""
        tx = ctx.tx
        if not isinstance(tx, SqliteTx):
            raise TypeError("events are appended in a write transaction of the store")
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

    def _take(self, tx: SqliteTx) -> int:
        rows = tx.connection.execute("SELECT seq, body FROM outbox ORDER BY seq LIMIT ?", (GROUP,)).fetchall()
        for seq, body in rows:
            tx.connection.execute("DELETE FROM outbox WHERE seq=?", (seq,))
            event = msgspec.json.decode(body, type=Event)
            scope = Scope(event.account, event.region)
            principal = Principal.service("windtunnel", event.account)
            ctx = Context(tx.within(event.account, event.region), scope, principal, self._cloud, cause=event.cause)
            for source, detail_type, listener in LISTENERS:
                if source == event.source and detail_type in ("*", event.detail_type):
                    self._guarded(tx, ctx, listener, event)
            self._guarded(tx, ctx, self._fan_out, event)
        return len(rows)

    def _guarded(self, tx: SqliteTx, ctx: Context, action: FanOut, event: Event) -> None:
        tx.connection.execute("SAVEPOINT delivery")
        try:
            action(ctx, event)
        except Exception:  # the delivery edge: one listener's fault must not keep the event from the others
            log.exception("a listener failed on %s %s", event.source, event.detail_type)
            tx.connection.execute("ROLLBACK TO delivery")
        tx.connection.execute("RELEASE delivery")

    def _taken(self, done: asyncio.Future[int]) -> None:
        self._pumping = False
        if done.cancelled():
            return
        error = done.exception()
        if error is not None:
            log.error("the outbox could not be emptied: %s", error)
            self._loop.call_later(1.0, self.kick)
        elif self._more or done.result() == GROUP:
            self.kick()

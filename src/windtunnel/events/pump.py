"""The way of an event: to the cloud's own listeners, and to the targets of the rules that match it.

An event that nobody wants is not kept at all. One whose deliveries are few and quick is delivered in the transaction in which it happens.
Every other one goes into the outbox with that transaction, and is taken out, shown to listeners and fanned out in another.

Invariants: an event's deliveries are made or started in the transaction in which it happens or leaves the outbox, so it is neither lost nor
fanned out twice; an internal target's own state commits with the delivery that is done, so it runs exactly once.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Protocol

import msgspec

from windtunnel.kernel.cloud import Cloud
from windtunnel.kernel.context import Context, Event
from windtunnel.kernel.principal import Principal
from windtunnel.kernel.registry import LISTENERS
from windtunnel.kernel.scope import Scope
from windtunnel.kernel.typed import from_json
from windtunnel.store.sqlite import SqliteTx
from windtunnel.store.writer import Writer

log = logging.getLogger("windtunnel.events")
GROUP = 256
SECONDS, BEHIND_SECONDS = 0.005, 0.015
"""How long events are fanned out in one go: requests get in between, but the outbox must not grow for ever under them."""


class Plan(Protocol):
    """Who gets an event, found by services/events' matcher."""

    @property
    def light(self) -> bool:
        """Whether it may be carried out where the event happens."""

    def carry_out(self, quickly: bool) -> None:
        """Deliver. quickly: what is quick is done now; else each delivery becomes a run of its own."""


Planner = Callable[[Context, Event], "Plan | None"]
"""None: no rule and no archive wants it. The same context is given for events that happen together, so that what is looked up for one serves the next."""

Hears = Callable[[Context, str], bool]
"""Whether a rule or an archive of the default bus may want events of a source."""


class Pump:
    """Takes events in, and out of the outbox, oldest first."""

    def __init__(self, writer: Writer, loop: asyncio.AbstractEventLoop, cloud: Cloud, plan: Planner, hears: Hears) -> None:
        self._writer = writer
        self._loop = loop
        self._cloud = cloud
        self._plan = plan
        self._hears = hears
        self._pumping = False
        self._behind = False
        self._more = False

    def hears(self, ctx: Context, source: str) -> bool:
        return any(entry[0] == source for entry in LISTENERS) or self._hears(ctx, source)

    def append(self, ctx: Context, events: Iterable[Event]) -> None:
        """Events of one account and region have happened in this transaction, in this order."""
        tx = ctx.tx
        if not isinstance(tx, SqliteTx):
            raise TypeError("events are appended in a write transaction of the store")
        own: Context | None = None
        for event in events:
            if not any(_listens(entry, event) for entry in LISTENERS):
                own = own or self._own(tx, event)
                plan = self._plan(own, event)
                if plan is None or (plan.light and self._guarded(tx, event, partial(plan.carry_out, True))):
                    continue
            tx.connection.execute("INSERT INTO outbox (body) VALUES (?)", (msgspec.json.encode(event),))
            tx.after_commit(self.kick)

    def _own(self, tx: SqliteTx, event: Event) -> Context:
        """The cloud itself, where the event happened."""
        principal = Principal.service("windtunnel", event.account)
        scope = Scope(event.account, event.region)
        return Context(tx.within(event.account, event.region), scope, principal, self._cloud, cause=event.cause)

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
        deadline = time.monotonic() + (BEHIND_SECONDS if self._behind else SECONDS)
        last = 0
        for seq, body in rows:
            last = seq
            self._fan_out(tx, from_json(body, Event))
            if time.monotonic() > deadline:
                break
        tx.connection.execute("DELETE FROM outbox WHERE seq<=?", (last,))
        self._behind = bool(rows) and (last < rows[-1][0] or len(rows) == GROUP)
        return self._behind

    def _fan_out(self, tx: SqliteTx, event: Event) -> None:
        ctx = self._own(tx, event)
        for entry in LISTENERS:
            if _listens(entry, event):
                self._guarded(tx, event, partial(entry[2], ctx, event))
        plan = self._plan(ctx, event)
        if plan is not None and not self._guarded(tx, event, partial(plan.carry_out, True)):
            self._guarded(tx, event, partial(plan.carry_out, False))

    def _guarded(self, tx: SqliteTx, event: Event, action: Callable[[], None]) -> bool:
        """Whether the action went well; what it did is undone when not."""
        try:
            with tx.savepoint():
                action()
        except Exception:  # the delivery edge: one listener's fault must not keep the event from the others
            log.exception("a listener failed on %s %s", event.source, event.detail_type)
            return False
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


def _listens(entry: tuple[str, str, Callable[[Context, Event], None]], event: Event) -> bool:
    return entry[0] == event.source and entry[1] in ("*", event.detail_type)

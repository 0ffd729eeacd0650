"""Drives runs: claims what is ready, replays it over its recorded steps, parks it, and finds everything again after a crash.

Invariants: one thread at a time drives a run; a step's record and its change commit together; a run that waits holds no
thread. One process owns the data directory (a lock on it), so a run found at start has no living owner and is taken over.
A run that meets a full disk does not fail: it stands still and is driven again. A wait ends when its seconds have passed on this
machine's monotonic clock or its time has come on the wall, so no jump of the clock makes it late or has it asked over and over.
"""

from __future__ import annotations

import asyncio
import logging
import math
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

import msgspec

from windtunnel.jobs.run import JOBS, Cancelled, ContinueAsNew, Parked, Run
from windtunnel.kernel.cloud import Asleep, Cloud
from windtunnel.kernel.context import Context
from windtunnel.kernel.errors import AwsError, StoreUnavailable
from windtunnel.kernel.principal import Principal
from windtunnel.kernel.scope import Scope
from windtunnel.store.sqlite import SqliteStore, SqliteTx
from windtunnel.store.writer import Writer

T = TypeVar("T")
log = logging.getLogger("windtunnel.jobs")
Boundary = Callable[[str, str, str], None]
WORKERS = 32
AGAIN = 1.0
"""Seconds until a run is driven again that met a store which took no changes."""
LOOK = 5.0
"""Seconds between looks at the wall clock, in order to see it jump (set by hand, or a machine that slept)."""
JUMP = 2.0


class StandsStill(BaseException):
    """The store takes no changes now. Not an Exception, so that no job takes it for its own failure."""


def _no_boundary(kind: str, step: str, when: str) -> None:
    """Production passes every boundary; the crash suite puts a SIGKILL here."""


class Engine:
    """The job worker of one server process."""

    def __init__(
        self, store: SqliteStore, writer: Writer, loop: asyncio.AbstractEventLoop, cloud: Cloud, boundary: Boundary = _no_boundary
    ) -> None:
        self._store = store
        self._writer = writer
        self._loop = loop
        self._cloud = cloud
        self._boundary = boundary
        self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="job")
        self._lock = threading.Lock()
        self._driving: set[str] = set()
        self._again: set[str] = set()
        self._asleep: set[str] = set()
        self._kinds: dict[str, str] = {}
        self._due: dict[str, dict[str, float]] = {}
        self._offset = cloud.clock.now() - cloud.clock.monotonic()
        self._stopping = False
        self._started = False

    # -- inside a write transaction -------------------------------------------------------------------------------

    def start(self, ctx: Context, kind: str, run_id: str, args: dict[str, Any], asleep: Asleep | None = None) -> None:
        """Record a new run; it is driven once the transaction commits, or when what it sleeps for has come. A run id that exists is left alone."""
        definition = JOBS[kind]
        db = _connection(ctx)
        deadline = None if asleep is None else ctx.now + asleep.seconds
        waiting = "[]" if asleep is None else msgspec.json.encode([asleep.signal]).decode()
        scope, state = ctx.scope, "ready" if asleep is None else "parked"
        inserted = db.execute(
            "INSERT OR IGNORE INTO run (id, kind, version, account, region, cause, args, state, waiting, wake_at, created)"
            " VALUES (?,?,?,?,?,?,?,?,?,?,?)",
            (
                *(run_id, kind, definition.version, scope.account, scope.region, ctx.cause, msgspec.json.encode(args)),
                *(state, waiting, deadline, ctx.now),
            ),
        ).rowcount
        if not inserted:
            return
        if asleep is None or deadline is None:
            ctx.tx.after_commit(lambda: self.wake(run_id))
            return
        name, seconds = asleep.step, asleep.seconds
        db.execute("INSERT INTO step VALUES (?,?,0,?)", (run_id, name + "@deadline", msgspec.json.encode(deadline)))
        db.execute("INSERT INTO waiting VALUES (?,?)", (asleep.signal, run_id))
        ctx.tx.after_commit(lambda: self._wake_at(run_id, name, deadline, seconds))

    def signal(self, ctx: Context, name: str, payload: Any) -> None:
        """Leave a signal and wake whoever waits for it."""
        db = _connection(ctx)
        db.execute("INSERT INTO signal (name, payload) VALUES (?,?)", (name, msgspec.json.encode(payload)))
        for (run_id,) in db.execute("SELECT run FROM waiting WHERE name=?", (name,)).fetchall():
            ctx.tx.after_commit(lambda run_id=run_id: self.wake(run_id))  # type: ignore[misc]

    def dismiss(self, ctx: Context, run_id: str) -> None:
        """End a run that waits, as part of this transaction; one that is being driven ends at its next boundary."""
        db = _connection(ctx)
        waited = db.execute(
            "UPDATE run SET state='cancelled', cancelled=1, ended=?, wake_at=NULL, waiting='[]' WHERE id=? AND state='parked'",
            (ctx.now, run_id),
        ).rowcount
        if waited:
            db.execute("DELETE FROM waiting WHERE run=?", (run_id,))
            ctx.tx.after_commit(lambda: self._forget_due(run_id))
        elif db.execute("UPDATE run SET cancelled=1 WHERE id=? AND state='ready'", (run_id,)).rowcount:
            ctx.tx.after_commit(lambda: self.wake(run_id))

    def _forget_due(self, run_id: str) -> None:
        self._due.pop(run_id, None)

    # -- driving --------------------------------------------------------------------------------------------------

    def resume_all(self) -> int:
        """Take over every run that had not ended. Returns how many. Until then nothing is driven: a run finds every part in its place."""
        with self._lock:
            self._started = True
        with self._store.thread_snapshot("", "") as tx:
            rows = tx.connection.execute("SELECT id, kind FROM run WHERE state IN ('ready','parked') ORDER BY created").fetchall()
        for run_id, kind in rows:
            if kind in JOBS:
                self.wake(run_id)
            else:
                log.error("run %s is of the unknown kind %s and stays as it is", run_id, kind)
        self._later(LOOK, self._look_at_the_clock)
        return len(rows)

    def _later(self, seconds: float, action: Callable[..., None], *arguments: Any) -> None:
        if not self._stopping:
            self._loop.call_soon_threadsafe(self._loop.call_later, seconds, action, *arguments)

    def _look_at_the_clock(self) -> None:
        """After a jump of the wall clock every run that waits for a time looks at it again (loop)."""
        offset = self._cloud.clock.now() - self._cloud.clock.monotonic()
        if abs(offset - self._offset) > JUMP and not self._stopping:
            log.warning("the clock jumped by %.1f s", offset - self._offset)
            for run_id in list(self._due):
                self.wake(run_id)
        self._offset = offset
        self._later(LOOK, self._look_at_the_clock)

    def wake(self, run_id: str) -> None:
        """Have a run driven soon (any thread). Before `resume_all` that is left to it: it finds every run that is recorded."""
        with self._lock:
            if self._stopping or not self._started:
                return
            if run_id in self._driving:
                self._again.add(run_id)
                return
            self._driving.add(run_id)
        self._pool.submit(self._drive, run_id)

    def _drive(self, run_id: str) -> None:
        still = False
        try:
            self._pass(run_id)
        except (StandsStill, StoreUnavailable) as error:
            still = True
            log.warning("run %s stands still: %s", run_id, error)
        except Exception:  # the job worker's edge: nothing may end the pool's thread in silence
            if not self._stopping:
                log.exception("run %s could not be driven", run_id)
        with self._lock:
            self._driving.discard(run_id)
            again = run_id in self._again
            self._again.discard(run_id)
        if still:
            self._later(AGAIN, self.wake, run_id)
        elif again:
            self.wake(run_id)

    def _write(self, work: Callable[[SqliteTx], T]) -> T:
        """work, durable. Raises StandsStill when the store takes no changes."""
        try:
            return self._writer.submit_threadsafe(work).result()
        except StoreUnavailable as error:
            raise StandsStill(error.message) from None

    def _pass(self, run_id: str) -> None:
        with self._store.thread_snapshot("", "") as tx:
            row = tx.connection.execute(
                "SELECT kind, account, region, cause, args, state, cancelled FROM run WHERE id=?", (run_id,)
            ).fetchone()
            if row is None or row[5] not in ("ready", "parked"):
                return
            steps = dict(tx.connection.execute("SELECT name, result FROM step WHERE run=?", (run_id,)).fetchall())
        kind, account, region, cause, args, _, cancelled = row
        self._kinds[run_id] = kind
        definition = JOBS[kind]
        arguments = msgspec.json.decode(args)
        run = Run(self, run_id, Scope(account, region), cause, steps)
        try:
            if cancelled:
                raise Cancelled
            self._boundary(kind, "", "begin")
            result = definition.function(run, **arguments)
        except Parked:
            return
        except Cancelled:
            self._end(run, "cancelled", None, None)
        except ContinueAsNew as again:
            self._renew(run, again.args_of_next)
        except StoreUnavailable:
            raise
        except Exception as error:  # the job worker's edge: the run fails, its service is told in the same transaction
            if self._stopping:
                return
            log.exception("job %s (%s) failed", kind, run_id)
            text = str(error) if isinstance(error, AwsError) else "".join(traceback.format_exception_only(error)).strip()
            self._end(run, "failed", None, text, lambda ctx: definition.failed(ctx, text, **arguments) if definition.failed else None)
        else:
            self._end(run, "done", result, None)
        self._kinds.pop(run_id, None)

    def _end(self, run: Run, state: str, result: Any, error: str | None, also: Callable[[Context], None] | None = None) -> None:
        def work(tx: SqliteTx) -> None:
            ctx = self._context(tx, run)
            if also is not None:
                also(ctx)
            tx.connection.execute(
                "UPDATE run SET state=?, result=?, error=?, ended=?, wake_at=NULL, waiting='[]' WHERE id=?",
                (state, msgspec.json.encode(result), error, ctx.now, run.id),
            )
            tx.connection.execute("DELETE FROM waiting WHERE run=?", (run.id,))

        self._boundary(self._kinds.get(run.id, ""), "", "end")
        self._write(work)
        self._due.pop(run.id, None)

    def _renew(self, run: Run, args: dict[str, Any]) -> None:
        def work(tx: SqliteTx) -> None:
            tx.connection.execute("DELETE FROM step WHERE run=?", (run.id,))
            tx.connection.execute(
                "UPDATE run SET state='ready', args=?, wake_at=NULL, created=? WHERE id=?",
                (msgspec.json.encode(args), self._cloud.clock.now(), run.id),
            )
            tx.after_commit(lambda: self.wake(run.id))

        self._due.pop(run.id, None)
        self._write(work)

    # -- steps, called from the job's thread ------------------------------------------------------------------------

    @property
    def cloud(self) -> Cloud:
        return self._cloud

    def run_read(self, run: Run, fn: Callable[[Context], T]) -> T:
        with self._store.thread_snapshot(run.scope.account, run.scope.region) as tx:
            return fn(Context(tx, run.scope, Principal.service("windtunnel", run.scope.account), self._cloud, cause=run.cause))

    def _step(self, run: Run, name: str, fn: Callable[[Context], T]) -> Callable[[SqliteTx], tuple[T, bytes]]:
        """A step's change and its record, for one transaction."""

        def work(tx: SqliteTx) -> tuple[T, bytes]:
            self._refuse_cancelled(tx, run)
            result = fn(self._context(tx, run))
            recorded = msgspec.json.encode(result)
            self._record(tx, run.id, name, recorded)
            return result, recorded

        return work

    def run_tx(self, run: Run, name: str, fn: Callable[[Context], T]) -> T:
        kind = self._kinds.get(run.id, "")
        self._boundary(kind, name, "before")
        result, recorded = self._write(self._step(run, name, fn))
        run._steps[name] = recorded
        self._boundary(kind, name, "after")
        return result

    def run_chain(self, run: Run, names: Callable[[int], str], first: int, more: Any, fn: Callable[[Context], Any]) -> tuple[int, Any]:
        """Steps as long as fn gives `more`, each begun by the loop as soon as the one before it is durable. (number, result) of the last."""
        kind = self._kinds.get(run.id, "")
        end: Future[tuple[int, Any]] = Future()

        def begin(number: int) -> None:
            name = names(number)
            try:
                self._boundary(kind, name, "before")
                self._writer.submit(self._step(run, name, fn)).add_done_callback(partial(arrived, number, name))
            except BaseException as error:  # handed to the job's thread, which waits for it
                end.set_exception(error)

        def arrived(number: int, name: str, done: asyncio.Future[tuple[Any, bytes]]) -> None:
            try:
                result, run._steps[name] = done.result()
                self._boundary(kind, name, "after")
            except BaseException as error:  # handed to the job's thread, which waits for it
                end.set_exception(error)
                return
            if result == more:
                begin(number + 1)
            else:
                end.set_result((number, result))

        if self._stopping:
            raise Parked
        self._loop.call_soon_threadsafe(begin, first)
        while True:
            try:
                return end.result(LOOK)
            except TimeoutError:
                if self._stopping:  # the loop may have ended under it; what is recorded goes on at the next start
                    raise Parked from None
            except StoreUnavailable as error:
                raise StandsStill(error.message) from None

    def run_effect(self, run: Run, name: str, fn: Callable[[str], T]) -> T:
        kind = self._kinds.get(run.id, "")
        self._boundary(kind, name, "before")
        try:
            result = fn(f"{run.id}/{name}")
        except Exception:  # the job worker's edge: what fails because the cloud is ending is done again by the next one
            if self._stopping:
                raise Parked from None
            raise
        self._boundary(kind, name, "inside")
        recorded = msgspec.json.encode(result)
        self._write(lambda tx: self._record(tx, run.id, name, recorded))
        run._steps[name] = recorded
        self._boundary(kind, name, "after")
        return result

    def look(self, run: Run, name: str, look: Callable[[Context], Any], every: float) -> None:
        """Record the step if there is something to see; else give the thread back (raises Parked) and look again later."""
        kind = self._kinds.get(run.id, "")
        self._boundary(kind, name, "before")
        seen = self.run_read(run, look)
        if seen is None:
            with self._lock:
                asleep = run.id not in self._asleep
                self._asleep.add(run.id)
            if asleep:
                self._later(every, self._wake_up, run.id)
            raise Parked
        recorded = msgspec.json.encode(seen)
        self._write(lambda tx: self._record(tx, run.id, name, recorded))
        run._steps[name] = recorded
        self._boundary(kind, name, "after")

    def _wake_up(self, run_id: str) -> None:
        with self._lock:
            self._asleep.discard(run_id)
        self.wake(run_id)

    def park(self, run: Run, name: str, signals: list[str], seconds: float | None) -> None:
        """Record the step if its signal is there or its time has come; else give the thread back (raises Parked)."""
        kind, clock = self._kinds.get(run.id, ""), self._cloud.clock

        def work(tx: SqliteTx) -> tuple[bytes | None, float | None]:
            self._refuse_cancelled(tx, run)
            db = tx.connection
            now = clock.now()
            for signal in signals:
                row = db.execute("SELECT seq, payload FROM signal WHERE name=? ORDER BY seq LIMIT 1", (signal,)).fetchone()
                if row is not None:
                    db.execute("DELETE FROM signal WHERE seq=?", (row[0],))
                    return self._unpark(tx, run, name, msgspec.json.encode([signal, msgspec.Raw(row[1])])), None
            deadline = self._deadline(tx, run, name, now, seconds)
            if deadline is not None and (now >= deadline or clock.monotonic() >= self._due.get(run.id, {}).get(name, math.inf)):
                return self._unpark(tx, run, name, b"null"), None
            db.executemany("INSERT OR IGNORE INTO waiting VALUES (?,?)", [(signal, run.id) for signal in signals])
            db.execute(
                "UPDATE run SET state='parked', waiting=?, wake_at=? WHERE id=?", (msgspec.json.encode(signals).decode(), deadline, run.id)
            )
            return None, deadline

        self._boundary(kind, name, "before")
        recorded, deadline = self._write(work)
        if recorded is not None:
            self._due.get(run.id, {}).pop(name, None)
            run._steps[name] = recorded
            self._boundary(kind, name, "after")
            return
        if deadline is not None and seconds is not None:
            self._wake_at(run.id, name, deadline, seconds)
        raise Parked

    def _wake_at(self, run_id: str, name: str, deadline: float, seconds: float) -> None:
        """What is left, but never more than was asked for: a clock that was set back must not make the wait longer."""
        clock = self._cloud.clock
        left = max(0.0, min(deadline - clock.now(), seconds))
        ends = self._due.setdefault(run_id, {}).setdefault(name, clock.monotonic() + left)
        self._later(max(0.0, ends - clock.monotonic()), self.wake, run_id)

    def _unpark(self, tx: SqliteTx, run: Run, name: str, recorded: bytes) -> bytes:
        self._record(tx, run.id, name, recorded)
        tx.connection.execute("DELETE FROM waiting WHERE run=?", (run.id,))
        tx.connection.execute("DELETE FROM step WHERE run=? AND name=?", (run.id, name + "@deadline"))
        tx.connection.execute("UPDATE run SET state='ready', waiting='[]', wake_at=NULL WHERE id=?", (run.id,))
        return recorded

    def _deadline(self, tx: SqliteTx, run: Run, name: str, now: float, seconds: float | None) -> float | None:
        """When this wait ends: fixed at its first parking, so that a replay does not begin it anew. What a run begins with counts from when
        it was started, however much later it is driven first (a cloud that died in between)."""
        if seconds is None:
            return None
        row = tx.connection.execute("SELECT result FROM step WHERE run=? AND name=?", (run.id, name + "@deadline")).fetchone()
        if row is not None:
            fixed: float = msgspec.json.decode(row[0])
            return fixed
        begun = tx.connection.execute(
            "SELECT created FROM run WHERE id=? AND NOT EXISTS (SELECT 1 FROM step WHERE step.run=run.id)", (run.id,)
        ).fetchone()
        deadline: float = (now if begun is None else min(now, begun[0])) + seconds
        self._record(tx, run.id, name + "@deadline", msgspec.json.encode(deadline))
        return deadline

    def _record(self, tx: SqliteTx, run_id: str, name: str, result: bytes) -> None:
        tx.connection.execute(
            "INSERT INTO step VALUES (?,?,(SELECT count(*) FROM step WHERE run=?),?)",
            (run_id, name, run_id, result),
        )

    def _refuse_cancelled(self, tx: SqliteTx, run: Run) -> None:
        row = tx.connection.execute("SELECT cancelled FROM run WHERE id=?", (run.id,)).fetchone()
        if row is not None and row[0]:
            raise Cancelled

    def _context(self, tx: SqliteTx, run: Run) -> Context:
        scope = run.scope
        return Context(
            tx.within(scope.account, scope.region), scope, Principal.service("windtunnel", scope.account), self._cloud, cause=run.cause
        )

    def paced(self, seconds: float) -> float:
        return self._cloud.clock.paced(seconds)

    def close(self) -> None:
        """Stop driving; runs stay as they are recorded and go on at the next start."""
        with self._lock:
            self._stopping = True
        self._pool.shutdown(wait=False, cancel_futures=True)


def _connection(ctx: Context) -> Any:
    tx = ctx.tx
    if not isinstance(tx, SqliteTx):
        raise TypeError("runs are recorded in a write transaction of the store")
    return tx.connection

"""Group commit: write handlers run on the loop thread, each in a savepoint; all that came in one loop turn share a transaction.

Invariants: only COMMIT runs on another thread, and while it is out the write connection is not touched; nobody hears of a
write before it is on disk; when COMMIT fails every waiter of the group gets the error, and none of the group happened. A connection
whose transaction failed is not used again; whatever goes wrong, every waiter is answered and the next group is tried. Nobody waits
for a checkpoint but the next group, and that seldom (see checkpoints.py).
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future as ThreadFuture
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

from windtunnel.kernel.errors import AwsError, StoreUnavailable
from windtunnel.store.checkpoints import Checkpointer
from windtunnel.store.sqlite import SqliteStore, SqliteTx, is_the_files_fault, unavailable

T = TypeVar("T")
Work = Callable[[SqliteTx], Any]
MAX_GROUP = 64
MAX_SECONDS = 0.005
log = logging.getLogger("windtunnel.store")
inside = threading.local()
"""`active` is true on a thread that runs a write handler: the tests' audit hook refuses sockets, processes and files then."""


class _Item:
    __slots__ = ("work", "future", "result", "error")

    def __init__(self, work: Work, future: Any) -> None:
        self.work = work
        self.future = future
        self.result: Any = None
        self.error: BaseException | None = None

    def settle(self, failure: BaseException | None) -> None:
        error = failure or self.error
        if self.future.done():
            return
        if error is not None:
            self.future.set_exception(error)
        else:
            self.future.set_result(self.result)


def _look_at(done: asyncio.Future[Any]) -> None:
    """Nobody waits for what joins a group, so its failure is said here."""
    if not done.cancelled() and done.exception() is not None:
        log.error("what joins a group of writes failed: %s", done.exception())


class Writer:
    """Owns the write connection."""

    def __init__(self, store: SqliteStore, loop: asyncio.AbstractEventLoop) -> None:
        self._store = store
        self._loop = loop
        self._queue: deque[_Item] = deque()
        self._committing = False
        self._scheduled = False
        self._closed = False
        self._committer = ThreadPoolExecutor(1, thread_name_prefix="commit")
        self._checkpoints = Checkpointer(store.path, store.connected)
        self.last: Callable[[], Work | None] = lambda: None
        """What joins each group at its end: asked once a group, on the loop's thread, before COMMIT."""

    def submit(self, work: Callable[[SqliteTx], T]) -> asyncio.Future[T]:
        """Run work in the next group (loop thread only). The future is done when the group is durable."""
        future: asyncio.Future[T] = self._loop.create_future()
        self._enqueue(_Item(work, future))
        return future

    def submit_threadsafe(self, work: Callable[[SqliteTx], T]) -> ThreadFuture[T]:
        """As submit, from any other thread."""
        future: ThreadFuture[T] = ThreadFuture()
        if self._closed:
            future.set_exception(AwsError("ServiceUnavailable", "The cloud is stopping.", status=503))
            return future
        self._loop.call_soon_threadsafe(self._enqueue, _Item(work, future))
        return future

    def _enqueue(self, item: _Item) -> None:
        if self._closed:
            item.settle(AwsError("ServiceUnavailable", "The cloud is stopping.", status=503))
            return
        self._queue.append(item)
        if not self._committing and not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._run_group)

    @property
    def _db(self) -> sqlite3.Connection:
        return self._store.write

    def _run_group(self) -> None:
        self._scheduled = False
        if self._committing or not self._queue:
            return
        hooks: list[Callable[[], None]] = []
        group: list[_Item] = []
        deadline = time.monotonic() + MAX_SECONDS
        db = self._store.write
        try:
            db.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            self._fail_all(error)
            return
        broken: sqlite3.Error | None = None
        while self._queue and len(group) < MAX_GROUP and broken is None:
            item = self._queue.popleft()
            group.append(item)
            broken = self._run_item(db, item, hooks)
            if time.monotonic() > deadline:
                break
        last = self.last() if broken is None else None
        if last is not None:
            item = _Item(last, self._loop.create_future())
            item.future.add_done_callback(_look_at)
            group.append(item)
            broken = self._run_item(db, item, hooks)
        self._committing = True
        self._committer.submit(self._commit, group, hooks, broken)

    def _run_item(self, db: sqlite3.Connection, item: _Item, hooks: list[Callable[[], None]]) -> sqlite3.Error | None:
        """Run one in its savepoint. What is returned has broken the transaction itself (SQLite undoes it whole when the disk is full)."""
        mine: list[Callable[[], None]] = []
        cause: sqlite3.Error | None = None
        try:
            db.execute("SAVEPOINT item")
            inside.active = True
            try:
                item.result = item.work(SqliteTx(db, "", "", mine, sealer=self._store.sealer))
            except BaseException as error:  # handed to whoever waits for this item; the others of the group go on
                item.error = error
                if isinstance(error, sqlite3.Error) and is_the_files_fault(error):
                    cause = first_of(error)
                    item.error = unavailable(cause)
                db.execute("ROLLBACK TO item")
            else:
                hooks.extend(mine)
            finally:
                inside.active = False
                db.execute("RELEASE item")
        except sqlite3.Error as error:
            return cause or error
        return None

    def _commit(self, group: list[_Item], hooks: list[Callable[[], None]], broken: sqlite3.Error | None) -> None:
        failure: BaseException | None = None
        try:
            if broken is not None:
                raise broken
            self._store.write.execute("COMMIT")
        except BaseException as error:  # handed to everyone who waits for this group
            log.error("commit failed: %s", error)
            failure = StoreUnavailable(f"The change could not be made durable: {error}")
            self._renew()
        if failure is None and self._checkpoints.due():
            self._loop.call_soon_threadsafe(self._answer, group, hooks, None)
            self._checkpoints.finish()
            group, hooks = [], []
        self._loop.call_soon_threadsafe(self._committed, group, hooks, failure)

    def _renew(self) -> None:
        """Undo, and go on with another connection; if none can be had, the next group tries again."""
        with suppress(sqlite3.Error):
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
        if self._closed:
            return
        try:
            self._store.renew_write()
        except sqlite3.Error as error:
            log.error("no connection for writing: %s", error)

    def _answer(self, group: list[_Item], hooks: list[Callable[[], None]], failure: BaseException | None) -> None:
        if failure is None:
            for hook in hooks:
                hook()
        for item in group:
            item.settle(failure)

    def _committed(self, group: list[_Item], hooks: list[Callable[[], None]], failure: BaseException | None) -> None:
        self._committing = False
        self._answer(group, hooks, failure)
        if self._queue and not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._run_group)

    def _fail_all(self, error: sqlite3.Error) -> None:
        log.error("no transaction: %s", error)
        refusal = StoreUnavailable(f"The store does not take changes: {error}")
        while self._queue:
            self._queue.popleft().settle(refusal)
        if getattr(error, "sqlite_errorcode", None) != sqlite3.SQLITE_BUSY:  # another program's lock says nothing against our connection
            self._renew()

    async def close(self) -> None:
        """Let what is queued become durable, then refuse more."""
        while self._queue or self._committing:
            await asyncio.sleep(0.001)
        self._closed = True
        self._committer.shutdown()
        self._checkpoints.close()


def first_of(error: sqlite3.Error) -> sqlite3.Error:
    """What went wrong first: once SQLite has undone a transaction by itself, each savepoint on the way out complains that it is gone."""
    while isinstance(error.__context__, sqlite3.Error):
        error = error.__context__
    return error

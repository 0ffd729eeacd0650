"""Checkpoints: the log's pages are put into the database file beside the commits, not inside them.

SQLite's own way is a checkpoint inside the COMMIT that passes 1,000 frames: whoever waits for that group waits for two fsyncs and
4 MiB of scattered writes more. Here a thread with a connection of its own does it after each `STEP` frames. Because commits go on
meanwhile, such a pass never meets the end of the log, and only then SQLite begins the log anew: so from `LIMIT` on a pass runs
between two groups, after the first was answered. Little is left for it to do.

Invariants: passes are PASSIVE, so that nobody's transaction waits for one or fails by one; one runs at a time, and none is begun
because of a commit that an earlier one has seen (SQLite before 3.51.3 may lose what is committed when a second pass follows a complete
one and the log begins anew meanwhile: its "WAL-reset bug"); a pass that fails
costs nothing but the log's growth, because what was committed is in the log, fsynced, until a later pass succeeds; the log's file is
not shortened (but for what long readers made of it), so that commits overwrite it, and their fsync has no metadata to write.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

STEP = 250
"""Frames (a page each, of 4 KiB) between two passes: 1 MiB, little enough that a commit's fsync beside it hardly waits."""
LIMIT = 4000
"""The log begins anew as soon as it can from here on: 16 MiB, which is also what a start after a kill reads at most."""
LAST_RESORT = 16_000
"""From here on SQLite itself looks at the end of every commit (PRAGMA wal_autocheckpoint), as it does for a store without a writer."""
KEPT = 2 * LIMIT * 4096
"""Bytes: a log that long readers have made longer than this is cut to it when it begins anew (PRAGMA journal_size_limit)."""

_HEADER, _FRAME = 32, 24
log = logging.getLogger("windtunnel.store")


class Checkpointer:
    """All but `close` and the passes themselves is for the thread that commits."""

    def __init__(self, path: Path, connect: Callable[[], sqlite3.Connection]) -> None:
        self._log = path.with_name(path.name + "-wal")
        self._connect = connect
        self._pass = threading.Lock()
        self._asked = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._db: sqlite3.Connection | None = None
        self._round = b""
        self._due = STEP

    def due(self) -> bool:
        """To be asked after a commit, before the next transaction. Starts a pass on its thread when it is time for one; whether the
        caller is to run `finish` now, with no transaction open."""
        if not self._reached():
            return False
        if self._due >= LIMIT:
            return not self._asked
        self._due += STEP
        if not self._asked:
            self._asked = True
            self._thread.submit(self._beside)
        return False

    def _beside(self) -> None:
        try:
            self._run()
        finally:
            self._asked = False

    def finish(self) -> None:
        """Put what is left into the database file, so that the next transaction begins the log anew, unless a reader needs it as it is."""
        found = self._run()
        self._due = max(self._due, found) + STEP

    def _reached(self) -> bool:
        """Whether the frame that is `due` is in the log: it carries the salts of the log's header, which change when it begins anew."""
        try:
            file = os.open(self._log, os.O_RDONLY)
        except OSError:  # no log yet, or no descriptor left: SQLite's own look is the last resort
            return False
        try:
            header = os.pread(file, _HEADER, 0)
            if header[16:24] != self._round:
                self._round, self._due = header[16:24], STEP
            page = int.from_bytes(header[8:12], "big")
            return len(header) == _HEADER and os.pread(file, 8, _HEADER + (self._due - 1) * (_FRAME + page) + 8) == self._round
        finally:
            os.close(file)

    def _run(self) -> int:
        """A pass; how many frames the log had then. Nothing is raised: the commit before it stands."""
        with self._pass:
            try:
                if self._db is None:
                    self._db = self._connect()
                frames: int = self._db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()[1]
            except sqlite3.Error as error:
                log.warning("the log was not put into the database file, and grows until it is: %s", error)
                self._forget()
                return 0
            return frames

    def _forget(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None

    def close(self) -> None:
        """A pass that runs is waited for. Nothing commits any more."""
        self._thread.shutdown()
        with self._pass:
            self._forget()

"""Log events as CloudWatch Logs keeps them: the events of one PutLogEvents are one row, since a row for each would cost ten times that.

Invariant: rows are only added and removed whole; what a row holds is the service's to write and read (services/logs/chunks.py). `seq` numbers
events in the order of their arrival, over all streams: a row of `count` events has the numbers from `seq` on.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import msgspec

TABLE = (
    "CREATE TABLE IF NOT EXISTS logs (stream TEXT NOT NULL, first INTEGER NOT NULL, seq INTEGER NOT NULL, last INTEGER NOT NULL,"
    " ingested INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY (stream, first, seq)) WITHOUT ROWID"
)
END = "\U0010ffff"
MIGRATED_ROWS = 1_000
MIGRATED_SPAN = 60_000
Chunk = tuple[int, int, int, int, bytes]
"""(first and last timestamp, number of its first event, time of arrival in milliseconds, body)."""


def append(db: sqlite3.Connection, stream: str, first: int, last: int, count: int, ingested: int, body: bytes) -> int:
    """Keep a chunk. Returns the number of its first event."""
    row = db.execute("SELECT value FROM meta WHERE name='log_seq'").fetchone()
    seq = 1 if row is None else int(row[0]) + 1
    db.execute("INSERT INTO logs VALUES (?,?,?,?,?,?)", (stream, first, seq, last, ingested, body))
    db.execute("INSERT OR REPLACE INTO meta VALUES ('log_seq', ?)", (str(seq + count - 1),))
    return seq


def read(db: sqlite3.Connection, stream: str, low: int, high: int, since: int, forward: bool) -> Iterator[Chunk]:
    """Chunks whose first event is in [low, high) and whose last is not before `since`, in order of (first, seq)."""
    order = "ASC" if forward else "DESC"
    return db.execute(
        "SELECT first, last, seq, ingested, body FROM logs WHERE stream=? AND first>=? AND first<? AND last>=?"
        f" ORDER BY first {order}, seq {order}",
        (stream, low, high, since),
    )


def drop(db: sqlite3.Connection, stream: str, before: int | None = None, limit: int = -1) -> int:
    """Forget a stream's chunks, or at most `limit` of those that ended before a time. Returns how many went."""
    if before is None:
        return db.execute("DELETE FROM logs WHERE stream=?", (stream,)).rowcount
    return db.execute(
        "DELETE FROM logs WHERE stream=? AND (first, seq) IN"
        " (SELECT first, seq FROM logs WHERE stream=? AND first<? AND last<? ORDER BY first LIMIT ?)",
        (stream, stream, before, before, limit),
    ).rowcount


def drop_all(db: sqlite3.Connection, prefix: str) -> None:
    db.execute("DELETE FROM logs WHERE stream>=? AND stream<?", (prefix, prefix + END))


def from_rows(db: sqlite3.Connection) -> None:
    """Schema 2 kept a row for each event in `log`: gather them, in order, each with its own number and time of arrival."""
    if db.execute("SELECT 1 FROM sqlite_master WHERE type='table' AND name='log'").fetchone() is None:
        return
    db.execute(TABLE)
    held: list[tuple[str, int, int, int, str]] = []
    for row in db.execute("SELECT stream, ts, seq, ingested, message FROM log ORDER BY stream, ts, seq"):
        if held and (row[0] != held[0][0] or len(held) >= MIGRATED_ROWS or row[1] - held[0][1] > MIGRATED_SPAN):
            _keep(db, held)
            held = []
        held.append(row)
    if held:
        _keep(db, held)
    db.execute("DROP TABLE log")


def _keep(db: sqlite3.Connection, rows: list[tuple[str, int, int, int, str]]) -> None:
    body = msgspec.msgpack.encode(([row[1] for row in rows], [row[4] for row in rows], [row[2] for row in rows], [row[3] for row in rows]))
    first = rows[0]
    db.execute("INSERT INTO logs VALUES (?,?,?,?,?,?)", (first[0], first[1], first[2], rows[-1][1], first[3], b"N" + body))

"""Notes of calls, as CloudTrail keeps them: many notes in one row, since a row for each would cost more than the call.

Invariant: rows are only added, at the end of their scope; `seq` is the moment of writing in microseconds, made unique by who writes.
"""

from __future__ import annotations

import sqlite3

TABLE = "CREATE TABLE IF NOT EXISTS trail (scope TEXT NOT NULL, seq INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY (scope, seq)) WITHOUT ROWID"


def append(db: sqlite3.Connection, scope: str, seq: int, body: bytes) -> None:
    db.execute("INSERT INTO trail VALUES (?,?,?)", (scope, seq, body))


def read(db: sqlite3.Connection, scope: str, after: int, before: int, limit: int, newest_first: bool) -> list[tuple[int, bytes]]:
    order = "DESC" if newest_first else "ASC"
    return db.execute(
        f"SELECT seq, body FROM trail WHERE scope=? AND seq>? AND seq<? ORDER BY seq {order} LIMIT ?", (scope, after, before, limit)
    ).fetchall()


def newest(db: sqlite3.Connection) -> int:
    """The greatest seq of all scopes, 0 when there is none."""
    return max((seq for (seq,) in db.execute("SELECT max(seq) FROM trail GROUP BY scope")), default=0)


def scopes(db: sqlite3.Connection) -> list[str]:
    """`ACCOUNT/REGION/` of everything that is kept; a skip through the primary key, not a scan."""
    found: list[str] = []
    while row := db.execute("SELECT scope FROM trail WHERE scope>? ORDER BY scope LIMIT 1", (found[-1] if found else "",)).fetchone():
        found.append(row[0])
    return found


def drop(db: sqlite3.Connection, scope: str, before: int, limit: int) -> int:
    """Remove rows older than `before`, at most `limit`. Returns how many went."""
    return db.execute(
        "DELETE FROM trail WHERE scope=? AND seq IN (SELECT seq FROM trail WHERE scope=? AND seq<? ORDER BY seq LIMIT ?)",
        (scope, scope, before, limit),
    ).rowcount

"""Messages in SQLite: one row each, found by (queue, visible) and, where order is kept, by (queue, group, seq).

Invariants: a group has a row while it has messages, whose `ready` says when its head may be received: never while one of it is in
flight. Messages in flight are among the first of their group, so that a group's readiness is told by a few rows, however many follow.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from windtunnel.kernel.queues import Depth, Held

QUEUE_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS message (seq INTEGER PRIMARY KEY AUTOINCREMENT, queue INTEGER NOT NULL, grp TEXT, visible INTEGER NOT NULL,"
    " sent INTEGER NOT NULL, receives INTEGER NOT NULL, taken INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,"
    " meta BLOB NOT NULL, body BLOB NOT NULL)",
    "CREATE INDEX IF NOT EXISTS message_visible ON message (queue, visible, taken)",
    "CREATE INDEX IF NOT EXISTS message_group ON message (queue, grp, seq) WHERE grp IS NOT NULL",
    "CREATE TABLE IF NOT EXISTS queue_group (queue INTEGER, grp TEXT, ready INTEGER NOT NULL, PRIMARY KEY (queue, grp)) WITHOUT ROWID",
    "CREATE INDEX IF NOT EXISTS queue_ready ON queue_group (queue, ready)",
    "CREATE TABLE IF NOT EXISTS queue_memory (queue INTEGER, key TEXT, until INTEGER NOT NULL, value BLOB NOT NULL,"
    " PRIMARY KEY (queue, key)) WITHOUT ROWID",
    "CREATE INDEX IF NOT EXISTS queue_memory_until ON queue_memory (queue, until)",
)
ROW = "seq, grp, visible, sent, receives, taken, first, last, meta, body"
MOST_IN_FLIGHT = 10
"""Of one group: what one receive takes at most."""
FORGOTTEN_AT_ONCE = 20
EXPIRED_AT_ONCE = 50
_CLAIMED = (
    "UPDATE message SET visible=?, receives=receives+1, taken=taken+1, last=?, first=CASE first WHEN 0 THEN ? ELSE first END WHERE seq IN"
)


class SqliteQueues:
    """kernel.queues.Queues over a connection that is in a transaction."""

    __slots__ = ("_db",)

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def send(self, queue: int, sent: int, visible: int, meta: bytes, body: bytes, group: str | None = None, receives: int = 0) -> int:
        made = self._db.execute(
            "INSERT INTO message (queue, grp, visible, sent, receives, taken, first, last, meta, body) VALUES (?,?,?,?,?,0,0,0,?,?)",
            (queue, group, visible, sent, receives, meta, body),
        )
        if group is not None:
            self._db.execute("INSERT OR IGNORE INTO queue_group VALUES (?,?,?)", (queue, group, visible))
        return int(made.lastrowid or 0)

    def claim(self, queue: int, now: int, until: int, limit: int, after: int) -> list[Held]:
        found = self._db.execute(
            f"{_CLAIMED} (SELECT seq FROM message WHERE queue=? AND visible<=? AND sent>? ORDER BY visible, taken, seq LIMIT ?)"
            f" RETURNING {ROW}",
            (until, now, now, queue, now, after, limit),
        ).fetchall()
        return [Held(*row) for row in (found if len(found) < 2 else sorted(found))]

    def claim_in_order(self, queue: int, now: int, until: int, limit: int, after: int) -> list[Held]:
        ready = "SELECT grp FROM queue_group WHERE queue=? AND ready<=? ORDER BY ready, grp LIMIT ?"
        claimed: list[Held] = []
        for (group,) in self._db.execute(ready, (queue, now, limit)).fetchall():
            heads = self._heads(queue, group, now, limit - len(claimed), after)
            if heads:
                found = self._db.execute(f"{_CLAIMED} ({','.join('?' * len(heads))}) RETURNING {ROW}", (until, now, now, *heads)).fetchall()
                claimed += [Held(*row) for row in sorted(found)]
            self.settle(queue, group, now)
            if len(claimed) == limit:
                break
        return claimed

    def _heads(self, queue: int, group: str, now: int, limit: int, after: int) -> list[int]:
        """The first messages of a group up to the first that is hidden; what has expired is removed on the way, for it blocks the rest."""
        heads: list[int] = []
        expired: list[int] = []
        rows = self._db.execute(
            "SELECT seq, visible, sent FROM message WHERE queue=? AND grp=? ORDER BY seq LIMIT ?", (queue, group, limit + EXPIRED_AT_ONCE)
        )
        for seq, visible, sent in rows:
            if sent <= after:
                expired.append(seq)
            elif visible > now or len(heads) == limit:
                break
            else:
                heads.append(seq)
        if expired:
            self._db.execute(f"DELETE FROM message WHERE seq IN ({','.join('?' * len(expired))})", expired)
        return heads

    def find(self, queue: int, seq: int) -> Held | None:
        row = self._db.execute(f"SELECT {ROW} FROM message WHERE seq=? AND queue=?", (seq, queue)).fetchone()
        return None if row is None else Held(*row)

    def delete(self, queue: int, seq: int, taken: int) -> bool:
        return self._db.execute("DELETE FROM message WHERE seq=? AND queue=? AND taken=?", (seq, queue, taken)).rowcount > 0

    def hide(self, queue: int, seq: int, taken: int, now: int, until: int) -> bool:
        changed = self._db.execute(
            "UPDATE message SET visible=? WHERE seq=? AND queue=? AND taken=? AND taken>0 AND visible>?", (until, seq, queue, taken, now)
        )
        return changed.rowcount > 0

    def settle(self, queue: int, group: str, now: int) -> None:
        first = self._db.execute(
            "SELECT visible, taken FROM message WHERE queue=? AND grp=? ORDER BY seq LIMIT ?", (queue, group, MOST_IN_FLIGHT)
        ).fetchall()
        if not first:
            self._db.execute("DELETE FROM queue_group WHERE queue=? AND grp=?", (queue, group))
            return
        in_flight = [visible for visible, taken in first if taken and visible > now]
        self._db.execute(
            "INSERT INTO queue_group VALUES (?,?,?) ON CONFLICT (queue, grp) DO UPDATE SET ready=excluded.ready",
            (queue, group, max(in_flight) if in_flight else first[0][0]),
        )

    def move(self, seq: int, queue: int, sent: int, now: int, meta: bytes, group: str | None) -> None:
        self._db.execute(
            "UPDATE message SET queue=?, grp=?, visible=?, sent=?, taken=0, first=0, last=0, meta=? WHERE seq=?",
            (queue, group, now, sent, meta, seq),
        )
        if group is not None:
            self.settle(queue, group, now)

    def peek(self, queue: int, now: int, limit: int) -> list[Held]:
        rows = self._db.execute(
            f"SELECT {ROW} FROM message WHERE queue=? AND visible<=? ORDER BY visible, taken, seq LIMIT ?", (queue, now, limit)
        )
        return [Held(*row) for row in rows]

    def depth(self, queue: int, now: int) -> Depth:
        (visible,) = self._db.execute("SELECT count(*) FROM message WHERE queue=? AND visible<=?", (queue, now)).fetchone()
        delayed, in_flight = self._db.execute(
            "SELECT coalesce(sum(taken=0), 0), coalesce(sum(taken>0), 0) FROM message WHERE queue=? AND visible>?", (queue, now)
        ).fetchone()
        return Depth(visible, delayed, in_flight)

    def next_visible(self, queue: int, now: int, *, groups: bool) -> int | None:
        statement = (
            "SELECT min(ready) FROM queue_group WHERE queue=? AND ready>?"
            if groups
            else "SELECT min(visible) FROM message WHERE queue=? AND visible>?"
        )
        (found,) = self._db.execute(statement, (queue, now)).fetchone()
        return None if found is None else int(found)

    def oldest(self, queue: int) -> int | None:
        (found,) = self._db.execute("SELECT min(sent) FROM message WHERE queue=?", (queue,)).fetchone()
        return None if found is None else int(found)

    def expired(self, queue: int, until: int, limit: int) -> list[int]:
        return [seq for (seq,) in self._db.execute("SELECT seq FROM message WHERE queue=? AND sent<=? LIMIT ?", (queue, until, limit))]

    def remove(self, queue: int, seqs: Sequence[int], now: int) -> None:
        groups = set()
        for seq in seqs:
            gone = self._db.execute("DELETE FROM message WHERE seq=? AND queue=? RETURNING grp", (seq, queue)).fetchall()
            groups |= {group for (group,) in gone if group is not None}
        for group in groups:
            self.settle(queue, group, now)

    def drop(self, queue: int, limit: int) -> int:
        gone = self._db.execute("DELETE FROM message WHERE seq IN (SELECT seq FROM message WHERE queue=? LIMIT ?)", (queue, limit)).rowcount
        if gone < limit:
            self._db.execute("DELETE FROM queue_group WHERE queue=?", (queue,))
        return gone

    def empty(self, queue: int, memory: int) -> bool:
        row = self._db.execute(
            "SELECT EXISTS (SELECT 1 FROM message WHERE queue=?) OR EXISTS (SELECT 1 FROM queue_group WHERE queue=?)"
            " OR EXISTS (SELECT 1 FROM queue_memory WHERE queue=?)",
            (queue, queue, memory),
        ).fetchone()
        return not row[0]

    def recall(self, queue: int, key: str, now: int) -> bytes | None:
        row = self._db.execute("SELECT value FROM queue_memory WHERE queue=? AND key=? AND until>?", (queue, key, now)).fetchone()
        return None if row is None else bytes(row[0])

    def remember(self, queue: int, key: str, until: int, value: bytes, now: int) -> None:
        self._db.execute("INSERT OR REPLACE INTO queue_memory VALUES (?,?,?,?)", (queue, key, until, value))
        self._db.execute(
            "DELETE FROM queue_memory WHERE queue=? AND key IN (SELECT key FROM queue_memory WHERE queue=? AND until<=? LIMIT ?)",
            (queue, queue, now, FORGOTTEN_AT_ONCE),
        )

    def forget(self, queue: int, limit: int) -> int:
        return self._db.execute(
            "DELETE FROM queue_memory WHERE queue=? AND key IN (SELECT key FROM queue_memory WHERE queue=? LIMIT ?)", (queue, queue, limit)
        ).rowcount

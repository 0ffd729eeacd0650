"""What was decided, kept for those who ask later: last uses, denials with their reasons, and what each principal needed.

Invariant: a decision costs a dictionary's entry, never a write. What has gathered is merged into a file of its own
(`decisions.db`, beside the store, so that neither reads nor refusals change the store) every few seconds by a thread, and at the
cloud's end; kill -9 loses those seconds. Everything is bounded: resources per principal and action, rows, denials.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from windtunnel.kernel.typed import from_json

log = logging.getLogger("windtunnel.iam")
FLUSH_SECONDS = 2.0
RESOURCES = 64
"""Resources that are told apart for one principal and action; beyond that their common part is kept (`bucket/*`)."""
PAIRS = 4096
DENIALS = 2000
USES = 50_000
_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS used (identity TEXT, action TEXT, resource TEXT, first REAL, last REAL, count INTEGER, region TEXT,"
    " PRIMARY KEY (identity, action, resource)) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS last (name TEXT PRIMARY KEY, at REAL, service TEXT, region TEXT) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS denial (seq INTEGER PRIMARY KEY AUTOINCREMENT, request TEXT, identity TEXT, at REAL, body BLOB)",
    "CREATE INDEX IF NOT EXISTS denial_request ON denial (request)",
)


class Near(msgspec.Struct, frozen=True):
    """A statement that allows the action and still did not apply. failed: `resource` or `condition`."""

    policy_type: str
    policy: str
    statement: str
    failed: str
    text: str


class Denial(msgspec.Struct, frozen=True):
    """A refusal and what it rests on. text: the statement that denied, as JSON; "" when nothing allowed. account: the resource's."""

    at: float
    request: str
    principal: str
    identity: str
    action: str
    resource: str
    kind: str
    policy_type: str
    policy: str
    statement: str
    text: str
    message: str
    account: str = ""
    near: tuple[Near, ...] = ()


class Use(NamedTuple):
    identity: str
    action: str
    resource: str
    first: float
    last: float
    times: int
    region: str


class Activity:
    """One per cloud. `used` and `denied` are called on any thread; `start` says how work gets onto a thread later."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._writes: sqlite3.Connection | None = None
        self._read_lock = threading.Lock()
        self._reads: sqlite3.Connection | None = None
        self._start: Callable[[Callable[[], None]], Any] | None = None
        self._scheduled = False
        self._closed = False
        self._forget()
        self._resources: dict[tuple[str, str], set[str]] = {}

    def _forget(self) -> None:
        self._uses: dict[tuple[str, str, str], list[Any]] = {}
        self._last: dict[str, tuple[float, str, str]] = {}
        self._denials: list[Denial] = []

    def run_with(self, start: Callable[[Callable[[], None]], Any]) -> None:
        """start(work): run work on a thread, FLUSH_SECONDS from now."""
        self._start = start

    # -- what happens -------------------------------------------------------------------------------------------------

    def used(self, identity: str, name: str, action: str, resource: str, now: float, region: str) -> None:
        """An allowed action. name: whose last use it is (an access key id, or the role's ARN)."""
        entry = self._uses.get((identity, action, resource))
        if entry is None:
            entry = self._entry(identity, action, resource, now)
        entry[1] = now
        entry[2] += 1
        entry[3] = region
        self._last[name] = (now, action, region)
        if not self._scheduled:
            self._schedule()

    def denied(self, denial: Denial) -> None:
        if len(self._denials) < DENIALS:
            self._denials.append(denial)
        if not self._scheduled:
            self._schedule()

    def _entry(self, identity: str, action: str, resource: str, now: float) -> list[Any]:
        if len(self._resources) >= PAIRS:
            self._resources.clear()
        known = self._resources.setdefault((identity, action), set())
        if resource not in known and len(known) >= RESOURCES:
            resource = common(resource) if len(known) < 2 * RESOURCES or common(resource) in known else "*"
        known.add(resource)
        return self._uses.setdefault((identity, action, resource), [now, now, 0, ""])

    def _schedule(self) -> None:
        if self._start is not None:
            self._scheduled = True
            self._start(self.flush)

    # -- the file -----------------------------------------------------------------------------------------------------

    def flush(self) -> None:
        """Merge what has gathered into the file, in one commit (a thread of its own, or the cloud's end)."""
        with self._lock:
            self._scheduled = False
            uses, last, denials = self._uses, self._last, self._denials
            self._forget()
            if not (uses or last or denials) or self._closed:
                return
            try:
                self._merge(uses, last, denials)
            except (sqlite3.Error, OSError) as error:
                log.warning("what was decided in the last seconds is not kept: %s", error)
                self._begin_anew(isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError))

    def _begin_anew(self, damaged: bool) -> None:
        """Open the file again at the next flush; without what is damaged: nothing rests on it."""
        if self._writes is not None:
            self._writes.close()
            self._writes = None
        if damaged:
            with self._read_lock:
                if self._reads is not None:
                    self._reads.close()
                    self._reads = None
                for suffix in ("", "-wal", "-shm"):
                    self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)

    def _merge(self, uses: dict[tuple[str, str, str], list[Any]], last: dict[str, tuple[float, str, str]], denials: list[Denial]) -> None:
        if self._writes is None:
            self._writes = self._connect()
            for statement in _SCHEMA:
                self._writes.execute(statement)
        db = self._writes
        db.execute("BEGIN IMMEDIATE")
        db.executemany(
            "INSERT INTO used VALUES (?,?,?,?,?,?,?) ON CONFLICT DO UPDATE SET last=excluded.last, count=count+excluded.count,"
            " region=excluded.region",
            [(*key, *entry) for key, entry in list(uses.items())],
        )
        db.executemany(
            "INSERT OR REPLACE INTO last VALUES (?,?,?,?)",
            [(name, at, action.partition(":")[0], region) for name, (at, action, region) in list(last.items())],
        )
        encode = msgspec.json.encode
        db.executemany(
            "INSERT INTO denial (request, identity, at, body) VALUES (?,?,?,?)",
            [(denial.request, denial.identity, denial.at, encode(denial)) for denial in denials],
        )
        if denials:
            db.execute("DELETE FROM denial WHERE seq <= (SELECT max(seq) FROM denial) - ?", (DENIALS,))
        if uses:
            db.execute(
                "DELETE FROM used WHERE (SELECT count(*) FROM used) > ? AND last <= (SELECT last FROM used ORDER BY last DESC LIMIT 1 OFFSET ?)",
                (USES, USES),
            )
        db.execute("COMMIT")

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False, timeout=5)
        try:
            self._path.chmod(0o600)
            db.execute("PRAGMA journal_mode=WAL")
        except BaseException:
            db.close()
            raise
        return db

    def _rows(self, sql: str, *values: Any) -> list[Any]:
        with self._read_lock:
            if self._closed or not self._path.exists():
                return []
            try:
                if self._reads is None:
                    self._reads = self._connect()
                return self._reads.execute(sql, values).fetchall()
            except sqlite3.Error as error:
                log.warning("what was decided cannot be read: %s", error)
                return []

    def close(self) -> None:
        self.flush()
        with self._lock, self._read_lock:
            self._closed = True
            for db in (self._writes, self._reads):
                if db is not None:
                    db.close()
            self._writes = self._reads = None

    # -- what is asked (not on the loop, but for `last_used`) -----------------------------------------------------------

    def last_used(self, name: str) -> tuple[float, str, str] | None:
        """(epoch seconds, service, region) of the last allowed action under an access key or of a role."""
        recent = self._last.get(name)
        if recent is not None:
            return recent[0], recent[1].partition(":")[0], recent[2]
        rows = self._rows("SELECT at, service, region FROM last WHERE name=?", name)
        return (rows[0][0], rows[0][1], rows[0][2]) if rows else None

    def uses(self, identity: str, since: float = 0.0) -> list[Use]:
        """What a principal was allowed to do since then, by action and resource."""
        self.flush()
        rows = self._rows("SELECT * FROM used WHERE identity=? AND last>=? ORDER BY action, resource", identity, since)
        return [Use(*row) for row in rows]

    def identities(self) -> list[str]:
        self.flush()
        return [identity for (identity,) in self._rows("SELECT DISTINCT identity FROM used ORDER BY identity")]

    def denials(self, *, request: str = "", identity: str = "", since: float = 0.0, limit: int = 5) -> list[Denial]:
        """The newest first."""
        self.flush()
        where, values = ["at>=?"], [since]
        for column, value in (("request", request), ("identity", identity)):
            if value:
                where.append(f"{column}=?")
                values.append(value)  # type: ignore[arg-type]
        rows = self._rows(f"SELECT body FROM denial WHERE {' AND '.join(where)} ORDER BY seq DESC LIMIT ?", *values, limit)
        return [from_json(body, Denial) for (body,) in rows]


def common(resource: str) -> str:
    """The resource's ARN up to its last part: `arn:aws:s3:::bucket/a/*`."""
    cut = max(resource.rfind("/"), resource.rfind(":"))
    return resource[: cut + 1] + "*" if cut > 0 else "*"

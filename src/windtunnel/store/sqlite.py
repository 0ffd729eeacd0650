"""The embedded store: one SQLite file in WAL mode with synchronous=FULL, so that what was committed survives anything.

Invariants: a write connection exists once and is used by one thread at a time (see writer.py); index rows always agree
with their record, because both are written here in the same transaction; keys carry their scope as a prefix.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from windtunnel.kernel.errors import AwsError, StoreUnavailable
from windtunnel.kernel.records import Conflict, LogChunk, Record, Sealable
from windtunnel.kernel.sealing import Sealer
from windtunnel.kernel.typed import convert, decoder
from windtunnel.store import audit, checkpoints, logs, opening
from windtunnel.store.opening import index_rows
from windtunnel.store.queues import QUEUE_SCHEMA, SqliteQueues

R = TypeVar("R", bound=Record)
_END = "\U0010ffff"
CLOSE_SECONDS = 10.0

SCHEMA = (
    "CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS doc (kind TEXT, key TEXT, version INTEGER NOT NULL, schema INTEGER NOT NULL, body BLOB NOT NULL,"
    " PRIMARY KEY (kind, key)) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS idx (kind TEXT, name TEXT, value TEXT, key TEXT, PRIMARY KEY (kind, name, value, key)) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS outbox (seq INTEGER PRIMARY KEY AUTOINCREMENT, body BLOB NOT NULL)",
    "CREATE TABLE IF NOT EXISTS run (id TEXT PRIMARY KEY, kind TEXT NOT NULL, version INTEGER NOT NULL, account TEXT NOT NULL,"
    " region TEXT NOT NULL, cause TEXT NOT NULL, args BLOB NOT NULL, state TEXT NOT NULL, waiting TEXT NOT NULL DEFAULT '[]',"
    " wake_at REAL, cancelled INTEGER NOT NULL DEFAULT 0, result BLOB, error TEXT, created REAL NOT NULL, ended REAL) WITHOUT ROWID",
    "CREATE INDEX IF NOT EXISTS run_ended ON run (ended) WHERE ended IS NOT NULL",
    "CREATE INDEX IF NOT EXISTS run_live ON run (state) WHERE state IN ('ready', 'parked')",
    "CREATE TABLE IF NOT EXISTS step (run TEXT, name TEXT, seq INTEGER NOT NULL, result BLOB NOT NULL, PRIMARY KEY (run, name)) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS signal (seq INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, payload BLOB NOT NULL)",
    "CREATE INDEX IF NOT EXISTS signal_name ON signal (name, seq)",
    "CREATE TABLE IF NOT EXISTS waiting (name TEXT, run TEXT, PRIMARY KEY (name, run)) WITHOUT ROWID",
    logs.TABLE,
    audit.TABLE,
    *QUEUE_SCHEMA,
)

_UPSERT = (
    "INSERT INTO doc VALUES (?,?,1,?,?) ON CONFLICT (kind, key) DO UPDATE SET version=version+1, schema=excluded.schema, body=excluded.body"
)
_encoders = msgspec.json.Encoder()


def decode(kind: type[R], schema: int, body: bytes) -> R:
    """A stored record, brought to its kind's shape of today."""
    if schema != kind.SCHEMA:
        if schema > kind.SCHEMA:
            raise ValueError(f"a record of {kind.KIND} is of shape {schema}, newer than {kind.SCHEMA}, which this code knows")
        raw = msgspec.json.decode(body)
        for n in range(schema, kind.SCHEMA):
            raw = kind.MIGRATIONS[n](raw)
        return convert(raw, kind)
    return decoder(kind).decode(body)


MakeSealer = Callable[[], Sealer]


def _no_sealer() -> Sealer:
    raise RuntimeError("this store was opened without the cloud's sealer")


def _sealed(record: Sealable, kind: str, key: str, sealer: Sealer) -> bytes:
    """What is stored of a record that holds secrets."""
    shell = record.shell()
    shell.sealed = sealer.seal(_encoders.encode(record), f"{kind}/{key}".encode())
    return _encoders.encode(shell)


class _Course:
    """What all views of one transaction share. points: the open savepoints, each with the connection's changes when it began;
    kept: records of kinds that are read once (`Record.ONCE`), by kind and key."""

    __slots__ = ("hooks", "points", "kept", "sealer")

    def __init__(self, hooks: list[Callable[[], None]] | None, sealer: MakeSealer) -> None:
        self.hooks = hooks
        self.sealer = sealer
        self.points: list[int] = []
        self.kept: dict[tuple[str, str], Any] = {}


class SqliteTx:
    """A transaction over one connection, seen from one scope; implements kernel.records.Tx."""

    __slots__ = ("_db", "_account", "_region", "_prefix", "_course")

    def __init__(
        self,
        db: sqlite3.Connection,
        account: str,
        region: str,
        hooks: list[Callable[[], None]] | None = None,
        course: _Course | None = None,
        sealer: MakeSealer = _no_sealer,
    ) -> None:
        self._db = db
        self._account = account
        self._region = region
        self._prefix = {"region": f"{account}/{region}/", "account": f"{account}//", "cloud": "//"}
        self._course = course or _Course(hooks, sealer)

    @property
    def connection(self) -> sqlite3.Connection:
        """For the job engine and the event pump, whose tables are not documents."""
        return self._db

    @property
    def queues(self) -> SqliteQueues:
        return SqliteQueues(self._db)

    def within(self, account: str, region: str) -> SqliteTx:
        return SqliteTx(self._db, account, region, course=self._course)

    def after_commit(self, action: Callable[[], None]) -> None:
        if self._course.hooks is None:
            raise RuntimeError("a read has no commit to wait for")
        self._course.hooks.append(action)

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """A part that begins where one around it begins, with nothing written in between, is that one: SQLite hears of it once."""
        db, course = self._db, self._course
        hooks, points = course.hooks, course.points
        waiting, before = 0 if hooks is None else len(hooks), db.total_changes
        fresh = not points or points[-1] != before
        if fresh:
            db.execute("SAVEPOINT part")
            points.append(before)
        try:
            yield
        except BaseException:
            db.execute("ROLLBACK TO part")
            course.kept.clear()
            if hooks is not None:
                del hooks[waiting:]
            raise
        finally:
            if fresh:
                points.pop()
                db.execute("RELEASE part")

    def get(self, kind: type[R], key: str) -> R | None:
        full = self._prefix[kind.SCOPE] + key
        if kind.ONCE and (kind.KIND, full) in self._course.kept:
            known: R | None = self._course.kept[kind.KIND, full]
            return known
        row = self._db.execute("SELECT schema, body FROM doc WHERE kind=? AND key=?", (kind.KIND, full)).fetchone()
        found = None if row is None else decode(kind, row[0], row[1])
        if kind.SEALS and found is not None and type(found.sealed) is bytes:  # type: ignore[attr-defined]
            found = self._opened(kind, row[0], found, full)
        if kind.ONCE:
            self._course.kept[kind.KIND, full] = found
        return found

    def version(self, kind: type[Record], key: str) -> int:
        row = self._db.execute("SELECT version FROM doc WHERE kind=? AND key=?", (kind.KIND, self._prefix[kind.SCOPE] + key)).fetchone()
        return 0 if row is None else int(row[0])

    def put(self, record: Record, expected: int | None = None) -> None:
        kind, key = record.KIND, self._prefix[record.SCOPE] + record.key()
        body = self._shut(record, key) if record.SEALS and record.sealed else _encoders.encode(record)  # type: ignore[attr-defined]
        if record.ONCE:
            self._course.kept[kind, key] = record
        if not record.INDEXES and expected is None:
            self._db.execute(_UPSERT, (kind, key, record.SCHEMA, body))
            return
        row = self._db.execute("SELECT version, schema, body FROM doc WHERE kind=? AND key=?", (kind, key)).fetchone()
        version = 0 if row is None else int(row[0])
        if expected is not None and expected != version:
            raise Conflict(f"{kind} {record.key()} has version {version}, not {expected}")
        self._db.execute("INSERT OR REPLACE INTO doc VALUES (?,?,?,?,?)", (kind, key, version + 1, record.SCHEMA, body))
        if record.INDEXES:
            new = index_rows(record)
            old = set() if row is None else index_rows(decode(type(record), row[1], row[2]))
            for name, value in old - new:
                self._db.execute(
                    "DELETE FROM idx WHERE kind=? AND name=? AND value=? AND key=?", (kind, name, self._indexed(record, value), key)
                )
            for name, value in new - old:
                self._db.execute("INSERT OR IGNORE INTO idx VALUES (?,?,?,?)", (kind, name, self._indexed(record, value), key))

    def _shut(self, record: Any, key: str) -> bytes:
        return _sealed(record, record.KIND, key, self._course.sealer())

    def _opened(self, kind: type[R], schema: int, shell: Any, key: str = "") -> R:
        """The whole record of a shell. key: with its scope."""
        name = f"{kind.KIND}/{key or self._prefix[kind.SCOPE] + shell.key()}"
        return decode(kind, schema, self._course.sealer().unseal(shell.sealed, name.encode()))

    def _indexed(self, record: Record | type[Record], value: str) -> str:
        return self._prefix[record.SCOPE] + value

    def put_all(self, records: Sequence[Record]) -> None:
        if any(record.INDEXES or record.ONCE for record in records):
            for record in records:
                self.put(record)
            return
        if any(record.SEALS and record.sealed for record in records):  # type: ignore[attr-defined]
            for record in records:
                self.put(record)
            return
        self._db.executemany(_UPSERT, [(r.KIND, self._prefix[r.SCOPE] + r.key(), r.SCHEMA, _encoders.encode(r)) for r in records])

    def insert(self, record: Record) -> None:
        kind, key = record.KIND, self._prefix[record.SCOPE] + record.key()
        self._course.kept.pop((kind, key), None)
        body = self._shut(record, key) if record.SEALS and record.sealed else _encoders.encode(record)  # type: ignore[attr-defined]
        made = self._db.execute("INSERT OR IGNORE INTO doc VALUES (?,?,1,?,?)", (kind, key, record.SCHEMA, body))
        if not made.rowcount:
            raise Conflict(f"{kind} {record.key()} exists")
        if record.INDEXES:
            for name, value in index_rows(record):
                self._db.execute("INSERT OR IGNORE INTO idx VALUES (?,?,?,?)", (kind, name, self._indexed(record, value), key))

    def insert_all(self, records: Sequence[Record]) -> None:
        if any(record.ONCE or (record.SEALS and record.sealed) for record in records):  # type: ignore[attr-defined]
            for record in records:
                self.insert(record)
            return
        keyed = [(record, self._prefix[record.SCOPE] + record.key()) for record in records]
        made = self._db.executemany(
            "INSERT OR IGNORE INTO doc VALUES (?,?,1,?,?)", [(r.KIND, key, r.SCHEMA, _encoders.encode(r)) for r, key in keyed]
        )
        if made.rowcount != len(keyed) and keyed:
            raise Conflict(f"one of {len(keyed)} records exists")
        self._db.executemany(
            "INSERT OR IGNORE INTO idx VALUES (?,?,?,?)",
            [(r.KIND, name, self._indexed(r, value), key) for r, key in keyed if r.INDEXES for name, value in index_rows(r)],
        )

    def delete(self, kind: type[Record], key: str) -> bool:
        full = self._prefix[kind.SCOPE] + key
        self._course.kept.pop((kind.KIND, full), None)
        if kind.INDEXES:
            row = self._db.execute("SELECT schema, body FROM doc WHERE kind=? AND key=?", (kind.KIND, full)).fetchone()
            if row is None:
                return False
            for name, value in index_rows(decode(kind, row[0], row[1])):
                self._db.execute(
                    "DELETE FROM idx WHERE kind=? AND name=? AND value=? AND key=?", (kind.KIND, name, self._indexed(kind, value), full)
                )
        return self._db.execute("DELETE FROM doc WHERE kind=? AND key=?", (kind.KIND, full)).rowcount > 0

    def scan(self, kind: type[R], *, prefix: str = "", after: str | None = None, limit: int | None = None) -> list[R]:
        base = self._prefix[kind.SCOPE]
        low = base + (after if after is not None and after > prefix else prefix)
        compare = ">" if after is not None and after >= prefix else ">="
        rows = self._db.execute(
            f"SELECT schema, body FROM doc WHERE kind=? AND key{compare}? AND key<? ORDER BY key LIMIT ?",
            (kind.KIND, low, base + prefix + _END, -1 if limit is None else limit),
        )
        return self._all(kind, rows)

    def _all(self, kind: type[R], rows: Iterable[tuple[int, bytes]]) -> list[R]:
        if not kind.SEALS:
            return [decode(kind, schema, body) for schema, body in rows]
        found: list[Any] = []
        for schema, body in rows:
            record: Any = decode(kind, schema, body)
            found.append(self._opened(kind, schema, record) if type(record.sealed) is bytes else record)
        return found

    def count(self, kind: type[Record], *, prefix: str = "", index: str = "") -> int:
        low = self._prefix[kind.SCOPE] + prefix
        if index:
            found = self._db.execute(
                "SELECT count(*) FROM idx WHERE kind=? AND name=? AND value>=? AND value<?", (kind.KIND, index, low, low + _END)
            )
        else:
            found = self._db.execute("SELECT count(*) FROM doc WHERE kind=? AND key>=? AND key<?", (kind.KIND, low, low + _END))
        return int(found.fetchone()[0])

    def scan_back(self, kind: type[R], *, prefix: str = "", before: str | None = None, limit: int | None = None) -> list[R]:
        base = self._prefix[kind.SCOPE]
        high = base + (prefix + _END if before is None else before)
        rows = self._db.execute(
            "SELECT schema, body FROM doc WHERE kind=? AND key>=? AND key<? ORDER BY key DESC LIMIT ?",
            (kind.KIND, base + prefix, high, -1 if limit is None else limit),
        )
        return self._all(kind, rows)

    def find(self, kind: type[R], index: str, value: str, *, after: str | None = None, limit: int | None = None) -> list[R]:
        if index not in kind.INDEXES:
            raise KeyError(f"{kind.KIND} declares no index {index}")
        rows = self._db.execute(
            "SELECT d.schema, d.body FROM idx i JOIN doc d ON d.kind=i.kind AND d.key=i.key"
            " WHERE i.kind=? AND i.name=? AND i.value=? AND i.key>? ORDER BY i.key LIMIT ?",
            (kind.KIND, index, self._indexed(kind, value), self._prefix[kind.SCOPE] + (after or ""), -1 if limit is None else limit),
        )
        return self._all(kind, rows)

    def everywhere(self, kind: type[R]) -> list[tuple[str, str, R]]:
        found = []
        for key, schema, body in self._db.execute("SELECT key, schema, body FROM doc WHERE kind=? ORDER BY key", (kind.KIND,)):
            account, region, _ = key.split("/", 2)
            record: Any = decode(kind, schema, body)
            if kind.SEALS and type(record.sealed) is bytes:
                record = self._opened(kind, schema, record, key)
            found.append((account, region, record))
        return found

    def append_logs(self, group: str, stream: str, first: int, last: int, count: int, ingested: int, body: bytes) -> int:
        return logs.append(self._db, self._log_stream(group, stream), first, last, count, ingested, body)

    def read_logs(self, group: str, stream: str, *, low: int, high: int, since: int, forward: bool = True) -> Iterator[LogChunk]:
        return logs.read(self._db, self._log_stream(group, stream), low, high, since, forward)

    def drop_logs(self, group: str, stream: str | None = None, before: int | None = None, limit: int = -1) -> int:
        if stream is not None:
            return logs.drop(self._db, self._log_stream(group, stream), before, limit)
        logs.drop_all(self._db, self._log_stream(group, ""))
        return 0

    def append_audit(self, seq: int, body: bytes) -> None:
        audit.append(self._db, self._prefix["region"], seq, body)

    def read_audit(self, *, after: int = 0, before: int = 1 << 62, limit: int = 100, newest_first: bool = False) -> list[tuple[int, bytes]]:
        return audit.read(self._db, self._prefix["region"], after, before, limit, newest_first)

    def drop_audit(self, before: int, limit: int) -> int:
        return audit.drop(self._db, self._prefix["region"], before, limit)

    def audited(self) -> list[tuple[str, str]]:
        return [(scope.split("/")[0], scope.split("/")[1]) for scope in audit.scopes(self._db)]

    def _log_stream(self, group: str, stream: str) -> str:
        return f"{self._account}/{self._region}/{group}\x00{stream}"


def connect(path: Path) -> sqlite3.Connection:
    """A connection in our settings: autocommit mode (transactions are explicit), WAL, every commit on disk."""
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=512, timeout=30)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=FULL")
    db.execute("PRAGMA busy_timeout=30000")
    db.execute("PRAGMA temp_store=MEMORY")  # what savepoints may undo: in a file beyond 64 KiB otherwise, which doubles a batch's time
    db.execute(f"PRAGMA wal_autocheckpoint={checkpoints.LAST_RESORT}")
    db.execute(f"PRAGMA journal_size_limit={checkpoints.KEPT}")
    return db


def unavailable(error: sqlite3.Error) -> StoreUnavailable:
    """What a caller is told when the file under the store fails, and not the caller: to come again."""
    return StoreUnavailable(f"The store does not answer: {error}")


def is_the_files_fault(error: BaseException | None) -> bool:
    """Whether an error of sqlite3 tells of the disk, the file or the machine (full, unreadable, damaged), not of a wrong statement."""
    return isinstance(error, sqlite3.OperationalError) or type(error) is sqlite3.DatabaseError


class SqliteStore:
    """The database file: one connection for writing, one for the loop's reads, one for each other thread that reads."""

    def __init__(self, path: Path, connect: Callable[[Path], sqlite3.Connection] = connect) -> None:
        """Raises opening.Unusable, in one line, for what must not be opened."""
        self.path = path
        self.sealer: MakeSealer = _no_sealer
        """Asked for when the first record is read or written that is sealed."""
        self._connect = connect
        self._threads = threading.local()
        self._opened: list[sqlite3.Connection] = []
        self._turn = threading.Condition()
        self._reading = 0
        self._closed = False
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            opening.check_file(path)
            self.write = self._writing()
            path.chmod(0o600)
            opening.migrate(self.write, path, self._create)
            self.reindexed = opening.settle(self.write, path, decode)
            self._loop_reads = connect(path)
        except (sqlite3.DatabaseError, OSError) as error:
            raise opening.Unusable(f"{path} cannot be opened: {error}; {opening.way_out(path)}") from error

    def _create(self) -> None:
        for statement in SCHEMA:
            self.write.execute(statement)

    def time_reached(self) -> float:
        """The cloud's time when it was last noted (see `note_time`), epoch seconds; 0 in a new store."""
        row = self.write.execute("SELECT value FROM meta WHERE name='time'").fetchone()
        return 0.0 if row is None else float(row[0])

    def _writing(self) -> sqlite3.Connection:
        """With room for the pages of a big batch (8 MiB, used when they come): SQLite's 2 MiB are read and spilled anew over and over."""
        db = self._connect(self.path)
        db.execute("PRAGMA cache_size=-8192")
        return db

    def connected(self) -> sqlite3.Connection:
        """A connection more, for whoever closes it."""
        return self._connect(self.path)

    def renew_write(self) -> None:
        """A fresh write connection in place of one whose last transaction failed: nothing goes on upon what it may hold."""
        try:
            self.write.close()
        finally:
            self.write = self._writing()

    @contextmanager
    def snapshot(self, account: str, region: str) -> Iterator[SqliteTx]:
        """A read transaction on the loop's connection: for the loop thread only."""
        db = self._loop_reads
        if db.in_transaction:  # the file failed at the end of the last one
            db.execute("ROLLBACK")
        db.execute("BEGIN")
        try:
            yield SqliteTx(db, account, region, sealer=self.sealer)
        except sqlite3.Error as error:
            if is_the_files_fault(error):
                raise unavailable(error) from error
            raise
        finally:
            if db.in_transaction:
                db.execute("COMMIT")

    @contextmanager
    def thread_snapshot(self, account: str, region: str) -> Iterator[SqliteTx]:
        """A read transaction for any other thread."""
        with self._turn:
            if self._closed:
                raise AwsError("ServiceUnavailable", "The cloud is stopping.", status=503)
            self._reading += 1
        try:
            db = self._of_this_thread()
            if db.in_transaction:
                db.execute("ROLLBACK")
            db.execute("BEGIN")
            try:
                yield SqliteTx(db, account, region, sealer=self.sealer)
            finally:
                if db.in_transaction:
                    db.execute("COMMIT")
        except sqlite3.Error as error:
            if is_the_files_fault(error):
                raise unavailable(error) from error
            raise
        finally:
            with self._turn:
                self._reading -= 1
                self._turn.notify_all()

    def _of_this_thread(self) -> sqlite3.Connection:
        db: sqlite3.Connection | None = getattr(self._threads, "db", None)
        if db is None:
            db = self._threads.db = self._connect(self.path)
            with self._turn:
                self._opened.append(db)
        return db

    def close(self) -> None:
        """Let the readers finish first: closing a connection under a thread that uses it crashes the process."""
        with self._turn:
            self._closed = True
            drained = self._turn.wait_for(lambda: self._reading == 0, CLOSE_SECONDS)
            for db in (*(self._opened if drained else ()), self._loop_reads, self.write):
                db.close()
            self._opened.clear()


def note_time(tx: SqliteTx, now: float) -> None:
    """Keep how far the cloud's time has come, so that it does not go back over a restart under a clock that was set back."""
    tx.connection.execute("INSERT OR REPLACE INTO meta VALUES ('time', ?)", (repr(now),))

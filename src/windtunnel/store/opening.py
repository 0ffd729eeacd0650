"""Before a database file is used: it is whole, of a schema that this code knows, and its index rows say what this code's records say.

Invariants: what was written by newer code is refused by name and not touched; an older schema is brought up to date in one
transaction; when a record's declared indexes or shape have changed, its index rows are made anew before anyone asks for them.
"""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from windtunnel.kernel.records import Record
from windtunnel.kernel.typed import from_json
from windtunnel.store import logs

log = logging.getLogger("windtunnel.store")

SCHEMA_VERSION = 3
"""1: release 0.1.0, which does not name its schema. 2: `meta` names it, and the kinds with their shapes and indexes. 3: log events in chunks.

Raised when an older release would misread what this one writes; a new table or kind alone is no reason.
"""

MIGRATIONS: dict[int, Callable[[sqlite3.Connection], None]] = {1: lambda db: None, 2: logs.from_rows}
"""From each schema to the next. 1 to 2 asks for nothing: index rows are looked at by `settle`, which finds that nothing is recorded."""


class Unusable(Exception):
    """A data directory that must not be opened. The text is one line: what is wrong, and what to do about it."""


def way_out(path: Path) -> str:
    return f"look at it with `windtunnel doctor --data {path.parent}`, or go back with `windtunnel snapshot load NAME --replace`"


def check_file(path: Path) -> None:
    """Refuse what is no database, or is shorter than it says although no log holds the rest. Reads 100 bytes, touches nothing."""
    try:
        with path.open("rb") as file:
            header = file.read(100)
            size = os.fstat(file.fileno()).st_size
    except FileNotFoundError:
        return
    wal = path.with_name(path.name + "-wal")
    logged = wal.exists() and wal.stat().st_size > 32
    if size == 0:
        if logged:
            raise Unusable(f"{path} is empty although its log is not: it was truncated; {way_out(path)}")
        return
    if not header.startswith(b"SQLite format 3\0") or len(header) < 100:
        raise Unusable(f"{path} is not a database of Windtunnel: its header is damaged; {way_out(path)}")
    page = int.from_bytes(header[16:18], "big")
    whole = int.from_bytes(header[28:32], "big") * (65536 if page == 1 else page)
    if not logged and size < whole:
        raise Unusable(f"{path} was truncated: {size} bytes are left of {whole}; {way_out(path)}")


def known_version(db: sqlite3.Connection) -> int:
    """The schema of a database; 0 when it is new. Raises what sqlite3 raises for a damaged one."""
    tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type='table'")}
    if "meta" not in tables:
        return 0
    row = db.execute("SELECT value FROM meta WHERE name='schema'").fetchone()
    return 1 if row is None else int(row[0])


def migrate(db: sqlite3.Connection, path: Path, create: Callable[[], None]) -> None:
    """Bring the schema up to date in one transaction; Unusable when it is newer than this code."""
    found = known_version(db)
    if found > SCHEMA_VERSION:
        raise Unusable(
            f"{path} was written by a newer Windtunnel (schema {found}; this one knows up to {SCHEMA_VERSION}): start it with that one"
        )
    db.execute("BEGIN IMMEDIATE")
    try:
        for version in range(found or SCHEMA_VERSION, SCHEMA_VERSION):
            MIGRATIONS[version](db)
        create()
        if found != SCHEMA_VERSION:
            db.execute("INSERT OR REPLACE INTO meta VALUES ('schema', ?)", (str(SCHEMA_VERSION),))
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


# -- kinds of records -------------------------------------------------------------------------------------------------

Shapes = dict[str, tuple[int, list[str]]]
"""Kind -> (SCHEMA, its indexes' names)."""


def kinds() -> dict[str, type[Record]]:
    """Every kind of record that this process has loaded, by the class that writes it.

    A class that only reads some members of a kind (a listing's view) has its KIND too, and declares no indexes: it is not the one.
    """
    found: dict[str, type[Record]] = {}
    for kind in _classes(Record):
        other = found.get(kind.KIND)
        if other is None or len(kind.INDEXES) > len(other.INDEXES):
            found[kind.KIND] = kind
    return found


def _classes(base: type[Record]) -> Iterator[type[Record]]:
    for kind in base.__subclasses__():
        if "KIND" in kind.__dict__:
            yield kind
        yield from _classes(kind)


def recorded_shapes(db: sqlite3.Connection) -> Shapes:
    row = db.execute("SELECT value FROM meta WHERE name='kinds'").fetchone()
    return {} if row is None else from_json(row[0], Shapes)


def settle(db: sqlite3.Connection, path: Path, decode: Callable[[type[Record], int, bytes], Record]) -> list[str]:
    """Make the index rows agree with this code's declarations; the kinds whose rows were made anew. Unusable for newer shapes.

    What an index says may change only together with its name or its record's SCHEMA: that is how it is seen here.
    """
    recorded = recorded_shapes(db)
    declared = kinds()
    for name, (schema, _) in recorded.items():
        if name in declared and schema > declared[name].SCHEMA:
            raise Unusable(
                f"{path} holds records of {name} in shape {schema}, written by a newer Windtunnel (this one knows up to"
                f" {declared[name].SCHEMA}): start it with that one"
            )
    now: Shapes = {name: (kind.SCHEMA, sorted(kind.INDEXES)) for name, kind in declared.items()}
    stale = [name for name, shape in now.items() if recorded.get(name) != shape]
    if not stale:
        return []
    db.execute("BEGIN IMMEDIATE")
    try:
        made = [name for name in stale if reindex(db, declared[name], decode)]
        db.execute("INSERT OR REPLACE INTO meta VALUES ('kinds', ?)", (msgspec.json.encode({**recorded, **now}).decode(),))
        db.execute("COMMIT")
    except BaseException:
        db.execute("ROLLBACK")
        raise
    return made


def index_rows(record: Record) -> set[tuple[str, str]]:
    """(index, value) under which a record is found."""
    rows: set[tuple[str, str]] = set()
    for name, source in record.INDEXES.items():
        if callable(source):
            rows.update((name, value) for value in source(record))
        else:
            value = getattr(record, source)
            if value is not None and value != "":
                rows.add((name, str(value)))
    return rows


def scope_of(key: str) -> str:
    """The prefix of a stored key that says whose it is: `account/region/`."""
    account, region, _ = key.split("/", 2)
    return f"{account}/{region}/"


def expected_rows(
    db: sqlite3.Connection, kind: type[Record], decode: Callable[[type[Record], int, bytes], Record], broken: Callable[[str, str], Any]
) -> Iterator[tuple[str, str, str]]:
    """(index, value, key) rows of a kind as its records say. broken(key, why) is told of a record that cannot be read."""
    for key, schema, body in db.execute("SELECT key, schema, body FROM doc WHERE kind=?", (kind.KIND,)):
        try:
            record = decode(kind, schema, body)
        except (msgspec.MsgspecError, ValueError, KeyError, TypeError) as error:
            broken(key, f"{type(error).__name__}: {error}")
            continue
        for name, value in index_rows(record):
            yield name, scope_of(key) + value, key


def reindex(db: sqlite3.Connection, kind: type[Record], decode: Callable[[type[Record], int, bytes], Record]) -> int:
    """Make a kind's index rows anew (in a transaction of the caller's). How many records were looked at or rows changed."""

    def broken(key: str, why: str) -> None:
        log.error("%s %s cannot be read and is found under no index: %s", kind.KIND, key, why)

    rows = list(expected_rows(db, kind, decode, broken)) if kind.INDEXES else []
    gone = db.execute("DELETE FROM idx WHERE kind=?", (kind.KIND,)).rowcount
    db.executemany("INSERT OR IGNORE INTO idx VALUES (?,?,?,?)", [(kind.KIND, *row) for row in rows])
    return gone + len(rows)

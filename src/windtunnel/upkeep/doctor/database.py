"""The store: SQLite's own check, schemas, records that can be read, and index rows that say what their records say."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing

from windtunnel.kernel.records import Record
from windtunnel.store.opening import SCHEMA_VERSION, expected_rows, kinds, known_version, recorded_shapes, reindex
from windtunnel.store.sqlite import connect, decode
from windtunnel.upkeep.doctor.findings import REPAIR, RESTORE, Case, Mend
from windtunnel.upkeep.layout import DATABASE

MOST = 20
"""Findings of one kind that are written out; the rest are counted."""


def look(case: Case, db: sqlite3.Connection) -> bool:
    """False when the rest cannot be looked at."""
    for (line,) in db.execute(f"PRAGMA integrity_check({MOST})"):
        if line != "ok":
            case.error("database", DATABASE, line, RESTORE)
    version = known_version(db)
    if version == 0:
        case.note("database", DATABASE, "is empty: no cloud has been started here")
        return False
    if version > SCHEMA_VERSION:
        case.error("database", DATABASE, f"is of schema {version}, this code knows up to {SCHEMA_VERSION}", "use the newer Windtunnel")
        return False
    declared = kinds()
    _shapes(case, db, declared)
    case.looked["records"] = 0
    for (name,) in db.execute("SELECT DISTINCT kind FROM doc ORDER BY kind").fetchall():
        if name in declared:
            _kind(case, db, declared[name])
        else:
            count = db.execute("SELECT count(*) FROM doc WHERE kind=?", (name,)).fetchone()[0]
            case.warning("records", name, f"{count} records of a kind that this Windtunnel does not know", "use the one that wrote them")
    for name, value, key, kind in db.execute(
        "SELECT i.name, i.value, i.key, i.kind FROM idx i LEFT JOIN doc d ON d.kind=i.kind AND d.key=i.key WHERE d.key IS NULL LIMIT ?",
        (MOST,),
    ):
        case.error("indexes", f"{kind} {key}", f"index {name} names a record that is not there ({value})", REPAIR, _drop(case, kind, key))
    return True


def _shapes(case: Case, db: sqlite3.Connection, declared: dict[str, type[Record]]) -> None:
    for name, (schema, _) in recorded_shapes(db).items():
        if name in declared and schema > declared[name].SCHEMA:
            case.error("records", name, f"is of shape {schema}, this code knows up to {declared[name].SCHEMA}", "use the newer Windtunnel")


def _kind(case: Case, db: sqlite3.Connection, kind: type[Record]) -> None:
    broken: list[tuple[str, str]] = []
    wanted = set(expected_rows(db, kind, decode, lambda key, why: broken.append((key, why))))
    for _, value, key in (row for row in wanted if row[0] == "blob"):
        case.blobs.setdefault(value[-64:], []).append(f"{kind.KIND} {key}")
    case.looked["records"] += int(db.execute("SELECT count(*) FROM doc WHERE kind=?", (kind.KIND,)).fetchone()[0])
    for key, why in broken[:MOST]:
        case.error("records", f"{kind.KIND} {key}", f"cannot be read: {why}", RESTORE)
    unreadable = {key for key, _ in broken}
    there = {
        (name, value, key)
        for name, value, key in db.execute("SELECT name, value, key FROM idx WHERE kind=?", (kind.KIND,))
        if key not in unreadable
    }
    for name, value, key in sorted(wanted - there)[:MOST]:
        case.error("indexes", f"{kind.KIND} {key}", f"is not found under {name} = {value}", REPAIR, _reindex(case, kind))
    held = {key for (key,) in db.execute("SELECT key FROM doc WHERE kind=?", (kind.KIND,))} if there - wanted else set()
    for name, value, key in sorted(row for row in there - wanted if row[2] in held)[:MOST]:
        case.error("indexes", f"{kind.KIND} {key}", f"is found under {name} = {value}, which it does not say", REPAIR, _reindex(case, kind))


def _reindex(case: Case, kind: type[Record]) -> Mend:
    return mending(case, lambda db: reindex(db, kind, decode))


def _drop(case: Case, kind: str, key: str) -> Mend:
    return mending(case, lambda db: db.execute("DELETE FROM idx WHERE kind=? AND key=?", (kind, key)))


def mending(case: Case, work: Callable[[sqlite3.Connection], object]) -> Mend:
    """A transaction of its own on the stopped cloud's store."""

    def mend() -> None:
        with closing(connect(case.data / DATABASE)) as db:
            db.execute("BEGIN IMMEDIATE")
            work(db)
            db.execute("COMMIT")

    return mend

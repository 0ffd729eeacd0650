"""Whether a data directory is whole: every check by name, each finding one line with what to do.

Invariant: looking changes nothing; `repair` mends only what can be mended without losing anything that a record names.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from windtunnel.store.opening import Unusable, check_file
from windtunnel.upkeep.doctor import blobs, database, repositories, rights, runs, wal
from windtunnel.upkeep.doctor.findings import Case, Finding
from windtunnel.upkeep.layout import DATABASE, reading


def examine(data: Path, *, running: bool) -> Case:
    """All findings, worst first. running: a cloud writes meanwhile; what is new is then given time."""
    case = Case(data, running)
    rights.look(case)
    wal.look(case)
    try:
        check_file(data / DATABASE)
    except Unusable as unusable:
        case.error("database", str(data / DATABASE), *_split(str(unusable)))
        return case
    db = reading(data / DATABASE)
    try:
        db.execute("BEGIN")
        if database.look(case, db):
            runs.look(case, db)
            blobs.look(case, db)
            repositories.look(case, db)
    except sqlite3.DatabaseError as error:
        case.error("database", DATABASE, f"cannot be read: {error}", "go back with `windtunnel snapshot load NAME --replace`")
    finally:
        db.close()
    case.findings.sort(key=lambda finding: ("error", "warning", "note").index(finding.level))
    return case


def _split(text: str) -> tuple[str, str]:
    what, _, advice = text.partition("; ")
    return what, advice


def repair(case: Case) -> None:
    """Mend what the findings say can be mended (no cloud runs). They are then `mended`."""
    for finding in case.findings:
        if finding.mend is not None:
            finding.mend()
            finding.mended = True


__all__ = ["Case", "Finding", "examine", "repair"]

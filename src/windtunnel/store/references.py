"""What refers to blob files: the one rule by which files stay, for the sweep at start, for snapshots and for the doctor.

Invariant: what refers to a blob file says so in an index named `blob` (whichever service's record it is), or is the record of a
step of a run that still goes on; every other file is left from a deleted object or from a crash between file and row.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator

_DIGEST = re.compile(rb"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")


def referenced(db: sqlite3.Connection) -> Iterator[str]:
    """The names of all blob files that must stay."""
    for (value,) in db.execute("SELECT value FROM idx WHERE name='blob'"):
        yield value[-64:]
    live = "SELECT id FROM run WHERE state IN ('ready', 'parked')"
    for (recorded,) in db.execute(f"SELECT args FROM run WHERE id IN ({live}) UNION ALL SELECT result FROM step WHERE run IN ({live})"):
        for digest in _DIGEST.findall(recorded):
            yield digest.decode()

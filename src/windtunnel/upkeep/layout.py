"""What lies in a data directory, and how each thing is kept when the whole is put elsewhere.

    cloud.db(-wal, -shm)     the store: copied at one cut
    blobs, git               immutable files: shared
    lock, run.json, push-*   of a running process: left out
    other *.db               small stores of one part: copied at a cut of their own
    sandboxes                disks and boots of machines: left out; instances boot anew from their image
    everything else          small files (credentials, keys, tls): copied with their permissions

Invariant: what nobody listed is copied, so that a new file of some service is in every snapshot without anyone's doing.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

DATABASE = "cloud.db"
SHARED = ("blobs", "git")
_LEFT_OUT = ("lock", "run.json", "sandboxes", *SHARED)
SECRET = ("cloud.db", "cloud.db-wal", "credentials.json", "root.key")
"""Files that only their owner may read; so is everything in `tls` that is a key."""


class Refused(Exception):
    """Something that was asked for and is not done. One line: why, and what to do."""


def others(data: Path) -> list[Path]:
    """The files and directories that are copied as they are."""
    return sorted(
        entry
        for entry in data.iterdir()
        if entry.name not in _LEFT_OUT
        and not entry.name.startswith((".", DATABASE, "push-"))
        and not entry.name.endswith((".db-wal", ".db-shm"))
        and not entry.is_symlink()
    )


def unshared(name: str) -> bool:
    """Names among blobs and git objects that are half written, or belong to one moment."""
    return name in ("tmp",) or name.startswith(("tmp_", "."))


def reading(database: Path) -> sqlite3.Connection:
    """A connection that only reads and leaves no trace, also while a cloud writes. Without a log nobody has the file open."""
    logged = database.with_name(database.name + "-wal").exists()
    db = sqlite3.connect(f"file:{database}?mode=ro{'' if logged else '&immutable=1'}", uri=True, timeout=30, isolation_level=None)
    db.execute("PRAGMA query_only=1")
    return db

"""Blob files: each that a record names is there, and holds the bytes that its name is the hash of."""

from __future__ import annotations

import hashlib
import sqlite3
import time
from functools import partial
from pathlib import Path

from windtunnel.store.references import referenced
from windtunnel.upkeep.doctor.findings import Case
from windtunnel.upkeep.snapshots import blob_files

CHUNK = 1 << 20
YOUNG = 600.0
"""Seconds; a file that is younger may be named by a row any moment, while a cloud runs."""
BRING_BACK = "put the object again, or go back with `windtunnel snapshot load NAME --replace`"


def look(case: Case, db: sqlite3.Connection) -> None:
    root = case.data / "blobs"
    there = {path.name: path for path in blob_files(root)}
    named = set(referenced(db)) | case.blobs.keys()
    case.looked["blobs"] = len(there)
    for digest in sorted(named):
        subject, path = _subject(digest, case.blobs.get(digest, [])), root / digest[:2] / digest
        found = hash_of(path)
        if found is None:
            case.error("blobs", subject, "its file is not there", BRING_BACK)
        elif found != digest:
            case.error("blobs", subject, f"its file has been altered ({path.stat().st_size} bytes are left, of another hash)", BRING_BACK)
    unnamed = [path for name, path in there.items() if name not in named and not (case.running and _young(path))]
    if unnamed:
        size = sum(path.stat().st_size for path in unnamed)
        case.note(
            "blobs",
            str(root),
            f"{len(unnamed)} files that nothing names ({size} bytes)",
            "the next start sweeps them",
            partial(_remove, unnamed),
        )


def _subject(digest: str, owners: list[str]) -> str:
    shown = ", ".join(owners[:3]) + (f" and {len(owners) - 3} more" if len(owners) > 3 else "")
    return f"{digest} ({shown or 'a step of a run'})"


def hash_of(path: Path) -> str | None:
    """None when there is no such file."""
    digest = hashlib.sha256()
    try:
        with path.open("rb", buffering=0) as file:
            while data := file.read(CHUNK):
                digest.update(data)
    except FileNotFoundError:
        return None
    except OSError as error:
        return f"unreadable: {error.strerror}"
    return digest.hexdigest()


def _young(path: Path) -> bool:
    try:
        return time.time() - path.stat().st_mtime < YOUNG
    except FileNotFoundError:
        return True


def _remove(paths: list[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)

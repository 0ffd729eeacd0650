"""Removing blob files that nothing refers to, once at each start, before anything is answered.

Invariant: what refers to a blob file says so in an index named `blob` (whichever service's record it is), or is the record of a
step of a run that still goes on; every other file is left from a deleted object or from a crash between file and row.
"""

from __future__ import annotations

import logging
import re
import sqlite3
from collections.abc import Iterator
from typing import Any

from windtunnel.kernel.records import Record
from windtunnel.kernel.registry import at_start

_DIGEST = re.compile(rb"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
log = logging.getLogger("windtunnel.s3")


@at_start
def sweep_blobs(cloud: Any) -> None:
    """Ask the store what is referred to, and have the rest removed."""
    with cloud.store.thread_snapshot("", "") as tx:
        removed = cloud.blobs.sweep(referenced(tx.connection))
    if removed:
        log.info("removed %d blob files that nothing refers to", removed)


def referenced(db: sqlite3.Connection) -> Iterator[str]:
    """The names of all blob files that must stay."""
    for kind in sorted(_kinds_with_blobs(Record)):
        for (value,) in db.execute("SELECT value FROM idx WHERE kind=? AND name='blob'", (kind,)):
            yield value[-64:]
    live = "SELECT id FROM run WHERE state IN ('ready', 'parked')"
    for (recorded,) in db.execute(f"SELECT args FROM run WHERE id IN ({live}) UNION ALL SELECT result FROM step WHERE run IN ({live})"):
        for digest in _DIGEST.findall(recorded):
            yield digest.decode()


def _kinds_with_blobs(base: type[Record]) -> set[str]:
    kinds = {base.KIND} if "blob" in base.INDEXES else set()
    return kinds.union(*(_kinds_with_blobs(kind) for kind in base.__subclasses__()))

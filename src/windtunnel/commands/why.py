"""`why ID`: the trail that leads to a thing, as one chain, read from the store of a running or stopped cloud."""

from __future__ import annotations

import argparse
import sqlite3
import sys
import time
from pathlib import Path

from windtunnel.kernel.trail import TrailLine
from windtunnel.kernel.typed import from_json

COLUMNS = "d.body"


def main(options: argparse.Namespace) -> int:
    lines = chain(options.data, options.id)
    if not lines:
        print(f"windtunnel: nothing is known of {options.id}", file=sys.stderr)
        return 1
    for line in lines:
        clock = time.strftime("%H:%M:%S", time.localtime(line.at))
        mark = "!" if line.level == "error" else " "
        print(f"{clock}.{int(line.at * 1000) % 1000:03d} {mark} " + line.text.rstrip().replace("\n", "\n               "))
    return 0


def chain(data: Path, subject: str) -> list[TrailLine]:
    """Every line that shares a cause with the subject, oldest first."""
    path = data / "cloud.db"
    if not path.exists():
        return []
    db = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)
    try:
        causes = {line.cause for line in _find(db, "subject", subject)} | {subject}
        found = {line.id: line for cause in causes if cause != "none" for line in _find(db, "cause", cause)}
        found |= {line.id: line for line in _find(db, "subject", subject)}
    finally:
        db.close()
    return [found[key] for key in sorted(found)]


def _find(db: sqlite3.Connection, index: str, value: str) -> list[TrailLine]:
    rows = db.execute(
        f"SELECT {COLUMNS} FROM idx i JOIN doc d ON d.kind=i.kind AND d.key=i.key WHERE i.kind=? AND i.name=? AND i.value=?",
        (TrailLine.KIND, index, "//" + value),
    )
    return [from_json(body, TrailLine) for (body,) in rows]

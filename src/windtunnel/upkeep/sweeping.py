"""Blob files that nothing names any more are removed while the cloud runs, long after the last row that named them went.

Looking is a process of its own (`python -m windtunnel.upkeep.sweeping DATA` prints names), so that many files cost the server nothing.
Invariant: what is removed was seen unnamed again and again for an hour. An upload whose row is on its way, a copy that has read what it
copies, and a download that has begun are over by then; what a row names at any of these looks stays.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

from windtunnel.store.references import referenced
from windtunnel.upkeep.layout import DATABASE, reading
from windtunnel.upkeep.snapshots import blob_files

EVERY = 600.0
UNNAMED = 3600.0
log = logging.getLogger("windtunnel.upkeep")


def unnamed(data: Path) -> list[str]:
    """The files that no row names now. They are listed before the rows are read, so that one whose row came meanwhile is not among them."""
    there = [path.name for path in blob_files(data / "blobs")]
    if not there:
        return []
    db = reading(data / DATABASE)
    try:
        db.execute("BEGIN")
        named = set(referenced(db))
    finally:
        db.close()
    return [name for name in there if name not in named]


async def look(data: Path) -> list[str]:
    """`unnamed`, seen by a process of its own that gives way to others. Raises OSError when it could not look."""
    command = ["nice", "-n", "10", sys.executable, "-P", "-m", __name__, str(data)]
    process = await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    if process.returncode != 0:
        raise OSError(f"status {process.returncode}")
    return out.decode().split()


class Sweeper:
    """What has been seen unnamed, and since when."""

    def __init__(self, root: Path, see: Callable[[], Awaitable[list[str]]], monotonic: Callable[[], float]) -> None:
        self._root = root
        self._see = see
        self._monotonic = monotonic
        self._since: dict[str, float] = {}

    async def once(self) -> int:
        """One look. How many files were removed."""
        if not any(entry.name != "tmp" for entry in self._root.iterdir()):
            return 0
        try:
            seen = await self._see()
        except OSError as error:
            log.warning("the blobs could not be looked at: %s", error)
            return 0
        now = self._monotonic()
        self._since = {name: self._since.get(name, now) for name in seen}
        gone = [name for name, since in self._since.items() if now - since >= UNNAMED]
        if gone:
            await asyncio.get_running_loop().run_in_executor(None, remove, self._root, gone)
            log.info("removed %d blob files that nothing has named for an hour", len(gone))
        return len(gone)

    async def forever(self) -> None:
        while True:
            await asyncio.sleep(EVERY)
            await self.once()


def remove(root: Path, names: Iterable[str]) -> None:
    for name in names:
        (root / name[:2] / name).unlink(missing_ok=True)


if __name__ == "__main__":
    print("\n".join(unnamed(Path(sys.argv[1]))))

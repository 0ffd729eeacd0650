"""The journal of an instance: what its services say, as lines in one file.

Why it exists: `journalctl` and `systemctl status` show what a service has written; the init keeps it.

The invariant it keeps: one record is one line (`time, unit, source, message`, tabs between), appended whole; two files of bounded size.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import NamedTuple

PATH = "/var/log/windtunnel/journal"
LIMIT = 8 << 20
LINE_LIMIT = 16 << 10


class Record(NamedTuple):
    """time: seconds since the epoch. unit: a unit's name, or `init` (the machine itself). source: `nginx[17]`."""

    time: float
    unit: str
    source: str
    message: str


class Journal:
    """The writer: the init, alone."""

    def __init__(self, path: str = PATH, limit: int = LIMIT) -> None:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        self.path = path
        self.limit = limit
        self.fd = self._open()
        self.size = os.fstat(self.fd).st_size

    def _open(self) -> int:
        return os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)

    def write(self, unit: str, source: str, message: str, now: float | None = None) -> None:
        clean = message[:LINE_LIMIT].replace("\n", " ")
        line = f"{now or time.time():.6f}\t{unit}\t{source}\t{clean}\n".encode("utf-8", "replace")
        try:
            if self.size + len(line) > self.limit:
                os.replace(self.path, self.path + ".1")
                os.close(self.fd)
                self.fd, self.size = self._open(), 0
            self.size += os.write(self.fd, line)
        except OSError:
            # A full disk costs lines of the journal, never the init.
            return


def parse(line: str) -> Record | None:
    parts = line.rstrip("\n").split("\t", 3)
    try:
        return Record(float(parts[0]), parts[1], parts[2], parts[3])
    except (IndexError, ValueError):
        return None


def read(path: str = PATH) -> Iterator[Record]:
    """All records, oldest first."""
    for name in (path + ".1", path):
        try:
            with open(name, encoding="utf-8", errors="replace") as stream:
                for line in stream:
                    record = parse(line)
                    if record is not None:
                        yield record
        except FileNotFoundError:
            continue


_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def short(record: Record, host: str) -> str:
    """journalctl's default line."""
    at = time.localtime(record.time)
    return f"{_MONTHS[at.tm_mon - 1]} {at.tm_mday:02d} {at.tm_hour:02d}:{at.tm_min:02d}:{at.tm_sec:02d} {host} {record.source}: {record.message}"

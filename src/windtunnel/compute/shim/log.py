"""The log file of a boot: a run of frames, written by the supervisor, read by anyone at any time.

    offset  size  what
         0     8  microseconds since the epoch, unsigned, big-endian
         8     4  length of the data in bytes, at least 1
        12     1  stream: 1 stdout, 2 stderr
        13     3  zero
        16     …  the data, as it was read from the guest: any bytes, not lines

Invariant: the file grows by whole frames only. A frame is appended with one write; if that write is cut short (disk full) the file
is cut back to the frame's beginning. So whoever reads on from a frame's end either sees a whole frame or should come back later.
"""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Iterator

HEADER = struct.Struct(">QIB3x")
LIMIT = 1 << 30
"""A log holds a gigabyte: a guest that prints for ever fills this file and not the machine's disk."""

STDOUT = 1
STDERR = 2


class Writer:
    def __init__(self, path: str, limit: int = LIMIT) -> None:
        self._limit = limit
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._last = 0
        self.dropped = 0

    def write(self, stream: int, data: bytes) -> None:
        """Append one frame. What there is no room for is dropped and counted: a guest must not hang on our full disk."""
        self._last = max(self._last, time.time_ns() // 1000)
        frame = HEADER.pack(self._last, len(data), stream) + data
        before = os.fstat(self._fd).st_size
        try:
            written = os.write(self._fd, frame) if before + len(frame) <= self._limit else 0
        except OSError:
            written = 0
        if written != len(frame):
            os.ftruncate(self._fd, before)
            self.dropped += len(data)

    def close(self) -> None:
        """Flush, as far as the disk can."""
        try:
            os.fsync(self._fd)
        except OSError:
            pass  # what could not be written is counted in `dropped`
        os.close(self._fd)


def parse(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """(microseconds, stream, payload) of each whole frame at the beginning of data."""
    at = 0
    while at + HEADER.size <= len(data):
        micros, length, stream = HEADER.unpack_from(data, at)
        end = at + HEADER.size + length
        if end > len(data):
            return
        yield micros, stream, data[at + HEADER.size : end]
        at = end

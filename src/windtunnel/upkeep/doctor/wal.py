"""The write-ahead log, read as SQLite's recovery reads it: how far it is whole, and what follows the last whole commit.

A kill leaves at most a transaction that was never acknowledged. A log that ends within a frame, or whose checksums break off before
its end, has lost bytes after it was written: what was acknowledged last may be among them, and only this says so.
"""

from __future__ import annotations

import struct
from pathlib import Path

from windtunnel.upkeep.doctor.findings import Case

HEADER, FRAME = 32, 24


def look(case: Case) -> None:
    """Only without a cloud: a log that is written to is never at rest."""
    path = case.data / "cloud.db-wal"
    if case.running or not path.exists():
        return
    found = read(path)
    if found is None:
        return
    frames, committed, cut = found
    case.looked["log frames"] = committed
    if cut:
        case.warning(
            "log",
            str(path),
            f"is cut off within frame {frames + 1}: the store opens at the last whole commit (frame {committed}), and what was committed after it is gone",
            "compare with what your clients know, or go back with `windtunnel snapshot load NAME --replace`",
        )
    elif frames > committed:
        case.note(
            "log", str(path), f"{frames - committed} frames of a transaction that was not committed", "they are left out, as they must be"
        )


def read(path: Path) -> tuple[int, int, bool] | None:
    """(whole frames, frames up to the last commit, whether it ends within a frame); None for an empty or foreign log."""
    data = path.read_bytes()
    if len(data) < HEADER:
        return (0, 0, True) if data else None
    magic, _, page = struct.unpack(">III", data[:12])
    if magic & 0xFFFFFFFE != 0x377F0682:
        return None
    order = ">" if magic & 1 else "<"
    salts, sums = data[16:24], _checksum(data[:24], order, (0, 0))
    size, frames, committed = FRAME + (65536 if page == 1 else page), 0, 0
    position = HEADER
    while position + size <= len(data):
        frame = data[position : position + size]
        if frame[8:16] != salts:
            return frames, committed, False  # what follows is of an earlier round of the log
        sums = _checksum(frame[FRAME:], order, _checksum(frame[:8], order, sums))
        if struct.unpack(">II", frame[16:24]) != sums:
            return frames, committed, True
        frames += 1
        if struct.unpack(">I", frame[4:8])[0]:
            committed = frames
        position += size
    return (
        frames,
        committed,
        position < len(data) and data[position + 8 : position + 16] in (salts, salts[: max(0, len(data) - position - 8)]),
    )


def _checksum(data: bytes, order: str, sums: tuple[int, int]) -> tuple[int, int]:
    first, second = sums
    for one, two in struct.iter_unpack(order + "II", data):
        first = (first + one + second) & 0xFFFFFFFF
        second = (second + two + first) & 0xFFFFFFFF
    return first, second

"""A snapshot put into a data directory: everything is made beside what is there, then exchanged by renames.

Invariant: at any instant the directory is the old cloud or, from the moment `.load` is there, the new one: whoever opens it next
finishes the exchange first. `up` does so before it opens the store.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import msgspec

from windtunnel.kernel.typed import from_json
from windtunnel.upkeep.layout import DATABASE, SHARED, Refused
from windtunnel.upkeep.snapshots import MANIFEST, Manifest, copy_database, the_snapshot, write_whole
from windtunnel.upkeep.trees import copy_file, fsync_directory, settle, share

ORDER, FRESH, OLD = ".load", ".loading", ".replaced"


class Order(msgspec.Struct, frozen=True):
    """`.load`: the exchange has been decided. Names of the entries that go, and of those that come."""

    snapshot: str
    gone: tuple[str, ...]
    come: tuple[str, ...]


def load(root: Path, name: str, data: Path, *, replace: bool = False) -> Manifest:
    """Put a snapshot into a data directory on which no cloud runs (the caller holds its lock)."""
    home, manifest = the_snapshot(root, name)
    finish(data)
    if (data / DATABASE).exists() and not replace:
        raise Refused(f"there is a cloud in {data}; save it if you want it, then `windtunnel snapshot load {name} --replace`")
    fresh = data / FRESH
    fresh.mkdir(mode=0o700)
    try:
        for entry in sorted(home.iterdir()):
            _put(entry, fresh / entry.name, manifest)
        settle(fresh)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    gone = tuple(sorted(entry.name for entry in data.iterdir() if entry.name not in ("lock", FRESH, OLD)))
    order = Order(name, gone, tuple(sorted(entry.name for entry in fresh.iterdir())))
    write_whole(data / ORDER, msgspec.json.encode(order))
    finish(data)
    return manifest


def _put(entry: Path, target: Path, manifest: Manifest) -> None:
    if entry.name == MANIFEST:
        return
    if entry.name == DATABASE:
        copy_database(entry, target)
    elif entry.is_dir():
        share(entry, target, copy=manifest.copied or entry.name not in SHARED)
    else:
        copy_file(entry, target)


def finish(data: Path) -> bool:
    """Carry out an exchange that was decided, from wherever it stopped; forget one that was not. Whether there was one."""
    order = _order(data)
    if order is not None:
        (data / OLD).mkdir(exist_ok=True, mode=0o700)
        for name in order.gone:
            if os.path.lexists(data / name) and not os.path.lexists(data / OLD / name):
                os.rename(data / name, data / OLD / name)
        fsync_directory(data)
        for name in order.come:
            if os.path.lexists(data / FRESH / name):
                os.rename(data / FRESH / name, data / name)
        fsync_directory(data)
        (data / ORDER).unlink()
        fsync_directory(data)
    for left in (FRESH, OLD):
        if (data / left).exists():
            shutil.rmtree(data / left)
    return order is not None


def _order(data: Path) -> Order | None:
    try:
        return from_json((data / ORDER).read_bytes(), Order)
    except FileNotFoundError:
        return None

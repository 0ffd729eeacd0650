"""Snapshots: a whole cloud at one moment, taken in seconds beside a running one, and put into any data directory later.

The moment is the cut of the database: one read transaction, from which SQLite copies its pages. Blobs and git objects are on disk
before a row names them and never change, so those that are there after the cut hold everything that the cut names; they are shared
as hard links, before the cut (so that none can go) and again after it (for the new ones).

Invariant: a snapshot is whole (its directory gets its name last) or it is not there.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from windtunnel import __version__
from windtunnel.kernel.typed import from_json
from windtunnel.store.opening import SCHEMA_VERSION, known_version
from windtunnel.store.references import referenced
from windtunnel.upkeep.layout import DATABASE, SHARED, Refused, others, reading, unshared
from windtunnel.upkeep.trees import Tally, copy_file, fsync_directory, settle, share

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")
MANIFEST = "snapshot.json"
CUTS = 3


class Manifest(msgspec.Struct, frozen=True):
    """`snapshot.json`. taken: epoch seconds of the cut; size: bytes of its files; missing: blobs that the cloud itself lacks."""

    name: str
    taken: float
    version: str
    schema: int
    files: int
    size: int
    copied: bool = False
    missing: tuple[str, ...] = ()


def check_name(name: str) -> str:
    if not _NAME.match(name):
        raise Refused(f"{name!r} is no name for a snapshot: letters, digits, '.', '_' and '-', at most 64, a letter or digit first")
    return name


def found(root: Path) -> list[Manifest]:
    """All snapshots, oldest first."""
    manifests = (read_manifest(entry) for entry in (root.iterdir() if root.is_dir() else ()) if not entry.name.startswith("."))
    return sorted((manifest for manifest in manifests if manifest is not None), key=lambda manifest: manifest.taken)


def read_manifest(home: Path) -> Manifest | None:
    try:
        return from_json((home / MANIFEST).read_bytes(), Manifest)
    except (FileNotFoundError, NotADirectoryError, msgspec.DecodeError):
        return None


def the_snapshot(root: Path, name: str) -> tuple[Path, Manifest]:
    """Where a snapshot is and what it says; Refused when there is none, or it is of a newer Windtunnel."""
    manifest = read_manifest(root / check_name(name))
    if manifest is None:
        known = ", ".join(other.name for other in found(root)) or "none"
        raise Refused(f"there is no snapshot {name} in {root}; there are: {known}")
    if manifest.schema > SCHEMA_VERSION:
        raise Refused(f"snapshot {name} was made by a newer Windtunnel ({manifest.version}): load it with that one")
    return root / name, manifest


def save(data: Path, root: Path, name: str, *, copy: bool = False) -> Manifest:
    """Take a snapshot of the cloud in `data`, running or not. copy: share no file with it, so that its damage is not ours."""
    check_name(name)
    if not (data / DATABASE).exists():
        raise Refused(f"there is no cloud in {data}")
    if (root / name).exists():
        raise Refused(f"there is a snapshot {name} already; delete it with `windtunnel snapshot delete {name}`, or take another name")
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    for left in root.glob(f".{name}.*"):
        shutil.rmtree(left, ignore_errors=True)
    partial = root / f".{name}.{secrets.token_hex(4)}"
    partial.mkdir(mode=0o700)
    try:
        manifest = _take(data, partial, name, copy)
        write_whole(partial / MANIFEST, msgspec.json.encode(manifest))
        settle(partial)
        os.rename(partial, root / name)
        fsync_directory(root)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return manifest


def _take(data: Path, into: Path, name: str, copy: bool) -> Manifest:
    _share(data, into, copy)
    for _ in range(CUTS):
        taken = time.time()
        schema = copy_database(data / DATABASE, into / DATABASE)
        tally = _share(data, into, copy)
        missing = _keep_only_what_is_named(into)
        if not missing:
            break
    for entry in others(data):
        target = into / entry.name
        if entry.is_dir():
            share(entry, target, copy=True)
        elif entry.suffix == ".db":
            copy_database(entry, target)
        else:
            copy_file(entry, target)
    return Manifest(name, taken, __version__, schema, tally.files, tally.size, copy, tuple(sorted(missing)))


def _share(data: Path, into: Path, copy: bool) -> Tally:
    tallies = [share(data / part, into / part, copy=copy, skip=unshared) for part in SHARED]
    return Tally(sum(tally.files for tally in tallies), sum(tally.size for tally in tallies))


def copy_database(source: Path, target: Path) -> int:
    """A copy at one cut, pages as they are, in one file without a log; its schema. The writer of the source is not kept waiting."""
    target.unlink(missing_ok=True)
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    read, write = reading(source), sqlite3.connect(target, isolation_level=None)
    try:
        write.execute("PRAGMA synchronous=OFF")
        read.backup(write, pages=-1)
        write.execute("PRAGMA journal_mode=DELETE")
        version = known_version(write)
    except sqlite3.DatabaseError as error:
        raise Refused(f"{source} cannot be read ({error}); look at it with `windtunnel doctor --data {source.parent}`") from error
    finally:
        read.close()
        write.close()
    with target.open("rb") as file:
        os.fsync(file.fileno())
    return version


def _keep_only_what_is_named(into: Path) -> set[str]:
    """Remove blobs that the cut does not name; those that it names and that are not there."""
    db = reading(into / DATABASE)
    try:
        named = set(referenced(db)) if db.execute("SELECT 1 FROM sqlite_master WHERE name='idx'").fetchone() else set()
    finally:
        db.close()
    there = {path.name: path for path in blob_files(into / "blobs")}
    for name, path in there.items():
        if name not in named:
            path.unlink()
    return named - there.keys()


def blob_files(root: Path) -> Iterator[Path]:
    for directory in sorted(root.iterdir()) if root.is_dir() else ():
        if directory.is_dir() and directory.name != "tmp":
            yield from sorted(directory.iterdir())


def delete(root: Path, name: str) -> None:
    """It is gone from the list at once; then its files go."""
    home = root / check_name(name)
    if not home.is_dir():
        raise Refused(f"there is no snapshot {name} in {root}")
    doomed = root / f".{name}.{secrets.token_hex(4)}"
    os.rename(home, doomed)
    fsync_directory(root)
    shutil.rmtree(doomed)


def write_whole(path: Path, content: bytes) -> None:
    """Whole or not at all, durable, for its owner only."""
    fresh = path.with_name(f".{path.name}.new")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(fresh, path)
    fsync_directory(path.parent)

"""Trees of files that never change once they are there (blobs, git objects), put in a second place without copying a byte.

Invariant: what has been put and `settle`d is durable; a file is there whole or not at all; nothing that is written to later is ever shared.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

_FICLONE = 0x40049409
Skip = Callable[[str], bool]


class Tally(NamedTuple):
    """How many files, and bytes in them."""

    files: int = 0
    size: int = 0


def share(source: Path, target: Path, *, copy: bool = False, skip: Skip = lambda name: False) -> Tally:
    """Put every file under source under target too, where it is not yet: as hard links, or as copies if wanted or needed.

    Files that go away meanwhile are left out.
    """
    files = size = 0
    for directory, names in walk(source, skip):
        into = target / directory.relative_to(source)
        into.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name in names:
            try:
                if not (into / name).exists():
                    put(directory / name, into / name, copy=copy)
                size += (into / name).stat().st_size
                files += 1
            except FileNotFoundError:
                continue
    return Tally(files, size)


def walk(root: Path, skip: Skip = lambda name: False) -> Iterator[tuple[Path, list[str]]]:
    """(directory, its regular files), without what is skipped by name; nothing if there is no such directory."""
    for directory, inner, names in os.walk(root):
        inner[:] = sorted(name for name in inner if not skip(name))
        here = Path(directory)
        yield here, sorted(name for name in names if not skip(name) and not (here / name).is_symlink())


def put(source: Path, target: Path, *, copy: bool = False) -> None:
    """A file in a second place: linked, cloned or copied; whole or not at all."""
    if not copy:
        try:
            os.link(source, target)
            return
        except OSError as error:
            if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP):
                raise
    copy_file(source, target)


def copy_file(source: Path, target: Path) -> None:
    """A file of its own with the same bytes and permissions, fsynced; the blocks are shared where the file system can (reflinks)."""
    fresh = target.with_name(f".{secrets.token_hex(8)}.new")
    try:
        with source.open("rb") as read, os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as write:
            try:
                fcntl.ioctl(write.fileno(), _FICLONE, read.fileno())
            except OSError:
                shutil.copyfileobj(read, write, 1 << 20)
            write.flush()
            os.fchmod(write.fileno(), os.fstat(read.fileno()).st_mode & 0o777)
            os.fsync(write.fileno())
        os.replace(fresh, target)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise


def settle(root: Path) -> None:
    """Make the names in every directory of a tree durable."""
    for directory, _, _ in os.walk(root, topdown=False):
        fsync_directory(Path(directory))


def fsync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

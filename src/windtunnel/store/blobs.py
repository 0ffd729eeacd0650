"""Content-addressed files for object bodies and artifacts.

Order of writes: the file first, fsynced and renamed into place, then the row that names it. A file that no row names is
garbage from a crash between the two and is swept at start; a row never names a file that is not there.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Iterable
from pathlib import Path

from windtunnel.kernel.cloud import BlobRef

INLINE_LIMIT = 16 * 1024


class FileBlobs:
    """Blobs under one directory: `ab/abcdef…`, plus `tmp/` for those being written."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._tmp = root / "tmp"
        self._tmp.mkdir(parents=True, exist_ok=True)
        self._known_dirs: set[str] = set()

    def small(self, data: bytes) -> BlobRef:
        return BlobRef(hashlib.sha256(data).hexdigest(), len(data), hashlib.md5(data, usedforsecurity=False).hexdigest(), data)

    def put(self, data: bytes) -> BlobRef:
        """Inline when small, else a durable file."""
        if len(data) <= INLINE_LIMIT:
            return self.small(data)
        writer = self.writer()
        writer.write(data)
        return writer.finish()

    def writer(self) -> FileBlobWriter:
        return FileBlobWriter(self)

    def path(self, ref: BlobRef) -> Path:
        return self.root / ref.sha256[:2] / ref.sha256

    def read(self, ref: BlobRef, offset: int = 0, length: int | None = None) -> bytes:
        if ref.inline is not None:
            return ref.inline[offset:] if length is None else ref.inline[offset : offset + length]
        with self.path(ref).open("rb") as file:
            file.seek(offset)
            return file.read() if length is None else file.read(length)

    def directory(self, name: str) -> Path:
        """A blob's directory, made durable before anything is renamed into it."""
        path = self.root / name
        if name not in self._known_dirs:
            path.mkdir(exist_ok=True)
            _fsync_directory(self.root)
            self._known_dirs.add(name)
        return path

    def sweep(self, referenced: Iterable[str]) -> int:
        """Remove files that no row names (given by sha256), and half-written ones. Only at start, before requests. Returns how many."""
        keep, removed = set(referenced), 0
        for directory in self.root.iterdir():
            for file in directory.iterdir():
                if directory.name == "tmp" or file.name not in keep:
                    file.unlink()
                    removed += 1
        return removed


class FileBlobWriter:
    """Streams into a temporary file, hashing on the way."""

    def __init__(self, blobs: FileBlobs) -> None:
        self._blobs = blobs
        self._path = blobs._tmp / secrets.token_hex(16)
        self._file = self._path.open("wb", buffering=0)
        self._sha = hashlib.sha256()
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._size = 0

    def write(self, data: bytes) -> None:
        self._sha.update(data)
        self._md5.update(data)
        self._size += len(data)
        self._file.write(data)

    def finish(self) -> BlobRef:
        name = self._sha.hexdigest()
        os.fsync(self._file.fileno())
        self._file.close()
        directory = self._blobs.directory(name[:2])
        os.replace(self._path, directory / name)
        _fsync_directory(directory)
        return BlobRef(name, self._size, self._md5.hexdigest())

    def discard(self) -> None:
        self._file.close()
        self._path.unlink(missing_ok=True)


def _fsync_directory(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)

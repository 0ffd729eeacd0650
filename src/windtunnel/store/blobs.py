"""Content-addressed files for object bodies and artifacts.

Order of writes: the file first, fsynced and renamed into place, then the row that names it. A file that no row names is
garbage from a crash between the two (or from a row that went) and is swept at start; a row never names a file that is not there.
What is small never becomes a file: the row that refers to it holds it.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Iterable, Iterator
from io import FileIO
from pathlib import Path

from windtunnel.kernel.cloud import BlobRange, BlobRef

INLINE_LIMIT = 16 * 1024
CHUNK = 256 * 1024


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

    def stream(self, ranges: BlobRange | Iterable[BlobRange], size: int = CHUNK) -> Iterator[bytes]:
        """The bytes of these ranges one after the other, in chunks of at most `size`: flat memory for any length."""
        for part in [ranges] if isinstance(ranges, BlobRange) else ranges:
            if part.ref.inline is not None:
                yield part.ref.inline[part.offset : part.offset + part.length]
                continue
            left = part.length
            with self.path(part.ref).open("rb", buffering=0) as file:
                file.seek(part.offset)
                while left:
                    data = file.read(min(size, left))
                    if not data:
                        raise OSError(f"blob {part.ref.sha256} is shorter than its record says")
                    left -= len(data)
                    yield data

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
    """Hashes on the way; keeps what is small in memory and streams what is not into a temporary file."""

    def __init__(self, blobs: FileBlobs) -> None:
        self._blobs = blobs
        self._path: Path | None = None
        self._file: FileIO | None = None
        self._held = bytearray()
        self._sha = hashlib.sha256()
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._size = 0

    def write(self, data: bytes) -> None:
        self._sha.update(data)
        self._md5.update(data)
        self._size += len(data)
        if self._file is not None:
            _write_all(self._file, data)
        elif self._size <= INLINE_LIMIT:
            self._held += data
        else:
            self._path = self._blobs._tmp / secrets.token_hex(16)
            self._file = FileIO(self._path, "w")
            _write_all(self._file, bytes(self._held))
            _write_all(self._file, data)
            self._held.clear()

    def finish(self) -> BlobRef:
        name, md5 = self._sha.hexdigest(), self._md5.hexdigest()
        if self._file is None or self._path is None:
            return BlobRef(name, self._size, md5, bytes(self._held))
        os.fsync(self._file.fileno())
        self._file.close()
        directory = self._blobs.directory(name[:2])
        os.replace(self._path, directory / name)
        _fsync_directory(directory)
        return BlobRef(name, self._size, md5)

    def discard(self) -> None:
        if self._file is not None and self._path is not None:
            self._file.close()
            self._path.unlink(missing_ok=True)


def _write_all(file: FileIO, data: bytes) -> None:
    """One write(2) stops at 2 GiB, and at a signal: go on until all is out."""
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]


def _fsync_directory(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)

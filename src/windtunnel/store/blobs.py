"""Content-addressed files for object bodies and artifacts, encrypted at rest.

Order of writes: the file first, fsynced and renamed into place, then the row that names it. A file that no row names is
garbage from a crash between the two (or from a row that went) and is swept at start; a row never names a file that is not there.
What is small never becomes a file: the row that refers to it holds it, sealed.
Invariant: a file's name is the SHA-256 of its bytes, which are ciphertext (store/cipher.py), so that damage is found without a key.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from io import FileIO
from pathlib import Path

from windtunnel.kernel.cloud import SEALED, BlobRange, BlobReader, BlobRef, DamagedBlob
from windtunnel.kernel.errors import StoreUnavailable
from windtunnel.kernel.sealing import Sealer, Unsealable
from windtunnel.store.cipher import ChunkedReader, ChunkedWriter, InlineReader, PlainReader

INLINE_LIMIT = 16 * 1024
CHUNK = 256 * 1024
_INLINE = b"blob"
_ASIDE = 256 * 1024
"""From here on MD5, the slowest of what a body goes through, runs beside the rest."""


@contextmanager
def on_disk() -> Iterator[None]:
    """A disk that is full, read-only or broken is no mistake of who writes: StoreUnavailable."""
    try:
        yield
    except OSError as error:
        raise StoreUnavailable(f"The bytes could not be made durable: {error.strerror}") from error


class FileBlobs:
    """Blobs under one directory: `ab/abcdef…`, plus `tmp/` for those being written. sealer: asked for when first needed."""

    def __init__(self, root: Path, sealer: Callable[[], Sealer]) -> None:
        self.root = root
        self.make_sealer = sealer
        self._tmp = root / "tmp"
        self._tmp.mkdir(parents=True, exist_ok=True)
        self._known_dirs: set[str] = set()
        self._sealer: Sealer | None = None
        self._digesters: ThreadPoolExecutor | None = None

    @property
    def sealer(self) -> Sealer:
        if self._sealer is None:
            self._sealer = self.make_sealer()
        return self._sealer

    @property
    def digesters(self) -> ThreadPoolExecutor:
        if self._digesters is None:
            self._digesters = ThreadPoolExecutor(2, thread_name_prefix="md5")
        return self._digesters

    def small(self, data: bytes) -> BlobRef:
        return BlobRef(hashlib.sha256(data).hexdigest(), len(data), hashlib.md5(data, usedforsecurity=False).hexdigest(), data)

    def sealed(self, ref: BlobRef) -> BlobRef:
        if ref.inline is None or ref.key:
            return ref
        return BlobRef("", ref.size, ref.md5, self.sealer.seal(ref.inline, _INLINE), SEALED)

    def opened(self, ref: BlobRef) -> BlobRef:
        if ref.inline is None or not ref.key:
            return ref
        try:
            return BlobRef(ref.sha256, ref.size, ref.md5, self.sealer.unseal(ref.inline, _INLINE))
        except Unsealable as error:
            raise DamagedBlob(f"inline bytes: {error}") from None

    def put(self, data: bytes) -> BlobRef:
        """Inline when small, else a durable file."""
        writer = self.writer()
        try:
            writer.write(data)
            return writer.finish()
        except BaseException:
            writer.discard()
            raise

    def writer(self) -> FileBlobWriter:
        return FileBlobWriter(self)

    def path(self, ref: BlobRef) -> Path:
        return self.root / ref.sha256[:2] / ref.sha256

    def reader(self, ref: BlobRef) -> BlobReader:
        if ref.inline is not None:
            return InlineReader(self.opened(ref).inline or b"")
        try:
            key = self.sealer.unseal(ref.key, file_context(ref.sha256)) if ref.key else b""
            file = os.open(self.path(ref), os.O_RDONLY)
        except (OSError, Unsealable) as error:
            raise DamagedBlob(f"{ref.sha256}: {error}") from None
        return ChunkedReader(file, ref, key) if key else PlainReader(file, ref)

    def read(self, ref: BlobRef, offset: int = 0, length: int | None = None) -> bytes:
        reader = self.reader(ref)
        try:
            left = max(0, ref.size - offset)
            return reader.read(offset, left if length is None else min(length, left))
        finally:
            reader.close()

    def stream(self, ranges: BlobRange | Iterable[BlobRange], size: int = CHUNK) -> Iterator[bytes]:
        """The bytes of these ranges one after the other, in chunks of at most `size`: flat memory for any length."""
        for part in [ranges] if isinstance(ranges, BlobRange) else ranges:
            reader = self.reader(part.ref)
            try:
                for at in range(part.offset, part.offset + part.length, size):
                    yield reader.read(at, min(size, part.offset + part.length - at))
            finally:
                reader.close()

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

    def close(self) -> None:
        if self._digesters is not None:
            self._digesters.shutdown()


def file_context(name: str) -> bytes:
    """For what a file's data key is sealed: that file alone."""
    return b"blob/" + name.encode()


class FileBlobWriter:
    """Hashes and encrypts on the way; keeps what is small in memory and streams what is not into a temporary file."""

    def __init__(self, blobs: FileBlobs) -> None:
        self._blobs = blobs
        self._path: Path | None = None
        self._file: FileIO | None = None
        self._held = bytearray()
        self._key = b""
        self._cipher: ChunkedWriter | None = None
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._digesting: Future[None] | None = None
        self._sha = hashlib.sha256()
        self._size = 0

    def write(self, data: bytes) -> None:
        self._size += len(data)
        self._digest(data)
        if self._cipher is not None:
            self._out(self._cipher.update(data))
        elif self._size <= INLINE_LIMIT:
            self._held += data
        else:
            self._key = secrets.token_bytes(32)
            self._cipher = ChunkedWriter(self._key)
            with on_disk():
                self._path = self._blobs._tmp / secrets.token_hex(16)
                self._file = FileIO(self._path, "w")
            self._out(self._cipher.update(bytes(self._held) + data))
            self._held.clear()

    def _digest(self, data: bytes) -> None:
        self._digested()
        if len(data) < _ASIDE:
            self._md5.update(data)
        else:
            self._digesting = self._blobs.digesters.submit(self._md5.update, data)

    def _digested(self) -> None:
        if self._digesting is not None:
            self._digesting.result()
            self._digesting = None

    def _out(self, data: bytes) -> None:
        if self._file is not None and data:
            self._sha.update(data)
            with on_disk():
                _write_all(self._file, data)

    def finish(self) -> BlobRef:
        self._digested()
        md5 = self._md5.hexdigest()
        if self._file is None or self._path is None or self._cipher is None:
            held = bytes(self._held)
            return BlobRef(hashlib.sha256(held).hexdigest(), self._size, md5, held)
        self._out(self._cipher.finish())
        name = self._sha.hexdigest()
        with on_disk():
            os.fsync(self._file.fileno())
            self._file.close()
            directory = self._blobs.directory(name[:2])
            os.replace(self._path, directory / name)
            _fsync_directory(directory)
        return BlobRef(name, self._size, md5, None, self._blobs.sealer.seal(self._key, file_context(name)))

    def discard(self) -> None:
        self._digested()
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

"""How a blob's file is encrypted: chunks of 64 KiB, each AES-256-GCM under the file's own key, each with its tag behind it.

A chunk's nonce is its number and whether it is the last (the STREAM construction), so chunks that were altered, exchanged, left out or cut
off are found when they are read, and a range is read by decrypting the chunks that it lies in. A key encrypts one file only.
Invariant: `read` hands out no byte whose chunk has not been proven.
"""

from __future__ import annotations

import hashlib
import os

from windtunnel.kernel.cloud import BlobRef, DamagedBlob

PLAIN = 64 * 1024
TAG = 16
_SEALED = PLAIN + TAG


def nonce(number: int, last: bool) -> bytes:
    return number.to_bytes(11, "big") + (b"\x01" if last else b"\x00")


class ChunkedWriter:
    """Plaintext in, of any lengths; ciphertext out."""

    def __init__(self, key: bytes) -> None:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        self._cipher = AESGCM(key)
        self._held = b""
        self._number = 0

    def update(self, data: bytes) -> bytes:
        """Whole chunks, of which there is more to come: the last is known as such only at `finish`."""
        data = self._held + data
        end = (len(data) - 1) // PLAIN * PLAIN
        view, encrypt, first = memoryview(data), self._cipher.encrypt, self._number
        out = [encrypt(nonce(first + at // PLAIN, False), view[at : at + PLAIN], None) for at in range(0, end, PLAIN)]
        self._number += len(out)
        self._held = data[end:]
        return b"".join(out)

    def finish(self) -> bytes:
        return self._cipher.encrypt(nonce(self._number, True), self._held, None)


class InlineReader:
    """Bytes that a record held."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def read(self, offset: int, length: int) -> bytes:
        found = self._data[offset : offset + length]
        if len(found) != length:
            raise DamagedBlob("inline bytes are shorter than their record says")
        return found

    def close(self) -> None: ...


class ChunkedReader:
    """An encrypted file. Takes the file descriptor over."""

    def __init__(self, file: int, ref: BlobRef, key: bytes) -> None:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        self._file = file
        self._ref = ref
        self._cipher = AESGCM(key)
        self._last = max(0, ref.size - 1) // PLAIN

    def read(self, offset: int, length: int) -> bytes:
        from cryptography.exceptions import InvalidTag

        if length <= 0:
            return b""
        first, end = offset // PLAIN, (offset + length - 1) // PLAIN + 1
        raw = memoryview(_pread(self._file, (end - first) * _SEALED, first * _SEALED))
        decrypt, last = self._cipher.decrypt, self._last
        try:
            chunks = [
                decrypt(nonce(number, number == last), raw[at : at + _SEALED], None)
                for number, at in zip(range(first, end), range(0, (end - first) * _SEALED, _SEALED), strict=True)
            ]
        except InvalidTag:
            raise DamagedBlob(f"{self._ref.sha256}: altered or cut short between chunks {first} and {end}") from None
        data = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        start = offset - first * PLAIN
        found = data if start == 0 and len(data) == length else data[start : start + length]
        if len(found) != length:
            raise DamagedBlob(f"{self._ref.sha256}: shorter than its record says")
        return found

    def close(self) -> None:
        os.close(self._file)


class PlainReader:
    """A file from before encryption. Whoever reads it from start to end gets the last piece only when the whole has its name's hash."""

    def __init__(self, file: int, ref: BlobRef) -> None:
        self._file = file
        self._ref = ref
        self._digest = hashlib.sha256()
        self._next = 0

    def read(self, offset: int, length: int) -> bytes:
        data = _pread(self._file, length, offset)
        if len(data) != length:
            raise DamagedBlob(f"{self._ref.sha256}: shorter than its record says")
        if offset == self._next:
            self._digest.update(data)
            self._next += length
            if self._next == self._ref.size and self._digest.hexdigest() != self._ref.sha256:
                raise DamagedBlob(f"{self._ref.sha256}: altered")
        return data

    def close(self) -> None:
        os.close(self._file)


def _pread(file: int, length: int, offset: int) -> bytes:
    """All of it, as far as the file goes."""
    data = os.pread(file, length, offset)
    while len(data) < length and (more := os.pread(file, length - len(data), offset + len(data))):
        data += more
    return data

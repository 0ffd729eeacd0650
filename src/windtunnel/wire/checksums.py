"""The checksums that S3 clients send with a body: computed as it streams, compared at its end.

CRC-32C and CRC-64/NVME are in no library of Python's. They are computed here by folding: a block is one big integer, read as a
polynomial over GF(2), and its leading half is replaced by its product with x^n mod P, which needs shifts and XORs only; CPython does these at
memory speed, so that a MiB takes 7 to 9 ms where a loop over a table takes 150. Where AWS's own library is installed (`pip install windtunnel[fast]`: 13 MB on
disk, 48 ms and 7 MB of memory on first use) large bodies go through it, at 0.02 ms a MiB.
Invariant: an algorithm that is not known here is refused by name, never passed unverified.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import importlib
import zlib
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Protocol

from windtunnel.kernel.errors import AwsError, not_built

_BLOCK = 1 << 17
_LARGE = 1 << 18
"""From here on it is worth asking for the native library."""
Native = Callable[[bytes, int], int]
"""(data, the CRC of all before it) -> the CRC of all"""


class Digest(Protocol):
    def update(self, data: bytes) -> None: ...

    def digest(self) -> bytes: ...


class _Crc32:
    def __init__(self) -> None:
        self._value = 0

    def update(self, data: bytes) -> None:
        self._value = zlib.crc32(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(4, "big")


class _Polynomial:
    """A reflected CRC of `width` bits: what is needed to fold by it. poly: the reflected polynomial without its top term."""

    def __init__(self, width: int, poly: int) -> None:
        self.width = width
        self.poly = poly
        self.ones = (1 << width) - 1
        self.table = [self._byte(index) for index in range(256)]

    def _byte(self, value: int) -> int:
        for _ in range(8):
            value = value >> 1 ^ (self.poly if value & 1 else 0)
        return value

    def times(self, a: int, b: int) -> int:
        """The product of two residues, reflected like everything here: the top bit is x^0."""
        product = 0
        while a:
            if a >> (self.width - 1) & 1:
                product ^= b
            a = a << 1 & self.ones
            b = b >> 1 ^ (self.poly if b & 1 else 0)
        return product

    def power(self, exponent: int) -> tuple[int, ...]:
        """The positions of the set bits of x^exponent mod P."""
        result, base = 1 << (self.width - 1), 1 << (self.width - 2)
        while exponent:
            if exponent & 1:
                result = self.times(result, base)
            base = self.times(base, base)
            exponent >>= 1
        return tuple(bit for bit in range(self.width) if result >> bit & 1)

    def remainder(self, value: int, bits: int) -> int:
        """value: `bits` bits, the first (highest power) in bit 0. The register after all of them."""
        while bits > 8 * self.width:
            head = (bits - self.width) // 2
            folded = 0
            leading = value & (1 << head) - 1
            for bit in _powers(self, bits - head):
                folded ^= leading << bit
            value >>= head
            bits -= head
            value ^= folded << bits - (head + self.width - 1)
        value <<= -bits % 8
        register = 0
        for byte in value.to_bytes((bits + 7) // 8, "little"):
            register = register >> 8 ^ self.table[(register ^ byte) & 0xFF]
        return register


@lru_cache(maxsize=4096)
def _powers(polynomial: _Polynomial, exponent: int) -> tuple[int, ...]:
    return polynomial.power(exponent)


@lru_cache(maxsize=2)
def _polynomial(width: int, poly: int) -> _Polynomial:
    return _Polynomial(width, poly)


@lru_cache(maxsize=1)
def _native() -> Any:
    """AWS's common runtime, when it is there."""
    try:
        return importlib.import_module("awscrt.checksums")
    except ImportError:
        return None


class FoldedCrc:
    """A CRC with all-ones start and end. native: how a library does the same, when there is one."""

    def __init__(self, width: int, poly: int, native: Callable[[], Native | None]) -> None:
        self._polynomial = _polynomial(width, poly)
        self._register = self._polynomial.ones
        self._native = native

    def update(self, data: bytes) -> None:
        native = self._native() if len(data) >= _LARGE else None
        if native is not None:
            self._register = native(data, self._register ^ self._polynomial.ones) ^ self._polynomial.ones
        else:
            self._fold(data)

    def _fold(self, data: bytes) -> None:
        width = self._polynomial.width
        for start in range(0, len(data), _BLOCK):
            block = data[start : start + _BLOCK]
            value, bits = int.from_bytes(block, "little"), 8 * len(block)
            # The register stands before the block's first bits; a block shorter than it leaves the rest of it to be shifted in.
            if bits >= width:
                self._register = self._polynomial.remainder(value ^ self._register, bits)
            else:
                for byte in block:
                    self._register = self._register >> 8 ^ self._polynomial.table[(self._register ^ byte) & 0xFF]

    def digest(self) -> bytes:
        return (self._register ^ self._polynomial.ones).to_bytes(self._polynomial.width // 8, "big")


class _Hash:
    def __init__(self, name: str) -> None:
        self._hash = hashlib.new(name, usedforsecurity=False)

    def update(self, data: bytes) -> None:
        self._hash.update(data)

    def digest(self) -> bytes:
        return self._hash.digest()


def new_digest(algorithm: str) -> Digest:
    """crc32, crc32c, crc64nvme, sha1, sha256, sha512, md5. Raises AwsError (501) for others."""
    if algorithm == "crc32":
        return _Crc32()
    if algorithm == "crc32c":
        return FoldedCrc(32, 0x82F63B78, lambda: getattr(_native(), "crc32c", None))
    if algorithm == "crc64nvme":
        return FoldedCrc(64, 0x9A6C9329AC4BC9B5, lambda: getattr(_native(), "crc64nvme", None))
    if algorithm in ("sha1", "sha256", "sha512", "md5"):
        return _Hash(algorithm)
    raise not_built("s3", "PutObject", f"x-amz-checksum-{algorithm[:32]}")


def compute(algorithm: str, data: bytes) -> str:
    """The checksum of some bytes as S3 writes it: base64."""
    digest = new_digest(algorithm)
    digest.update(data)
    return base64.b64encode(digest.digest()).decode("ascii")


_PREFIX = "x-amz-checksum-"
_NO_ALGORITHMS = ("algorithm", "mode", "type")


class Checksums:
    """The checksums of one body: those that its headers claim and those that a trailer will. `update` as it streams, then `verify`."""

    def __init__(self, headers: Mapping[str, str], trailers: tuple[str, ...] = ()) -> None:
        self._claims = {
            name.removeprefix(_PREFIX): value
            for name, value in headers.items()
            if name.startswith(_PREFIX) and name.removeprefix(_PREFIX) not in _NO_ALGORITHMS
        }
        if len(self._claims) > 1:
            raise AwsError(
                "InvalidRequest", "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.", status=400
            )
        self._md5 = headers.get("content-md5")
        wanted = [*self._claims, *(name.removeprefix(_PREFIX) for name in trailers if name.startswith(_PREFIX))]
        promised = headers.get("x-amz-sdk-checksum-algorithm", "").lower()
        if promised and promised not in wanted:
            raise AwsError(
                "InvalidRequest",
                "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were found.",
                status=400,
            )
        self._digests = {algorithm: new_digest(algorithm) for algorithm in dict.fromkeys(wanted)}
        if self._md5 is not None:
            self._digests["content-md5"] = _Hash("md5")

    def update(self, data: bytes) -> None:
        for digest in self._digests.values():
            digest.update(data)

    def claim(self, trailer: str, value: str) -> None:
        """A checksum that came after the body."""
        self._claims[trailer.removeprefix(_PREFIX)] = value

    def verify(self) -> list[tuple[str, str]]:
        """(algorithm, base64) of all that were claimed and are right. Raises AwsError BadDigest and its kin."""
        for algorithm, claimed in self._claims.items():
            actual = self._digests[algorithm].digest()
            try:
                given = base64.b64decode(claimed, validate=True)
            except (binascii.Error, ValueError):
                given = b""
            if len(given) != len(actual):
                raise AwsError("InvalidRequest", f"Value for {_PREFIX}{algorithm} header is invalid.", status=400)
            if given != actual:
                raise AwsError("BadDigest", f"The {algorithm.upper()} you specified did not match the calculated checksum.", status=400)
        if self._md5 is not None:
            self._verify_md5(self._md5)
        return list(self._claims.items())

    def _verify_md5(self, claimed: str) -> None:
        actual = self._digests["content-md5"].digest()
        try:
            given = base64.b64decode(claimed, validate=True)
        except (binascii.Error, ValueError):
            given = b""
        if len(given) != 16:
            raise AwsError("InvalidDigest", "The Content-MD5 you specified was invalid.", status=400)
        if given != actual:
            extra = {"ExpectedDigest": given.hex(), "CalculatedDigest": base64.b64encode(actual).decode("ascii")}
            raise AwsError("BadDigest", "The Content-MD5 you specified did not match what we received.", status=400, extra=extra)

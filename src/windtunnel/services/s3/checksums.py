"""Checksums as S3 keeps and combines them. Pure.

A multipart object has either a composite checksum (the checksum of its parts' checksums, with `-N`) or, for the CRCs, one of the
full object, which is computed from the parts' CRCs and lengths without reading a byte again.
"""

from __future__ import annotations

import hashlib
import zlib
from base64 import b64decode, b64encode
from collections.abc import Iterable, Sequence
from functools import cache

from windtunnel.kernel.cloud import Body
from windtunnel.kernel.errors import AwsError
from windtunnel.services.s3.objects import ChecksumType
from windtunnel.wire.naming import xform

ALGORITHMS = ("CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256")
MEMBERS = tuple(f"Checksum{name}" for name in ALGORITHMS)
ARGUMENTS = {name: xform(f"Checksum{name}") for name in ALGORITHMS}
"""Algorithm -> the handler's argument that promises its value."""
_POLYNOMIALS = {"CRC32": (0xEDB88320, 32), "CRC32C": (0x82F63B78, 32), "CRC64NVME": (0x9A6C9329AC4BC9B5, 64)}
# As the wire names them (`crc32`), and as the model's members do.
_WIRE_NAMES = {name.lower(): name for name in ALGORITHMS}


def of_body(body: Body) -> dict[str, str]:
    """The checksums of a staged body that the wire has verified, by the model's names."""
    return {_WIRE_NAMES[name]: value for name, value in body.checksums if name in _WIRE_NAMES}


def members(checksums: dict[str, str]) -> dict[str, str]:
    """As output members: `ChecksumCRC32`, …"""
    return {f"Checksum{name}": value for name, value in checksums.items()}


def default_type(algorithm: str) -> ChecksumType:
    """What CreateMultipartUpload means when it names an algorithm but no ChecksumType."""
    return "FULL_OBJECT" if algorithm == "CRC64NVME" else "COMPOSITE"


def check_type(algorithm: str, wanted: ChecksumType) -> None:
    """CRC64NVME exists only for full objects, the SHAs only as composites."""
    if (wanted == "COMPOSITE" and algorithm == "CRC64NVME") or (wanted == "FULL_OBJECT" and algorithm.startswith("SHA")):
        raise AwsError("InvalidRequest", f"The {wanted} checksum type cannot be used with the {algorithm.lower()} checksum algorithm.")


def combined(algorithm: str, kind: ChecksumType, parts: Sequence[tuple[str, int]]) -> str:
    """The object's checksum from its parts' (base64, size)."""
    if kind == "FULL_OBJECT":
        return _full(algorithm, parts)
    joined = b"".join(b64decode(value) for value, _ in parts)
    return f"{encoded(digest(algorithm, joined))}-{len(parts)}"


def encoded(raw: bytes) -> str:
    return b64encode(raw).decode()


def digest(algorithm: str, data: bytes) -> bytes:
    """The raw checksum of a few bytes."""
    if algorithm in _POLYNOMIALS:
        _, width = _POLYNOMIALS[algorithm]
        return (zlib.crc32(data) if algorithm == "CRC32" else _crc(algorithm, data)).to_bytes(width // 8, "big")
    return hashlib.new(algorithm.lower(), data, usedforsecurity=False).digest()


def _crc(algorithm: str, data: bytes) -> int:
    polynomial, width = _POLYNOMIALS[algorithm]
    crc = mask = (1 << width) - 1
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (polynomial if crc & 1 else 0)
    return crc ^ mask


def _full(algorithm: str, parts: Iterable[tuple[str, int]]) -> str:
    total = 0
    for value, size in parts:
        total = _followed_by_zeros(algorithm, total, size) ^ int.from_bytes(b64decode(value), "big")
    return b64encode(total.to_bytes(_POLYNOMIALS[algorithm][1] // 8, "big")).decode()


def _followed_by_zeros(algorithm: str, crc: int, size: int) -> int:
    """The CRC after `size` more zero bytes, a power of two at a time (the idea of zlib's crc32_combine)."""
    power = 0
    while size:
        if size & 1:
            crc = _times(_zeros(algorithm, power), crc)
        size >>= 1
        power += 1
    return crc


@cache
def _zeros(algorithm: str, power: int) -> tuple[int, ...]:
    """What 2**power zero bytes do to a CRC: a matrix over GF(2), by columns."""
    polynomial, width = _POLYNOMIALS[algorithm]
    if power == 0:
        matrix: tuple[int, ...] = (polynomial, *(1 << n for n in range(width - 1)))
        for _ in range(3):
            matrix = _squared(matrix)
        return matrix
    return _squared(_zeros(algorithm, power - 1))


def _times(matrix: tuple[int, ...], vector: int) -> int:
    total, column = 0, 0
    while vector:
        if vector & 1:
            total ^= matrix[column]
        vector >>= 1
        column += 1
    return total


def _squared(matrix: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(_times(matrix, column) for column in matrix)

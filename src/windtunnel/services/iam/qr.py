"""A QR code as a PNG: how an authenticator app takes the seed of a virtual multi-factor device. ISO/IEC 18004, bytes, level L.

Invariant: pure; versions 1 to 13 (425 bytes), always mask 0, which every reader accepts.
"""

from __future__ import annotations

import struct
import zlib

# By version: (error correction words per block, data words of each block), and the centres of the alignment patterns.
_BLOCKS: list[tuple[int, list[int]]] = [
    (7, [19]), (10, [34]), (15, [55]), (20, [80]), (26, [108]), (18, [68] * 2), (20, [78] * 2), (24, [97] * 2), (30, [116] * 2),
    (18, [68, 68, 69, 69]), (20, [81] * 4), (24, [92, 92, 93, 93]), (26, [107] * 4),
]  # fmt: skip
_CENTRES: list[list[int]] = [
    [], [6, 18], [6, 22], [6, 26], [6, 30], [6, 34], [6, 22, 38], [6, 24, 42], [6, 26, 46], [6, 28, 50], [6, 30, 54], [6, 32, 58], [6, 34, 62],
]  # fmt: skip
_FORMAT = 0b111011111000100
"""Level L and mask 0, with their BCH code, masked."""
_QUIET = 4
_SCALE = 4
_EXP = [1] * 512
for _i in range(1, 512):
    _EXP[_i] = _EXP[_i - 1] << 1 if _EXP[_i - 1] < 128 else (_EXP[_i - 1] << 1) ^ 0x11D
_LOG = {value: power for power, value in enumerate(_EXP[:255])}
Matrix = list[list[int | None]]


def qr_png(text: str) -> bytes:
    """Raises ValueError for text that is too long."""
    return _png(qr_modules(text))


def qr_modules(text: str) -> list[list[int]]:
    """The symbol's rows, 1 is dark."""
    data = text.encode()
    version = next((v for v in range(1, 14) if len(data) + (2 if v < 10 else 3) <= sum(_BLOCKS[v - 1][1])), None)
    if version is None:
        raise ValueError("too long for a QR code")
    matrix = _patterns(version)
    _place(matrix, _words(data, version))
    return [[module or 0 for module in row] for row in matrix]


def _words(data: bytes, version: int) -> bytes:
    """Data and error correction words, interleaved."""
    correction, sizes = _BLOCKS[version - 1]
    bits = "0100" + f"{len(data):0{8 if version < 10 else 16}b}" + "".join(f"{byte:08b}" for byte in data)
    total = sum(sizes)
    bits = (bits + "0000")[: total * 8]
    bits += "0" * (-len(bits) % 8)
    words = [int(bits[i : i + 8], 2) for i in range(0, len(bits), 8)]
    words += [(0xEC, 0x11)[i % 2] for i in range(total - len(words))]
    blocks, at = [], 0
    for size in sizes:
        blocks.append(words[at : at + size])
        at += size
    checks = [_correction(block, correction) for block in blocks]
    mixed = [block[i] for i in range(max(sizes)) for block in blocks if i < len(block)]
    return bytes(mixed + [check[i] for i in range(correction) for check in checks])


def _correction(block: list[int], size: int) -> list[int]:
    """Reed-Solomon over GF(256): the remainder by the generator polynomial."""
    generator = [1]
    for power in range(size):
        product = [*generator, 0]
        for i, factor in enumerate(generator):
            product[i + 1] ^= _EXP[_LOG[factor] + power] if factor else 0
        generator = product
    rest = [*block, *([0] * size)]
    for i in range(len(block)):
        first = rest[i]
        if first:
            for j, factor in enumerate(generator):
                rest[i + j] ^= _EXP[_LOG[factor] + _LOG[first]] if factor else 0
    return rest[len(block) :]


def _patterns(version: int) -> Matrix:
    size = 17 + 4 * version
    matrix: Matrix = [[None] * size for _ in range(size)]
    for top, left in ((0, 0), (0, size - 7), (size - 7, 0)):
        for row in range(-1, 8):
            for column in range(-1, 8):
                if 0 <= top + row < size and 0 <= left + column < size:
                    ring = max(abs(row - 3), abs(column - 3))
                    matrix[top + row][left + column] = int(ring in (0, 1, 3))
    for i in range(8, size - 8):
        matrix[6][i] = matrix[i][6] = int(i % 2 == 0)
    centres = _CENTRES[version - 1]
    for y in centres:
        for x in centres:
            if (y, x) not in ((6, 6), (6, centres[-1]), (centres[-1], 6)):
                for row in range(-2, 3):
                    for column in range(-2, 3):
                        matrix[y + row][x + column] = int(max(abs(row), abs(column)) != 1)
    _format(matrix, size)
    if version >= 7:
        _version(matrix, size, version)
    return matrix


def _format(matrix: Matrix, size: int) -> None:
    for i in range(15):
        bit = _FORMAT >> i & 1
        first = (i if i < 6 else i + 1, 8) if i < 8 else (8, 7 if i == 8 else 14 - i)
        second = (8, size - 1 - i) if i < 8 else (size - 15 + i, 8)
        matrix[first[0]][first[1]] = matrix[second[0]][second[1]] = bit
    matrix[size - 8][8] = 1


def _version(matrix: Matrix, size: int, version: int) -> None:
    rest = version << 12
    for shift in range(5, -1, -1):
        if rest >> (12 + shift) & 1:
            rest ^= 0b1111100100101 << shift
    code = version << 12 | rest
    for i in range(18):
        bit = code >> i & 1
        matrix[i // 3][size - 11 + i % 3] = matrix[size - 11 + i % 3][i // 3] = bit


def _place(matrix: Matrix, words: bytes) -> None:
    """In columns of two from the right, up and down by turns, around what is there; masked."""
    size = len(matrix)
    bits = (byte >> (7 - i) & 1 for byte in words for i in range(8))
    right = size - 1
    upwards = True
    while right > 0:
        right -= right == 6
        for row in range(size - 1, -1, -1) if upwards else range(size):
            for column in (right, right - 1):
                if matrix[row][column] is None:
                    matrix[row][column] = next(bits, 0) ^ int((row + column) % 2 == 0)
        right -= 2
        upwards = not upwards


def _png(modules: list[list[int]]) -> bytes:
    side = (len(modules) + 2 * _QUIET) * _SCALE
    blank = bytes([0]) + b"\xff" * side
    quiet = b"\xff" * (_QUIET * _SCALE)
    rows = [blank] * (_QUIET * _SCALE)
    for modules_of_row in modules:
        line = bytes([0]) + quiet + b"".join((b"\x00" if module else b"\xff") * _SCALE for module in modules_of_row) + quiet
        rows += [line] * _SCALE
    rows += [blank] * (_QUIET * _SCALE)
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(b"".join(rows))) + _chunk(b"IEND", b"")


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

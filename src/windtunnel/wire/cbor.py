"""CBOR (RFC 8949), as far as AWS's protocols use it: integers, floats, text, bytes, lists, maps with text keys, and instants (tag 1).

Invariant: `decode(encode(x))` is x; whatever bytes come, decoding ends in a value or a ValueError, in time and memory in proportion to what came,
and not deeper than its caller allows. A library of its own for this would be larger than the rest of the protocol, and its C parser would be one
more that reads what strangers send.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

_HALF, _SINGLE, _DOUBLE = struct.Struct(">e"), struct.Struct(">f"), struct.Struct(">d")
_SIZES = {24: struct.Struct(">B"), 25: struct.Struct(">H"), 26: struct.Struct(">I"), 27: struct.Struct(">Q")}
_INDEFINITE = 31
_BREAK = object()
_SIMPLE = {20: False, 21: True, 22: None, 23: None}


class Instant(float):
    """Epoch seconds, told apart from a number."""

    __slots__ = ()


def encode(value: Any) -> bytes:
    """value: of the types that `decode` gives."""
    out = bytearray()
    _write(value, out)
    return bytes(out)


def _write(value: Any, out: bytearray) -> None:
    writer = _WRITERS.get(type(value))
    if writer is None:
        raise TypeError(f"no CBOR for {type(value).__name__}")
    writer(value, out)


def _head(major: int, number: int, out: bytearray) -> None:
    kind = major << 5
    if number < 24:
        out.append(kind | number)
    elif number < 1 << 8:
        out += struct.pack(">BB", kind | 24, number)
    elif number < 1 << 16:
        out += struct.pack(">BH", kind | 25, number)
    elif number < 1 << 32:
        out += struct.pack(">BI", kind | 26, number)
    elif number < 1 << 64:
        out += struct.pack(">BQ", kind | 27, number)
    else:
        raise ValueError("an integer of more than 64 bits")


def _write_int(value: int, out: bytearray) -> None:
    _head(0, value, out) if value >= 0 else _head(1, -1 - value, out)


def _write_float(value: float, out: bytearray) -> None:
    out += b"\xfb" + _DOUBLE.pack(value)


def _write_instant(value: float, out: bytearray) -> None:
    out.append(0xC1)
    _write_int(int(value), out) if value == int(value) else _write_float(value, out)


def _write_text(value: str, out: bytearray) -> None:
    data = value.encode()
    _head(3, len(data), out)
    out += data


def _write_bytes(value: bytes, out: bytearray) -> None:
    _head(2, len(value), out)
    out += value


def _write_list(value: list[Any], out: bytearray) -> None:
    _head(4, len(value), out)
    for item in value:
        _write(item, out)


def _write_map(value: dict[str, Any], out: bytearray) -> None:
    _head(5, len(value), out)
    for key, item in value.items():
        _write_text(key, out)
        _write(item, out)


_WRITERS: dict[type, Callable[[Any, bytearray], None]] = {
    int: _write_int,
    float: _write_float,
    Instant: _write_instant,
    str: _write_text,
    bytes: _write_bytes,
    list: _write_list,
    tuple: _write_list,
    dict: _write_map,
    bool: lambda value, out: out.append(0xF5 if value else 0xF4),
    type(None): lambda _, out: out.append(0xF6),
}


def decode(data: bytes, max_depth: int) -> Any:
    """The one value that data is. Raises ValueError."""
    reader = _Reader(data)
    value = reader.value(max_depth)
    if value is _BREAK or reader.at != len(data):
        raise ValueError("more, or less, than one value")
    return value


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def value(self, depth: int) -> Any:
        if depth < 0:
            raise ValueError("nested too deeply")
        initial = self._take(1)[0]
        major, info = initial >> 5, initial & 31
        if major == 7:
            return self._simple(info)
        if info == _INDEFINITE:
            return self._indefinite(major, depth)
        number = self._number(info)
        return _MAJORS[major](self, number, depth)

    def _take(self, size: int) -> bytes:
        end = self.at + size
        if end > len(self.data):
            raise ValueError("cut off")
        piece = self.data[self.at : end]
        self.at = end
        return piece

    def _number(self, info: int) -> int:
        if info < 24:
            return info
        form = _SIZES.get(info)
        if form is None:
            raise ValueError(f"additional information {info}")
        number: int = form.unpack(self._take(form.size))[0]
        return number

    def _simple(self, info: int) -> Any:
        if info in _SIMPLE:
            return _SIMPLE[info]
        if info == _INDEFINITE:
            return _BREAK
        form = {25: _HALF, 26: _SINGLE, 27: _DOUBLE}.get(info)
        if form is None:
            raise ValueError(f"simple value {info}")
        number: float = form.unpack(self._take(form.size))[0]
        return number

    def _indefinite(self, major: int, depth: int) -> Any:
        if major in (2, 3):
            return self._chunks(major)
        if major == 4:
            items = []
            while (item := self.value(depth - 1)) is not _BREAK:
                items.append(item)
            return items
        if major == 5:
            found: dict[str, Any] = {}
            while (key := self.value(depth - 1)) is not _BREAK:
                self._pair(found, key, depth)
            return found
        raise ValueError(f"major type {major} without a length")

    def _chunks(self, major: int) -> Any:
        """Text or bytes in definite pieces of its own kind."""
        pieces = []
        while (initial := self._take(1)[0]) != 0xFF:
            if initial >> 5 != major or initial & 31 == _INDEFINITE:
                raise ValueError("a chunk of another kind")
            pieces.append(self._take(self._number(initial & 31)))
        data = b"".join(pieces)
        return data if major == 2 else data.decode()

    def sequence(self, size: int, depth: int) -> Any:
        items = []
        for _ in range(size):
            item = self.value(depth - 1)
            if item is _BREAK:
                raise ValueError("a break inside a list of known length")
            items.append(item)
        return items

    def mapping(self, size: int, depth: int) -> Any:
        found: dict[str, Any] = {}
        for _ in range(size):
            self._pair(found, self.value(depth - 1), depth)
        return found

    def _pair(self, found: dict[str, Any], key: Any, depth: int) -> None:
        if type(key) is not str or key in found:
            raise ValueError("a key that is no text, or there twice")
        value = self.value(depth - 1)
        if value is _BREAK:
            raise ValueError("a key without a value")
        found[key] = value

    def tagged(self, tag: int, depth: int) -> Any:
        value = self.value(depth - 1)
        if tag != 1 or type(value) not in (int, float):
            raise ValueError(f"tag {tag}")
        return Instant(value)

    def text(self, size: int, _: int) -> str:
        return self._take(size).decode()

    def blob(self, size: int, _: int) -> bytes:
        return self._take(size)


_MAJORS: tuple[Callable[[_Reader, int, int], Any], ...] = (
    lambda _, number, __: number,
    lambda _, number, __: -1 - number,
    _Reader.blob,
    _Reader.text,
    _Reader.sequence,
    _Reader.mapping,
    _Reader.tagged,
)

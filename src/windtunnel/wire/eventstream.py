"""The framing of event streams (`application/vnd.amazon.eventstream`): messages of typed headers and a payload, each with two CRCs.

Invariant: `decode` of what `encode` wrote gives the same message; a message whose lengths or checksums do not agree is a ValueError, and nothing
after it is read.
"""

from __future__ import annotations

import struct
from binascii import crc32
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import NamedTuple
from uuid import UUID

HeaderValue = bool | int | bytes | str | datetime | UUID
Headers = dict[str, HeaderValue]
CONTENT_TYPE = "application/vnd.amazon.eventstream"
MAX_MESSAGE = 24 << 20
MAX_HEADERS = 128 << 10
_PRELUDE = struct.Struct(">III")
_CRC = struct.Struct(">I")
_SHORT = struct.Struct(">H")
_INTEGERS = {2: struct.Struct(">b"), 3: struct.Struct(">h"), 4: struct.Struct(">i"), 5: struct.Struct(">q")}


class Message(NamedTuple):
    headers: Headers
    payload: bytes


def encode(headers: Headers, payload: bytes) -> bytes:
    """One message on the wire."""
    head = b"".join(_header(name, value) for name, value in headers.items())
    prelude = struct.pack(">II", len(head) + len(payload) + 16, len(head))
    checked = prelude + _CRC.pack(crc32(prelude)) + head + payload
    return checked + _CRC.pack(crc32(checked))


def _header(name: str, value: HeaderValue) -> bytes:
    wire = name.encode()
    if not 0 < len(wire) < 256:
        raise ValueError(f"a header's name has 1 to 255 bytes, not {len(wire)}")
    return bytes((len(wire),)) + wire + _value(value)


def _value(value: HeaderValue) -> bytes:
    if isinstance(value, bool):
        return b"\x00" if value else b"\x01"
    if isinstance(value, int):
        kind, form = (4, ">Bi") if -(1 << 31) <= value < 1 << 31 else (5, ">Bq")
        return struct.pack(form, kind, value)
    if isinstance(value, bytes):
        return struct.pack(">BH", 6, len(value)) + value
    if isinstance(value, str):
        text = value.encode()
        return struct.pack(">BH", 7, len(text)) + text
    if isinstance(value, datetime):
        return struct.pack(">Bq", 8, round(value.timestamp() * 1000))
    return b"\x09" + value.bytes


class Decoder:
    """Takes bytes as they come, gives the messages that are whole."""

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, data: bytes) -> Iterator[Message]:
        """Raises ValueError for what is no message."""
        self._held += data
        while len(self._held) >= 12:
            total, head, sum_ = _PRELUDE.unpack_from(self._held)
            if crc32(self._held[:8]) != sum_:
                raise ValueError("the prelude's checksum does not agree")
            if total > MAX_MESSAGE or head > MAX_HEADERS or total < head + 16:
                raise ValueError("a message that is too long, or shorter than its headers")
            if len(self._held) < total:
                return
            whole = bytes(self._held[:total])
            del self._held[:total]
            if crc32(whole[:-4]) != _CRC.unpack(whole[-4:])[0]:
                raise ValueError("the message's checksum does not agree")
            yield Message(decode_headers(whole[12 : 12 + head]), whole[12 + head : -4])

    @property
    def pending(self) -> int:
        """Bytes of a message that has not come whole."""
        return len(self._held)


def decode(data: bytes) -> list[Message]:
    """All messages of a body that has ended. Raises ValueError."""
    decoder = Decoder()
    found = list(decoder.feed(data))
    if decoder.pending:
        raise ValueError("the last message is cut off")
    return found


def decode_headers(data: bytes) -> Headers:
    headers: Headers = {}
    take = _Taker(data)
    while take.left:
        name = take.exactly(take.exactly(1)[0]).decode()
        if not name or name in headers:
            raise ValueError("a header without a name, or there twice")
        headers[name] = _VALUES[kind](take) if (kind := take.exactly(1)[0]) in _VALUES else _unknown(kind)
    return headers


class _Taker:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def left(self) -> int:
        return len(self._data) - self._at

    def exactly(self, size: int) -> bytes:
        if size > self.left:
            raise ValueError("a header that is cut off")
        self._at += size
        return self._data[self._at - size : self._at]

    def sized(self) -> bytes:
        size: int = _SHORT.unpack(self.exactly(2))[0]
        return self.exactly(size)


def _integer(kind: int) -> Callable[[_Taker], HeaderValue]:
    form = _INTEGERS[kind]

    def read(take: _Taker) -> int:
        value: int = form.unpack(take.exactly(form.size))[0]
        return value

    return read


def _instant(take: _Taker) -> datetime:
    millis: int = _INTEGERS[5].unpack(take.exactly(8))[0]
    if not -62135596800000 <= millis <= 253402300799999:
        raise ValueError("a timestamp outside the years 1 to 9999")
    whole, thousandths = divmod(millis, 1000)
    return datetime.fromtimestamp(whole, UTC).replace(microsecond=thousandths * 1000)


def _unknown(kind: int) -> HeaderValue:
    raise ValueError(f"a header of the unknown type {kind}")


_VALUES: dict[int, Callable[[_Taker], HeaderValue]] = {
    0: lambda _: True,
    1: lambda _: False,
    2: _integer(2),
    3: _integer(3),
    4: _integer(4),
    5: _integer(5),
    6: _Taker.sized,
    7: lambda take: take.sized().decode(),
    8: _instant,
    9: lambda take: UUID(bytes=take.exactly(16)),
}

"""Plain data to typed values: msgspec's decoders, of which no two are made at once.

msgspec learns a struct's members when the first decoder of it is made, and marks it as known before it has them all: a thread that meets it then
decodes with what is not there yet, and the process dies of a segmentation fault (msgspec 0.22; a cloud of busy threads did so about once in a
thousand starts). So decoders are made here, one at a time, and kept; `tests/test_architecture.py` holds everyone to it.
"""

from __future__ import annotations

import threading
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")
_turn = threading.RLock()
_decoders: dict[Any, msgspec.json.Decoder[Any]] = {}


def decoder(type: type[T]) -> msgspec.json.Decoder[T]:
    """The JSON decoder of a type."""
    found = _decoders.get(type)
    if found is None:
        with _turn:
            found = _decoders.get(type)
            if found is None:
                found = _decoders[type] = msgspec.json.Decoder(type)
    return found


def packed_decoder(type: type[T]) -> msgspec.msgpack.Decoder[T]:
    """A MessagePack decoder of a type."""
    with _turn:
        return msgspec.msgpack.Decoder(type)


def from_json(data: bytes | bytearray | memoryview | str | msgspec.Raw, type: type[T]) -> T:
    """Raises msgspec.DecodeError; msgspec.ValidationError, which is one, for JSON that is none of the type."""
    found = _decoders.get(type)
    return (decoder(type) if found is None else found).decode(data)


def convert(value: Any, type: type[T]) -> T:
    """What JSON or MessagePack gives (dicts, lists, scalars) as the type. Raises msgspec.ValidationError."""
    if type not in _decoders:
        decoder(type)
    return msgspec.convert(value, type)

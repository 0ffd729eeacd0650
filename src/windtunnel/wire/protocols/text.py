"""Scalars as text, for the protocols that are not JSON: forms, XML, headers, query strings and paths.

Invariant: text that is not of the model's type is an AwsError naming what was read; reading what was written gives the same value.
"""

from __future__ import annotations

import binascii
import math
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any, NoReturn

from windtunnel.wire.models import Ref, Shape
from windtunnel.wire.protocols import timestamps

_INTEGER = re.compile(r"\s*[+-]?\d{1,20}\s*\Z")
_FLOAT = re.compile(r"\s*[+-]?(?:\d{1,400}(?:\.\d{0,400})?|\.\d{1,400})(?:[eE][+-]?\d{1,3})?\s*\Z")
_FLOAT_WORDS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_LIMITS = {"integer": 1 << 31, "long": 1 << 63}
Wrong = Callable[[str, str], NoReturn]
"""(the text, the type wanted) -> raises the protocol's error"""


def reader(ref: Ref, shape: Shape, default_format: str, wrong: Wrong) -> Callable[[str], Any]:
    """text -> the value of a scalar shape."""
    kind = shape.type
    if kind in _LIMITS:
        return _integer(kind, wrong)
    if kind in ("float", "double"):
        return _floating(wrong)
    if kind == "boolean":
        return _boolean(wrong)
    if kind == "timestamp":
        return _timestamp(timestamps.canonical_format(ref.timestamp_format or shape.timestamp_format or default_format), wrong)
    if kind == "blob":
        return _blob(wrong)
    return str


def _integer(kind: str, wrong: Wrong) -> Callable[[str], int]:
    limit = _LIMITS[kind]

    def read(text: str) -> int:
        value = int(text) if _INTEGER.match(text) else limit
        if not -limit <= value < limit:
            wrong(text, kind)
        return value

    return read


def _floating(wrong: Wrong) -> Callable[[str], float]:
    def read(text: str) -> float:
        if _FLOAT.match(text):
            return float(text)
        if text not in _FLOAT_WORDS:
            wrong(text, "number")
        return _FLOAT_WORDS[text]

    return read


def _boolean(wrong: Wrong) -> Callable[[str], bool]:
    def read(text: str) -> bool:
        word = text.strip().lower()
        if word not in ("true", "1", "false", "0"):
            wrong(text, "boolean")
        return word in ("true", "1")

    return read


def _timestamp(fmt: str, wrong: Wrong) -> Callable[[str], float]:
    def read(text: str) -> float:
        value = timestamps.parse(text.strip(), fmt)
        if value is None:
            wrong(text, "timestamp")
        return value

    return read


def _blob(wrong: Wrong) -> Callable[[str], bytes]:
    def read(text: str) -> bytes:
        try:
            return binascii.a2b_base64("".join(text.split()).encode("ascii"), strict_mode=True)
        except (binascii.Error, UnicodeEncodeError):
            wrong(text, "base64 blob")

    return read


def writer(ref: Ref, shape: Shape, default_format: str, *, millis: bool = False) -> Callable[[Any], str]:
    """the value of a scalar shape -> text, not yet escaped."""
    kind = shape.type
    if kind == "boolean":
        return lambda value: "true" if value else "false"
    if kind == "timestamp":
        fmt = timestamps.canonical_format(ref.timestamp_format or shape.timestamp_format or default_format)
        return lambda value: timestamps.render(value, fmt, millis=millis)
    if kind == "blob":
        return lambda value: binascii.b2a_base64(value.encode() if isinstance(value, str) else value, newline=False).decode("ascii")
    if kind in ("float", "double"):
        return _write_float
    return str


def _write_float(value: float) -> str:
    if value != value:
        return "NaN"
    if value in (math.inf, -math.inf):
        return "Infinity" if value > 0 else "-Infinity"
    return str(value)


PYTHON_TYPES: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "character": str,
    "boolean": bool,
    "integer": int,
    "long": int,
    "float": (int, float),
    "double": (int, float),
    "timestamp": (int, float, datetime),
    "blob": (bytes, str),
    "structure": dict,
    "map": dict,
    "list": (list, tuple),
}
"""What a strict encoder accepts of a handler for each type of the model."""

"""`Filters` of the Describe operations: each names a value of the described shape; values may hold `*` and `?`, a backslash takes their meaning. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any

from windtunnel.kernel.errors import AwsError

Shape = dict[str, Any]
_SPECIAL = re.compile(r"[*?\\]")
Values = Callable[[Shape], Iterable[str]]


@lru_cache(maxsize=1024)
def _pieces(text: str) -> tuple[str, ...]:
    """The pattern as single pieces: `*`, `?`, or a character with a backslash before it."""
    parts = re.findall(r"\\.|.", text, re.DOTALL)
    return tuple(part if part in ("*", "?") else "\\" + part[-1] for part in parts)


def matches(text: str, wanted: str) -> bool:
    return _fits(text, _pieces(wanted)) if _SPECIAL.search(wanted) else text == wanted


def _fits(text: str, pieces: tuple[str, ...]) -> bool:
    """In time of at most the product of both lengths: only the last star seen is ever tried again."""
    at = piece = 0
    star, resume = -1, 0
    while at < len(text):
        found = pieces[piece] if piece < len(pieces) else ""
        if found == "*":
            star, resume = piece, at
            piece += 1
        elif found == "?" or found == "\\" + text[at]:
            at, piece = at + 1, piece + 1
        elif star >= 0:
            resume += 1
            at, piece = resume, star + 1
        else:
            return False
    return all(left == "*" for left in pieces[piece:])


def tag_values(shape: Shape, name: str) -> Iterable[str]:
    tags = shape.get("Tags", ())
    if name == "tag-key":
        return [tag["Key"] for tag in tags]
    if name == "tag-value":
        return [tag["Value"] for tag in tags]
    key = name[len("tag:") :]
    return [tag["Value"] for tag in tags if tag["Key"] == key]


def chosen(shapes: Iterable[Shape], filters: list[dict[str, Any]] | None, known: Mapping[str, Values]) -> list[Shape]:
    """The shapes that every filter lets through; a filter lets through what has one of its values. Raises InvalidParameterValue."""
    checks: list[tuple[Values, list[str]]] = []
    for item in filters or []:
        name, wanted = item.get("Name", ""), item.get("Values") or []
        if len(wanted) > 200:
            raise AwsError("FilterLimitExceeded", "The maximum number of filter values specified on a single call is 200")
        if name in ("tag-key", "tag-value") or name.startswith("tag:"):
            checks.append((lambda shape, name=name: tag_values(shape, name), wanted))  # type: ignore[misc]
        elif name in known:
            checks.append((known[name], wanted))
        else:
            raise AwsError("InvalidParameterValue", f"The filter '{name}' is invalid")
    return [
        shape
        for shape in shapes
        if all(any(matches(value, want) for value in values(shape) for want in wanted) for values, wanted in checks)
    ]

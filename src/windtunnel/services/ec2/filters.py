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
def _pattern(text: str) -> re.Pattern[str]:
    parts = re.findall(r"\\.|\*+|\?|[^*?\\]+|\\\Z", text, re.DOTALL)
    return re.compile("".join(_piece(part) for part in parts) + r"\Z", re.DOTALL)


def _piece(part: str) -> str:
    if part[0] == "*":
        return ".*"
    return "." if part == "?" else re.escape(part[1:] if len(part) == 2 and part[0] == "\\" else part)


def matches(text: str, wanted: str) -> bool:
    return _pattern(wanted).match(text) is not None if _SPECIAL.search(wanted) else text == wanted


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

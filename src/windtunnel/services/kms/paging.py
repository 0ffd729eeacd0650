"""Pages of a list that is in the order of its names; a marker is the last name of the page before. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

T = TypeVar("T")


def page(items: Sequence[T], name: Callable[[T], str], limit: int, marker: str | None) -> tuple[list[T], dict[str, Any]]:
    """(the items after the marker, what the reply says of the rest)."""
    left = [item for item in items if marker is None or name(item) > marker]
    shown = list(left[:limit])
    if len(left) <= limit:
        return shown, {"Truncated": False}
    return shown, {"Truncated": True, "NextMarker": name(shown[-1])}

"""Pages by an opaque marker. Pure."""

from __future__ import annotations

from base64 import b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from windtunnel.kernel.errors import AwsError

T = TypeVar("T")


def page(items: Sequence[T], name: Callable[[T], str], limit: int, marker: str | None) -> tuple[list[T], dict[str, Any]]:
    """(the items after the marker, what the reply says of the rest). items: in the order of their names."""
    after = _after(marker)
    left = [item for item in items if after is None or name(item) > after]
    shown = list(left[:limit])
    if len(left) <= limit:
        return shown, {"Truncated": False}
    return shown, {"Truncated": True, "NextMarker": urlsafe_b64encode(name(shown[-1]).encode()).decode()}


def _after(marker: str | None) -> str | None:
    if marker is None:
        return None
    try:
        return b64decode(marker.encode(), altchars=b"-_", validate=True).decode()
    except (Base64Error, ValueError):
        raise AwsError("InvalidMarkerException", "Could not deserialize marker") from None

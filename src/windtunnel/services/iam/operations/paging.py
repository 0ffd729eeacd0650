"""IAM's pages: `Marker` and `MaxItems` over lists in the order of a name.

Invariant: a marker is the name of the last item that was given, so a page stays right when items come and go meanwhile.
"""

from __future__ import annotations

from base64 import b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from windtunnel.kernel.errors import AwsError

T = TypeVar("T")
_DEFAULT = 100


def page(
    member: str,
    items: Iterable[T],
    describe: Callable[[T], Any],
    name: Callable[[T], str],
    marker: str | None,
    max_items: int | None,
) -> dict[str, Any]:
    """One page of a List operation's answer."""
    after = "" if marker is None else _read(marker)
    rest = sorted((item for item in items if name(item) > after), key=name)
    size = max_items or _DEFAULT
    reply: dict[str, Any] = {member: [describe(item) for item in rest[:size]], "IsTruncated": len(rest) > size}
    if len(rest) > size:
        reply["Marker"] = urlsafe_b64encode(name(rest[size - 1]).encode()).decode()
    return reply


def _read(marker: str) -> str:
    try:
        return b64decode(marker, altchars=b"-_", validate=True).decode()
    except (NotBase64, ValueError):
        raise AwsError("InvalidInput", f"Invalid Marker: {marker}") from None

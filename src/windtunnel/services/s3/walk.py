"""Walking a bucket's keys in order, with common prefixes rolled up: the one algorithm behind every listing.

Invariant: at most a page of records is read at a time, and a common prefix costs at most one page however many keys are below it.
Order is by the bytes of the keys' UTF-8, which is both S3's and the store's.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeVar
from urllib.parse import quote_plus

from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.records import Record, Tx
from windtunnel.services.s3.objects import object_key

MAX_KEYS = 1000
LAST = "\U0010ffff"
"""Sorts after every key that goes on after it is appended."""
_GROUPED_PAGE = 64
"""With a delimiter most of a page may lie in a group that is then jumped over, so pages are small."""
R = TypeVar("R", bound=Record)


class CommonPrefix(str):
    """The keys that share this text up to the delimiter, as one entry."""

    __slots__ = ()


def walk(
    tx: Tx, kind: type[R], bucket: str, prefix: str, delimiter: str, after: str, page: int, *, markers: bool = False
) -> Iterator[R | CommonPrefix]:
    """Entries with a key greater than `after`. kind: any with `name` whose records are keyed as objects; markers: delete markers too."""
    after, group = past_group(after, prefix, delimiter), None
    page = min(page, _GROUPED_PAGE) if delimiter else page
    while True:
        records = tx.scan(kind, prefix=object_key(bucket, prefix), after=object_key(bucket, after) if after else None, limit=page)
        for record in records:
            name: str = record.name  # type: ignore[attr-defined]
            if (group is not None and name.startswith(group)) or (getattr(record, "marker", False) and not markers):
                continue
            end = name.find(delimiter, len(prefix)) if delimiter else -1
            group = CommonPrefix(name[: end + len(delimiter)]) if end >= 0 else None
            yield record if group is None else group
        if len(records) < page:
            return
        last: str = records[-1].name  # type: ignore[attr-defined]
        after = group + LAST if group is not None and last.startswith(group) else last


def past_group(after: str, prefix: str, delimiter: str) -> str:
    """Where to go on after a marker: past the whole group when it lies in one."""
    end = after.find(delimiter, len(prefix)) if delimiter and after.startswith(prefix) else -1
    return after[: end + len(delimiter)] + LAST if end >= 0 else after


def page_size(asked: int | None, argument: str) -> int:
    if asked is None:
        return MAX_KEYS
    if not 0 <= asked <= 2**31 - 1:
        raise AwsError(
            "InvalidArgument",
            f"Argument {argument} must be an integer between 0 and 2147483647",
            extra={"ArgumentName": argument, "ArgumentValue": str(asked)},
        )
    return min(asked, MAX_KEYS)


class Encoded:
    """EncodingType=url: keys in the answer are percent-encoded, so that XML can carry any of them."""

    def __init__(self, encoding_type: str | None) -> None:
        if encoding_type not in (None, "url"):
            raise AwsError(
                "InvalidArgument",
                "Invalid Encoding Method specified in Request",
                extra={"ArgumentName": "encoding-type", "ArgumentValue": encoding_type},
            )
        self._on = encoding_type == "url"

    def __call__(self, text: str) -> str:
        return quote_plus(text, safe="/*-._") if self._on else text

    def echo(self, **members: Any) -> dict[str, Any]:
        """The request's own members for the answer, those that were given; strings encoded."""
        said = {name: self(value) if isinstance(value, str) else value for name, value in members.items() if value is not None}
        return said | ({"EncodingType": "url"} if self._on else {})

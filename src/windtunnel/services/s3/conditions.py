"""Conditional requests and ranges: what If-…, Range and partNumber select. Pure.

Source: RFC 9110 section 13 as GetObject, PutObject and CopyObject apply it (API reference, "Conditional requests").
"""

from __future__ import annotations

import re
from typing import NamedTuple

from windtunnel.kernel.errors import AwsError
from windtunnel.services.s3.objects import Version, no_such_key

_RANGE = re.compile(r"bytes=([0-9]{0,19})-([0-9]{0,19})\Z")


class Window(NamedTuple):
    """Which bytes are asked for; partial: whether the answer is a 206."""

    start: int
    length: int
    partial: bool

    def content_range(self, size: int) -> str:
        return f"bytes {self.start}-{self.start + self.length - 1}/{size}"


def _failed(condition: str) -> AwsError:
    return AwsError("PreconditionFailed", "At least one of the pre-conditions you specified did not hold", extra={"Condition": condition})


def _names(header: str, etag: str) -> bool:
    """Whether an If-Match or If-None-Match header names this ETag; quotes may be missing."""
    return any(given.strip().removeprefix("W/").strip('"') in (etag, "*") for given in header.split(","))


def check_read(
    version: Version,
    if_match: str | None,
    if_none_match: str | None,
    if_modified_since: float | None,
    if_unmodified_since: float | None,
    *,
    copying: bool = False,
) -> None:
    """412 or 304 for a GET or HEAD; a copy (whose headers are x-amz-copy-source-if-…) never answers 304."""
    prefix = "x-amz-copy-source-" if copying else ""
    modified = int(version.modified)
    if if_match is not None:
        if not _names(if_match, version.etag):
            raise _failed(f"{prefix}If-Match")
    elif if_unmodified_since is not None and modified > if_unmodified_since:
        raise _failed(f"{prefix}If-Unmodified-Since")
    if if_none_match is not None:
        unchanged = _names(if_none_match, version.etag)
    else:
        unchanged = if_modified_since is not None and modified <= if_modified_since
    if unchanged and copying:
        raise _failed(f"{prefix}If-None-Match" if if_none_match is not None else f"{prefix}If-Modified-Since")
    if unchanged:
        raise AwsError("NotModified", "Not Modified", status=304)


def check_write(name: str, current: Version | None, if_match: str | None, if_none_match: str | None) -> None:
    """Conditional writes: If-None-Match: * (only if there is no object) and If-Match: etag (only over that object)."""
    exists = current is not None and not current.marker
    if if_none_match is not None:
        if if_none_match.strip() != "*":
            raise AwsError(
                "NotImplemented",
                "A header you provided implies functionality that is not implemented",
                status=501,
                extra={"Header": "If-None-Match", "additionalMessage": "We don't accept the provided value of If-None-Match header"},
            )
        if exists:
            raise _failed("If-None-Match")
    if if_match is not None:
        if current is None or current.marker:
            raise no_such_key(name)
        if not _names(if_match, current.etag):
            raise _failed("If-Match")


def window(version: Version, range_header: str | None, part_number: int | None) -> Window:
    """The bytes that a read is about. A Range that S3 does not understand (another unit, several ranges) means the whole object."""
    if part_number is not None:
        if range_header is not None:
            raise AwsError("InvalidRequest", "Cannot specify both Range header and partNumber query parameter")
        return _part(version, part_number)
    size = version.size
    match = _RANGE.match(range_header.strip()) if range_header is not None else None
    if match is None or match.group(0) == "bytes=-":
        return Window(0, size, False)
    first, last = match.groups()
    if first == "":
        start, end = max(0, size - int(last)), size
        possible = int(last) > 0
    else:
        start, end = int(first), min(size, int(last) + 1) if last else size
        if last and int(last) < start:
            return Window(0, size, False)
        possible = start < size
    if not possible or size == 0:
        raise AwsError(
            "InvalidRange",
            "The requested range is not satisfiable",
            extra={"RangeRequested": range_header, "ActualObjectSize": str(size)},
        )
    return Window(start, end - start, True)


def _part(version: Version, number: int) -> Window:
    if not version.parts:
        if number == 1:
            return Window(0, version.size, version.size > 0)
        raise _no_such_part(number, 1)
    if not 1 <= number <= len(version.parts):
        raise _no_such_part(number, len(version.parts))
    start = sum(part.size for part in version.parts[: number - 1])
    return Window(start, version.parts[number - 1].size, True)


def _no_such_part(number: int, count: int) -> AwsError:
    return AwsError(
        "InvalidPartNumber",
        "The requested partnumber is not satisfiable",
        status=416,
        extra={"PartNumberRequested": str(number), "ActualPartCount": str(count)},
    )

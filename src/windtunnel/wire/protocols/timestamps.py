"""Timestamps on the wire: three formats in, three out; inside the house a timestamp is a float of UTC epoch seconds.

Invariant: `parse` of what `render` wrote gives the same instant to the millisecond.
"""

from __future__ import annotations

import re
from calendar import timegm
from datetime import UTC, datetime, timedelta
from functools import lru_cache

_ISO = re.compile(r"(\d{4})-(\d\d)-(\d\d)(?:[Tt ](\d\d):(\d\d)(?::(\d\d)(\.\d{1,9})?)?\s*([Zz]|[+-]\d\d:?\d\d)?)?\Z")
_BASIC = re.compile(r"(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z\Z")
_HTTP = re.compile(r"(?:\w{3}, )?(\d{1,2}) (\w{3}) (\d{4}) (\d\d):(\d\d):(\d\d)(\.\d{1,9})? (?:GMT|UTC|[+]0000)\Z")
_NUMBER = re.compile(r"-?\d{1,15}(?:\.\d{1,12})?(?:[eE][+]?\d{1,2})?\Z")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_EARLIEST, _LATEST = -62135596800.0, 253402300799.999  # years 1 to 9999


def parse(text: str, fmt: str) -> float | None:
    """Epoch seconds, or None when the text is no timestamp. fmt: iso8601, rfc822 or unixTimestamp; the others are tried after it."""
    readers = (_number, _iso, _http) if fmt == "unixTimestamp" else (_http, _iso, _number) if fmt == "rfc822" else (_iso, _http, _number)
    for reader in readers:
        value = reader(text)
        if value is not None:
            return value if _EARLIEST <= value <= _LATEST else None
    return None


def _iso(text: str) -> float | None:
    match = _ISO.match(text)
    if match is None:
        match = _BASIC.match(text)
        return _instant(match.groups()) if match else None
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    value = _instant((year, month, day, hour or "0", minute or "0", second or "0"))
    if value is None:
        return None
    if fraction:
        value += float(fraction)
    if zone and zone not in "Zz":
        offset = timedelta(hours=int(zone[1:3]), minutes=int(zone[-2:])).total_seconds()
        value += offset if zone[0] == "-" else -offset
    return value


def _http(text: str) -> float | None:
    match = _HTTP.match(text)
    if match is None or match[2] not in _MONTHS:
        return None
    value = _instant((match[3], str(_MONTHS.index(match[2]) + 1), match[1], match[4], match[5], match[6]))
    return value if value is None or not match[7] else value + float(match[7])


def _number(text: str) -> float | None:
    return float(text) if _NUMBER.match(text) else None


def _instant(parts: tuple[str, ...]) -> float | None:
    try:
        return float(timegm(datetime(*(int(part) for part in parts), tzinfo=UTC).utctimetuple()))  # type: ignore[misc,arg-type]
    except ValueError:
        return None


@lru_cache(maxsize=4096)
def render(value: float | datetime, fmt: str, *, millis: bool = False) -> str:
    """The text of an instant. millis: write `.000` even for whole seconds, as S3 and EC2 do."""
    seconds = value.timestamp() if isinstance(value, datetime) else value
    if fmt == "unixTimestamp":
        return str(int(seconds)) if seconds == int(seconds) else repr(round(seconds, 3))
    whole, thousandths = divmod(round(seconds * 1000), 1000)
    at = datetime.fromtimestamp(whole, UTC)
    if fmt == "rfc822":
        return f"{_DAYS[at.weekday()]}, {at.day:02d} {_MONTHS[at.month - 1]} {at.year:04d} {at:%H:%M:%S} GMT"
    fraction = f".{thousandths:03d}" if thousandths or millis else ""
    return f"{at.year:04d}-{at:%m-%dT%H:%M:%S}{fraction}Z"


def canonical_format(fmt: str) -> str:
    """The models' two vocabularies as one."""
    return {"date-time": "iso8601", "http-date": "rfc822", "epoch-seconds": "unixTimestamp"}.get(fmt, fmt)

"""Whom a browser speaks for: names under which this cloud may be reached, and pages that are not its own.

A cloud on the loopback is reachable by every page that its user has open. Two things keep pages out: a `Host` that is not ours is a name that
someone has pointed at us (DNS rebinding), and is refused; a page of another origin, which browsers name in `Origin` or `Sec-Fetch-Site`, may read what is
public and use what was signed, and nothing else. Invariant: pure, and what it does not know is not ours.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

_ADDRESS = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}\Z|\[[0-9a-fA-F:.%]+\]\Z")
_OURS = re.compile(
    r"(?:[a-z0-9_-]+\.)*(?:localhost|localhost\.localdomain|amazonaws\.com|amazonaws\.com\.cn|api\.aws|test|internal|127\.0\.0\.1\.nip\.io)\Z"
)
"""Names that nobody else can point at this machine: the loopback's, AWS's own, and those that no public name server has (RFC 2606, ICANN's .internal)."""
_LOOPBACK = re.compile(r"(?:127(?:\.\d{1,3}){3}|\[::1\]|localhost)\Z")
_SAFE = frozenset(("GET", "HEAD", "OPTIONS"))
_LONGEST = 300


def is_ours(host: str, others: frozenset[str] = frozenset()) -> bool:
    """Whether a Host header names this cloud. others: names that the user has given it."""
    return len(host) <= _LONGEST and _is_ours(host, others)


@lru_cache(maxsize=1024)
def _is_ours(host: str, others: frozenset[str]) -> bool:
    name = _name(host).lower()
    return _ADDRESS.match(name) is not None or _OURS.match(name.removesuffix(".")) is not None or name in others


def _name(host: str) -> str:
    """Without the port."""
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdigit() or colon and not port else host


def is_foreign(headers: Mapping[str, str]) -> bool:
    """Whether a page of another origin makes this request. headers: lower-case names."""
    origin = headers.get("origin")
    if origin is not None:
        return not _same(origin, headers.get("host", ""))
    return headers.get("sec-fetch-site", "none") not in ("none", "same-origin")


def _same(origin: str, host: str) -> bool:
    scheme, mark, own = origin.lower().partition("://")
    host = host.lower()
    if not mark or scheme not in ("http", "https"):
        return False
    if own == host:
        return True
    return _port(own) == _port(host) and all(_LOOPBACK.match(_name(name)) for name in (own, host))


def _port(host: str) -> str:
    return host[len(_name(host)) :]


def may_from_elsewhere(method: str, raw_query: str, headers: Mapping[str, str]) -> bool:
    """What a foreign page may ask for: what is public, and what somebody with keys has signed (AWS answers those too; S3's CORS rules
    say whether the page may read the answer). An upload form is S3's to judge: its signature is inside."""
    if headers.get("authorization", "").startswith("AWS4-") or "X-Amz-Signature=" in raw_query or "Signature=" in raw_query:
        return True
    if method in _SAFE:
        return "Action=" not in raw_query
    return method == "POST" and not raw_query and headers.get("content-type", "").lower().startswith("multipart/form-data")

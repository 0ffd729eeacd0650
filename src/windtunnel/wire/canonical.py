"""Signature Version 4's canonical forms and its arithmetic; signing and verifying both stand on these.

Invariant: pure functions over text and bytes. Only S3 takes its path as it was sent; every other service's is normalised and
encoded once more.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable
from hashlib import sha256
from urllib.parse import quote, quote_from_bytes, unquote_to_bytes

ALGORITHM = "AWS4-HMAC-SHA256"
EMPTY_SHA256 = sha256(b"").hexdigest()
UNSIGNED = "UNSIGNED-PAYLOAD"
_PLAIN_PATH = re.compile(r"[A-Za-z0-9\-._~/]*\Z")
_SPACES = re.compile(rb"[ \t\r\n]+")


def canonical_path(raw_path: str, s3: bool) -> str:
    """raw_path: as it stood in the request line."""
    if s3:
        if _PLAIN_PATH.match(raw_path):
            return raw_path or "/"
        return quote_from_bytes(unquote_to_bytes(raw_path), safe="/-_.~")
    if raw_path == "/":
        return raw_path
    return quote(_normalised(raw_path), safe="/-_.~")


def _normalised(path: str) -> str:
    """Without empty, `.` and `..` steps; a closing slash stays."""
    kept: list[str] = []
    steps = path.split("/")
    for step in steps:
        if step == "..":
            del kept[-1:]
        elif step not in ("", "."):
            kept.append(step)
    closing = "/" if kept and steps[-1] in ("", ".", "..") else ""
    return "/" + "/".join(kept) + closing


def canonical_query(raw_query: str, *, without: str | None = None) -> str:
    """Sorted, each name and value encoded the one way. without: the parameter that is not signed (X-Amz-Signature)."""
    if not raw_query:
        return ""
    pairs = []
    for piece in raw_query.split("&"):
        name, _, value = piece.partition("=")
        name = _encoded(name)
        if piece and name != without:
            pairs.append((name, _encoded(value)))
    pairs.sort()
    return "&".join([f"{name}={value}" for name, value in pairs])


def _encoded(text: str) -> str:
    return quote_from_bytes(unquote_to_bytes(text), safe="-_.~")


def canonical_value(value: bytes) -> bytes:
    """A header's value with runs of blanks collapsed and none at the ends."""
    if b"  " in value or b"\t" in value or b"\r" in value or b"\n" in value:
        value = _SPACES.sub(b" ", value)
    return value.strip()


def canonical_request(method: str, path: str, query: str, headers: Iterable[tuple[bytes, bytes]], signed: str, payload_hash: str) -> bytes:
    """path, query: canonical already. headers: the signed ones, (name, canonical value), in the order of `signed`."""
    block = b"".join([name + b":" + value + b"\n" for name, value in headers])
    return f"{method}\n{path}\n{query}\n".encode() + block + f"\n{signed}\n{payload_hash}".encode()


def string_to_sign(stamp: str, scope: str, request: bytes) -> str:
    return f"{ALGORITHM}\n{stamp}\n{scope}\n{sha256(request).hexdigest()}"


def signing_key(secret: str, date: str, region: str, service: str) -> bytes:
    key = hmac.digest(b"AWS4" + secret.encode(), date.encode(), "sha256")
    for part in (region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def signature(key: bytes, text: str) -> str:
    return hmac.digest(key, text.encode(), "sha256").hex()

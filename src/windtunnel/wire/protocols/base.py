"""What every codec shares: the request as it came, the closures' types, the limits, the errors of reading.

Invariant: a request that cannot be read is an `AwsError`; no shape of bytes makes a decoder fail otherwise, or work without bound.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn
from urllib.parse import unquote, unquote_plus

from windtunnel.kernel.errors import AwsError

MAX_DEPTH = 64
"""Levels of nesting that a request may have."""
MAX_PARAMETERS = 8192
"""Pairs that a query string or a form may have."""

Header = tuple[bytes, bytes]
Response = tuple[int, list[Header], bytes]


class RawRequest:
    """A request before decoding.

    path: still percent-encoded. path_params: from routing, decoded. query: (name, value) pairs, decoded, in order
    (`parse_query`). headers: lower-case names; repeated ones joined by ",".
    """

    __slots__ = ("method", "path", "path_params", "query", "headers", "body")

    def __init__(
        self,
        method: str,
        path: str,
        path_params: dict[str, str],
        query: list[tuple[str, str]],
        headers: dict[str, str],
        body: bytes,
    ) -> None:
        self.method = method
        self.path = path
        self.path_params = path_params
        self.query = query
        self.headers = headers
        self.body = body


Decoder = Callable[[RawRequest], dict[str, Any]]
"""request -> top-level members as snake_case arguments."""
Encoder = Callable[[dict[str, Any], str], Response]
"""(result with the model's member names, request id) -> (status, headers, body)."""
ErrorEncoder = Callable[[AwsError, str, bool], Response]
"""(error, request id, is it a HEAD request) -> (status, headers, body)."""


class UnknownResultMember(Exception):
    """A handler returned a member that the output shape does not have, or a value of another type (strict encoders only)."""


def parse_query(raw: str) -> list[tuple[str, str]]:
    """A query string's pairs, percent-decoded ("+" stays a plus, as S3 reads it). Raises AwsError when there are too many."""
    return _pairs(raw, unquote)


def parse_form(body: bytes) -> list[tuple[str, str]]:
    """An x-www-form-urlencoded body's pairs ("+" is a blank)."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        malformed("The request body is not valid UTF-8.")
    return _pairs(text, unquote_plus)


def _pairs(raw: str, decode: Callable[[str], str]) -> list[tuple[str, str]]:
    if not raw:
        return []
    if raw.count("&") >= MAX_PARAMETERS:
        malformed(f"The request has more than {MAX_PARAMETERS} parameters.")
    pairs = []
    for piece in raw.split("&"):
        if piece:
            name, _, value = piece.partition("=")
            pairs.append((_plain(name) or decode(name), _plain(value) or decode(value)))
    return pairs


def _plain(text: str) -> str:
    """Text that needs no decoding, else nothing."""
    return text if "%" not in text and "+" not in text else ""


def malformed(message: str) -> NoReturn:
    raise AwsError("MalformedInput", message, status=400)


def serialization(message: str = "") -> NoReturn:
    """The JSON protocols' answer to what cannot be read as the input shape."""
    raise AwsError("SerializationException", message, status=400)

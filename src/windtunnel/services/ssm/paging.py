"""Opaque tokens for pages in order of names. Pure."""

from __future__ import annotations

from base64 import b64decode, urlsafe_b64encode
from binascii import Error as Base64Error

from windtunnel.kernel.errors import AwsError


def encode_token(last: str) -> str:
    """The token of the page after this name."""
    return urlsafe_b64encode(last.encode()).decode()


def decode_token(token: str | None) -> str | None:
    """The name after which to go on; None for the first page."""
    if not token:
        return None
    try:
        return b64decode(token.encode(), altchars=b"-_", validate=True).decode()
    except (Base64Error, ValueError):
        raise AwsError("InvalidNextToken", "The specified token isn't valid.") from None

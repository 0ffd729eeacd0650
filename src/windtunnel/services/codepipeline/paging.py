"""Pagination tokens: opaque to clients, the last key of a page to us."""

from __future__ import annotations

import base64
import binascii

from windtunnel.kernel.errors import AwsError

_MARK = "wt1:"


def token_after(key: str) -> str:
    return base64.urlsafe_b64encode((_MARK + key).encode()).decode()


def key_of(token: str | None) -> str | None:
    """The key that a token stands for. Raises AWS's error for one that we never gave."""
    if token is None:
        return None
    try:
        text = base64.urlsafe_b64decode(token.encode()).decode()
    except (binascii.Error, UnicodeError, ValueError):
        text = ""
    if not text.startswith(_MARK):
        raise AwsError(
            "InvalidNextTokenException", "The next token was specified in an invalid format. Make sure that it is the one returned."
        )
    return text[len(_MARK) :]

"""Randomness comes from here, so that tests can fix identifiers."""

from __future__ import annotations

import os
import random
import string
from collections import deque
from typing import Protocol

_UPPER = string.ascii_uppercase + string.digits
_ALNUM = string.ascii_letters + string.digits
_PIECE, _PIECES = 16, 256


class Ids(Protocol):
    """Identifiers as AWS shapes them."""

    def hex(self, length: int) -> str: ...

    def upper(self, length: int) -> str:
        """Upper-case letters and digits, as in `d-ABC123XYZ` or `AKIA…`."""

    def alnum(self, length: int) -> str:
        """Letters of both cases and digits."""

    def uuid(self) -> str: ...

    def secret(self, length: int) -> str:
        """Unguessable text in the base64 alphabet, for secret keys and passwords."""


def _uuid(bits: int) -> str:
    """Version 4 (RFC 9562)."""
    h = f"{(bits & ~(0xF << 76) | (4 << 76)) & ~(0x3 << 62) | (0x2 << 62):032x}"
    return f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}"


class _Drawn:
    """Identifiers over any source of random bits."""

    def __init__(self, source: random.Random) -> None:
        self._source = source

    def hex(self, length: int) -> str:
        return f"{self._source.getrandbits(length * 4):0{length}x}"

    def upper(self, length: int) -> str:
        return "".join(self._source.choices(_UPPER, k=length))

    def alnum(self, length: int) -> str:
        return "".join(self._source.choices(_ALNUM, k=length))

    def uuid(self) -> str:
        return _uuid(self._source.getrandbits(128))

    def secret(self, length: int) -> str:
        return "".join(self._source.choices(_ALNUM + "+/", k=length))


class SystemIds:
    """Identifiers from the operating system's randomness, fetched for many at a time: a call to the kernel for each letter is what an id would cost else.

    Any thread may ask: the pieces lie in a deque, whose ends are taken by one thread each.
    """

    def __init__(self) -> None:
        self._pieces: deque[int] = deque()

    def _number(self) -> int:
        """128 random bits that nobody else gets."""
        try:
            return self._pieces.popleft()
        except IndexError:
            drawn = os.urandom(_PIECE * _PIECES)
            first, *rest = (int.from_bytes(drawn[at : at + _PIECE], "little") for at in range(0, len(drawn), _PIECE))
            self._pieces.extend(rest)
            return first

    def _text(self, alphabet: str, length: int) -> str:
        """Ten letters a piece: of the 128 bits at least 64 are left over, so none is likelier than another by more than 2**-64."""
        letters, base = [], len(alphabet)
        number = left = 0
        for _ in range(length):
            if not left:
                number, left = self._number(), 10
            number, digit = divmod(number, base)
            letters.append(alphabet[digit])
            left -= 1
        return "".join(letters)

    def hex(self, length: int) -> str:
        text = f"{self._number():032x}"
        while len(text) < length:
            text += f"{self._number():032x}"
        return text[:length]

    def upper(self, length: int) -> str:
        return self._text(_UPPER, length)

    def alnum(self, length: int) -> str:
        return self._text(_ALNUM, length)

    def uuid(self) -> str:
        return _uuid(self._number())

    def secret(self, length: int) -> str:
        return self._text(_ALNUM + "+/", length)


class FixedIds(_Drawn):
    """Repeatable identifiers for tests."""

    def __init__(self, seed: int = 1) -> None:
        super().__init__(random.Random(seed))

"""Randomness comes from here, so that tests can fix identifiers."""

from __future__ import annotations

import random
import secrets
import string
from typing import Protocol

_UPPER = string.ascii_uppercase + string.digits
_ALNUM = string.ascii_letters + string.digits


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
        h = f"{(self._source.getrandbits(128) & ~(0xF << 76) | (4 << 76)) & ~(0x3 << 62) | (0x2 << 62):032x}"
        return f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}"

    def secret(self, length: int) -> str:
        return "".join(self._source.choices(_ALNUM + "+/", k=length))


class SystemIds(_Drawn):
    """Identifiers from the operating system's randomness."""

    def __init__(self) -> None:
        super().__init__(secrets.SystemRandom())

    def hex(self, length: int) -> str:
        return secrets.token_hex((length + 1) // 2)[:length]


class FixedIds(_Drawn):
    """Repeatable identifiers for tests."""

    def __init__(self, seed: int = 1) -> None:
        super().__init__(random.Random(seed))

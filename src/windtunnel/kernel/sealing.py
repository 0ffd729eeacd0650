"""The seam to what is sealed at rest: key material, secrets, object data keys. The part "sealer".

Invariant: whoever reads the store's file alone, without the root key beside it, learns nothing that was sealed; what was sealed for
one purpose (its context) cannot be unsealed for another.
"""

from __future__ import annotations

from typing import Protocol


class Sealer(Protocol):
    """Authenticated encryption under the cloud's root key. Quick (microseconds) and without I/O once made: usable in any handler."""

    def seal(self, plaintext: bytes, context: bytes) -> bytes:
        """The sealed bytes (29 longer). context: what it is for (`b"kms.key/ID"`), asked again at unseal."""

    def unseal(self, sealed: bytes, context: bytes) -> bytes:
        """The plaintext. Raises `Unsealable` when it was altered, sealed for another context, or under another root key."""

    def derive(self, label: str) -> bytes:
        """32 bytes that follow from the root key and the label, always the same ones."""


class Unsealable(Exception):
    """What was sealed has been altered, or belongs to another context or cloud."""

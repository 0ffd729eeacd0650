"""The cloud's root key, and what is sealed under it: AES-256-GCM, a random nonce for each message.

Invariant: the key's file is durable, and 0600, before anything was sealed under it; it is never replaced, for that would lose
everything that it seals.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from pathlib import Path

from windtunnel.kernel.sealing import Unsealable

KEY_FILE = "root.key"
KEY_BYTES = 32
NONCE_BYTES = 12
_FORMAT = b"\x01"
"""The first byte of what is sealed, so that another format can follow this one."""


class DamagedRootKey(Exception):
    """`root.key` is there and is not a key: opening the cloud with another one would lose what is sealed."""


def root_key(data: Path) -> bytes:
    """The root key of a data directory, made and fsynced when there is none. Raises DamagedRootKey."""
    path = data / KEY_FILE
    try:
        held = path.read_bytes()
    except FileNotFoundError:
        return _make(path)
    if len(held) != KEY_BYTES:
        raise DamagedRootKey(f"{path} has {len(held)} bytes instead of {KEY_BYTES}; restore it from a snapshot or a backup")
    return held


def _make(path: Path) -> bytes:
    """Written aside and linked into place, so that neither a crash nor a second maker leaves half a key or two of them."""
    key, aside = secrets.token_bytes(KEY_BYTES), path.with_name(f".{KEY_FILE}.{secrets.token_hex(8)}")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(descriptor, key)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    try:
        os.link(aside, path)
    except FileExistsError:
        key = path.read_bytes()
    finally:
        aside.unlink()
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
    return key


class RootKeySealer:
    """kernel.sealing.Sealer over a root key of 32 bytes."""

    def __init__(self, key: bytes) -> None:
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        self._altered = InvalidTag
        self._key = key
        self._cipher = AESGCM(self.derive("seal"))

    def seal(self, plaintext: bytes, context: bytes) -> bytes:
        nonce = secrets.token_bytes(NONCE_BYTES)
        return _FORMAT + nonce + self._cipher.encrypt(nonce, plaintext, context)

    def unseal(self, sealed: bytes, context: bytes) -> bytes:
        if sealed[:1] != _FORMAT or len(sealed) <= NONCE_BYTES:
            raise Unsealable(f"not sealed by this format: {context!r}")
        nonce = sealed[1 : NONCE_BYTES + 1]
        try:
            return self._cipher.decrypt(nonce, sealed[NONCE_BYTES + 1 :], context)
        except self._altered:
            raise Unsealable(f"altered, or sealed for something else: {context!r}") from None

    def derive(self, label: str) -> bytes:
        return hmac.digest(self._key, label.encode(), hashlib.sha256)

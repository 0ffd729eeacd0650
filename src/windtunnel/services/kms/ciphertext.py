"""The ciphertexts of symmetric keys: which key and material made one stands in its head, sealed in with the encryption context.

Invariant: nothing but the same key, material, head and encryption context decrypts a ciphertext. Each has a message key of its own,
derived from the material and a random salt, so that any number of messages may go under one key.

Layout: magic 4 (its last byte: 1 for a multi-Region key), account 5, region length 1, region, key id 16, material id 8, salt 16, nonce 12,
AES-256-GCM.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.scope import Scope

_MAGIC = b"\x01\x02\x02\x00"
_MULTI = b"\x01\x02\x02\x01"
_MRK = "mrk-"
_SALT, _NONCE, _TAG = 16, 12, 16


class Head(NamedTuple):
    """Where a ciphertext comes from. material: the first 16 hex digits of the material's id."""

    scope: Scope
    key_id: str
    material: str
    length: int


def invalid() -> AwsError:
    return AwsError("InvalidCiphertextException", "")


def encrypt(material: bytes, scope: Scope, key_id: str, material_id: str, plaintext: bytes, context: Mapping[str, str]) -> bytes:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    region = scope.region.encode()
    head = b"".join(
        (
            _MULTI if key_id.startswith(_MRK) else _MAGIC,
            int(scope.account).to_bytes(5, "big"),
            bytes([len(region)]),
            region,
            bytes.fromhex(key_id.removeprefix(_MRK).replace("-", "")),
            bytes.fromhex(material_id[:16]),
        )
    )
    salt, nonce = secrets.token_bytes(_SALT), secrets.token_bytes(_NONCE)
    cipher = AESGCM(hmac.digest(material, salt, hashlib.sha256))
    return head + salt + nonce + cipher.encrypt(nonce, plaintext, head + _canonical(context))


def read_head(blob: bytes) -> Head:
    """Raises InvalidCiphertextException for what no key of ours can have made."""
    if blob[:4] not in (_MAGIC, _MULTI) or len(blob) < 10:
        raise invalid()
    account, size = int.from_bytes(blob[4:9], "big"), blob[9]
    start = 10 + size
    try:
        region = blob[10:start].decode()
    except UnicodeDecodeError:
        raise invalid() from None
    if len(blob) < start + 24 + _SALT + _NONCE + _TAG or account > 999_999_999_999:
        raise invalid()
    h = blob[start : start + 16].hex()
    key_id = _MRK + h if blob[:4] == _MULTI else f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}"
    return Head(Scope(f"{account:012d}", region), key_id, blob[start + 16 : start + 24].hex(), start + 24)


def decrypt(material: bytes, blob: bytes, head: Head, context: Mapping[str, str]) -> bytes:
    """The plaintext. Raises InvalidCiphertextException."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    end = head.length + _SALT
    cipher = AESGCM(hmac.digest(material, blob[head.length : end], hashlib.sha256))
    try:
        return cipher.decrypt(blob[end : end + _NONCE], blob[end + _NONCE :], blob[: head.length] + _canonical(context))
    except InvalidTag:
        raise invalid() from None


def _canonical(context: Mapping[str, str]) -> bytes:
    return msgspec.json.encode(sorted(context.items()))

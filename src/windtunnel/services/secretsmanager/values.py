"""The values of versions: encrypted under data keys of KMS, with the caller's own permissions on the key.

Invariant: a value is never written in the clear; the encryption context binds it to its secret and version. KMS's refusals are told
in Secrets Manager's words.
"""

from __future__ import annotations

import hmac
import secrets
from typing import Any

from windtunnel.kernel.context import Context
from windtunnel.kernel.errors import AwsError
from windtunnel.services.secretsmanager.lookups import Found
from windtunnel.services.secretsmanager.model import MAX_VALUE, Version

DEFAULT_KEY = "alias/aws/secretsmanager"
_NONCE = 12


def given(secret_string: str | None, secret_binary: bytes | None) -> tuple[bytes, bool] | None:
    """(the value as bytes, whether it is binary) of a request; None when it has none."""
    if secret_string is not None and secret_binary is not None:
        words = "You can't specify both a binary secret value and a string secret value in the same secret."
        raise AwsError("InvalidParameterException", words)
    if secret_string is None and secret_binary is None:
        return None
    value = secret_string.encode() if secret_string is not None else secret_binary or b""
    if len(value) > MAX_VALUE:
        raise AwsError("InvalidParameterException", f"The secret value is longer than {MAX_VALUE} bytes.")
    return value, secret_string is None


def mark(ctx: Context, value: bytes, binary: bool) -> bytes:
    """By which the same value is known again; it tells nothing of the value."""
    key: bytes = ctx.cloud.part("sealer").derive("secretsmanager.mark")
    return hmac.digest(key, (b"b" if binary else b"s") + value, "sha256")


def encrypted(ctx: Context, found: Found, version: Version, value: bytes, binary: bool, kms_key: str) -> Version:
    """The version with this value in it."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    asked = {"key_id": kms_key or DEFAULT_KEY, "key_spec": "AES_256", "encryption_context": _context(found, version.id)}
    data_key = _kms(ctx, "GenerateDataKey", "EncryptionFailure", asked)
    nonce = secrets.token_bytes(_NONCE)
    version.sealed = nonce + AESGCM(data_key["Plaintext"]).encrypt(nonce, value, None)
    version.data_key, version.binary, version.kms_key = data_key["CiphertextBlob"], binary, kms_key
    version.mark = mark(ctx, value, binary)
    return version


def decrypted(ctx: Context, found: Found, version: Version) -> bytes:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    asked = {"ciphertext_blob": version.data_key, "encryption_context": _context(found, version.id)}
    data_key = _kms(ctx, "Decrypt", "DecryptionFailure", asked)
    try:
        return AESGCM(data_key["Plaintext"]).decrypt(version.sealed[:_NONCE], version.sealed[_NONCE:], None)
    except InvalidTag:
        raise _failure("DecryptionFailure") from None


def shown(ctx: Context, found: Found, version: Version) -> dict[str, Any]:
    """The value as GetSecretValue answers it."""
    value = decrypted(ctx, found, version)
    entry: dict[str, Any] = {"SecretBinary": value} if version.binary else {"SecretString": value.decode()}
    return {
        **found.names(),
        "VersionId": version.id,
        **entry,
        "VersionStages": found.secret.labels(version.id),
        "CreatedDate": version.created,
    }


def _context(found: Found, version: str) -> dict[str, str]:
    return {"SecretARN": found.arn, "SecretVersionId": version}


def _kms(ctx: Context, operation: str, failure: str, args: dict[str, Any]) -> dict[str, Any]:
    try:
        return ctx.on_behalf("secretsmanager").call("kms", operation, **args)
    except AwsError as error:
        if error.code in ("AccessDenied", "AccessDeniedException"):
            raise AwsError("AccessDeniedException", "Access to KMS is not allowed") from None
        if error.code == "NotImplemented":
            raise
        raise _failure(failure) from None


def _failure(code: str) -> AwsError:
    if code == "EncryptionFailure":
        words = (
            "Secrets Manager can't encrypt the protected secret text using the provided KMS key."
            " Check that the KMS key is available, enabled, and not in an invalid state."
        )
        return AwsError("EncryptionFailure", words)
    return AwsError("DecryptionFailure", "Secrets Manager can't decrypt the protected secret text using the provided KMS key.")

"""SecureString values: encrypted under KMS with the caller's own permissions on the key, bound to the parameter by its ARN.

Invariant: a SecureString stands in its record as what a client sees who does not ask for decryption. A standard parameter's value is
encrypted by KMS itself; an advanced one, which may be longer, under a data key that travels in front of it.
"""

from __future__ import annotations

import secrets
from base64 import b64decode, b64encode
from typing import Any

from windtunnel.kernel.context import Context
from windtunnel.kernel.errors import AwsError
from windtunnel.services.ssm.model import ParameterVersion, parameter_arn

DEFAULT_KEY = "alias/aws/ssm"
_ENVELOPE = b"\x02\x05\x78"
_NONCE = 12


def encrypted(ctx: Context, name: str, value: str, tier: str, key_id: str) -> str:
    """The value as it is kept: base64 of a ciphertext."""
    context = _context(ctx, name)
    if tier == "Standard":
        return b64encode(
            _kms(ctx, "Encrypt", key_id=key_id, plaintext=value.encode(), encryption_context=context)["CiphertextBlob"]
        ).decode()
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    made = _kms(ctx, "GenerateDataKey", key_id=key_id, key_spec="AES_256", encryption_context=context)
    nonce, wrapped = secrets.token_bytes(_NONCE), made["CiphertextBlob"]
    sealed = AESGCM(made["Plaintext"]).encrypt(nonce, value.encode(), None)
    return b64encode(_ENVELOPE + len(wrapped).to_bytes(2, "big") + wrapped + nonce + sealed).decode()


def opened(ctx: Context, name: str, entry: ParameterVersion) -> str:
    """The value in the clear."""
    blob, context = b64decode(entry.value), _context(ctx, name)
    if not blob.startswith(_ENVELOPE):
        plaintext: bytes = _kms(ctx, "Decrypt", ciphertext_blob=blob, encryption_context=context)["Plaintext"]
        return plaintext.decode()
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    start = len(_ENVELOPE) + 2
    end = start + int.from_bytes(blob[len(_ENVELOPE) : start], "big")
    key: bytes = _kms(ctx, "Decrypt", ciphertext_blob=blob[start:end], encryption_context=context)["Plaintext"]
    try:
        return AESGCM(key).decrypt(blob[end : end + _NONCE], blob[end + _NONCE :], None).decode()
    except InvalidTag:
        raise AwsError("InvalidKeyId", "The parameter's value cannot be decrypted.") from None


def _context(ctx: Context, name: str) -> dict[str, str]:
    return {"PARAMETER_ARN": parameter_arn(ctx.scope, name)}


def _kms(ctx: Context, operation: str, **args: Any) -> dict[str, Any]:
    """KMS's refusals, as Parameter Store passes them on."""
    try:
        return ctx.on_behalf("ssm").call("kms", operation, **args)
    except AwsError as error:
        if error.code == "NotImplemented":
            raise
        denied = error.code in ("AccessDenied", "AccessDeniedException")
        code = "AccessDeniedException" if denied else error.code
        words = f"{error.message} (Service: AWSKMS; Status Code: 400; Error Code: {code}; Request ID: {ctx.ids.uuid()})"
        raise AwsError("AccessDeniedException" if denied else "InvalidKeyId", words) from None

"""Encrypt, Decrypt, ReEncrypt, GenerateRandom. They write nothing: a service may call them wherever it reads."""

from __future__ import annotations

import secrets
from typing import Any

from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import reads
from windtunnel.services.kms import ciphertext, keyring
from windtunnel.services.kms.guard import everywhere, need
from windtunnel.services.kms.lookups import Found, find_key
from windtunnel.services.kms.model import Grant, check_usable, check_usage
from windtunnel.services.kms.specs import ENCRYPT, SYMMETRIC, algorithms

Encryption = dict[str, str]


def would_succeed() -> AwsError:
    return AwsError("DryRunOperationException", "The request would have succeeded, but the DryRun option is set.")


def check_tokens(ctx: Context, found: Found, tokens: list[str] | None) -> None:
    """A grant holds as soon as it is made, so that a token only has to be one."""
    tx = ctx.tx.within(found.scope.account, found.scope.region)
    for token in tokens or ():
        if not tx.find(Grant, "token", token, limit=1):
            raise AwsError("InvalidGrantTokenException", "The grant token is not valid.")


def check_algorithm(found: Found, algorithm: str) -> None:
    if algorithm not in algorithms(found.key.spec, found.key.usage):
        raise AwsError("InvalidKeyUsageException", f"{found.arn} key spec {found.key.spec} is not valid for algorithm {algorithm}.")


def ready(ctx: Context, found: Found, operation: str, algorithm: str, context: Encryption | None, tokens: list[str] | None) -> None:
    """All that must hold before an encryption key is used."""
    check_tokens(ctx, found, tokens)
    check_usable(found.arn, found.key, ctx.now)
    check_usage(found.arn, found.key, ENCRYPT, operation)
    check_algorithm(found, algorithm)
    if context and found.key.spec != SYMMETRIC:
        raise AwsError("ValidationException", "An encryption context is valid only for symmetric encryption KMS keys.")


# -- Encrypt --------------------------------------------------------------------------------------------------------------


def on_encrypt(
    ctx: Context, key_id: str, encryption_context: Encryption | None = None, encryption_algorithm: str = SYMMETRIC, **_: Any
) -> list[Need]:
    return [need(ctx, find_key(ctx, key_id), "Encrypt", {"kms:EncryptionAlgorithm": encryption_algorithm}, encryption_context)]


@reads("kms", "Encrypt", authorize=on_encrypt, acts="KeyId Plaintext EncryptionContext{} GrantTokens[] EncryptionAlgorithm DryRun")
def encrypt(
    ctx: Context,
    key_id: str,
    plaintext: bytes,
    encryption_context: Encryption | None = None,
    grant_tokens: list[str] | None = None,
    encryption_algorithm: str = SYMMETRIC,
    dry_run: bool = False,
) -> Reply:
    found = find_key(ctx, key_id)
    ready(ctx, found, "Encrypt", encryption_algorithm, encryption_context, grant_tokens)
    if dry_run:
        raise would_succeed()
    blob = _encrypted(ctx, found, plaintext, encryption_context or {}, encryption_algorithm)
    return {"CiphertextBlob": blob, "KeyId": found.arn, "EncryptionAlgorithm": encryption_algorithm}


def _encrypted(ctx: Context, found: Found, plaintext: bytes, context: Encryption, algorithm: str) -> bytes:
    if algorithm == SYMMETRIC:
        return keyring.encrypt(ctx, found, plaintext, context)
    from windtunnel.services.kms import asymmetric

    return asymmetric.encrypt(found.key.public, plaintext, algorithm)


# -- Decrypt --------------------------------------------------------------------------------------------------------------


def source_of(ctx: Context, action: str, blob: bytes, key_id: str | None) -> Found:
    """The key that must decrypt: the one that is named, or the one that the ciphertext names itself."""
    if key_id is not None:
        return find_key(ctx, key_id)
    found = keyring.key_of(ctx, ciphertext.read_head(blob))
    if found is None:
        raise AwsError(
            "AccessDeniedException",
            f"User: {ctx.principal.arn} is not authorized to perform: kms:{action} on the resource associated with this ciphertext"
            " because the resource does not exist in this Region, no resource-based policies allow access, or a resource-based policy"
            " explicitly denies access",
        )
    return found


def decrypted(ctx: Context, found: Found, blob: bytes, context: Encryption, algorithm: str) -> tuple[bytes, str]:
    """(plaintext, id of the material); found is ready. Raises IncorrectKeyException for another key's ciphertext."""
    if algorithm != SYMMETRIC:
        from windtunnel.services.kms import asymmetric

        return asymmetric.decrypt(keyring.current_material(ctx, found), blob, algorithm), ""
    head = ciphertext.read_head(blob)
    if (head.scope, head.key_id) != (found.scope, found.key.id):
        raise AwsError("IncorrectKeyException", "The key ID in the request does not identify a CMK that can perform this operation.")
    plaintext, material = keyring.decrypt(ctx, found, blob, head, context)
    return plaintext, material.id


def on_decrypt(
    ctx: Context,
    ciphertext_blob: bytes = b"",
    key_id: str | None = None,
    encryption_context: Encryption | None = None,
    encryption_algorithm: str = SYMMETRIC,
    **_: Any,
) -> list[Need]:
    found = source_of(ctx, "Decrypt", ciphertext_blob, key_id)
    return [need(ctx, found, "Decrypt", {"kms:EncryptionAlgorithm": encryption_algorithm}, encryption_context)]


@reads(
    "kms",
    "Decrypt",
    authorize=on_decrypt,
    acts="CiphertextBlob EncryptionContext{} GrantTokens[] KeyId EncryptionAlgorithm DryRun",
)
def decrypt(
    ctx: Context,
    ciphertext_blob: bytes = b"",
    encryption_context: Encryption | None = None,
    grant_tokens: list[str] | None = None,
    key_id: str | None = None,
    encryption_algorithm: str = SYMMETRIC,
    dry_run: bool = False,
) -> Reply:
    found = source_of(ctx, "Decrypt", ciphertext_blob, key_id)
    ready(ctx, found, "Decrypt", encryption_algorithm, encryption_context, grant_tokens)
    plaintext, material = decrypted(ctx, found, ciphertext_blob, encryption_context or {}, encryption_algorithm)
    if dry_run:
        raise would_succeed()
    reply: Reply = {"KeyId": found.arn, "Plaintext": plaintext, "EncryptionAlgorithm": encryption_algorithm}
    return {**reply, "KeyMaterialId": material} if material else reply


# -- ReEncrypt ------------------------------------------------------------------------------------------------------------


def on_re_encrypt(
    ctx: Context,
    destination_key_id: str,
    ciphertext_blob: bytes = b"",
    source_key_id: str | None = None,
    source_encryption_context: Encryption | None = None,
    destination_encryption_context: Encryption | None = None,
    source_encryption_algorithm: str = SYMMETRIC,
    destination_encryption_algorithm: str = SYMMETRIC,
    **_: Any,
) -> list[Need]:
    source = source_of(ctx, "ReEncryptFrom", ciphertext_blob, source_key_id)
    target = find_key(ctx, destination_key_id)
    same = {"kms:ReEncryptOnSameKey": (source.scope, source.key.id) == (target.scope, target.key.id)}
    from_keys, to_keys = (
        {**same, "kms:EncryptionAlgorithm": name} for name in (source_encryption_algorithm, destination_encryption_algorithm)
    )
    return [
        need(ctx, source, "ReEncryptFrom", from_keys, source_encryption_context),
        need(ctx, target, "ReEncryptTo", to_keys, destination_encryption_context),
    ]


@reads(
    "kms",
    "ReEncrypt",
    authorize=on_re_encrypt,
    acts="CiphertextBlob SourceEncryptionContext{} SourceKeyId DestinationKeyId DestinationEncryptionContext{}"
    " SourceEncryptionAlgorithm DestinationEncryptionAlgorithm GrantTokens[] DryRun",
)
def re_encrypt(
    ctx: Context,
    destination_key_id: str,
    ciphertext_blob: bytes = b"",
    source_encryption_context: Encryption | None = None,
    source_key_id: str | None = None,
    destination_encryption_context: Encryption | None = None,
    source_encryption_algorithm: str = SYMMETRIC,
    destination_encryption_algorithm: str = SYMMETRIC,
    grant_tokens: list[str] | None = None,
    dry_run: bool = False,
) -> Reply:
    source, target = source_of(ctx, "ReEncryptFrom", ciphertext_blob, source_key_id), find_key(ctx, destination_key_id)
    ready(ctx, source, "ReEncrypt", source_encryption_algorithm, source_encryption_context, grant_tokens)
    ready(ctx, target, "ReEncrypt", destination_encryption_algorithm, destination_encryption_context, None)
    plaintext, material = decrypted(ctx, source, ciphertext_blob, source_encryption_context or {}, source_encryption_algorithm)
    if dry_run:
        raise would_succeed()
    reply: Reply = {
        "CiphertextBlob": _encrypted(ctx, target, plaintext, destination_encryption_context or {}, destination_encryption_algorithm),
        "SourceKeyId": source.arn,
        "KeyId": target.arn,
        "SourceEncryptionAlgorithm": source_encryption_algorithm,
        "DestinationEncryptionAlgorithm": destination_encryption_algorithm,
    }
    if material:
        reply["SourceKeyMaterialId"] = material
    if destination_encryption_algorithm == SYMMETRIC and target.key.current is not None:
        reply["DestinationKeyMaterialId"] = target.key.current.id
    return reply


@reads("kms", "GenerateRandom", authorize=everywhere("GenerateRandom"), acts="NumberOfBytes")
def generate_random(ctx: Context, number_of_bytes: int | None = None) -> Reply:
    if number_of_bytes is None:
        raise AwsError("ValidationException", "NumberOfBytes is required.")
    return {"Plaintext": secrets.token_bytes(number_of_bytes)}

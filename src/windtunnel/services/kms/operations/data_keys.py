"""GenerateDataKey and its kin: keys for others to encrypt with, handed out in the clear and under a KMS key."""

from __future__ import annotations

import secrets
from typing import Any

from windtunnel.kernel.context import Authorize, Context, Need, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import reads
from windtunnel.services.kms import keyring
from windtunnel.services.kms.guard import need
from windtunnel.services.kms.lookups import Found, find_key
from windtunnel.services.kms.operations.encryption import Encryption, ready, would_succeed
from windtunnel.services.kms.specs import SYMMETRIC

_BYTES = {"AES_256": 32, "AES_128": 16}
_ASKS = "KeyId EncryptionContext{} NumberOfBytes KeySpec GrantTokens[] DryRun"
_ASKS_PAIR = "KeyId EncryptionContext{} KeyPairSpec GrantTokens[] DryRun"


def on_data_key(action: str) -> Authorize:
    def authorize(
        ctx: Context, key_id: str, encryption_context: Encryption | None = None, key_pair_spec: str | None = None, **_: Any
    ) -> list[Need]:
        asked = {"kms:EncryptionAlgorithm": SYMMETRIC}
        if key_pair_spec is not None:
            asked["kms:DataKeyPairSpec"] = key_pair_spec
        return [need(ctx, find_key(ctx, key_id), action, asked, encryption_context)]

    return authorize


def _data_key(
    ctx: Context,
    operation: str,
    key_id: str,
    encryption_context: Encryption | None,
    number_of_bytes: int | None,
    key_spec: str | None,
    grant_tokens: list[str] | None,
    dry_run: bool,
) -> Reply:
    found = find_key(ctx, key_id)
    if (number_of_bytes is None) == (key_spec is None):
        raise AwsError("ValidationException", "Please specify either number of bytes or key spec.")
    ready(ctx, found, operation, SYMMETRIC, encryption_context, grant_tokens)
    if dry_run:
        raise would_succeed()
    plaintext = secrets.token_bytes(number_of_bytes if number_of_bytes is not None else _BYTES[key_spec or ""])
    blob = keyring.encrypt(ctx, found, plaintext, encryption_context or {})
    return {"CiphertextBlob": blob, "Plaintext": plaintext, "KeyId": found.arn, "KeyMaterialId": _material(found)}


def _material(found: Found) -> str:
    return found.key.current.id if found.key.current is not None else ""


@reads("kms", "GenerateDataKey", authorize=on_data_key("GenerateDataKey"), acts=_ASKS)
def generate_data_key(
    ctx: Context,
    key_id: str,
    encryption_context: Encryption | None = None,
    number_of_bytes: int | None = None,
    key_spec: str | None = None,
    grant_tokens: list[str] | None = None,
    dry_run: bool = False,
) -> Reply:
    return _data_key(ctx, "GenerateDataKey", key_id, encryption_context, number_of_bytes, key_spec, grant_tokens, dry_run)


@reads("kms", "GenerateDataKeyWithoutPlaintext", authorize=on_data_key("GenerateDataKeyWithoutPlaintext"), acts=_ASKS)
def generate_data_key_without_plaintext(
    ctx: Context,
    key_id: str,
    encryption_context: Encryption | None = None,
    number_of_bytes: int | None = None,
    key_spec: str | None = None,
    grant_tokens: list[str] | None = None,
    dry_run: bool = False,
) -> Reply:
    operation = "GenerateDataKeyWithoutPlaintext"
    made = _data_key(ctx, operation, key_id, encryption_context, number_of_bytes, key_spec, grant_tokens, dry_run)
    return {name: value for name, value in made.items() if name != "Plaintext"}


def _pair(
    ctx: Context,
    operation: str,
    key_id: str,
    key_pair_spec: str,
    encryption_context: Encryption | None,
    grant_tokens: list[str] | None,
    dry_run: bool,
) -> Reply:
    from windtunnel.services.kms import asymmetric

    found = find_key(ctx, key_id)
    ready(ctx, found, operation, SYMMETRIC, encryption_context, grant_tokens)
    asymmetric.check_runs(key_pair_spec, operation, "KeyPairSpec")
    if dry_run:
        raise would_succeed()
    private, public = asymmetric.generate(key_pair_spec)
    return {
        "PrivateKeyCiphertextBlob": keyring.encrypt(ctx, found, private, encryption_context or {}),
        "PrivateKeyPlaintext": private,
        "PublicKey": public,
        "KeyId": found.arn,
        "KeyPairSpec": key_pair_spec,
        "KeyMaterialId": _material(found),
    }


@reads("kms", "GenerateDataKeyPair", authorize=on_data_key("GenerateDataKeyPair"), acts=_ASKS_PAIR, cost="scan")
def generate_data_key_pair(
    ctx: Context,
    key_id: str,
    key_pair_spec: str,
    encryption_context: Encryption | None = None,
    grant_tokens: list[str] | None = None,
    dry_run: bool = False,
) -> Reply:
    return _pair(ctx, "GenerateDataKeyPair", key_id, key_pair_spec, encryption_context, grant_tokens, dry_run)


@reads(
    "kms",
    "GenerateDataKeyPairWithoutPlaintext",
    authorize=on_data_key("GenerateDataKeyPairWithoutPlaintext"),
    acts=_ASKS_PAIR,
    cost="scan",
)
def generate_data_key_pair_without_plaintext(
    ctx: Context,
    key_id: str,
    key_pair_spec: str,
    encryption_context: Encryption | None = None,
    grant_tokens: list[str] | None = None,
    dry_run: bool = False,
) -> Reply:
    operation = "GenerateDataKeyPairWithoutPlaintext"
    made = _pair(ctx, operation, key_id, key_pair_spec, encryption_context, grant_tokens, dry_run)
    return {name: value for name, value in made.items() if name != "PrivateKeyPlaintext"}

"""Sign and Verify, GenerateMac and VerifyMac, GetPublicKey, DeriveSharedSecret."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Any

from windtunnel.kernel.context import Authorize, Context, Need, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import reads
from windtunnel.services.kms import keyring
from windtunnel.services.kms.guard import need, on_any_key
from windtunnel.services.kms.lookups import Found, find_key
from windtunnel.services.kms.model import check_usable, check_usage
from windtunnel.services.kms.operations.encryption import check_algorithm, check_tokens, would_succeed
from windtunnel.services.kms.specs import AGREE, ENCRYPT, MAC, SIGN, algorithms, symmetric


def usable(ctx: Context, key_id: str, usage: str, operation: str, algorithm: str, tokens: list[str] | None) -> Found:
    found = find_key(ctx, key_id)
    check_tokens(ctx, found, tokens)
    check_usable(found.arn, found.key, ctx.now)
    check_usage(found.arn, found.key, usage, operation)
    check_algorithm(found, algorithm)
    return found


def on_signing(action: str) -> Authorize:
    def authorize(ctx: Context, key_id: str, signing_algorithm: str, message_type: str = "RAW", **_: Any) -> list[Need]:
        asked: Mapping[str, Any] = {"kms:SigningAlgorithm": signing_algorithm, "kms:MessageType": message_type}
        return [need(ctx, find_key(ctx, key_id), action, asked)]

    return authorize


@reads(
    "kms",
    "Sign",
    authorize=on_signing("Sign"),
    acts="KeyId Message MessageType GrantTokens[] SigningAlgorithm DryRun",
    cost="scan",
)
def sign(
    ctx: Context,
    key_id: str,
    message: bytes,
    signing_algorithm: str,
    message_type: str = "RAW",
    grant_tokens: list[str] | None = None,
    dry_run: bool = False,
) -> Reply:
    from windtunnel.services.kms import asymmetric

    found = usable(ctx, key_id, SIGN, "Sign", signing_algorithm, grant_tokens)
    asymmetric.check_message(signing_algorithm, message, message_type, "Sign")
    if dry_run:
        raise would_succeed()
    signature = asymmetric.sign(keyring.current_material(ctx, found), message, signing_algorithm, message_type == "DIGEST")
    return {"KeyId": found.arn, "Signature": signature, "SigningAlgorithm": signing_algorithm}


@reads(
    "kms",
    "Verify",
    authorize=on_signing("Verify"),
    acts="KeyId Message MessageType Signature SigningAlgorithm GrantTokens[] DryRun",
    cost="scan",
)
def verify(
    ctx: Context,
    key_id: str,
    message: bytes,
    signature: bytes,
    signing_algorithm: str,
    message_type: str = "RAW",
    grant_tokens: list[str] | None = None,
    dry_run: bool = False,
) -> Reply:
    from windtunnel.services.kms import asymmetric

    found = usable(ctx, key_id, SIGN, "Verify", signing_algorithm, grant_tokens)
    asymmetric.check_message(signing_algorithm, message, message_type, "Verify")
    if dry_run:
        raise would_succeed()
    if not asymmetric.verifies(found.key.public, message, signature, signing_algorithm, message_type == "DIGEST"):
        raise AwsError("KMSInvalidSignatureException", "")
    return {"KeyId": found.arn, "SignatureValid": True, "SigningAlgorithm": signing_algorithm}


@reads(
    "kms",
    "GenerateMac",
    authorize=on_any_key("GenerateMac", MacAlgorithm="mac_algorithm"),
    acts="Message KeyId MacAlgorithm GrantTokens[] DryRun",
)
def generate_mac(
    ctx: Context, message: bytes, key_id: str, mac_algorithm: str, grant_tokens: list[str] | None = None, dry_run: bool = False
) -> Reply:
    found = usable(ctx, key_id, MAC, "GenerateMac", mac_algorithm, grant_tokens)
    if dry_run:
        raise would_succeed()
    return {"Mac": _mac(ctx, found, message, mac_algorithm), "MacAlgorithm": mac_algorithm, "KeyId": found.arn}


@reads(
    "kms",
    "VerifyMac",
    authorize=on_any_key("VerifyMac", MacAlgorithm="mac_algorithm"),
    acts="Message KeyId MacAlgorithm Mac GrantTokens[] DryRun",
)
def verify_mac(
    ctx: Context,
    message: bytes,
    key_id: str,
    mac_algorithm: str,
    mac: bytes,
    grant_tokens: list[str] | None = None,
    dry_run: bool = False,
) -> Reply:
    found = usable(ctx, key_id, MAC, "VerifyMac", mac_algorithm, grant_tokens)
    if dry_run:
        raise would_succeed()
    if not hmac.compare_digest(_mac(ctx, found, message, mac_algorithm), mac):
        raise AwsError("KMSInvalidMacException", "")
    return {"KeyId": found.arn, "MacValid": True, "MacAlgorithm": mac_algorithm}


def _mac(ctx: Context, found: Found, message: bytes, algorithm: str) -> bytes:
    return hmac.digest(keyring.current_material(ctx, found), message, f"sha{algorithm.rpartition('_')[2]}")


@reads("kms", "GetPublicKey", authorize=on_any_key("GetPublicKey"), acts="KeyId GrantTokens[]")
def get_public_key(ctx: Context, key_id: str, grant_tokens: list[str] | None = None) -> Reply:
    found = find_key(ctx, key_id)
    check_tokens(ctx, found, grant_tokens)
    key = found.key
    if symmetric(key.spec):
        raise AwsError("UnsupportedOperationException", f"{found.arn} is not an asymmetric KMS key.")
    check_usable(found.arn, key, ctx.now)
    named = {ENCRYPT: "EncryptionAlgorithms", SIGN: "SigningAlgorithms", AGREE: "KeyAgreementAlgorithms"}[key.usage]
    return {
        "KeyId": found.arn,
        "PublicKey": key.public,
        "CustomerMasterKeySpec": key.spec,
        "KeySpec": key.spec,
        "KeyUsage": key.usage,
        named: list(algorithms(key.spec, key.usage)),
    }


@reads(
    "kms",
    "DeriveSharedSecret",
    authorize=on_any_key("DeriveSharedSecret", KeyAgreementAlgorithm="key_agreement_algorithm"),
    acts="KeyId KeyAgreementAlgorithm PublicKey GrantTokens[] DryRun",
    cost="scan",
)
def derive_shared_secret(
    ctx: Context,
    key_id: str,
    key_agreement_algorithm: str,
    public_key: bytes,
    grant_tokens: list[str] | None = None,
    dry_run: bool = False,
) -> Reply:
    from windtunnel.services.kms import asymmetric

    found = usable(ctx, key_id, AGREE, "DeriveSharedSecret", key_agreement_algorithm, grant_tokens)
    if dry_run:
        raise would_succeed()
    shared = asymmetric.agree(keyring.current_material(ctx, found), public_key)
    return {
        "KeyId": found.arn,
        "SharedSecret": shared,
        "KeyAgreementAlgorithm": key_agreement_algorithm,
        "KeyOrigin": found.key.origin,
    }

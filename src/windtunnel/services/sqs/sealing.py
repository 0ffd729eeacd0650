"""Message bodies at rest: sealed under the cloud's key (SSE-SQS), or encrypted with a data key of the queue's KMS key (SSE-KMS).

Invariants: a data key is known to a principal only after KMS gave it to that principal, and for at most the queue's reuse period;
what says how a body was kept travels with the message, so that it can be read after the queue's settings have changed.
"""

from __future__ import annotations

import secrets
from base64 import b64decode, b64encode
from collections import OrderedDict
from typing import Any
from weakref import WeakKeyDictionary

from windtunnel.kernel.context import Context
from windtunnel.kernel.errors import AwsError
from windtunnel.services.sqs.model import Queue

SEALED_BY_SQS = "sqs"
_PURPOSE = b"sqs.message"
_NONCE = 12
_KEYS_KEPT = 1_000
KMS_ERRORS = {
    "AccessDenied": "KmsAccessDenied",
    "DisabledException": "KmsDisabled",
    "InvalidKeyUsageException": "KmsInvalidKeyUsage",
    "KMSInvalidStateException": "KmsInvalidState",
    "NotFoundException": "KmsNotFound",
}
"""What KMS says -> what SQS makes of it."""


class DataKeys:
    """Data keys in memory: (principal, what names the key) -> (cipher, how KMS wrapped it, until when)."""

    def __init__(self) -> None:
        self._held: OrderedDict[tuple[str, str], tuple[Any, str, float]] = OrderedDict()

    def get(self, principal: str, name: str, now: float) -> tuple[Any, str] | None:
        found = self._held.get((principal, name))
        if found is None or not now < found[2]:
            return None
        return found[0], found[1]

    def keep(self, principal: str, name: str, key: bytes, wrapped: str, until: float) -> tuple[Any, str]:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        cipher = AESGCM(key)
        while len(self._held) >= _KEYS_KEPT:
            self._held.popitem(last=False)
        self._held[principal, name] = (cipher, wrapped, until)
        return cipher, wrapped


_KEYS: WeakKeyDictionary[Any, DataKeys] = WeakKeyDictionary()


def _keys(ctx: Context) -> DataKeys:
    found = _KEYS.get(ctx.cloud)
    if found is None:
        found = _KEYS[ctx.cloud] = DataKeys()
    return found


def seal(ctx: Context, queue: Queue, body: bytes) -> tuple[bytes, str]:
    """(the body as it is kept, how: see `messages.Meta.sealed`)."""
    if queue.kms_key:
        cipher, wrapped = _sending_key(ctx, queue)
        nonce = secrets.token_bytes(_NONCE)
        return nonce + cipher.encrypt(nonce, body, _PURPOSE), wrapped
    if queue.attributes.get("SqsManagedSseEnabled") == "false":
        return body, ""
    sealed: bytes = ctx.cloud.part("sealer").seal(body, _PURPOSE)
    return sealed, SEALED_BY_SQS


def unseal(ctx: Context, queue: Queue, kept: bytes, sealed: str, sealed_for: str) -> bytes:
    """The body as it was sent. Raises the Kms… errors when the receiver may not have its data key."""
    if not sealed:
        return kept
    if sealed == SEALED_BY_SQS:
        plain: bytes = ctx.cloud.part("sealer").unseal(kept, _PURPOSE)
        return plain
    cipher = _receiving_key(ctx, queue, sealed, sealed_for)
    body: bytes = cipher.decrypt(kept[:_NONCE], kept[_NONCE:], _PURPOSE)
    return body


def _until(ctx: Context, queue: Queue) -> float:
    return ctx.now + float(queue.attributes.get("KmsDataKeyReusePeriodSeconds", "300"))


def _sending_key(ctx: Context, queue: Queue) -> tuple[Any, str]:
    name = f"{queue.id}/{queue.kms_key}"
    found = _keys(ctx).get(ctx.principal.identity, name, ctx.now)
    if found is None:
        made = _kms(ctx, queue.arn, "GenerateDataKey", key_id=queue.kms_key, key_spec="AES_256")
        # A sender must be able to open what it seals, or SQS would take a message that its own sender may not have (kms:Decrypt).
        _kms(ctx, queue.arn, "Decrypt", ciphertext_blob=made["CiphertextBlob"])
        wrapped = b64encode(made["CiphertextBlob"]).decode()
        found = _keys(ctx).keep(ctx.principal.identity, name, made["Plaintext"], wrapped, _until(ctx, queue))
    return found


def _receiving_key(ctx: Context, queue: Queue, wrapped: str, sealed_for: str) -> Any:
    found = _keys(ctx).get(ctx.principal.identity, wrapped, ctx.now)
    if found is None:
        opened = _kms(ctx, sealed_for, "Decrypt", ciphertext_blob=b64decode(wrapped))
        found = _keys(ctx).keep(ctx.principal.identity, wrapped, opened["Plaintext"], wrapped, _until(ctx, queue))
    return found[0]


def _kms(ctx: Context, arn: str, operation: str, **args: Any) -> Any:
    """KMS, asked by the caller through SQS, with the queue as encryption context."""
    try:
        return ctx.on_behalf("sqs").call("kms", operation, encryption_context={"aws:sqs:arn": arn}, **args)
    except AwsError as error:
        code = KMS_ERRORS.get(error.code)
        if code is None:
            raise
        raise AwsError(code, f"{error.message} (Service: AWSKMS; Error Code: {error.code})") from None

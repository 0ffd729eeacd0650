"""Messages of a topic with a KMS key, while they wait for their delivery: encrypted with a data key of that key.

Invariant: the publisher must be able to get and to open a data key (kms:GenerateDataKey, kms:Decrypt); SNS opens it again itself when it
delivers, so that a key that has been disabled meanwhile stops the delivery.
"""

from __future__ import annotations

import secrets
from base64 import b64decode, b64encode
from typing import Any
from weakref import WeakKeyDictionary

import msgspec

from windtunnel.kernel.context import Context
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.typed import convert, from_json
from windtunnel.services.sns.envelope import Note
from windtunnel.services.sns.model import Topic

REUSE_SECONDS = 300.0
_PURPOSE = b"sns.message"
_NONCE = 12
_KEYS_KEPT = 1_000
KMS_ERRORS = {
    "AccessDenied": "KMSAccessDenied",
    "DisabledException": "KMSDisabled",
    "InvalidKeyUsageException": "KMSInvalidState",
    "KMSInvalidStateException": "KMSInvalidState",
    "NotFoundException": "KMSNotFound",
}
"""What KMS says -> what SNS makes of it."""
Held = dict[tuple[str, str], tuple[bytes, str, float]]
_KEYS: WeakKeyDictionary[Any, Held] = WeakKeyDictionary()


def data_key(ctx: Context, topic: Topic) -> tuple[bytes, str]:
    """(a data key that this publisher may use, how KMS wrapped it); the KMS… errors when it may not."""
    held = _KEYS.setdefault(ctx.cloud, {})
    name = (ctx.principal.identity, f"{topic.arn} {topic.id} {topic.kms_key}")
    found = held.get(name)
    if found is not None and ctx.now < found[2]:
        return found[0], found[1]
    made = _kms(ctx, topic.arn, "GenerateDataKey", key_id=topic.kms_key, key_spec="AES_256")
    _kms(ctx, topic.arn, "Decrypt", ciphertext_blob=made["CiphertextBlob"])
    if len(held) >= _KEYS_KEPT:
        held.clear()
    wrapped = b64encode(made["CiphertextBlob"]).decode()
    held[name] = (made["Plaintext"], wrapped, ctx.now + REUSE_SECONDS)
    return made["Plaintext"], wrapped


def _kms(ctx: Context, topic: str, operation: str, **args: Any) -> Any:
    try:
        return ctx.on_behalf("sns").call("kms", operation, encryption_context={"aws:sns:topicArn": topic}, **args)
    except AwsError as error:
        code = KMS_ERRORS.get(error.code)
        if code is None:
            raise
        raise AwsError(code, error.message) from None


def closed(ctx: Context, topic: Topic, note: Note) -> dict[str, Any]:
    """A note as a job keeps it."""
    if not topic.kms_key:
        plain: dict[str, Any] = msgspec.to_builtins(note)
        return plain
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    key, wrapped = data_key(ctx, topic)
    nonce = secrets.token_bytes(_NONCE)
    sealed = nonce + AESGCM(key).encrypt(nonce, msgspec.json.encode(note), _PURPOSE)
    return {"sealed": b64encode(sealed).decode(), "key": wrapped, "topic": topic.arn, "id": note.id}


def opened(ctx: Context, kept: dict[str, Any]) -> Note:
    """A job's note, for its delivery: in the cloud's own name."""
    if "sealed" not in kept:
        return convert(kept, Note)
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    key = _kms(ctx, kept["topic"], "Decrypt", ciphertext_blob=b64decode(kept["key"]))["Plaintext"]
    sealed = b64decode(kept["sealed"])
    return from_json(AESGCM(key).decrypt(sealed[:_NONCE], sealed[_NONCE:], _PURPOSE), Note)

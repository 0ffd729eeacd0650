"""Messages of a group with a KMS key are sealed at rest, each chunk under the group's data key, which only KMS can open.

Invariant: whoever reads the store's file has ciphertext; the plain data key is never kept. A key that is disabled, or that no longer allows
CloudWatch Logs, makes what was sealed unreadable until it is allowed again, as on AWS.
"""

from __future__ import annotations

import base64
import secrets
from typing import Any, ClassVar

from windtunnel.kernel.context import Context
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.records import Record
from windtunnel.services.logs.chunks import Unseal, sealed
from windtunnel.services.logs.model import LogGroup, group_arn

NONCE = 12


class DataKey(Record, kw_only=True):
    """A group's data key, sealed by its KMS key. A group has one for each key that it ever had; the old ones read what is old."""

    KIND: ClassVar[str] = "logs.datakey"

    id: str
    group: str
    kms_key: str
    ciphertext: str

    def key(self) -> str:
        return f"{self.group}:{self.id}"


def _service(ctx: Context, group: str) -> Context:
    return ctx.as_service("logs.amazonaws.com", f"{group_arn(ctx.scope, group)}:*")


def _context(ctx: Context, group: str) -> dict[str, str]:
    return {"aws:logs:arn": group_arn(ctx.scope, group)}


def new_data_key(ctx: Context, group: LogGroup, kms_key: str) -> None:
    """Make the group's next data key. Raises what AssociateKmsKey answers when the key does not allow it."""
    arn = group_arn(ctx.scope, group.name)
    if not kms_key.startswith("arn:") or ":key/" not in kms_key:
        raise AwsError("InvalidParameterException", "Specified KMS key ARN is invalid.")
    try:
        made = _service(ctx, group.name).call(
            "kms", "GenerateDataKey", key_id=kms_key, key_spec="AES_256", encryption_context=_context(ctx, group.name)
        )
    except AwsError as error:
        if error.status == 501:
            raise
        raise AwsError(
            "AccessDeniedException", f"The specified KMS key does not exist or is not allowed to be used with LogGroup '{arn}'"
        ) from error
    key = DataKey(id=ctx.ids.hex(16), group=group.name, kms_key=kms_key, ciphertext=base64.b64encode(made["CiphertextBlob"]).decode())
    ctx.tx.put(key)
    group.kms_key, group.data_key = kms_key, key.id


def _open(ctx: Context, group: str, name: str) -> bytes:
    key = ctx.tx.get(DataKey, f"{group}:{name}")
    if key is None:
        raise AwsError("ServiceUnavailableException", "The data key of these log events is gone.")
    try:
        made = _service(ctx, group).call(
            "kms", "Decrypt", ciphertext_blob=base64.b64decode(key.ciphertext), key_id=key.kms_key, encryption_context=_context(ctx, group)
        )
    except AwsError as error:
        raise AwsError(
            "InvalidParameterException", f"The KMS key {key.kms_key} of the log group cannot be used: {error.message}"
        ) from error
    plain: bytes = made["Plaintext"]
    return plain


def seal(ctx: Context, group: LogGroup, stream: str, body: bytes) -> bytes:
    """A chunk's body as it is kept."""
    if not group.data_key:
        return body
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    nonce = secrets.token_bytes(NONCE)
    cipher = AESGCM(_open(ctx, group.name, group.data_key))
    return sealed(group.data_key, nonce + cipher.encrypt(nonce, body, f"{group.name}:{stream}".encode()))


def unsealer(ctx: Context, group: str, stream: str) -> Unseal:
    """Opens a stream's sealed chunks; each data key is asked of KMS once."""
    opened: dict[str, Any] = {}

    def unseal(name: str, data: bytes) -> bytes:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        if name not in opened:
            opened[name] = AESGCM(_open(ctx, group, name))
        plain: bytes = opened[name].decrypt(data[:NONCE], data[NONCE:], f"{group}:{stream}".encode())
        return plain

    return unseal

"""What the generated contract tests need to know of `kms`."""

from __future__ import annotations

from typing import Any

from windtunnel.kernel.context import Context
from windtunnel.services.kms import keyring
from windtunnel.services.kms.model import Alias, Key, default_policy

SYMMETRIC = "11111111-1111-4111-8111-111111111111"
NAMES: dict[str, Any] = {
    "keyid": SYMMETRIC,
    "sourcekeyid": SYMMETRIC,
    "destinationkeyid": SYMMETRIC,
    "targetkeyid": SYMMETRIC,
    "aliasname": "alias/seeded",
}
ALSO: dict[str, str] = {
    "Decrypt": "KeyId CiphertextBlob",
    "ReEncrypt": "SourceKeyId CiphertextBlob",
    "GenerateDataKey": "KeySpec",
    "GenerateDataKeyWithoutPlaintext": "KeySpec",
    "GenerateRandom": "NumberOfBytes",
}


def place(ctx: Context) -> None:
    key = Key(id=SYMMETRIC, created=ctx.now, policy=default_policy(ctx.scope.account))
    key.materials = [keyring.new_material(ctx, key.id, key.spec)]
    ctx.tx.put(key)
    ctx.tx.put(Alias(name="alias/seeded", target=key.id, created=ctx.now, updated=ctx.now))


ACTIONS: dict[str, list[str]] = {
    "ReEncrypt": ["kms:ReEncryptFrom", "kms:ReEncryptTo"],
}

"""What the generated contract tests need to know of `kms`."""

from __future__ import annotations

from typing import Any

from windtunnel.kernel.context import Context
from windtunnel.services.kms import keyring
from windtunnel.services.kms.model import Alias, Grant, Key, default_policy

GRANT = "0" * 64
SYMMETRIC = "11111111-1111-4111-8111-111111111111"
NAMES: dict[str, Any] = {
    "keyid": SYMMETRIC,
    "sourcekeyid": SYMMETRIC,
    "destinationkeyid": SYMMETRIC,
    "targetkeyid": SYMMETRIC,
    "aliasname": "alias/seeded",
    "grantid": GRANT,
    "granttoken": "token",
}
ALSO: dict[str, str] = {
    "Decrypt": "KeyId CiphertextBlob",
    "ReEncrypt": "SourceKeyId CiphertextBlob",
    "GenerateDataKey": "KeySpec",
    "GenerateDataKeyWithoutPlaintext": "KeySpec",
    "GenerateRandom": "NumberOfBytes",
    "RetireGrant": "KeyId GrantId",
}


def place(ctx: Context) -> None:
    key = Key(id=SYMMETRIC, created=ctx.now, policy=default_policy(ctx.scope.account), granted=True)
    key.materials = [keyring.new_material(ctx, key.id, key.spec)]
    ctx.tx.put(key)
    alice = f"arn:aws:iam::{ctx.scope.account}:user/alice"
    ctx.tx.put(
        Grant(key_id=key.id, id=GRANT, token="token", grantee=alice, operations=["Decrypt"], created=ctx.now, issuer=alice, retiring=alice)
    )
    ctx.tx.put(Alias(name="alias/seeded", target=key.id, created=ctx.now, updated=ctx.now))


ACTIONS: dict[str, list[str]] = {
    "ReEncrypt": ["kms:ReEncryptFrom", "kms:ReEncryptTo"],
}

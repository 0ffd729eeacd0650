"""Key material, sealed and unsealed: the only place where it is seen in the clear.

Invariant: a material's plaintext lives for one operation; at rest it is what the cloud's sealer made of it, bound to its key.
"""

from __future__ import annotations

import hmac
import secrets
from typing import Any

import msgspec

from windtunnel.kernel.context import Context
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.sealing import Sealer
from windtunnel.services.kms import ciphertext
from windtunnel.services.kms.lookups import Found, key_by_id
from windtunnel.services.kms.managed import label
from windtunnel.services.kms.model import Material, check_usable, key_arn
from windtunnel.services.kms.specs import HMAC, SYMMETRIC

MATERIAL_BYTES = 32


def sealer(ctx: Context) -> Sealer:
    part: Sealer = ctx.cloud.part("sealer")
    return part


def seal_material(ctx: Context, key_id: str, plaintext: bytes, **fields: Any) -> Material:
    """New material for a key. fields: of Material."""
    return seal_as(ctx, key_id, secrets.token_hex(32), plaintext, **fields)


def seal_as(ctx: Context, key_id: str, material_id: str, plaintext: bytes, **fields: Any) -> Material:
    return Material(material_id, sealer(ctx).seal(plaintext, _context(key_id, material_id)), ctx.now, **fields)


def changed(material: Material, **fields: Any) -> Material:
    """The same material, told otherwise."""
    return msgspec.structs.replace(material, **fields)


def new_material(ctx: Context, key_id: str, spec: str, **fields: Any) -> Material:
    """Fresh secret bytes for a symmetric key."""
    return seal_material(ctx, key_id, secrets.token_bytes(MATERIAL_BYTES if spec == SYMMETRIC else HMAC[spec]), **fields)


def unsealed(ctx: Context, found: Found, material: Material) -> bytes:
    if found.key.manager == "AWS":
        return sealer(ctx).derive(label(found.scope, found.key))
    return sealer(ctx).unseal(material.sealed, _context(found.key.id, material.id))


def current_material(ctx: Context, found: Found) -> bytes:
    """The plaintext of what a usable key works with now."""
    current = found.key.current
    if current is None:
        raise AwsError("KMSInvalidStateException", f"{found.arn} is pending import.")
    return unsealed(ctx, found, current)


def encrypt(ctx: Context, found: Found, plaintext: bytes, context: dict[str, str]) -> bytes:
    """The ciphertext under a symmetric key's current material."""
    current = found.key.current
    assert current is not None
    return ciphertext.encrypt(unsealed(ctx, found, current), found.scope, found.key.id, current.id, plaintext, context)


def key_of(ctx: Context, head: ciphertext.Head) -> Found | None:
    """The key that made a ciphertext; None when it is not there, or in another region."""
    if head.scope.region != ctx.scope.region:
        return None
    key = key_by_id(ctx, head.scope, head.key_id)
    return None if key is None else Found(key, head.scope)


def decrypt(ctx: Context, found: Found, blob: bytes, head: ciphertext.Head, context: dict[str, str]) -> tuple[bytes, Material]:
    """(plaintext, the material that it was encrypted under)."""
    arn = key_arn(found.scope, found.key.id)
    check_usable(arn, found.key, ctx.now)
    material = next((material for material in found.key.materials if material.id.startswith(head.material)), None)
    if material is None:
        raise ciphertext.invalid()
    return ciphertext.decrypt(unsealed(ctx, found, material), blob, head, context), material


def _context(key_id: str, material_id: str) -> bytes:
    return f"kms.key/{key_id}/{material_id}".encode()


def fingerprint(ctx: Context, plaintext: bytes) -> str:
    """The id of imported material: the same bytes are the same material, whenever they are imported. It tells nothing of them."""
    return hmac.digest(sealer(ctx).derive("kms.material-id"), plaintext, "sha256").hex()

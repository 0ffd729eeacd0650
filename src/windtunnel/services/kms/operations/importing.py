"""GetParametersForImport, ImportKeyMaterial, DeleteImportedKeyMaterial: keys whose material is brought from outside.

Invariant: nothing is kept between the two steps of an import: the wrapping key travels inside the import token, sealed, bound to its
key and good for a day.
"""

from __future__ import annotations

import secrets
from typing import Any

import msgspec

from windtunnel.kernel.context import Context, Reply
from windtunnel.kernel.errors import AwsError, not_built
from windtunnel.kernel.registry import reads, writes
from windtunnel.kernel.sealing import Unsealable
from windtunnel.kernel.typed import packed_decoder
from windtunnel.services.kms import keyring
from windtunnel.services.kms.guard import on_changed_key
from windtunnel.services.kms.lookups import Found, changeable
from windtunnel.services.kms.model import DAY, Key, Material, check_not_ending
from windtunnel.services.kms.specs import HMAC, RSA, SYMMETRIC, symmetric

_EXPIRES, _STAYS = "KEY_MATERIAL_EXPIRES", "KEY_MATERIAL_DOES_NOT_EXPIRE"
_LONGEST = 365 * DAY


class Token(msgspec.Struct, frozen=True):
    """What an import token holds: the private wrapping key (DER), how it is used, and until when."""

    private: bytes
    algorithm: str
    until: float


def for_import(ctx: Context, key_id: str) -> Found:
    found = changeable(ctx, key_id)
    if found.key.origin != "EXTERNAL":
        words = f"{found.arn} origin is {found.key.origin} which is not valid for this operation."
        raise AwsError("UnsupportedOperationException", words)
    return found


def _context(key: Key) -> bytes:
    return f"kms.import/{key.id}".encode()


@reads(
    "kms",
    "GetParametersForImport",
    authorize=on_changed_key("GetParametersForImport", WrappingAlgorithm="wrapping_algorithm", WrappingKeySpec="wrapping_key_spec"),
    acts="KeyId WrappingAlgorithm WrappingKeySpec",
    cost="scan",
)
def get_parameters_for_import(ctx: Context, key_id: str, wrapping_algorithm: str, wrapping_key_spec: str) -> Reply:
    from windtunnel.services.kms import asymmetric

    found = for_import(ctx, key_id)
    check_not_ending(found.arn, found.key)
    if wrapping_key_spec not in RSA:
        raise not_built("kms", "GetParametersForImport", f"WrappingKeySpec {wrapping_key_spec}")
    if not wrapping_algorithm.startswith(("RSAES_OAEP", "RSA_AES_KEY_WRAP")):
        words = f"The wrapping algorithm {wrapping_algorithm} is not supported."
        raise AwsError("UnsupportedOperationException", words)
    private, public = asymmetric.generate(wrapping_key_spec)
    token = Token(private, wrapping_algorithm, ctx.now + DAY)
    return {
        "KeyId": found.arn,
        "ImportToken": keyring.sealer(ctx).seal(msgspec.msgpack.encode(token), _context(found.key)),
        "PublicKey": public,
        "ParametersValidTo": token.until,
    }


def unwrap(ctx: Context, args: dict[str, Any]) -> dict[str, Any]:
    """Opens what was sent, before the transaction: a private RSA operation."""
    from windtunnel.services.kms import asymmetric

    found = for_import(ctx, args["key_id"])
    try:
        token = packed_decoder(Token).decode(keyring.sealer(ctx).unseal(args["import_token"], _context(found.key)))
    except (Unsealable, msgspec.DecodeError):
        raise AwsError("InvalidImportTokenException", "The import token is not valid for this KMS key.") from None
    if token.until <= ctx.now:
        raise AwsError("ExpiredImportTokenException", "The import token has expired.")
    plaintext = asymmetric.unwrap(token.private, args["encrypted_key_material"], token.algorithm)
    public = b"" if symmetric(found.key.spec) else asymmetric.public_of(plaintext, found.key.spec)
    return {**args, "opened": (plaintext, public)}


@writes(
    "kms",
    "ImportKeyMaterial",
    authorize=on_changed_key("ImportKeyMaterial", ExpirationModel="expiration_model", ValidTo="valid_to"),
    acts="KeyId ImportToken EncryptedKeyMaterial ValidTo ExpirationModel ImportType KeyMaterialDescription KeyMaterialId",
    prepare=unwrap,
)
def import_key_material(
    ctx: Context,
    key_id: str,
    opened: tuple[bytes, bytes],
    valid_to: float | None = None,
    expiration_model: str = _EXPIRES,
    import_type: str | None = None,
    key_material_description: str = "",
    key_material_id: str | None = None,
    **_: Any,
) -> Reply:
    found = for_import(ctx, key_id)
    key, (plaintext, public) = found.key, opened
    check_not_ending(found.arn, key)
    expires = _expiry(ctx, expiration_model, valid_to)
    _check_size(key, plaintext)
    named = keyring.fingerprint(ctx, plaintext)
    if key_material_id not in (None, named):
        raise AwsError("IncorrectKeyMaterialException", "The key material is not the one that KeyMaterialId names.")
    known = next((material for material in key.materials if material.id == named), None)
    kind = import_type or ("EXISTING_KEY_MATERIAL" if key.materials else "NEW_KEY_MATERIAL")
    if (known is not None) != (kind == "EXISTING_KEY_MATERIAL"):
        raise AwsError("IncorrectKeyMaterialException", "The key material does not match what was imported into this KMS key before.")
    if known is None and key.materials and key.spec != SYMMETRIC:
        raise AwsError("UnsupportedOperationException", f"{found.arn} takes only the key material that was imported first.")
    described = key_material_description or (known.description if known is not None else "")
    fresh = keyring.seal_as(ctx, key.id, named, plaintext, expires=expires, description=described)
    if known is not None:
        fresh = keyring.changed(fresh, created=known.created, rotation=known.rotation, pending=known.pending)
        key.materials = [fresh if material is known else material for material in key.materials]
    else:
        key.materials = [*(m for m in key.materials if not m.pending), keyring.changed(fresh, pending=bool(key.materials))]
    key.public = public or key.public
    ctx.tx.put(key)
    if expires is not None:
        run = f"kms.expire/{key.id}/{secrets.token_hex(8)}"
        ctx.start_job("kms.expire", run, key_id=key.id, material=named, at=expires, seconds=max(0.0, expires - ctx.now))
    return {"KeyId": found.arn, "KeyMaterialId": named}


def _expiry(ctx: Context, model: str, valid_to: float | None) -> float | None:
    if model == _STAYS:
        if valid_to is not None:
            raise AwsError("ValidationException", f"ValidTo must not be given with the expiration model {_STAYS}.")
        return None
    if valid_to is None:
        raise AwsError("ValidationException", "A validTo date must be set if the ExpirationModel is KEY_MATERIAL_EXPIRES")
    if not ctx.now < valid_to <= ctx.now + _LONGEST:
        raise AwsError("ValidationException", "ValidTo must be in the future and at most 365 days away.")
    return float(valid_to)


def _check_size(key: Key, plaintext: bytes) -> None:
    if not symmetric(key.spec):
        return
    size = keyring.MATERIAL_BYTES if key.spec == SYMMETRIC else HMAC[key.spec]
    if len(plaintext) != size:
        raise AwsError("IncorrectKeyMaterialException", f"The key material has {len(plaintext)} bytes; {key.spec} takes {size}.")


@writes(
    "kms",
    "DeleteImportedKeyMaterial",
    authorize=on_changed_key("DeleteImportedKeyMaterial"),
    acts="KeyId KeyMaterialId",
)
def delete_imported_key_material(ctx: Context, key_id: str, key_material_id: str | None = None) -> Reply:
    found = for_import(ctx, key_id)
    key = found.key
    wanted = key_material_id or (key.current.id if key.current is not None else None)
    if wanted is None:
        return {"KeyId": found.arn}
    if all(material.id != wanted for material in key.materials):
        raise AwsError("IncorrectKeyMaterialException", "The KMS key has no key material of that id.")
    key.materials = [without(material) if material.id == wanted else material for material in key.materials]
    ctx.tx.put(key)
    return {"KeyId": found.arn, "KeyMaterialId": wanted}


def without(material: Material) -> Material:
    """Its place stays, so that the same material can be imported again."""
    return keyring.changed(material, sealed=b"")

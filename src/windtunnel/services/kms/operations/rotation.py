"""EnableKeyRotation, DisableKeyRotation, GetKeyRotationStatus, RotateKeyOnDemand, ListKeyRotations."""

from __future__ import annotations

from typing import Any

from windtunnel.kernel.context import Context, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import reads, writes
from windtunnel.services.kms import keyring
from windtunnel.services.kms.guard import on_any_key, on_changed_key, on_key
from windtunnel.services.kms.lookups import Found, changeable, find_key, own_key
from windtunnel.services.kms.model import DAY, ON_DEMAND_ROTATIONS, Key, Material, Rotation, check_not_ending
from windtunnel.services.kms.paging import page
from windtunnel.services.kms.specs import SYMMETRIC

_YEAR = 365


def check_rotates(found: Found) -> None:
    if found.key.spec != SYMMETRIC:
        raise AwsError("UnsupportedOperationException", f"{found.arn} has the key spec {found.key.spec}, which cannot be rotated.")


def _check_enabled(ctx: Context, found: Found) -> None:
    check_not_ending(found.arn, found.key)
    if found.key.state(ctx.now) == "PendingImport":
        raise AwsError("KMSInvalidStateException", f"{found.arn} is pending import.")
    if not found.key.enabled:
        raise AwsError("DisabledException", f"{found.arn} is disabled.")


def plan(ctx: Context, key: Key, days: int, seconds: float) -> None:
    """Have the key rotated after some (already paced) seconds, and from then on every so many days."""
    token = ctx.ids.uuid()
    _stop(ctx, key)
    key.rotation = Rotation(days, ctx.now + seconds, token)
    ctx.start_job("kms.rotate", f"kms.rotate/{token}", key_id=key.id, token=token, seconds=seconds)


def _stop(ctx: Context, key: Key) -> None:
    if key.rotation is not None:
        ctx.signal(f"kms.unrotated/{key.rotation.token}", True)
        key.rotation = None


@writes(
    "kms",
    "EnableKeyRotation",
    authorize=on_changed_key("EnableKeyRotation", RotationPeriodInDays="rotation_period_in_days"),
    acts="KeyId RotationPeriodInDays",
)
def enable_key_rotation(ctx: Context, key_id: str, rotation_period_in_days: int | None = None) -> Reply:
    """Rotation is intended waiting: `--pace` shortens it, and NextRotationDate says when it really comes."""
    found = changeable(ctx, key_id)
    key = found.key
    check_rotates(found)
    if key.origin == "EXTERNAL":
        raise AwsError("UnsupportedOperationException", f"{found.arn} origin is EXTERNAL which is not valid for this operation.")
    _check_enabled(ctx, found)
    if key.rotation is not None and rotation_period_in_days in (None, key.rotation.days):
        return {}
    days = rotation_period_in_days or _YEAR
    plan(ctx, key, days, ctx.clock.paced(days * DAY))
    ctx.tx.put(key)
    return {}


@writes("kms", "DisableKeyRotation", authorize=on_changed_key("DisableKeyRotation"), acts="KeyId")
def disable_key_rotation(ctx: Context, key_id: str) -> Reply:
    found = changeable(ctx, key_id)
    check_rotates(found)
    _check_enabled(ctx, found)
    _stop(ctx, found.key)
    ctx.tx.put(found.key)
    return {}


@reads("kms", "GetKeyRotationStatus", authorize=on_any_key("GetKeyRotationStatus"), acts="KeyId")
def get_key_rotation_status(ctx: Context, key_id: str) -> Reply:
    key = find_key(ctx, key_id, aliases=False).key
    if key.manager == "AWS":
        return {"KeyRotationEnabled": True, "KeyId": key.id, "RotationPeriodInDays": _YEAR}
    if key.rotation is None or key.deletion is not None:
        return {"KeyRotationEnabled": False, "KeyId": key.id}
    return {
        "KeyRotationEnabled": True,
        "KeyId": key.id,
        "RotationPeriodInDays": key.rotation.days,
        "NextRotationDate": key.rotation.next,
    }


@writes("kms", "RotateKeyOnDemand", authorize=on_changed_key("RotateKeyOnDemand"), acts="KeyId")
def rotate_key_on_demand(ctx: Context, key_id: str) -> Reply:
    """Done when it answers; on AWS it takes seconds."""
    found = changeable(ctx, key_id)
    key = found.key
    check_rotates(found)
    _check_enabled(ctx, found)
    if sum(material.rotation == "ON_DEMAND" for material in key.materials) >= ON_DEMAND_ROTATIONS:
        raise AwsError("LimitExceededException", f"{found.arn} has been rotated on demand {ON_DEMAND_ROTATIONS} times, which is the limit.")
    if key.origin == "EXTERNAL":
        key.materials = _promoted(ctx, found)
    else:
        key.materials = [*key.materials, keyring.new_material(ctx, key.id, key.spec, rotation="ON_DEMAND")]
    ctx.tx.put(key)
    return {"KeyId": key.id}


def _promoted(ctx: Context, found: Found) -> list[Material]:
    """The imported material that waits becomes the current one."""
    waiting = [material for material in found.key.materials if material.pending]
    if not waiting or not waiting[0].usable(ctx.now):
        raise AwsError("KMSInvalidStateException", f"{found.arn} has no key material that is pending rotation.")
    entered = keyring.changed(waiting[0], pending=False, rotation="ON_DEMAND", created=ctx.now)
    return [*(material for material in found.key.materials if not material.pending), entered]


@reads("kms", "ListKeyRotations", authorize=on_key("ListKeyRotations"), acts="KeyId IncludeKeyMaterial Limit Marker")
def list_key_rotations(
    ctx: Context, key_id: str, include_key_material: str = "ROTATIONS_ONLY", limit: int = 100, marker: str | None = None
) -> Reply:
    found = own_key(ctx, key_id)
    check_rotates(found)
    wanted = [
        (f"{place:05d}", material)
        for place, material in enumerate(found.key.materials)
        if include_key_material == "ALL_KEY_MATERIAL" or material.rotation
    ]
    shown, rest = page(wanted, lambda item: item[0], limit, marker)
    return {"Rotations": [_entry(ctx, found.key, material) for _, material in shown], **rest}


def _entry(ctx: Context, key: Key, material: Material) -> dict[str, Any]:
    state = "PENDING_ROTATION" if material.pending else "CURRENT" if material is key.current else "NON_CURRENT"
    entry: dict[str, Any] = {"KeyId": key.id, "KeyMaterialId": material.id, "KeyMaterialState": state}
    if material.rotation:
        entry |= {"RotationDate": material.created, "RotationType": material.rotation}
    if key.origin == "EXTERNAL":
        usable = material.usable(ctx.now)
        entry["ImportState"] = "IMPORTED" if usable else "PENDING_IMPORT"
        if usable:
            entry["ExpirationModel"] = "KEY_MATERIAL_DOES_NOT_EXPIRE" if material.expires is None else "KEY_MATERIAL_EXPIRES"
        if usable and material.expires is not None:
            entry["ValidTo"] = material.expires
        if material.description:
            entry["KeyMaterialDescription"] = material.description
    return entry

"""What KMS does in time of its own: keys are deleted at the end of their window, material is rotated, imported material expires.

Invariant: a job does something only if the key still says that it is this job that must do it (its token); what was cancelled or
planned anew makes the old job end without a trace.
"""

from __future__ import annotations

from windtunnel.jobs import Run, job
from windtunnel.kernel.context import Context
from windtunnel.services.kms import keyring
from windtunnel.services.kms.model import DAY, Alias, Grant, Key, Rotation


@job("kms.delete")
def delete_when_due(run: Run, key_id: str, token: str, seconds: float) -> None:
    """Wait for the window to pass, then forget the key with all its material, aliases and grants."""
    if run.wait_for(f"kms.kept/{token}", key="window", timeout=seconds) is None:
        run.tx("delete", delete_key, key_id, token)


def delete_key(ctx: Context, key_id: str, token: str) -> bool:
    key = ctx.tx.get(Key, key_id)
    if key is None or key.deletion is None or key.deletion.token != token:
        return False
    for alias in ctx.tx.find(Alias, "target", key_id):
        ctx.tx.delete(Alias, alias.key())
    for grant in ctx.tx.scan(Grant, prefix=f"{key_id}/"):
        ctx.tx.delete(Grant, grant.key())
    ctx.tx.delete(Key, key_id)
    ctx.emit("aws.kms", "KMS CMK Deletion", [ctx.arn("kms", f"key/{key_id}")], {"key-id": key_id})
    return True


@job("kms.rotate")
def rotate_when_due(run: Run, key_id: str, token: str, seconds: float) -> None:
    """Wait for the period to pass, give the key new material, and wait again."""
    if run.wait_for(f"kms.unrotated/{token}", key="period", timeout=seconds) is not None:
        return
    again = run.tx("rotate", rotate, key_id, token)
    if again is not None:
        run.continue_as_new(key_id=key_id, token=token, seconds=again)


def rotate(ctx: Context, key_id: str, token: str) -> float | None:
    """New material; the seconds to the next rotation, None when there is none. A disabled key is rotated when it is enabled again."""
    key = ctx.tx.get(Key, key_id)
    if key is None or key.rotation is None or key.rotation.token != token or key.state(ctx.now) != "Enabled":
        return None
    seconds = ctx.clock.paced(key.rotation.days * DAY)
    key.materials = [*key.materials, keyring.new_material(ctx, key.id, key.spec, rotation="AUTOMATIC")]
    key.rotation = Rotation(key.rotation.days, ctx.now + seconds, token)
    ctx.tx.put(key)
    ctx.emit("aws.kms", "KMS CMK Rotation", [ctx.arn("kms", f"key/{key_id}")], {"key-id": key_id})
    return seconds


@job("kms.expire")
def expire_when_due(run: Run, key_id: str, material: str, at: float, seconds: float) -> None:
    """Forget imported material at its date. It is a date that clients see, and so never paced."""
    run.sleep("valid", seconds)
    run.tx("expire", expire, key_id, material, at)


def expire(ctx: Context, key_id: str, material_id: str, at: float) -> bool:
    key = ctx.tx.get(Key, key_id)
    if key is None or all((material.id, material.expires) != (material_id, at) for material in key.materials):
        return False
    key.materials = [keyring.changed(m, sealed=b"") if (m.id, m.expires) == (material_id, at) else m for m in key.materials]
    ctx.tx.put(key)
    ctx.emit("aws.kms", "KMS Imported Key Material Expiration", [ctx.arn("kms", f"key/{key_id}")], {"key-id": key_id})
    return True

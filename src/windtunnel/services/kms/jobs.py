"""What KMS does in time of its own: keys are deleted at the end of their window, material is rotated, imported material expires.

Invariant: a job does something only if the key still says that it is this job that must do it (its token); what was cancelled or
planned anew makes the old job end without a trace.
"""

from __future__ import annotations

from windtunnel.jobs import Run, job
from windtunnel.kernel.context import Context
from windtunnel.services.kms.model import Alias, Grant, Key


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

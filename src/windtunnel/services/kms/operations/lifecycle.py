"""EnableKey, DisableKey, ScheduleKeyDeletion, CancelKeyDeletion."""

from __future__ import annotations

from windtunnel.kernel.context import Context, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import writes
from windtunnel.services.kms.guard import on_changed_key
from windtunnel.services.kms.lookups import changeable
from windtunnel.services.kms.model import DAY, Deletion, check_not_ending
from windtunnel.services.kms.operations.rotation import plan

_SHORTEST, _LONGEST = 7, 30


def _switch(ctx: Context, key_id: str, enabled: bool) -> Reply:
    found = changeable(ctx, key_id)
    check_not_ending(found.arn, found.key)
    if found.key.state(ctx.now) == "PendingImport":
        raise AwsError("KMSInvalidStateException", f"{found.arn} is pending import.")
    found.key.enabled = enabled
    rotation = found.key.rotation
    if enabled and rotation is not None and rotation.next <= ctx.now:
        plan(ctx, found.key, rotation.days, 0.0)
    ctx.tx.put(found.key)
    return {}


@writes("kms", "EnableKey", authorize=on_changed_key("EnableKey"), acts="KeyId")
def enable_key(ctx: Context, key_id: str) -> Reply:
    return _switch(ctx, key_id, True)


@writes("kms", "DisableKey", authorize=on_changed_key("DisableKey"), acts="KeyId")
def disable_key(ctx: Context, key_id: str) -> Reply:
    return _switch(ctx, key_id, False)


@writes(
    "kms",
    "ScheduleKeyDeletion",
    authorize=on_changed_key("ScheduleKeyDeletion", ScheduleKeyDeletionPendingWindowInDays="pending_window_in_days"),
    acts="KeyId PendingWindowInDays",
)
def schedule_key_deletion(ctx: Context, key_id: str, pending_window_in_days: int = _LONGEST) -> Reply:
    """The window is intended waiting: `--pace` shortens it, and DeletionDate says when the key really goes."""
    found = changeable(ctx, key_id)
    check_not_ending(found.arn, found.key)
    days = pending_window_in_days
    if not _SHORTEST <= days <= _LONGEST:
        raise AwsError("ValidationException", f"PendingWindowInDays must be between {_SHORTEST} and {_LONGEST}, inclusive.")
    seconds, token = ctx.clock.paced(days * DAY), ctx.ids.uuid()
    found.key.deletion = Deletion(ctx.now + seconds, days, token)
    ctx.tx.put(found.key)
    ctx.start_job("kms.delete", f"kms.delete/{token}", key_id=found.key.id, token=token, seconds=seconds)
    return {
        "KeyId": found.arn,
        "DeletionDate": found.key.deletion.at,
        "KeyState": "PendingDeletion",
        "PendingWindowInDays": days,
    }


@writes("kms", "CancelKeyDeletion", authorize=on_changed_key("CancelKeyDeletion"), acts="KeyId")
def cancel_key_deletion(ctx: Context, key_id: str) -> Reply:
    """The key is back, and disabled, as AWS leaves it."""
    found = changeable(ctx, key_id)
    if found.key.deletion is None:
        raise AwsError("KMSInvalidStateException", f"{found.arn} is not pending deletion.")
    ctx.signal(f"kms.kept/{found.key.deletion.token}", True)
    found.key.deletion = None
    found.key.enabled = False
    ctx.tx.put(found.key)
    return {"KeyId": found.arn}

"""DeleteSecret, RestoreSecret."""

from __future__ import annotations

from windtunnel.kernel.context import Context, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import writes
from windtunnel.services.secretsmanager.guard import on_secret
from windtunnel.services.secretsmanager.jobs import erase
from windtunnel.services.secretsmanager.lookups import find_secret, place, the_secret
from windtunnel.services.secretsmanager.model import DAY, Deletion, not_found
from windtunnel.services.secretsmanager.replicas import check_primary

_SHORTEST, _LONGEST = 7, 30


@writes(
    "secretsmanager",
    "DeleteSecret",
    authorize=on_secret(
        "DeleteSecret", RecoveryWindowInDays="recovery_window_in_days", ForceDeleteWithoutRecovery="force_delete_without_recovery"
    ),
    acts="SecretId RecoveryWindowInDays ForceDeleteWithoutRecovery",
)
def delete_secret(
    ctx: Context, secret_id: str, recovery_window_in_days: int | None = None, force_delete_without_recovery: bool = False
) -> Reply:
    """The window is intended waiting: `--pace` shortens it, and DeletionDate says when the secret really goes."""
    days = recovery_window_in_days
    if force_delete_without_recovery and days is not None:
        words = "You can't use ForceDeleteWithoutRecovery in conjunction with RecoveryWindowInDays."
        raise AwsError("InvalidParameterException", words)
    if days is not None and not _SHORTEST <= days <= _LONGEST:
        words = f"RecoveryWindowInDays value must be between {_SHORTEST} and {_LONGEST} days (inclusive)."
        raise AwsError("InvalidParameterException", words)
    found = find_secret(ctx, secret_id)
    if found is None:
        return _nothing(ctx, secret_id, force_delete_without_recovery)
    check_primary(found)
    if found.secret.replicas:
        words = f"You can't delete secret {found.secret.name} that still has replica regions [{', '.join(sorted(found.secret.replicas))}]"
        raise AwsError("InvalidRequestException", words)
    if force_delete_without_recovery:
        erase(found.tx, found.secret)
        return {**found.names(), "DeletionDate": ctx.now}
    if found.secret.deletion is not None:
        words = "You can't perform this operation on the secret because it was already scheduled for deletion."
        raise AwsError("InvalidRequestException", words)
    seconds, token = ctx.clock.paced((days or _LONGEST) * DAY), ctx.ids.uuid()
    found.secret.deletion = Deletion(ctx.now, ctx.now + seconds, token)
    found.tx.put(found.secret)
    there = ctx.in_scope(found.scope.account, found.scope.region)
    there.start_job("secretsmanager.delete", f"secretsmanager.delete/{token}", name=found.secret.name, token=token, seconds=seconds)
    return {**found.names(), "DeletionDate": found.secret.deletion.due}


def _nothing(ctx: Context, secret_id: str, force: bool) -> Reply:
    """Who wants a secret gone, whatever there is of it, is content when there is none."""
    if not force:
        raise not_found()
    scope, name = place(ctx, secret_id)
    return {"ARN": scope.arn("secretsmanager", f"secret:{name}"), "Name": name, "DeletionDate": ctx.now}


@writes("secretsmanager", "RestoreSecret", authorize=on_secret("RestoreSecret"), acts="SecretId")
def restore_secret(ctx: Context, secret_id: str) -> Reply:
    found = the_secret(ctx, secret_id)
    if found.secret.deletion is not None:
        ctx.signal(f"secretsmanager.kept/{found.secret.deletion.token}", True)
        found.secret.deletion = None
        found.tx.put(found.secret)
    return {**found.names()}

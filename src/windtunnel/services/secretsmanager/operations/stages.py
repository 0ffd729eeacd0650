"""UpdateSecretVersionStage."""

from __future__ import annotations

from windtunnel.kernel.context import Context, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import writes
from windtunnel.services.secretsmanager.guard import on_secret
from windtunnel.services.secretsmanager.model import CURRENT, MAX_STAGES, moved
from windtunnel.services.secretsmanager.replicas import primary_secret, save


@writes(
    "secretsmanager",
    "UpdateSecretVersionStage",
    authorize=on_secret("UpdateSecretVersionStage", VersionStage="version_stage"),
    acts="SecretId VersionStage RemoveFromVersionId MoveToVersionId",
)
def update_secret_version_stage(
    ctx: Context,
    secret_id: str,
    version_stage: str,
    remove_from_version_id: str | None = None,
    move_to_version_id: str | None = None,
) -> Reply:
    found = primary_secret(ctx, secret_id)
    secret, label = found.secret, version_stage
    on = secret.stages.get(label)
    if remove_from_version_id is None and move_to_version_id is None:
        raise AwsError("InvalidParameterException", "Specify RemoveFromVersionId, MoveToVersionId, or both.")
    for version in (remove_from_version_id, move_to_version_id):
        if version is not None and found.version(version) is None:
            raise AwsError("ResourceNotFoundException", f"Secrets Manager can't find the specified secret version: {version}.")
    if move_to_version_id is None and label == CURRENT:
        words = "You can only move staging label AWSCURRENT to a different secret version. It can't be completely removed."
        raise AwsError("InvalidParameterException", words)
    if remove_from_version_id is not None and on != remove_from_version_id:
        words = f"Staging label {label} is not attached to version {remove_from_version_id}."
        raise AwsError("InvalidParameterException", words)
    if on is not None and remove_from_version_id is None and move_to_version_id != on:
        words = (
            f"The parameter RemoveFromVersionId can't be empty. Staging label {label} is currently attached to version {on},"
            " so you must explicitly reference that version in RemoveFromVersionId."
        )
        raise AwsError("InvalidParameterException", words)
    if move_to_version_id is None:
        secret.stages = {name: version for name, version in secret.stages.items() if name != label}
    else:
        secret.stages = moved(secret.stages, [label], move_to_version_id)
        if len(secret.labels(move_to_version_id)) > MAX_STAGES:
            raise AwsError("LimitExceededException", f"A version can have at most {MAX_STAGES} staging labels.")
    secret.changed = ctx.now
    save(ctx, found)
    return {**found.names()}

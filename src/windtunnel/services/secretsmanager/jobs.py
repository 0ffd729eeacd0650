"""What Secrets Manager does in time of its own: secrets are deleted at the end of their recovery window.

Invariant: a job does something only if the secret still says that it is this job that must do it (its token).
"""

from __future__ import annotations

from windtunnel.jobs import Run, job
from windtunnel.kernel.context import Context
from windtunnel.kernel.records import Tx
from windtunnel.services.secretsmanager.model import Secret, Version, version_prefix


@job("secretsmanager.delete")
def delete_when_due(run: Run, name: str, token: str, seconds: float) -> None:
    """Wait for the recovery window to pass, then forget the secret with all its versions."""
    if run.wait_for(f"secretsmanager.kept/{token}", key="window", timeout=seconds) is None:
        run.tx("delete", delete, name, token)


def delete(ctx: Context, name: str, token: str) -> bool:
    secret = ctx.tx.get(Secret, name)
    if secret is None or secret.deletion is None or secret.deletion.token != token:
        return False
    erase(ctx.tx, secret)
    return True


def erase(tx: Tx, secret: Secret) -> None:
    """A secret and its values, at once."""
    for version in tx.scan(Version, prefix=version_prefix(secret.name)):
        tx.delete(Version, version.key())
    tx.delete(Secret, secret.key())

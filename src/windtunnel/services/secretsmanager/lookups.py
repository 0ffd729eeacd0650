"""From what a request calls a secret (name, ARN, ARN without its last letters) to the secret, wherever it is."""

from __future__ import annotations

from typing import NamedTuple

from windtunnel.kernel.context import Context
from windtunnel.kernel.records import Tx
from windtunnel.kernel.scope import Arn, Scope
from windtunnel.services.secretsmanager.model import Secret, Version, marked_for_deletion, not_found, secret_arn, version_prefix

_SUFFIX = 7
"""A hyphen and six letters, at the end of a secret's ARN."""


class Found(NamedTuple):
    """A secret and where it is: its account may be another one's."""

    secret: Secret
    scope: Scope
    tx: Tx

    @property
    def arn(self) -> str:
        return secret_arn(self.scope, self.secret)

    def version(self, version: str | None) -> Version | None:
        return None if version is None else self.tx.get(Version, f"{version_prefix(self.secret.name)}{version}")

    def versions(self) -> list[Version]:
        return self.tx.scan(Version, prefix=version_prefix(self.secret.name))

    def names(self) -> dict[str, str]:
        """What most operations answer with."""
        return {"ARN": self.arn, "Name": self.secret.name}


def find_secret(ctx: Context, secret_id: str) -> Found | None:
    """The secret; None when there is none by that name or ARN."""
    scope, name = place(ctx, secret_id)
    tx = ctx.tx if scope == ctx.scope else ctx.tx.within(scope.account, scope.region)
    if secret_id.startswith("arn:"):  # whole, before another one's name can look like it
        secret = tx.get(Secret, name[:-_SUFFIX])
        if secret is not None and secret_arn(scope, secret) == secret_id:
            return Found(secret, scope, tx)
    secret = tx.get(Secret, name)
    return None if secret is None else Found(secret, scope, tx)


def the_secret(ctx: Context, secret_id: str) -> Found:
    """The secret, also one that waits for its end. Raises ResourceNotFoundException."""
    found = find_secret(ctx, secret_id)
    if found is None:
        raise not_found()
    return found


def live_secret(ctx: Context, secret_id: str) -> Found:
    """The secret, unless it is marked for deletion."""
    found = the_secret(ctx, secret_id)
    if found.secret.deletion is not None:
        raise marked_for_deletion()
    return found


def place(ctx: Context, secret_id: str) -> tuple[Scope, str]:
    """(where, name) of what a request names; the name of an ARN still has its six letters."""
    arn = Arn.parse(secret_id)
    if arn is None or arn.service != "secretsmanager" or not arn.resource.startswith("secret:"):
        return ctx.scope, secret_id
    if arn.region != ctx.scope.region or not arn.account.isdigit():
        raise not_found()
    return Scope(arn.account, arn.region), arn.resource.removeprefix("secret:")

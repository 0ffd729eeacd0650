"""ListSecrets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import reads
from windtunnel.services.secretsmanager.filters import compile_filters
from windtunnel.services.secretsmanager.model import Secret, described, stages_by_version

_SORTS: dict[str, Callable[[Secret], Any]] = {
    "created-date": lambda secret: secret.created,
    "last-changed-date": lambda secret: secret.changed,
    "name": lambda secret: secret.name,
}


def on_list(ctx: Context, **_: Any) -> list[Need]:
    return [Need("secretsmanager:ListSecrets")]


@reads(
    "secretsmanager",
    "ListSecrets",
    authorize=on_list,
    acts="IncludePlannedDeletion MaxResults NextToken Filters[].Key Filters[].Values[] SortOrder SortBy",
    cost="scan",
)
def list_secrets(
    ctx: Context,
    include_planned_deletion: bool = False,
    max_results: int = 100,
    next_token: str | None = None,
    filters: list[dict[str, Any]] | None = None,
    sort_order: str = "asc",
    sort_by: str = "created-date",
) -> Reply:
    passes = compile_filters(filters or [])
    order = _SORTS.get(sort_by, _SORTS["created-date"])
    secrets = [secret for secret in ctx.tx.scan(Secret) if include_planned_deletion or secret.deletion is None]
    secrets = [secret for secret in secrets if passes(secret, ctx.scope.region)]
    secrets.sort(key=lambda secret: (order(secret), secret.name), reverse=sort_order == "desc")
    first = _place(secrets, next_token)
    page = secrets[first : first + max_results]
    reply: Reply = {"SecretList": [_entry(ctx, secret) for secret in page]}
    return {**reply, "NextToken": page[-1].name} if len(secrets) > first + max_results else reply


def _place(secrets: list[Secret], after: str | None) -> int:
    """Where the page begins: behind the secret that ended the last one."""
    if after is None:
        return 0
    for place, secret in enumerate(secrets, 1):
        if secret.name == after:
            return place
    raise AwsError("InvalidNextTokenException", "The secret that the token stands for is gone; list again from the beginning.")


def _entry(ctx: Context, secret: Secret) -> dict[str, Any]:
    entry = described(ctx.scope, secret)
    stages = stages_by_version(secret)
    return {**entry, "SecretVersionsToStages": stages} if stages else entry

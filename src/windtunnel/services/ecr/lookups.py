"""What the operations look up, whom they ask, and the words for what is not there."""

from __future__ import annotations

from typing import Any

from windtunnel.kernel.context import Context, Need
from windtunnel.kernel.errors import AwsError
from windtunnel.services.ecr.model import Repository, repository_arn


def registry(ctx: Context, registry_id: str | None) -> Context:
    """The registry that is meant: the caller's, or another account's whose policies let the caller in."""
    return ctx if registry_id in (None, ctx.scope.account) else ctx.in_scope(str(registry_id), ctx.scope.region)


def need(ctx: Context, action: str, name: str, registry_id: str | None = None, asked: dict[str, Any] | None = None) -> Need:
    home = registry(ctx, registry_id)
    found = home.tx.get(Repository, name)
    context: dict[str, Any] = dict(asked or {})
    for key, value in (found.tags if found is not None else {}).items():
        context |= {f"aws:ResourceTag/{key}": value, f"ecr:ResourceTag/{key}": value}
    policy = found.policy if found is not None and found.policy else None
    return Need(f"ecr:{action}", repository_arn(home.scope, name), context, policy, home.scope.account)


def on_repository(action: str) -> Any:
    def authorize(ctx: Context, repository_name: str, registry_id: str | None = None, **_: Any) -> list[Need]:
        return [need(ctx, action, repository_name, registry_id)]

    return authorize


def request_tags(tags: list[dict[str, str]] | None) -> dict[str, Any]:
    asked: dict[str, Any] = {f"aws:RequestTag/{tag['Key']}": tag["Value"] for tag in tags or []}
    return asked | ({"aws:TagKeys": [tag["Key"] for tag in tags]} if tags else {})


def invalid(member: str, constraint: str) -> AwsError:
    return AwsError("InvalidParameterException", f"Invalid parameter at '{member}' failed to satisfy constraint: '{constraint}'")


def in_registry(home: Context, name: str) -> str:
    return f"repository with name '{name}' in the registry with id '{home.scope.account}'"


def the_repository(home: Context, name: str) -> Repository:
    found = home.tx.get(Repository, name)
    if found is None:
        said = f"The repository with name '{name}' does not exist in the registry with id '{home.scope.account}'"
        raise AwsError("RepositoryNotFoundException", said)
    return found

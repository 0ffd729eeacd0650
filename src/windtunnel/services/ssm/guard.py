"""What a caller of Parameter Store must be allowed to do (Service Authorization Reference, AWS Systems Manager)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from windtunnel.kernel.context import Authorize, Context, Need
from windtunnel.kernel.lazy import LazyKeys
from windtunnel.services.ssm.model import find_parameter, parameter_arn, split_selector
from windtunnel.services.ssm.public import PUBLIC, public_arn


def arn_of(ctx: Context, name: str) -> str:
    """The ARN that a name, with or without its selector, or an ARN stands for."""
    base, _ = split_selector(ctx.scope, name)
    if base in PUBLIC:
        return public_arn(ctx.scope, base)
    return parameter_arn(ctx.scope, base) if base else name


def need(ctx: Context, action: str, name: str, asked: Mapping[str, Any] | None = None) -> Need:
    """asked: further condition keys, known from the request."""

    def keys() -> Mapping[str, Any]:
        parameter, _, _ = find_parameter(ctx.tx, ctx.scope, name)
        tags = parameter.tags if parameter is not None else {}
        found = {f"{prefix}/{key}": value for key, value in tags.items() for prefix in ("aws:ResourceTag", "ssm:resourceTag")}
        return {**found, **(asked or {})}

    return Need(f"ssm:{action}", arn_of(ctx, name), LazyKeys(keys))


def on_parameter(action: str) -> Authorize:
    def authorize(ctx: Context, name: str, **_: Any) -> list[Need]:
        return [need(ctx, action, name)]

    return authorize


def on_parameters(action: str) -> Authorize:
    def authorize(ctx: Context, names: list[str], **_: Any) -> list[Need]:
        return [need(ctx, action, name) for name in names]

    return authorize


def request_tags(tags: list[dict[str, str]]) -> dict[str, Any]:
    return {f"aws:RequestTag/{tag['Key']}": tag["Value"] for tag in tags} | {"aws:TagKeys": [tag["Key"] for tag in tags]}

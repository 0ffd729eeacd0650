"""What SNS's types have in common: calls, and properties that are JSON in a template and text in an attribute."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from windtunnel.kernel.context import Context, Reply
from windtunnel.provision.calling import perform
from windtunnel.provision.handling import attempt, parsed, text
from windtunnel.provision.registry import Properties

MISSING = frozenset({"NotFound", "ResourceNotFound"})


def sns(ctx: Context, operation: str, **members: Any) -> Reply:
    return perform(ctx, "sns", operation, **members)


def sns_if_there(ctx: Context, operation: str, **members: Any) -> Reply | None:
    return attempt(ctx, MISSING, "sns", operation, **members)


def attribute(value: Any) -> str:
    """A property as the attribute of its name."""
    return ("true" if value else "false") if isinstance(value, bool) else str(value) if isinstance(value, int) else text(value)


def attributes(props: Properties, names: Iterable[str]) -> dict[str, str]:
    return {name: attribute(props[name]) for name in names if name in props}


def shown(value: str, given: Any) -> Any:
    """An attribute as the property: of the type that the template has."""
    if given is not None and attribute(given) == value:
        return given
    if value in ("true", "false"):
        return value == "true"
    return parsed(value) if value.startswith("{") else value

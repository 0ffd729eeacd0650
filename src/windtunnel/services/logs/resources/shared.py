"""What the types of this service have in common."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from windtunnel.kernel.context import Context
from windtunnel.provision.calling import perform
from windtunnel.provision.handling import attempt, listed
from windtunnel.provision.registry import Resource

MISSING = frozenset({"ResourceNotFoundException"})


def logs(ctx: Context, operation: str, **members: Any) -> Any:
    return perform(ctx, "logs", operation, **members)


def gently(ctx: Context, operation: str, **members: Any) -> Any:
    """None when what is asked about is not there."""
    return attempt(ctx, MISSING, "logs", operation, **members)


def every(ctx: Context, operation: str, member: str, **asked: Any) -> Iterator[dict[str, Any]]:
    return listed(ctx, "logs", operation, member, ("nextToken", "nextToken"), **asked)


def place(resource: Resource, first: str, second: str) -> tuple[str, str]:
    """Both parts of an identity that Cloud Control joins by `|`, and of which Ref gives only one: the other is a property."""
    if not resource.properties and "|" in resource.id:
        before, _, after = resource.id.partition("|")
        return before, after
    return str(resource.properties.get(first) or resource.id), str(resource.properties.get(second) or resource.id)

"""Tags whose keys begin with `aws:`: AWS's own, of which CloudFormation gives a stack's resources three (`aws:cloudformation:stack-name`, …).

Invariant: users see them and may neither set nor take them away; only a call that comes out of CloudFormation may, and they count against
no limit and ask for no permission (CloudFormation User Guide, "Resource tags").
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from windtunnel.kernel.context import Context

PREFIX = "aws:"
STACK_PREFIX = "aws:cloudformation:"


def by_stack(ctx: Context) -> bool:
    """Whether CloudFormation makes this call, for whoever asked it to."""
    return ctx.via[-1:] == ("cloudformation",)


def reserved(key: str, stack: bool = False) -> bool:
    """Whether this caller may not set or remove the tag. stack: `by_stack` of the call."""
    return key.lower().startswith(PREFIX) and not (stack and key.startswith(STACK_PREFIX))


def users(tags: Mapping[str, str]) -> dict[str, str]:
    """Those that count against a limit: without AWS's own."""
    return {key: value for key, value in tags.items() if not key.startswith(PREFIX)}


def system(tags: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in tags.items() if key.startswith(PREFIX)}


def users_pairs(pairs: Iterable[Mapping[str, Any]] | None, key: str = "Key") -> list[dict[str, Any]]:
    """The tags of a request that its caller needs a permission for. key: how the service calls a tag's key (`TagKey`)."""
    return [dict(pair) for pair in pairs or () if not str(pair.get(key, "")).startswith(PREFIX)]

"""What the nouns of a VPC ask of those that reach beyond it, in one place, because these import them."""

from __future__ import annotations

from typing import Any

from windtunnel.kernel.context import Context


def holders() -> tuple[type[Any], ...]:
    """The kinds of records that keep their VPC from being deleted, beside its subnets: found by their index "vpc"."""
    return ()


def peered(ctx: Context, one: str, two: str) -> bool:
    """Whether an active peering connects two VPCs."""
    return False


def prefix_list_exists(ctx: Context, name: str) -> bool:
    return False

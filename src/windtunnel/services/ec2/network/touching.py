"""The one place that is told, in the same transaction, when something changed by which packets are let through in a VPC."""

from __future__ import annotations

from windtunnel.kernel.context import Context


def touched(ctx: Context, vpc_id: str) -> None:
    """A group's rules, an interface's groups, a route, an association, an ACL or an elastic address of this VPC is different now."""
    from windtunnel.services.ec2.walls import changed

    changed(ctx, vpc_id)

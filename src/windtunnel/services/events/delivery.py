"""From an event to its deliveries."""

from __future__ import annotations

from windtunnel.kernel.context import Context, Event


def fan_out(ctx: Context, event: Event) -> None:
    """Start a delivery for every rule that matches."""

"""What a resource waits for after its handler has returned: that it settles, and the signals of its CreationPolicy.

Invariant: a signal counts once, by its unique id; a deadline is a time in the record, so a restart neither prolongs nor forgets it.
"""

from __future__ import annotations

import re
from typing import Any

from windtunnel.kernel.context import Context
from windtunnel.services.cloudformation import happening
from windtunnel.services.cloudformation.executing.live import Live
from windtunnel.services.cloudformation.language.resolve import resolve
from windtunnel.services.cloudformation.model import Signal, StackResource

_DURATION = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?\Z")
LONGEST = 43200.0


def duration(text: str) -> float | None:
    """Seconds of an ISO 8601 duration (`PT15M`); None when it is none."""
    found = _DURATION.match(text)
    if found is None or text in ("P", "PT"):
        return None
    days, hours, minutes, seconds = (float(part) if part else 0.0 for part in found.groups())
    return days * 86400 + hours * 3600 + minutes * 60 + seconds


def await_signals(ctx: Context, live: Live, resource: StackResource) -> bool:
    """Whether a CreationPolicy makes it wait; how many signals and until when is in its record then."""
    policy = live.spec(resource.logical).get("CreationPolicy")
    if not policy or "ResourceSignal" not in policy:
        return False
    signal: dict[str, Any] = resolve(policy["ResourceSignal"], live.scope(ctx)) or {}
    resource.signals = int(signal.get("Count", 1))
    resource.deadline = ctx.now + min(duration(str(signal.get("Timeout", "PT5M"))) or 300.0, LONGEST)
    return resource.signals > 0


def signals_of(ctx: Context, resource: StackResource) -> list[Signal]:
    return ctx.tx.scan(Signal, prefix=f"{resource.stack}/{resource.logical}/")


def hear(ctx: Context, live: Live, resource: StackResource) -> str | bool:
    """Take in the signals that have come. True: enough; False: not yet; text: why it has failed."""
    assert resource.now is not None
    good = 0
    for signal in signals_of(ctx, resource):
        if not signal.seen:
            signal.seen = True
            ctx.tx.put(signal)
            said = f"Received {signal.status} signal with UniqueId {signal.unique}"
            verb = resource.status.split("_", 1)[0]
            live.touch(resource)
            happening.of_resource(ctx, live.stack, live.operation, resource, f"{verb}_IN_PROGRESS", said, resource.now.physical)
        if signal.status == "FAILURE":
            return f"Received {signal.status} signal with UniqueId {signal.unique}"
        good += 1
    if good >= resource.signals:
        return True
    if ctx.now >= resource.deadline:
        return f"Failed to receive {resource.signals - good} resource signal(s) within the specified duration"
    return False


def forget_signals(ctx: Context, resource: StackResource) -> None:
    for signal in signals_of(ctx, resource):
        ctx.tx.delete(Signal, signal.key())

"""What a resource waits for after its handler has returned: that it settles, and the signals of its CreationPolicy.

Invariant: a signal counts once, by its unique id; a deadline is a time in the record, so a restart neither prolongs nor forgets it.
"""

from __future__ import annotations

import re
from typing import Any

from windtunnel.kernel.context import Context
from windtunnel.services.cloudformation import happening
from windtunnel.services.cloudformation.executing.live import Live
from windtunnel.services.cloudformation.language.errors import TemplateError
from windtunnel.services.cloudformation.language.resolve import resolve
from windtunnel.services.cloudformation.model import Signal, StackResource

_DURATION = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?\Z")
_COUNT = re.compile(r"\d{1,9}\Z")
LONGEST = 43200.0


def duration(text: str) -> float | None:
    """Seconds of an ISO 8601 duration (`PT15M`); None when it is none."""
    found = _DURATION.match(text)
    if found is None or text in ("P", "PT"):
        return None
    days, hours, minutes, seconds = (float(part) if part else 0.0 for part in found.groups())
    return days * 86400 + hours * 3600 + minutes * 60 + seconds


def asked_signals(ctx: Context, live: Live, logical: str) -> tuple[int, float] | None:
    """How many signals a CreationPolicy waits for, and for how many seconds; None without one. Raises TemplateError for what cannot be waited for."""
    policy = live.spec(logical).get("CreationPolicy")
    if not policy or "ResourceSignal" not in policy:
        return None
    signal: Any = resolve(policy["ResourceSignal"], live.scope(ctx)) or {}
    said = signal if isinstance(signal, dict) else {"Count": signal}
    count, seconds = str(said.get("Count", 1)), duration(str(said.get("Timeout", "PT5M")))
    if not _COUNT.match(count):
        raise TemplateError(f"Template error: CreationPolicy of resource {logical}: Count must be a whole number")
    if seconds is None or seconds > LONGEST:
        raise TemplateError(
            f"Template error: CreationPolicy of resource {logical}: Timeout must be an ISO 8601 duration (PT#H#M#S) of at most 12 hours"
        )
    return int(count), seconds


def await_signals(ctx: Context, live: Live, resource: StackResource) -> bool:
    """Whether a CreationPolicy makes it wait; how many signals and until when is in its record then."""
    asked = asked_signals(ctx, live, resource.logical)
    if asked is None:
        return False
    resource.signals, resource.deadline = asked[0], ctx.now + asked[1]
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

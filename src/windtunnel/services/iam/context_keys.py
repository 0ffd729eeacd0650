"""The global condition keys of a request (`aws:SourceIp`, `aws:CurrentTime`, …), beside those that the service names.

Invariant: a key is computed only when a condition asks for it; the service's own keys win over the global ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from windtunnel.iam.request import ContextValue
from windtunnel.kernel.context import Context

_GLOBAL: dict[str, Callable[[Context], ContextValue]] = {
    "aws:currenttime": lambda ctx: datetime.fromtimestamp(ctx.now, UTC),
    "aws:epochtime": lambda ctx: int(ctx.now),
    "aws:requestedregion": lambda ctx: ctx.scope.region,
    "aws:securetransport": lambda ctx: ctx.request.secure,
    "aws:sourceip": lambda ctx: ctx.request.source_ip,
    "aws:useragent": lambda ctx: ctx.request.user_agent,
    "aws:viaawsservice": lambda ctx: False,
}


class ContextKeys:
    """A lookup of lower-case keys, as `windtunnel.iam.request.Request` takes it."""

    __slots__ = ("_account", "_ctx", "_folded", "_own")

    def __init__(self, ctx: Context, own: Mapping[str, ContextValue], account: str | None = None) -> None:
        self._ctx = ctx
        self._own = own
        self._account = account or ctx.principal.account
        self._folded: dict[str, ContextValue] | None = None

    def __call__(self, key: str) -> ContextValue | None:
        if self._folded is None:
            self._folded = {name.lower(): value for name, value in self._own.items()}
        if key in self._folded:
            return self._folded[key]
        if key == "aws:resourceaccount":
            return self._account
        compute = _GLOBAL.get(key)
        return None if compute is None else compute(self._ctx)

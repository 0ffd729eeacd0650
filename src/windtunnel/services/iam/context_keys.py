"""The global condition keys of a request (`aws:SourceIp`, `aws:CurrentTime`, …), beside those that the service names.

Invariant: a key is computed only when a condition asks for it; the service's own keys win over the global ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from windtunnel.iam.request import ContextValue
from windtunnel.kernel.context import Context


def _called_via(ctx: Context) -> list[str]:
    return [f"{name}.amazonaws.com" for name in ctx.via]


_GLOBAL: dict[str, Callable[[Context], ContextValue | None]] = {
    "aws:calledvia": lambda ctx: _called_via(ctx) or None,
    "aws:calledviafirst": lambda ctx: _called_via(ctx)[0] if ctx.via else None,
    "aws:calledvialast": lambda ctx: _called_via(ctx)[-1] if ctx.via else None,
    "aws:currenttime": lambda ctx: datetime.fromtimestamp(ctx.now, UTC),
    "aws:epochtime": lambda ctx: int(ctx.now),
    "aws:requestedregion": lambda ctx: ctx.scope.region,
    "aws:securetransport": lambda ctx: ctx.request.secure,
    "aws:sourceip": lambda ctx: ctx.request.source_ip,
    "aws:useragent": lambda ctx: ctx.request.user_agent,
    "aws:multifactorauthage": lambda ctx: None if ctx.principal.mfa_at is None else int(ctx.now - ctx.principal.mfa_at),
    "aws:multifactorauthpresent": lambda ctx: ctx.principal.mfa_at is not None if ctx.principal.access_key.startswith("ASIA") else None,
    "aws:principalisawsservice": lambda ctx: ctx.principal.kind == "service",
    "aws:principalservicename": lambda ctx: ctx.principal.name if ctx.principal.kind == "service" else None,
    "aws:principalservicenameslist": lambda ctx: [ctx.principal.name] if ctx.principal.kind == "service" else None,
    "aws:sourceaccount": lambda ctx: ctx.principal.account if ctx.principal.kind == "service" else None,
    "aws:sourcearn": lambda ctx: ctx.principal.source_arn or None,
    "aws:viaawsservice": lambda ctx: bool(ctx.via),
}


GLOBAL = frozenset(_GLOBAL)


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

"""The seam to CloudTrail: whoever runs an operation for a caller says so here, once, when its outcome is known.

Invariant: noting never fails a call and never waits; a write's note is kept by the very transaction that makes the write durable.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from windtunnel.kernel.context import RequestInfo
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.principal import Principal
from windtunnel.kernel.scope import Scope

if TYPE_CHECKING:
    from windtunnel.kernel.context import Context
    from windtunnel.kernel.registry import Operation


class Audit(Protocol):
    """What the wire and `Cloud.call` tell of each call; the part "audit"."""

    def follows(self, service: str, operation: str) -> bool:
        """Whether calls of this operation can ever be noted: asked once, when the operation is compiled."""

    def note(
        self,
        operation: Operation,
        scope: Scope,
        principal: Principal,
        request: RequestInfo,
        args: dict[str, Any],
        result: dict[str, Any] | None = None,
        error: AwsError | None = None,
        ctx: Context | None = None,
        via: tuple[str, ...] = (),
    ) -> None:
        """A call and its outcome. ctx: the open write transaction, for a write that succeeded. via: the services that carried it."""

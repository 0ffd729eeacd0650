"""What the wire holds of a request on its way: as it came, what was compiled for its operation, and the operation's run.

Invariant: a plan is made once an operation and protocol, and holds no model.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Literal

from windtunnel.kernel.cloud import BlobRange, Body
from windtunnel.kernel.context import RequestInfo
from windtunnel.kernel.principal import Principal
from windtunnel.kernel.registry import Operation, ServiceRules
from windtunnel.kernel.scope import Scope
from windtunnel.wire.models import OperationModel, ServiceModel
from windtunnel.wire.naming import xform
from windtunnel.wire.paging import page_tokens
from windtunnel.wire.protocols import compile_decoder, compile_encoder
from windtunnel.wire.protocols.base import Decoder, Encoder
from windtunnel.wire.protocols.events import compile_event_encoder
from windtunnel.wire.routing import Route
from windtunnel.wire.sigv4 import Verified


class Streamed:
    """An answer whose body is part of a blob: status and headers now, the bytes in chunks."""

    __slots__ = ("status", "headers", "body")

    def __init__(self, status: int, headers: list[tuple[bytes, bytes]], body: BlobRange | list[BlobRange]) -> None:
        self.status = status
        self.headers = headers
        self.body = body


class Request:
    """One HTTP request. headers: lower-case names as received; head: the same joined by name; sandbox: whose listener took it."""

    __slots__ = (
        "method",
        "raw_path",
        "raw_query",
        "headers",
        "head",
        "body",
        "client",
        "secure",
        "sandbox",
        "route",
        "staged",
        "verified",
        "checksums",
        "id",
        "left",
    )

    def __init__(
        self,
        method: str,
        raw_path: str,
        raw_query: str,
        headers: list[tuple[bytes, bytes]],
        head: dict[str, str],
        *,
        client: str = "127.0.0.1",
        secure: bool = False,
        sandbox: str = "",
    ) -> None:
        self.method = method
        self.raw_path = raw_path
        self.raw_query = raw_query
        self.headers = headers
        self.head = head
        self.body = b""
        self.client = client
        self.secure = secure
        self.sandbox = sandbox
        self.route: Route | None = None
        self.staged: Body | None = None
        self.verified: Verified | None = None
        self.checksums: list[tuple[str, str]] = []
        self.id = ""
        self.left: Callable[[], Awaitable[None]] | None = None
        """Returns once the client has left, for those who wait long; None where that is never known."""


class ClientLeft(Exception):
    """The connection ended before the body or the answer did."""


class Plan:
    """Everything that was compiled for one operation over one protocol."""

    __slots__ = (
        "operation",
        "decode",
        "encode",
        "streaming_input",
        "streaming_output",
        "protocol",
        "pages",
        "events",
        "audited",
        "checksums",
        "id",
    )

    def __init__(self, operation: Operation, model: ServiceModel, protocol: str, rules: ServiceRules, strict: bool = False) -> None:
        shape = model.operation(operation.name)
        self.operation = operation
        self.protocol = protocol
        self.decode: Decoder = compile_decoder(model, operation.name, operation.declared, rules, protocol, operation.quick)
        self.encode: Encoder = compile_encoder(model, operation.name, protocol, strict=strict)
        self.streaming_input = xform(shape.streaming_input) if shape.streaming_input else None
        self.streaming_output = shape.streaming_output
        self.pages = page_tokens(shape, rules)
        self.events = compile_event_encoder(shape, protocol, strict)
        self.checksums: Literal["none", "md5", "all"] = _checksums(shape)
        """What of a body's own checksums is looked at."""
        self.audited = False
        """Whether CloudTrail follows this operation."""


def _checksums(shape: OperationModel) -> Literal["none", "md5", "all"]:
    if shape.http_checksum or shape.http_checksum_required:
        return "all"
    return "md5" if shape.service.name == "s3" else "none"


class Run:
    """One operation on its way from a decoded request to an answer.

    page: the token of a page, as the client sent it. asked: the arguments before `prepare` changed them.
    """

    __slots__ = ("plan", "scope", "principal", "info", "args", "asked", "page", "left")

    def __init__(self, plan: Plan, scope: Scope, principal: Principal, info: RequestInfo, args: dict[str, Any]) -> None:
        self.plan = plan
        self.scope = scope
        self.principal = principal
        self.info = info
        self.args = self.asked = args
        self.page: str | None = None
        self.left: Callable[[], Awaitable[None]] | None = None

"""From a request to an answer, knowing no HTTP server: route, verify, decode, authorize, run, encode.

Invariants: an answer to a write goes out after its commit; a read runs in one snapshot; whatever goes wrong becomes the error
that this service's protocol has for it, and an exception nobody foresaw becomes a 500 that says nothing but is logged whole.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import threading
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from typing import Any, Protocol

from windtunnel.kernel.cloud import BlobRange, Body, Cloud
from windtunnel.kernel.context import Context, RequestInfo, Wait
from windtunnel.kernel.errors import AwsError, not_built
from windtunnel.kernel.principal import Credential, Principal
from windtunnel.kernel.records import Tx
from windtunnel.kernel.registry import OPERATIONS, RULES, Operation, ServiceRules
from windtunnel.kernel.scope import Scope
from windtunnel.wire.models import ServiceModel, load_service
from windtunnel.wire.protocols import compile_decoder, compile_encoder, compile_error_encoder
from windtunnel.wire.protocols.base import Decoder, Encoder, ErrorEncoder, RawRequest, Response, parse_query
from windtunnel.wire.routing import Route, Router
from windtunnel.wire.sigv4 import Signed, Verified, is_signed, read_signature, verify

log = logging.getLogger("windtunnel.wire")
MAX_BODY = 16 << 20
INLINE_STAGE = 16 * 1024
"""Bodies up to this size are staged without a file, on the loop."""
_ACCESS_DENIED = {"json": "AccessDeniedException", "rest-json": "AccessDeniedException", "ec2": "UnauthorizedOperation"}


class Streamed:
    """An answer whose body is part of a blob: status and headers now, the bytes in chunks."""

    __slots__ = ("status", "headers", "body")

    def __init__(self, status: int, headers: list[tuple[bytes, bytes]], body: BlobRange | list[BlobRange]) -> None:
        self.status = status
        self.headers = headers
        self.body = body


Answer = Response | Streamed


class Backend(Protocol):
    """What the composition root gives the wire."""

    @property
    def cloud(self) -> Cloud: ...

    def snapshot(self, account: str, region: str) -> AbstractContextManager[Tx]: ...

    def thread_snapshot(self, account: str, region: str) -> AbstractContextManager[Tx]: ...

    def submit(self, work: Callable[[Tx], Any]) -> asyncio.Future[Any]: ...

    def in_thread(self, work: Callable[[], Any]) -> Awaitable[Any]: ...

    async def wait_for(self, name: str, timeout: float) -> bool: ...


class Request:
    """One HTTP request. headers: lower-case names as received; head: the same joined by name; sandbox: whose listener took it."""

    __slots__ = ("method", "raw_path", "raw_query", "headers", "head", "body", "client", "secure", "sandbox", "route", "staged")

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


class Plan:
    """Everything that was compiled for one operation over one protocol."""

    __slots__ = ("operation", "decode", "encode", "error", "streaming_input", "streaming_output", "protocol")

    def __init__(self, operation: Operation, model: ServiceModel, protocol: str, rules: ServiceRules) -> None:
        shape = model.operation(operation.name)
        self.operation = operation
        self.protocol = protocol
        self.decode: Decoder = compile_decoder(model, operation.name, operation.declared, rules, protocol)
        self.encode: Encoder = compile_encoder(model, operation.name, protocol)
        self.error: ErrorEncoder = compile_error_encoder(model, protocol)
        self.streaming_input = shape.streaming_input
        self.streaming_output = shape.streaming_output

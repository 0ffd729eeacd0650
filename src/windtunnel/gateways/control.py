"""The cloud owner's own wire at `/_windtunnel/NAME`: what `windtunnel account` and `explain` ask, and no AWS API has.

Invariant: only the root key of the cloud's first account is heard, by a signature of version 4 for the service `windtunnel`. A page
of another origin, a sandbox and another account's root have no such signature, so they get nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from hashlib import sha256
from inspect import signature
from typing import Any

import msgspec

from windtunnel.kernel.cloud import Cloud
from windtunnel.kernel.context import Context, RequestInfo
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.principal import Credential, Principal
from windtunnel.kernel.records import Tx
from windtunnel.kernel.registry import CONTROLS, Control
from windtunnel.kernel.scope import Scope
from windtunnel.kernel.typed import from_json
from windtunnel.wire.autherrors import refused
from windtunnel.wire.sigv4 import check_body, read_signature, verify

log = logging.getLogger("windtunnel.control")
PREFIX = "/_windtunnel/"
SERVICE = "windtunnel"
MAX_BODY = 64 * 1024
SECONDS = 30.0
Send = Callable[[dict[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[dict[str, Any]]]


def matches(scope: dict[str, Any]) -> bool:
    """Whether a request is the owner's. No S3 bucket's name begins with `_`."""
    return bool(scope["path"].startswith(PREFIX))


class ControlGateway:
    """The ASGI application behind `matches`."""

    def __init__(self, cloud: Cloud, backend: Any) -> None:
        self._cloud = cloud
        self._backend = backend

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        try:
            reply = await self._answer(scope, receive)
            status = 200
        except AwsError as error:
            reply, status = {"code": error.code, "message": error.message}, error.status or 400
        body = msgspec.json.encode(reply)
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, scope: dict[str, Any], receive: Receive) -> dict[str, Any]:
        control = CONTROLS.get(scope["path"].removeprefix(PREFIX))
        if scope["method"] != "POST" or control is None:
            raise AwsError("NotFound", "There is no such thing to ask.", status=404)
        body = await _body(receive)
        principal = self._authenticate(scope, body)
        try:
            arguments = from_json(body or b"{}", dict[str, Any])
        except (msgspec.DecodeError, msgspec.ValidationError):
            raise AwsError("ValidationError", "The body is not a JSON object.") from None
        return await self._run(control, principal, arguments)

    def _authenticate(self, scope: dict[str, Any], body: bytes) -> Principal:
        raw_query = scope["query_string"].decode("latin-1")
        signed = read_signature(dict(scope["headers"]), raw_query, "json")
        if signed is None:
            raise refused("json", "missing")
        digest = sha256(body).hexdigest()

        def lookup(access_key: str) -> Credential | None:
            with self._backend.snapshot("", "") as tx:
                return self._cloud.identity.credential(tx, access_key)

        raw_path = scope["raw_path"].decode("latin-1")
        now = self._cloud.clock.now()
        verified = verify(signed, scope["method"], raw_path, raw_query, scope["headers"], lambda: digest, lookup, now, "json", SERVICE)
        check_body(verified, digest)
        principal = verified.credential.principal
        if principal.kind != "root" or principal.account != self._backend.account:
            raise AwsError("AccessDeniedException", "Only the root key of the cloud's first account may ask this.", status=403)
        return principal

    async def _run(self, control: Control, principal: Principal, arguments: dict[str, Any]) -> dict[str, Any]:
        where = Scope(principal.account, self._backend.region)

        def call(tx: Tx) -> Any:
            return control.handler(Context(tx, where, principal, self._cloud, request=RequestInfo()), **arguments)

        def read() -> Any:
            with self._backend.thread_snapshot(where.account, where.region) as tx:
                return call(tx)

        try:
            signature(control.handler).bind(None, **arguments)
        except TypeError as error:
            raise AwsError("ValidationError", f"The arguments are not right: {error}") from None
        if control.kind == "read":
            found: dict[str, Any] = await self._backend.in_thread(read)
        else:
            found = await self._backend.submit(lambda tx: call(tx.within(where.account, where.region)))
        return found


async def _body(receive: Receive) -> bytes:
    parts: list[bytes] = []
    more = True
    while more:
        try:
            message = await asyncio.wait_for(receive(), SECONDS)
        except TimeoutError:
            raise AwsError("RequestTimeout", "The request did not come whole.", status=408) from None
        if message["type"] == "http.disconnect":
            raise AwsError("RequestTimeout", "The request did not come whole.", status=408)
        parts.append(message.get("body", b""))
        if sum(map(len, parts)) > MAX_BODY:
            raise AwsError("RequestEntityTooLarge", "The request is too large.", status=413)
        more = message.get("more_body", False)
    return b"".join(parts)

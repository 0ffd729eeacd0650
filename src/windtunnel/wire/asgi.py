"""The HTTP edge: ASGI in, ASGI out; who may be heard at all; bodies staged as they stream.

Invariants: on the host's own listeners a request under a name that is not ours, or from a page of another origin without a signature, is refused before
anything runs (sandboxes are no browsers, and their listeners are their identity); a body is held in memory only up to `core.MAX_BODY`, larger ones
stream into a blob for the operations that take them. Limits on heads and slow clients: wire/connection.py.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from functools import partial
from typing import Any

from windtunnel.kernel.cloud import BlobRange, DamagedBlob
from windtunnel.kernel.errors import AwsError
from windtunnel.wire.core import MAX_BODY, Answer, Core, Request, Streamed
from windtunnel.wire.limits import IDLE_SECONDS
from windtunnel.wire.origins import is_foreign, is_ours, may_from_elsewhere
from windtunnel.wire.protocols.base import Response
from windtunnel.wire.request import ClientLeft
from windtunnel.wire.streaming import Events

log = logging.getLogger("windtunnel.http")
CHUNK = 1 << 20
SMALL = 64 * 1024
"""Up to here bytes are read on the loop."""

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
AtOnce = Callable[[Send, int, list[tuple[bytes, bytes]], bytes], bool]
"""What the connection offers beside ASGI (`windtunnel.answer`): an answer at once, by who `send` is; False when it has to be sent."""
Gateway = Callable[[Scope, Receive, Send], Awaitable[None]]


class HttpEdge:
    """The ASGI application. gateways: (does it match this path and scope?, application), asked in order before the AWS wire; scope
    has the headers as one dictionary too (`windtunnel.head`).

    hosts: names of this cloud beside those that are always its own (wire/origins.py).
    """

    def __init__(self, core: Core, gateways: list[tuple[Callable[[Scope], bool], Gateway]], hosts: frozenset[str] = frozenset()) -> None:
        self._core = core
        self._gateways = gateways
        self._hosts = hosts
        self._seen: str | None = None
        """The name that was found to be ours last."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        request = _request(scope, headers)
        refusal = self._unheard(request, scope) if not request.sandbox else None
        if refusal is not None:
            status, said, body = self._core.refuse(request, refusal)
            await _send_answer(send, (status, [*said, (b"connection", b"close")], body), self._core, request)
            return
        scope["windtunnel.head"] = request.head
        for matches, gateway in self._gateways:
            if matches(scope):
                await gateway(scope, receive, send)
                return
        try:
            answer = await self._answer(request, receive)
        except ClientLeft:
            return
        if isinstance(answer, Events):
            await send_events(send, receive, answer)
            return
        if isinstance(answer, tuple):
            at_once: AtOnce | None = scope.get("windtunnel.answer")
            if at_once is not None and at_once(send, *answer):
                return
        await _send_answer(send, answer, self._core, request)

    def _unheard(self, request: Request, scope: Scope) -> AwsError | None:
        """Why a request is not even looked at; None for nearly all."""
        head = request.head
        host = head.get("host", "")
        if host == self._seen and "origin" not in head and "sec-fetch-site" not in head:  # nearly all
            return None
        if is_ours(host, self._hosts):
            self._seen = host
        else:
            if host:
                words = (
                    f"{host[:128]} is not a name of this cloud. Use {self._core.endpoint}, or start it with WINDTUNNEL_HOSTS={host[:128]}."
                )
                return AwsError("MisdirectedRequest", words, status=421)
            if scope.get("http_version", "1.1") != "1.0":
                return AwsError("InvalidRequest", "The request has no Host header.", status=400)
        if is_foreign(head) and not may_from_elsewhere(request.method, request.raw_query, head):
            return AwsError("CrossOriginRequest", "A web page of another origin may not do this without a signature.", status=403)
        return None

    async def _answer(self, request: Request, receive: Receive) -> Answer:
        if "expect" in request.head:
            try:
                self._core.precheck(request)
            except AwsError as error:
                status, headers, body = self._core.refuse(request, error)
                return status, [*headers, (b"connection", b"close")], body
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientLeft
        try:
            if message.get("more_body") or len(message.get("body", b"")) > self._core.inline_stage:
                await self._take_body(request, message, receive)
            else:
                request.body = message.get("body", b"")
        except AwsError as error:
            return self._core.refuse(request, error)
        request.left = partial(_gone, receive)
        answer = self._core.handle(request)
        if isinstance(answer, tuple | Streamed | Events):
            return answer
        return await answer

    async def _take_body(self, request: Request, message: dict[str, Any], receive: Receive) -> None:
        stage = self._core.stager(request)
        if stage is None:
            if int(request.head.get("content-length", "0")) > MAX_BODY:  # httptools lets numbers pass only
                raise _too_large()
            request.body = await _collect(message, receive)
            return
        try:
            while True:
                await stage.write(message.get("body", b""))
                if not message.get("more_body"):
                    break
                message = await _next(receive)
            request.staged = await stage.finish()
        except BaseException:
            await stage.discard()
            raise


async def _gone(receive: Receive) -> None:
    """After the body nothing comes but the client's leave."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _next(receive: Receive) -> dict[str, Any]:
    try:
        message = await asyncio.wait_for(receive(), IDLE_SECONDS)
    except TimeoutError:
        raise AwsError(
            "RequestTimeout", "Your socket connection to the server was not read from or written to within the timeout period.", status=400
        ) from None
    if message["type"] == "http.disconnect":
        raise ClientLeft
    return message


async def _collect(message: dict[str, Any], receive: Receive) -> bytes:
    parts, size = [message.get("body", b"")], len(message.get("body", b""))
    while message.get("more_body"):
        message = await _next(receive)
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > MAX_BODY:
            raise _too_large()
    return b"".join(parts)


def _too_large() -> AwsError:
    return AwsError("RequestEntityTooLargeException", f"The request body is larger than {MAX_BODY} bytes.", status=413)


def _request(scope: Scope, headers: list[tuple[bytes, bytes]]) -> Request:
    head = {name.decode("latin-1"): value.decode("latin-1") for name, value in headers}
    if len(head) < len(headers):
        head = {}
        for raw_name, raw_value in headers:
            name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
            head[name] = f"{head[name]},{value}" if name in head else value
    state = scope.get("state") or {}
    client = scope.get("client")
    return Request(
        scope["method"],
        scope["raw_path"].decode("latin-1"),
        scope["query_string"].decode("latin-1"),
        headers,
        head,
        client=client[0] if client else "127.0.0.1",
        secure=scope["scheme"] == "https",
        sandbox=state.get("sandbox", ""),
    )


async def _send_answer(send: Send, answer: Response | Streamed, core: Core, request: Request) -> None:
    head = request.method == "HEAD"
    if isinstance(answer, tuple):
        status, headers, body = answer
        if body and not head and not any(name == b"content-length" for name, _ in headers):
            headers = [*headers, (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})
        return
    parts = [] if head else answer.body if isinstance(answer.body, list) else [answer.body]
    pieces = _pieces(core, parts)
    try:
        # The first bytes are proven before the status is said: a blob that is gone or altered is an error that clients can read.
        first = await anext(pieces, b"")
    except DamagedBlob as error:
        await _send_answer(send, core.damaged(request, error), core, request)
        return
    await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
    try:
        if first:
            await send({"type": "http.response.body", "body": first, "more_body": True})
        async for data in pieces:
            await send({"type": "http.response.body", "body": data, "more_body": True})
    except DamagedBlob as error:
        core.damaged(request, error)
        raise ConnectionError("the stored object is damaged") from None
    finally:
        await pieces.aclose()
    await send({"type": "http.response.body", "body": b""})


async def _pieces(core: Core, parts: list[BlobRange]) -> AsyncGenerator[bytes, None]:
    """The bytes of these ranges, read and decrypted off the loop, so that a slow disk stops nobody else."""
    for part in parts:
        if part.length <= SMALL or part.ref.inline is not None:
            reader = core.blob_reader(part)
        else:
            reader = await core.in_thread(partial(core.blob_reader, part))
        try:
            offset, left = part.offset, part.length
            while left:
                want = min(CHUNK, left)
                yield reader.read(offset, want) if want <= SMALL else await core.in_thread(partial(reader.read, offset, want))
                offset += want
                left -= want
        finally:
            reader.close()


async def send_events(send: Send, receive: Receive, answer: Events) -> None:
    """A stream of events, until it ends or its client has left."""
    messages = answer.messages()
    left = asyncio.ensure_future(receive())
    try:
        await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
        while True:
            step = asyncio.ensure_future(anext(messages, None))
            await asyncio.wait((left, step), return_when=asyncio.FIRST_COMPLETED)
            if not step.done():
                step.cancel()
                await asyncio.wait((step,))
                return
            data = step.result()
            if data is None:
                break
            await send({"type": "http.response.body", "body": data, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    finally:
        left.cancel()
        await messages.aclose()

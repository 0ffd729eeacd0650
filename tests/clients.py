"""Real boto3 clients without a network: what they sign and serialise goes straight into the wire's core, on the cloud's loop.

The client's own code runs whole (endpoint rules, serialiser, SigV4, parser); only the socket is missing.
"""

from __future__ import annotations

import asyncio
import inspect
from typing import Any
from urllib.parse import urlsplit

from harness import REGION, InProcessCloud
from windtunnel.kernel.principal import Credential
from windtunnel.server import LoopBackend
from windtunnel.services.iam.model import RootKey
from windtunnel.wire.core import Core, Request, Streamed
from windtunnel.wire.streaming import Events


class Raw:
    """The body of an answer, as botocore reads it from urllib3."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self, *_: Any, **__: Any) -> Any:
        yield self._body

    def read(self, *_: Any, **__: Any) -> bytes:
        body, self._body = self._body, b""
        return body


class RawEvents(Raw):
    """A stream of events: each piece is fetched from the cloud's loop when the client asks for it."""

    def __init__(self, cloud: InProcessCloud, answer: Events) -> None:
        super().__init__(b"")
        self._cloud = cloud
        self._messages = answer.messages()

    def stream(self, *_: Any, **__: Any) -> Any:
        while (piece := self._on_loop(anext(self._messages, None))) is not None:
            yield piece

    def close(self) -> None:
        self._on_loop(self._messages.aclose())

    def _on_loop(self, work: Any) -> Any:
        async def run() -> Any:
            return await work

        return asyncio.run_coroutine_threadsafe(run(), self._cloud.loop).result(30)


class Door:
    """Makes clients of one cloud. `root` are the keys of the account's root user."""

    def __init__(self, cloud: InProcessCloud, backend: type[LoopBackend] = LoopBackend) -> None:
        self._cloud = cloud
        self._core: Core = cloud.on_loop(lambda: Core(backend(cloud.cloud), strict=True))
        self.root = ("AKIAROOTROOTROOTROOT", "root/secret", "")
        cloud.write(lambda ctx: ctx.tx.put(RootKey(access_key=self.root[0], secret=self.root[1], account=ctx.scope.account)))

    def client(
        self,
        service: str,
        keys: tuple[str, str, str] | Credential | None = None,
        region: str = REGION,
        endpoint: str | None = None,
        **settings: Any,
    ) -> Any:
        """A client with (access key, secret, session token), root's unless others are given. settings: of botocore's Config."""
        import boto3
        from botocore.config import Config

        if isinstance(keys, Credential):
            keys = (keys.access_key, keys.secret, keys.token)
        access_key, secret, token = keys or self.root
        client = boto3.client(
            service,
            region_name=region,
            endpoint_url=endpoint or self._cloud.cloud.endpoint,
            aws_access_key_id=access_key,
            aws_secret_access_key=secret,
            aws_session_token=token or None,
            config=Config(retries={"total_max_attempts": 1}, parameter_validation=False, **settings),
        )
        client.meta.events.register("before-send", self._send)
        return client

    def _send(self, request: Any, **_: Any) -> Any:
        from botocore.awsrequest import AWSResponse

        status, headers, body = asyncio.run_coroutine_threadsafe(self._answer(request), self._cloud.loop).result(30)
        raw = RawEvents(self._cloud, body) if isinstance(body, Events) else Raw(body)
        return AWSResponse(request.url, status, headers, raw)

    async def _answer(self, sent: Any) -> tuple[int, dict[str, str], bytes | Events]:
        url = urlsplit(sent.url)
        pairs = [(name.lower(), value if isinstance(value, str) else value.decode()) for name, value in sent.headers.items()]
        head = {"host": url.netloc, **dict(pairs)}
        raw = [(name.encode(), value.encode()) for name, value in head.items()]
        request = Request(sent.method, url.path or "/", url.query, raw, head)
        body = sent.body or b""
        request.body = body.encode() if isinstance(body, str) else body if isinstance(body, bytes) else body.read()
        answer = self._core.handle(request)
        settled = await answer if inspect.isawaitable(answer) else answer
        if isinstance(settled, Events):
            return settled.status, _headers(settled.headers), settled
        if isinstance(settled, Streamed):
            parts = settled.body if isinstance(settled.body, list) else [settled.body]
            data = b"".join(self._cloud.cloud.blobs.read(part.ref, part.offset, part.length) for part in parts)
            return settled.status, _headers(settled.headers), data
        status, headers, content = settled
        return status, _headers(headers), content


def _headers(pairs: list[tuple[bytes, bytes]]) -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in pairs}

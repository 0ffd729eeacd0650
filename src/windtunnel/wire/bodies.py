"""Bodies of requests: unwrapped, proven against what was signed and what they say of themselves, unpacked, or streamed into a blob.

Invariants: no byte of a body is used before hash, chunk signatures and checksums were found right; a packed body never grows past MAX_BODY.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Mapping
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING

from windtunnel.kernel.cloud import Body
from windtunnel.kernel.errors import AwsError
from windtunnel.wire.chunked import body_reader
from windtunnel.wire.protocols.base import serialization
from windtunnel.wire.request import Plan, Request
from windtunnel.wire.sigv4 import Verified, check_body

if TYPE_CHECKING:
    from windtunnel.wire.core import Core

MAX_BODY = 16 << 20
FLUSH = 1 << 20
"""How much of a streaming body is gathered before a thread hashes and writes it."""
_GZIP = 31  # zlib's window for the format with a header


def prove_body(request: Request, plan: Plan, verified: Verified | None) -> None:
    """The body is what was signed, and what its own checksums say; an aws-chunked one is unwrapped. verified: None for an anonymous request."""
    if verified is not None and verified.payload == "hash" and "x-amz-content-sha256" in request.head:
        check_body(verified, sha256(request.body).hexdigest())
    chunked = verified is not None and verified.payload not in ("hash", "unsigned")
    if (request.body or request.method == "PUT") and (chunked or plan.checksums != "none"):
        reader = body_reader(verified, claims(request.head, plan))
        request.body = reader.feed(request.body) + reader.finish()
        request.checksums = reader.checksums


def claims(head: Mapping[str, str], plan: Plan) -> Mapping[str, str]:
    """The headers that speak of this body. CompleteMultipartUpload's checksum is the object's, not its body's."""
    if plan.checksums == "all":
        return head
    return {name: value for name, value in head.items() if not name.startswith(("x-amz-checksum-", "x-amz-sdk-checksum-"))}


def is_packed(request: Request, plan: Plan) -> bool:
    """Whether the body comes compressed. An object's Content-Encoding is the object's own."""
    return request.head.get("content-encoding", "").strip().lower() == "gzip" and plan.streaming_input is None and bool(request.body)


def unpacked(data: bytes) -> bytes:
    """A gzip body as it was before. Raises AwsError."""
    out: list[bytes] = []
    size = 0
    while data:
        decoder = zlib.decompressobj(_GZIP)
        try:
            out.append(decoder.decompress(data, MAX_BODY + 1 - size))
        except zlib.error:
            serialization("The request body is not gzip.")
        size += len(out[-1])
        if size > MAX_BODY:
            raise AwsError("RequestEntityTooLargeException", f"The request body is larger than {MAX_BODY} bytes.", status=413)
        if not decoder.eof:
            serialization("The request body ends too early.")
        data = decoder.unused_data
    return b"".join(out)


class Stager:
    """Takes a body piece by piece into a blob, checking signature of chunks, hash and checksums on the way."""

    def __init__(self, core: Core, request: Request, plan: Plan, verified: Verified | None) -> None:
        self._core = core
        self._verified = verified
        self._reader = body_reader(verified, claims(request.head, plan))
        self._writer = core.blob_writer()
        self._digest = sha256() if verified is not None and verified.payload == "hash" else None
        self._pending: list[bytes] = []
        self._size = 0
        self._running: asyncio.Future[None] | None = None
        """What is hashed and written while more arrives."""

    async def write(self, data: bytes) -> None:
        self._pending.append(data)
        self._size += len(data)
        if self._size >= FLUSH:
            await self._settled()
            full, self._pending, self._size = self._pending, [], 0
            self._running = asyncio.ensure_future(self._core.in_thread(partial(self._flush, full)))

    async def _settled(self) -> None:
        """What was handed to a thread has been taken; its error is raised here."""
        running, self._running = self._running, None
        if running is not None:
            await running

    def _flush(self, pieces: list[bytes]) -> None:
        data = b"".join(pieces)
        if self._digest is not None:
            self._digest.update(data)
        self._writer.write(self._reader.feed(data))

    def _finish(self) -> Body:
        self._flush(self._pending)
        self._writer.write(self._reader.finish())
        if self._digest is not None and self._verified is not None:
            check_body(self._verified, self._digest.hexdigest())
        return Body(self._writer.finish(), tuple(self._reader.checksums))

    async def finish(self) -> Body:
        await self._settled()
        body: Body = await self._core.in_thread(self._finish)
        return body

    async def discard(self) -> None:
        if self._running is not None:
            await asyncio.wait([self._running])
            self._running.exception()
        await self._core.in_thread(self._writer.discard)

"""Answers that are streams of events: what a handler gave as an `EventStream`, sent as it comes.

Invariant: between two looks a stream holds neither a thread nor a transaction; a notification that comes while it looks is not lost; it ends when its
time is over, its client has left (whoever drives it closes it), or the cloud stops.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from typing import Any

from windtunnel.kernel.context import EventStream
from windtunnel.kernel.errors import AwsError
from windtunnel.wire.eventstream import CONTENT_TYPE
from windtunnel.wire.protocols.base import Header
from windtunnel.wire.protocols.events import EventEncoder

Look = Callable[[EventStream], Awaitable["Sequence[Mapping[str, Any]] | None"]]
"""Runs the stream's `follow` on a snapshot."""
WaitFor = Callable[[str, float], Awaitable[bool]]
_STOPPING = 0.05  # a wait that ends this much before its time, without a notification, says that the cloud stops


class Events:
    """Status and headers now, messages as they come."""

    __slots__ = ("status", "headers", "_encoder", "_stream", "_rest", "_look", "_wait")

    def __init__(
        self,
        status: int,
        headers: list[Header],
        encoder: EventEncoder,
        stream: EventStream,
        rest: Mapping[str, Any],
        look: Look,
        wait: WaitFor,
    ) -> None:
        """rest: the output's other members."""
        self.status = status
        self.headers = [
            *(pair for pair in headers if pair[0] not in (b"content-type", b"content-length")),
            (b"content-type", CONTENT_TYPE.encode()),
        ]
        self._encoder = encoder
        self._stream = stream
        self._rest = rest
        self._look = look
        self._wait = wait

    async def messages(self) -> AsyncGenerator[bytes, None]:
        """The body, in pieces."""
        encoder, stream = self._encoder, self._stream
        first = [encoder.initial(self._rest)] if encoder.initial is not None else []
        yield b"".join([*first, *map(encoder.event, stream.events)])
        loop = asyncio.get_running_loop()
        ends = loop.time() + stream.lasts
        while (left := ends - loop.time()) > 0:
            pause, began = min(stream.every, left), loop.time()
            waiting = asyncio.ensure_future(self._wait(stream.signal, pause))
            try:
                await asyncio.sleep(0)  # it registers before the look
                try:
                    found = await self._look(stream)
                except AwsError as error:
                    yield encoder.error(error)
                    return
                if found is None:
                    return
                if found:
                    yield b"".join(map(encoder.event, found))
                if not await waiting and loop.time() - began < pause - _STOPPING:
                    return
            finally:
                waiting.cancel()
        if stream.ending is not None:
            yield encoder.event(stream.ending)

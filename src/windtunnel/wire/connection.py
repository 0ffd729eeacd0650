"""One HTTP connection: uvicorn's protocol, with limits that hold while a request is still being read.

Invariants: a head is refused at the first header past a limit and never collected beyond it; a connection that says nothing, or says it too slowly,
ends; when there are too many connections those go that wait for nothing; a client that does not read its answer is left.
"""

from __future__ import annotations

import asyncio
import time
from email.utils import formatdate
from functools import lru_cache
from typing import Any

from uvicorn.protocols.http.httptools_impl import HEADER_RE, STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from windtunnel.wire.limits import MAX_HEADER_BYTES, MAX_HEADERS, MAX_TARGET, Patience

_REASONS = {
    400: b"Bad Request",
    408: b"Request Timeout",
    414: b"URI Too Long",
    431: b"Request Header Fields Too Large",
}
_EVICTED = 64
"""How many idle connections go at once when there are too many."""
PATIENCE = Patience()


@lru_cache(maxsize=2)
def _date_header(now: int) -> list[tuple[bytes, bytes]]:
    return [(b"date", formatdate(now, usegmt=True).encode())]


_CONTROLS = bytes({*range(0x20), 0x7F} - {0x09})
_TOGETHER = 64 * 1024
"""Up to here a body goes out in one piece with its head."""


@lru_cache(maxsize=4096)
def _header_name(name: bytes) -> bytes | None:
    """As it is written, or None when no header may have that name."""
    return None if HEADER_RE.search(name) else name.lower() + b": "


def answer_whole(cycle: RequestResponseCycle, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> bool:
    """Write an answer whose body is known in one go, which is what nearly all answers are; False when uvicorn has to send it, step by step:
    to a client that does not read, with headers that say how the connection goes on, or with some that may not be sent at all."""
    if cycle.response_started or cycle.flow.write_paused:
        return False
    if cycle.disconnected:
        return True
    without_body = cycle.scope["method"] == "HEAD" or status in (204, 304)
    lines, count, length = [STATUS_LINE[status]], 2, None
    for name, value in (*cycle.default_headers, *headers):
        if name == b"content-length":
            length = value
        elif name in (b"connection", b"transfer-encoding"):
            return False
        written = _header_name(name)
        if written is None:
            return False
        lines += (written, value, b"\r\n")
        count += 1
    if length is None:
        if not without_body:
            lines.append(b"content-length: %d\r\n" % len(body))
            count += 1
    elif not without_body and length != b"%d" % len(body):
        return False
    if not cycle.keep_alive:
        lines.append(b"connection: close\r\n")
        count += 1
    lines.append(b"\r\n")
    head = b"".join(lines)
    # Every line ends in CR LF, and nothing else in a head is a control character.
    if len(head) - len(head.translate(None, _CONTROLS)) != 2 * count:
        return False
    cycle.response_started = cycle.response_complete = True
    cycle.waiting_for_100_continue = False
    if without_body or not body:
        cycle.transport.write(head)
    elif len(body) <= _TOGETHER:
        cycle.transport.write(head + body)
    else:
        cycle.transport.write(head)
        cycle.transport.write(body)
    cycle.message_event.set()
    if not cycle.keep_alive:
        cycle.transport.close()
    cycle.on_response()
    return True


def answer_at_once(send: Any, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> bool:
    """`answer_whole` for whose `send` this is; False for anybody's who has put one of their own in between, for they want to see the answer.

    It stands in every scope, and so must hold on to nothing: a request that refers to itself is left to the garbage collector, whose
    turns then stop the loop for 50 ms (measured).
    """
    cycle = getattr(send, "__self__", None)
    return isinstance(cycle, RequestResponseCycle) and answer_whole(cycle, status, headers, body)


class Connection(HttpToolsProtocol):
    """limit: how many connections the server keeps."""

    def __init__(self, *args: Any, limit: int, patience: Patience = PATIENCE, **options: Any) -> None:
        super().__init__(*args, **options)
        self._limit = limit
        self._patience = patience
        self._status = 400
        self._head_bytes = 0
        self._in_head = False
        self._head_timer: asyncio.TimerHandle | None = None
        self._unread_timer: asyncio.TimerHandle | None = None
        self._body_timer: asyncio.TimerHandle | None = None
        self._body_of: Any = None
        self._body_began = 0.0
        self._body_bytes = 0
        self._body_last = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)  # type: ignore[arg-type]
        if len(self.connections) > self._limit:
            self._make_room()
        self._head_timer = self.loop.call_later(self._patience.head, self._head_is_late)

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel_head_timer()
        for timer in (self._unread_timer, self._body_timer):
            if timer is not None:
                timer.cancel()
        self._unset_keepalive_if_required()
        super().connection_lost(exc)

    def _make_room(self) -> None:
        """Ends connections that wait for nothing; this one when all are busy."""
        idle = []
        for other in self.connections:
            if isinstance(other, Connection) and other is not self and other.is_idle:
                idle.append(other)
                if len(idle) == _EVICTED:
                    break
        for other in idle or [self]:
            other.transport.close()

    @property
    def is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    # -- reading --------------------------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        cycle = self.cycle
        if cycle is not None and not self._in_head and (cycle.more_body or not cycle.response_complete):
            if cycle.more_body:  # also when it is refused already
                self._note_body(cycle, len(data))
        elif self._head_timer is None and self.timeout_keep_alive_task is None:
            self._head_timer = self.loop.call_later(self._patience.head, self._head_is_late)

    def _note_body(self, cycle: Any, size: int) -> None:
        if cycle is not self._body_of:
            self._body_of, self._body_began, self._body_bytes, self._body_last = cycle, self.loop.time(), 0, -1
            if self._body_timer is None:
                self._body_timer = self.loop.call_later(self._patience.body, self._is_the_body_coming)
        self._body_bytes += size

    def _is_the_body_coming(self) -> None:
        """Looks now and then at a body that is not whole: is anything coming, and soon enough?"""
        self._body_timer = None
        cycle, patience = self._body_of, self._patience
        if cycle is not self.cycle or not cycle.more_body or self.transport.is_closing():
            self._body_of = None
            return
        seconds = self.loop.time() - self._body_began
        if seconds >= patience.body and not self.flow.read_paused:
            if self._body_bytes == self._body_last or self._body_bytes < (seconds - patience.body * 0.9) * patience.rate:
                cycle.disconnected = True
                cycle.message_event.set()
                self.transport.close()
                return
            self._body_last = self._body_bytes
        self._body_timer = self.loop.call_later(patience.body, self._is_the_body_coming)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head, self._head_bytes = True, 0

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        if len(self.url) > MAX_TARGET:
            self._refuse(414)

    def on_header(self, name: bytes, value: bytes) -> None:
        headers = self.headers
        self._head_bytes += len(name) + len(value)
        if len(headers) >= MAX_HEADERS or self._head_bytes > MAX_HEADER_BYTES:
            self._refuse(431)
        if self._in_head:  # what comes after a body's last chunk is no header: the request was judged without it
            name = name.lower()
            if name == b"expect" and value.lower() == b"100-continue":
                self.expect_100_continue = True
            headers.append((name, value))

    def _refuse(self, status: int) -> None:
        self._status = status
        raise ValueError(_REASONS[status])  # ends the parsing; answered by send_400_response

    def on_headers_complete(self) -> None:
        self._in_head = False
        if self._head_timer is not None:
            self._cancel_head_timer()
        # Clients whose clock is wrong set it right by this header.
        self.server_state.default_headers = _date_header(int(time.time()))
        super().on_headers_complete()
        self.scope["windtunnel.answer"] = answer_at_once  # type: ignore[typeddict-unknown-key]

    def _cancel_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_is_late(self) -> None:
        self._head_timer = None
        if self.transport.is_closing():
            return
        if not self.is_idle:  # the next request of a pipeline; the answer before it comes first
            self._head_timer = self.loop.call_later(self._patience.head, self._head_is_late)
        elif self._in_head:
            self._status = 408
            self.send_400_response("")
        else:
            self.transport.close()

    def send_400_response(self, msg: str) -> None:
        """The answer to what is no request, or too much of one; nothing is read from this connection any more."""
        if self.transport.is_closing():
            return
        if not self.is_idle:
            if not self.cycle.more_body:  # the answer to a request before it is under way: let that end, and the connection with it
                self.cycle.keep_alive = False
                self.flow.pause_reading()
                return
            self.cycle.disconnected = True
            self.cycle.message_event.set()
            if self.cycle.response_started:
                self.transport.close()
                return
        reason = _REASONS.get(self._status, b"Bad Request")
        self.transport.write(b"HTTP/1.1 %d %b\r\ncontent-length: 0\r\nconnection: close\r\n\r\n" % (self._status, reason))
        self.transport.close()

    # -- writing --------------------------------------------------------------------------------------------------------

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._unread_timer is None:
            self._unread_timer = self.loop.call_later(self._patience.unread, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._unread_timer is not None:
            self._unread_timer.cancel()
            self._unread_timer = None

"""How the server and its helpers talk: frames of msgpack over a socket, each with its length before it.

Invariant: either a whole frame arrives or an OSError is raised; half of one is never read as something.
"""

from __future__ import annotations

import socket
import time
from typing import Any

import msgspec

_LENGTH = 4
_pack, _unpack = msgspec.msgpack.Encoder().encode, msgspec.msgpack.Decoder().decode


def send(sock: socket.socket, message: Any) -> None:
    """Raises OSError (TimeoutError at the socket's own limit), and what msgpack says of values that it does not know."""
    body = _pack(message)
    sock.sendall(len(body).to_bytes(_LENGTH, "big") + body)


def receive(sock: socket.socket, deadline: float | None = None) -> Any:
    """The next message. deadline: of the monotonic clock. Raises TimeoutError, and EOFError when the other side is gone."""
    return _unpack(_exactly(sock, int.from_bytes(_exactly(sock, _LENGTH, deadline), "big"), deadline))


def _exactly(sock: socket.socket, count: int, deadline: float | None) -> bytearray:
    got = bytearray(count)
    view, have = memoryview(got), 0
    while have < count:
        if deadline is not None:
            sock.settimeout(max(0.001, deadline - time.monotonic()))
        more = sock.recv_into(view[have:])
        if not more:
            raise EOFError("the other side is gone")
        have += more
    return got

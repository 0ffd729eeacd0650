"""Messages between cloud and supervisor: one JSON object each, file descriptors with it, over a SOCK_SEQPACKET socket.

Invariant: a received descriptor is closed on exec from the moment it exists. A listener that leaked into another sandbox's supervisor
would keep its own, dead sandbox's network alive. (`socket.recv_fds` of Python 3.11 drops its flags, hence by hand.)
"""

from __future__ import annotations

import json
import socket
import struct

TYPE_CHECKING = False  # not from typing: importing it would cost each sandbox 3 ms and half a megabyte
if TYPE_CHECKING:
    from typing import Any

_LARGEST = 64 << 10
_MOST_FDS = 8


def send(connection: socket.socket, message: dict[str, Any], fds: list[int]) -> None:
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack(f"{len(fds)}i", *fds))] if fds else []
    connection.sendmsg([json.dumps(message).encode()], rights)


def receive(connection: socket.socket) -> tuple[dict[str, Any] | None, list[int]]:
    """None at the end of the connection."""
    data, ancillary, _, _ = connection.recvmsg(_LARGEST, socket.CMSG_SPACE(_MOST_FDS * 4), socket.MSG_CMSG_CLOEXEC)
    packed = b"".join(content for level, kind, content in ancillary if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS))
    return json.loads(data) if data else None, [fd for (fd,) in struct.iter_unpack("i", packed)]

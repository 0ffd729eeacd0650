"""What a client may send, and how slowly. AWS's own limits are near these: 10 s to 20 s for a head, 8 to 16 KiB of headers and target."""

from __future__ import annotations

from typing import NamedTuple

MAX_HEADERS = 128
MAX_HEADER_BYTES = 64 * 1024
MAX_TARGET = 16 * 1024
KEEP_ALIVE_SECONDS = 75
RESERVED_FILES = 512
"""File descriptors that are not for connections: the store, blobs, sandboxes, helpers."""
MAX_CONNECTIONS = 20_000
IDLE_SECONDS = 60.0


class Patience(NamedTuple):
    """How long a connection may make us wait, in seconds.

    head: from a request's first byte to the end of its head, and for the first byte of a new connection. body: without a byte of a body that is not
    whole; after that long a body must also have come with `rate` bytes a second. unread: without reading any of an answer.
    """

    head: float = 20.0
    body: float = IDLE_SECONDS + 5.0  # the edge says so first, in the service's words
    rate: float = 1024.0
    unread: float = 120.0

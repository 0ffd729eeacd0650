"""The link-local addresses inside a sandbox: instance metadata (169.254.169.254) and container credentials (169.254.170.2).

Invariant: who asks is known by the listener that took the connection, never by anything that the request says.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

from windtunnel.gateways import container_credentials
from windtunnel.kernel.errors import AwsError

log = logging.getLogger("windtunnel.metadata")
Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Answer = tuple[int, dict[str, str], bytes]


def matches(scope: Scope) -> bool:
    return (scope.get("state") or {}).get("listener") == "metadata"


class MetadataGateway:
    """The ASGI application of every sandbox's metadata listener. instances: the part that answers for EC2."""

    def __init__(self, backend: Any, instances: Callable[[str, str, str, dict[str, str]], Awaitable[Answer | None]]) -> None:
        self._backend = backend
        self._instances = instances

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        sandbox, path = scope["state"]["sandbox"], scope["raw_path"].decode("latin-1")
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        try:
            with self._backend.snapshot("", "") as tx:
                found = container_credentials.answer(tx, sandbox, scope["method"], path, headers)
            if found is None:
                found = await self._instances(sandbox, scope["method"], path, headers)
        except AwsError as error:
            log.warning("metadata of %s: %s", sandbox, error)
            found = 500, {"Content-Type": "text/plain"}, b"Internal Server Error"
        status, answered, body = found or (404, {"Content-Type": "text/plain"}, b"Not Found")
        raw = [(name.lower().encode(), value.encode()) for name, value in answered.items()]
        raw += [(b"content-length", b"%d" % len(body)), (b"server", b"EC2ws")]
        await send({"type": "http.response.start", "status": status, "headers": raw})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

"""`/SimpleNotificationService-ID.pem`: the certificate with which the signature of an SNS message is verified.

Invariant: answered without a signature, to whoever has the URL from a message, and nothing else is.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any

from windtunnel.kernel.records import Tx

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
_PATH = re.compile(r"/SimpleNotificationService-([0-9a-f]{32})\.pem\Z")


def matches(scope: Scope) -> bool:
    return scope["path"].startswith("/SimpleNotificationService-") and _PATH.match(scope["path"]) is not None


class SnsCertificates:
    """The ASGI application behind `matches`."""

    def __init__(self, backend: Any, certificate: Callable[[Tx, str], str | None]) -> None:
        self._backend = backend
        self._certificate = certificate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = _PATH.match(scope["path"])
        with self._backend.snapshot("", "") as tx:
            text = self._certificate(tx, found[1]) if found is not None and scope["method"] in ("GET", "HEAD") else None
        body = (text or "").encode()
        headers = [(b"content-type", b"application/x-x509-ca-cert"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200 if text else 404, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

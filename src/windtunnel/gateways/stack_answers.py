"""The addresses to which custom resources and wait conditions answer: a PUT of a small JSON document, as to a presigned S3 URL.

Invariant: whoever has the address may answer, and nobody else: it carries a signature over itself. It asks for no other credentials, as on AWS.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
PREFIXES = ("/cloudformation-waitcondition-", "/cloudformation-custom-resource-response-")
MOST = 64 * 1024


def matches(scope: Scope) -> bool:
    return scope["path"].startswith(PREFIXES) and b"Signature=" in scope["query_string"]


class StackAnswers:
    """The ASGI application behind `matches`. take: (path, query, body) -> (status, XML error or b"")."""

    def __init__(self, take: Callable[[str, str, bytes], Awaitable[tuple[int, bytes]]]) -> None:
        self._take = take

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] != "PUT":
            status, answer = 403, b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
        else:
            status, answer = await self._put(scope, receive)
        headers = [(b"content-type", b"application/xml"), (b"content-length", b"%d" % len(answer))]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    async def _put(self, scope: Scope, receive: Receive) -> tuple[int, bytes]:
        body = b""
        while True:
            message = await receive()
            if message["type"] != "http.request":
                return 400, b""
            body += message.get("body", b"")
            if len(body) > MOST:
                return (
                    400,
                    b"<Error><Code>EntityTooLarge</Code><Message>Your proposed upload exceeds the maximum allowed size</Message></Error>",
                )
            if not message.get("more_body"):
                return await self._take(scope["raw_path"].decode("latin-1"), scope["query_string"].decode("latin-1"), body)

"""What browsers do with S3 beside its API: preflights, upload forms, answers that a page of another origin may read, and websites.

Invariants: nothing is done here that the caller (anonymous, or who signed the form) could not do by the API, for everything goes through
S3's own operations; CORS rules only say which answers a page may read, they permit nothing.
"""

from __future__ import annotations

import asyncio
import html
import logging
import re
from collections.abc import Awaitable, Callable, Iterable
from functools import cache, partial
from typing import Any
from urllib.parse import quote, unquote

from windtunnel.gateways.s3_post import FormUpload
from windtunnel.kernel.cloud import BlobRange, DamagedBlob
from windtunnel.kernel.context import Context, RequestInfo
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.principal import Principal
from windtunnel.kernel.scope import Scope as Where
from windtunnel.wire.hosts import bucket_of_host
from windtunnel.wire.models import load_service
from windtunnel.wire.origins import is_foreign
from windtunnel.wire.protocols import compile_error_encoder
from windtunnel.wire.protocols.base import ErrorEncoder
from windtunnel.wire.protocols.timestamps import render

log = logging.getLogger("windtunnel.s3")
Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Edge = Callable[[Scope, Receive, Send], Awaitable[None]]
_SITE = re.compile(r"(?P<bucket>.+)\.s3-website(?:[.-](?:[a-z]{2}(?:-[a-z]+)+-\d))?\.[a-z0-9.-]+(?::\d+)?\Z")
_PASSED = "windtunnel.cors"
CHUNK = 1 << 20
_SHOWN = (
    ("ContentType", b"content-type"),
    ("CacheControl", b"cache-control"),
    ("ContentDisposition", b"content-disposition"),
    ("ContentEncoding", b"content-encoding"),
    ("ContentLanguage", b"content-language"),
    ("ETag", b"etag"),
    ("ContentRange", b"content-range"),
)


def _head(scope: Scope) -> dict[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}


def matches(scope: Scope) -> bool:
    """Whether this may be a browser's: by its Origin, its form, or a website's host. Every request passes here; the edge has read its headers."""
    head: dict[str, str] = scope["windtunnel.head"]
    if "origin" in head:
        return _PASSED not in scope
    if ".s3-website" in head.get("host", ""):
        return True
    form = scope["method"] == "POST" and head.get("content-type", "")[:19].lower() == "multipart/form-data"
    return form and _PASSED not in scope


@cache
def _error_encoder() -> ErrorEncoder:
    """Made when the first error is: the model is heavy, and most clouds never need it here."""
    return compile_error_encoder(load_service("s3"), "rest-xml")


class BrowserGateway:
    """The ASGI application behind `matches`. answers: services/s3/answering.py; edge: where other requests go on (set once it exists)."""

    def __init__(self, cloud: Any, backend: Any, answers: Any) -> None:
        self._cloud = cloud
        self._backend = backend
        self._answers = answers
        self.edge: Edge | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        head = _head(scope)
        site = _SITE.match(head.get("host", "").lower())
        if site is not None:
            await self._website(site["bucket"], scope, head, send)
            return
        path = scope["raw_path"].decode("latin-1").partition("?")[0]
        hosted = bucket_of_host(head.get("host", ""))
        bucket = hosted or unquote(path.removeprefix("/").partition("/")[0])
        send = self._with_cors(bucket, scope["method"], head, send)
        try:
            if scope["method"] == "OPTIONS" and "origin" in head:
                await _reply(send, 200, self._preflight(bucket, head), b"")
                return
            form = head.get("content-type", "").lower().startswith("multipart/form-data")
            alone = path in ("", "/") if hosted else path.strip("/") == quote(bucket, safe="-._~") and bucket != ""
            if scope["method"] == "POST" and form and alone and "authorization" not in head:
                status, headers, body = await self._form(bucket, scope, head, receive)
                await _reply(send, status, headers, body)
                return
        except AwsError as error:
            status, headers, body = _error_encoder()(error, self._cloud.ids.uuid(), False)
            await _reply(send, status, [*headers, (b"connection", b"close")], body)
            return
        assert self.edge is not None
        await self.edge({**scope, _PASSED: True}, receive, send)

    # -- other origins --------------------------------------------------------------------------------------------------

    def _with_cors(self, bucket: str, method: str, head: dict[str, str], send: Send) -> Send:
        """Adds what the bucket's rules say to the answer; at a preflight they are looked at with what it asks for."""
        origin = head.get("origin")
        if origin is None or method == "OPTIONS" or not bucket or not is_foreign(head):
            return send
        with self._backend.snapshot("", "") as tx:
            found = self._answers.cors(tx, bucket, origin, method)
        if found is None:
            return send
        added = [(name.encode(), value.encode("latin-1", "replace")) for name, value in found]

        async def adding(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], *added]}
            await send(message)

        return adding

    def _preflight(self, bucket: str, head: dict[str, str]) -> list[tuple[bytes, bytes]]:
        method = head.get("access-control-request-method")
        if method is None:
            raise AwsError("BadRequest", "Insufficient information. Origin request header needed.", status=400)
        asked = [name.strip() for name in head.get("access-control-request-headers", "").split(",") if name.strip()]
        with self._backend.snapshot("", "") as tx:
            configured = self._answers.configured(tx, bucket)
            found = self._answers.cors(tx, bucket, head["origin"], method, asked)
        if found is None:
            words = (
                "This CORS request is not allowed. This is usually because the evalution of Origin, request method /"
                " Access-Control-Request-Method or Access-Control-Request-Headers are not whitelisted by the resource's CORS spec."
                if configured
                else "CORSResponse: CORS is not enabled for this bucket."
            )
            raise AwsError("AccessForbidden", words, status=403, extra={"Method": method, "ResourceType": "BUCKET"})
        return [(name.encode(), value.encode("latin-1", "replace")) for name, value in found]

    # -- forms ----------------------------------------------------------------------------------------------------------

    async def _form(
        self, bucket: str, scope: Scope, head: dict[str, str], receive: Receive
    ) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        upload = FormUpload(self._cloud, self._backend, bucket, head["content-type"], self._info(scope, head), foreign=is_foreign(head))
        try:
            await upload.take(receive)
            return await upload.store()
        finally:
            await upload.discard()

    def _info(self, scope: Scope, head: dict[str, str]) -> RequestInfo:
        client = scope.get("client")
        return RequestInfo(
            self._cloud.ids.uuid(),
            client[0] if client else "127.0.0.1",
            head.get("user-agent", ""),
            scope["scheme"] == "https",
            head.get("host", ""),
        )

    # -- websites -------------------------------------------------------------------------------------------------------

    async def _website(self, bucket: str, scope: Scope, head: dict[str, str], send: Send) -> None:
        key = unquote(scope["raw_path"].decode("latin-1").partition("?")[0].removeprefix("/"))
        if scope["method"] not in ("GET", "HEAD"):
            refusal = AwsError("MethodNotAllowed", "The specified method is not allowed against this resource.", status=405)
            await _reply(send, 405, [_HTML], _page(refusal, 405))
            return
        info = self._info(scope, head)
        with self._backend.snapshot("", "") as tx:
            try:
                site = self._answers.site(tx, bucket)
                answer = self._visited(site, bucket, key, head, tx, info)
            except AwsError as error:
                answer = (404, [_HTML], _page(error, 404))
        status, headers, body = answer
        if isinstance(body, bytes):
            await _reply(send, status, headers, b"" if scope["method"] == "HEAD" else body)
            return
        await self._stream(send, status, headers, body, scope["method"] == "HEAD")

    def _visited(self, site: Any, bucket: str, key: str, head: dict[str, str], tx: Any, info: RequestInfo) -> Any:
        host = head.get("host", "")
        before = self._answers.redirect(site, key, None, host)
        if before is not None:
            return _redirect(*before)
        ctx = Context(
            tx.within(site.account, site.region), Where(site.account, site.region), Principal.anonymous(), self._cloud, request=info
        )
        wanted = f"{key}{site.suffix}" if key == "" or key.endswith("/") else key
        conditions = {name: head[header] for header, name in (("range", "range"), ("if-none-match", "if_none_match")) if header in head}
        try:
            return _found(ctx.call("s3", "GetObject", bucket=bucket, key=wanted, **conditions), 200)
        except AwsError as error:
            failure = error
        if failure.status == 304:
            return 304, [], b""
        status = 404 if failure.code in ("NoSuchKey", "NoSuchBucket") else failure.status or 403
        if wanted == key and self._there(ctx, bucket, f"{key}/{site.suffix}"):
            return _redirect(302, f"/{quote(key)}/")
        after = self._answers.redirect(site, key, status, host)
        if after is not None:
            return _redirect(*after)
        if site.error_key:
            try:
                return _found(ctx.call("s3", "GetObject", bucket=bucket, key=site.error_key), status)
            except AwsError as error:
                log.info("website %s: its error document: %s", bucket, error)
        return status, [_HTML], _page(failure, status)

    def _there(self, ctx: Context, bucket: str, key: str) -> bool:
        try:
            ctx.call("s3", "HeadObject", bucket=bucket, key=key)
        except AwsError:
            return False
        return True

    async def _stream(self, send: Send, status: int, headers: list[tuple[bytes, bytes]], parts: list[BlobRange], head: bool) -> None:
        await send({"type": "http.response.start", "status": status, "headers": headers})
        loop = asyncio.get_running_loop()
        for part in () if head else parts:
            reader = await loop.run_in_executor(None, partial(self._cloud.blobs.reader, part.ref))
            try:
                for at in range(part.offset, part.offset + part.length, CHUNK):
                    size = min(CHUNK, part.offset + part.length - at)
                    data = await loop.run_in_executor(None, partial(reader.read, at, size))
                    await send({"type": "http.response.body", "body": data, "more_body": True})
            except DamagedBlob as error:
                log.error("a website's object is damaged: %s", error)
                raise ConnectionError("the stored object is damaged") from None
            finally:
                reader.close()
        await send({"type": "http.response.body", "body": b""})


_HTML = (b"content-type", b"text/html; charset=utf-8")


def _page(error: AwsError, status: int) -> bytes:
    said = f"<li>Code: {html.escape(error.code)}</li><li>Message: {html.escape(error.message)}</li>"
    return f"<html><head><title>{status}</title></head><body><h1>{status}</h1><ul>{said}</ul></body></html>".encode()


def _redirect(status: int, location: str) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    return status, [(b"location", quote(location, safe="/:?#[]@!$&'()*+,;=%~").encode())], b""


def _found(reply: dict[str, Any], status: int) -> Any:
    """An object as a page; one that redirects does."""
    if reply.get("WebsiteRedirectLocation"):
        return _redirect(301, reply["WebsiteRedirectLocation"])
    body = reply["Body"]
    headers = [(name, str(reply[member]).encode("latin-1", "replace")) for member, name in _SHOWN if member in reply]
    headers.append((b"last-modified", render(reply["LastModified"], "rfc822").encode()))
    headers.append((b"content-length", b"%d" % reply["ContentLength"]))
    return 206 if "ContentRange" in reply and status == 200 else status, headers, body if isinstance(body, list) else [body]


async def _reply(send: Send, status: int, headers: Iterable[tuple[bytes, bytes]], body: bytes) -> None:
    sized = [*((name, value) for name, value in headers if name != b"content-length"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": sized})
    await send({"type": "http.response.body", "body": body})

"""Calls of any operation over the wire's core: botocore's serialiser and signer make the request, which a test may spoil in between.

boto3's conveniences (checking, default tokens, S3's host names) are left out: what the test gives is what is sent.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import re
import time
from base64 import b64encode
from collections.abc import Callable
from functools import cache
from hashlib import md5
from typing import Any, NamedTuple
from urllib.parse import urlencode

from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.loaders import Loader
from botocore.model import OperationModel, ServiceModel
from botocore.serialize import create_serializer
from botocore.utils import percent_encode_sequence

from harness import REGION, InProcessCloud
from windtunnel.kernel.records import Tx
from windtunnel.server import LoopBackend
from windtunnel.services.iam.model import RootKey
from windtunnel.wire.core import Core, Request, Streamed
from windtunnel.wire.models import OWN_MODELS, load_metadata
from windtunnel.wire.streaming import Events

Keys = tuple[str, str, str]
ROOT: Keys = ("AKIAROOTROOTROOTROOT", "root/secret", "")
_CODE = re.compile(rb"<Code>([^<]*)</Code>")
_MESSAGE = re.compile(rb"<Message>(.*?)</Message>", re.DOTALL)


class Sent(NamedTuple):
    """A request before it is signed. target: path and query as they stand on the request line."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


class Reply(NamedTuple):
    status: int
    code: str
    message: str
    seconds: float
    """From the request's arrival to its answer."""


@cache
def botocore_model(service: str) -> ServiceModel:
    own = OWN_MODELS / f"{service}.json"
    document = json.loads(own.read_text()) if own.is_file() else Loader().load_service_model(service, "service-2")
    return ServiceModel(document, service)


@cache
def operation_model(service: str, operation: str) -> OperationModel:
    return botocore_model(service).operation_model(operation)


@cache
def _serializer(service: str) -> Any:
    return create_serializer(botocore_model(service).resolved_protocol, include_validation=False)


def serialise(service: str, operation: str, members: dict[str, Any]) -> Sent:
    """The request as botocore writes it."""
    made = _serializer(service).serialize_to_request(members, operation_model(service, operation))
    body = made["body"]
    if isinstance(body, dict):
        body = urlencode(body)
    data = body.encode() if isinstance(body, str) else bytes(body or b"")
    path, query = made["url_path"], made.get("query_string") or {}
    if query and not isinstance(query, str):
        query = percent_encode_sequence(query)
    target = f"{path}{'&' if '?' in path else '?'}{query}" if query else path
    return Sent(made["method"], target, {name: str(value) for name, value in made["headers"].items()}, data)


class _Undone(Exception):
    """Carries a write's result out of the transaction that it ends."""

    def __init__(self, result: Any) -> None:
        super().__init__("undone")
        self.result = result


class Undoing(LoopBackend):
    """A backend whose successful writes are undone after they have run, so that a call changes nothing for the next one.

    A write that fails goes the real way: what it leaves behind, if anything, stays.
    """

    def submit(self, work: Callable[[Tx], Any]) -> Any:
        def run_and_undo(tx: Tx) -> Any:
            raise _Undone(work(tx))

        return self._settled(super().submit(run_and_undo))

    async def _settled(self, future: asyncio.Future[Any]) -> Any:
        try:
            return await future
        except _Undone as undone:
            return undone.result


class Wire:
    """The core of one cloud, and what a client is to it. Nothing that succeeds is kept (see `Undoing`)."""

    def __init__(self, cloud: InProcessCloud) -> None:
        self._cloud = cloud
        self._core: Core = cloud.on_loop(lambda: Core(Undoing(cloud.cloud), strict=True))
        cloud.write(lambda ctx: ctx.tx.put(RootKey(access_key=ROOT[0], secret=ROOT[1], account=ctx.scope.account)))

    def call(self, service: str, operation: str, members: dict[str, Any], keys: Keys = ROOT) -> Reply:
        return self.send(service, serialise(service, operation, members), keys)

    def send(self, service: str, sent: Sent, keys: Keys = ROOT, spoil: Callable[[Request], None] | None = None) -> Reply:
        """Sign, send, and read the error if it is one. spoil: what happens to the signed request on its way."""
        request = self._signed(service, sent, keys)
        if spoil is not None:
            spoil(request)
        started = time.monotonic()
        status, kind, body = asyncio.run_coroutine_threadsafe(self._answer(request), self._cloud.loop).result(60)
        seconds = time.monotonic() - started
        code, message = _error(status, kind, body) if status >= 300 else ("", "")
        return Reply(status, code, message, seconds)

    def _signed(self, service: str, sent: Sent, keys: Keys) -> Request:
        url = self._cloud.cloud.endpoint + sent.target
        made = AWSRequest(method=sent.method, url=url, headers=sent.headers, data=sent.body)
        made.headers["Host"] = self._cloud.cloud.endpoint.partition("//")[2]
        made.context.update(client_config=None, payload_signing_enabled=True)
        if service == "s3" and sent.body:
            made.headers["Content-MD5"] = b64encode(md5(sent.body).digest()).decode()
        signer = S3SigV4Auth if service == "s3" else SigV4Auth
        signer(Credentials(keys[0], keys[1], keys[2] or None), load_metadata(service).signing_name, REGION).add_auth(made)
        pairs = [(name.lower(), str(value)) for name, value in made.headers.items()]
        path, _, query = sent.target.partition("?")
        raw = [(name.encode("latin-1", "replace"), value.encode("utf-8", "replace")) for name, value in pairs]
        request = Request(sent.method, path or "/", query, raw, dict(pairs))
        request.body = sent.body
        return request

    async def _answer(self, request: Request) -> tuple[int, str, bytes]:
        """(status, the kind of error that a header names, body)"""
        answer = self._core.handle(request)
        settled = await answer if inspect.isawaitable(answer) else answer
        if isinstance(settled, Streamed | Events):
            return settled.status, "", b""
        return settled[0], dict(settled[1]).get(b"x-amzn-errortype", b"").decode(), settled[2]


def _error(status: int, kind: str, body: bytes) -> tuple[str, str]:
    if body.startswith(b"{"):
        said = json.loads(body)
        return (said.get("__type") or kind).rpartition("#")[2], said.get("message") or said.get("Message") or ""
    code, message = _CODE.search(body), _MESSAGE.search(body)
    return (code[1].decode() if code else str(status)), (message[1].decode() if message else "")

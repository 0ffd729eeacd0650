"""A thousand requests a service that are nearly right: bytes turned, pieces lost, repeated or taken from another request, signed or not.

Whatever comes: AWS's error or an answer, soon, and no 500. What happens to be good is run and undone (see wire_calls.Undoing), so the store is as before.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote_from_bytes

import pytest
from botocore.exceptions import BotoCoreError
from samples import Samples
from seeded import seeded_cloud, store_hash
from wire_calls import Sent, Wire, serialise

from harness import InProcessCloud
from windtunnel.app import load_services
from windtunnel.kernel.registry import OPERATIONS
from windtunnel.wire.core import Request
from windtunnel.wire.models import load_service

load_services()
SERVICES = sorted({service for service, _ in OPERATIONS})
SOON = 2.0
JUNK = [
    b"",
    b"\0",
    b"\xff\xfe",
    b"%",
    b"%zz",
    b"{",
    b"}",
    b"[",
    b'"',
    b"<",
    b"&",
    b"=",
    b"\r\n",
    b"\xe2\x80\xae",
    b"9" * 400,
    b"a" * 5000,
    b"null",
    b"-1",
]
HEADERS = [
    "content-type",
    "x-amz-target",
    "x-amz-content-sha256",
    "x-amz-decoded-content-length",
    "x-amz-trailer",
    "x-amz-checksum-crc32",
    "x-amz-sdk-checksum-algorithm",
    "x-amz-copy-source",
    "x-amz-acl",
    "x-amz-tagging",
    "x-amz-meta-a",
    "content-md5",
    "content-encoding",
    "range",
    "if-match",
    "if-modified-since",
    "expires",
    "smithy-protocol",
    "accept",
    "origin",
]
VALUES = [
    "",
    " ",
    "x",
    "-1",
    "9" * 50,
    "a,b",
    "é",
    "AWS4-HMAC-SHA256",
    "aws-chunked",
    "gzip",
    "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
    "bytes=5-1",
    "0" * 64,
    "rpc-v2-cbor",
]
METHODS = ["GET", "POST", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS", "TRACE", "X"]


class Mutations:
    """Makes nearly right requests of one service."""

    def __init__(self, service: str, rng: random.Random) -> None:
        self.service = service
        self.rng = rng
        self.model = load_service(service)
        self.samples = Samples(self.model)
        self.names = sorted(name for owner, name in OPERATIONS if owner == service)
        self._whole: dict[str, Sent] = {}

    def whole(self) -> Sent:
        name = self.rng.choice(self.names)
        if name not in self._whole:
            try:
                self._whole[name] = serialise(self.service, name, self.samples.usual(self.model.operation(name)))
            except (BotoCoreError, ValueError, TypeError, KeyError):
                self._whole[name] = Sent("POST", "/", {}, b"{}")
        return self._whole[name]

    def sent(self) -> Sent:
        sent = self.whole()
        for _ in range(self.rng.randint(1, 4)):
            sent = self.rng.choice((self._body, self._body, self._target, self._headers, self._method))(sent)
        return sent

    def _bytes(self, data: bytes) -> bytes:
        rng = self.rng
        at, to = sorted(rng.randint(0, len(data)) for _ in range(2))
        other = self.whole().body
        return rng.choice(
            (
                lambda: data[:at] + rng.choice(JUNK) + data[at:],
                lambda: data[:at] + data[to:],
                lambda: data[:at],
                lambda: data[:to] + data[at:to] * rng.choice((1, 1, 50)) + data[to:],
                lambda: data[:at] + bytes((data[at] ^ 1 << rng.randint(0, 7),)) + data[at + 1 :] if at < len(data) else data,
                lambda: data[:at] + other[len(other) // 2 :],
                lambda: rng.randbytes(rng.randint(1, 60)),
            )
        )()

    def _body(self, sent: Sent) -> Sent:
        return sent._replace(body=self._bytes(sent.body))

    def _target(self, sent: Sent) -> Sent:
        changed = quote_from_bytes(self._bytes(sent.target.encode()), safe="/?&=%+,:;@!$'()*~-._")
        return sent._replace(target="/" + changed.lstrip("/"))

    def _headers(self, sent: Sent) -> Sent:
        headers = dict(sent.headers)
        if headers and self.rng.random() < 0.4:
            headers.pop(self.rng.choice(sorted(headers)))
        else:
            headers[self.rng.choice(HEADERS)] = self.rng.choice(VALUES)
        return sent._replace(headers=headers)

    def _method(self, sent: Sent) -> Sent:
        return sent._replace(method=self.rng.choice(METHODS))

    def spoil(self) -> Callable[[Request], None] | None:
        """What happens to one signed request in four on its way."""
        if self.rng.random() < 0.75:
            return None

        def spoil(request: Request) -> None:
            name = self.rng.choice(("authorization", "x-amz-date", "host", "content-type", "x-amz-content-sha256"))
            if name in request.head:
                text = self._bytes(request.head[name].encode()).decode("latin-1").replace("\r", " ").replace("\n", " ").replace("\0", "?")
                request.head[name] = text
                request.headers = [(key, text.encode("utf-8") if key.decode() == name else value) for key, value in request.headers]

        return spoil


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcessCloud]:
    with seeded_cloud(tmp_path_factory.mktemp("malformed")) as running:
        yield running


@pytest.fixture(scope="module")
def wire(cloud: InProcessCloud) -> Wire:
    return Wire(cloud)


@pytest.mark.parametrize("requests", [pytest.param(60, id="some"), pytest.param(1000, id="a thousand", marks=pytest.mark.slow)])
@pytest.mark.parametrize("service", [pytest.param(service, id=f"{service}:*") for service in SERVICES])
def test_nothing_breaks(cloud: InProcessCloud, wire: Wire, service: str, requests: int) -> None:
    made = Mutations(service, random.Random(f"{service} {requests}"))
    before = store_hash(cloud)
    statuses: dict[int, int] = {}
    for _ in range(requests):
        sent, spoil = made.sent(), made.spoil()
        reply: Any = wire.send(service, sent, spoil=spoil)
        assert reply.status != 500, (sent, reply)
        assert reply.seconds < SOON, (sent, reply)
        statuses[reply.status] = statuses.get(reply.status, 0) + 1
    assert store_hash(cloud) == before
    assert sum(count for status, count in statuses.items() if 400 <= status < 500) > requests // 4, statuses

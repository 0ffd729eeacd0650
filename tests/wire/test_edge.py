"""The HTTP edge over real sockets: names that are not ours, pages of other origins, heads and bodies that are too large, too slow, or none."""

import asyncio
import gc
import re
import socket
import time
from collections.abc import Callable, Iterator
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness import ACCOUNT, InProcessCloud, until
from windtunnel.kernel.clock import FixedClock
from windtunnel.kernel.principal import Credential, Principal
from windtunnel.server import Listeners, LoopBackend
from windtunnel.services.iam.model import RootKey
from windtunnel.wire.asgi import HttpEdge
from windtunnel.wire.core import Core
from windtunnel.wire.limits import Patience
from windtunnel.wire.origins import is_foreign, is_ours
from windtunnel.wire.signing import presign, sign_request

NOW = 1_800_000_000.0
ROOT = Credential("AKIAROOTROOTROOTROOT", "root/secret", Principal.root(ACCOUNT))


class Edge:
    """A cloud that answers on a port."""

    def __init__(self, cloud: InProcessCloud, patience: Patience, limit: int) -> None:
        from windtunnel.wire.connection import Connection

        self.cloud = cloud
        edge = HttpEdge(Core(LoopBackend(cloud.cloud), strict=True), [], frozenset({"cloud.example.org"}))
        self.listeners = Listeners(cloud.loop, edge, Path("unused"))
        state, config = self.listeners._state, self.listeners._config

        def made() -> Connection:
            return Connection(config=config, server_state=state, app_state={}, _loop=cloud.loop, limit=limit, patience=patience)

        async def serve() -> Any:
            return await cloud.loop.create_server(made, "127.0.0.1", 0, backlog=512)

        self._server = asyncio.run_coroutine_threadsafe(serve(), cloud.loop).result(10)
        self.port: int = self._server.sockets[0].getsockname()[1]
        self.host = f"127.0.0.1:{self.port}"

    def close(self) -> None:
        self.cloud.on_loop(self._server.close)
        asyncio.run_coroutine_threadsafe(self.listeners.close(), self.cloud.loop).result(10)

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def send(self, raw: bytes) -> bytes:
        """All that comes back until the connection ends."""
        with self.connect() as sock:
            try:
                sock.sendall(raw)
            except (BrokenPipeError, ConnectionResetError):
                pass
            return drain(sock)

    def ask(self, method: str = "GET", target: str = "/", body: bytes = b"", **headers: str) -> bytes:
        head = {"host": self.host, "connection": "close", "content-length": str(len(body))}
        head |= {name.replace("_", "-"): value for name, value in headers.items()}
        lines = "".join(f"{name}: {value}\r\n" for name, value in head.items() if value)
        return self.send(f"{method} {target} HTTP/1.1\r\n{lines}\r\n".encode() + body)

    def signed(self, body: bytes, target: str = "AmazonSSM.PutParameter", **more: str) -> dict[str, str]:
        sent = [
            (b"host", more.pop("host", self.host).encode()),
            (b"content-type", b"application/x-amz-json-1.1"),
            (b"x-amz-target", target.encode()),
        ]
        made = sign_request(ROOT, "POST", "/", "", sent, body, region="us-east-1", service="ssm", now=NOW)
        return {name.decode(): value.decode() for name, value in made} | more

    def parameters(self) -> list[str]:
        return [item["Name"] for item in self.cloud.api("ssm", "DescribeParameters", principal=Principal.root(ACCOUNT))["Parameters"]]


def drain(sock: socket.socket) -> bytes:
    parts = []
    try:
        while piece := sock.recv(65536):
            parts.append(piece)
    except ConnectionResetError:
        pass
    return b"".join(parts)


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer else 0


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcessCloud]:
    with InProcessCloud(tmp_path_factory.mktemp("edge"), clock=FixedClock(NOW)) as running:
        running.write(lambda ctx: ctx.tx.put(RootKey(access_key=ROOT.access_key, secret=ROOT.secret, account=ACCOUNT)))
        yield running


@pytest.fixture(scope="module")
def edge(cloud: InProcessCloud) -> Iterator[Edge]:
    made = Edge(cloud, Patience(), 1000)
    yield made
    made.close()


@pytest.fixture
def hasty(cloud: InProcessCloud) -> Iterator[Callable[..., Edge]]:
    """Edges that wait for nobody long."""
    edges: list[Edge] = []

    def make(limit: int = 1000, **patience: float) -> Edge:
        edges.append(Edge(cloud, Patience(**patience), limit))
        return edges[-1]

    yield make
    for made in edges:
        made.close()


PUT = b'{"Name":"/edge/%b","Value":"v","Type":"String","Overwrite":true}'

# -- names ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1:4566",
        "localhost:4566",
        "LOCALHOST",
        "bucket.localhost:4566",
        "bucket.s3.localhost",
        "[::1]:4566",
        "10.0.3.7:80",
        "ssm.eu-west-1.amazonaws.com",
        "my.bucket.s3.eu-west-1.amazonaws.com:443",
        "123456789012.dkr.ecr.eu-west-1.amazonaws.com",
        "ssm.cn-north-1.amazonaws.com.cn",
        "ip-10-0-0-1.ec2.internal",
        "host.docker.internal:4566",
        "cloud.test",
        "localhost.",
    ],
)
def test_names_that_are_ours(host: str) -> None:
    assert is_ours(host)


@pytest.mark.parametrize(
    "host",
    [
        "",
        "evil.example",
        "amazonaws.com.evil.example",
        "evilamazonaws.com",
        "notlocalhost",
        "localhost.evil.example:4566",
        "127.0.0.1.evil.example",
        "127.0.0.1,evil.example",
        "evil",
        "1234567890",
        "[::1].evil.example",
        "x" * 400 + ".localhost",
        "127.0.0.1 evil.example",
        "localhost\tx",
    ],
)
def test_names_that_are_not_ours(host: str) -> None:
    assert not is_ours(host)


def test_a_name_that_the_user_gave() -> None:
    assert is_ours("cloud.example.org:4566", frozenset({"cloud.example.org"}))
    assert not is_ours("x.cloud.example.org:4566", frozenset({"cloud.example.org"}))


def test_a_rebound_name_gets_nothing_done_even_with_a_signature(edge: Edge) -> None:
    body = PUT % b"rebound"
    answer = edge.ask("POST", "/", body, **edge.signed(body, host="evil.example"))
    assert status(answer) == 421
    assert b"WINDTUNNEL_HOSTS=evil.example" in answer
    assert b"x-amzn-errortype: MisdirectedRequest" in answer
    assert "/edge/rebound" not in edge.parameters()


@pytest.mark.parametrize("host", ["cloud.example.org", "ssm.us-east-1.amazonaws.com", "localhost:1"])
def test_a_name_of_ours_works(edge: Edge, host: str) -> None:
    body = PUT % host.encode().replace(b":", b"-")
    assert status(edge.ask("POST", "/", body, **edge.signed(body, host=host))) == 200


def test_a_request_without_a_host(edge: Edge) -> None:
    assert status(edge.send(b"GET / HTTP/1.1\r\nconnection: close\r\n\r\n")) == 400
    assert status(edge.send(b"GET / HTTP/1.0\r\n\r\n")) == 403
    assert status(edge.send(b"GET / HTTP/1.1\r\nhost: localhost\r\nhost: evil.example\r\nconnection: close\r\n\r\n")) == 421


# -- pages ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers, foreign",
    [
        ({"host": "127.0.0.1:4566"}, False),
        ({"host": "127.0.0.1:4566", "origin": "http://127.0.0.1:4566"}, False),
        ({"host": "127.0.0.1:4566", "origin": "http://localhost:4566"}, False),
        ({"host": "localhost:4566", "sec-fetch-site": "same-origin"}, False),
        ({"host": "localhost:4566", "sec-fetch-site": "none"}, False),
        ({"host": "localhost:4566", "origin": "http://localhost:3000"}, True),
        ({"host": "localhost:4566", "origin": "https://evil.example"}, True),
        ({"host": "localhost:4566", "origin": "null"}, True),
        ({"host": "localhost:4566", "origin": ""}, True),
        ({"host": "localhost:4566", "origin": "file://"}, True),
        ({"host": "localhost:4566", "origin": "http://localhost.evil.example:4566"}, True),
        ({"host": "localhost:4566", "sec-fetch-site": "cross-site"}, True),
        ({"host": "localhost:4566", "sec-fetch-site": "same-site"}, True),
    ],
)
def test_whose_page_it_is(headers: dict[str, str], foreign: bool) -> None:
    assert is_foreign(headers) is foreign


EVIL = {"origin": "https://evil.example", "sec_fetch_site": "cross-site"}


@pytest.mark.parametrize(
    "method, target, headers, body",
    [
        ("POST", "/", {"content_type": "application/x-www-form-urlencoded"}, b"Action=CreateUser&UserName=x&Version=2010-05-08"),
        ("POST", "/", {"content_type": "text/plain", "x_amz_target": "AmazonSSM.PutParameter"}, PUT % b"foreign"),
        ("GET", "/?Action=CreateUser&UserName=x&Version=2010-05-08", {}, b""),
        ("PUT", "/bucket/key", {}, b"x"),
        ("DELETE", "/bucket", {}, b""),
        ("POST", "/bucket?delete", {"content_type": "multipart/form-data; boundary=B"}, b""),
        ("POST", "/v1/repos/x/git-receive-pack", {}, b""),
    ],
)
def test_a_page_of_another_origin_gets_nothing_done(edge: Edge, method: str, target: str, headers: dict[str, str], body: bytes) -> None:
    answer = edge.ask(method, target, body, **headers, **EVIL)
    assert status(answer) == 403
    assert b"another origin" in answer
    assert b"access-control-allow-origin" not in answer


def test_a_page_with_keys_is_its_user(edge: Edge) -> None:
    body = PUT % b"keys"
    assert status(edge.ask("POST", "/", body, **edge.signed(body), **EVIL)) == 200


def test_a_page_may_use_a_presigned_url_and_read_what_is_public(edge: Edge) -> None:
    s3 = {"service": "s3", "region": "us-east-1", "now": NOW, "expires": 600}
    assert status(edge.ask("PUT", f"/pages?{presign(ROOT, 'PUT', edge.host, '/pages', **s3)}")) == 200  # type: ignore[arg-type]
    target = f"/pages/a?{presign(ROOT, 'PUT', edge.host, '/pages/a', **s3)}"  # type: ignore[arg-type]
    assert status(edge.ask("PUT", target, b"x", **EVIL)) == 200
    assert status(edge.ask("GET", "/pages/a", **EVIL)) == 403  # private: AccessDenied is S3's own
    forged = target.replace("Signature=", "Signature=0")
    assert b"SignatureDoesNotMatch" in edge.ask("PUT", forged, b"y", **EVIL)


def test_a_header_that_a_client_asks_for_cannot_break_the_answer(edge: Edge) -> None:
    """S3 repeats these parameters in the answer's headers; control characters in them are blanks there."""
    s3 = {"service": "s3", "region": "us-east-1", "now": NOW, "expires": 600}
    edge.ask("PUT", f"/echoing?{presign(ROOT, 'PUT', edge.host, '/echoing', **s3)}")  # type: ignore[arg-type]
    edge.ask("PUT", f"/echoing/k?{presign(ROOT, 'PUT', edge.host, '/echoing/k', **s3)}", b"data")  # type: ignore[arg-type]
    asked = "response-content-disposition=a%0D%0Ax-evil:%201%01%7F&response-content-language=%C3%A9"
    answer = edge.ask("GET", f"/echoing/k?{presign(ROOT, 'GET', edge.host, '/echoing/k', asked, **s3)}")  # type: ignore[arg-type]
    assert status(answer) == 200
    assert b"\r\nx-evil" not in answer
    assert b"content-disposition: a  x-evil: 1" in answer


# -- framing --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "raw, expected",
    [
        pytest.param(b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * 200 + b"\r\n", 431, id="200 headers"),
        pytest.param(b"GET / HTTP/1.1\r\nx: " + b"y" * 70_000 + b"\r\n\r\n", 431, id="a header of 70 kB"),
        pytest.param(
            b"GET / HTTP/1.1\r\n" + b"".join(b"x%d: %b\r\n" % (n, b"y" * 1000) for n in range(100)) + b"\r\n", 431, id="100 kB of headers"
        ),
        pytest.param(b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n\r\n", 414, id="a target of 20 kB"),
        pytest.param(b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 3\r\ncontent-length: 5\r\n\r\nabcde", 400, id="two lengths"),
        pytest.param(
            b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 3\r\ncontent-length: 3\r\n\r\nabc", 400, id="the same length twice"
        ),
        pytest.param(
            b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
            id="length and chunks",
        ),
        pytest.param(
            b"POST / HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n", 400, id="chunked is not last"
        ),
        pytest.param(b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: -1\r\n\r\n", 400, id="a negative length"),
        pytest.param(b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 99999999999999999999999\r\n\r\n", 400, id="an absurd length"),
        pytest.param(
            b"POST / HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n\r\n", 400, id="a chunk that is no number"
        ),
        pytest.param(b"GET / HTTP/1.1\r\nhost: localhost\r\n folded: x\r\n\r\n", 400, id="a folded header"),
        pytest.param(b"GET / HTTP/1.1\r\nhost : localhost\r\n\r\n", 400, id="a blank before the colon"),
        pytest.param(b"GET /\xff HTTP/1.1\r\nhost: localhost\r\n\r\n", 400, id="a target that is no ASCII"),
        pytest.param(b"CONNECT evil.example:443 HTTP/1.1\r\nhost: localhost\r\n\r\n", 400, id="a proxy is not here"),
        pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, id="HTTP/2"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400, id="TLS on the plain port"),
        pytest.param(b"\x00" * 100, 400, id="zeros"),
    ],
)
def test_what_is_no_request_of_ours(edge: Edge, raw: bytes, expected: int) -> None:
    started = time.monotonic()
    assert status(edge.send(raw)) == expected
    assert time.monotonic() - started < 10


def test_headers_are_refused_as_they_come_not_at_their_end(edge: Edge) -> None:
    """A head that never ends is not collected."""
    with edge.connect() as sock:
        sock.sendall(b"GET / HTTP/1.1\r\n")
        sent = 0
        try:
            for _ in range(10_000):
                sock.sendall(b"x: " + b"y" * 1000 + b"\r\n")
                sent += 1000
        except (BrokenPipeError, ConnectionResetError):
            pass
    assert sent < 5_000_000


def test_trailers_are_no_headers(edge: Edge) -> None:
    """What follows a chunked body cannot change who asks, or what for."""
    body = PUT % b"trailers"
    head = edge.signed(body)
    lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
    chunked = b"%x\r\n%b\r\n0\r\norigin: https://evil.example\r\nhost: evil.example\r\n\r\n" % (len(body), body)
    answer = edge.send(f"POST / HTTP/1.1\r\n{lines}transfer-encoding: chunked\r\nconnection: close\r\n\r\n".encode() + chunked)
    assert status(answer) == 200


def test_an_answer_under_way_ends_before_what_is_no_request_is_refused(edge: Edge) -> None:
    whole = f"GET /nowhere HTTP/1.1\r\nhost: {edge.host}\r\n\r\n".encode()
    answer = edge.send(whole + b"nonsense\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 404") and answer.count(b"HTTP/1.1") <= 2


def test_pipelined_requests_are_answered_in_order(edge: Edge) -> None:
    one = f"GET /first HTTP/1.1\r\nhost: {edge.host}\r\n\r\n".encode()
    two = f"GET /second HTTP/1.1\r\nhost: {edge.host}\r\nconnection: close\r\n\r\n".encode()
    answer = edge.send(one + two)
    assert answer.count(b"HTTP/1.1 404") == 2


def test_a_body_that_says_that_it_is_too_large_is_not_waited_for(edge: Edge) -> None:
    started = time.monotonic()
    head = f"POST / HTTP/1.1\r\nhost: {edge.host}\r\nconnection: close\r\nx-amz-target: AmazonSSM.PutParameter\r\ncontent-length: 99999999\r\n\r\n"
    with edge.connect() as sock:
        sock.sendall(head.encode() + b"{" * 100_000)
        assert status(sock.recv(65536)) == 413
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("target", ["AmazonSSM.GetParameter", "AmazonSSM.PutParameter", "AmazonSSM.Nonsense"])
def test_a_request_leaves_nothing_to_the_garbage_collector(edge: Edge, target: str) -> None:
    """Its turns stop the loop for tens of milliseconds, so what requests leave behind must go by its reference count."""
    body = PUT % b"gc"
    headers = edge.signed(body, target) | {"content-length": str(len(body))}
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    raw = f"POST / HTTP/1.1\r\n{lines}\r\n".encode() + body
    with edge.connect() as sock:
        exchange(sock, raw)  # what is made once is made now
        gc.disable()
        try:
            gc.collect()
            for _ in range(100):
                exchange(sock, raw)
            left = gc.collect()
        finally:
            gc.enable()
    assert left < 100, f"{left} objects that refer to each other were left by 100 requests"


def exchange(sock: socket.socket, raw: bytes) -> None:
    """One request and its whole answer on a connection that goes on."""
    sock.sendall(raw)
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += sock.recv(65536)
    head, body = answer.split(b"\r\n\r\n", 1)
    found = re.search(rb"content-length: (\d+)", head)
    assert found, head
    while len(body) < int(found[1]):
        body += sock.recv(65536)


def test_an_answer_says_the_time(edge: Edge) -> None:
    """AWS's SDKs for Go and JavaScript correct a wrong clock by it; an error has it too."""
    answer = edge.ask("GET", "/nowhere")
    found = re.search(rb"\r\ndate: ([^\r]+)\r\n", answer)
    assert found is not None
    assert abs(parsedate_to_datetime(found[1].decode()).timestamp() - time.time()) < 5


# -- Expect ---------------------------------------------------------------------------------------------------------------------


def upload(edge: Edge, bucket: str, body: bytes, secret: Credential = ROOT) -> list[bytes]:
    sent = [(b"host", edge.host.encode())]
    made = sign_request(secret, "PUT", f"/{bucket}/k", "", sent, body, region="us-east-1", service="s3", now=NOW)
    lines = b"".join(name + b": " + value + b"\r\n" for name, value in made)
    head = b"PUT /%b/k HTTP/1.1\r\n%bcontent-length: %d\r\nexpect: 100-continue\r\nconnection: close\r\n\r\n"
    with edge.connect() as sock:
        sock.sendall(head % (bucket.encode(), lines, len(body)))
        first = sock.recv(65536)
        if first.startswith(b"HTTP/1.1 100"):
            sock.sendall(body)
        return [first, drain(sock)]


def test_a_body_is_asked_for_when_its_sender_is_proven(edge: Edge) -> None:
    s3 = {"service": "s3", "region": "us-east-1", "now": NOW, "expires": 600}
    edge.ask("PUT", f"/expecting?{presign(ROOT, 'PUT', edge.host, '/expecting', **s3)}")  # type: ignore[arg-type]
    first, rest = upload(edge, "expecting", b"x" * 100_000)
    assert first == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert status(rest) == 200


def test_a_body_is_not_asked_for_from_somebody_else(edge: Edge) -> None:
    forger = Credential(ROOT.access_key, "another secret", ROOT.principal)
    first, rest = upload(edge, "expecting", b"x" * 100_000, forger)
    assert status(first) == 403
    assert b"SignatureDoesNotMatch" in first + rest
    assert b"connection: close" in first


# -- slow clients ---------------------------------------------------------------------------------------------------------------


def test_a_head_that_drips_is_ended(hasty: Callable[..., Edge]) -> None:
    edge = hasty(head=0.4)
    started = time.monotonic()
    with edge.connect() as sock:
        sock.settimeout(0.05)
        sock.sendall(b"GET / HTTP/1.1\r\n")
        answer = b""
        while time.monotonic() - started < 10:
            try:
                sock.sendall(b"x")
                piece = sock.recv(1000)
            except TimeoutError:
                continue
            except (BrokenPipeError, ConnectionResetError):
                break
            if not piece:
                break
            answer += piece
    assert time.monotonic() - started < 5
    assert status(answer) in (408, 0)


def test_a_connection_that_says_nothing_is_ended(hasty: Callable[..., Edge]) -> None:
    edge = hasty(head=0.2)
    started = time.monotonic()
    assert edge.send(b"") == b""
    assert edge.send(b"\r\n") == b""
    assert time.monotonic() - started < 5


def test_a_body_that_stops_is_given_up(hasty: Callable[..., Edge]) -> None:
    edge = hasty(body=0.3)
    started = time.monotonic()
    head = f"POST / HTTP/1.1\r\nhost: {edge.host}\r\ncontent-length: 1000\r\nx-amz-target: AmazonSSM.GetParameter\r\n\r\n"
    assert edge.send(head.encode() + b"abc") == b""
    assert time.monotonic() - started < 5


def test_a_body_that_drips_is_given_up_and_one_that_flows_is_not(hasty: Callable[..., Edge]) -> None:
    edge = hasty(body=0.4, rate=100_000.0)

    def sent(chunk: bytes, seconds: float) -> bool:
        """Whether the connection still stands after chunks for so long."""
        with edge.connect() as sock:
            sock.sendall(f"POST / HTTP/1.1\r\nhost: {edge.host}\r\ncontent-length: 900000000\r\n\r\n".encode())
            sock.settimeout(0.02)
            began = time.monotonic()
            while time.monotonic() - began < seconds:
                try:
                    sock.sendall(chunk)
                    if not sock.recv(100):
                        return False
                except TimeoutError:
                    continue
                except (BrokenPipeError, ConnectionResetError):
                    return False
            return True

    assert not sent(b"x", 5.0)
    assert sent(b"x" * 8000, 1.5)


def test_a_client_that_does_not_read_is_left(hasty: Callable[..., Edge], cloud: InProcessCloud) -> None:
    edge = hasty(unread=0.3)
    s3 = {"service": "s3", "region": "us-east-1", "now": NOW, "expires": 600}
    edge.ask("PUT", f"/unread?{presign(ROOT, 'PUT', edge.host, '/unread', **s3)}")  # type: ignore[arg-type]
    edge.ask("PUT", f"/unread/k?{presign(ROOT, 'PUT', edge.host, '/unread/k', **s3)}", b"x" * 12_000_000)  # type: ignore[arg-type]
    target = f"/unread/k?{presign(ROOT, 'GET', edge.host, '/unread/k', **s3)}"  # type: ignore[arg-type]
    with edge.connect() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.sendall(f"GET {target} HTTP/1.1\r\nhost: {edge.host}\r\n\r\n".encode())
        until(lambda: not cloud.on_loop(lambda: len(edge.listeners._state.connections)), 10, "the connection is gone")


def test_when_there_are_too_many_those_go_that_wait_for_nothing(hasty: Callable[..., Edge], cloud: InProcessCloud) -> None:
    edge = hasty(limit=100)
    idle = [edge.connect() for _ in range(150)]
    body = PUT % b"crowd"
    assert status(edge.ask("POST", "/", body, **edge.signed(body))) == 200
    until(lambda: cloud.on_loop(lambda: len(edge.listeners._state.connections)) <= 100, 10, "there are no more than a hundred")
    for sock in idle:
        sock.close()


# -- noise ----------------------------------------------------------------------------------------------------------------------

LINES = st.lists(
    st.tuples(st.sampled_from(["host", "content-length", "authorization", "x-amz-target", "x", "expect"]), st.text(max_size=20)), max_size=6
)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(["GET", "POST", "PUT", "X", ""]), st.text(max_size=20), LINES, st.binary(max_size=40))
def test_noise_is_refused_and_harms_nobody(edge: Edge, method: str, target: str, lines: list[tuple[str, str]], body: bytes) -> None:
    head = f"{method} /{target} HTTP/1.1\r\nhost: {edge.host}\r\nconnection: close\r\n" + "".join(
        f"{name}: {text}\r\n" for name, text in lines
    )
    with edge.connect() as sock:
        sock.sendall(head.encode("utf-8", "surrogatepass") + b"\r\n" + body)
        sock.shutdown(socket.SHUT_WR)
        sock.settimeout(5)
        answer = drain(sock)
    assert not answer or status(answer) in (100, 200, 400, 403, 404, 405, 413, 414, 421, 431, 501)

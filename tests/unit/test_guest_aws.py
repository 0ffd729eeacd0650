"""The guests' AWS client: signatures as botocore makes them, patience with a cloud that restarts, no patience with a refusal."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotocoreCredentials

from windtunnel.guest import aws

Respond = Callable[[BaseHTTPRequestHandler, bytes], tuple[int, dict[str, str], bytes]]


class Scripted:
    """A server on a free port that answers with the next of `answers` and keeps what it was asked."""

    def __init__(self, *answers: tuple[int, dict[str, str], bytes]) -> None:
        self.asked: list[tuple[str, str, dict[str, str], bytes]] = []
        left = list(answers)
        asked = self.asked

        class Handler(BaseHTTPRequestHandler):
            def handle_one(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                asked.append((self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body))
                status, headers, out = left.pop(0)
                self.send_response(status)
                for name, value in {"Content-Length": str(len(out)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(out)

            do_GET = do_PUT = do_POST = handle_one

            def log_message(self, format: str, *args: object) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture()
def serve() -> Iterator[Callable[..., Scripted]]:
    made: list[Scripted] = []

    def make(*answers: tuple[int, dict[str, str], bytes]) -> Scripted:
        made.append(Scripted(*answers))
        return made[-1]

    yield make
    for one in made:
        one.server.shutdown()
        one.server.server_close()


KEYS = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret/key", "AWS_SESSION_TOKEN": "a-token"}


def client(server: Scripted, patience: float = 10.0) -> aws.Client:
    return aws.Client(server.url, "eu-west-1", aws.Provider(KEYS), patience)


@pytest.mark.parametrize(
    "service, path, query",
    [
        pytest.param("s3", "/bucket/a%20b/%C3%A9%2B.zip", {"versionId": "x/y=="}, id="S3 signs the path as it is sent"),
        pytest.param("ssm", "/", {}, id="a JSON service"),
        pytest.param("lambda", "/2015-03-31/functions/a%3Ab", {}, id="other services encode the path again"),
    ],
)
def test_signatures_are_botocores(service: str, path: str, query: dict[str, str]) -> None:
    now, body = time.time(), b"{}"
    credentials = aws.Credentials("AKIDEXAMPLE", "secret/key", "a-token")
    headers = {"Host": "127.0.0.1:4566", "Content-Type": "application/json"}
    payload_hash = aws._hash(body)
    mine = aws.signed_headers(credentials, service, "eu-west-1", "PUT", path, query, headers, payload_hash, now)
    url = f"http://127.0.0.1:4566{path}" + (f"?{aws.canonical_query(query)}" if query else "")
    request = AWSRequest("PUT", url, headers=headers, data=body)
    kind = S3SigV4Auth if service == "s3" else SigV4Auth
    signer = kind(BotocoreCredentials("AKIDEXAMPLE", "secret/key", "a-token"), service, "eu-west-1")
    request.context["timestamp"] = mine["X-Amz-Date"]
    request.headers["X-Amz-Date"] = mine["X-Amz-Date"]
    request.headers["X-Amz-Security-Token"] = "a-token"
    if service == "s3":
        request.headers["X-Amz-Content-SHA256"] = payload_hash
    canonical = signer.canonical_request(request)
    signature = signer.signature(signer.string_to_sign(request, canonical), request)
    assert mine["Authorization"].endswith(f"Signature={signature}")


def test_a_failing_cloud_is_asked_again(serve: Callable[..., Scripted]) -> None:
    server = serve((500, {}, b""), (503, {}, b"<Error><Code>SlowDown</Code></Error>"), (200, {}, b'{"a": 1}'))
    assert client(server).json("ssm", "AmazonSSM.GetParameter", {"Name": "x"}) == {"a": 1}
    assert [body for *_, body in server.asked] == [b'{"Name": "x"}'] * 3


@pytest.mark.parametrize(
    "status, body, code, message",
    [
        pytest.param(400, b'{"__type": "com.amazon#ParameterNotFound", "message": "gone"}', "ParameterNotFound", "gone", id="JSON"),
        pytest.param(403, b"<Error><Code>AccessDenied</Code><Message>a &lt;b&gt;</Message></Error>", "AccessDenied", "a <b>", id="XML"),
        pytest.param(501, b'{"__type": "NotImplemented", "message": "not built"}', "NotImplemented", "not built", id="what is not built"),
        pytest.param(404, b"", "NotFound", "", id="an answer without a body"),
    ],
)
def test_a_refusal_is_raised_at_once(serve: Callable[..., Scripted], status: int, body: bytes, code: str, message: str) -> None:
    server = serve((status, {}, body))
    with pytest.raises(aws.ApiError) as caught:
        client(server).json("ssm", "AmazonSSM.GetParameter", {})
    assert (caught.value.code, caught.value.message, caught.value.status) == (code, message, status)
    assert len(server.asked) == 1


def test_patience_ends(serve: Callable[..., Scripted]) -> None:
    server = serve(*[(500, {}, b"")] * 50)
    with pytest.raises(aws.Unreachable, match="could not be reached"):
        client(server, patience=0.1).json("ssm", "AmazonSSM.GetParameter", {})


def test_objects_are_streamed_both_ways(serve: Callable[..., Scripted], tmp_path: Path) -> None:
    content = b"0123456789" * 200_000
    server = serve((200, {"ETag": '"e"'}, b""), (200, {"x-amz-version-id": "v1"}, content))
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(content)
    assert client(server).put_object("b", "k y", str(source), metadata={"codebuild-buildarn": "arn"})["etag"] == '"e"'
    assert client(server).get_object("b", "k y", str(target), "v1")["x-amz-version-id"] == "v1"
    assert target.read_bytes() == content
    put, get = server.asked
    assert (put[0], put[1], put[2]["x-amz-meta-codebuild-buildarn"], put[3] == content) == ("PUT", "/b/k%20y", "arn", True)
    assert get[1] == "/b/k%20y?versionId=v1"


def test_a_body_that_ends_early_is_fetched_again(serve: Callable[..., Scripted], tmp_path: Path) -> None:
    server = serve((200, {"Content-Length": "10", "Connection": "close"}, b"short"), (200, {}, b"whole"))
    client(server).get_object("b", "k", str(tmp_path / "t"))
    assert (tmp_path / "t").read_bytes() == b"whole"


def test_a_full_disk_is_not_waited_for(serve: Callable[..., Scripted], tmp_path: Path) -> None:
    server = serve((200, {}, b"x"))
    with pytest.raises(FileNotFoundError):
        client(server).get_object("b", "k", str(tmp_path / "missing" / "t"))


def test_listing_follows_the_pages(serve: Callable[..., Scripted]) -> None:
    space = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
    first = f"<ListBucketResult {space}><Contents><Key>p/a</Key></Contents><NextContinuationToken>t/=</NextContinuationToken></ListBucketResult>"
    second = f"<ListBucketResult {space}><Contents><Key>p/b</Key></Contents></ListBucketResult>"
    server = serve((200, {}, first.encode()), (200, {}, second.encode()))
    assert list(client(server).list_objects("b", "p/")) == ["p/a", "p/b"]
    assert "continuation-token=t%2F%3D" in server.asked[1][1]


def test_container_credentials_are_fetched_anew_when_they_are_refused_as_expired(serve: Callable[..., Scripted]) -> None:
    def given(key: str) -> bytes:
        return json.dumps(
            {"AccessKeyId": key, "SecretAccessKey": "s", "Token": "t", "Expiration": "2099-01-01T00:00:00Z"},
        ).encode()

    expired = b'{"__type": "ExpiredTokenException", "message": "The security token included in the request is expired"}'
    server = serve((200, {}, given("ASIA1")), (400, {}, expired), (200, {}, given("ASIA2")), (200, {}, b"{}"))
    provider = aws.Provider({"AWS_CONTAINER_CREDENTIALS_FULL_URI": server.url + "/v2/credentials/x"})
    assert aws.Client(server.url, "eu-west-1", provider, 5).json("ssm", "AmazonSSM.GetParameter", {}) == {}
    assert "Credential=ASIA2/" in server.asked[-1][2]["authorization"]

"""Bodies of requests: compressed ones, what they say of themselves, and what is somebody else's to check."""

import asyncio
import gzip
import json
import zlib
from base64 import b64encode
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import ACCOUNT, InProcessCloud
from windtunnel.kernel.clock import FixedClock
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.principal import Credential, Principal
from windtunnel.server import LoopBackend
from windtunnel.services.iam.model import RootKey
from windtunnel.wire import checksums
from windtunnel.wire.bodies import MAX_BODY, unpacked
from windtunnel.wire.core import Core, Request
from windtunnel.wire.signing import sign_request

NOW = 1_800_000_000.0
ROOT = Credential("AKIAROOTROOTROOTROOT", "root/secret", Principal.root(ACCOUNT))


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[InProcessCloud]:
    with InProcessCloud(tmp_path, clock=FixedClock(NOW)) as running:
        running.write(lambda ctx: ctx.tx.put(RootKey(access_key=ROOT.access_key, secret=ROOT.secret, account=ACCOUNT)))
        yield running


def ask(
    cloud: InProcessCloud, method: str, path: str, body: bytes, service: str, headers: dict[str, str], query: str = ""
) -> tuple[int, bytes]:
    """A signed request through the whole wire."""
    sent = [(b"host", b"127.0.0.1:4566"), *((name.encode(), value.encode()) for name, value in headers.items())]
    made = sign_request(ROOT, method, path, query, sent, body, region="us-east-1", service=service, now=NOW)
    request = Request(method, path, query, made, {name.decode(): value.decode() for name, value in made})
    request.body = body

    async def answer() -> Any:
        answered = Core(LoopBackend(cloud.cloud), strict=True).handle(request)
        return answered if isinstance(answered, tuple) else await answered  # type: ignore[misc]

    status, _, content = asyncio.run_coroutine_threadsafe(answer(), cloud.loop).result(20)
    return status, content


PUT = {"x-amz-target": "AmazonSSM.PutParameter", "content-type": "application/x-amz-json-1.1", "content-encoding": "gzip"}


def test_a_compressed_request_is_the_same_request(cloud: InProcessCloud) -> None:
    body = gzip.compress(json.dumps({"Name": "/packed", "Value": "v" * 3000, "Type": "String"}).encode())
    assert ask(cloud, "POST", "/", body, "ssm", PUT)[0] == 200
    root = Principal.root(ACCOUNT)
    assert cloud.api("ssm", "GetParameter", principal=root, name="/packed")["Parameter"]["Value"] == "v" * 3000


@pytest.mark.parametrize("body", [b"{}", b"\x1f\x8b", gzip.compress(b"{}")[:-4], gzip.compress(b"{}") + b"x"])
def test_what_is_not_gzip_is_refused(cloud: InProcessCloud, body: bytes) -> None:
    status, content = ask(cloud, "POST", "/", body, "ssm", PUT)
    assert status == 400
    assert b"SerializationException" in content


def test_a_bomb_is_refused_where_it_begins(cloud: InProcessCloud) -> None:
    bomb = gzip.compress(b" " * (MAX_BODY * 4))
    status, content = ask(cloud, "POST", "/", bomb, "ssm", PUT)
    assert status == 413
    assert str(MAX_BODY).encode() in content


@given(st.lists(st.binary(max_size=2000), max_size=4))
def test_members_follow_each_other(parts: list[bytes]) -> None:
    assert unpacked(b"".join(map(gzip.compress, parts))) == b"".join(parts)


@given(st.binary(max_size=100))
def test_noise_is_unpacked_or_refused(noise: bytes) -> None:
    try:
        unpacked(noise)
    except AwsError as error:
        assert error.code == "SerializationException"


def test_boto3_compresses_metrics_by_itself() -> None:
    """What the client does with a large PutMetricData, this side undoes: gzip with the trait's encoding."""
    from botocore.compress import maybe_compress_request
    from botocore.config import Config
    from botocore.loaders import Loader
    from botocore.model import ServiceModel

    operation = ServiceModel(Loader().load_service_model("cloudwatch", "service-2")).operation_model("PutMetricData")
    body = b"x" * 20_000
    sent: dict[str, Any] = {"body": body, "headers": {}}
    maybe_compress_request(Config(request_min_compression_size_bytes=1000, signature_version="v4"), sent, operation)
    assert sent["headers"]["Content-Encoding"] == "gzip"
    assert unpacked(sent["body"]) == body


def test_an_objects_encoding_is_its_own(cloud: InProcessCloud) -> None:
    assert ask(cloud, "PUT", "/packed-bucket", b"", "s3", {})[0] == 200
    data = gzip.compress(b"page")
    assert ask(cloud, "PUT", "/packed-bucket/k", data, "s3", {"content-encoding": "gzip"})[0] == 200
    assert ask(cloud, "GET", "/packed-bucket/k", b"", "s3", {}) == (200, data)


CRC = b64encode(zlib.crc32(b"hello").to_bytes(4, "big")).decode()
SHA = b64encode(sha256(b"hello").digest()).decode()


@pytest.mark.parametrize(
    "headers, words",
    [
        ({"x-amz-checksum-crc32": CRC}, None),
        ({"x-amz-checksum-crc32": CRC, "x-amz-sdk-checksum-algorithm": "CRC32"}, None),
        ({"x-amz-checksum-crc32": "AAAAAA=="}, b"BadDigest"),
        ({"x-amz-checksum-crc32": CRC, "x-amz-checksum-sha256": SHA}, b"Expecting a single x-amz-checksum- header"),
        ({"x-amz-sdk-checksum-algorithm": "CRC32"}, b"no corresponding x-amz-checksum-* or x-amz-trailer headers"),
        ({"x-amz-sdk-checksum-algorithm": "SHA256", "x-amz-checksum-crc32": CRC}, b"no corresponding"),
    ],
)
def test_what_a_body_says_of_itself(cloud: InProcessCloud, headers: dict[str, str], words: bytes | None) -> None:
    assert ask(cloud, "PUT", "/sums", b"", "s3", {})[0] == 200
    status, content = ask(cloud, "PUT", "/sums/k", b"hello", "s3", headers)
    assert (status, content) == (200, b"") if words is None else (status == 400 and words in content)


def test_the_checksum_of_a_whole_multipart_object_is_not_its_requests(cloud: InProcessCloud) -> None:
    """CompleteMultipartUpload's x-amz-checksum- header is of the object; the request's own body is XML."""
    assert ask(cloud, "PUT", "/whole", b"", "s3", {})[0] == 200
    headers = {"x-amz-checksum-algorithm": "CRC32", "x-amz-checksum-type": "FULL_OBJECT"}
    _, created = ask(cloud, "POST", "/whole/k", b"", "s3", headers, "uploads=")
    upload = created.split(b"<UploadId>")[1].split(b"<")[0].decode()
    assert ask(cloud, "PUT", "/whole/k", b"hello", "s3", {"x-amz-checksum-crc32": CRC}, f"partNumber=1&uploadId={upload}")[0] == 200
    part = f"<Part><PartNumber>1</PartNumber><ETag>5d41402abc4b2a76b9719d911017c592</ETag><ChecksumCRC32>{CRC}</ChecksumCRC32></Part>"
    body = f"<CompleteMultipartUpload>{part}</CompleteMultipartUpload>".encode()
    answer = ask(
        cloud, "POST", "/whole/k", body, "s3", {"x-amz-checksum-crc32": CRC, "x-amz-checksum-type": "FULL_OBJECT"}, f"uploadId={upload}"
    )
    assert answer[0] == 200 and CRC.encode() in answer[1]


@given(st.lists(st.binary(min_size=1, max_size=600_000 // 200), max_size=3), st.sampled_from([(32, 0x82F63B78), (64, 0x9A6C9329AC4BC9B5)]))
def test_a_library_goes_on_where_ours_stopped(parts: list[bytes], crc: tuple[int, int]) -> None:
    """Blocks by turns through a native function (here ours, in its clothes) and through the folding."""
    asked: list[int] = []

    def native(data: bytes, before: int) -> int:
        asked.append(len(data))
        register = checksums.FoldedCrc(*crc, lambda: None)
        register._register = before ^ register._polynomial.ones
        register.update(data)
        return int.from_bytes(register.digest(), "big")

    large = bytes(1 << 18)
    mixed, plain = checksums.FoldedCrc(*crc, lambda: native), checksums.FoldedCrc(*crc, lambda: None)
    for part in [*parts, large]:
        mixed.update(part)
        plain.update(part)
    assert mixed.digest() == plain.digest()
    assert asked == [len(large)]


@pytest.mark.parametrize("name", ["crc32c", "crc64nvme"])
def test_awss_own_library_agrees(name: str) -> None:
    crt = pytest.importorskip("awscrt.checksums", reason="awscrt is not installed (pip install windtunnel[fast])")
    data = bytes(range(256)) * 2000
    ours = (
        checksums.FoldedCrc(32, 0x82F63B78, lambda: None) if name == "crc32c" else checksums.FoldedCrc(64, 0x9A6C9329AC4BC9B5, lambda: None)
    )
    ours.update(data)
    assert int.from_bytes(ours.digest(), "big") == getattr(crt, name)(data, 0)

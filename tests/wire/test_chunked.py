"""Streamed uploads: AWS's documented example, botocore's own chunks, every cut and every forgery."""

import base64
import hmac
import io
import zlib
from hashlib import sha256
from typing import Any

import pytest
from botocore.httpchecksum import AwsChunkedWrapper, Crc32Checksum
from hypothesis import given
from hypothesis import strategies as st

from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.principal import Credential, Principal
from windtunnel.wire import checksums
from windtunnel.wire.canonical import EMPTY_SHA256, signing_key
from windtunnel.wire.chunked import ChunkedDecoder, PlainBody, body_reader
from windtunnel.wire.sigv4 import Signed, Verified

SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
SCOPE = "20130524/us-east-1/s3/aws4_request"
STAMP = "20130524T000000Z"
SEED = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"
KEY = signing_key(SECRET, "20130524", "us-east-1", "s3")


def verified(payload: Any) -> Verified:
    signed = Signed(f"AKIAIOSFODNN7EXAMPLE/{SCOPE}", "host", False)
    return Verified(Credential("AKIAIOSFODNN7EXAMPLE", SECRET, Principal.root("1")), signed, payload, "", KEY, STAMP, SEED)


def chunked(pieces: list[bytes], trailers: list[tuple[str, str]] | None = None) -> bytes:
    """A signed body, made from the specification rather than from the reader."""
    out, previous = b"", SEED
    for piece in [*pieces, b""]:
        text = f"AWS4-HMAC-SHA256-PAYLOAD\n{STAMP}\n{SCOPE}\n{previous}\n{EMPTY_SHA256}\n{sha256(piece).hexdigest()}"
        previous = hmac.digest(KEY, text.encode(), "sha256").hex()
        out += b"%x;chunk-signature=%s\r\n" % (len(piece), previous.encode()) + piece + (b"\r\n" if piece else b"")
    if trailers is not None:
        block = "".join(f"{name}:{value}\n" for name, value in trailers)
        text = f"AWS4-HMAC-SHA256-TRAILER\n{STAMP}\n{SCOPE}\n{previous}\n{sha256(block.encode()).hexdigest()}"
        out += block.replace("\n", "\r\n").encode()
        out += b"x-amz-trailer-signature:" + hmac.digest(KEY, text.encode(), "sha256").hex().encode() + b"\r\n"
    return out + b"\r\n"


def read(decoder: ChunkedDecoder | PlainBody, wire: bytes, step: int = 1 << 30) -> bytes:
    out = b"".join(decoder.feed(wire[at : at + step]) for at in range(0, len(wire), step))
    return out + decoder.finish()


def test_the_example_of_the_api_reference() -> None:
    """docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html: 65 KiB of "a" in chunks of 64 KiB."""
    wire = (
        b"10000;chunk-signature=ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648\r\n" + b"a" * 65536 + b"\r\n"
        b"400;chunk-signature=0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497\r\n" + b"a" * 1024 + b"\r\n"
        b"0;chunk-signature=b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9\r\n\r\n"
    )
    assert wire == chunked([b"a" * 65536, b"a" * 1024])
    for step in (1, 7, 1000, 1 << 30):
        assert read(ChunkedDecoder(verified("chunks"), {"x-amz-decoded-content-length": "66560"}), wire, step) == b"a" * 66560


@pytest.mark.parametrize("size", [0, 1, 5, 65536, 200_001])
def test_what_botocore_sends_over_tls(size: int) -> None:
    data = bytes(range(256)) * (size // 256) + bytes(size % 256)
    wire = AwsChunkedWrapper(io.BytesIO(data), checksum_cls=Crc32Checksum, checksum_name="x-amz-checksum-crc32", chunk_size=65536).read()
    headers = {"x-amz-decoded-content-length": str(size), "x-amz-trailer": "x-amz-checksum-crc32"}
    decoder = ChunkedDecoder(verified("chunks-unsigned-trailer"), headers)
    assert read(decoder, wire, 4096) == data
    assert decoder.checksums == [("crc32", base64.b64encode(zlib.crc32(data).to_bytes(4, "big")).decode())]


@given(
    st.lists(st.binary(min_size=1, max_size=300), max_size=6),
    st.integers(1, 50),
    st.sampled_from(["crc32", "crc32c", "crc64nvme", "sha1", "sha256"]),
)
def test_signed_chunks_with_a_signed_trailer(pieces: list[bytes], step: int, algorithm: str) -> None:
    data = b"".join(pieces)
    trailer = (f"x-amz-checksum-{algorithm}", checksums.compute(algorithm, data))
    headers = {"x-amz-decoded-content-length": str(len(data)), "x-amz-trailer": trailer[0]}
    decoder = ChunkedDecoder(verified("chunks-trailer"), headers)
    assert read(decoder, chunked(pieces, [trailer]), step) == data
    assert decoder.checksums == [(algorithm, trailer[1])]


GOOD = chunked([b"hello ", b"world"])
LENGTH = {"x-amz-decoded-content-length": "11"}


@pytest.mark.parametrize("cut", range(len(GOOD)))
def test_a_body_cut_anywhere_is_incomplete(cut: int) -> None:
    with pytest.raises(AwsError, match="IncompleteBody"):
        read(ChunkedDecoder(verified("chunks"), LENGTH), GOOD[:cut])


@pytest.mark.parametrize(
    "wire, headers, code",
    [
        pytest.param(GOOD.replace(b"hello", b"jello"), LENGTH, "SignatureDoesNotMatch", id="changed data"),
        pytest.param(
            GOOD.replace(b"6;chunk-signature=", b"6;chunk-signature=0")[:-1], LENGTH, "InvalidRequest", id="a malformed signature"
        ),
        pytest.param(b"6\r\nhello \r\n5\r\nworld\r\n0\r\n\r\n", LENGTH, "InvalidRequest", id="no signatures"),
        pytest.param(GOOD, {"x-amz-decoded-content-length": "10"}, "IncompleteBody", id="longer than declared"),
        pytest.param(GOOD, {"x-amz-decoded-content-length": "12"}, "IncompleteBody", id="shorter than declared"),
        pytest.param(GOOD, {"x-amz-decoded-content-length": "-1"}, "MissingContentLength", id="a negative length"),
        pytest.param(GOOD, {}, "MissingContentLength", id="no length"),
        pytest.param(GOOD + b"0", LENGTH, "InvalidRequest", id="more after the end"),
        pytest.param(b"zz;chunk-signature=0\r\n", LENGTH, "InvalidRequest", id="no number"),
        pytest.param(b"6" * 9000, LENGTH, "InvalidRequest", id="an endless header"),
        pytest.param(b"ffffffffffffffff;chunk-signature=" + b"0" * 64 + b"\r\n", LENGTH, "IncompleteBody", id="an absurd size"),
        pytest.param(
            chunked([b"hello ", b"world"], [("x-amz-checksum-crc32", "AAAAAA==")]),
            LENGTH,
            "MalformedTrailerError",
            id="a trailer where none may be",
        ),
    ],
)
def test_forged_and_broken_bodies(wire: bytes, headers: dict[str, str], code: str) -> None:
    with pytest.raises(AwsError) as caught:
        read(ChunkedDecoder(verified("chunks"), headers), wire, 3)
    assert caught.value.code == code


CRC = checksums.compute("crc32", b"hello")


@pytest.mark.parametrize(
    "trailer, declared, code",
    [
        pytest.param(f"x-amz-checksum-crc32:{CRC}\r\n", "x-amz-checksum-crc32", None, id="right"),
        pytest.param("x-amz-checksum-crc32:AAAAAA==\r\n", "x-amz-checksum-crc32", "BadDigest", id="wrong"),
        pytest.param("x-amz-checksum-crc32:A\r\n", "x-amz-checksum-crc32", "InvalidRequest", id="no base64"),
        pytest.param("", "x-amz-checksum-crc32", "MalformedTrailerError", id="missing"),
        pytest.param(f"x-amz-checksum-crc32:{CRC}\r\n", "", "MalformedTrailerError", id="not declared"),
        pytest.param(f"x-amz-checksum-crc32:{CRC}\r\n" * 2, "x-amz-checksum-crc32", "MalformedTrailerError", id="twice"),
        pytest.param("no colon\r\n", "x-amz-checksum-crc32", "MalformedTrailerError", id="malformed"),
        pytest.param("x-amz-checksum-xxhash64:AAAAAA==\r\n", "x-amz-checksum-xxhash64", "NotImplemented", id="an algorithm we lack"),
    ],
)
def test_trailers(trailer: str, declared: str, code: str | None) -> None:
    wire = b"5\r\nhello\r\n0\r\n" + trailer.encode() + b"\r\n"
    headers = {"x-amz-decoded-content-length": "5", "x-amz-trailer": declared}
    if code is None:
        assert read(ChunkedDecoder(verified("chunks-unsigned-trailer"), headers), wire) == b"hello"
        return
    with pytest.raises(AwsError) as caught:
        read(ChunkedDecoder(verified("chunks-unsigned-trailer"), headers), wire)
    assert caught.value.code == code


MD5 = base64.b64encode(bytes.fromhex("5d41402abc4b2a76b9719d911017c592")).decode()


@pytest.mark.parametrize(
    "headers, code",
    [
        pytest.param({"x-amz-checksum-crc32": CRC, "content-md5": MD5, "x-amz-checksum-algorithm": "CRC32"}, None, id="right"),
        pytest.param({"x-amz-checksum-crc32": "AAAAAA=="}, "BadDigest", id="wrong"),
        pytest.param({"content-md5": MD5.replace("X", "Y")}, "BadDigest", id="another md5"),
        pytest.param({"content-md5": "eA=="}, "InvalidDigest", id="no md5"),
    ],
)
def test_a_plain_body_is_checked_against_its_headers(headers: dict[str, str], code: str | None) -> None:
    if code is None:
        reader = body_reader(None, headers)
        assert read(reader, b"hello", 2) == b"hello"
        assert reader.checksums == [("crc32", CRC)]
        return
    with pytest.raises(AwsError) as caught:
        read(body_reader(None, headers), b"hello", 2)
    assert caught.value.code == code


@pytest.mark.parametrize(
    "algorithm, expected",
    [
        ("crc32", "cbf43926"),
        ("crc32c", "e3069283"),
        ("crc64nvme", "ae8b14860a799888"),
        ("sha1", "f7c3bc1d808e04732adf679965ccc34ca7ae3441"),
    ],
)
def test_the_catalogues_check_values(algorithm: str, expected: str) -> None:
    assert base64.b64decode(checksums.compute(algorithm, b"123456789")).hex() == expected


@given(st.binary(max_size=3000), st.integers(0, 3000), st.sampled_from([(32, 0x82F63B78, "crc32c"), (64, 0x9A6C9329AC4BC9B5, "crc64nvme")]))
def test_folding_equals_bit_by_bit(data: bytes, split: int, crc: tuple[int, int, str]) -> None:
    width, poly, name = crc
    register = (1 << width) - 1
    for byte in data:
        register ^= byte
        for _ in range(8):
            register = register >> 1 ^ (poly if register & 1 else 0)
    digest = checksums.new_digest(name)
    digest.update(data[:split])
    digest.update(data[split:])
    assert digest.digest() == (register ^ (1 << width) - 1).to_bytes(width // 8, "big")

"""Encryption at rest: what lies on disk is ciphertext, what was altered is not given back, and a customer's key is really needed."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness import InProcessCloud
from windtunnel.kernel.clock import FixedClock
from windtunnel.kernel.cloud import BlobRange, DamagedBlob
from windtunnel.kernel.errors import AwsError
from windtunnel.store.blobs import FileBlobs
from windtunnel.store.sealing import RootKeySealer

MARK = b"what nobody may read on the disk "
SMALL, LARGE = MARK * 20, MARK * 20_000
KEY, OTHER = bytes(range(32)), bytes(32)


def customer(key: bytes = KEY, prefix: str = "") -> dict[str, str]:
    return {
        f"{prefix}sse_customer_algorithm": "AES256",
        f"{prefix}sse_customer_key": base64.b64encode(key).decode(),
        f"{prefix}sse_customer_key_md5": base64.b64encode(hashlib.md5(key).digest()).decode(),
    }


@pytest.fixture()
def cloud(tmp_path: Path) -> Iterator[InProcessCloud]:
    with InProcessCloud(tmp_path, clock=FixedClock()) as started:
        started.api("s3", "CreateBucket", bucket="box")
        yield started


def put(cloud: InProcessCloud, key: str, data: bytes, **args: Any) -> Any:
    return cloud.api("s3", "PutObject", bucket="box", key=key, body=data, **args)


def content(cloud: InProcessCloud, key: str, **args: Any) -> bytes:
    body = cloud.api("s3", "GetObject", bucket="box", key=key, **args)["Body"]
    return b"".join(cloud.cloud.blobs.stream(body))


def refused(cloud: InProcessCloud, operation: str, **args: Any) -> str:
    with pytest.raises(AwsError) as caught:
        cloud.api("s3", operation, bucket="box", **args)
    return caught.value.code


def on_disk(data: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(data.rglob("*")) if path.is_file())


@pytest.mark.parametrize("sse", [{}, customer()], ids=["S3's key", "a customer's key"])
@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["in the row", "in a file"])
def test_nothing_of_an_object_lies_on_the_disk_in_the_clear(
    cloud: InProcessCloud, tmp_path: Path, data: bytes, sse: dict[str, str]
) -> None:
    put(cloud, "k", data, **sse)
    assert content(cloud, "k", **sse) == data
    written = on_disk(tmp_path)
    assert MARK not in written
    assert base64.b64encode(MARK[:30]) not in written


def test_a_file_is_named_by_what_lies_in_it(cloud: InProcessCloud, tmp_path: Path) -> None:
    put(cloud, "k", LARGE)
    (file,) = [path for path in (tmp_path / "blobs").rglob("*") if path.is_file()]
    assert hashlib.sha256(file.read_bytes()).hexdigest() == file.name


@pytest.mark.parametrize("size", [0, 1, 65535, 65536, 65537, 16384, 16385, 200_000])
def test_every_length_and_range_reads_back(tmp_path: Path, size: int) -> None:
    blobs = FileBlobs(tmp_path / "blobs", lambda: RootKeySealer(KEY))
    data = os.urandom(size)
    writer = blobs.writer()
    for at in range(0, size, 10_007):
        writer.write(data[at : at + 10_007])
    ref = writer.finish()
    assert blobs.read(ref) == data
    for start, length in ((0, 1), (65535, 2), (size - 1, 1), (1, size - 2), (65536, 65536)):
        if start >= 0 and 0 < length <= size - start:
            assert blobs.read(ref, start, length) == data[start : start + length]
            assert b"".join(blobs.stream(BlobRange(ref, start, length), 70_000)) == data[start : start + length]


def altered(file: Path, at: int) -> None:
    raw = bytearray(file.read_bytes())
    raw[at] ^= 1
    file.write_bytes(raw)


def truncated(file: Path, at: int) -> None:
    file.write_bytes(file.read_bytes()[:at])


def swapped(file: Path, at: int) -> None:
    raw = file.read_bytes()
    sealed = 65536 + 16
    file.write_bytes(raw[sealed : 2 * sealed] + raw[:sealed] + raw[2 * sealed :])


def gone(file: Path, at: int) -> None:
    file.unlink()


@pytest.mark.parametrize("damage", [altered, truncated, swapped, gone])
@pytest.mark.parametrize("at", [0, 65_536, 300_000])
def test_damage_is_found_and_never_handed_on(cloud: InProcessCloud, tmp_path: Path, damage: Any, at: int) -> None:
    put(cloud, "k", LARGE)
    (file,) = [path for path in (tmp_path / "blobs").rglob("*") if path.is_file()]
    damage(file, at)
    body = cloud.api("s3", "GetObject", bucket="box", key="k")["Body"]
    got = b""
    with pytest.raises(DamagedBlob):
        for piece in cloud.cloud.blobs.stream(body):
            got += piece
    assert LARGE.startswith(got)
    assert len(got) < len(LARGE)


def test_a_file_of_a_release_before_encryption_is_read_and_its_damage_found(cloud: InProcessCloud, tmp_path: Path) -> None:
    name = hashlib.sha256(LARGE).hexdigest()
    put(cloud, "k", LARGE)
    plain = tmp_path / "blobs" / name[:2] / name
    plain.parent.mkdir(exist_ok=True)
    plain.write_bytes(LARGE)
    size = len(LARGE)
    piece = {"ref": {"sha256": name, "size": size, "md5": "m", "inline": None}, "offset": 0, "length": size}
    row = {"bucket": "box", "name": "k", "number": 1, "version_id": "null", "modified": 1.0, "marker": False, "size": size, "etag": "e"}
    row |= {"described": {}, "checksums": {}, "checksum_type": "FULL_OBJECT", "parts": [], "content": [piece], "upload": ""}
    body = json.dumps(row).encode()
    cloud.write(lambda ctx: ctx.tx.connection.execute("UPDATE doc SET body=? WHERE kind='s3.object'", (body,)) and None)
    assert content(cloud, "k") == LARGE
    altered(plain, 12345)
    with pytest.raises(DamagedBlob):
        content(cloud, "k")


def test_altered_inline_bytes_are_found(cloud: InProcessCloud, tmp_path: Path) -> None:
    put(cloud, "k", SMALL)

    def alter(ctx: Any) -> None:
        db: sqlite3.Connection = ctx.tx.connection
        ((body,),) = db.execute("SELECT body FROM doc WHERE kind='s3.object'").fetchall()
        at = body.index(b'"inline":"') + 60
        db.execute(
            "UPDATE doc SET body=? WHERE kind='s3.object'", (body[:at] + (b"A" if body[at : at + 1] != b"A" else b"B") + body[at + 1 :],)
        )

    cloud.write(alter)
    with pytest.raises(DamagedBlob):
        content(cloud, "k")


# -- a customer's key -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [b"", SMALL, LARGE], ids=["empty", "in the row", "in a file"])
def test_a_customers_key_is_needed_to_read(cloud: InProcessCloud, data: bytes) -> None:
    reply = put(cloud, "k", data, **customer())
    assert reply["SSECustomerAlgorithm"] == "AES256"
    assert "ServerSideEncryption" not in reply
    assert content(cloud, "k", **customer()) == data
    assert refused(cloud, "GetObject", key="k") == "InvalidRequest"
    assert refused(cloud, "HeadObject", key="k") == "InvalidRequest"
    assert refused(cloud, "GetObject", key="k", **customer(OTHER)) == "AccessDenied"
    put(cloud, "plain", data)
    assert refused(cloud, "GetObject", key="plain", **customer()) == "InvalidRequest"


@pytest.mark.parametrize(
    "wrong, code",
    [
        pytest.param({"sse_customer_key_md5": None}, "InvalidArgument", id="no MD5"),
        pytest.param({"sse_customer_key": None}, "InvalidArgument", id="no key"),
        pytest.param({"sse_customer_algorithm": None}, "InvalidArgument", id="no algorithm"),
        pytest.param({"sse_customer_algorithm": "AES128"}, "InvalidEncryptionAlgorithmError", id="another algorithm"),
        pytest.param({"sse_customer_key": base64.b64encode(b"short").decode()}, "InvalidArgument", id="a short key"),
        pytest.param({"sse_customer_key": "%%%"}, "InvalidArgument", id="no base64"),
        pytest.param({"sse_customer_key_md5": base64.b64encode(bytes(16)).decode()}, "InvalidArgument", id="another key's MD5"),
        pytest.param({"server_side_encryption": "AES256"}, "InvalidArgument", id="both kinds"),
    ],
)
def test_customer_key_headers_are_checked(cloud: InProcessCloud, wrong: dict[str, Any], code: str) -> None:
    args = {name: value for name, value in {**customer(), **wrong}.items() if value is not None}
    assert refused(cloud, "PutObject", key="k", body=b"x", **args) == code


def test_copies_change_the_key(cloud: InProcessCloud) -> None:
    put(cloud, "a", LARGE, **customer())
    put(cloud, "small", SMALL, **customer())
    assert refused(cloud, "CopyObject", key="b", copy_source="box/a") == "InvalidRequest"
    for key, data in (("a", LARGE), ("small", SMALL)):
        cloud.api("s3", "CopyObject", bucket="box", key="b", copy_source=f"box/{key}", **customer(prefix="copy_source_"))
        assert content(cloud, "b") == data
        cloud.api("s3", "CopyObject", bucket="box", key="c", copy_source="box/b", **customer(OTHER))
        assert content(cloud, "c", **customer(OTHER)) == data
        assert refused(cloud, "GetObject", key="c", **customer()) == "AccessDenied"


def test_parts_come_with_the_uploads_key(cloud: InProcessCloud) -> None:
    part = LARGE * 9
    upload = cloud.api("s3", "CreateMultipartUpload", bucket="box", key="m", **customer())["UploadId"]
    named = {"key": "m", "upload_id": upload, "part_number": 1}
    assert refused(cloud, "UploadPart", body=part, **named) == "InvalidRequest"
    assert refused(cloud, "UploadPart", body=part, **named, **customer(OTHER)) == "InvalidRequest"
    first = cloud.api("s3", "UploadPart", bucket="box", body=part, **named, **customer())["ETag"]
    put(cloud, "source", SMALL)
    second = cloud.api(
        "s3", "UploadPartCopy", bucket="box", key="m", upload_id=upload, part_number=2, copy_source="box/source", **customer()
    )["CopyPartResult"]["ETag"]
    parts = [{"PartNumber": 1, "ETag": first}, {"PartNumber": 2, "ETag": second}]
    cloud.api("s3", "CompleteMultipartUpload", bucket="box", key="m", upload_id=upload, multipart_upload={"Parts": parts})
    assert content(cloud, "m", **customer()) == part + SMALL
    assert content(cloud, "m", range="bytes=5939990-5940009", **customer()) == (part + SMALL)[5939990:5940010]
    assert refused(cloud, "GetObject", key="m") == "InvalidRequest"


def test_a_bucket_may_block_customer_keys(cloud: InProcessCloud) -> None:
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}, "BlockedEncryptionTypes": {"EncryptionType": ["SSE-C"]}}
    cloud.api("s3", "PutBucketEncryption", bucket="box", server_side_encryption_configuration={"Rules": [rule]})
    assert refused(cloud, "PutObject", key="k", body=b"x", **customer()) == "AccessDenied"


def test_what_is_no_encryption_here_is_refused_by_name(cloud: InProcessCloud) -> None:
    assert refused(cloud, "PutObject", key="k", body=b"x", server_side_encryption="aws:kms:dsse") == "NotImplemented"
    assert refused(cloud, "PutObject", key="k", body=b"x", server_side_encryption="rot13") == "InvalidEncryptionAlgorithmError"
    assert refused(cloud, "PutObject", key="k", body=b"x", ssekms_key_id="k") == "InvalidArgument"

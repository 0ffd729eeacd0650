"""Multipart uploads: parts become an object, in order, once, with S3's checks and checksums."""

from __future__ import annotations

import hashlib
import zlib
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness import InProcessCloud
from windtunnel.kernel.cloud import Body
from windtunnel.kernel.errors import AwsError
from windtunnel.services.s3 import checksums

FIVE = 5 * 1024 * 1024
PARTS = [b"a" * FIVE, b"b" * (FIVE + 1), b"tail"]


@pytest.fixture()
def cloud(tmp_path: Path) -> Iterator[InProcessCloud]:
    with InProcessCloud(tmp_path) as started:
        started.api("s3", "CreateBucket", bucket="box")
        yield started


class Upload:
    def __init__(self, cloud: InProcessCloud, key: str = "big", **args: Any) -> None:
        self.cloud, self.key = cloud, key
        self.reply = cloud.api("s3", "CreateMultipartUpload", bucket="box", key=key, **args)
        self.id = self.reply["UploadId"]

    def call(self, operation: str, **args: Any) -> Any:
        return self.cloud.api("s3", operation, bucket="box", key=self.key, upload_id=self.id, **args)

    def part(self, number: int, data: bytes | Body) -> dict[str, Any]:
        return {"PartNumber": number, "ETag": self.call("UploadPart", part_number=number, body=data)["ETag"]}

    def complete(self, parts: list[dict[str, Any]], **args: Any) -> Any:
        return self.call("CompleteMultipartUpload", multipart_upload={"Parts": parts}, **args)


def content(cloud: InProcessCloud, key: str, **args: Any) -> bytes:
    return b"".join(cloud.cloud.blobs.stream(cloud.api("s3", "GetObject", bucket="box", key=key, **args)["Body"]))


def test_parts_become_an_object(cloud: InProcessCloud) -> None:
    upload = Upload(cloud, metadata={"m": "1"})
    third, first = upload.part(30, PARTS[2]), upload.part(1, b"overwritten by the next")
    first, second = upload.part(1, PARTS[0]), upload.part(2, PARTS[1])
    listed = upload.call("ListParts", max_parts=2)
    assert ([part["PartNumber"] for part in listed["Parts"]], listed["IsTruncated"]) == ([1, 2], True)
    rest = upload.call("ListParts", part_number_marker=listed["NextPartNumberMarker"])
    assert ([part["PartNumber"] for part in rest["Parts"]], rest["IsTruncated"]) == ([30], False)
    done = upload.complete([first, second, third], mpu_object_size=sum(map(len, PARTS)))
    joined = b"".join(hashlib.md5(part).digest() for part in PARTS)
    assert done["ETag"] == f'"{hashlib.md5(joined).hexdigest()}-3"'
    assert content(cloud, "big") == b"".join(PARTS)
    assert content(cloud, "big", range=f"bytes={FIVE - 1}-{2 * FIVE + 2}") == b"a" + PARTS[1] + b"ta"
    assert content(cloud, "big", part_number=2) == PARTS[1]
    head = cloud.api("s3", "HeadObject", bucket="box", key="big", part_number=3)
    assert (head["PartsCount"], head["ContentLength"], head["Metadata"]) == (3, 4, {"m": "1"})
    attributes = cloud.api("s3", "GetObjectAttributes", bucket="box", key="big", object_attributes=["ObjectParts", "ObjectSize", "ETag"])
    assert attributes["ObjectParts"] == {"TotalPartsCount": 3}
    assert (attributes["ObjectSize"], attributes["ETag"]) == (sum(map(len, PARTS)), done["ETag"].strip('"'))


def test_completing_again_gives_the_same_answer(cloud: InProcessCloud) -> None:
    upload = Upload(cloud)
    part = upload.part(1, b"only")
    assert upload.complete([part]) == upload.complete([part])
    with pytest.raises(AwsError, match="NoSuchUpload"):
        upload.call("ListParts")


@pytest.mark.parametrize(
    "parts, code",
    [
        pytest.param([2, 1], "InvalidPartOrder", id="out of order"),
        pytest.param([1, 1], "InvalidPartOrder", id="twice the same"),
        pytest.param([1, 3], "InvalidPart", id="one that is not there"),
        pytest.param([1, 2], "EntityTooSmall", id="a small part before the last"),
        pytest.param([], "MalformedXML", id="none"),
    ],
)
def test_what_cannot_be_completed_stays_an_upload(cloud: InProcessCloud, parts: list[int], code: str) -> None:
    upload = Upload(cloud)
    sent = {number: upload.part(number, b"small") for number in (1, 2)}
    with pytest.raises(AwsError) as caught:
        upload.complete([sent.get(number, {"PartNumber": number, "ETag": "x"}) for number in parts])
    assert caught.value.code == code
    assert len(upload.call("ListParts")["Parts"]) == 2
    upload.call("AbortMultipartUpload")
    assert cloud.api("s3", "ListMultipartUploads", bucket="box")["Uploads"] == []


@pytest.mark.parametrize("number", [0, 10001])
def test_part_numbers_have_bounds(cloud: InProcessCloud, number: int) -> None:
    with pytest.raises(AwsError, match="InvalidArgument"):
        Upload(cloud).part(number, b"x")


def test_a_part_may_be_a_range_of_another_object(cloud: InProcessCloud) -> None:
    source = bytes(range(256)) * 30000
    cloud.api("s3", "PutObject", bucket="box", key="source", body=source)
    upload = Upload(cloud)
    ranges = [f"bytes=0-{FIVE - 1}", f"bytes={FIVE}-{len(source) - 1}"]
    parts = []
    for number, part_range in enumerate(ranges, 1):
        reply = upload.call("UploadPartCopy", part_number=number, copy_source="box/source", copy_source_range=part_range)
        parts.append({"PartNumber": number, "ETag": reply["CopyPartResult"]["ETag"]})
    upload.complete(parts)
    cloud.api("s3", "DeleteObject", bucket="box", key="source")
    assert content(cloud, "big") == source
    assert content(cloud, "big", range=f"bytes={FIVE - 2}-{FIVE + 1}") == source[FIVE - 2 : FIVE + 2]


def staged(cloud: InProcessCloud, data: bytes, algorithm: str) -> Body:
    return Body(cloud.cloud.blobs.put(data), ((algorithm.lower(), b64encode(checksums.digest(algorithm, data)).decode()),))


def test_checksums_of_parts_are_combined(cloud: InProcessCloud) -> None:
    data = [b"a" * FIVE, b"b"]
    whole, composite = (
        Upload(cloud, "w", checksum_algorithm="CRC32", checksum_type="FULL_OBJECT"),
        Upload(cloud, checksum_algorithm="CRC32"),
    )
    assert composite.reply["ChecksumType"] == "COMPOSITE"
    for upload in (whole, composite):
        bodies = [staged(cloud, piece, "CRC32") for piece in data]
        parts = [upload.part(n, body) for n, body in enumerate(bodies, 1)]
        if upload is composite:
            with pytest.raises(AwsError, match="must include the checksum for each part. It was missing for part 1"):
                upload.complete(parts)
            parts = [{**part, "ChecksumCRC32": body.checksums[0][1]} for part, body in zip(parts, bodies, strict=True)]
            with pytest.raises(AwsError, match="InvalidPart"):
                upload.complete([{**parts[0], "ChecksumCRC32": "AAAAAA=="}, parts[1]])
        else:
            with pytest.raises(AwsError, match="BadDigest"):
                upload.complete(parts, checksum_crc32="AAAAAA==")
            with pytest.raises(AwsError, match="FULL_OBJECT checksum mode"):
                upload.complete(parts, checksum_type="COMPOSITE")
        upload.complete(parts)
    raw = [zlib.crc32(piece).to_bytes(4, "big") for piece in data]
    expected = {
        "w": (b64encode(zlib.crc32(b"".join(data)).to_bytes(4, "big")).decode(), "FULL_OBJECT"),
        "big": (b64encode(zlib.crc32(b"".join(raw)).to_bytes(4, "big")).decode() + "-2", "COMPOSITE"),
    }
    for key, (value, kind) in expected.items():
        head = cloud.api("s3", "HeadObject", bucket="box", key=key, checksum_mode="ENABLED")
        assert (head["ChecksumCRC32"], head["ChecksumType"]) == (value, kind)
        assert "ChecksumCRC32" not in cloud.api("s3", "HeadObject", bucket="box", key=key)
    wrong = Upload(cloud, checksum_algorithm="SHA256")
    with pytest.raises(AwsError, match="Checksum Type mismatch"):
        wrong.part(1, staged(cloud, b"x", "CRC32"))


@settings(max_examples=30, deadline=None)
@given(pieces=st.lists(st.binary(max_size=200), min_size=1, max_size=5), algorithm=st.sampled_from(["CRC32", "CRC32C", "CRC64NVME"]))
def test_crcs_of_parts_combine_to_the_crc_of_the_whole(pieces: list[bytes], algorithm: str) -> None:
    parts = [(b64encode(checksums.digest(algorithm, piece)).decode(), len(piece)) for piece in pieces]
    expected = b64encode(checksums.digest(algorithm, b"".join(pieces))).decode()
    assert checksums.combined(algorithm, "FULL_OBJECT", parts) == expected


def test_the_published_check_values() -> None:
    assert checksums.digest("CRC32C", b"123456789").hex() == "e3069283"
    assert checksums.digest("CRC64NVME", b"123456789").hex() == "ae8b14860a799888"


def test_uploads_in_progress_are_listed_by_key_and_start(cloud: InProcessCloud) -> None:
    uploads = [Upload(cloud, key) for key in ("b/2", "a", "b/1", "a")]
    every = cloud.api("s3", "ListMultipartUploads", bucket="box")["Uploads"]
    assert [item["Key"] for item in every] == ["a", "a", "b/1", "b/2"]
    assert {item["UploadId"] for item in every} == {upload.id for upload in uploads}
    grouped = cloud.api("s3", "ListMultipartUploads", bucket="box", delimiter="/", max_uploads=2)
    assert ([item["Key"] for item in grouped["Uploads"]], grouped["IsTruncated"]) == (["a", "a"], True)
    rest = cloud.api(
        "s3",
        "ListMultipartUploads",
        bucket="box",
        delimiter="/",
        key_marker=grouped["NextKeyMarker"],
        upload_id_marker=grouped["NextUploadIdMarker"],
    )
    assert (rest["Uploads"], rest["CommonPrefixes"], rest["IsTruncated"]) == ([], [{"Prefix": "b/"}], False)

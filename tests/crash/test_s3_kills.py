"""The store of objects under SIGKILL: what was acknowledged is there whole, what was not is there whole or not at all."""

from __future__ import annotations

import hashlib
import random
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

sys.path.insert(0, str(Path(__file__).parent))

from doomed import UNREACHED, DoomedCloud, patiently, until  # noqa: E402

pytestmark = pytest.mark.slow
KILLS = 6
WRITERS = 4
PART = 5 << 20


def content(key: str) -> bytes:
    """Small enough for the row, or large enough for a file, as the key says."""
    block = hashlib.sha256(key.encode()).digest()
    return block * (8 if "small" in key else 4000)


class Writer(threading.Thread):
    """Puts objects of its own until it is told to stop; `acknowledged` are those that the cloud said it has."""

    def __init__(self, cloud: DoomedCloud, number: int, ended: threading.Event) -> None:
        super().__init__(daemon=True)
        self.client = cloud.client("s3")
        self.acknowledged: set[str] = set()
        self.attempted: set[str] = set()
        self._number = number
        self._ended = ended

    def run(self) -> None:
        n = 0
        while not self._ended.is_set():
            key = f"{self._number}/{('small', 'large')[n % 2]}-{n:05d}"
            self.attempted.add(key)
            try:
                self.client.put_object(Bucket="box", Key=key, Body=content(key))
                self.acknowledged.add(key)
            except (*UNREACHED, ClientError):
                self._ended.wait(0.05)
            n += 1


def test_no_acknowledged_object_is_lost(tmp_path: Path) -> None:
    cloud = DoomedCloud(tmp_path / "data")
    draw = random.Random(7)
    stop = threading.Event()
    try:
        client = cloud.client("s3")
        client.create_bucket(Bucket="box")
        writers = [Writer(cloud, number, stop) for number in range(WRITERS)]
        for writer in writers:
            writer.start()
        for kills in range(1, KILLS + 1):
            before = sum(len(writer.acknowledged) for writer in writers)
            wanted = before + draw.randrange(5, 25)
            until(lambda wanted=wanted: sum(len(writer.acknowledged) for writer in writers) >= wanted, 60, "writes between kills")
            cloud.kill()
            until(lambda kills=kills: cloud.deaths == kills, 60, "the next start")
        stop.set()
        for writer in writers:
            writer.join(60)
        acknowledged = set().union(*(writer.acknowledged for writer in writers))
        attempted = set().union(*(writer.attempted for writer in writers))
        listed = keys_in(client, "box")
        assert acknowledged <= listed <= attempted
        for key in sorted(listed):
            assert patiently(lambda key=key: client.get_object(Bucket="box", Key=key))["Body"].read() == content(key), key
        cloud.kill()
        until(lambda: cloud.deaths == KILLS + 1, 60, "the last start")
        kept = files(tmp_path / "data")
        assert len(kept) == sum("large" in key for key in listed)
        assert all(hashlib.sha256(path.read_bytes()).hexdigest() == path.name for path in kept)
    finally:
        stop.set()
        cloud.stop()


def test_a_multipart_upload_goes_on_after_a_kill(tmp_path: Path) -> None:
    cloud = DoomedCloud(tmp_path / "data")
    try:
        client = cloud.client("s3")
        client.create_bucket(Bucket="box")
        upload = client.create_multipart_upload(Bucket="box", Key="big")["UploadId"]
        bodies = [bytes([n]) * PART for n in range(3)]
        parts = []
        for number, body in enumerate(bodies, 1):
            sent = {"Bucket": "box", "Key": "big", "UploadId": upload, "PartNumber": number, "Body": body}
            reply = patiently(lambda sent=sent: client.upload_part(**sent))
            parts.append({"PartNumber": number, "ETag": reply["ETag"], "ChecksumCRC32": reply["ChecksumCRC32"]})
            cloud.kill()
            until(lambda number=number: cloud.deaths == number, 60, "the next start")
        done = {"Bucket": "box", "Key": "big", "UploadId": upload, "MultipartUpload": {"Parts": parts}}
        first = patiently(lambda: client.complete_multipart_upload(**done))
        cloud.kill()
        until(lambda: cloud.deaths == len(bodies) + 1, 60, "the last start")
        again = patiently(lambda: client.complete_multipart_upload(**done))
        assert again["ETag"] == first["ETag"]
        assert patiently(lambda: client.get_object(Bucket="box", Key="big"))["Body"].read() == b"".join(bodies)
    finally:
        cloud.stop()


def keys_in(client: Any, bucket: str) -> set[str]:
    pages = patiently(lambda: list(client.get_paginator("list_objects_v2").paginate(Bucket=bucket)))
    return {item["Key"] for page in pages for item in page.get("Contents", [])}


def files(data: Path) -> set[Path]:
    return {path for path in (data / "blobs").rglob("*") if path.is_file()}

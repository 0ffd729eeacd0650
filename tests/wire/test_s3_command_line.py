"""The aws CLI's own `s3` commands and boto3's transfers against a real server: large files in parts, every checksum, virtual hosts."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from boto3.s3.transfer import TransferConfig
from botocore.config import Config

from windtunnel.labs.cloud import LabCloud

pytestmark = pytest.mark.slow
AWS = Path(sys.executable).with_name("aws")
LARGE = os.urandom(1 << 20) * 20


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabCloud]:
    if not AWS.exists():
        pytest.skip("the aws CLI is not installed beside this Python")
    directory = tmp_path_factory.mktemp("cli")
    cloud = LabCloud(directory / "data", directory / "log")
    cloud.start()
    try:
        yield cloud
    finally:
        cloud.stop()


@pytest.fixture()
def aws(lab: LabCloud, tmp_path: Path) -> Any:
    def run(*arguments: str, allow: tuple[int, ...] = (0,)) -> str:
        environment = {**os.environ, **lab.environment(), "AWS_PAGER": "", "HOME": str(tmp_path)}
        done = subprocess.run(
            [str(AWS), *arguments], env=environment, cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120
        )
        assert done.returncode in allow, f"aws {' '.join(arguments)} ended with {done.returncode}: {done.stdout}{done.stderr}"
        return done.stdout

    return run


def test_a_day_with_the_s3_commands(aws: Any, tmp_path: Path) -> None:
    aws("s3", "mb", "s3://day")
    aws("s3api", "wait", "bucket-exists", "--bucket", "day")
    (tmp_path / "site" / "deep").mkdir(parents=True)
    (tmp_path / "site" / "index.html").write_text("home")
    (tmp_path / "site" / "deep" / "ä b+c.txt").write_text("odd name")
    (tmp_path / "large").write_bytes(LARGE)
    aws("s3", "cp", "large", "s3://day/large", "--storage-class", "STANDARD_IA")
    aws("s3api", "wait", "object-exists", "--bucket", "day", "--key", "large")
    aws("s3", "cp", "s3://day/large", "back")
    assert (tmp_path / "back").read_bytes() == LARGE
    aws("s3", "sync", "site", "s3://day/site", "--delete", "--sse", "aws:kms")
    assert aws("s3", "sync", "site", "s3://day/site") == ""
    assert "deep/ä b+c.txt" in aws("s3", "ls", "s3://day/site/", "--recursive")
    aws("s3", "sync", "s3://day/site", "copy")
    assert (tmp_path / "copy" / "deep" / "ä b+c.txt").read_text() == "odd name"
    aws("s3", "mv", "s3://day/large", "s3://day/moved")
    aws("s3", "cp", "s3://day/site", "s3://day/again", "--recursive")
    listed = aws("s3", "ls", "s3://day", "--recursive", "--summarize")
    assert "moved" in listed
    assert "Total Objects: 5" in listed
    url = aws("s3", "presign", "s3://day/site/index.html").strip()
    assert httpx.get(url).text == "home"
    assert httpx.get(url.replace("index", "other")).status_code == 403
    aws("s3", "website", "s3://day", "--index-document", "index.html")
    assert '"Suffix": "index.html"' in aws("s3api", "get-bucket-website", "--bucket", "day")
    aws("s3", "rm", "s3://day/again", "--recursive")
    assert aws("s3", "ls", "s3://day/again/", allow=(0, 1)) == ""
    aws("s3", "rb", "s3://day", "--force")
    aws("s3api", "wait", "bucket-not-exists", "--bucket", "day")


def client(lab: LabCloud, **config: Any) -> Any:
    given = lab.environment()
    return boto3.client(
        "s3",
        endpoint_url=config.pop("endpoint", given["AWS_ENDPOINT_URL"]),
        region_name="us-east-1",
        aws_access_key_id=given["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=given["AWS_SECRET_ACCESS_KEY"],
        config=Config(retries={"total_max_attempts": 1}, **config),
    )


@pytest.mark.parametrize("algorithm", ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"])
def test_transfers_in_parts_with_every_checksum(lab: LabCloud, tmp_path: Path, algorithm: str) -> None:
    if algorithm in ("CRC32C", "CRC64NVME"):
        pytest.importorskip("awscrt", reason=f"boto3 computes {algorithm} with awscrt only")
    s3 = client(lab)
    s3.create_bucket(Bucket=f"sums-{algorithm.lower()}")
    (tmp_path / "large").write_bytes(LARGE)
    named = {"Bucket": f"sums-{algorithm.lower()}", "Key": "large"}
    parts = TransferConfig(multipart_threshold=5 << 20, multipart_chunksize=5 << 20)
    s3.upload_file(str(tmp_path / "large"), *named.values(), Config=parts, ExtraArgs={"ChecksumAlgorithm": algorithm})
    head = s3.head_object(**named, ChecksumMode="ENABLED")
    assert f"Checksum{algorithm}" in head
    s3.download_file(*named.values(), str(tmp_path / "back"), Config=parts)
    assert (tmp_path / "back").read_bytes() == LARGE


def test_a_bucket_as_a_host(lab: LabCloud) -> None:
    """Names under .localhost resolve in browsers and not everywhere else, so the name stands in `Host` here, as boto3 has signed it."""
    here = lab.environment()["AWS_ENDPOINT_URL"]
    client(lab).create_bucket(Bucket="by-host")
    hosted = client(lab, endpoint=here.replace("127.0.0.1", "s3.localhost"), s3={"addressing_style": "virtual"}, signature_version="s3v4")

    def ask(method: str, content: bytes | None = None) -> httpx.Response:
        url = httpx.URL(hosted.generate_presigned_url(f"{method}_object", {"Bucket": "by-host", "Key": "a/b"}))
        assert url.host == "by-host.s3.localhost"
        return httpx.request(method, url.copy_with(host="127.0.0.1"), headers={"Host": url.netloc.decode()}, content=content)

    assert ask("put", b"x").status_code == 200
    assert ask("get").text == "x"

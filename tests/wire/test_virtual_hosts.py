"""S3 by path and by name, as boto3 makes both: objects, listings, copies, presigned URLs of either version, multipart uploads, trailers."""

from typing import Any
from urllib.parse import urlsplit

import pytest

from clients import Door
from harness import InProcessCloud
from windtunnel.wire.core import Request

STYLES = [
    pytest.param("http://127.0.0.1:4566", "path", "127.0.0.1:4566", id="by path"),
    pytest.param("http://localhost:4566", "virtual", "mybox.localhost:4566", id="under localhost"),
    pytest.param("http://s3.localhost:4566", "virtual", "mybox.s3.localhost:4566", id="under s3.localhost"),
    pytest.param("https://s3.eu-west-1.amazonaws.com", "virtual", "mybox.s3.eu-west-1.amazonaws.com", id="under AWS's name"),
]


@pytest.mark.parametrize("payload", ["when_supported", "when_required"])
@pytest.mark.parametrize("endpoint, style, host", STYLES)
def test_every_way_to_an_object(cloud: InProcessCloud, endpoint: str, style: str, host: str, payload: str) -> None:
    door = Door(cloud)
    s3 = door.client("s3", endpoint=endpoint, s3={"addressing_style": style}, request_checksum_calculation=payload)
    hosts: set[str] = set()
    s3.meta.events.register("before-send", lambda request, **_: hosts.add(urlsplit(request.url).netloc), unique_id="hosts")
    s3.create_bucket(Bucket="mybox")
    s3.put_object(Bucket="mybox", Key="a/b c+é", Body=b"x" * 100_000)
    assert s3.get_object(Bucket="mybox", Key="a/b c+é")["Body"].read() == b"x" * 100_000
    s3.copy_object(Bucket="mybox", Key="copy", CopySource={"Bucket": "mybox", "Key": "a/b c+é"})
    assert [item["Key"] for item in s3.list_objects_v2(Bucket="mybox")["Contents"]] == ["a/b c+é", "copy"]
    upload = s3.create_multipart_upload(Bucket="mybox", Key="parts")["UploadId"]
    part = s3.upload_part(Bucket="mybox", Key="parts", UploadId=upload, PartNumber=1, Body=b"y" * 10)
    s3.complete_multipart_upload(
        Bucket="mybox", Key="parts", UploadId=upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    )
    assert s3.head_object(Bucket="mybox", Key="parts")["ContentLength"] == 10
    s3.delete_objects(Bucket="mybox", Delete={"Objects": [{"Key": "copy"}]})
    assert host in hosts or style == "path"


@pytest.mark.parametrize("version", ["s3v4", "s3"])
@pytest.mark.parametrize("endpoint, style, host", STYLES)
def test_presigned_urls(cloud: InProcessCloud, endpoint: str, style: str, host: str, version: str) -> None:
    door = Door(cloud)
    s3 = door.client("s3", endpoint=endpoint, s3={"addressing_style": style}, signature_version=version)
    door.client("s3").create_bucket(Bucket="mybox")
    url = urlsplit(s3.generate_presigned_url("put_object", Params={"Bucket": "mybox", "Key": "k"}))
    assert url.netloc == host
    assert answered(door, "PUT", url, b"data")[0] == 200
    url = urlsplit(s3.generate_presigned_url("get_object", Params={"Bucket": "mybox", "Key": "k"}))
    assert answered(door, "GET", url)[0] == 200
    assert answered(door, "DELETE", url)[0] == 403


def answered(door: Door, method: str, url: Any, body: bytes = b"") -> tuple[int, bytes]:
    """What anyone gets who has the URL."""
    import asyncio

    async def ask() -> Any:
        head = {"host": url.netloc}
        request = Request(method, url.path, url.query, [(b"host", url.netloc.encode())], head)
        request.body = body
        found = door._core.handle(request)
        return found if isinstance(found, tuple) else await found  # type: ignore[misc]

    status, _, content = asyncio.run_coroutine_threadsafe(ask(), door._cloud.loop).result(20)
    return status, content

"""S3 objects through their operations: what is written reads back, under the conditions, versions and errors that S3 has."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness import InProcessCloud, until
from windtunnel.jobs import Run, job
from windtunnel.kernel.clock import FixedClock
from windtunnel.kernel.context import Context
from windtunnel.kernel.errors import AwsError
from windtunnel.store.sqlite import SqliteTx


@job("test.holds-a-blob")
def holds_a_blob(run: Run, blob: str) -> None:
    run.wait_for("never")


LARGE = bytes(range(256)) * 400


@pytest.fixture()
def cloud(tmp_path: Path) -> Iterator[InProcessCloud]:
    with InProcessCloud(tmp_path, clock=FixedClock()) as started:
        started.api("s3", "CreateBucket", bucket="box")
        yield started


def s3(cloud: InProcessCloud, operation: str, **args: Any) -> Any:
    return cloud.api("s3", operation, **args)


def put(cloud: InProcessCloud, key: str, data: bytes = b"x", **args: Any) -> Any:
    return s3(cloud, "PutObject", bucket="box", key=key, body=data, **args)


def content(cloud: InProcessCloud, key: str, **args: Any) -> bytes:
    body = s3(cloud, "GetObject", bucket="box", key=key, **args)["Body"]
    return b"".join(cloud.cloud.blobs.stream(body))


def refused(cloud: InProcessCloud, operation: str, **args: Any) -> AwsError:
    with pytest.raises(AwsError) as caught:
        s3(cloud, operation, **{"bucket": "box", **args})
    return caught.value


def versioning(cloud: InProcessCloud, status: str) -> None:
    s3(cloud, "PutBucketVersioning", bucket="box", versioning_configuration={"Status": status})


@pytest.mark.parametrize("data", [b"", b"hello", LARGE], ids=["empty", "inline", "in a file"])
def test_an_object_reads_back_as_it_was_written(cloud: InProcessCloud, data: bytes) -> None:
    reply = put(cloud, "a/b", data, content_type="text/plain", metadata={"Color": "red"}, tagging="k=v", cache_control="no-store")
    assert reply["ETag"] == f'"{hashlib.md5(data).hexdigest()}"'
    assert reply["ServerSideEncryption"] == "AES256"
    got = s3(cloud, "GetObject", bucket="box", key="a/b")
    assert content(cloud, "a/b") == data
    assert {name: got[name] for name in ("ContentLength", "ContentType", "CacheControl", "Metadata", "TagCount", "ETag")} == {
        "ContentLength": len(data),
        "ContentType": "text/plain",
        "CacheControl": "no-store",
        "Metadata": {"color": "red"},
        "TagCount": 1,
        "ETag": reply["ETag"],
    }
    assert "VersionId" not in got
    head = s3(cloud, "HeadObject", bucket="box", key="a/b")
    assert "Body" not in head
    assert head["ContentLength"] == len(data)


@pytest.mark.parametrize(
    "asked, expected, told",
    [
        pytest.param("bytes=0-4", LARGE[:5], f"bytes 0-4/{len(LARGE)}", id="from the start"),
        pytest.param("bytes=102390-", LARGE[102390:], f"bytes 102390-102399/{len(LARGE)}", id="to the end"),
        pytest.param("bytes=-7", LARGE[-7:], f"bytes 102393-102399/{len(LARGE)}", id="the last seven"),
        pytest.param("bytes=102398-999999", LARGE[-2:], f"bytes 102398-102399/{len(LARGE)}", id="over the end"),
        pytest.param("bytes=1-2,4-5", LARGE, None, id="several ranges mean all"),
        pytest.param("bytes=9-3", LARGE, None, id="a range that runs backwards means all"),
        pytest.param("lines=1-2", LARGE, None, id="another unit means all"),
        pytest.param(f"bytes={'1' * 5000}-", LARGE, None, id="a number that is none means all"),
    ],
)
def test_ranges(cloud: InProcessCloud, asked: str, expected: bytes, told: str | None) -> None:
    put(cloud, "k", LARGE)
    assert content(cloud, "k", range=asked) == expected
    head = s3(cloud, "HeadObject", bucket="box", key="k", range=asked)
    assert (head["ContentLength"], head.get("ContentRange")) == (len(expected), told)


@pytest.mark.parametrize("asked", ["bytes=102400-", "bytes=-0"])
def test_a_range_outside_the_object_is_refused(cloud: InProcessCloud, asked: str) -> None:
    put(cloud, "k", LARGE)
    error = refused(cloud, "GetObject", key="k", range=asked)
    assert (error.code, error.extra["ActualObjectSize"]) == ("InvalidRange", str(len(LARGE)))


ETAG = hashlib.md5(b"x").hexdigest()
AT = FixedClock().now()


@pytest.mark.parametrize(
    "conditions, code",
    [
        pytest.param({"if_match": f'"{ETAG}"'}, None, id="the same etag"),
        pytest.param({"if_match": ETAG}, None, id="the same without quotes"),
        pytest.param({"if_match": '"other"'}, "PreconditionFailed", id="another etag"),
        pytest.param({"if_none_match": f'"{ETAG}"'}, "NotModified", id="nothing new"),
        pytest.param({"if_none_match": '"other"'}, None, id="something new"),
        pytest.param({"if_modified_since": AT}, "NotModified", id="not modified since"),
        pytest.param({"if_modified_since": AT - 1}, None, id="modified since"),
        pytest.param({"if_unmodified_since": AT - 1}, "PreconditionFailed", id="modified though it should not"),
        pytest.param({"if_match": ETAG, "if_unmodified_since": AT - 1}, None, id="a true If-Match silences If-Unmodified-Since"),
        pytest.param({"if_none_match": '"other"', "if_modified_since": AT}, None, id="a false If-None-Match silences If-Modified-Since"),
    ],
)
def test_conditional_reads(cloud: InProcessCloud, conditions: dict[str, Any], code: str | None) -> None:
    put(cloud, "k")
    if code is None:
        assert content(cloud, "k", **conditions) == b"x"
    else:
        assert refused(cloud, "GetObject", key="k", **conditions).code == code


def test_conditional_writes(cloud: InProcessCloud) -> None:
    etag = put(cloud, "k", b"1", if_none_match="*")["ETag"]
    assert refused(cloud, "PutObject", key="k", body=b"2", if_none_match="*").code == "PreconditionFailed"
    assert refused(cloud, "PutObject", key="k", body=b"2", if_match='"no"').code == "PreconditionFailed"
    assert refused(cloud, "PutObject", key="new", body=b"2", if_match=etag).code == "NoSuchKey"
    put(cloud, "k", b"3", if_match=etag)
    assert content(cloud, "k") == b"3"
    assert refused(cloud, "DeleteObject", key="k", if_match=etag).code == "PreconditionFailed"
    assert content(cloud, "k") == b"3"


@pytest.mark.parametrize(
    "operation, args, code",
    [
        pytest.param("GetObject", {"key": "none"}, "NoSuchKey", id="no such key"),
        pytest.param("GetObject", {"bucket": "nowhere", "key": "k"}, "NoSuchBucket", id="no such bucket"),
        pytest.param("GetObject", {"key": "k", "version_id": "short"}, "InvalidArgument", id="no version id"),
        pytest.param("GetObject", {"key": "k", "version_id": "a" * 32}, "NoSuchVersion", id="no such version"),
        pytest.param("GetObject", {"key": "k", "expected_bucket_owner": "999999999999"}, "AccessDenied", id="another owner"),
        pytest.param("GetObject", {"key": "k", "range": "bytes=0-1", "part_number": 1}, "InvalidRequest", id="range and part"),
        pytest.param("GetObject", {"key": "k", "part_number": 2}, "InvalidPartNumber", id="no such part"),
        pytest.param("PutObject", {"key": "k" * 1025, "body": b""}, "KeyTooLongError", id="a long key"),
        pytest.param("PutObject", {"key": "k", "body": b"x", "acl": "public-read"}, "AccessControlListNotSupported", id="a public ACL"),
        pytest.param("PutObject", {"key": "k", "body": b"x", "tagging": "a=1&a=2"}, "InvalidArgument", id="a tag twice"),
        pytest.param("PutObject", {"key": "k", "body": b"x", "tagging": "aws:x=1"}, "InvalidTag", id="a system tag"),
        pytest.param("PutObject", {"key": "k", "body": b"x", "metadata": {"m": "v" * 2048}}, "MetadataTooLarge", id="much metadata"),
        pytest.param("PutObject", {"key": "k", "body": b"x", "storage_class": "OUTPOSTS"}, "NotImplemented", id="a class of other places"),
        pytest.param("CopyObject", {"key": "k", "copy_source": "box/none"}, "NoSuchKey", id="no source"),
        pytest.param("CopyObject", {"key": "k", "copy_source": "box/k"}, "InvalidRequest", id="onto itself"),
        pytest.param("CopyObject", {"key": "k", "copy_source": "box"}, "InvalidArgument", id="no source key"),
    ],
)
def test_refusals_change_nothing(cloud: InProcessCloud, operation: str, args: dict[str, Any], code: str) -> None:
    put(cloud, "k", b"kept")
    assert refused(cloud, operation, **args).code == code
    assert content(cloud, "k") == b"kept"


def test_versions_are_kept_hidden_and_brought_back(cloud: InProcessCloud) -> None:
    put(cloud, "k", b"before")
    versioning(cloud, "Enabled")
    first = put(cloud, "k", b"1")["VersionId"]
    second = put(cloud, "k", b"2")["VersionId"]
    marker = s3(cloud, "DeleteObject", bucket="box", key="k")
    assert marker["DeleteMarker"] is True
    assert refused(cloud, "GetObject", key="k").code == "NoSuchKey"
    assert refused(cloud, "GetObject", key="k", version_id=marker["VersionId"]).code == "MethodNotAllowed"
    assert [content(cloud, "k", version_id=v) for v in ("null", first, second)] == [b"before", b"1", b"2"]
    listed = s3(cloud, "ListObjectVersions", bucket="box")
    assert [(v["VersionId"], v["IsLatest"]) for v in listed["Versions"]] == [(second, False), (first, False), ("null", False)]
    assert [(v["VersionId"], v["IsLatest"]) for v in listed["DeleteMarkers"]] == [(marker["VersionId"], True)]
    s3(cloud, "DeleteObject", bucket="box", key="k", version_id=marker["VersionId"])
    assert content(cloud, "k") == b"2"
    s3(cloud, "DeleteObject", bucket="box", key="k", version_id=second)
    s3(cloud, "DeleteObject", bucket="box", key="k", version_id="null")
    assert content(cloud, "k") == b"1"
    assert s3(cloud, "DeleteObject", bucket="box", key="k", version_id=first) == {"VersionId": first}
    assert s3(cloud, "ListObjectVersions", bucket="box")["Versions"] == []


def test_suspended_versioning_replaces_only_the_null_version(cloud: InProcessCloud) -> None:
    versioning(cloud, "Enabled")
    kept = put(cloud, "k", b"kept")["VersionId"]
    versioning(cloud, "Suspended")
    assert put(cloud, "k", b"null 1")["VersionId"] == "null"
    put(cloud, "k", b"null 2")
    versions = s3(cloud, "ListObjectVersions", bucket="box")["Versions"]
    assert [v["VersionId"] for v in versions] == ["null", kept]
    versioning(cloud, "Enabled")
    put(cloud, "k", b"new")
    versioning(cloud, "Suspended")
    assert s3(cloud, "DeleteObject", bucket="box", key="k") == {"DeleteMarker": True, "VersionId": "null"}
    listed = s3(cloud, "ListObjectVersions", bucket="box")
    assert [len(listed["Versions"]), len(listed["DeleteMarkers"])] == [2, 1]
    assert content(cloud, "k", version_id=kept) == b"kept"


def test_delete_objects_answers_key_by_key(cloud: InProcessCloud) -> None:
    put(cloud, "a")
    put(cloud, "b")
    reply = s3(
        cloud,
        "DeleteObjects",
        bucket="box",
        delete={"Objects": [{"Key": "a"}, {"Key": "gone"}, {"Key": "b", "ETag": '"no"'}, {"Key": "c", "VersionId": "bad id"}]},
    )
    assert [item["Key"] for item in reply["Deleted"]] == ["a", "gone"]
    assert [(item["Key"], item["Code"]) for item in reply["Errors"]] == [("b", "PreconditionFailed"), ("c", "InvalidArgument")]
    assert content(cloud, "b") == b"x"
    assert s3(cloud, "DeleteObjects", bucket="box", delete={"Objects": [{"Key": "b"}], "Quiet": True}) == {}
    assert refused(cloud, "DeleteObjects", delete={"Objects": []}).code == "MalformedXML"


def test_copying_takes_metadata_along_or_replaces_it(cloud: InProcessCloud) -> None:
    put(cloud, "a b+c", LARGE, metadata={"m": "1"}, tagging="t=1", content_type="text/x")
    s3(cloud, "CopyObject", bucket="box", key="copy", copy_source="/box/a%20b%2Bc")
    s3(
        cloud,
        "CopyObject",
        bucket="box",
        key="other",
        copy_source="box/a%20b%2Bc",
        metadata_directive="REPLACE",
        tagging_directive="REPLACE",
        metadata={"n": "2"},
        tagging="u=2",
    )
    copy, other = (s3(cloud, "HeadObject", bucket="box", key=key) for key in ("copy", "other"))
    assert (copy["Metadata"], copy["ContentType"]) == ({"m": "1"}, "text/x")
    assert (other["Metadata"], other["ContentType"]) == ({"n": "2"}, "binary/octet-stream")
    tags = [s3(cloud, "GetObjectTagging", bucket="box", key=key)["TagSet"] for key in ("copy", "other")]
    assert tags == [[{"Key": "t", "Value": "1"}], [{"Key": "u", "Value": "2"}]]
    s3(cloud, "DeleteObject", bucket="box", key="a b+c")
    assert content(cloud, "copy") == LARGE == content(cloud, "other")


def test_tags_belong_to_a_version(cloud: InProcessCloud) -> None:
    versioning(cloud, "Enabled")
    first = put(cloud, "k", b"1", tagging="a=1")["VersionId"]
    put(cloud, "k", b"2")
    tagging = {"TagSet": [{"Key": "b", "Value": "2"}]}
    assert s3(cloud, "PutObjectTagging", bucket="box", key="k", version_id=first, tagging=tagging) == {"VersionId": first}
    assert s3(cloud, "GetObjectTagging", bucket="box", key="k", version_id=first)["TagSet"] == tagging["TagSet"]
    assert s3(cloud, "GetObjectTagging", bucket="box", key="k")["TagSet"] == []
    s3(cloud, "DeleteObjectTagging", bucket="box", key="k", version_id=first)
    assert s3(cloud, "GetObjectTagging", bucket="box", key="k", version_id=first)["TagSet"] == []
    assert content(cloud, "k", version_id=first) == b"1"


def test_objects_survive_a_restart_and_files_without_a_row_do_not(tmp_path: Path) -> None:
    with InProcessCloud(tmp_path) as first:
        s3(first, "CreateBucket", bucket="box")
        put(first, "kept", LARGE)
        put(first, "gone", LARGE + b"other")
        s3(first, "DeleteObject", bucket="box", key="gone")
        upload = s3(first, "CreateMultipartUpload", bucket="box", key="m")["UploadId"]
        s3(first, "UploadPart", bucket="box", key="m", upload_id=upload, part_number=1, body=LARGE + b"part")
        orphan = first.cloud.blobs.put(LARGE + b"never named by a row")
        step = first.cloud.blobs.put(LARGE + b"named by a run's argument")
        first.write(lambda ctx: ctx.start_job("test.holds-a-blob", "run-1", blob=step.sha256))
        until(lambda: first.read(parked), what="the run's wait")
        before = len(files(tmp_path))
    with InProcessCloud(tmp_path) as second:
        assert content(second, "kept") == LARGE
        assert not second.cloud.blobs.path(orphan).exists()
        assert second.cloud.blobs.path(step).exists()
        assert s3(second, "ListParts", bucket="box", key="m", upload_id=upload)["Parts"][0]["Size"] == len(LARGE) + 4
        assert (before, len(files(tmp_path))) == (5, 3)


def parked(ctx: Context) -> bool:
    assert isinstance(ctx.tx, SqliteTx)
    return ctx.tx.connection.execute("SELECT count(*) FROM run WHERE state='parked'").fetchone()[0] == 1


def files(data: Path) -> list[Path]:
    return [path for path in (data / "blobs").rglob("*") if path.is_file()]

"""Listing: order, pages, prefixes rolled up, against a plain model of what S3 promises."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness import InProcessCloud
from windtunnel.kernel.context import Context
from windtunnel.kernel.errors import AwsError
from windtunnel.services.s3.objects import Current

KEYS = st.text(alphabet="ab/é", min_size=1, max_size=6)


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcessCloud]:
    with InProcessCloud(Path(tmp_path_factory.mktemp("s3"))) as started:
        started.api("s3", "CreateBucket", bucket="box")
        yield started


def fill(cloud: InProcessCloud, keys: set[str]) -> None:
    def replace(ctx: Context) -> None:
        for old in ctx.tx.scan(Current, prefix="box/"):
            ctx.tx.delete(Current, old.key())
        for key in keys:
            ctx.call("s3", "PutObject", bucket="box", key=key, body=b"")

    cloud.write(replace)


def expected(keys: set[str], prefix: str, delimiter: str, after: str) -> list[str]:
    """The entries in order: keys, and groups instead of the keys in them."""
    entries = []
    for key in sorted(key for key in keys if key.startswith(prefix) and key > after):
        end = key.find(delimiter, len(prefix)) if delimiter else -1
        group = key[: end + 1] if end >= 0 else ""
        if not group:
            entries.append(key)
        elif group not in entries and not after.startswith(group):
            entries.append(group)
    return entries


def entries_of(reply: dict[str, Any]) -> list[str]:
    return sorted([item["Key"] for item in reply["Contents"]] + [item["Prefix"] for item in reply["CommonPrefixes"]])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    keys=st.sets(KEYS, max_size=12),
    prefix=st.sampled_from(["", "a", "a/", "/"]),
    delimiter=st.sampled_from(["", "/", "b"]),
    after=st.text(alphabet="ab/", max_size=3),
    size=st.integers(1, 4),
)
def test_pages_add_up_to_what_there_is(cloud: InProcessCloud, keys: set[str], prefix: str, delimiter: str, after: str, size: int) -> None:
    fill(cloud, keys)
    asked = {"bucket": "box", "prefix": prefix, "delimiter": delimiter, "max_keys": size}
    v1, v2, versions = [], [], []
    reply = cloud.api("s3", "ListObjectsV2", start_after=after, **asked)
    v2 += entries_of(reply)
    while reply["IsTruncated"]:
        assert reply["KeyCount"] == size
        reply = cloud.api("s3", "ListObjectsV2", continuation_token=reply["NextContinuationToken"], **asked)
        v2 += entries_of(reply)
    reply = cloud.api("s3", "ListObjects", marker=after, **asked)
    v1 += entries_of(reply)
    while reply["IsTruncated"]:
        marker = reply.get("NextMarker") or reply["Contents"][-1]["Key"]
        reply = cloud.api("s3", "ListObjects", marker=marker, **asked)
        v1 += entries_of(reply)
    reply = cloud.api("s3", "ListObjectVersions", key_marker=after, **asked)
    versions += entries_of({"Contents": reply["Versions"], **reply})
    while reply["IsTruncated"]:
        markers = {"key_marker": reply["NextKeyMarker"], "version_id_marker": reply.get("NextVersionIdMarker")}
        reply = cloud.api("s3", "ListObjectVersions", **markers, **asked)
        versions += entries_of({"Contents": reply["Versions"], **reply})
    assert v1 == v2 == versions == expected(keys, prefix, delimiter, after)


def test_a_group_larger_than_a_page_is_one_entry(cloud: InProcessCloud) -> None:
    fill(cloud, {f"big/{n:04d}" for n in range(150)} | {"a", "z", "big0"})
    reply = cloud.api("s3", "ListObjectsV2", bucket="box", delimiter="/")
    assert entries_of(reply) == ["a", "big/", "big0", "z"]
    assert (reply["KeyCount"], reply["IsTruncated"]) == (4, False)


def test_url_encoding_and_odd_keys(cloud: InProcessCloud) -> None:
    keys = {"a b", "a+b", "ä/ö", "line\nbreak", "100%", "*-._/x"}
    fill(cloud, keys)
    reply = cloud.api("s3", "ListObjectsV2", bucket="box", encoding_type="url")
    assert {unquote_plus(item["Key"]) for item in reply["Contents"]} == keys
    assert all(item["Key"].isascii() and item["Key"].isprintable() for item in reply["Contents"])


def test_versions_go_on_within_a_key(cloud: InProcessCloud) -> None:
    fill(cloud, set())
    cloud.api("s3", "PutBucketVersioning", bucket="box", versioning_configuration={"Status": "Enabled"})
    for key in ("a", "b", "a", "a", "b"):
        cloud.api("s3", "PutObject", bucket="box", key=key, body=b"")
    every = cloud.api("s3", "ListObjectVersions", bucket="box")["Versions"]
    assert [(item["Key"], item["IsLatest"]) for item in every] == [("a", True), ("a", False), ("a", False), ("b", True), ("b", False)]
    found, markers = [], {}
    while True:
        reply = cloud.api("s3", "ListObjectVersions", bucket="box", max_keys=2, **markers)
        found += reply["Versions"]
        if not reply["IsTruncated"]:
            break
        markers = {"key_marker": reply["NextKeyMarker"], "version_id_marker": reply["NextVersionIdMarker"]}
    assert found == every


@pytest.mark.parametrize(
    "operation, args",
    [
        ("ListObjectsV2", {"max_keys": -1}),
        ("ListObjectsV2", {"continuation_token": "%%%"}),
        ("ListObjectsV2", {"encoding_type": "utf-16"}),
        ("ListObjectVersions", {"version_id_marker": "x"}),
    ],
)
def test_wrong_arguments_are_told(cloud: InProcessCloud, operation: str, args: dict[str, Any]) -> None:
    with pytest.raises(AwsError, match="InvalidArgument"):
        cloud.api("s3", operation, bucket="box", **args)

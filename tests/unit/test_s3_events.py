"""What S3 tells EventBridge, and in-cloud listeners."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness import ACCOUNT, InProcessCloud
from windtunnel.kernel.context import Context, Event
from windtunnel.kernel.registry import LISTENERS


class Told:
    """The events that were put into the outbox."""

    def __init__(self, cloud: InProcessCloud) -> None:
        self.events: list[Event] = []
        original = cloud.cloud.pump.append

        def append(ctx: Context, events: Iterable[Event]) -> None:
            self.events.extend(events)
            original(ctx, events)

        cloud.cloud.pump.append = append  # type: ignore[method-assign]

    def of(self, source: str) -> list[Event]:
        return [event for event in self.events if event.source == source]


@pytest.fixture()
def cloud(tmp_path: Path) -> Iterator[InProcessCloud]:
    with InProcessCloud(tmp_path) as started:
        started.api("s3", "CreateBucket", bucket="box")
        yield started


@pytest.fixture()
def told(cloud: InProcessCloud) -> Told:
    return Told(cloud)


def s3(cloud: InProcessCloud, operation: str, **args: Any) -> Any:
    return cloud.api("s3", operation, bucket="box", **args)


def listen(cloud: InProcessCloud) -> None:
    s3(cloud, "PutBucketNotificationConfiguration", notification_configuration={"EventBridgeConfiguration": {}})


def test_eventbridge_hears_only_when_the_bucket_says_so(cloud: InProcessCloud, told: Told) -> None:
    s3(cloud, "PutObject", key="k", body=b"x")
    assert told.of("aws.s3") == []
    listen(cloud)
    s3(cloud, "PutObject", key="k", body=b"hello")
    s3(cloud, "CopyObject", key="c", copy_source="box/k")
    s3(cloud, "PutObjectTagging", key="c", tagging={"TagSet": []})
    s3(cloud, "DeleteObject", key="k")
    s3(cloud, "DeleteObject", key="never there")
    s3(cloud, "PutBucketNotificationConfiguration", notification_configuration={})
    s3(cloud, "PutObject", key="k", body=b"x")
    events = told.of("aws.s3")
    said = [(event.detail_type, event.detail["object"]["key"], event.detail.get("reason")) for event in events]
    assert said == [
        ("Object Created", "k", "PutObject"),
        ("Object Created", "c", "CopyObject"),
        ("Object Tags Added", "c", None),
        ("Object Deleted", "k", "DeleteObject"),
    ]
    created = events[0]
    assert (created.resources, created.account, created.region) == (("arn:aws:s3:::box",), ACCOUNT, "us-east-1")
    assert created.detail["bucket"] == {"name": "box"}
    assert (created.detail["version"], created.detail["requester"]) == ("0", ACCOUNT)
    assert {key: created.detail["object"][key] for key in ("size", "etag")} == {"size": 5, "etag": "5d41402abc4b2a76b9719d911017c592"}
    assert events[3].detail["deletion-type"] == "Permanently Deleted"


def test_versions_are_named(cloud: InProcessCloud, told: Told) -> None:
    s3(cloud, "PutBucketVersioning", versioning_configuration={"Status": "Enabled"})
    listen(cloud)
    version = s3(cloud, "PutObject", key="k", body=b"x")["VersionId"]
    marker = s3(cloud, "DeleteObject", key="k")["VersionId"]
    s3(cloud, "DeleteObject", key="k", version_id=version)
    said = [(event.detail["object"]["version-id"], event.detail.get("deletion-type")) for event in told.of("aws.s3")]
    assert said == [(version, None), (marker, "Delete Marker Created"), (version, "Permanently Deleted")]


def test_listeners_inside_hear_of_buckets_with_versioning(cloud: InProcessCloud, told: Told) -> None:
    heard: list[str] = []
    entry = ("windtunnel.s3", "Object Created", lambda ctx, event: heard.append(event.detail["object"]["version-id"]))
    LISTENERS.append(entry)
    try:
        s3(cloud, "PutObject", key="k", body=b"x")
        assert told.of("windtunnel.s3") == []
        s3(cloud, "PutBucketVersioning", versioning_configuration={"Status": "Enabled"})
        version = s3(cloud, "PutObject", key="k", body=b"x")["VersionId"]
        assert [event.detail["object"]["version-id"] for event in told.of("windtunnel.s3")] == [version]
        assert told.of("aws.s3") == []
    finally:
        LISTENERS.remove(entry)

"""S3's jobs: each change that a queue asked for is told once, and what its rules say expires, once, whenever the cloud dies."""

from __future__ import annotations

import json
from typing import Any

from doomed import DoomedCloud, patiently, until

JOBS = ("s3.lifecycle", "s3.notify")
PACE = 1_000_000.0
"""A day, and the pause between two looks at a bucket, pass within a second."""
EVENTS = ["s3:ObjectCreated:*", "s3:LifecycleExpiration:*"]


class Scenario:
    def __init__(self, cloud: DoomedCloud) -> None:
        self.cloud = cloud
        self.heard: dict[str, tuple[str, str, str]] = {}
        """Message id -> (event, key, version)."""

    def set_up(self) -> None:
        s3, sqs = self.cloud.client("s3"), self.cloud.client("sqs")
        let_in = {"Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": "*"}
        self.url = sqs.create_queue(QueueName="told", Attributes={"Policy": json.dumps({"Version": "2012-10-17", "Statement": [let_in]})})[
            "QueueUrl"
        ]
        arn = sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        s3.create_bucket(Bucket="box")
        s3.put_bucket_versioning(Bucket="box", VersioningConfiguration={"Status": "Enabled"})
        told = {"QueueConfigurations": [{"QueueArn": arn, "Events": EVENTS}]}
        s3.put_bucket_notification_configuration(Bucket="box", NotificationConfiguration=told)
        rule = {"ID": "r", "Status": "Enabled", "Filter": {"Prefix": "new/"}, "Expiration": {"Days": 1}}
        s3.put_bucket_lifecycle_configuration(Bucket="box", LifecycleConfiguration={"Rules": [rule]})

    def go(self, nonce: str) -> None:
        for name in ("before", "after"):
            key = f"new/{name}-{nonce}"
            patiently(lambda key=key: self.cloud.client("s3").put_object(Bucket="box", Key=key, Body=b"x"))
            until(lambda key=key: self.expired(key), 30, "the object expires")
            until(lambda key=key: self.told_of(key), 30, "the queue is told of both")
            if name == "before":
                until(lambda: not self.cloud.armed, 30, "the boundary is passed")
        told = list(self.heard.values())
        assert len(told) == len(set(told)), f"told twice: {sorted(one for one in told if told.count(one) > 1)}"

    def expired(self, key: str) -> bool:
        found = patiently(lambda: self.cloud.client("s3").list_object_versions(Bucket="box", Prefix=key))
        markers = found.get("DeleteMarkers", [])
        return any(marker["IsLatest"] for marker in markers)

    def told_of(self, key: str) -> bool:
        sqs = self.cloud.client("sqs")
        reply = patiently(lambda: sqs.receive_message(QueueUrl=self.address(), MaxNumberOfMessages=10, VisibilityTimeout=0))
        for message in reply.get("Messages", []):
            for record in json.loads(message["Body"]).get("Records", []):
                self.heard[message["MessageId"]] = _said(record)
            patiently(lambda message=message: sqs.delete_message(QueueUrl=self.address(), ReceiptHandle=message["ReceiptHandle"]))
        events = {event for event, name, _ in self.heard.values() if name == key}
        return {"ObjectCreated:Put", "LifecycleExpiration:DeleteMarkerCreated"} <= events

    def address(self) -> str:
        return str(patiently(lambda: self.cloud.client("sqs").get_queue_url(QueueName="told"))["QueueUrl"])


def _said(record: dict[str, Any]) -> tuple[str, str, str]:
    described = record["s3"]["object"]
    return record["eventName"], described["key"], described["versionId"]

"""A bucket that tells a queue of what is created in it: each object that was acknowledged is told, once."""

from __future__ import annotations

import json
from collections import Counter
from typing import ClassVar

from arriving import Arriving

TEST = "the test event"


class Load(Arriving):
    NEEDS: ClassVar = {("s3", "PutBucketNotificationConfiguration"), ("sqs", "ReceiveMessage")}

    def set_up(self) -> None:
        arn = self.queue("mixed-notified", "s3.amazonaws.com")
        self.s3 = self.client("s3")
        self.s3.create_bucket(Bucket="mixed-notified")
        wanted = {"QueueConfigurations": [{"QueueArn": arn, "Events": ["s3:ObjectCreated:*"]}]}
        self.s3.put_bucket_notification_configuration(Bucket="mixed-notified", NotificationConfiguration=wanted)

    def name_of(self, body: str) -> str:
        told = json.loads(body)
        return TEST if told.get("Event") == "s3:TestEvent" else str(told["Records"][0]["s3"]["object"]["key"])

    def arrived(self) -> Counter[str]:
        seen = super().arrived()
        seen.pop(TEST, None)
        return seen

    def step(self, n: int) -> None:
        self.send(f"k{n}", self.s3.put_object, Bucket="mixed-notified", Key=f"k{n}", Body=b"%d" % n)

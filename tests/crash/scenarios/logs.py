"""CloudWatch Logs' jobs: acknowledged events survive, an export has each once, a subscription delivers each once, whenever the cloud dies."""

from __future__ import annotations

import gzip
import json
import time
from collections import Counter
from typing import Any

from botocore.exceptions import ClientError
from doomed import DoomedCloud, patiently, until

JOBS = ("logs.retention", "logs.export", "logs.subscription")
PACE = 3_600.0
"""An hour's pause between two looks at what is too old passes within a second."""
POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "logs.us-east-1.amazonaws.com"},
            "Action": ["s3:GetBucketAcl", "s3:PutObject"],
            "Resource": ["arn:aws:s3:::exports", "arn:aws:s3:::exports/*"],
        }
    ],
}
FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:f"
"""See scripted.py: it writes into the group `delivered`."""


class Scenario:
    def __init__(self, cloud: DoomedCloud) -> None:
        self.cloud = cloud
        self.puts = 0

    @property
    def logs(self) -> Any:
        return self.cloud.client("logs")

    def set_up(self) -> None:
        for group in ("watched", "delivered"):
            self.logs.create_log_group(logGroupName=group)
        self.logs.create_log_stream(logGroupName="delivered", logStreamName="all")
        self.logs.put_retention_policy(logGroupName="watched", retentionInDays=1)
        self.logs.put_subscription_filter(logGroupName="watched", filterName="all", filterPattern="-skipped", destinationArn=FUNCTION)
        self.cloud.client("s3").create_bucket(Bucket="exports")
        self.cloud.client("s3").put_bucket_policy(Bucket="exports", Policy=json.dumps(POLICY))

    def go(self, nonce: str) -> None:
        begins = int(time.time() * 1000)
        patiently(lambda: self.create_stream(nonce))
        acknowledged = patiently(lambda: self.put(nonce))
        task = patiently(lambda: self.export(nonce, begins))
        until(lambda: not self.cloud.armed, 40, "the boundary is passed")
        until(lambda: self.status(task) == "COMPLETED", 30, "the export completes")
        exported, kept = Counter(patiently(lambda: self.exported(task))), Counter(patiently(lambda: self.read("watched", nonce)))
        assert set(acknowledged) <= set(kept) and set(kept.values()) == {1}, kept
        assert exported == kept, (exported, kept)
        until(lambda: set(kept) <= set(self.read("delivered", "all")), 30, "what was put is delivered")
        twice = [text for text, times in Counter(patiently(lambda: self.read("delivered", "all"))).items() if times > 1]
        assert not twice, twice

    def create_stream(self, name: str) -> None:
        try:
            self.logs.create_log_stream(logGroupName="watched", logStreamName=name)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ResourceAlreadyExistsException":
                raise

    def put(self, stream: str) -> list[str]:
        """Events with texts of their own at every try, since one whose answer was lost may have been kept."""
        self.puts += 1
        texts = [f"{stream} {self.puts} {n}" for n in range(3)]
        at = int(time.time() * 1000)
        self.logs.put_log_events(
            logGroupName="watched", logStreamName=stream, logEvents=[{"timestamp": at, "message": text} for text in texts]
        )
        return texts

    def export(self, stream: str, begins: int) -> str:
        """The task that exports the stream: one whose answer was lost is found again by its name."""
        found = [task for task in self.logs.describe_export_tasks()["exportTasks"] if task["taskName"] == stream]
        if found:
            return str(found[0]["taskId"])
        asked = {"logGroupName": "watched", "logStreamNamePrefix": stream, "fromTime": begins - 1_000, "to": begins + 120_000}
        return str(self.logs.create_export_task(taskName=stream, destination="exports", **asked)["taskId"])

    def status(self, task: str) -> str:
        return str(self.logs.describe_export_tasks(taskId=task)["exportTasks"][0]["status"]["code"])

    def exported(self, task: str) -> list[str]:
        s3 = self.cloud.client("s3")
        found = s3.list_objects_v2(Bucket="exports", Prefix=f"exportedlogs/{task}/").get("Contents", [])
        texts = [gzip.decompress(s3.get_object(Bucket="exports", Key=one["Key"])["Body"].read()).decode() for one in found]
        return [line.split(" ", 1)[1] for text in texts for line in text.splitlines()]

    def read(self, group: str, stream: str) -> list[str]:
        pages = self.logs.get_paginator("filter_log_events").paginate(logGroupName=group, logStreamNames=[stream])
        return [event["message"] for page in pages for event in page["events"]]

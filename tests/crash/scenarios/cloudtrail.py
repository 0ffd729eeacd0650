"""CloudTrail's jobs: what was answered is an event, once, whenever the cloud dies."""

from __future__ import annotations

import json
from typing import Any

from botocore.exceptions import ClientError
from doomed import DoomedCloud, patiently, until

JOBS = ("cloudtrail.retention",)
PACE = 100_000.0
"""A day's pause passes within a second."""


class Scenario:
    def __init__(self, cloud: DoomedCloud) -> None:
        self.cloud = cloud

    def set_up(self) -> None:
        return None

    def go(self, nonce: str) -> None:
        patiently(lambda: self.create(f"before-{nonce}"))
        until(lambda: not self.cloud.armed, 30, "the boundary is passed")
        patiently(lambda: self.create(f"after-{nonce}"))
        for name in (f"before-{nonce}", f"after-{nonce}"):
            made = [event for event in self.events() if event["requestParameters"]["logGroupName"] == name]
            assert len([event for event in made if "errorCode" not in event]) == 1, made

    def create(self, name: str) -> None:
        try:
            self.cloud.client("logs").create_log_group(logGroupName=name)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ResourceAlreadyExistsException":
                raise

    def events(self) -> list[dict[str, Any]]:
        asked = {"LookupAttributes": [{"AttributeKey": "EventName", "AttributeValue": "CreateLogGroup"}]}
        pages = self.cloud.client("cloudtrail").get_paginator("lookup_events").paginate(**asked)
        return [json.loads(event["CloudTrailEvent"]) for event in pages.search("Events[]")]

"""CloudTrail's jobs: what was answered is an event, found once and delivered once, whenever the cloud dies; digests name each file once."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from typing import Any

from botocore.exceptions import ClientError
from doomed import DoomedCloud, patiently, until

JOBS = ("cloudtrail.retention", "cloudtrail.deliver")
PACE = 3_600.0
"""An hour's pause, between digests as between looks at what is too old, passes within a second."""
ACCOUNT = "123456789012"
POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "cloudtrail.amazonaws.com"},
            "Action": ["s3:GetBucketAcl", "s3:PutObject"],
            "Resource": ["arn:aws:s3:::trails", "arn:aws:s3:::trails/*"],
        }
    ],
}


class Scenario:
    def __init__(self, cloud: DoomedCloud) -> None:
        self.cloud = cloud

    def set_up(self) -> None:
        s3, trail = self.cloud.client("s3"), self.cloud.client("cloudtrail")
        s3.create_bucket(Bucket="trails")
        s3.put_bucket_policy(Bucket="trails", Policy=json.dumps(POLICY))
        trail.create_trail(Name="all", S3BucketName="trails", EnableLogFileValidation=True)
        trail.start_logging(Name="all")

    def go(self, nonce: str) -> None:
        patiently(lambda: self.create(f"before-{nonce}"))
        until(lambda: not self.cloud.armed, 30, "the boundary is passed")
        patiently(lambda: self.create(f"after-{nonce}"))
        for name in (f"before-{nonce}", f"after-{nonce}"):
            made = [event for event in patiently(self.found) if event["requestParameters"]["logGroupName"] == name]
            assert len([event for event in made if "errorCode" not in event]) == 1, made
        if nonce == "calm":
            until(lambda: self.files("CloudTrail-Digest"), 30, "a digest is delivered")
        until(lambda: f"after-{nonce}" in patiently(self.groups), 30, "what happened is delivered")
        twice = [name for name, times in patiently(self.groups).items() if times > 1]
        assert not twice, f"delivered twice: {twice}"
        named = [file["s3Object"] for digest in patiently(lambda: self.files("CloudTrail-Digest")) for file in digest["logFiles"]]
        assert len(named) == len(set(named)), "a digest names a file that another one named"

    def create(self, name: str) -> None:
        try:
            self.cloud.client("logs").create_log_group(logGroupName=name)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ResourceAlreadyExistsException":
                raise

    def found(self) -> list[dict[str, Any]]:
        asked = {"LookupAttributes": [{"AttributeKey": "EventName", "AttributeValue": "CreateLogGroup"}]}
        pages = self.cloud.client("cloudtrail").get_paginator("lookup_events").paginate(**asked)
        return [json.loads(event["CloudTrailEvent"]) for event in pages.search("Events[]")]

    def files(self, kind: str) -> list[dict[str, Any]]:
        s3 = self.cloud.client("s3")
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket="trails", Prefix=f"AWSLogs/{ACCOUNT}/{kind}/us-east-1/")
        keys = [key for key in pages.search("Contents[].Key") if key]
        return [json.loads(gzip.decompress(s3.get_object(Bucket="trails", Key=key)["Body"].read())) for key in keys]

    def groups(self) -> Counter[str]:
        """Log group -> how many times its successful creation was delivered."""
        records = [record for file in self.files("CloudTrail") for record in file["Records"]]
        made = [record for record in records if record["eventName"] == "CreateLogGroup" and "errorCode" not in record]
        return Counter(record["requestParameters"]["logGroupName"] for record in made)

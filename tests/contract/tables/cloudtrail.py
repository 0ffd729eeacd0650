"""What the generated contract tests need to know of `cloudtrail`."""

from __future__ import annotations

import json
from typing import Any

from harness import ACCOUNT, REGION

TRAIL = f"arn:aws:cloudtrail:{REGION}:{ACCOUNT}:trail/trail"
_BUCKET = "trail-bucket"
_POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "cloudtrail.amazonaws.com"},
            "Action": ["s3:GetBucketAcl", "s3:PutObject"],
            "Resource": [f"arn:aws:s3:::{_BUCKET}", f"arn:aws:s3:::{_BUCKET}/*"],
        }
    ],
}
NAMES: dict[str, Any] = {
    "name": "trail",
    "trailname": "trail",
    "s3bucketname": _BUCKET,
    "resourceid": TRAIL,
    "resourceidlist": [TRAIL],
}
ALSO: dict[str, str] = {
    "PutEventSelectors": "EventSelectors",
    "GetInsightSelectors": "TrailName",
}
SEEDS: list[tuple[str, dict[str, Any]]] = [
    ("s3:CreateBucket", {"bucket": _BUCKET}),
    ("s3:PutBucketPolicy", {"bucket": _BUCKET, "policy": json.dumps(_POLICY)}),
    ("CreateTrail", {"name": "trail", "s3_bucket_name": _BUCKET}),
]
AFTER = "s3"

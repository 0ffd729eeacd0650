"""What the generated contract tests need to know of `logs`."""

from __future__ import annotations

import json
from typing import Any

from harness import ACCOUNT, REGION

_BUCKET = "logs-bucket"
_POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": f"logs.{REGION}.amazonaws.com"},
            "Action": ["s3:GetBucketAcl", "s3:PutObject"],
            "Resource": [f"arn:aws:s3:::{_BUCKET}", f"arn:aws:s3:::{_BUCKET}/*"],
        }
    ],
}
NAMES: dict[str, Any] = {
    "destination": _BUCKET,
    "from": 1,
    "to": 2,
    "loggroupidentifier": "group",
    "loggroupidentifiers": [f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:group"],
    "policyname": "policy",
    "policydocument": json.dumps(_POLICY),
    "resourcearn": f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:group",
}
ALSO: dict[str, str] = {
    "DescribeLogStreams": "logGroupName",
    "FilterLogEvents": "logGroupName",
    "GetLogEvents": "logGroupName",
    "AssociateKmsKey": "logGroupName",
    "DisassociateKmsKey": "logGroupName",
    "PutResourcePolicy": "policyName policyDocument",
    "DeleteResourcePolicy": "policyName",
}
AFTER = "s3 kms"
SEEDS: list[tuple[str, dict[str, Any]]] = [
    ("s3:CreateBucket", {"bucket": _BUCKET}),
    ("s3:PutBucketPolicy", {"bucket": _BUCKET, "policy": json.dumps(_POLICY)}),
    ("CreateLogGroup", {"log_group_name": "group"}),
    ("CreateLogStream", {"log_group_name": "group", "log_stream_name": "stream"}),
    ("PutResourcePolicy", {"policy_name": "policy", "policy_document": json.dumps(_POLICY)}),
]

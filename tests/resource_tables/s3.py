"""A bucket's properties: (name, value, what an update makes of it), in a world with a queue that hears S3 and a bucket for logs."""

from __future__ import annotations

import json
from typing import Any

from harness import InProcessCloud

TAGS = [{"Key": "team", "Value": "blue"}]
QUEUE = "arn:aws:sqs:us-east-1:123456789012:heard"


def world(cloud: InProcessCloud) -> None:
    statement = {"Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": QUEUE}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    cloud.api("sqs", "CreateQueue", queue_name="heard", attributes={"Policy": policy})
    cloud.api("s3", "CreateBucket", bucket="the-logs")


def encrypted(algorithm: str, **more: Any) -> dict[str, Any]:
    rule = {"ServerSideEncryptionByDefault": {"SSEAlgorithm": algorithm}, **more}
    return {"ServerSideEncryptionConfiguration": [rule]}


RULES = [
    {
        "Id": "old things",
        "Status": "Enabled",
        "Prefix": "logs/",
        "TagFilters": [{"Key": "a", "Value": "b"}],
        "ObjectSizeGreaterThan": "1024",
        "ExpirationInDays": 365,
        "Transitions": [{"StorageClass": "GLACIER", "TransitionInDays": 90}, {"StorageClass": "STANDARD_IA", "TransitionInDays": 30}],
        "NoncurrentVersionExpiration": {"NoncurrentDays": 10, "NewerNoncurrentVersions": 2},
        "NoncurrentVersionTransitions": [{"StorageClass": "GLACIER", "TransitionInDays": 5}],
    },
    {"Status": "Enabled", "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7}},
    {"Status": "Disabled", "ExpirationDate": "2030-01-01T00:00:00Z", "Prefix": "tmp/"},
    {
        "Status": "Enabled",
        "NoncurrentVersionExpirationInDays": 3,
        "Prefix": "x/",
        "Transition": {"StorageClass": "GLACIER", "TransitionInDays": 1},
    },
]

PROPERTIES: list[Any] = [
    ("Tags", TAGS, [{"Key": "team", "Value": "red"}, {"Key": "b", "Value": "c"}]),
    ("VersioningConfiguration", {"Status": "Enabled"}, {"Status": "Suspended"}),
    ("BucketEncryption", encrypted("AES256"), encrypted("aws:kms", BucketKeyEnabled=True)),
    (
        "PublicAccessBlockConfiguration",
        {"BlockPublicAcls": True, "BlockPublicPolicy": True, "IgnorePublicAcls": True, "RestrictPublicBuckets": True},
        {"BlockPublicPolicy": False},
    ),
    ("OwnershipControls", {"Rules": [{"ObjectOwnership": "BucketOwnerPreferred"}]}, {"Rules": [{"ObjectOwnership": "ObjectWriter"}]}),
    (
        "CorsConfiguration",
        {"CorsRules": [{"Id": "r", "AllowedMethods": ["GET"], "AllowedOrigins": ["*"], "ExposedHeaders": ["Date"], "MaxAge": 60}]},
        {"CorsRules": [{"AllowedMethods": ["PUT", "GET"], "AllowedOrigins": ["https://a.example"], "AllowedHeaders": ["*"]}]},
    ),
    ("LifecycleConfiguration", {"Rules": RULES}, {"Rules": RULES[1:2], "TransitionDefaultMinimumObjectSize": "varies_by_storage_class"}),
    (
        "WebsiteConfiguration",
        {"IndexDocument": "index.html", "ErrorDocument": "error.html"},
        {
            "IndexDocument": "start.html",
            "RoutingRules": [{"RedirectRule": {"ReplaceKeyPrefixWith": "b/"}, "RoutingRuleCondition": {"KeyPrefixEquals": "a/"}}],
        },
    ),
    ("WebsiteConfiguration", {"RedirectAllRequestsTo": {"HostName": "a.example", "Protocol": "https"}}, {"IndexDocument": "i"}),
    ("LoggingConfiguration", {"DestinationBucketName": "the-logs", "LogFilePrefix": "p/"}, {"DestinationBucketName": "the-logs"}),
    ("AccelerateConfiguration", {"AccelerationStatus": "Enabled"}, {"AccelerationStatus": "Suspended"}),
    (
        "NotificationConfiguration",
        {"EventBridgeConfiguration": {"EventBridgeEnabled": True}},
        {
            "QueueConfigurations": [
                {"Event": "s3:ObjectCreated:*", "Queue": QUEUE, "Filter": {"S3Key": {"Rules": [{"Name": "prefix", "Value": "in/"}]}}}
            ]
        },
    ),
    (
        "InventoryConfigurations",
        [
            {
                "Id": "i",
                "Enabled": True,
                "ScheduleFrequency": "Daily",
                "IncludedObjectVersions": "All",
                "Destination": {"BucketArn": "arn:aws:s3:::the-logs", "Format": "CSV", "Prefix": "inv"},
                "Prefix": "p/",
            }
        ],
        [
            {
                "Id": "j",
                "Enabled": False,
                "ScheduleFrequency": "Weekly",
                "IncludedObjectVersions": "Current",
                "Destination": {"BucketArn": "arn:aws:s3:::the-logs", "BucketAccountId": "123456789012", "Format": "ORC"},
                "OptionalFields": ["Size"],
            }
        ],
    ),
    ("MetricsConfigurations", [{"Id": "m"}, {"Id": "n", "Prefix": "a"}], [{"Id": "n", "Prefix": "b", "TagFilters": TAGS}]),
    (
        "AnalyticsConfigurations",
        [{"Id": "a", "StorageClassAnalysis": {}, "TagFilters": TAGS}],
        [
            {
                "Id": "a",
                "StorageClassAnalysis": {
                    "DataExport": {"OutputSchemaVersion": "V_1", "Destination": {"BucketArn": "arn:aws:s3:::the-logs", "Format": "CSV"}}
                },
            }
        ],
    ),
    (
        "IntelligentTieringConfigurations",
        [{"Id": "t", "Status": "Enabled", "Tierings": [{"AccessTier": "ARCHIVE_ACCESS", "Days": 90}]}],
        [{"Id": "t", "Status": "Disabled", "Tierings": [{"AccessTier": "DEEP_ARCHIVE_ACCESS", "Days": 180}], "Prefix": "p"}],
    ),
]

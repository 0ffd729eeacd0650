"""The resource types of SNS and SQS: (type, properties, what an update makes of them), in a world with two queues and two topics."""

from __future__ import annotations

from typing import Any

import pytest

from harness import ACCOUNT, REGION, InProcessCloud

TAGS = [{"Key": "team", "Value": "blue"}]
OTHER_TAGS = [{"Key": "team", "Value": "red"}, {"Key": "a", "Value": "b"}]
SQS, SNS = f"arn:aws:sqs:{REGION}:{ACCOUNT}:", f"arn:aws:sns:{REGION}:{ACCOUNT}:"


def world(cloud: InProcessCloud) -> None:
    for name in ("dead", "inbox"):
        cloud.api("sqs", "CreateQueue", queue_name=name)
    for name in ("news", "other-news"):
        cloud.api("sns", "CreateTopic", name=name)


def allow(action: str, resource: str, who: str = "s3") -> dict[str, Any]:
    statement = {"Effect": "Allow", "Principal": {"Service": f"{who}.amazonaws.com"}, "Action": action, "Resource": resource}
    return {"Version": "2012-10-17", "Statement": [statement]}


def queue_url(name: str) -> str:
    return f"http://127.0.0.1:4566/{ACCOUNT}/{name}"


LIVES: list[Any] = [
    pytest.param("AWS::SQS::Queue", {}, {"VisibilityTimeout": 60}, id="queue, minimal"),
    pytest.param(
        "AWS::SQS::Queue",
        {
            "QueueName": "whole",
            "DelaySeconds": 5,
            "MaximumMessageSize": 2048,
            "MessageRetentionPeriod": 600,
            "ReceiveMessageWaitTimeSeconds": 10,
            "VisibilityTimeout": 45,
            "RedrivePolicy": {"deadLetterTargetArn": f"{SQS}dead", "maxReceiveCount": 3},
            "RedriveAllowPolicy": {"redrivePermission": "denyAll"},
            "SqsManagedSseEnabled": False,
            "Tags": TAGS,
        },
        {
            "QueueName": "whole",
            "VisibilityTimeout": 0,
            "KmsMasterKeyId": "alias/aws/sqs",
            "KmsDataKeyReusePeriodSeconds": 600,
            "Tags": OTHER_TAGS,
        },
        id="queue, whole",
    ),
    pytest.param(
        "AWS::SQS::Queue",
        {"KmsMasterKeyId": "alias/aws/sqs", "RedrivePolicy": f'{{"deadLetterTargetArn": "{SQS}dead", "maxReceiveCount": "3"}}'},
        {"SqsManagedSseEnabled": True},
        id="queue, another encryption, a policy as text",
    ),
    pytest.param(
        "AWS::SQS::Queue",
        {
            "FifoQueue": True,
            "ContentBasedDeduplication": True,
            "DeduplicationScope": "messageGroup",
            "FifoThroughputLimit": "perMessageGroupId",
        },
        {"FifoQueue": True, "ContentBasedDeduplication": False},
        id="queue, FIFO",
    ),
    pytest.param("AWS::SNS::Topic", {}, {"DisplayName": "News"}, id="topic, minimal"),
    pytest.param(
        "AWS::SNS::Topic",
        {
            "TopicName": "whole",
            "DisplayName": "News",
            "KmsMasterKeyId": "alias/aws/sns",
            "SignatureVersion": "2",
            "TracingConfig": "PassThrough",
            "Subscription": [{"Protocol": "sqs", "Endpoint": f"{SQS}inbox"}, {"Protocol": "email", "Endpoint": "a@example.com"}],
            "Tags": TAGS,
        },
        {"TopicName": "whole", "DisplayName": "", "Subscription": [{"Protocol": "sqs", "Endpoint": f"{SQS}dead"}], "Tags": OTHER_TAGS},
        id="topic, whole",
    ),
    pytest.param(
        "AWS::SNS::Topic",
        {"FifoTopic": True, "ContentBasedDeduplication": True, "FifoThroughputScope": "MessageGroup"},
        {"FifoTopic": True, "ContentBasedDeduplication": False},
        id="topic, FIFO",
    ),
    pytest.param(
        "AWS::SNS::Subscription",
        {"TopicArn": f"{SNS}news", "Protocol": "sqs", "Endpoint": f"{SQS}inbox"},
        {
            "TopicArn": f"{SNS}news",
            "Protocol": "sqs",
            "Endpoint": f"{SQS}inbox",
            "RawMessageDelivery": True,
            "FilterPolicy": {"kind": ["a", "b"]},
            "FilterPolicyScope": "MessageBody",
            "RedrivePolicy": {"deadLetterTargetArn": f"{SQS}dead"},
        },
        id="subscription",
    ),
    pytest.param(
        "AWS::SNS::Subscription",
        {
            "TopicArn": f"{SNS}news",
            "Protocol": "https",
            "Endpoint": "https://example.com/hook",
            "DeliveryPolicy": {"healthyRetryPolicy": {"numRetries": 1, "minDelayTarget": 1, "maxDelayTarget": 2}},
            "FilterPolicy": '{"kind":["a"]}',
        },
        {"TopicArn": f"{SNS}news", "Protocol": "https", "Endpoint": "https://example.com/hook"},
        id="subscription that waits",
    ),
    pytest.param(
        "AWS::SNS::TopicPolicy",
        {"Topics": [f"{SNS}news"], "PolicyDocument": allow("sns:Publish", "*")},
        {"Topics": [f"{SNS}other-news"], "PolicyDocument": allow("sns:Publish", f"{SNS}other-news")},
        id="topic policy",
    ),
    pytest.param(
        "AWS::SNS::TopicInlinePolicy",
        {"TopicArn": f"{SNS}news", "PolicyDocument": allow("sns:Publish", "*")},
        {"TopicArn": f"{SNS}news", "PolicyDocument": allow("sns:Publish", "*", "events")},
        id="topic inline policy",
    ),
    pytest.param(
        "AWS::SQS::QueuePolicy",
        {"Queues": [queue_url("inbox"), queue_url("dead")], "PolicyDocument": allow("sqs:SendMessage", "*")},
        {"Queues": [queue_url("inbox")], "PolicyDocument": allow("sqs:SendMessage", f"{SQS}inbox")},
        id="queue policy",
    ),
    pytest.param(
        "AWS::SQS::QueueInlinePolicy",
        {"Queue": queue_url("inbox"), "PolicyDocument": allow("sqs:SendMessage", "*")},
        {"Queue": queue_url("inbox"), "PolicyDocument": allow("sqs:SendMessage", "*", "sns")},
        id="queue inline policy",
    ),
]

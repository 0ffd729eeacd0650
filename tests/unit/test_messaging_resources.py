"""SNS's and SQS's resource types: each property, its update and its end; policies leave what was there before."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from harness import ACCOUNT, REGION, InProcessCloud
from stacks_lab import Lab, differences
from windtunnel.kernel.errors import AwsError
from windtunnel.provision.registry import Failed

TAGS = [{"Key": "team", "Value": "blue"}]
OTHER_TAGS = [{"Key": "team", "Value": "red"}, {"Key": "a", "Value": "b"}]
SQS, SNS = f"arn:aws:sqs:{REGION}:{ACCOUNT}:", f"arn:aws:sns:{REGION}:{ACCOUNT}:"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with InProcessCloud(tmp_path_factory.mktemp("messaging-resources")) as cloud:
        for name in ("dead", "inbox"):
            cloud.api("sqs", "CreateQueue", queue_name=name)
        for name in ("news", "other-news"):
            cloud.api("sns", "CreateTopic", name=name)
        yield Lab(cloud)


def allow(action: str, resource: str, who: str = "s3") -> dict[str, Any]:
    statement = {"Effect": "Allow", "Principal": {"Service": f"{who}.amazonaws.com"}, "Action": action, "Resource": resource}
    return {"Version": "2012-10-17", "Statement": [statement]}


def _url(name: str) -> str:
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
        {"Queues": [_url("inbox"), _url("dead")], "PolicyDocument": allow("sqs:SendMessage", "*")},
        {"Queues": [_url("inbox")], "PolicyDocument": allow("sqs:SendMessage", f"{SQS}inbox")},
        id="queue policy",
    ),
    pytest.param(
        "AWS::SQS::QueueInlinePolicy",
        {"Queue": _url("inbox"), "PolicyDocument": allow("sqs:SendMessage", "*")},
        {"Queue": _url("inbox"), "PolicyDocument": allow("sqs:SendMessage", "*", "sns")},
        id="queue inline policy",
    ),
]


def _there(lab: Lab) -> Any:
    queues = lab.cloud.api("sqs", "ListQueues").get("QueueUrls")
    told = [lab.cloud.api("sqs", "GetQueueAttributes", queue_url=url, attribute_names=["Policy"]) for url in queues]
    topics = [topic["TopicArn"] for topic in lab.cloud.api("sns", "ListTopics")["Topics"]]
    shown = [lab.cloud.api("sns", "GetTopicAttributes", topic_arn=arn)["Attributes"]["Policy"] for arn in topics]
    confirmed = [each for each in lab.cloud.api("sns", "ListSubscriptions")["Subscriptions"] if each["SubscriptionArn"].startswith("arn:")]
    return queues, told, topics, shown, confirmed


@pytest.mark.parametrize(("type_name", "first", "second"), LIVES)
def test_its_life(lab: Lab, type_name: str, first: dict[str, Any], second: dict[str, Any]) -> None:
    before = _there(lab)
    made = lab.create(type_name, **first)
    assert differences(first, lab.read(made)) == []
    if type_name not in ("AWS::SNS::TopicPolicy", "AWS::SQS::QueuePolicy") and "https" not in str(first):
        assert made.id in lab.list(type_name)
    lab.update(made, **second)
    live = lab.read(made) or {}
    assert differences(second, live) == []
    if type_name == "AWS::SQS::Queue":
        plain = lab.create(type_name, "Plain", **({"FifoQueue": True} if first.get("FifoQueue") else {}))
        never = lab.read(plain) or {}
        lab.delete(plain)
        left = {name for name in first if name not in second and live.get(name) != never.get(name)}
        assert left <= {"SqsManagedSseEnabled"} and (not left or "KmsMasterKeyId" in second)
    lab.delete(made)
    if "https" not in str(first):  # nobody can end what was never confirmed
        assert lab.read(made) is None
    assert _there(lab) == before
    lab.delete(made)


def test_names_ref_and_getatt(lab: Lab) -> None:
    queue = lab.create("AWS::SQS::Queue", "Jobs")
    name = queue.attributes["QueueName"]
    assert name.startswith("demo-Jobs-") and lab.ref(queue) == queue.attributes["QueueUrl"] == _url(name)
    assert queue.attributes["Arn"] == SQS + name
    fifo = lab.create("AWS::SQS::Queue", "Jobs", FifoQueue=True)
    assert fifo.attributes["QueueName"].endswith(".fifo")
    topic = lab.create("AWS::SNS::Topic", "News", FifoTopic=True)
    assert lab.ref(topic) == topic.attributes["TopicArn"] == SNS + topic.attributes["TopicName"] and topic.id.endswith(".fifo")
    with pytest.raises(Failed, match="already exists"):
        lab.create("AWS::SQS::Queue", QueueName=name)
    with pytest.raises(Failed, match=r"identifier 'arn:aws:sns:us-east-1:123456789012:news' already exists"):
        lab.create("AWS::SNS::Topic", TopicName="news")
    for each in (queue, fifo, topic):
        lab.delete(each)


REFUSED: list[Any] = [
    ("AWS::SQS::Queue", {"RedrivePolicy": {"deadLetterTargetArn": f"{SQS}none", "maxReceiveCount": 1}}, AwsError, "does not exist"),
    ("AWS::SQS::Queue", {"QueueName": "no.dots"}, AwsError, "alphanumeric"),
    ("AWS::SQS::QueuePolicy", {"Queues": [_url("inbox"), _url("none")], "PolicyDocument": allow("sqs:*", "*")}, AwsError, "QueueDoesNotExist|non_existent|does not exist"),
    ("AWS::SNS::Topic", {"TracingConfig": "Active"}, AwsError, "TracingConfig Active"),
    ("AWS::SNS::Topic", {"MaximumMessageSize": 1024}, AwsError, "MaximumMessageSize"),
    ("AWS::SNS::Topic", {"ArchivePolicy": {"MessageRetentionPeriod": 1}}, AwsError, "ArchivePolicy"),
    ("AWS::SNS::Topic", {"DataProtectionPolicy": {"Name": "x"}}, AwsError, "sns:PutDataProtectionPolicy"),
    ("AWS::SNS::Topic", {"DeliveryStatusLogging": [{"Protocol": "sqs", "SuccessFeedbackRoleArn": "r"}]}, AwsError, "SQSSuccessFeedbackRoleArn"),
    ("AWS::SNS::Topic", {"Subscription": [{"Protocol": "sms", "Endpoint": "+1"}]}, AwsError, "sms"),
    ("AWS::SNS::Topic", {"Tags": [{"Key": "aws:x", "Value": "y"}]}, Failed, "aws: prefixed"),
    ("AWS::SNS::Subscription", {"TopicArn": f"{SNS}news", "Protocol": "sqs", "Endpoint": f"{SQS}inbox", "ReplayPolicy": {}}, AwsError, "ReplayPolicy"),
    ("AWS::SNS::Subscription", {"TopicArn": f"{SNS}none", "Protocol": "sqs", "Endpoint": f"{SQS}inbox"}, AwsError, "Topic does not exist"),
]  # fmt: skip


@pytest.mark.parametrize(("type_name", "props", "error", "words"), REFUSED, ids=[f"{each[0]}-{each[3]}" for each in REFUSED])
def test_what_fails_leaves_nothing(lab: Lab, type_name: str, props: dict[str, Any], error: type[Exception], words: str) -> None:
    before = _there(lab)
    with pytest.raises(error, match=words):
        lab.create(type_name, **props)
    assert _there(lab) == before


def test_a_topic_shows_its_stack(lab: Lab) -> None:
    topic = lab.create("AWS::SNS::Topic", "Tagged", Tags=TAGS)
    shown = {tag["Key"]: tag["Value"] for tag in lab.cloud.api("sns", "ListTagsForResource", resource_arn=topic.id)["Tags"]}
    assert shown["aws:cloudformation:logical-id"] == "Tagged" and shown["team"] == "blue" and len(shown) == 4
    with pytest.raises(AwsError, match="do not begin with aws:"):
        lab.cloud.api("sns", "UntagResource", resource_arn=topic.id, tag_keys=["aws:cloudformation:stack-name"])
    lab.cloud.api("sns", "TagResource", resource_arn=topic.id, tags=[{"Key": "more", "Value": "1"}])
    assert (lab.read(topic) or {})["Tags"] == [{"Key": "more", "Value": "1"}, *TAGS]
    lab.delete(topic)

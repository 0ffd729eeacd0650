"""SNS's and SQS's resource types: each property, its update and its end; policies leave what was there before."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from harness import InProcessCloud
from resource_tables.messaging import LIVES, SNS, SQS, TAGS, allow, queue_url, world
from stacks_lab import Lab, differences
from windtunnel.kernel.errors import AwsError
from windtunnel.provision.registry import Failed


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with InProcessCloud(tmp_path_factory.mktemp("messaging-resources")) as cloud:
        world(cloud)
        yield Lab(cloud)


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
    assert name.startswith("demo-Jobs-") and lab.ref(queue) == queue.attributes["QueueUrl"] == queue_url(name)
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
    ("AWS::SQS::QueuePolicy", {"Queues": [queue_url("inbox"), queue_url("none")], "PolicyDocument": allow("sqs:*", "*")}, AwsError, "QueueDoesNotExist|non_existent|does not exist"),
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

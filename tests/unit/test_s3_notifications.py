"""Notifications to queues and topics: who is told what, and what a destination must allow first."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness import ACCOUNT, REGION, InProcessCloud, until
from windtunnel.kernel.errors import AwsError

QUEUE = f"arn:aws:sqs:{REGION}:{ACCOUNT}:told"
URL = f"http://127.0.0.1:4566/{ACCOUNT}/told"


@pytest.fixture()
def cloud(tmp_path: Path) -> Iterator[InProcessCloud]:
    with InProcessCloud(tmp_path) as started:
        started.api("s3", "CreateBucket", bucket="box")
        started.api("sqs", "CreateQueue", queue_name="told", attributes={"Policy": policy("sqs:SendMessage", QUEUE)})
        yield started


def policy(action: str, resource: str, source: str = "arn:aws:s3:::box") -> str:
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "s3.amazonaws.com"},
        "Action": action,
        "Resource": resource,
        "Condition": {"ArnLike": {"aws:SourceArn": source}, "StringEquals": {"aws:SourceAccount": ACCOUNT}},
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def configure(cloud: InProcessCloud, *queues: dict[str, Any], **more: Any) -> None:
    configuration = {"QueueConfigurations": [{"QueueArn": QUEUE, "Events": ["s3:ObjectCreated:*"], **queue} for queue in queues], **more}
    cloud.api("s3", "PutBucketNotificationConfiguration", bucket="box", notification_configuration=configuration)


def received(cloud: InProcessCloud) -> list[dict[str, Any]]:
    found = cloud.api("sqs", "ReceiveMessage", queue_url=URL, max_number_of_messages=10).get("Messages", [])
    for message in found:
        cloud.api("sqs", "DeleteMessage", queue_url=URL, receipt_handle=message["ReceiptHandle"])
    return [json.loads(message["Body"]) for message in found]


def records(cloud: InProcessCloud, count: int) -> list[dict[str, Any]]:
    """The next records, in the order of their names and keys; test events are left out."""
    heard: list[dict[str, Any]] = []

    def enough() -> bool:
        heard.extend(record for message in received(cloud) for record in message.get("Records", []))
        return len(heard) >= count

    until(enough, what=f"{count} records")
    return sorted(heard, key=lambda record: (record["eventName"], record["s3"]["object"]["key"]))


def test_a_queue_is_told_of_what_it_asked_for(cloud: InProcessCloud) -> None:
    rules = [{"Name": "prefix", "Value": "in/"}, {"Name": "suffix", "Value": ".txt"}]
    configure(cloud, {"Id": "mine", "Filter": {"Key": {"FilterRules": rules}}})
    assert received(cloud)[0]["Event"] == "s3:TestEvent"
    for key in ("in/a b.txt", "in/a.png", "out/a.txt"):
        cloud.api("s3", "PutObject", bucket="box", key=key, body=b"12345")
    cloud.api("s3", "CopyObject", bucket="box", key="in/copy.txt", copy_source="box/out/a.txt")
    copied, made = records(cloud, 2)
    assert (copied["eventName"], copied["s3"]["object"]["key"]) == ("ObjectCreated:Copy", "in/copy.txt")
    assert (made["eventName"], made["s3"]["object"]["key"], made["s3"]["object"]["size"]) == ("ObjectCreated:Put", "in/a+b.txt", 5)
    assert made["s3"]["configurationId"] == "mine"
    assert made["s3"]["bucket"]["arn"] == "arn:aws:s3:::box"
    assert made["eventSource"] == "aws:s3"


def test_removals_tags_and_versions(cloud: InProcessCloud) -> None:
    configure(cloud, {"Events": ["s3:ObjectRemoved:*", "s3:ObjectTagging:Put", "s3:ObjectAcl:Put"]})
    cloud.api("s3", "PutBucketVersioning", bucket="box", versioning_configuration={"Status": "Enabled"})
    version = cloud.api("s3", "PutObject", bucket="box", key="k", body=b"")["VersionId"]
    cloud.api("s3", "PutObjectTagging", bucket="box", key="k", tagging={"TagSet": [{"Key": "a", "Value": "b"}]})
    cloud.api("s3", "DeleteObject", bucket="box", key="k")
    cloud.api("s3", "DeleteObject", bucket="box", key="k", version_id=version)
    assert [record["eventName"] for record in records(cloud, 3)] == [
        "ObjectRemoved:Delete",
        "ObjectRemoved:DeleteMarkerCreated",
        "ObjectTagging:Put",
    ]


def test_a_destination_must_let_s3_in_and_nothing_is_changed_otherwise(cloud: InProcessCloud) -> None:
    configure(cloud, {"Id": "kept"})
    cloud.api("sqs", "SetQueueAttributes", queue_url=URL, attributes={"Policy": policy("sqs:SendMessage", QUEUE, "arn:aws:s3:::other")})
    with pytest.raises(AwsError) as caught:
        configure(cloud, {"Id": "new"})
    assert (caught.value.code, caught.value.message) == ("InvalidArgument", "Unable to validate the following destination configurations")
    assert caught.value.extra["ArgumentName"] == QUEUE
    kept = cloud.api("s3", "GetBucketNotificationConfiguration", bucket="box")
    assert kept["QueueConfigurations"][0]["Id"] == "kept"
    gone = {"QueueArn": f"{QUEUE}-gone"}
    with pytest.raises(AwsError, match="Unable to validate"):
        configure(cloud, gone)
    configuration = {"QueueConfigurations": [{**gone, "Events": ["s3:ObjectCreated:*"]}]}
    cloud.api(
        "s3", "PutBucketNotificationConfiguration", bucket="box", notification_configuration=configuration, skip_destination_validation=True
    )
    cloud.api("s3", "PutObject", bucket="box", key="k", body=b"")
    runs = "SELECT count(*) FROM run WHERE kind='s3.notify' AND state IN ('ready', 'parked')"
    until(lambda: cloud.read(lambda ctx: ctx.tx.connection.execute(runs).fetchone()[0]) == 0, what="the delivery has been given up")


@pytest.mark.parametrize(
    "queues, words",
    [
        pytest.param([{"QueueArn": "told"}], "well formed", id="no ARN"),
        pytest.param([{"QueueArn": f"arn:aws:sns:{REGION}:{ACCOUNT}:t"}], "well formed", id="another service's"),
        pytest.param([{"QueueArn": f"arn:aws:sqs:eu-west-1:{ACCOUNT}:t"}], "region", id="another region's"),
        pytest.param([{"QueueArn": f"{QUEUE}.fifo"}], "FIFO", id="a FIFO queue"),
        pytest.param([{"Events": ["s3:Everything"]}], "not supported", id="no event"),
        pytest.param([{}, {}], "overlap", id="twice the same"),
        pytest.param([{"Id": "a"}, {"Id": "a", "Events": ["s3:ObjectRemoved:*"]}], "Same ID", id="one id"),
    ],
)
def test_bad_configurations_are_refused(cloud: InProcessCloud, queues: list[dict[str, Any]], words: str) -> None:
    with pytest.raises(AwsError, match=words):
        configure(cloud, *queues)
    assert cloud.api("s3", "GetBucketNotificationConfiguration", bucket="box") == {}


def test_a_topic_is_told(cloud: InProcessCloud) -> None:
    topic = cloud.api("sns", "CreateTopic", name="told")["TopicArn"]
    cloud.api("sns", "SetTopicAttributes", topic_arn=topic, attribute_name="Policy", attribute_value=policy("sns:Publish", topic))
    cloud.api(
        "sqs",
        "SetQueueAttributes",
        queue_url=URL,
        attributes={"Policy": policy("sqs:SendMessage", QUEUE, topic).replace("s3.amazonaws.com", "sns.amazonaws.com")},
    )
    cloud.api("sns", "Subscribe", topic_arn=topic, protocol="sqs", endpoint=QUEUE)
    wanted = {"TopicConfigurations": [{"TopicArn": topic, "Events": ["s3:ObjectCreated:*"]}]}
    cloud.api("s3", "PutBucketNotificationConfiguration", bucket="box", notification_configuration=wanted)
    cloud.api("s3", "PutObject", bucket="box", key="k", body=b"")
    heard: list[str] = []
    until(lambda: heard.extend(message["Message"] for message in received(cloud)) or any("ObjectCreated:Put" in text for text in heard))

"""SQS as boto3 sees it: errors by both their codes, digests that the client checks itself, order, visibility, dead letters, policies."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ReadTimeoutError

from clients import Door
from harness import ACCOUNT, REGION, InProcessCloud, until
from windtunnel.kernel.clock import FixedClock
from windtunnel.labs.cloud import LabCloud

OTHER = "210987654321"


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(time.time())  # real clients sign with the real time: within a quarter of an hour


@pytest.fixture
def cloud(tmp_path: Path, clock: FixedClock) -> Iterator[InProcessCloud]:
    with InProcessCloud(tmp_path, clock=clock) as cloud:
        yield cloud


@pytest.fixture
def sqs(door: Door) -> Any:
    return door.client("sqs")


def queue(sqs: Any, name: str = "q", **attributes: str) -> str:
    url: str = sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
    return url


def arn(name: str) -> str:
    return f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"


def bodies(answer: dict[str, Any]) -> list[str]:
    return [message["Body"] for message in answer.get("Messages", [])]


def refusal(action: Any, **args: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as refused:
        action(**args)
    return refused.value.response["Error"]["Code"], refused.value.response["Error"]["Message"]


def test_a_message_goes_in_and_comes_out_with_all_that_it_had(sqs: Any) -> None:
    url = queue(sqs)
    attributes = {
        "city": {"DataType": "String", "StringValue": "Zürich"},
        "size": {"DataType": "Number.int", "StringValue": "12"},
        "raw": {"DataType": "Binary", "BinaryValue": b"\x00\xff"},
    }
    trace = {"AWSTraceHeader": {"DataType": "String", "StringValue": "Root=1-5759e988-bd862e3fe1be46a994272793"}}
    sent = sqs.send_message(QueueUrl=url, MessageBody="hällo", MessageAttributes=attributes, MessageSystemAttributes=trace)
    [message] = sqs.receive_message(QueueUrl=url, MessageAttributeNames=["All"], MessageSystemAttributeNames=["All"])["Messages"]
    assert message["Body"] == "hällo"
    assert message["MessageId"] == sent["MessageId"]
    assert message["MessageAttributes"] == attributes
    assert message["MD5OfMessageAttributes"] == sent["MD5OfMessageAttributes"]
    assert message["Attributes"]["ApproximateReceiveCount"] == "1"
    assert message["Attributes"]["SenderId"] == ACCOUNT
    assert message["Attributes"]["AWSTraceHeader"] == trace["AWSTraceHeader"]["StringValue"]


def test_only_attributes_that_are_asked_for_come(sqs: Any) -> None:
    url = queue(sqs)
    value = {"DataType": "String", "StringValue": "1"}
    sqs.send_message(QueueUrl=url, MessageBody="x", MessageAttributes={"a.b": value, "a.c": value, "d": value})
    [message] = sqs.receive_message(QueueUrl=url, MessageAttributeNames=["a.*"], VisibilityTimeout=0)["Messages"]
    assert set(message["MessageAttributes"]) == {"a.b", "a.c"}
    [message] = sqs.receive_message(QueueUrl=url)["Messages"]
    assert "MessageAttributes" not in message and "Attributes" not in message


def test_the_body_is_sealed_at_rest(sqs: Any, cloud: InProcessCloud) -> None:
    secret = "nobody-reads-this-in-the-file"
    sqs.send_message(QueueUrl=queue(sqs, "sealed"), MessageBody=secret)
    sqs.send_message(QueueUrl=queue(sqs, "open", SqsManagedSseEnabled="false"), MessageBody="everybody-reads-this")
    kept = b"".join(
        row[0]
        for row in cloud.read(lambda ctx: ctx.tx.connection.execute("SELECT body FROM message").fetchall())  # type: ignore[attr-defined]
    )
    assert secret.encode() not in kept and b"everybody-reads-this" in kept


def test_creating_again_is_the_same_queue_unless_an_attribute_differs(sqs: Any) -> None:
    url = queue(sqs, VisibilityTimeout="40")
    assert queue(sqs) == url == queue(sqs, VisibilityTimeout="40", DelaySeconds="0")
    code, words = refusal(sqs.create_queue, QueueName="q", Attributes={"VisibilityTimeout": "41"})
    assert code == "QueueAlreadyExists"
    assert words == "A queue already exists with the same name and a different value for attribute VisibilityTimeout"


def test_errors_have_the_codes_of_the_older_protocol_and_their_own_classes(sqs: Any) -> None:
    with pytest.raises(sqs.exceptions.QueueDoesNotExist) as refused:
        sqs.get_queue_url(QueueName="nowhere")
    assert refused.value.response["Error"]["Code"] == "AWS.SimpleQueueService.NonExistentQueue"
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


@pytest.mark.parametrize(
    "write",
    [
        pytest.param(lambda name: f"http://127.0.0.1:4566/{ACCOUNT}/{name}", id="ours"),
        pytest.param(lambda name: f"https://sqs.us-east-1.amazonaws.com/{ACCOUNT}/{name}", id="AWS's"),
        pytest.param(lambda name: f"https://queue.amazonaws.com/{ACCOUNT}/{name}/", id="the oldest, with a slash"),
        pytest.param(lambda name: f"http://sqs.us-east-1.localhost.localstack.cloud:4566/{ACCOUNT}/{name}", id="another emulator's"),
        pytest.param(lambda name: f"/{ACCOUNT}/{name}", id="a path"),
        pytest.param(lambda name: name, id="a name"),
    ],
)
def test_a_queue_is_found_however_its_url_is_written(sqs: Any, write: Any) -> None:
    queue(sqs)
    sqs.send_message(QueueUrl=write("q"), MessageBody="x")
    assert bodies(sqs.receive_message(QueueUrl=write("q"))) == ["x"]


def test_a_received_message_is_hidden_until_its_time_has_passed(sqs: Any, clock: FixedClock) -> None:
    url = queue(sqs, VisibilityTimeout="10")
    sqs.send_message(QueueUrl=url, MessageBody="x")
    [first] = sqs.receive_message(QueueUrl=url)["Messages"]
    assert bodies(sqs.receive_message(QueueUrl=url)) == []
    clock.advance(10)
    [second] = sqs.receive_message(QueueUrl=url, AttributeNames=["ApproximateReceiveCount"])["Messages"]
    assert second["Attributes"] == {"ApproximateReceiveCount": "2"}
    sqs.delete_message(QueueUrl=url, ReceiptHandle=first["ReceiptHandle"])
    sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=second["ReceiptHandle"], VisibilityTimeout=0)
    [third] = sqs.receive_message(QueueUrl=url)["Messages"]
    sqs.delete_message(QueueUrl=url, ReceiptHandle=third["ReceiptHandle"])
    clock.advance(100)
    assert bodies(sqs.receive_message(QueueUrl=url)) == []


def test_delays_of_the_queue_and_of_a_message(sqs: Any, clock: FixedClock) -> None:
    url = queue(sqs, DelaySeconds="5")
    sqs.send_message(QueueUrl=url, MessageBody="queue's")
    sqs.send_message(QueueUrl=url, MessageBody="none", DelaySeconds=0)
    assert bodies(sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)) == ["none"]
    counts = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert counts["ApproximateNumberOfMessagesDelayed"] == "1" and counts["ApproximateNumberOfMessagesNotVisible"] == "1"
    clock.advance(5)
    assert bodies(sqs.receive_message(QueueUrl=url)) == ["queue's"]


def test_a_long_poll_is_woken_by_a_send(sqs: Any, door: Door) -> None:
    url = queue(sqs)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(door.client("sqs").receive_message, QueueUrl=url, WaitTimeSeconds=20)
        sqs.send_message(QueueUrl=url, MessageBody="now")
        assert bodies(waiting.result(15)) == ["now"]


def test_a_long_poll_is_woken_by_time(sqs: Any, door: Door, clock: FixedClock, cloud: InProcessCloud) -> None:
    url = queue(sqs)
    sqs.send_message(QueueUrl=url, MessageBody="late", DelaySeconds=1)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(door.client("sqs").receive_message, QueueUrl=url, WaitTimeSeconds=20)
        until(lambda: cloud.cloud._waiters, what="a receiver that waits")
        clock.advance(1)
        assert bodies(waiting.result(15)) == ["late"]


def test_batches_answer_entry_by_entry(sqs: Any) -> None:
    url = queue(sqs)
    entries = [{"Id": "a", "MessageBody": "1"}, {"Id": "b", "MessageBody": "\x01"}, {"Id": "c", "MessageBody": "2", "DelaySeconds": 901}]
    answer = sqs.send_message_batch(QueueUrl=url, Entries=entries)
    assert [done["Id"] for done in answer["Successful"]] == ["a"]
    assert {failed["Id"]: failed["Code"] for failed in answer["Failed"]} == {"b": "InvalidMessageContents", "c": "InvalidParameterValue"}
    [message] = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    handles = [{"Id": "a", "ReceiptHandle": message["ReceiptHandle"]}, {"Id": "b", "ReceiptHandle": "nonsense"}]
    answer = sqs.change_message_visibility_batch(QueueUrl=url, Entries=[handle | {"VisibilityTimeout": 5} for handle in handles])
    assert [done["Id"] for done in answer["Successful"]] == ["a"] and answer["Failed"][0]["Code"] == "ReceiptHandleIsInvalid"
    answer = sqs.delete_message_batch(QueueUrl=url, Entries=handles)
    assert [done["Id"] for done in answer["Successful"]] == ["a"] and [failed["Id"] for failed in answer["Failed"]] == ["b"]


@pytest.mark.parametrize(
    "entries, code",
    [
        pytest.param([], "AWS.SimpleQueueService.EmptyBatchRequest", id="none"),
        pytest.param(
            [{"Id": str(n), "MessageBody": "x"} for n in range(11)], "AWS.SimpleQueueService.TooManyEntriesInBatchRequest", id="eleven"
        ),
        pytest.param([{"Id": "a", "MessageBody": "x"}] * 2, "AWS.SimpleQueueService.BatchEntryIdsNotDistinct", id="twice the same id"),
        pytest.param([{"Id": "ä", "MessageBody": "x"}], "AWS.SimpleQueueService.InvalidBatchEntryId", id="a bad id"),
        pytest.param(
            [{"Id": str(n), "MessageBody": "x" * 600_000} for n in range(2)], "AWS.SimpleQueueService.BatchRequestTooLong", id="too long"
        ),
    ],
)
def test_batches_that_are_refused_whole(sqs: Any, entries: list[dict[str, Any]], code: str) -> None:
    url = queue(sqs)
    assert refusal(sqs.send_message_batch, QueueUrl=url, Entries=entries)[0] == code
    assert bodies(sqs.receive_message(QueueUrl=url)) == []


def test_a_mebibyte_goes_through_and_one_byte_more_does_not(sqs: Any) -> None:
    url = queue(sqs)
    sqs.send_message(QueueUrl=url, MessageBody="x" * (1 << 20))
    assert len(bodies(sqs.receive_message(QueueUrl=url))[0]) == 1 << 20
    code, words = refusal(sqs.send_message, QueueUrl=url, MessageBody="x" * ((1 << 20) + 1))
    assert (code, words) == (
        "InvalidParameterValue",
        "One or more parameters are invalid. Reason: Message must be shorter than 1048576 bytes.",
    )


# -- FIFO -----------------------------------------------------------------------------------------------------------------


def fifo(sqs: Any, name: str = "q.fifo", **attributes: str) -> str:
    return queue(sqs, name, FifoQueue="true", **attributes)


def put(sqs: Any, url: str, body: str, group: str = "g", dedup: str | None = None) -> dict[str, Any]:
    answer: dict[str, Any] = sqs.send_message(
        QueueUrl=url, MessageBody=body, MessageGroupId=group, MessageDeduplicationId=dedup or f"{group}-{body}"
    )
    return answer


def test_a_group_is_delivered_in_order_and_one_receiver_at_a_time(sqs: Any, clock: FixedClock) -> None:
    url = fifo(sqs)
    for body in "abc":
        put(sqs, url, body)
    put(sqs, url, "z", "other")
    [first] = sqs.receive_message(QueueUrl=url)["Messages"]
    assert first["Body"] == "a"
    assert bodies(sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)) == ["z"]
    assert bodies(sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)) == []
    sqs.delete_message(QueueUrl=url, ReceiptHandle=first["ReceiptHandle"])
    assert bodies(sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)) == ["b", "c"]
    clock.advance(30)
    assert bodies(sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)) in (["b", "c", "z"], ["z", "b", "c"])


def test_what_is_sent_twice_within_five_minutes_is_delivered_once(sqs: Any, clock: FixedClock) -> None:
    url = fifo(sqs)
    first = put(sqs, url, "a", dedup="once")
    again = put(sqs, url, "b", dedup="once")
    assert (again["MessageId"], again["SequenceNumber"]) == (first["MessageId"], first["SequenceNumber"])
    [message] = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    put(sqs, url, "c", dedup="once")
    assert bodies(sqs.receive_message(QueueUrl=url)) == []
    clock.advance(300)
    later = put(sqs, url, "d", dedup="once")
    assert int(later["SequenceNumber"]) > int(first["SequenceNumber"]) and len(later["SequenceNumber"]) == 20
    assert bodies(sqs.receive_message(QueueUrl=url)) == ["d"]


def test_deduplication_by_content_and_by_group(sqs: Any) -> None:
    url = fifo(sqs, ContentBasedDeduplication="true")
    for _ in range(2):
        sqs.send_message(QueueUrl=url, MessageBody="same", MessageGroupId="g")
    assert bodies(sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)) == ["same"]
    url = fifo(sqs, "fast.fifo", DeduplicationScope="messageGroup", FifoThroughputLimit="perMessageGroupId")
    for group in "xy":
        put(sqs, url, group, group, dedup="same")
    assert sorted(bodies(sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10))) == ["x", "y"]


def test_an_attempt_that_is_repeated_receives_the_same(sqs: Any) -> None:
    url = fifo(sqs)
    for body in "ab":
        put(sqs, url, body)
    first = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=2, ReceiveRequestAttemptId="one")
    again = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=2, ReceiveRequestAttemptId="one")
    assert bodies(again) == ["a", "b"]
    assert [m["ReceiptHandle"] for m in again["Messages"]] == [m["ReceiptHandle"] for m in first["Messages"]]
    assert bodies(sqs.receive_message(QueueUrl=url, ReceiveRequestAttemptId="two")) == []


def test_an_expired_receipt_of_a_fifo_queue_deletes_nothing(sqs: Any, clock: FixedClock) -> None:
    url = fifo(sqs, VisibilityTimeout="5")
    put(sqs, url, "a")
    [message] = sqs.receive_message(QueueUrl=url)["Messages"]
    clock.advance(5)
    code, words = refusal(sqs.delete_message, QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    assert code == "InvalidParameterValue" and words.endswith("Reason: The receipt handle has expired.")
    assert bodies(sqs.receive_message(QueueUrl=url)) == ["a"]


@pytest.mark.parametrize(
    "given, code",
    [
        pytest.param({"MessageDeduplicationId": "d"}, "MissingParameter", id="no group"),
        pytest.param({"MessageGroupId": "g"}, "InvalidParameterValue", id="no deduplication id"),
        pytest.param({"MessageGroupId": "g", "MessageDeduplicationId": "d", "DelaySeconds": 1}, "InvalidParameterValue", id="a delay"),
        pytest.param({"MessageGroupId": "g g", "MessageDeduplicationId": "d"}, "InvalidParameterValue", id="a bad group"),
    ],
)
def test_what_a_fifo_queue_refuses(sqs: Any, given: dict[str, Any], code: str) -> None:
    assert refusal(sqs.send_message, QueueUrl=fifo(sqs), MessageBody="x", **given)[0] == code


# -- dead letters ---------------------------------------------------------------------------------------------------------


def redrive(name: str, count: int) -> str:
    return json.dumps({"deadLetterTargetArn": arn(name), "maxReceiveCount": count})


@pytest.mark.parametrize("suffix", ["", ".fifo"])
def test_what_is_received_too_often_goes_to_the_dead_letters_and_can_be_moved_back(sqs: Any, clock: FixedClock, suffix: str) -> None:
    make = {"FifoQueue": "true"} if suffix else {}
    dead = queue(sqs, f"dead{suffix}", **make)
    url = queue(sqs, f"q{suffix}", RedrivePolicy=redrive(f"dead{suffix}", 2), VisibilityTimeout="1", **make)
    for body in ("x", "y"):
        sqs.send_message(QueueUrl=url, MessageBody=body, **({"MessageGroupId": "g", "MessageDeduplicationId": body} if suffix else {}))
    for _ in range(2):
        assert bodies(sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)) == ["x", "y"]
        clock.advance(1)
    assert bodies(sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)) == []
    found = sqs.receive_message(QueueUrl=dead, MaxNumberOfMessages=10, AttributeNames=["All"], VisibilityTimeout=0)
    assert bodies(found) == ["x", "y"]
    assert {m["Attributes"]["DeadLetterQueueSourceArn"] for m in found["Messages"]} == {arn(f"q{suffix}")}
    assert sqs.list_dead_letter_source_queues(QueueUrl=dead)["queueUrls"] == [url]

    sqs.start_message_move_task(SourceArn=arn(f"dead{suffix}"))

    def task() -> dict[str, Any]:
        [found] = sqs.list_message_move_tasks(SourceArn=arn(f"dead{suffix}"))["Results"]
        return dict(found)

    until(lambda: task()["Status"] == "COMPLETED", what="the move")
    assert task()["ApproximateNumberOfMessagesMoved"] == 2
    back = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, AttributeNames=["All"])
    assert bodies(back) == ["x", "y"]
    assert {m["Attributes"]["ApproximateReceiveCount"] for m in back["Messages"]} == {"1"}


def test_a_move_that_is_slow_can_be_cancelled(sqs: Any) -> None:
    dead = queue(sqs, "dead")
    queue(sqs, RedrivePolicy=redrive("dead", 1))
    for n in range(5):
        sqs.send_message(QueueUrl=dead, MessageBody=str(n))
    handle = sqs.start_message_move_task(SourceArn=arn("dead"), DestinationArn=arn("q"), MaxNumberOfMessagesPerSecond=1)["TaskHandle"]
    assert refusal(sqs.start_message_move_task, SourceArn=arn("dead"))[0] == "AWS.SimpleQueueService.UnsupportedOperation"
    sqs.cancel_message_move_task(TaskHandle=handle)
    [task] = sqs.list_message_move_tasks(SourceArn=arn("dead"))["Results"]
    assert task["Status"] in ("CANCELLING", "CANCELLED") and task["ApproximateNumberOfMessagesMoved"] < 5


@pytest.mark.parametrize(
    "allow, allowed",
    [
        pytest.param({"redrivePermission": "allowAll"}, True, id="all"),
        pytest.param({"redrivePermission": "denyAll"}, False, id="none"),
        pytest.param({"redrivePermission": "byQueue", "sourceQueueArns": [arn("q")]}, True, id="this one"),
        pytest.param({"redrivePermission": "byQueue", "sourceQueueArns": [arn("p")]}, False, id="another one"),
    ],
)
def test_a_dead_letter_queue_says_whose_it_is(sqs: Any, allow: dict[str, Any], allowed: bool) -> None:
    queue(sqs, "dead", RedriveAllowPolicy=json.dumps(allow))
    attempt = {"QueueName": "q", "Attributes": {"RedrivePolicy": redrive("dead", 1)}}
    if allowed:
        sqs.create_queue(**attempt)
        assert sqs.get_queue_url(QueueName="q")["QueueUrl"]
    else:
        assert refusal(sqs.create_queue, **attempt)[0] == "InvalidParameterValue"


# -- life of a queue ------------------------------------------------------------------------------------------------------


def test_messages_expire(sqs: Any, clock: FixedClock, cloud: InProcessCloud) -> None:
    url = queue(sqs, MessageRetentionPeriod="60")
    sqs.send_message(QueueUrl=url, MessageBody="old")
    clock.advance(61)
    assert bodies(sqs.receive_message(QueueUrl=url)) == []
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"MessageRetentionPeriod": "61"})

    def rows() -> int:
        return cloud.read(lambda ctx: ctx.tx.queues.depth(_number(ctx), 1 << 60).visible)

    def _number(ctx: Any) -> int:
        from windtunnel.services.sqs.model import Queue

        found: int = ctx.tx.get(Queue, "q").number
        return found

    until(lambda: rows() == 0, what="the expired message's removal")


def test_purging_empties_once_a_minute(sqs: Any, clock: FixedClock) -> None:
    url = queue(sqs)
    sqs.send_message(QueueUrl=url, MessageBody="x")
    [held] = sqs.receive_message(QueueUrl=url)["Messages"]
    sqs.send_message(QueueUrl=url, MessageBody="y")
    sqs.purge_queue(QueueUrl=url)
    assert bodies(sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)) == []
    sqs.delete_message(QueueUrl=url, ReceiptHandle=held["ReceiptHandle"])
    assert refusal(sqs.purge_queue, QueueUrl=url)[0] == "AWS.SimpleQueueService.PurgeQueueInProgress"
    sqs.send_message(QueueUrl=url, MessageBody="z")
    assert bodies(sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)) == ["z"]
    clock.advance(60)
    sqs.purge_queue(QueueUrl=url)


def test_a_name_is_free_again_after_a_minute(sqs: Any, clock: FixedClock) -> None:
    sqs.send_message(QueueUrl=queue(sqs), MessageBody="of the old queue")
    sqs.delete_queue(QueueUrl=queue(sqs))
    assert refusal(sqs.create_queue, QueueName="q")[0] == "AWS.SimpleQueueService.QueueDeletedRecently"
    clock.advance(60)
    assert bodies(sqs.receive_message(QueueUrl=queue(sqs))) == []


def test_a_queues_attributes(sqs: Any, clock: FixedClock) -> None:
    url = queue(sqs, VisibilityTimeout="0012")
    assert sqs.get_queue_attributes(QueueUrl=url).get("Attributes") is None
    assert sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"] == {
        "QueueArn": arn("q"),
        "ApproximateNumberOfMessages": "0",
        "ApproximateNumberOfMessagesNotVisible": "0",
        "ApproximateNumberOfMessagesDelayed": "0",
        "CreatedTimestamp": str(int(clock.now())),
        "LastModifiedTimestamp": str(int(clock.now())),
        "VisibilityTimeout": "12",
        "MaximumMessageSize": "1048576",
        "MessageRetentionPeriod": "345600",
        "DelaySeconds": "0",
        "ReceiveMessageWaitTimeSeconds": "0",
        "SqsManagedSseEnabled": "true",
    }
    for bad in ({"VisibilityTimeout": "43201"}, {"DelaySeconds": "x"}, {"Policy": "{"}, {"SqsManagedSseEnabled": "yes"}):
        assert refusal(sqs.set_queue_attributes, QueueUrl=url, Attributes=bad)[0] == "InvalidAttributeValue"
    for unknown in ({"FifoQueue": "true"}, {"Colour": "red"}, {"QueueArn": arn("q")}, {"ContentBasedDeduplication": "true"}):
        assert refusal(sqs.set_queue_attributes, QueueUrl=url, Attributes=unknown)[0] == "InvalidAttributeName"
    assert refusal(sqs.get_queue_attributes, QueueUrl=url, AttributeNames=["Colour"])[0] == "InvalidAttributeName"


def test_listing_in_pages(sqs: Any) -> None:
    urls = [queue(sqs, name) for name in ("aa", "ab", "ac", "b")]
    assert sqs.list_queues()["QueueUrls"] == urls
    first = sqs.list_queues(QueueNamePrefix="a", MaxResults=2)
    assert first["QueueUrls"] == urls[:2]
    assert sqs.list_queues(QueueNamePrefix="a", MaxResults=2, NextToken=first["NextToken"])["QueueUrls"] == urls[2:3]
    assert refusal(sqs.list_queues, NextToken="é!")[0] == "InvalidParameterValue"


def test_tags(sqs: Any) -> None:
    url = sqs.create_queue(QueueName="q", tags={"a": "1"})["QueueUrl"]
    sqs.tag_queue(QueueUrl=url, Tags={"b": "2"})
    sqs.untag_queue(QueueUrl=url, TagKeys=["a"])
    assert sqs.list_queue_tags(QueueUrl=url)["Tags"] == {"b": "2"}


# -- who may --------------------------------------------------------------------------------------------------------------


def stranger(cloud: InProcessCloud, door: Door) -> Any:
    """A client of another account's root."""
    from windtunnel.services.iam.model import RootKey

    cloud.write(lambda ctx: ctx.tx.put(RootKey(access_key="AKIASTRANGERSTRANGER", secret="stranger", account=OTHER)))
    return door.client("sqs", ("AKIASTRANGERSTRANGER", "stranger", ""))


def test_another_account_may_what_the_queues_policy_says(sqs: Any, door: Door, cloud: InProcessCloud) -> None:
    url, other = queue(sqs), stranger(cloud, door)
    assert refusal(other.send_message, QueueUrl=url, MessageBody="x")[0] == "AccessDenied"
    sqs.add_permission(QueueUrl=url, Label="theirs", AWSAccountIds=[OTHER], Actions=["SendMessage"])
    other.send_message(QueueUrl=url, MessageBody="x")
    assert refusal(other.receive_message, QueueUrl=url)[0] == "AccessDenied"
    assert bodies(sqs.receive_message(QueueUrl=url)) == ["x"]
    policy = json.loads(sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["Policy"])["Attributes"]["Policy"])
    assert policy["Statement"] == [
        {
            "Sid": "theirs",
            "Effect": "Allow",
            "Principal": {"AWS": f"arn:aws:iam::{OTHER}:root"},
            "Action": "SQS:SendMessage",
            "Resource": arn("q"),
        }
    ]
    sqs.remove_permission(QueueUrl=url, Label="theirs")
    assert refusal(other.send_message, QueueUrl=url, MessageBody="x")[0] == "AccessDenied"
    assert "Policy" not in sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]


def test_a_service_may_what_the_policy_grants_it_for_its_resource(sqs: Any, cloud: InProcessCloud) -> None:
    from windtunnel.kernel.errors import AwsError

    topic = f"arn:aws:sns:{REGION}:{ACCOUNT}:t"
    url = queue(sqs)

    def send(source: str) -> None:
        cloud.write(lambda ctx: ctx.as_service("sns.amazonaws.com", source).call("sqs", "SendMessage", queue_url=url, message_body="x"))

    with pytest.raises(AwsError, match="AccessDenied"):
        send(topic)
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn("q"),
        "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
    }
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps({"Version": "2012-10-17", "Statement": [statement]})})
    send(topic)
    with pytest.raises(AwsError, match="AccessDenied"):
        send(topic + "2")
    assert bodies(sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)) == ["x"]


# -- over real sockets ----------------------------------------------------------------------------------------------------


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[LabCloud]:
    lab = LabCloud(tmp_path / "data", tmp_path / "log")
    lab.start()
    yield lab
    lab.stop()


@pytest.mark.slow
def test_a_receiver_that_has_left_takes_no_message(lab: LabCloud) -> None:
    environment = lab.environment()

    def client(seconds: float) -> Any:
        return boto3.client(
            "sqs",
            region_name="us-east-1",
            endpoint_url=environment["AWS_ENDPOINT_URL"],
            aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
            config=Config(retries={"total_max_attempts": 1}, read_timeout=seconds),
        )

    patient = client(60)
    url = patient.create_queue(QueueName="q")["QueueUrl"]
    for _ in range(3):
        with pytest.raises(ReadTimeoutError):
            client(0.3).receive_message(QueueUrl=url, WaitTimeSeconds=20)
    patient.send_message(QueueUrl=url, MessageBody="for who is there")
    assert bodies(patient.receive_message(QueueUrl=url, WaitTimeSeconds=5)) == ["for who is there"]


@pytest.mark.slow
def test_the_command_line(lab: LabCloud) -> None:
    """The aws CLI's own commands, as a person types them. Version 1 has an address of its own for SQS, which only --endpoint-url overrides."""
    environment = lab.environment()

    def aws(*words: str) -> Any:
        done = subprocess.run(
            [str(Path(sys.executable).with_name("aws")), "--endpoint-url", environment["AWS_ENDPOINT_URL"], *words, "--output", "json"],
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if done.stdout.strip() else {}

    url = aws("sqs", "create-queue", "--queue-name", "q", "--attributes", "VisibilityTimeout=5")["QueueUrl"]
    topic = aws("sns", "create-topic", "--name", "t", "--tags", "Key=a,Value=b")["TopicArn"]
    found = aws("sqs", "get-queue-attributes", "--queue-url", url, "--attribute-names", "QueueArn")["Attributes"]["QueueArn"]
    statement = {"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": found}
    policy = json.dumps({"Policy": json.dumps({"Version": "2012-10-17", "Statement": [statement]})})
    aws("sqs", "set-queue-attributes", "--queue-url", url, "--attributes", policy)
    raw = ("--attributes", "RawMessageDelivery=true")
    aws("sns", "subscribe", "--topic-arn", topic, "--protocol", "sqs", "--notification-endpoint", found, *raw)
    aws("sns", "publish", "--topic-arn", topic, "--message", "from the topic", "--subject", "s")
    aws("sqs", "send-message", "--queue-url", url, "--message-body", "from the shell", "--delay-seconds", "0")
    received = aws("sqs", "receive-message", "--queue-url", url, "--max-number-of-messages", "10", "--wait-time-seconds", "1")["Messages"]
    assert sorted(message["Body"] for message in received) == ["from the shell", "from the topic"]
    for message in received:
        aws("sqs", "delete-message", "--queue-url", url, "--receipt-handle", message["ReceiptHandle"])
    aws("sqs", "purge-queue", "--queue-url", url)
    assert aws("sqs", "list-queues")["QueueUrls"] == [url]
    assert [one["TopicArn"] for one in aws("sns", "list-topics")["Topics"]] == [topic]
    aws("sns", "delete-topic", "--topic-arn", topic)
    aws("sqs", "delete-queue", "--queue-url", url)
    assert aws("sqs", "list-queues") == {}

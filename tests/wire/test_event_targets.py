"""What rules' targets get, as whom, and what becomes of what they do not take: with real queues behind them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from clients import Door
from harness import ACCOUNT, REGION, InProcessCloud, until
from windtunnel.services.iam.model import RootKey

OTHER = "222222222222"
OTHER_KEYS = ("AKIAOTHEROTHEROTHER0", "other/secret", "")
RULE = f"arn:aws:events:{REGION}:{ACCOUNT}:rule/r"
DEFAULT = f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/default"


def policy(**statement: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]})


class World:
    """A rule `r` over the source `shop`, and queues."""

    def __init__(self, cloud: InProcessCloud) -> None:
        self.door = Door(cloud)
        cloud.write(lambda ctx: ctx.tx.put(RootKey(access_key=OTHER_KEYS[0], secret=OTHER_KEYS[1], account=OTHER)))
        self.events, self.sqs = self.door.client("events"), self.door.client("sqs")
        self.events.put_rule(Name="r", EventPattern='{"source":["shop"]}')

    def queue(self, name: str, *, open_to: str | None = RULE, keys: Any = None, account: str = ACCOUNT, **attributes: str) -> str:
        """A queue's ARN; open_to: the rule for which EventBridge may send to it."""
        arn = f"arn:aws:sqs:{REGION}:{account}:{name}"
        if open_to is not None:
            condition = {"ArnEquals": {"aws:SourceArn": open_to}}
            attributes["Policy"] = policy(
                Principal={"Service": "events.amazonaws.com"}, Action="sqs:SendMessage", Resource=arn, Condition=condition
            )
        self.door.client("sqs", keys).create_queue(QueueName=name, Attributes=attributes)
        return arn

    def target(self, arn: str, **more: Any) -> None:
        reply = self.events.put_targets(Rule="r", Targets=[{"Id": "t", "Arn": arn, **more}])
        assert reply["FailedEntryCount"] == 0

    def happens(self, **detail: Any) -> str:
        entry = {"Source": "shop", "DetailType": "Ordered", "Detail": json.dumps(detail), "Resources": ["r1"]}
        identity: str = self.events.put_events(Entries=[entry])["Entries"][0]["EventId"]
        return identity

    def messages(self, arn: str, count: int = 1, keys: Any = None) -> list[dict[str, Any]]:
        sqs = self.door.client("sqs", keys)
        url = sqs.get_queue_url(QueueName=arn.rsplit(":", 1)[-1])["QueueUrl"]
        found: list[dict[str, Any]] = []

        def enough() -> bool:
            reply = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"], AttributeNames=["All"])
            found.extend(reply.get("Messages", []))
            return len(found) >= count

        until(enough, what=f"{count} messages in {arn}")
        return found

    def empty(self, arn: str) -> bool:
        url = self.sqs.get_queue_url(QueueName=arn.rsplit(":", 1)[-1])["QueueUrl"]
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        return set(self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"].values()) == {"0"}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with InProcessCloud(tmp_path) as cloud:
        yield World(cloud)


def test_a_queue_gets_the_event_as_it_is(world: World) -> None:
    queue = world.queue("q")
    world.target(queue)
    identity = world.happens(total=7)
    (message,) = world.messages(queue)
    event = json.loads(message["Body"])
    assert datetime.strptime(event.pop("time"), "%Y-%m-%dT%H:%M:%SZ").year > 2000
    assert event == {
        "version": "0",
        "id": identity,
        "detail-type": "Ordered",
        "source": "shop",
        "account": ACCOUNT,
        "region": REGION,
        "resources": ["r1"],
        "detail": {"total": 7},
    }
    assert ": " not in message["Body"]
    assert message["Attributes"]["SenderId"]


@pytest.mark.parametrize(
    "given, expected",
    [
        ({"Input": '{"a": 1}'}, '{"a": 1}'),
        ({"InputPath": "$.detail"}, '{"who":"ann","n":[1,2]}'),
        (
            {
                "InputTransformer": {
                    "InputPathsMap": {"w": "$.detail.who", "n": "$.detail.n"},
                    "InputTemplate": '{"x": <w>, "y": "<w>!", "n": <n>}',
                }
            },
            '{"x": "ann", "y": "ann!", "n": [1,2]}',
        ),
        (
            {"InputTransformer": {"InputTemplate": '"by <aws.events.rule-name> of <aws.events.rule-arn>"'}},
            f'"by r of {RULE}"',
        ),
    ],
)
def test_what_a_queue_gets(world: World, given: dict[str, Any], expected: str) -> None:
    queue = world.queue("q")
    world.target(queue, **given)
    world.happens(who="ann", n=[1, 2])
    assert world.messages(queue)[0]["Body"] == expected


def test_a_fifo_queue_gets_its_group(world: World) -> None:
    queue = world.queue("q.fifo", FifoQueue="true", ContentBasedDeduplication="true")
    world.target(queue, SqsParameters={"MessageGroupId": "g"})
    world.happens()
    assert world.messages(queue)[0]["Attributes"]["MessageGroupId"] == "g"


def test_every_target_of_every_rule_gets_it_once(world: World) -> None:
    queues = [world.queue(f"q{n}", open_to=RULE) for n in range(5)]
    world.events.put_targets(Rule="r", Targets=[{"Id": str(n), "Arn": arn} for n, arn in enumerate(queues)])
    sent = {world.happens(n=n) for n in range(20)}
    for queue in queues:
        got = [json.loads(message["Body"])["id"] for message in world.messages(queue, 20)]
        assert sorted(got) == sorted(sent)


@pytest.mark.parametrize("attempts", [0, 3])
def test_a_queue_that_lets_nobody_in_leaves_the_event_to_the_dead_letters(world: World, attempts: int) -> None:
    closed, letters = world.queue("closed", open_to=f"{RULE}-else"), world.queue("letters")
    world.target(closed, DeadLetterConfig={"Arn": letters}, RetryPolicy={"MaximumRetryAttempts": attempts})
    identity = world.happens()
    (message,) = world.messages(letters)
    assert json.loads(message["Body"])["id"] == identity
    told = {name: value["StringValue"] for name, value in message["MessageAttributes"].items()}
    assert (told["RULE_ARN"], told["TARGET_ARN"]) == (RULE, closed)
    assert (told["ERROR_CODE"], told["RETRY_ATTEMPTS"]) == ("NO_PERMISSIONS", "0")
    assert "sqs:" in told["ERROR_MESSAGE"].lower()
    assert "EXHAUSTED_RETRY_CONDITION" not in told
    assert world.empty(closed)


def test_a_queue_that_is_not_there(world: World) -> None:
    letters = world.queue("letters")
    world.target(f"arn:aws:sqs:{REGION}:{ACCOUNT}:none", DeadLetterConfig={"Arn": letters})
    world.happens()
    (message,) = world.messages(letters)
    assert message["MessageAttributes"]["ERROR_CODE"]["StringValue"] == "NO_RESOURCE"


def test_a_function_is_a_target_that_fails_by_name(world: World) -> None:
    letters = world.queue("letters")
    world.target(f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:f", DeadLetterConfig={"Arn": letters})
    world.happens()
    told = world.messages(letters)[0]["MessageAttributes"]
    assert "Windtunnel does not run lambda:Invoke" in told["ERROR_MESSAGE"]["StringValue"]


def test_a_role_lets_it_into_a_queue_of_its_account_and_of_another_one_that_agrees(world: World) -> None:
    iam = world.door.client("iam")
    trust = policy(Principal={"Service": "events.amazonaws.com"}, Action="sts:AssumeRole")
    role = iam.create_role(RoleName="sender", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    iam.put_role_policy(RoleName="sender", PolicyName="p", PolicyDocument=policy(Action="sqs:SendMessage", Resource="*"))
    mine = world.queue("mine", open_to=None)
    theirs = f"arn:aws:sqs:{REGION}:{OTHER}:theirs"
    grant = policy(Principal={"AWS": role}, Action="sqs:SendMessage", Resource=theirs)
    world.queue("theirs", open_to=None, keys=OTHER_KEYS, account=OTHER, Policy=grant)
    world.events.put_targets(Rule="r", Targets=[{"Id": n, "Arn": a, "RoleArn": role} for n, a in (("m", mine), ("t", theirs))])
    identity = world.happens()
    assert json.loads(world.messages(mine)[0]["Body"])["id"] == identity
    assert json.loads(world.messages(theirs, keys=OTHER_KEYS)[0]["Body"])["id"] == identity


def test_a_replayed_event_says_so(world: World) -> None:
    queue = world.queue("q")
    world.events.create_archive(ArchiveName="all", EventSourceArn=DEFAULT)
    world.target(queue)
    identity = world.happens()
    assert "replay-name" not in json.loads(world.messages(queue)[0]["Body"])
    world.events.start_replay(
        ReplayName="again",
        EventSourceArn=f"arn:aws:events:{REGION}:{ACCOUNT}:archive/all",
        EventStartTime=datetime(2020, 1, 1, tzinfo=UTC),
        EventEndTime=datetime(2040, 1, 1, tzinfo=UTC),
        Destination={"Arn": DEFAULT},
    )
    event = json.loads(world.messages(queue)[0]["Body"])
    assert (event["id"], event["replay-name"]) == (identity, "again")


def test_an_event_of_the_cloud_reaches_a_queue_too(world: World) -> None:
    queue = world.queue("q")
    world.events.put_rule(Name="r", EventPattern='{"source":["aws.s3"],"detail":{"object":{"key":[{"prefix":"in/"}]}}}')
    world.target(queue)
    s3 = world.door.client("s3")
    s3.create_bucket(Bucket="told")
    s3.put_bucket_notification_configuration(Bucket="told", NotificationConfiguration={"EventBridgeConfiguration": {}})
    for key in ("out/a", "in/b"):
        s3.put_object(Bucket="told", Key=key, Body=b"x")
    assert json.loads(world.messages(queue)[0]["Body"])["detail"]["object"]["key"] == "in/b"
    assert world.empty(queue) is False


@pytest.mark.parametrize(
    "limits, age, condition",
    [
        ({"MaximumRetryAttempts": 0}, 0, "MaximumRetryAttempts"),
        ({"MaximumEventAgeInSeconds": 60}, 61, "MaximumEventAgeInSeconds"),
    ],
)
def test_a_failure_that_may_pass_is_tried_until_the_policys_limit(tmp_path: Path, limits: dict[str, int], age: int, condition: str) -> None:
    with InProcessCloud(tmp_path) as cloud:
        world = World(cloud)
        letters = world.queue("letters")
        happened = datetime.fromtimestamp(cloud.cloud.clock.now() - age, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        event = {"id": "e", "detail-type": "Ordered", "source": "shop", "time": happened, "detail": {}, "resources": []}
        target = {"Id": "t", "Arn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:busy", "DeadLetterConfig": {"Arn": letters}, "RetryPolicy": limits}
        failed = ["OverLimit", "Too many"]
        cloud.write(lambda ctx: ctx.start_job("events.deliver", "events.deliver/x", event=event, rule="r", target=target, failed=failed))
        told = {name: value["StringValue"] for name, value in world.messages(letters)[0]["MessageAttributes"].items()}
        assert told == {
            "RULE_ARN": RULE,
            "TARGET_ARN": target["Arn"],
            "ERROR_CODE": "ERROR_FROM_TARGET",
            "ERROR_MESSAGE": "Too many",
            "RETRY_ATTEMPTS": "0",
            "EXHAUSTED_RETRY_CONDITION": condition,
        }


def test_a_topic_passes_the_event_on(world: World) -> None:
    sns = world.door.client("sns")
    topic = sns.create_topic(Name="topic")["TopicArn"]
    queue = world.queue("q", open_to=None)
    url = world.sqs.get_queue_url(QueueName="q")["QueueUrl"]
    grant = policy(Principal={"Service": "sns.amazonaws.com"}, Action="sqs:SendMessage", Resource=queue)
    world.sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": grant})
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue, Attributes={"RawMessageDelivery": "true"})
    letters = world.queue("letters")
    world.target(topic, Input='{"who": "first"}', DeadLetterConfig={"Arn": letters})
    world.happens()
    refused = world.messages(letters)[0]["MessageAttributes"]
    assert refused["ERROR_CODE"]["StringValue"] == "NO_PERMISSIONS"
    condition = {"ArnEquals": {"aws:SourceArn": RULE}}
    let_in = policy(Principal={"Service": "events.amazonaws.com"}, Action="sns:Publish", Resource=topic, Condition=condition)
    sns.set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=let_in)
    world.target(topic, Input='{"who": "ann"}')
    world.happens()
    assert world.messages(queue)[0]["Body"] == '{"who": "ann"}'


def test_a_log_group_gets_a_line_as_its_policy_lets_it(world: World) -> None:
    logs = world.door.client("logs")
    logs.create_log_group(logGroupName="/aws/events/shop")
    group = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws/events/shop"
    letters = world.queue("letters")
    world.target(group, InputPath="$.detail", DeadLetterConfig={"Arn": letters})
    world.happens(n=1)
    assert world.messages(letters)[0]["MessageAttributes"]["ERROR_CODE"]["StringValue"] == "NO_PERMISSIONS"
    grant = policy(
        Principal={"Service": ["events.amazonaws.com", "delivery.logs.amazonaws.com"]},
        Action=["logs:CreateLogStream", "logs:PutLogEvents"],
        Resource=f"{group}:*",
    )
    logs.put_resource_policy(policyName="events", policyDocument=grant)
    world.happens(n=2)
    world.happens(n=3)

    def lines() -> list[str]:
        return [event["message"] for event in logs.filter_log_events(logGroupName="/aws/events/shop")["events"]]

    until(lambda: len(lines()) == 2, what="two lines")
    assert lines() == ['{"n":2}', '{"n":3}']
    assert len(logs.describe_log_streams(logGroupName="/aws/events/shop")["logStreams"]) == 1

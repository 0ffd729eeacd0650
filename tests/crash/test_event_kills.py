"""SIGKILLs at random moments while events are put, replayed and schedules tick: what was acknowledged arrives, and arrives once."""

from __future__ import annotations

import json
import random
import sys
import threading
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

sys.path.insert(0, str(Path(__file__).parent))

from doomed import UNREACHED, DoomedCloud, patiently, until  # noqa: E402

pytestmark = pytest.mark.slow
KILLS, SEED, ACCOUNT = 40, 20261126, "123456789012"
ARN = f"arn:aws:events:us-east-1:{ACCOUNT}"
QUEUES = ("first", "second", "again", "ticks")


class World:
    def __init__(self, cloud: DoomedCloud) -> None:
        self.cloud = cloud
        self.events, self.sqs, self.scheduler = (cloud.client(name) for name in ("events", "sqs", "scheduler"))
        self.urls: dict[str, str] = {}
        self.acknowledged: list[int] = []

    def set_up(self) -> None:
        grant = {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": "*"}
        for name in QUEUES:
            made = self.sqs.create_queue(QueueName=name, Attributes={"Policy": document(grant)})
            self.urls[name] = made["QueueUrl"]
        self.events.create_event_bus(Name="bus")
        self.events.create_archive(ArchiveName="all", EventSourceArn=f"{ARN}:event-bus/bus")
        for rule, queues in (("now", ("first", "second")), ("later", ("again",))):
            pattern = {"source": ["client"], **({"replay-name": [{"exists": True}]} if rule == "later" else {})}
            self.events.put_rule(Name=rule, EventBusName="bus", EventPattern=json.dumps(pattern))
            targets = [{"Id": name, "Arn": f"arn:aws:sqs:us-east-1:{ACCOUNT}:{name}"} for name in queues]
            self.events.put_targets(Rule=rule, EventBusName="bus", Targets=targets)
        iam = self.cloud.client("iam")
        trust = {"Effect": "Allow", "Principal": {"Service": "scheduler.amazonaws.com"}, "Action": "sts:AssumeRole"}
        iam.create_role(RoleName="clock", AssumeRolePolicyDocument=document(trust))
        iam.put_role_policy(RoleName="clock", PolicyName="p", PolicyDocument=document({"Effect": "Allow", "Action": "*", "Resource": "*"}))
        self.scheduler.create_schedule(
            Name="tick",
            ScheduleExpression="rate(1 minute)",
            FlexibleTimeWindow={"Mode": "OFF"},
            Target={
                "Arn": f"arn:aws:sqs:us-east-1:{ACCOUNT}:ticks",
                "RoleArn": f"arn:aws:iam::{ACCOUNT}:role/clock",
                "Input": "<aws.scheduler.scheduled-time>",
            },
        )

    def put(self, number: int) -> None:
        """Once, without asking again: only what was answered counts."""
        entry = {"Source": "client", "DetailType": "x", "Detail": json.dumps({"n": number}), "EventBusName": "bus"}
        try:
            reply = self.events.put_events(Entries=[entry])
        except UNREACHED:
            return
        except ClientError as error:
            assert error.response["ResponseMetadata"]["HTTPStatusCode"] >= 500, error
            return
        assert reply["FailedEntryCount"] == 0
        self.acknowledged.append(number)

    def drained(self, name: str) -> list[str]:
        """Every message's body."""
        found: list[str] = []
        while True:
            reply = self.sqs.receive_message(QueueUrl=self.urls[name], MaxNumberOfMessages=10, VisibilityTimeout=600)
            if not reply.get("Messages"):
                return found
            found += [message["Body"] for message in reply["Messages"]]

    def held(self) -> int:
        count: int = patiently(lambda: self.events.describe_archive(ArchiveName="all"))["EventCount"]
        return count

    def depth(self, name: str) -> int:
        names = ["ApproximateNumberOfMessages"]
        shown = patiently(lambda: self.sqs.get_queue_attributes(QueueUrl=self.urls[name], AttributeNames=names))
        return int(shown["Attributes"]["ApproximateNumberOfMessages"])


def document(statement: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def numbers(bodies: list[str]) -> Counter[int]:
    return Counter(json.loads(body)["detail"]["n"] for body in bodies)


def test_events_and_schedules_under_random_kills(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cloud = DoomedCloud(tmp_path / "data")
    draw, over = random.Random(SEED), threading.Event()

    def killer() -> None:
        while cloud.deaths < KILLS and not over.wait(draw.uniform(0.2, 1.2)):
            if cloud.answers:
                cloud.kill()

    hunter = threading.Thread(target=killer)
    world = World(cloud)
    try:
        world.set_up()
        hunter.start()
        put = replays = 0
        while cloud.deaths < KILLS:
            world.put(put)
            put += 1
            if put % 400 == 0:
                replay(world, f"under-{replays}")
                replays += 1
        over.set()
        hunter.join()
        names = [f"under-{number}" for number in range(replays)]
        until(lambda: all(state(world, name) == "COMPLETED" for name in names), 60, "every replay's end")
        replay(world, "afterwards")
        until(lambda: state(world, "afterwards") == "COMPLETED", 60, "the last replay's end")
        until(lambda: world.depth("ticks") > 3, 30, "some ticks")
        patiently(lambda: world.scheduler.delete_schedule(Name="tick"))
        kept = world.held()
        first, second, again = (numbers(world.drained(name)) for name in QUEUES[:3])
        ticks = sorted(datetime.strptime(t, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp() for t in world.drained("ticks"))
    finally:
        over.set()
        if hunter.is_alive():
            hunter.join()
        cloud.stop()
    told = [event for event, count in first.items() if count > 1]
    assert not set(world.acknowledged) - set(first), "an acknowledged event is missing"
    replayed = sum(again.values())
    assert kept == len(set(first)), "the archive holds what arrived"
    times = replays + 1
    # The rule `now` takes replayed events too: each replay brings once more what was archived when it began.
    assert first == second, "both targets of a rule get the same"
    assert replayed == sum(first.values()) - kept, "a replayed event reaches each of its targets"
    assert all(count <= 1 + times for count in first.values()), told
    assert set(again) == set(first), "the last replay brings every event again"
    assert ticks == [ticks[0] + 60.0 * number for number in range(len(ticks))], "each due time once"
    with capsys.disabled():
        print(
            f"\n{cloud.deaths} SIGKILLs: {len(world.acknowledged)} of {put} events acknowledged, {kept} kept, {times} replays, {len(ticks)} ticks"
        )


def replay(world: World, name: str) -> None:
    given = {
        "EventSourceArn": f"{ARN}:archive/all",
        "EventStartTime": datetime(2020, 1, 1, tzinfo=UTC),
        "EventEndTime": datetime(2040, 1, 1, tzinfo=UTC),
        "Destination": {"Arn": f"{ARN}:event-bus/bus"},
    }
    try:
        patiently(lambda: world.events.start_replay(ReplayName=name, **given))
    except ClientError as error:
        assert error.response["Error"]["Code"] == "ResourceAlreadyExistsException", error


def state(world: World, name: str) -> str:
    found: str = patiently(lambda: world.events.describe_replay(ReplayName=name))["State"]
    return found

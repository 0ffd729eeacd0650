"""Triggers: topics hear of the changes of references that they were set for, in the words of AWS's events."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness import ACCOUNT, REGION, InProcessCloud
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.git import ZERO, Update

TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:news"


class Lab:
    def __init__(self, cloud: InProcessCloud) -> None:
        self.cloud = cloud
        cloud.api("codecommit", "CreateRepository", repository_name="app")
        cloud.api("sns", "CreateTopic", name="news")
        self.queue = cloud.api("sqs", "CreateQueue", queue_name="heard")["QueueUrl"]
        queue = f"arn:aws:sqs:{REGION}:{ACCOUNT}:heard"
        statement = {"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": queue}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        cloud.api("sqs", "SetQueueAttributes", queue_url=self.queue, attributes={"Policy": policy})
        cloud.api("sns", "Subscribe", topic_arn=TOPIC, protocol="sqs", endpoint=queue)

    def set(self, *triggers: dict[str, Any]) -> str:
        return str(self.cloud.api("codecommit", "PutRepositoryTriggers", repository_name="app", triggers=list(triggers))["configurationId"])

    def put(self, branch: str, content: bytes, **more: Any) -> str:
        asked = {"repository_name": "app", "branch_name": branch, "file_content": content, "file_path": "page"} | more
        return str(self.cloud.api("codecommit", "PutFile", **asked)["commitId"])

    def heard(self) -> list[dict[str, Any]]:
        """What came to the topic since the last call: {"Subject", "Message"} with the message decoded."""
        found: list[dict[str, Any]] = []
        while messages := self._receive():
            found += messages
        return found

    def _receive(self) -> list[dict[str, Any]]:
        reply = self.cloud.api("sqs", "ReceiveMessage", queue_url=self.queue, max_number_of_messages=10)
        bodies = []
        for message in reply.get("Messages", []) if isinstance(reply, dict) else []:
            self.cloud.api("sqs", "DeleteMessage", queue_url=self.queue, receipt_handle=message["ReceiptHandle"])
            body = json.loads(message["Body"])
            bodies.append({"Subject": body["Subject"], **json.loads(body["Message"])["Records"][0]})
        return bodies


def trigger(name: str = "t", **members: Any) -> dict[str, Any]:
    return {"name": name, "destinationArn": TOPIC, "events": ["all"], **members}


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    with InProcessCloud(tmp_path) as cloud:
        yield Lab(cloud)


def test_a_commit_is_told(lab: Lab) -> None:
    configuration = lab.set(trigger(customData="mine", branches=[]))
    commit = lab.put("main", b"one")
    [told] = lab.heard()
    assert told.pop("eventId") and told.pop("eventTime").endswith("+0000") and told.pop("userIdentityARN").startswith("arn:aws:iam::")
    assert told == {
        "Subject": f"UPDATE: AWS CodeCommit {REGION} push: app",
        "awsRegion": REGION,
        "codecommit": {"references": [{"commit": commit, "created": True, "ref": "refs/heads/main"}]},
        "customData": "mine",
        "eventName": "ReferenceChanges",
        "eventPartNumber": 1,
        "eventSource": "aws:codecommit",
        "eventSourceARN": f"arn:aws:codecommit:{REGION}:{ACCOUNT}:app",
        "eventTotalParts": 1,
        "eventTriggerConfigId": configuration,
        "eventTriggerName": "t",
        "eventVersion": "1.0",
    }


def test_each_hears_of_its_branches_and_events(lab: Lab) -> None:
    first = lab.put("main", b"one")
    lab.set(
        trigger("new", events=["createReference"]),
        trigger("main", branches=["main"]),
        trigger("gone", events=["deleteReference", "updateReference"], branches=["side"]),
    )
    lab.cloud.api("codecommit", "CreateBranch", repository_name="app", branch_name="side", commit_id=first)
    assert [told["eventTriggerName"] for told in lab.heard()] == ["new"]
    second = lab.put("main", b"two", parent_commit_id=first)
    [told] = lab.heard()
    assert (told["eventTriggerName"], told["codecommit"]["references"]) == ("main", [{"commit": second, "ref": "refs/heads/main"}])
    lab.cloud.api("codecommit", "DeleteBranch", repository_name="app", branch_name="side")
    [told] = lab.heard()
    assert (told["eventTriggerName"], told["codecommit"]["references"][0]["deleted"]) == ("gone", True)


def test_a_push_is_one_event(lab: Lab) -> None:
    commit = lab.put("main", b"one")
    lab.set(trigger())
    git = lab.cloud.cloud.part("git")

    def push(ctx: Any) -> Any:
        opened = git.open(ctx, "app", "codecommit:GitPush", [])
        names = ("refs/heads/a", "refs/tags/v1", "refs/heads/x..y")
        return git.move(ctx, opened, [Update(name, ZERO, commit) for name in names], {}, False).reasons

    assert lab.cloud.write(push) == [None, None, "invalid reference name"]
    [told] = lab.heard()
    assert [reference["ref"] for reference in told["codecommit"]["references"]] == ["refs/heads/a", "refs/tags/v1"]


def test_a_topic_that_is_not_there_stops_no_commit(lab: Lab) -> None:
    lab.set(trigger("lost", destinationArn=f"{TOPIC}-not"), trigger())
    lab.put("main", b"one")
    assert [told["eventTriggerName"] for told in lab.heard()] == ["t"]


def test_triggers_are_set_shown_tried_and_taken_away(lab: Lab) -> None:
    def shown() -> Any:
        return lab.cloud.api("codecommit", "GetRepositoryTriggers", repository_name="app")

    assert shown() == {"triggers": []}
    configuration = lab.set(trigger(), trigger("u"))
    assert shown() == {"configurationId": configuration, "triggers": [trigger(), trigger("u")]}
    asked = [trigger(), trigger("lost", destinationArn=f"{TOPIC}-not")]
    tried = lab.cloud.api("codecommit", "TestRepositoryTriggers", repository_name="app", triggers=asked)
    assert tried["successfulExecutions"] == ["t"] and [failed["trigger"] for failed in tried["failedExecutions"]] == ["lost"]
    assert [told["eventName"] for told in lab.heard()] == ["TriggerEventTest"]
    lab.set()
    assert shown() == {"triggers": []}


@pytest.mark.parametrize(
    ("triggers", "code"),
    [
        pytest.param([trigger(f"t{n}") for n in range(11)], "MaximumRepositoryTriggersExceededException", id="eleven"),
        pytest.param([trigger(), trigger()], "InvalidRepositoryTriggerNameException", id="a name twice"),
        pytest.param([trigger("a b")], "InvalidRepositoryTriggerNameException", id="a blank in a name"),
        pytest.param([trigger(events=[])], "RepositoryTriggerEventsListRequiredException", id="no event"),
        pytest.param([trigger(events=["all", "createReference"])], "InvalidRepositoryTriggerEventsException", id="all and one more"),
        pytest.param([trigger(branches=["a..b"])], "InvalidRepositoryTriggerBranchNameException", id="no branch name"),
        pytest.param([trigger(branches=[f"b{n}" for n in range(11)])], "MaximumBranchesExceededException", id="eleven branches"),
        pytest.param([trigger(customData="x" * 1001)], "InvalidRepositoryTriggerCustomDataException", id="too much data"),
        pytest.param([trigger(destinationArn="")], "RepositoryTriggerDestinationArnRequiredException", id="no destination"),
        pytest.param(
            [trigger(destinationArn=f"arn:aws:sqs:{REGION}:1:q")], "InvalidRepositoryTriggerDestinationArnException", id="a queue"
        ),
        pytest.param(
            [trigger(destinationArn=f"arn:aws:sns:eu-west-1:{ACCOUNT}:t")], "InvalidRepositoryTriggerRegionException", id="elsewhere"
        ),
        pytest.param([trigger(destinationArn=f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:f")], "NotImplemented", id="a function"),
    ],
)
def test_what_is_refused(lab: Lab, triggers: list[dict[str, Any]], code: str) -> None:
    with pytest.raises(AwsError) as error:
        lab.set(*triggers)
    assert error.value.code == code
    assert lab.cloud.api("codecommit", "GetRepositoryTriggers", repository_name="app") == {"triggers": []}


def test_they_go_with_their_repository(lab: Lab) -> None:
    lab.set(trigger())
    lab.cloud.api("codecommit", "UpdateRepositoryName", old_name="app", new_name="web")
    assert lab.cloud.api("codecommit", "GetRepositoryTriggers", repository_name="web")["triggers"] == [trigger()]
    lab.cloud.api("codecommit", "DeleteRepository", repository_name="web")
    lab.cloud.api("codecommit", "CreateRepository", repository_name="web")
    assert lab.cloud.api("codecommit", "GetRepositoryTriggers", repository_name="web") == {"triggers": []}

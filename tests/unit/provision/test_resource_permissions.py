"""A stack's role that may do just what AWS's own handlers ask for (the provider schemas' `handlers`) is enough here too."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from harness import ACCOUNT, InProcessCloud, until
from resource_tables import delivery, iam, keys, messaging, release, s3
from stacks_lab import Lab, differences
from windtunnel.kernel.principal import Principal
from windtunnel.provision.schemas import document_text

OLDER = {"AWS::IAM::Policy", "AWS::IAM::UserToGroupAddition", "AWS::IAM::AccessKey", "AWS::CodeBuild::Project"}
"""Types of which AWS does not publish what they ask for."""
MORE: dict[tuple[str, str], list[str]] = {
    # What AWS's handler does not look at or change: a device's tags when it is read, its user when it is updated.
    ("AWS::IAM::VirtualMFADevice", "read"): ["iam:ListMFADeviceTags"],
    ("AWS::IAM::VirtualMFADevice", "update"): ["iam:DeactivateMFADevice", "iam:EnableMFADevice"],
    # A bus loses its policy, and a schedule moves to another group, in an update: AWS's handlers do neither.
    ("AWS::Events::EventBus", "update"): ["events:RemovePermission"],
    ("AWS::Scheduler::Schedule", "update"): ["scheduler:CreateSchedule", "scheduler:DeleteSchedule"],
    # AWS publishes no handler that reads these.
    ("AWS::SNS::TopicPolicy", "read"): ["sns:GetTopicAttributes"],
    ("AWS::SQS::QueuePolicy", "read"): ["sqs:GetQueueAttributes"],
}


class Deployer:
    """A user who may do what AWS's handler of a type asks for, and nothing else."""

    def __init__(self, cloud: InProcessCloud) -> None:
        self._cloud = cloud
        user = cloud.api("iam", "CreateUser", user_name="deployer")["User"]
        self.lab = Lab(cloud, Principal("user", ACCOUNT, user["Arn"], user["Arn"], user["UserId"], "deployer"))

    def may(self, type_name: str, *handlers: str) -> None:
        asked = json.loads(document_text(type_name) or "{}")["handlers"]
        actions = [action for name in handlers for action in asked.get(name, {}).get("permissions", [])]
        actions += [action for name in handlers for action in MORE.get((type_name, name), [])]
        statement = {"Effect": "Allow", "Action": sorted(set(actions)), "Resource": "*"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        self._cloud.api("iam", "PutUserPolicy", user_name="deployer", policy_name="may", policy_document=document)


@pytest.fixture(scope="module")
def deployer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployer]:
    with InProcessCloud(tmp_path_factory.mktemp("permissions")) as cloud:
        for world in (iam, s3, messaging, keys, release, delivery):
            world.world(cloud)
        yield Deployer(cloud)


def _rows() -> list[Any]:
    rows = [row for row in (*iam.CASES, *messaging.LIVES, *keys.LIVES) if row.values[0] not in OLDER]
    rows += [row for row in (*release.CASES, *delivery.CASES) if row.values[0] not in OLDER]
    return rows + [pytest.param("AWS::S3::Bucket", {name: first}, {name: second}, id=name) for name, first, second in s3.PROPERTIES[:-4]]


@pytest.mark.parametrize(("type_name", "first", "second"), _rows())
def test_aws_permissions_are_enough(deployer: Deployer, type_name: str, first: dict[str, Any], second: dict[str, Any] | None) -> None:
    lab = deployer.lab
    first, second = release.resolved(lab.cloud, first), None if second is None else release.resolved(lab.cloud, second)

    def do(handler: str, action: Callable[[], Any]) -> Any:
        deployer.may(type_name, handler)
        return action()

    made = do("create", lambda: lab.create(type_name, **first))
    told = delivery.readable(type_name, release.readable(type_name, keys.readable(type_name, first)))
    assert differences(told, do("read", lambda: lab.read(made))) == []
    if second is not None:
        do("update", lambda: lab.update(made, **second))
    do("delete", lambda: lab.delete(made))
    if "https" not in str(first):
        until(lambda: do("read", lambda: lab.read(made)) is None, what=f"{made.id} is gone")

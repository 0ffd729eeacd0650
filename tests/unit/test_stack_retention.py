"""Stacks that were deleted long ago are forgotten whole, some records at a time; others are left alone."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

from clients import Door
from harness import InProcessCloud
from stacks import Stacks
from windtunnel.kernel.clock import FixedClock
from windtunnel.services.cloudformation.model import SHOWN
from windtunnel.services.cloudformation.retention import GROUP, RUN, forget

DAY = 86_400.0
MANY = {f"Group{number}": {"Type": "AWS::Logs::LogGroup"} for number in range(50)}
FEW = {"Queue": {"Type": "AWS::SQS::Queue"}}


def kept(cloud: InProcessCloud) -> Counter[str]:
    """Records of CloudFormation by kind."""
    count = "SELECT kind, count(*) FROM doc WHERE kind LIKE 'cloudformation.%' GROUP BY kind"
    return Counter(dict(cloud.read(lambda ctx: ctx.tx.connection.execute(count).fetchall())))


def portions(cloud: InProcessCloud) -> list[int]:
    found: list[int] = []
    while not found or found[-1]:
        found.append(cloud.write(forget))
    return found


def test_a_deleted_stack_goes_after_90_days(tmp_path: Path) -> None:
    clock = FixedClock(time.time())
    with InProcessCloud(tmp_path, clock=clock) as cloud:
        stacks = Stacks(Door(cloud))
        assert stacks.create("stays", {"Resources": FEW}) == "CREATE_COMPLETE"
        there = kept(cloud)
        west = Stacks(Door(cloud), region="eu-west-1")
        assert west.create("first", {"Resources": MANY}) == "CREATE_COMPLETE"
        assert west.update("first", {"Resources": FEW}) == "UPDATE_COMPLETE"
        west.api.create_change_set(StackName="first", ChangeSetName="c", TemplateBody='{"Resources": {"A": {"Type": "AWS::SNS::Topic"}}}')
        arn = west.describe("first")["StackId"]
        assert west.delete("first") == "DELETE_COMPLETE"
        clock.advance(60)
        only_first = kept(cloud)
        assert stacks.create("second", {"Resources": FEW}) == "CREATE_COMPLETE"
        assert stacks.delete("second") == "DELETE_COMPLETE"
        of_second = kept(cloud) - only_first
        assert west.describe(arn)["StackStatus"] == "DELETE_COMPLETE" and cloud.write(forget) == 0

        clock.advance(SHOWN - 61)
        assert cloud.write(forget) == 0
        clock.advance(1)
        gone = portions(cloud)
        assert gone[0] == GROUP and 0 < gone[-2] <= GROUP and max(gone) == GROUP
        assert kept(cloud) == there + of_second
        clock.advance(60)
        assert 0 < sum(portions(cloud)) < GROUP
        assert kept(cloud) == there
        assert cloud.read(lambda ctx: ctx.tx.connection.execute("SELECT state FROM run WHERE id=?", (RUN,)).fetchall()) == [("parked",)]

"""EventBridge Scheduler through boto3: schedules that really invoke, groups, tokens, refusals."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from clients import Door
from harness import ACCOUNT, REGION, InProcessCloud, until
from windtunnel.kernel.clock import SystemClock
from windtunnel.kernel.trail import TrailLine

ARN = f"arn:aws:scheduler:{REGION}:{ACCOUNT}"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/Schedules"
PUT = "arn:aws:scheduler:::aws-sdk:ssm:putParameter"
BUS = f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/default"
OFF = {"Mode": "OFF"}


def role(door: Door, name: str, *actions: str, service: str = "scheduler") -> None:
    iam = door.client("iam")
    trust = {"Effect": "Allow", "Principal": {"Service": f"{service}.amazonaws.com"}, "Action": "sts:AssumeRole"}
    may = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}))
    iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [may]}))


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[InProcessCloud]:
    with InProcessCloud(tmp_path, clock=SystemClock(pace=600)) as running:
        yield running


@pytest.fixture
def door(cloud: InProcessCloud) -> Door:
    made = Door(cloud)
    role(made, "Schedules", "ssm:PutParameter", "events:PutEvents")
    return made


@pytest.fixture
def scheduler(door: Door) -> Any:
    return door.client("scheduler")


def put(name: str, value: str = "v", **more: Any) -> dict[str, Any]:
    """A target that writes a parameter."""
    return {"Arn": PUT, "RoleArn": ROLE, "Input": json.dumps({"Name": name, "Value": value, "Type": "String", **more})}


def create(scheduler: Any, name: str = "s", expression: str = "rate(1 minute)", **more: Any) -> Any:
    given = {"Name": name, "ScheduleExpression": expression, "FlexibleTimeWindow": OFF, "Target": put("/p", Overwrite=True), **more}
    return scheduler.create_schedule(**given)


def refusal(call: Any, *args: Any, **given: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as refused:
        call(*args, **given)
    error = refused.value.response["Error"]
    return error["Code"], error["Message"]


def versions(door: Door, name: str) -> int:
    """How often a parameter was written."""
    try:
        version: int = door.client("ssm").get_parameter(Name=name)["Parameter"]["Version"]
    except ClientError:
        return 0
    return version


def told(cloud: InProcessCloud, subject: str) -> list[str]:
    return [line.text for line in cloud.read(lambda ctx: ctx.tx.find(TrailLine, "subject", subject))]


# -- what happens -------------------------------------------------------------------------------------------------------


def test_a_rate_invokes_an_operation_again_and_again_until_it_is_disabled(door: Door, scheduler: Any) -> None:
    create(scheduler)
    until(lambda: versions(door, "/p") >= 3, what="three invocations")
    scheduler.update_schedule(
        Name="s", ScheduleExpression="rate(1 minute)", FlexibleTimeWindow=OFF, Target=put("/p", Overwrite=True), State="DISABLED"
    )
    assert scheduler.get_schedule(Name="s")["State"] == "DISABLED"


def test_a_date_invokes_once_and_deletes_what_asked_for_it(door: Door, scheduler: Any) -> None:
    soon = (datetime.now(UTC) + timedelta(seconds=1)).strftime("%Y-%m-%dT%H:%M:%S")
    text = "<aws.scheduler.schedule-arn> <aws.scheduler.scheduled-time> <aws.scheduler.attempt-number> <aws.scheduler.execution-id>"
    create(scheduler, "once", f"at({soon})", Target=put("/once", text), ActionAfterCompletion="DELETE")
    create(scheduler, "kept", f"at({soon})", Target=put("/kept"))
    until(lambda: scheduler.list_schedules(NamePrefix="once")["Schedules"] == [], what="the schedule being deleted")
    until(lambda: versions(door, "/once") and versions(door, "/kept"), what="both parameters")
    words = door.client("ssm").get_parameter(Name="/once")["Parameter"]["Value"].split()
    assert words[:3] == [f"{ARN}:schedule/default/once", f"{soon}Z", "1"]
    assert len(words[3]) == 36
    assert scheduler.get_schedule(Name="kept")["ActionAfterCompletion"] == "NONE"


def test_a_date_that_was_over_when_it_was_written_invokes_nothing(door: Door, scheduler: Any) -> None:
    create(scheduler, "late", "at(2020-01-01T00:00:00)", Target=put("/late"), ActionAfterCompletion="DELETE")
    until(lambda: scheduler.list_schedules(NamePrefix="late")["Schedules"] == [], what="the schedule being deleted")
    assert versions(door, "/late") == 0


def test_an_event_bus_is_a_target(door: Door, scheduler: Any) -> None:
    events = door.client("events")
    pattern = {"source": ["clockwork"], "detail-type": ["Tick"], "detail": {"n": [1]}}
    events.create_archive(ArchiveName="ticks", EventSourceArn=BUS, EventPattern=json.dumps(pattern))
    target = {"Arn": BUS, "RoleArn": ROLE, "Input": '{"n": 1}', "EventBridgeParameters": {"Source": "clockwork", "DetailType": "Tick"}}
    create(scheduler, Target=target, FlexibleTimeWindow={"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 1})
    until(lambda: events.describe_archive(ArchiveName="ticks")["EventCount"] >= 2, what="two ticks on the bus")


def test_an_invocation_that_is_refused_is_told(cloud: InProcessCloud, door: Door, scheduler: Any) -> None:
    door.client("iam").delete_role_policy(RoleName="Schedules", PolicyName="p")
    create(scheduler)
    lines = until(lambda: [line for line in told(cloud, f"{ARN}:schedule/default/s") if "was not invoked" in line], what="the refusal")
    assert "is not authorized to perform: ssm:PutParameter" in lines[0]
    assert versions(door, "/p") == 0


def test_a_function_fails_by_name(cloud: InProcessCloud, scheduler: Any) -> None:
    create(scheduler, Target={"Arn": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:f", "RoleArn": ROLE})
    lines = until(lambda: [line for line in told(cloud, f"{ARN}:schedule/default/s") if "was not invoked" in line], what="the refusal")
    assert "Windtunnel does not run lambda:Invoke" in lines[0]


def test_members_are_taken_with_a_capital_where_the_service_has_none(door: Door, scheduler: Any) -> None:
    role(door, "Logger", "logs:CreateLogGroup")
    target = {
        "Arn": "arn:aws:scheduler:::aws-sdk:cloudwatchlogs:createLogGroup",
        "RoleArn": ROLE.replace("Schedules", "Logger"),
        "Input": '{"LogGroupName": "by-schedule"}',
    }
    create(scheduler, Target=target)
    logs = door.client("logs")
    until(lambda: logs.describe_log_groups(logGroupNamePrefix="by-")["logGroups"], what="the log group")


@pytest.mark.parametrize(
    "arn, given, action",
    [
        ("s3:putObject", {"Bucket": "objects", "Key": "k", "Body": "aGVsbG8=", "ContentType": "text/plain"}, "s3:PutObject"),
        ("s3:putObject", {"Bucket": "objects", "Key": "k", "Body": "aGVsbG8=", "ServerSideEncryption": "AES256"}, "s3:PutObject"),
    ],
)
def test_an_object_is_written(door: Door, scheduler: Any, arn: str, given: dict[str, Any], action: str) -> None:
    """Members that stand in headers on the wire, and a body that is staged."""
    role(door, "Writer", action)
    s3 = door.client("s3")
    s3.create_bucket(Bucket="objects")
    target = {"Arn": f"arn:aws:scheduler:::aws-sdk:{arn}", "RoleArn": ROLE.replace("Schedules", "Writer"), "Input": json.dumps(given)}
    create(scheduler, Target=target)
    until(lambda: s3.list_objects_v2(Bucket="objects").get("Contents"), what="the object")
    assert s3.get_object(Bucket="objects", Key="k")["Body"].read() == b"hello"


def test_a_schedule_goes_on_after_a_restart(tmp_path: Path) -> None:
    with InProcessCloud(tmp_path, clock=SystemClock(pace=600)) as cloud:
        door = Door(cloud)
        role(door, "Schedules", "ssm:PutParameter")
        create(door.client("scheduler"))
        before = until(lambda: versions(door, "/p"), what="the first invocation")
    with InProcessCloud(tmp_path, clock=SystemClock(pace=600)) as cloud:
        door = Door(cloud)
        until(lambda: versions(door, "/p") > before + 1, what="more invocations")


# -- what is kept -------------------------------------------------------------------------------------------------------


def test_a_schedule_as_it_is_shown(scheduler: Any) -> None:
    begins, ends = datetime(2036, 1, 1, tzinfo=UTC), datetime(2036, 2, 1, tzinfo=UTC)
    window = {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 15}
    scheduler.create_schedule_group(Name="g")
    letters = f"arn:aws:sqs:{REGION}:{ACCOUNT}:letters"
    target = put("/p") | {"DeadLetterConfig": {"Arn": letters}, "RetryPolicy": {"MaximumRetryAttempts": 2}}
    made = create(
        scheduler,
        "s",
        "cron(0 9 ? * MON-FRI *)",
        GroupName="g",
        ScheduleExpressionTimezone="Europe/Berlin",
        StartDate=begins,
        EndDate=ends,
        FlexibleTimeWindow=window,
        Description="at nine",
        Target=target,
    )
    assert made["ScheduleArn"] == f"{ARN}:schedule/g/s"
    shown = scheduler.get_schedule(Name="s", GroupName="g")
    del shown["ResponseMetadata"]
    created = shown.pop("CreationDate")
    assert shown.pop("LastModificationDate") == created
    assert shown == {
        "Arn": f"{ARN}:schedule/g/s",
        "GroupName": "g",
        "Name": "s",
        "ScheduleExpression": "cron(0 9 ? * MON-FRI *)",
        "ScheduleExpressionTimezone": "Europe/Berlin",
        "StartDate": begins,
        "EndDate": ends,
        "Description": "at nine",
        "State": "ENABLED",
        "ActionAfterCompletion": "NONE",
        "FlexibleTimeWindow": window,
        "Target": {**target, "RetryPolicy": {"MaximumEventAgeInSeconds": 86400, "MaximumRetryAttempts": 2}},
    }
    scheduler.update_schedule(Name="s", GroupName="g", ScheduleExpression="rate(7 days)", FlexibleTimeWindow=OFF, Target=put("/q"))
    changed = scheduler.get_schedule(Name="s", GroupName="g")
    assert "EndDate" not in changed
    assert "Description" not in changed
    assert (changed["ScheduleExpressionTimezone"], changed["CreationDate"]) == ("UTC", created)
    scheduler.delete_schedule(Name="s", GroupName="g")
    assert refusal(scheduler.get_schedule, Name="s", GroupName="g") == ("ResourceNotFoundException", "Schedule s does not exist.")


def test_schedules_are_listed_by_group_prefix_and_state(scheduler: Any) -> None:
    scheduler.create_schedule_group(Name="g")
    for name, group, state in (("a1", "g", "DISABLED"), ("a2", "g", "ENABLED"), ("b", "g", "DISABLED"), ("a3", "default", "DISABLED")):
        create(scheduler, name, "rate(9 days)", GroupName=group, State=state)
    assert [s["Name"] for s in scheduler.list_schedules()["Schedules"]] == ["a3", "a1", "a2", "b"]
    assert [s["Name"] for s in scheduler.list_schedules(GroupName="g", NamePrefix="a")["Schedules"]] == ["a1", "a2"]
    assert [s["Name"] for s in scheduler.list_schedules(State="ENABLED")["Schedules"]] == ["a2"]
    pages = scheduler.get_paginator("list_schedules").paginate(GroupName="g", PaginationConfig={"PageSize": 2})
    assert [[s["Name"] for s in page["Schedules"]] for page in pages] == [["a1", "a2"], ["b"]]
    assert refusal(scheduler.list_schedules, GroupName="none") == ("ResourceNotFoundException", "Schedule group none does not exist.")


def test_a_group_takes_its_schedules_with_it(scheduler: Any) -> None:
    made = scheduler.create_schedule_group(Name="g", Tags=[{"Key": "k", "Value": "v"}])
    assert made["ScheduleGroupArn"] == f"{ARN}:schedule-group/g"
    for number in range(60):
        create(scheduler, f"s{number}", "rate(9 days)", GroupName="g", State="DISABLED")
    assert [group["Name"] for group in scheduler.list_schedule_groups()["ScheduleGroups"]] == ["default", "g"]
    scheduler.delete_schedule_group(Name="g", ClientToken="t")
    until(lambda: scheduler.list_schedules()["Schedules"] == [], what="the schedules being gone")
    until(lambda: len(scheduler.list_schedule_groups()["ScheduleGroups"]) == 1, what="the group being gone")
    scheduler.delete_schedule_group(Name="g", ClientToken="t")
    assert refusal(scheduler.get_schedule_group, Name="g") == ("ResourceNotFoundException", "Schedule group g does not exist.")
    assert refusal(create, scheduler, GroupName="g") == ("ResourceNotFoundException", "Schedule group g does not exist.")
    assert refusal(scheduler.delete_schedule_group, Name="default")[0] == "ValidationException"
    assert scheduler.get_schedule_group(Name="default")["State"] == "ACTIVE"


def test_tags_of_groups(scheduler: Any) -> None:
    arn = scheduler.create_schedule_group(Name="g", Tags=[{"Key": "k", "Value": "v"}])["ScheduleGroupArn"]
    scheduler.tag_resource(ResourceArn=arn, Tags=[{"Key": "l", "Value": "w"}])
    scheduler.untag_resource(ResourceArn=arn, TagKeys=["k"])
    assert scheduler.list_tags_for_resource(ResourceArn=arn)["Tags"] == [{"Key": "l", "Value": "w"}]
    assert refusal(scheduler.list_tags_for_resource, ResourceArn=arn + "2")[0] == "ResourceNotFoundException"


def test_what_is_asked_again_with_its_token_is_done_once(scheduler: Any) -> None:
    token = {"ClientToken": "a-token"}
    first = create(scheduler, "s", "rate(9 days)", **token)["ScheduleArn"]
    assert create(scheduler, "s", "rate(9 days)", **token)["ScheduleArn"] == first
    assert refusal(create, scheduler, "s", "rate(9 days)") == ("ConflictException", "Schedule s already exists.")
    scheduler.create_schedule_group(Name="g", **token)
    scheduler.create_schedule_group(Name="g", **token)
    assert refusal(scheduler.create_schedule_group, Name="g") == ("ConflictException", "Schedule group g already exists.")
    scheduler.delete_schedule(Name="s", **token)
    scheduler.delete_schedule(Name="s", **token)
    assert refusal(scheduler.delete_schedule, Name="s")[0] == "ResourceNotFoundException"


# -- what is refused ----------------------------------------------------------------------------------------------------

SDK = "arn:aws:scheduler:::aws-sdk:"


@pytest.mark.parametrize(
    "change, code, words",
    [
        ({"ScheduleExpression": "every day"}, "ValidationException", "Invalid Schedule Expression every day."),
        ({"ScheduleExpressionTimezone": "Mars/Olympus"}, "ValidationException", "Timezone Mars/Olympus"),
        ({"EndDate": datetime(2020, 1, 1, tzinfo=UTC)}, "ValidationException", "EndDate you specify must be in the future"),
        ({"FlexibleTimeWindow": {"Mode": "FLEXIBLE"}}, "ValidationException", "MaximumWindowInMinutes must be specified"),
        ({"KmsKeyArn": f"arn:aws:kms:{REGION}:{ACCOUNT}:key/k"}, "NotImplemented", "KmsKeyArn"),
        ({"Target": put("/p") | {"RoleArn": ROLE + "2"}}, "ValidationException", "must allow AWS EventBridge Scheduler to assume the role"),
        ({"Target": {"Arn": SDK + "ssm:getParameter", "RoleArn": ROLE}}, "ValidationException", "read-only actions are not supported"),
        ({"Target": {"Arn": SDK + "ssm:flyAway", "RoleArn": ROLE}}, "ValidationException", "no such service or action"),
        ({"Target": {"Arn": SDK + "ssm:createOpsItem", "RoleArn": ROLE}}, "NotImplemented", "ssm:CreateOpsItem"),
        ({"Target": put("/p", Tier="Advanced", Policies="[]", Nope=1)}, "NotImplemented", "Nope"),
        ({"Target": {"Arn": SDK + "sagemaker:createModel", "RoleArn": ROLE}}, "NotImplemented", "sagemaker:CreateModel"),
        ({"Target": {"Arn": f"arn:aws:ecs:{REGION}:{ACCOUNT}:cluster/c", "RoleArn": ROLE}}, "NotImplemented", "a target of ecs"),
        ({"Target": {"Arn": BUS, "RoleArn": ROLE}}, "ValidationException", "EventBridgeParameters must be specified"),
        ({"Target": put("/p") | {"Input": "{"}}, "ValidationException", "well-formed JSON"),
    ],
)
def test_schedules_that_are_refused(scheduler: Any, change: dict[str, Any], code: str, words: str) -> None:
    found = refusal(create, scheduler, **change)
    assert found[0] == code
    assert words in found[1]
    assert scheduler.list_schedules()["Schedules"] == []

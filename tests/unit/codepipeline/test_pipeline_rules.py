"""EventBridge in front of pipelines: rules and targets, deliveries that happen once, failures that are told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pipeline_world import World, world_at
from pipelines import approval, pipeline, source, stage

from harness import ACCOUNT, REGION, until
from windtunnel.kernel.clock import SystemClock
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.trail import TrailLine

PATTERN = json.dumps({"source": ["aws.codecommit"], "detail": {"event": ["referenceUpdated"], "referenceName": ["main"]}})
PIPELINE = f"arn:aws:codepipeline:{REGION}:{ACCOUNT}:rel"
TARGET = {"Id": "pipe", "Arn": PIPELINE, "RoleArn": f"arn:aws:iam::{ACCOUNT}:role/events"}
RULE = f"arn:aws:events:{REGION}:{ACCOUNT}:rule/on-push"


def quiet() -> dict[str, Any]:
    fetch = source(configuration={"PollForSourceChanges": "false"})
    return pipeline(stage("Source", fetch), stage("Approve", approval()))


def events(world: World, operation: str, **args: Any) -> Any:
    return world.cloud.api("events", operation, **args)


def rule(world: World, **more: Any) -> None:
    events(world, "PutRule", name="on-push", event_pattern=PATTERN)
    events(world, "PutTargets", rule="on-push", targets=[{**TARGET, **more}])


def test_a_push_starts_the_pipeline_through_a_rule(world: World) -> None:
    world.create(quiet())
    rule(world)
    world.push("b" * 40)
    until(lambda: len(world.executions()) == 2)
    assert world.executions()[0]["trigger"] == {"triggerType": "CloudWatchEvent", "triggerDetail": RULE}
    lines = world.cloud.read(lambda ctx: ctx.tx.find(TrailLine, "cause", f"commit:web@{'b' * 40}"))
    assert any("started by CloudWatchEvent" in line.text for line in lines)


def test_a_disabled_rule_and_another_branch_start_nothing(world: World) -> None:
    world.create(quiet())
    rule(world)
    world.push("b" * 40, branch="other")
    events(world, "DisableRule", name="on-push")
    world.push("c" * 40)
    events(world, "EnableRule", name="on-push")
    world.push("d" * 40)
    until(lambda: len(world.executions()) == 2)
    until(lambda: world.executions()[0].get("sourceRevisions"))
    assert world.executions()[0]["sourceRevisions"][0]["revisionId"] == "d" * 40


def test_a_transformer_gives_variables_and_revisions(world: World) -> None:
    declared = quiet() | {"pipelineType": "V2", "variables": [{"name": "who", "defaultValue": "x"}]}
    world.create(declared)
    template = (
        '{"variables": [{"name": "who", "value": "<branch>"}],'
        ' "sourceRevisions": [{"actionName": "Fetch", "revisionType": "COMMIT_ID", "revisionValue": "<commit>"}]}'
    )
    paths = {"branch": "$.detail.referenceName", "commit": "$.detail.commitId"}
    rule(world, InputTransformer={"InputPathsMap": paths, "InputTemplate": template})
    world.push("e" * 40)
    until(lambda: len(world.executions()) == 2)
    execution = world.executions()[0]["pipelineExecutionId"]
    shown = world.api("GetPipelineExecution", pipeline_name="rel", pipeline_execution_id=execution)["pipelineExecution"]
    assert shown["variables"] == [{"name": "who", "resolvedValue": "main"}]


def test_a_build_project_is_a_target(world: World) -> None:
    rule(world, Arn=f"arn:aws:codebuild:{REGION}:{ACCOUNT}:project/unit", Input='{"sourceVersion": "v7", "other": 1}')
    world.push("b" * 40)
    (started,) = until(lambda: world.work("unit:"))
    assert started.args["source_version"] == "v7"
    assert started.by == f"arn:aws:sts::{ACCOUNT}:assumed-role/events/on-push"


def test_a_delivery_that_is_denied_is_told_and_not_repeated(world: World) -> None:
    world.create(quiet())
    rule(world)
    world.identity.denied.add("codepipeline:StartPipelineExecution")
    world.push("b" * 40)
    lines = until(lambda: world.cloud.read(lambda ctx: ctx.tx.find(TrailLine, "subject", "on-push")))
    assert lines[0].level == "error"
    assert "was not delivered" in lines[0].text
    assert len(world.executions()) == 1


def test_a_delivery_survives_a_restart_and_happens_once(tmp_path: Path) -> None:
    with world_at(tmp_path) as world:
        world.create(quiet())
        rule(world)
        world.cloud.cloud.engine.close()
        world.push("b" * 40)
        until(lambda: not world.cloud.read(lambda ctx: _outbox(ctx)), what="the outbox being empty")
        assert len(world.executions()) == 1
    with world_at(tmp_path) as world:
        world.branches["web", "main"] = "b" * 40
        until(lambda: len(world.executions()) == 2)
    with world_at(tmp_path) as world:
        assert len(world.executions()) == 2


def _outbox(ctx: Any) -> int:
    return int(ctx.tx.connection.execute("SELECT count(*) FROM outbox").fetchone()[0])


def test_the_clients_own_events_reach_rules(world: World) -> None:
    world.create(quiet())
    events(world, "PutRule", name="own", event_pattern='{"source": ["my.app"]}')
    events(world, "PutTargets", rule="own", targets=[TARGET])
    entry = {"Source": "my.app", "DetailType": "Go", "Detail": "{}"}
    entries = [entry, entry | {"Detail": "[]"}, entry | {"Source": "aws.ec2"}, entry | {"Source": "windtunnel.s3"}, {"Source": "x"}]
    reply = events(world, "PutEvents", entries=entries)
    codes = [result.get("ErrorCode") for result in reply["Entries"]]
    assert codes == [None, "MalformedDetail", "NotAuthorizedForSource", "NotAuthorizedForSource", "InvalidArgument"]
    assert reply["FailedEntryCount"] == 4
    until(lambda: len(world.executions()) == 2)


def test_a_schedule_fires_at_the_clouds_pace_until_it_is_disabled(tmp_path: Path) -> None:
    with world_at(tmp_path, clock=SystemClock(pace=600)) as world:
        world.create(quiet())
        events(world, "PutRule", name="often", schedule_expression="rate(1 minute)")
        events(world, "PutTargets", rule="often", targets=[TARGET])
        until(lambda: len(world.executions()) >= 3, what="two firings")
        events(world, "DisableRule", name="often")
        runs = "SELECT count(*) FROM run WHERE kind='events.schedule' AND state IN ('ready', 'parked')"
        until(lambda: world.cloud.read(lambda ctx: ctx.tx.connection.execute(runs).fetchone()[0]) == 0, what="the schedule ending")
        assert world.executions()[0]["trigger"]["triggerType"] == "CloudWatchEvent"


def refusal(world: World, operation: str, **args: Any) -> tuple[str, str]:
    with pytest.raises(AwsError) as refused:
        events(world, operation, **args)
    return refused.value.code, refused.value.message


def test_rules_are_listed_described_and_deleted_without_targets_only(world: World) -> None:
    rule(world)
    events(world, "PutRule", name="nightly", schedule_expression="cron(0 3 * * ? *)", description="at three", state="DISABLED")
    names = [r["Name"] for r in events(world, "ListRules")["Rules"]]
    assert names == ["nightly", "on-push"]
    page = events(world, "ListRules", limit=1)
    assert [r["Name"] for r in events(world, "ListRules", next_token=page["NextToken"])["Rules"]] == ["on-push"]
    shown = events(world, "DescribeRule", name="nightly")
    assert (shown["State"], shown["ScheduleExpression"], shown["EventBusName"]) == ("DISABLED", "cron(0 3 * * ? *)", "default")
    assert events(world, "ListTargetsByRule", rule="on-push")["Targets"] == [TARGET]
    assert events(world, "ListRuleNamesByTarget", target_arn=PIPELINE)["RuleNames"] == ["on-push"]
    assert refusal(world, "DeleteRule", name="on-push") == ("ValidationException", "Rule can't be deleted since it has targets.")
    assert events(world, "RemoveTargets", rule="on-push", ids=["pipe", "none"])["FailedEntryCount"] == 1
    events(world, "DeleteRule", name="on-push")
    events(world, "DeleteRule", name="on-push")
    gone = ("ResourceNotFoundException", "Rule on-push does not exist on EventBus default.")
    assert refusal(world, "DescribeRule", name="on-push") == gone
    assert refusal(world, "PutTargets", rule="on-push", targets=[TARGET]) == gone


def test_tags_of_rules(world: World) -> None:
    events(world, "PutRule", name="on-push", event_pattern=PATTERN, tags=[{"Key": "a", "Value": "1"}])
    events(world, "TagResource", resource_arn=RULE, tags=[{"Key": "b", "Value": "2"}])
    events(world, "UntagResource", resource_arn=RULE, tag_keys=["a"])
    assert events(world, "ListTagsForResource", resource_arn=RULE) == {"Tags": [{"Key": "b", "Value": "2"}]}


@pytest.mark.parametrize(
    "operation, args, code, words",
    [
        ("PutRule", {"name": "r"}, "ValidationException", "EventPattern or ScheduleExpression must be specified"),
        ("PutRule", {"name": "r", "event_pattern": "{}"}, "InvalidEventPatternException", "Empty objects are not allowed"),
        ("PutRule", {"name": "r", "schedule_expression": "rate(1 days)"}, "ValidationException", "ScheduleExpression is not valid"),
        (
            "PutRule",
            {"name": "r", "event_pattern": PATTERN, "event_bus_name": "x"},
            "ResourceNotFoundException",
            "Event bus x does not exist.",
        ),
        ("PutTargets", {"targets": [{**TARGET, "Arn": "arn:aws:kinesis:us-east-1:1:t"}]}, "NotImplemented", "a target of kinesis"),
        (
            "PutTargets",
            {"targets": [{**TARGET, "Arn": PIPELINE.replace(REGION, "eu-west-1")}]},
            "ValidationException",
            "not in correct region",
        ),
        ("PutTargets", {"targets": [{"Id": "x", "Arn": PIPELINE}]}, "ValidationException", "RoleArn is required"),
        ("PutTargets", {"targets": [{**TARGET, "Arn": "nonsense"}]}, "ValidationException", "not in correct format"),
        (
            "PutTargets",
            {"targets": [{**TARGET, "Input": "{}", "InputPath": "$"}]},
            "ValidationException",
            "Only one of Input, InputPath, or InputTransformer must be provided for target pipe.",
        ),
        ("PutTargets", {"targets": [{**TARGET, "Id": str(n)} for n in range(6)]}, "LimitExceededException", "maximum number"),
        ("TestEventPattern", {"event_pattern": PATTERN, "event": "{}"}, "ValidationException", "required field 'id'"),
    ],
)
def test_refusals_change_nothing(world: World, operation: str, args: dict[str, Any], code: str, words: str) -> None:
    events(world, "PutRule", name="r0", event_pattern=PATTERN)
    extra = {"rule": "r0"} if operation == "PutTargets" else {}
    said = refusal(world, operation, **extra, **args)
    assert said[0] == code
    assert words in said[1]
    assert [r["Name"] for r in events(world, "ListRules")["Rules"]] == ["r0"]
    assert events(world, "ListTargetsByRule", rule="r0")["Targets"] == []


def test_patterns_can_be_tried(world: World) -> None:
    event = {"id": "1", "account": "1", "source": "aws.s3", "time": "t", "region": "r", "resources": [], "detail-type": "x"}
    assert events(world, "TestEventPattern", event_pattern='{"source": ["aws.s3"]}', event=json.dumps(event)) == {"Result": True}
    assert events(world, "TestEventPattern", event_pattern='{"source": ["aws.s4"]}', event=json.dumps(event)) == {"Result": False}


def test_the_default_bus_is_the_only_one(world: World) -> None:
    bus = {"Name": "default", "Arn": f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/default"}
    assert events(world, "DescribeEventBus") == bus
    assert events(world, "ListEventBuses") == {"EventBuses": [bus]}
    assert refusal(world, "DescribeEventBus", name="mine")[0] == "ResourceNotFoundException"

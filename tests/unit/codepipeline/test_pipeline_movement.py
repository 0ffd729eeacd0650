"""Executions beside and past each other: supersession, queues, doors, stops, retries, changes of structure, approvals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pipeline_world import World, world_at
from pipelines import approval, build, deploy, full, pipeline, stage

from harness import ACCOUNT, until
from windtunnel.kernel.clock import FixedClock
from windtunnel.kernel.context import Event
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.trail import TrailLine


def start(world: World) -> str:
    return str(world.api("StartPipelineExecution", name="rel")["pipelineExecutionId"])


def refusal(world: World, operation: str, **args: Any) -> str:
    with pytest.raises(AwsError) as refused:
        world.api(operation, **args)
    return refused.value.code


def waits_before(world: World, stage_name: str, execution: str) -> None:
    until(lambda: world.stage(stage_name).get("inboundExecution", {}).get("pipelineExecutionId") == execution)


def test_a_newer_execution_supersedes_the_one_that_waits(world: World) -> None:
    first = world.create(full())
    built = world.running("Build", "Compile")
    second = start(world)
    waits_before(world, "Build", second)
    third = start(world)
    waits_before(world, "Build", third)
    superseded = world.api("GetPipelineExecution", pipeline_name="rel", pipeline_execution_id=second)["pipelineExecution"]
    assert superseded["status"] == "Superseded"
    assert third in superseded["statusSummary"]
    assert world.status(first) == "InProgress"
    world.build_ends(built)
    until(lambda: world.stage("Build")["latestExecution"]["pipelineExecutionId"] == third)
    assert "inboundExecution" not in world.stage("Build")


def test_an_execution_that_waits_for_approval_is_not_superseded(world: World) -> None:
    first = world.create(pipeline(stage("Approve", approval())))
    until(lambda: world.action("Approve", "OK").get("token"))
    second = start(world)
    waits_before(world, "Approve", second)
    third = start(world)
    waits_before(world, "Approve", third)
    assert (world.status(first), world.status(second)) == ("InProgress", "Superseded")
    world.approve("Approve", "OK")
    world.ends(first, "Succeeded")
    world.approve("Approve", "OK")
    world.ends(third, "Succeeded")


def test_queued_executions_pass_in_order(world: World) -> None:
    first = world.create(pipeline(stage("Approve", approval()), pipelineType="V2", executionMode="QUEUED"))
    until(lambda: world.action("Approve", "OK").get("token"))
    second, third = start(world), start(world)
    until(lambda: len(world.stage("Approve").get("inboundExecutions", [])) == 2)
    for execution in (first, second, third):
        until(lambda e=execution: world.stage("Approve")["latestExecution"]["pipelineExecutionId"] == e)
        world.approve("Approve", "OK")
        world.ends(execution, "Succeeded")


def test_parallel_executions_do_not_wait(world: World) -> None:
    first = world.create(pipeline(stage("Build", build()), pipelineType="V2", executionMode="PARALLEL"))
    second = start(world)
    first_build, second_build = until(lambda: builds if len(builds := world.work("unit:")) == 2 else None)
    world.build_ends(first_build.id, "FAILED")
    world.build_ends(second_build.id)
    until(lambda: {world.status(first), world.status(second)} == {"Failed", "Succeeded"})
    assert "latestExecution" not in world.stage("Build")


def test_a_closed_door_holds_the_execution_and_opening_it_lets_it_go(world: World) -> None:
    first = world.create(full())
    built = world.running("Build", "Compile")
    door = {"pipeline_name": "rel", "stage_name": "Approve", "transition_type": "Inbound"}
    world.api("DisableStageTransition", **door, reason="freeze")
    world.build_ends(built)
    waits_before(world, "Approve", first)
    state = world.stage("Approve")["inboundTransitionState"]
    assert (state["enabled"], state["disabledReason"], state["lastChangedBy"]) == (False, "freeze", f"arn:aws:iam::{ACCOUNT}:root")
    assert world.status(first) == "InProgress"
    world.api("EnableStageTransition", **door)
    until(lambda: world.action("Approve", "OK").get("token"))
    assert refusal(world, "DisableStageTransition", **(door | {"stage_name": "Nowhere"}), reason="x") == "StageNotFoundException"


def test_an_outbound_door_holds_as_well(world: World) -> None:
    first = world.create(full())
    built = world.running("Build", "Compile")
    door = {"pipeline_name": "rel", "stage_name": "Build", "transition_type": "Outbound"}
    world.api("DisableStageTransition", **door, reason="freeze")
    world.build_ends(built)
    waits_before(world, "Approve", first)
    world.api("EnableStageTransition", **door)
    until(lambda: world.action("Approve", "OK").get("token"))


def stop(world: World, execution: str, **more: Any) -> Any:
    return world.api("StopPipelineExecution", pipeline_name="rel", pipeline_execution_id=execution, **more)


def test_stop_and_wait_lets_the_running_action_end(tmp_path: Path) -> None:
    events: list[Event] = []
    with world_at(tmp_path, events) as world:
        first = world.create(full())
        built = world.running("Build", "Compile")
        stop(world, first, reason="enough")
        assert world.status(first) == "Stopping"
        assert world.stage("Build")["latestExecution"]["status"] == "Stopping"
        with pytest.raises(AwsError) as again:
            stop(world, first)
        assert again.value.code == "DuplicatedStopRequestException"
        world.build_ends(built)
        world.ends(first, "Stopped")
        assert world.action("Build", "Compile")["status"] == "Succeeded"
        assert world.executions()[0]["stopTrigger"] == {"reason": "enough"}
        assert refusal(world, "StopPipelineExecution", pipeline_name="rel", pipeline_execution_id=first) == (
            "PipelineExecutionNotStoppableException"
        )
        until(lambda: events and events[-1].detail["state"] == "STOPPED" and "stage" not in events[-1].detail)
    states = [(event.detail.get("stage", "-"), event.detail["state"]) for event in events if "action" not in event.detail]
    assert states[-4:] == [("-", "STOPPING"), ("Build", "STOPPING"), ("Build", "STOPPED"), ("-", "STOPPED")]


def test_stop_and_abandon_ends_at_once_and_the_build_no_longer_counts(world: World) -> None:
    first = world.create(full())
    built = world.running("Build", "Compile")
    stop(world, first, abandon=True)
    assert world.status(first) == "Stopped"
    assert world.action("Build", "Compile")["status"] == "Abandoned"
    world.build_ends(built)
    second = start(world)
    until(lambda: world.stage("Build")["latestExecution"]["pipelineExecutionId"] == second)
    assert world.status(first) == "Stopped"


def test_a_waiting_execution_is_stopped_at_once(world: World) -> None:
    world.create(full())
    world.running("Build", "Compile")
    second = start(world)
    waits_before(world, "Build", second)
    stop(world, second)
    assert world.status(second) == "Stopped"
    assert "inboundExecution" not in world.stage("Build")


def retry(world: World, execution: str, mode: str = "FAILED_ACTIONS", stage_name: str = "Build") -> Any:
    return world.api("RetryStageExecution", pipeline_name="rel", stage_name=stage_name, pipeline_execution_id=execution, retry_mode=mode)


@pytest.mark.parametrize("mode, builds_of_one", [("FAILED_ACTIONS", 1), ("ALL_ACTIONS", 2)])
def test_a_failed_stage_is_retried_for_the_same_execution(tmp_path: Path, mode: str, builds_of_one: int) -> None:
    events: list[Event] = []
    with world_at(tmp_path, events) as world:
        first = world.create(pipeline(stage("Build", build("One", configuration={"ProjectName": "one"}), build("Two"))))
        world.build_ends(world.running("Build", "One"))
        failing = world.running("Build", "Two")
        world.build_ends(failing, "FAILED")
        world.ends(first, "Failed")
        retry(world, first, mode)
        assert world.status(first) == "InProgress"
        until(lambda: world.action("Build", "Two").get("externalExecutionId", failing) != failing)
        until(lambda: len(world.work("one:")) == builds_of_one)
        for work in world.work():
            world.build_ends(work.id)
        world.ends(first, "Succeeded")
        assert world.stage("Build")["retryStageMetadata"] == {"manualStageRetryAttempt": 1, "latestRetryTrigger": "ManualStageRetry"}
        filtered = {"pipelineExecutionId": first}
        history = world.api("ListActionExecutions", pipeline_name="rel", filter=filtered)["actionExecutionDetails"]
        latest = {"latestInPipelineExecution": {"pipelineExecutionId": first, "startTimeRange": "Latest"}}
        newest = world.api("ListActionExecutions", pipeline_name="rel", filter=latest)["actionExecutionDetails"]
    assert [d["status"] for d in history if d["actionName"] == "Two"] == ["Succeeded", "Failed"]
    assert sorted(d["actionName"] for d in newest) == ["Fetch", "One", "Two"]
    assert [e.detail["state"] for e in events if "stage" not in e.detail][-2:] == ["RESUMED", "SUCCEEDED"]


def test_what_cannot_be_retried(world: World) -> None:
    first = world.create(full())
    world.running("Build", "Compile")
    with pytest.raises(AwsError) as running:
        retry(world, first)
    assert running.value.code == "StageNotRetryableException"
    stop(world, first, abandon=True)
    second = start(world)
    until(lambda: world.stage("Build")["latestExecution"]["pipelineExecutionId"] == second)
    with pytest.raises(AwsError) as outdated:
        retry(world, first)
    assert outdated.value.code == "NotLatestPipelineExecutionException"
    with pytest.raises(AwsError) as nowhere:
        retry(world, first, stage_name="Nowhere")
    assert nowhere.value.code == "StageNotFoundException"


def test_an_abandoned_stage_can_be_retried(world: World) -> None:
    first = world.create(full())
    built = world.running("Build", "Compile")
    stop(world, first, abandon=True)
    retry(world, first)
    again = until(lambda: found if (found := world.action("Build", "Compile").get("externalExecutionId", built)) != built else None)
    world.build_ends(again)
    until(lambda: world.action("Approve", "OK").get("token"))


def test_a_failed_stage_lets_the_next_execution_in(world: World) -> None:
    first = world.create(full())
    built = world.running("Build", "Compile")
    second = start(world)
    waits_before(world, "Build", second)
    world.build_ends(built, "FAILED")
    world.ends(first, "Failed")
    until(lambda: world.stage("Build")["latestExecution"]["pipelineExecutionId"] == second)


def put(world: World, token: str, status: str = "Approved", summary: str = "s", action: str = "OK") -> Any:
    result = {"status": status, "summary": summary}
    return world.api("PutApprovalResult", pipeline_name="rel", stage_name="Approve", action_name=action, result=result, token=token)


def test_an_approval_is_given_once_with_the_right_token_and_says_by_whom(world: World) -> None:
    first = world.create(pipeline(stage("Approve", approval()), stage("Deploy", deploy())))
    token = until(lambda: world.action("Approve", "OK").get("token"))
    with pytest.raises(AwsError) as wrong:
        put(world, "00000000-0000-4000-8000-000000000000")
    assert wrong.value.code == "InvalidApprovalTokenException"
    with pytest.raises(AwsError) as nowhere:
        put(world, token, action="Other")
    assert nowhere.value.code == "ActionNotFoundException"
    assert "approvedAt" in put(world, token, summary="fine")
    with pytest.raises(AwsError) as again:
        put(world, token)
    assert again.value.code == "ApprovalAlreadyCompletedException"
    until(lambda: world.action("Approve", "OK")["status"] == "Succeeded")
    given = world.action("Approve", "OK")
    assert (given["summary"], given["lastUpdatedBy"]) == ("fine", f"arn:aws:iam::{ACCOUNT}:root")
    assert "token" not in given
    world.deployment_ends(world.running("Deploy", "Ship"))
    world.ends(first, "Succeeded")


def test_a_rejection_fails_the_stage_and_can_be_retried(world: World) -> None:
    first = world.create(pipeline(stage("Approve", approval()), stage("Deploy", deploy())))
    world.approve("Approve", "OK", "Rejected", "not on a Friday")
    world.ends(first, "Failed")
    rejected = world.action("Approve", "OK")
    assert rejected["errorDetails"] == {"code": "JobFailed", "message": "not on a Friday"}
    assert world.action("Deploy", "Ship") == {}
    retry(world, first, stage_name="Approve")
    world.approve("Approve", "OK")
    world.running("Deploy", "Ship")


def test_an_approval_that_nobody_gives_fails_when_its_time_is_over(tmp_path: Path) -> None:
    start_of_wait = 1_700_000_000.0
    with world_at(tmp_path, clock=FixedClock(start_of_wait)) as world:
        first = world.create(pipeline(stage("Approve", approval(timeoutInMinutes=5))))
        until(lambda: "waits for an approval" in _trail(world, first), what="the question being asked")
        assert world.status(first) == "InProgress"
    with world_at(tmp_path, clock=FixedClock(start_of_wait + 301)) as world:
        world.ends(first, "Failed")
        error = world.action("Approve", "OK")["errorDetails"]
    assert error == {"code": "JobFailed", "message": "The approval action was neither approved nor rejected within 5 minutes."}


def _trail(world: World, subject: str) -> str:
    return "\n".join(line.text for line in world.cloud.read(lambda ctx: ctx.tx.find(TrailLine, "subject", subject)))


def test_a_wait_for_approval_survives_a_restart(tmp_path: Path) -> None:
    with world_at(tmp_path) as world:
        first = world.create(pipeline(stage("Approve", approval()), stage("Deploy", deploy())))
        token = until(lambda: world.action("Approve", "OK").get("token"))
    with world_at(tmp_path) as world:
        assert world.action("Approve", "OK")["token"] == token
        world.approve("Approve", "OK")
        world.deployment_ends(world.running("Deploy", "Ship"))
        world.ends(first, "Succeeded")


def test_a_change_of_structure_is_used_from_the_next_stage_on(world: World) -> None:
    first = world.create(full())
    built = world.running("Build", "Compile")
    shown = world.api("GetPipeline", name="rel")["pipeline"]
    shown["stages"].insert(2, stage("Check", approval("Look")))
    updated = world.api("UpdatePipeline", pipeline=shown)["pipeline"]
    assert updated["version"] == 2
    world.build_ends(built)
    until(lambda: world.action("Check", "Look").get("token"))
    assert world.api("GetPipelineExecution", pipeline_name="rel", pipeline_execution_id=first)["pipelineExecution"]["pipelineVersion"] == 1
    assert [s["name"] for s in world.api("GetPipeline", name="rel", version=1)["pipeline"]["stages"]] == [
        *("Source", "Build", "Approve", "Deploy")
    ]
    assert refusal(world, "GetPipeline", name="rel", version=9) == "PipelineVersionNotFoundException"


def test_who_waits_before_a_stage_that_is_taken_away_is_cancelled(world: World) -> None:
    first = world.create(full())
    built = world.running("Build", "Compile")
    world.api("DisableStageTransition", pipeline_name="rel", stage_name="Approve", transition_type="Inbound", reason="x")
    world.build_ends(built)
    waits_before(world, "Approve", first)
    shown = world.api("GetPipeline", name="rel")["pipeline"]
    del shown["stages"][2]
    world.api("UpdatePipeline", pipeline=shown)
    assert world.status(first) == "Cancelled"


def test_get_and_update_round_trip_and_every_update_is_a_version(world: World) -> None:
    world.create(full())
    shown = world.api("GetPipeline", name="rel")["pipeline"]
    again = world.api("UpdatePipeline", pipeline=shown)["pipeline"]
    assert again == shown | {"version": 2}
    assert world.api("GetPipeline", name="rel")["pipeline"] == again


def test_pipelines_are_created_once_listed_tagged_and_never_half(world: World) -> None:
    world.api("CreatePipeline", pipeline=full(), tags=[{"key": "team", "value": "a"}])
    assert refusal(world, "CreatePipeline", pipeline=full()) == "PipelineNameInUseException"
    broken = full() | {"name": "broken", "stages": full()["stages"][:1]}
    assert refusal(world, "CreatePipeline", pipeline=broken) == "InvalidStructureException"
    assert [p["name"] for p in world.api("ListPipelines")["pipelines"]] == ["rel"]
    world.api("CreatePipeline", pipeline=full() | {"name": "another"})
    page = world.api("ListPipelines", max_results=1)
    assert [p["name"] for p in page["pipelines"]] == ["another"]
    assert [p["name"] for p in world.api("ListPipelines", next_token=page["nextToken"])["pipelines"]] == ["rel"]
    assert refusal(world, "ListPipelines", next_token="???") == "InvalidNextTokenException"
    arn = f"arn:aws:codepipeline:us-east-1:{ACCOUNT}:rel"
    world.api("TagResource", resource_arn=arn, tags=[{"key": "env", "value": "b"}])
    world.api("UntagResource", resource_arn=arn, tag_keys=["team"])
    assert world.api("ListTagsForResource", resource_arn=arn) == {"tags": [{"key": "env", "value": "b"}]}
    assert refusal(world, "ListTagsForResource", resource_arn="nonsense") == "InvalidArnException"


def test_the_action_types_are_those_that_run(world: World) -> None:
    found = world.api("ListActionTypes")["actionTypes"]
    names = {f"{t['id']['category']}/{t['id']['provider']}" for t in found}
    expected = {"Approval/Manual", "Build/CodeBuild", "Deploy/CodeDeploy", "Source/CodeCommit", "Source/S3", "Test/CodeBuild"}
    assert expected <= names
    assert world.api("ListActionTypes", action_owner_filter="ThirdParty") == {"actionTypes": []}


def test_histories_are_paged_newest_first(world: World) -> None:
    first = world.create(pipeline(stage("Approve", approval())))
    until(lambda: world.action("Approve", "OK").get("token"))
    stop(world, first, abandon=True)
    second = start(world)
    page = world.api("ListPipelineExecutions", pipeline_name="rel", max_results=1)
    assert [e["pipelineExecutionId"] for e in page["pipelineExecutionSummaries"]] == [second]
    rest = world.api("ListPipelineExecutions", pipeline_name="rel", next_token=page["nextToken"])
    assert [e["pipelineExecutionId"] for e in rest["pipelineExecutionSummaries"]] == [first]
    passed = {"succeededInStage": {"stageName": "Source"}}
    until(lambda: len(world.api("ListPipelineExecutions", pipeline_name="rel", filter=passed)["pipelineExecutionSummaries"]) == 2)
    until(lambda: world.action("Approve", "OK").get("token"))
    actions = world.api("ListActionExecutions", pipeline_name="rel", max_results=2)
    assert [a["actionName"] for a in actions["actionExecutionDetails"]] == ["OK", "Fetch"]
    assert len(world.api("ListActionExecutions", pipeline_name="rel", next_token=actions["nextToken"])["actionExecutionDetails"]) == 2

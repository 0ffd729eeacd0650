"""Clients, builds, people and restarts pull at one pipeline at random; whatever they do, it stays in order and comes to rest."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pipeline_world import World, world_at
from pipelines import approval, build, deploy, pipeline, stage

from harness import until
from windtunnel.kernel.errors import AwsError
from windtunnel.services.codepipeline.model import Board

STAGES = ["Source", "Build", "Approve", "Deploy"]
LIVES, MOVES = 4, 60
ALL = 100_000


class Storm:
    """One seeded storm. played: the builds and deployments whose end was told."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.played: set[str] = set()

    def blow(self, world: World) -> None:
        moves: list[tuple[int, Callable[[World], None]]] = [
            *((5, self.start), (9, self.end_work), (3, self.decide), (1, self.stop), (2, self.retry), (2, self.door), (1, self.update))
        ]
        for _ in range(MOVES):
            (move,) = self.dice.choices([m for _, m in moves], [weight for weight, _ in moves])
            try:
                move(world)
            except AwsError as refused:
                assert refused.status != 500, refused
            in_order(world)

    def start(self, world: World) -> None:
        world.api("StartPipelineExecution", name="rel")

    def end_work(self, world: World, well: bool | None = None) -> None:
        for work in world.work():
            if work.id not in self.played:
                self.played.add(work.id)
                good = self.dice.random() < 0.75 if well is None else well
                if work.id.startswith("d-"):
                    world.deployment_ends(work.id, "SUCCESS" if good else "FAILURE")
                else:
                    world.build_ends(work.id, "SUCCEEDED" if good else "FAILED")
                return

    def decide(self, world: World) -> None:
        token = world.action("Approve", "OK").get("token")
        if token:
            result = {"status": self.dice.choice(["Approved", "Rejected"]), "summary": ""}
            world.api("PutApprovalResult", pipeline_name="rel", stage_name="Approve", action_name="OK", result=result, token=token)

    def some_execution(self, world: World) -> dict[str, str]:
        chosen = self.dice.choice(world.executions()[:4])
        return {"pipeline_name": "rel", "pipeline_execution_id": chosen["pipelineExecutionId"]}

    def stop(self, world: World) -> None:
        world.api("StopPipelineExecution", **self.some_execution(world), abandon=self.dice.random() < 0.5)

    def retry(self, world: World) -> None:
        mode = self.dice.choice(["ALL_ACTIONS", "FAILED_ACTIONS"])
        world.api("RetryStageExecution", **self.some_execution(world), stage_name=self.dice.choice(STAGES), retry_mode=mode)

    def door(self, world: World) -> None:
        door = {"pipeline_name": "rel", "stage_name": self.dice.choice(STAGES[1:]), "transition_type": "Inbound"}
        if self.dice.random() < 0.4:
            world.api("DisableStageTransition", **door, reason="storm")
        else:
            world.api("EnableStageTransition", **door)

    def update(self, world: World) -> None:
        world.api("UpdatePipeline", pipeline=world.api("GetPipeline", name="rel")["pipeline"])


def summaries(world: World) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = world.api("ListPipelineExecutions", pipeline_name="rel", max_results=ALL)["pipelineExecutionSummaries"]
    return found


def in_order(world: World) -> None:
    """Nobody is in two places, and in SUPERSEDED mode no two wait before one stage."""
    board = world.cloud.read(lambda ctx: ctx.tx.get(Board, "rel"))
    assert board is not None
    holders = [slot.holder for slot in board.stages.values() if slot.holder]
    waiting = [e for slot in board.stages.values() for e in slot.inbound]
    assert len(set(holders + waiting)) == len(holders + waiting)
    if summaries(world)[0]["executionMode"] == "SUPERSEDED":
        assert all(len(slot.inbound) <= 1 for slot in board.stages.values())


def calm_down(storm: Storm, world: World) -> None:
    for name in STAGES:
        world.api("EnableStageTransition", pipeline_name="rel", stage_name=name, transition_type="Inbound")

    def at_rest() -> bool:
        storm.end_work(world, well=True)
        for detail in history(world):
            if detail["actionName"] == "OK" and detail["status"] == "InProgress":
                settle(world, detail["pipelineExecutionId"])
        return all(e["status"] not in ("InProgress", "Stopping") for e in summaries(world))

    until(at_rest, 60, "every execution coming to its end")


def settle(world: World, execution: str) -> None:
    """Approve if the state shows the token (it does for the latest only); else let the waiting execution go."""
    latest = world.action("Approve", "OK")
    try:
        if latest.get("token"):
            world.approve("Approve", "OK")
        else:
            world.api("StopPipelineExecution", pipeline_name="rel", pipeline_execution_id=execution, abandon=True)
    except AwsError as late:
        assert late.code in ("ApprovalAlreadyCompletedException", "InvalidApprovalTokenException", "PipelineExecutionNotStoppableException")


def history(world: World) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = world.api("ListActionExecutions", pipeline_name="rel", max_results=ALL)["actionExecutionDetails"]
    return found


def left_over(world: World) -> int:
    """Runs of actions that still go on, and signals that nobody takes."""
    count = "SELECT (SELECT count(*) FROM run WHERE kind='codepipeline.action' AND state IN ('ready', 'parked')) + (SELECT count(*) FROM signal)"
    return int(world.cloud.read(lambda ctx: ctx.tx.connection.execute(count).fetchone()[0]))  # type: ignore[attr-defined]


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["SUPERSEDED", "QUEUED", "PARALLEL"])
@pytest.mark.parametrize("seed", [1])
def test_whatever_blows_a_pipeline_stays_in_order_and_comes_to_rest(tmp_path: Path, mode: str, seed: int) -> None:
    storm = Storm(seed)
    stages = [stage("Build", build("A"), build("B"), build("C", runOrder=2)), stage("Approve", approval()), stage("Deploy", deploy())]
    with world_at(tmp_path) as world:
        world.create(pipeline(*stages, pipelineType="V2", executionMode=mode))
    for _ in range(LIVES):
        with world_at(tmp_path) as world:
            storm.blow(world)
    with world_at(tmp_path) as world:
        calm_down(storm, world)
        until(lambda: left_over(world) == 0, what="no run and no signal being left")
        details = history(world)
        ids = [d["output"]["executionResult"].get("externalExecutionId") for d in details if d["actionName"] in ("A", "B", "C", "Ship")]
        assert all(d["status"] != "InProgress" for d in details)
        assert sorted(i for i in ids if i) == sorted(work.id for work in world.work())

"""Stages: run once more, and the doors between them."""

from __future__ import annotations

from windtunnel.kernel.context import Context, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import writes
from windtunnel.kernel.trail import trail
from windtunnel.services.codepipeline.authorize import no_pipeline, on
from windtunnel.services.codepipeline.flow import Flow, find_execution
from windtunnel.services.codepipeline.model import Transition, stage_names


def stage_in(ctx: Context, pipeline_name: str, stage_name: str) -> Flow:
    """The flow of a pipeline that has this stage."""
    flow = Flow.of(ctx, pipeline_name)
    if flow is None:
        raise no_pipeline(ctx, pipeline_name)
    if stage_name not in stage_names(flow.pipeline.declaration):
        raise AwsError("StageNotFoundException", f"The pipeline '{pipeline_name}' does not have a stage with name '{stage_name}'")
    return flow


@writes(
    "codepipeline",
    "RetryStageExecution",
    authorize=on("RetryStageExecution", "pipeline_name", "stage_name"),
    acts="pipelineName stageName pipelineExecutionId retryMode",
)
def retry_stage_execution(ctx: Context, pipeline_name: str, stage_name: str, pipeline_execution_id: str, retry_mode: str) -> Reply:
    flow = stage_in(ctx, pipeline_name, stage_name)
    e = find_execution(ctx, pipeline_name, pipeline_execution_id)
    flow.retryable(e, stage_name)
    flow.retry(flow.execution(pipeline_execution_id), stage_name, whole_stage=retry_mode == "ALL_ACTIONS")
    flow.save()
    return {"pipelineExecutionId": pipeline_execution_id}


@writes(
    "codepipeline",
    "DisableStageTransition",
    authorize=on("DisableStageTransition", "pipeline_name", "stage_name"),
    acts="pipelineName stageName transitionType reason",
)
def disable_stage_transition(ctx: Context, pipeline_name: str, stage_name: str, transition_type: str, reason: str) -> Reply:
    _move_door(ctx, pipeline_name, stage_name, transition_type, Transition(False, reason, ctx.principal.arn, ctx.now))
    return {}


@writes(
    "codepipeline",
    "EnableStageTransition",
    authorize=on("EnableStageTransition", "pipeline_name", "stage_name"),
    acts="pipelineName stageName transitionType",
)
def enable_stage_transition(ctx: Context, pipeline_name: str, stage_name: str, transition_type: str) -> Reply:
    _move_door(ctx, pipeline_name, stage_name, transition_type, Transition(True, "", ctx.principal.arn, ctx.now))
    return {}


def _move_door(ctx: Context, pipeline_name: str, stage_name: str, transition_type: str, door: Transition) -> None:
    flow = stage_in(ctx, pipeline_name, stage_name)
    slot = flow.board.slot(stage_name)
    if transition_type == "Inbound":
        slot.inbound_door = door
    else:
        slot.outbound_door = door
    word = "enabled" if door.enabled else "disabled"
    text = f"{transition_type.lower()} transition of stage {stage_name} of {pipeline_name} {word} by {door.by}"
    trail(ctx, [pipeline_name], text + (f": {door.reason}" if door.reason else ""))
    for name in stage_names(flow.pipeline.declaration):
        flow.admit(name)
    flow.save()

"""Executions: started, stopped, looked at; the history of pipelines and actions, newest first."""

from __future__ import annotations

from typing import Any

from windtunnel.kernel.context import Context, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import reads, writes
from windtunnel.services.codepipeline.authorize import no_pipeline, on, the_pipeline
from windtunnel.services.codepipeline.flow import Flow, find_execution
from windtunnel.services.codepipeline.model import ActionExecution, Board, Execution, Pipeline, Slot, Trigger, action_of
from windtunnel.services.codepipeline.paging import key_of, token_after
from windtunnel.services.codepipeline.starting import begin
from windtunnel.services.codepipeline.views import action_detail, execution, execution_summary, stage_state

EVENTS = "events.amazonaws.com"
REVISION_TYPES = {"CodeCommit": {"COMMIT_ID"}, "S3": {"S3_OBJECT_VERSION_ID", "S3_OBJECT_KEY"}}


def no_execution(name: str, execution_id: str) -> AwsError:
    return AwsError("PipelineExecutionNotFoundException", f"The pipeline {name} does not have an execution with the id {execution_id}")


def the_execution(ctx: Context, name: str, execution_id: str) -> Execution:
    found = find_execution(ctx, name, execution_id)
    if found is None:
        raise no_execution(name, execution_id)
    return found


@writes(
    "codepipeline",
    "StartPipelineExecution",
    authorize=on("StartPipelineExecution", "name"),
    acts="name clientRequestToken variables[].name variables[].value"
    " sourceRevisions[].actionName sourceRevisions[].revisionType sourceRevisions[].revisionValue",
)
def start_pipeline_execution(
    ctx: Context,
    name: str,
    variables: list[dict[str, str]] | None = None,
    client_request_token: str = "",
    source_revisions: list[dict[str, str]] | None = None,
) -> Reply:
    flow = Flow.of(ctx, name)
    if flow is None:
        raise no_pipeline(ctx, name)
    if client_request_token:
        known = ctx.tx.find(Execution, "token", f"{name}/{client_request_token}")
        if known:
            return {"pipelineExecutionId": known[0].id}
    check_overrides(flow.pipeline, source_revisions or [])
    started = begin(flow, trigger_of(ctx), variables, source_revisions, client_request_token)
    return {"pipelineExecutionId": started.id}


def trigger_of(ctx: Context) -> Trigger:
    """A session that EventBridge made carries the rule's name; everyone else is a caller of StartPipelineExecution."""
    principal = ctx.principal
    if principal.via_service == EVENTS:
        return Trigger("CloudWatchEvent", ctx.arn("events", f"rule/{principal.arn.rsplit('/', 1)[-1]}"))
    return Trigger("StartPipelineExecution", principal.arn)


def check_overrides(pipeline: Pipeline, overrides: list[dict[str, str]]) -> None:
    """Each override must name a source action, with a type of revision that it has. Raises ValidationException."""
    if overrides and pipeline.declaration["pipelineType"] != "V2":
        raise AwsError("ValidationException", "Source revision overrides are only available for pipelines of type V2.")
    for override in overrides:
        action = action_of(pipeline.declaration["stages"][0], override["actionName"])
        if action is None:
            raise AwsError("ValidationException", f"The pipeline {pipeline.name} has no source action {override['actionName']}.")
        allowed = REVISION_TYPES.get(action["actionTypeId"]["provider"], set())
        if override["revisionType"] not in allowed:
            raise AwsError(
                "ValidationException",
                f"The source action {override['actionName']} does not take a revision of type {override['revisionType']}.",
            )


@writes(
    "codepipeline",
    "StopPipelineExecution",
    authorize=on("StopPipelineExecution", "pipeline_name"),
    acts="pipelineName pipelineExecutionId abandon reason",
)
def stop_pipeline_execution(ctx: Context, pipeline_name: str, pipeline_execution_id: str, abandon: bool = False, reason: str = "") -> Reply:
    flow = Flow.of(ctx, pipeline_name)
    if flow is None:
        raise no_pipeline(ctx, pipeline_name)
    e = find_execution(ctx, pipeline_name, pipeline_execution_id)
    if e is None or e.status not in ("InProgress", "Stopping"):
        state = "is not there" if e is None else f"has the status {e.status}"
        raise AwsError(
            "PipelineExecutionNotStoppableException",
            f"Unable to stop the pipeline execution {pipeline_execution_id} of {pipeline_name}: the execution {state}.",
        )
    if e.status == "Stopping" and not abandon:
        raise AwsError(
            "DuplicatedStopRequestException",
            "The pipeline execution is already in a Stopping state. If you already chose to stop and wait, you cannot make that request"
            " again. You can choose to stop and abandon now, but be aware that this option can lead to failed tasks or out of sequence tasks.",
        )
    flow.stop(flow.execution(e.id), abandon, reason)
    flow.save()
    return {"pipelineExecutionId": e.id}


@reads(
    "codepipeline",
    "GetPipelineExecution",
    authorize=on("GetPipelineExecution", "pipeline_name"),
    acts="pipelineName pipelineExecutionId",
)
def get_pipeline_execution(ctx: Context, pipeline_name: str, pipeline_execution_id: str) -> Reply:
    the_pipeline(ctx, pipeline_name)
    return {"pipelineExecution": execution(the_execution(ctx, pipeline_name, pipeline_execution_id))}


@reads("codepipeline", "GetPipelineState", authorize=on("GetPipelineState", "name"), acts="name")
def get_pipeline_state(ctx: Context, name: str) -> Reply:
    pipeline = the_pipeline(ctx, name)
    board = ctx.tx.get(Board, name) or Board(pipeline=name)
    stateless = pipeline.mode == "PARALLEL"
    return {
        "pipelineName": name,
        "pipelineVersion": pipeline.version,
        "stageStates": [
            stage_state(ctx, stage, board.stages.get(stage["name"], Slot()), stateless=stateless)
            for stage in pipeline.declaration["stages"]
        ],
        "created": pipeline.created,
        "updated": pipeline.updated,
    }


@reads(
    "codepipeline",
    "ListPipelineExecutions",
    authorize=on("ListPipelineExecutions", "pipeline_name"),
    acts="pipelineName maxResults nextToken filter.succeededInStage.stageName",
    cost="scan",
)
def list_pipeline_executions(
    ctx: Context,
    pipeline_name: str,
    max_results: int = 100,
    filter: dict[str, Any] | None = None,  # noqa: A002 - the member's name
    next_token: str | None = None,
) -> Reply:
    the_pipeline(ctx, pipeline_name)
    stage = (filter or {}).get("succeededInStage", {}).get("stageName")
    found: list[Execution] = []
    before = key_of(next_token)
    while len(found) <= max_results:
        batch = ctx.tx.scan_back(Execution, prefix=f"{pipeline_name}/", before=before, limit=max_results + 1)
        found += [e for e in batch if stage is None or (stage in e.stages and e.stages[stage].status == "Succeeded")]
        if len(batch) <= max_results:
            break
        before = batch[-1].key()
    reply: Reply = {"pipelineExecutionSummaries": [execution_summary(e) for e in found[:max_results]]}
    if len(found) > max_results:
        reply["nextToken"] = token_after(found[max_results - 1].key())
    return reply


@reads(
    "codepipeline",
    "ListActionExecutions",
    authorize=on("ListActionExecutions", "pipeline_name"),
    acts="pipelineName maxResults nextToken filter.pipelineExecutionId"
    " filter.latestInPipelineExecution.pipelineExecutionId filter.latestInPipelineExecution.startTimeRange",
    cost="scan",
)
def list_action_executions(
    ctx: Context,
    pipeline_name: str,
    filter: dict[str, Any] | None = None,  # noqa: A002 - the member's name
    max_results: int = 100,
    next_token: str | None = None,
) -> Reply:
    the_pipeline(ctx, pipeline_name)
    latest = (filter or {}).get("latestInPipelineExecution")
    wanted = latest["pipelineExecutionId"] if latest else (filter or {}).get("pipelineExecutionId")
    before = key_of(next_token)
    if wanted is None:
        found = ctx.tx.scan_back(ActionExecution, prefix=f"{pipeline_name}/", before=before, limit=max_results + 1)
    else:
        e = the_execution(ctx, pipeline_name, wanted)
        found = [a for a in reversed(ctx.tx.find(ActionExecution, "execution", e.id)) if before is None or a.key() < before]
        if latest and latest["startTimeRange"] == "Latest":
            current = {mark.id for run in e.stages.values() for mark in run.actions.values()}
            found = [a for a in found if a.id in current]
    reply: Reply = {"actionExecutionDetails": [action_detail(ctx.scope.region, a) for a in found[:max_results]]}
    if len(found) > max_results:
        reply["nextToken"] = token_after(found[max_results - 1].key())
    return reply

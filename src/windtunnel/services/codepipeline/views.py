"""Records as the API shows them. Pure but for reading the action executions that a board names."""

from __future__ import annotations

from typing import Any

from windtunnel.kernel.context import Context
from windtunnel.services.codepipeline.model import ActionExecution, ActionFace, Execution, Pipeline, Slot, Transition


def _kept(members: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value not in ("", None)}


def summary_of_pipeline(pipeline: Pipeline) -> dict[str, Any]:
    declaration = pipeline.declaration
    return {
        "name": pipeline.name,
        "version": pipeline.version,
        "pipelineType": declaration["pipelineType"],
        "executionMode": declaration["executionMode"],
        "created": pipeline.created,
        "updated": pipeline.updated,
    }


def _trigger(e: Execution) -> dict[str, str]:
    return {"triggerType": e.trigger.type, "triggerDetail": e.trigger.detail}


def execution(e: Execution) -> dict[str, Any]:
    """The PipelineExecution shape."""
    revisions = [
        _kept(
            {
                "name": r.artifact,
                "revisionId": r.revision.id,
                "revisionChangeIdentifier": r.revision.change[:100],
                "revisionSummary": r.revision.summary,
                "created": r.revision.created,
                "revisionUrl": r.revision.url,
            }
        )
        for r in e.revisions
    ]
    shown = {
        "pipelineName": e.pipeline,
        "pipelineVersion": e.version,
        "pipelineExecutionId": e.id,
        "status": e.status,
        "statusSummary": e.summary,
        "artifactRevisions": revisions,
        "trigger": _trigger(e),
        "executionMode": e.mode,
        "executionType": "STANDARD",
    }
    if e.variables:
        shown["variables"] = [{"name": name, "resolvedValue": value} for name, value in e.variables.items()]
    return _kept(shown)


def execution_summary(e: Execution) -> dict[str, Any]:
    """The PipelineExecutionSummary shape."""
    revisions = [
        _kept(
            {
                "actionName": r.action,
                "revisionId": r.revision.id,
                "revisionSummary": r.revision.summary,
                "revisionUrl": r.revision.url,
            }
        )
        for r in e.revisions
    ]
    shown = {
        "pipelineExecutionId": e.id,
        "status": e.status,
        "statusSummary": e.summary,
        "startTime": e.started,
        "lastUpdateTime": e.updated,
        "sourceRevisions": revisions,
        "trigger": _trigger(e),
        "stopTrigger": {"reason": e.stop_reason} if e.stop_reason else None,
        "executionMode": e.mode,
        "executionType": "STANDARD",
    }
    return _kept(shown)


def stage_state(ctx: Context, stage: dict[str, Any], slot: Slot, *, stateless: bool) -> dict[str, Any]:
    """The StageState shape. stateless: a PARALLEL pipeline, whose executions each have a state of their own."""
    shown: dict[str, Any] = {"stageName": stage["name"]}
    waiting = [{"pipelineExecutionId": identity, "status": "InProgress", "type": "STANDARD"} for identity in slot.inbound]
    if waiting:
        shown["inboundExecution"] = waiting[-1]
        shown["inboundExecutions"] = waiting
    shown["inboundTransitionState"] = _transition(slot.inbound_door)
    shown["actionStates"] = [_action_state(ctx, action["name"], slot.actions.get(action["name"]), stateless) for action in stage["actions"]]
    if slot.latest and not stateless:
        shown["latestExecution"] = {"pipelineExecutionId": slot.latest, "status": slot.latest_status, "type": "STANDARD"}
    if slot.retries and not stateless:
        shown["retryStageMetadata"] = {"manualStageRetryAttempt": slot.retries, "latestRetryTrigger": "ManualStageRetry"}
    return shown


def _transition(door: Transition) -> dict[str, Any]:
    shown: dict[str, Any] = {"enabled": door.enabled}
    if door.by:
        shown |= {"lastChangedBy": door.by, "lastChangedAt": door.at}
    if not door.enabled:
        shown["disabledReason"] = door.reason
    return shown


def _action_state(ctx: Context, name: str, face: ActionFace | None, stateless: bool) -> dict[str, Any]:
    shown: dict[str, Any] = {"actionName": name}
    if face is None or stateless:
        return shown
    if face.revision is not None:
        revision = face.revision
        shown["currentRevision"] = {"revisionId": revision.id, "revisionChangeId": revision.change[:100], "created": revision.created}
        shown |= _kept({"revisionUrl": revision.url})
    shown |= _kept({"entityUrl": face.entity_url})
    latest = ctx.tx.get(ActionExecution, face.latest)
    if latest is not None:
        shown["latestExecution"] = _latest(latest)
    return shown


def _latest(a: ActionExecution) -> dict[str, Any]:
    shown = {
        "actionExecutionId": a.id,
        "status": a.status,
        "summary": a.summary,
        "lastStatusChange": a.updated,
        "token": a.token if a.status == "InProgress" and not a.verdict else "",
        "lastUpdatedBy": a.updated_by,
        "externalExecutionId": a.external,
        "externalExecutionUrl": a.external_url,
        "errorDetails": _error(a),
    }
    return _kept(shown)


def _error(a: ActionExecution) -> dict[str, str] | None:
    return {"code": a.error_code, "message": a.error_message} if a.error_code else None


def action_detail(region: str, a: ActionExecution) -> dict[str, Any]:
    """The ActionExecutionDetail shape."""
    declared = a.declared
    result = {
        "externalExecutionId": a.external,
        "externalExecutionSummary": a.summary,
        "externalExecutionUrl": a.external_url,
        "errorDetails": _error(a),
    }
    given = {
        "actionTypeId": declared["actionTypeId"],
        "configuration": declared["configuration"],
        "resolvedConfiguration": a.resolved,
        "roleArn": declared.get("roleArn"),
        "region": declared.get("region", region),
        "inputArtifacts": [artifact.described() for artifact in a.inputs],
        "namespace": declared.get("namespace"),
    }
    output = {
        "outputArtifacts": [artifact.described() for artifact in a.outputs],
        "executionResult": _kept(result),
        "outputVariables": a.variables,
    }
    shown = {
        "pipelineExecutionId": a.execution,
        "actionExecutionId": a.id,
        "pipelineVersion": a.version,
        "stageName": a.stage,
        "actionName": a.name,
        "startTime": a.started,
        "lastUpdateTime": a.updated,
        "updatedBy": a.updated_by,
        "status": a.status,
        "input": _kept(given),
        "output": output,
    }
    return _kept(shown)

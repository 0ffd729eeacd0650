"""What CodePipeline says on the event bus (user guide, "Monitoring CodePipeline events"): one function per detail type."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from windtunnel.kernel.context import Context
from windtunnel.services.codepipeline.model import ActionExecution, Execution, pipeline_arn

SOURCE = "aws.codepipeline"


def _instant(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _common(e: Execution, state: str) -> dict[str, Any]:
    return {
        "pipeline": e.pipeline,
        "execution-id": e.id,
        "start-time": _instant(e.started),
        "state": state,
        "version": e.version,
        "pipeline-execution-attempt": e.attempt,
    }


def pipeline_changed(ctx: Context, e: Execution, state: str) -> None:
    detail = _common(e, state)
    if state == "STARTED":
        detail["execution-trigger"] = {"trigger-type": e.trigger.type, "trigger-detail": e.trigger.detail}
    if state in ("STOPPING", "STOPPED") and e.stop_reason:
        detail["stop-execution-comments"] = e.stop_reason
    ctx.emit(SOURCE, "CodePipeline Pipeline Execution State Change", [pipeline_arn(ctx.scope, e.pipeline)], detail)


def stage_changed(ctx: Context, e: Execution, stage: str, state: str) -> None:
    detail = {**_common(e, state), "stage": stage}
    ctx.emit(SOURCE, "CodePipeline Stage Execution State Change", [pipeline_arn(ctx.scope, e.pipeline)], detail)


def action_changed(ctx: Context, e: Execution, action: ActionExecution, state: str) -> None:
    type_id = action.declared["actionTypeId"]
    detail = {
        **_common(e, state),
        "version": action.version,
        "stage": action.stage,
        "action": action.name,
        "action-execution-id": action.id,
        "region": action.declared.get("region", ctx.scope.region),
        "type": {key: type_id[key] for key in ("owner", "provider", "category", "version")},
        "input-artifacts": [artifact.described() for artifact in action.inputs],
        "output-artifacts": [artifact.described() for artifact in action.outputs],
    }
    if state != "STARTED":
        said = {
            "external-execution-url": action.external_url,
            "external-execution-summary": action.error_message or action.summary,
            "external-execution-id": action.external,
            "error-code": action.error_code,
        }
        detail["execution-result"] = {key: value for key, value in said.items() if value}
    ctx.emit(SOURCE, "CodePipeline Action Execution State Change", [pipeline_arn(ctx.scope, e.pipeline)], detail)

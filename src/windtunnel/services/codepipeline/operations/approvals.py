"""PutApprovalResult: a person's word on a waiting approval action."""

from __future__ import annotations

from windtunnel.kernel.context import Context, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import writes
from windtunnel.kernel.trail import trail
from windtunnel.services.codepipeline.authorize import on
from windtunnel.services.codepipeline.flow import action_signal
from windtunnel.services.codepipeline.operations.stages import stage_in


@writes(
    "codepipeline",
    "PutApprovalResult",
    authorize=on("PutApprovalResult", "pipeline_name", "stage_name", "action_name"),
    acts="pipelineName stageName actionName result.summary result.status token",
)
def put_approval_result(ctx: Context, pipeline_name: str, stage_name: str, action_name: str, result: dict[str, str], token: str) -> Reply:
    """The verdict is recorded here, once; the action's job takes it from the record."""
    flow = stage_in(ctx, pipeline_name, stage_name)
    declared = flow.declared_action(stage_name, action_name)
    if declared is None or declared["actionTypeId"]["category"] != "Approval":
        raise AwsError(
            "ActionNotFoundException",
            f"The stage '{stage_name}' of the pipeline '{pipeline_name}' does not have an approval action with name '{action_name}'",
        )
    action = flow.latest_action(stage_name, action_name)
    if action is None or not action.token or action.token != token:
        raise AwsError(
            "InvalidApprovalTokenException", f"The approval token is not the one of the waiting approval action '{action_name}'."
        )
    if action.status != "InProgress" or action.verdict:
        raise AwsError("ApprovalAlreadyCompletedException", f"The approval action '{action_name}' has already been approved or rejected.")
    action.verdict, action.summary, action.updated_by = result["status"], result["summary"], ctx.principal.arn
    action.updated = ctx.now
    ctx.tx.put(action)
    ctx.signal(action_signal(action.id), {"what": "verdict"})
    cause = flow.execution(action.execution).cause
    said = f": {action.summary}" if action.summary else ""
    text = f"{action_name} of stage {stage_name} was {action.verdict.lower()} by {ctx.principal.arn}{said}"
    trail(ctx.caused_by(cause), [action.execution, pipeline_name, action.id], text)
    return {"approvedAt": ctx.now}

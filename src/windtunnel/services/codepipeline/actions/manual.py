"""Approval/Manual: the pipeline waits for a person's PutApprovalResult, seven days by default, and tells a topic that it waits.

Invariant: the topic is told in the transaction in which the action begins to wait, so once.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from windtunnel.jobs import Run
from windtunnel.kernel.context import Context
from windtunnel.kernel.scope import Arn
from windtunnel.services.codepipeline.acting import call_as_role, outside_work_ended, running, waits_for_person
from windtunnel.services.codepipeline.catalog import DAY, Configuration, action_type
from windtunnel.services.codepipeline.model import Act, ActionFailed, Outcome

MAX_SUBJECT = 100


def check(configuration: Configuration) -> None:
    topic = configuration.get("NotificationArn")
    arn = Arn.parse(topic) if topic is not None else None
    if topic is not None and "#{" not in topic and (arn is None or arn.service != "sns"):
        raise ValueError(f"The NotificationArn {topic} is not the ARN of an SNS topic")


@action_type("Approval", "Manual", optional="NotificationArn CustomData ExternalEntityLink", timeout=7 * DAY, check=check)
def approval(run: Run, act: Act) -> Outcome:
    run.tx("ask", ask, act)
    outside_work_ended(run, act)
    verdict, summary = run.tx("verdict", given_verdict, act)
    if verdict == "Approved":
        return Outcome(summary=summary)
    if verdict == "Rejected":
        raise ActionFailed("JobFailed", summary or "The approval action was rejected.", summary)
    raise ActionFailed("JobFailed", f"The approval action was neither approved nor rejected within {act.timeout / 60:g} minutes.")


def given_verdict(ctx: Context, act: Act) -> tuple[str, str]:
    """What PutApprovalResult recorded: the truth also when the timeout came at the same moment."""
    action = running(ctx, act.key, act.id)
    return action.verdict, action.summary


def ask(ctx: Context, act: Act) -> None:
    """Begin to wait, and publish that to the action's topic, as the action's role."""
    waits_for_person(ctx, act)
    topic = act.configuration.get("NotificationArn")
    if not topic:
        return
    told = notice(ctx, act, running(ctx, act.key, act.id).token)
    subject = f"APPROVAL NEEDED: AWS CodePipeline {act.pipeline} for action {act.name}"[:MAX_SUBJECT]
    message = json.dumps({"default": json.dumps(told), "email": mail(told["approval"])})
    call_as_role(ctx, act, "SNS", "sns", "Publish", topic_arn=topic, subject=subject, message=message, message_structure="json")


def notice(ctx: Context, act: Act, token: str) -> dict[str, Any]:
    """User guide, "JSON data format for manual approval notifications in CodePipeline"."""
    console = f"https://console.aws.amazon.com/codepipeline/home?region={ctx.scope.region}#/view/{act.pipeline}"
    approval: dict[str, Any] = {
        "pipelineName": act.pipeline,
        "stageName": act.stage,
        "actionName": act.name,
        "token": token,
        "expires": datetime.fromtimestamp(ctx.now + act.timeout, UTC).strftime("%Y-%m-%dT%H:%MZ"),
        "externalEntityLink": act.configuration.get("ExternalEntityLink"),
        "approvalReviewLink": f"{console}/{act.stage}/{act.name}/approve/{token}",
        "customData": act.configuration.get("CustomData"),
    }
    return {"region": ctx.scope.region, "consoleLink": console, "approval": approval}


def mail(asked: dict[str, Any]) -> str:
    """The same for a person."""
    lines = [
        f"The pipeline {asked['pipelineName']} waits for an approval of the action {asked['actionName']} in its stage {asked['stageName']}"
        f" until {asked['expires']}.",
        "",
        *([f"Comments: {asked['customData']}"] if asked["customData"] else []),
        *([f"Content to review: {asked['externalEntityLink']}"] if asked["externalEntityLink"] else []),
        "To approve: aws codepipeline put-approval-result"
        f" --pipeline-name {asked['pipelineName']} --stage-name {asked['stageName']} --action-name {asked['actionName']}"
        f" --token {asked['token']} --result status=Approved,summary=...",
    ]
    return "\n".join(lines)

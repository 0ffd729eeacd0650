"""Approval/Manual: the pipeline waits for a person's PutApprovalResult, seven days by default."""

from __future__ import annotations

from windtunnel.jobs import Run
from windtunnel.kernel.context import Context
from windtunnel.services.codepipeline.acting import outside_work_ended, running, waits_for_person
from windtunnel.services.codepipeline.catalog import DAY, Configuration, NotRunHere, action_type
from windtunnel.services.codepipeline.model import Act, ActionFailed, Outcome


def check(configuration: Configuration) -> None:
    if "NotificationArn" in configuration:
        raise NotRunHere("the configuration NotificationArn (it needs SNS)")


@action_type("Approval", "Manual", optional="NotificationArn CustomData ExternalEntityLink", timeout=7 * DAY, check=check)
def approval(run: Run, act: Act) -> Outcome:
    run.tx("ask", waits_for_person, act)
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

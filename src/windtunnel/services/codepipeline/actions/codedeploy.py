"""Deploy/CodeDeploy: a deployment of the input artifact, a zip with an appspec.yml, to a deployment group."""

from __future__ import annotations

from windtunnel.jobs import Run
from windtunnel.kernel.context import Context, Event
from windtunnel.kernel.registry import listens
from windtunnel.services.codepipeline.acting import call_as_role, outside_work_ended, started, tell_action
from windtunnel.services.codepipeline.catalog import DAY, action_type
from windtunnel.services.codepipeline.model import Act, ActionFailed, Outcome

ENDED = frozenset({"SUCCESS", "FAILURE", "STOP"})


@action_type("Deploy", "CodeDeploy", inputs=(1, 1), required="ApplicationName DeploymentGroupName", timeout=5 * DAY)
def deploy(run: Run, act: Act) -> Outcome:
    deployment = run.tx("start", create_deployment, act)
    ended = outside_work_ended(run, act)
    if ended is None:
        raise ActionFailed("JobFailed", f"Deployment {deployment} did not end within {act.timeout / 60:g} minutes")
    if ended["state"] != "SUCCESS":
        word = "was stopped" if ended["state"] == "STOP" else "failed"
        raise ActionFailed("JobFailed", f"Deployment {deployment} {word}")
    return Outcome(summary="Deployment Succeeded")


def create_deployment(ctx: Context, act: Act) -> str:
    """CreateDeployment as the action's role; the deployment and the record of its id commit together."""
    artifact = act.inputs[0]
    reply = call_as_role(
        ctx,
        act,
        "CodeDeploy",
        "codedeploy",
        "CreateDeployment",
        application_name=act.configuration["ApplicationName"],
        deployment_group_name=act.configuration["DeploymentGroupName"],
        revision={"revisionType": "S3", "s3Location": {"bucket": artifact.bucket, "key": artifact.key, "bundleType": "zip"}},
    )
    deployment = reply["deploymentId"]
    url = f"https://console.aws.amazon.com/codedeploy/home?region={ctx.scope.region}#/deployments/{deployment}"
    return started(ctx, act, deployment, url)


@listens("aws.codedeploy", "CodeDeploy Deployment State-change Notification")
def deployment_changed(ctx: Context, event: Event) -> None:
    state = event.detail["state"]
    if state in ENDED:
        tell_action(ctx, event.detail["deploymentId"], {"state": state})

"""The events that CodeDeploy sends to EventBridge (user guide, "Monitoring deployments with Amazon CloudWatch Events"), and to a group's triggers.

Invariant: an event is emitted in the transaction that makes it true.
"""

from __future__ import annotations

from windtunnel.kernel.context import Context
from windtunnel.services.codedeploy import triggers
from windtunnel.services.codedeploy.lookups import application_arn, group_arn
from windtunnel.services.codedeploy.model.records import Deployment, Target

SOURCE = "aws.codedeploy"


def deployment_state(ctx: Context, deployment: Deployment, state: str) -> None:
    """state: START, SUCCESS, FAILURE, STOP or READY."""
    ctx.emit(SOURCE, "CodeDeploy Deployment State-change Notification", _resources(ctx, deployment), _detail(ctx, deployment, state))
    triggers.of_deployment(ctx, deployment, state)


def instance_state(ctx: Context, deployment: Deployment, target: Target, state: str) -> None:
    """state: START, SUCCESS, FAILURE or READY."""
    detail = {"instanceId": target.instance, **_detail(ctx, deployment, state)}
    resources = [*_resources(ctx, deployment), target.host]
    ctx.emit(SOURCE, "CodeDeploy Instance State-change Notification", resources, detail)
    triggers.of_instance(ctx, deployment, target, state)


def _resources(ctx: Context, deployment: Deployment) -> list[str]:
    return [application_arn(ctx, deployment.application), group_arn(ctx, deployment.application, deployment.group)]


def _detail(ctx: Context, deployment: Deployment, state: str) -> dict[str, str]:
    return {
        "region": ctx.scope.region,
        "deploymentId": deployment.id,
        "instanceGroupId": deployment.group_id,
        "deploymentGroup": deployment.group,
        "state": state,
        "application": deployment.application,
    }

"""Deployment targets, and the older deployment instances (CodeDeploy API reference, 2014-10-06)."""

from __future__ import annotations

from typing import Any

from windtunnel.kernel.context import Context, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import reads
from windtunnel.services.codedeploy.authorize import on_deployment
from windtunnel.services.codedeploy.conduct import targets_of
from windtunnel.services.codedeploy.lookups import batch, deployment_of, page
from windtunnel.services.codedeploy.model.records import ENDED, LifecycleEvent, Target

STATUSES = ("Pending", "InProgress", "Succeeded", "Failed", "Skipped", "Unknown", "Ready")
LABELS = ("Blue", "Green")


def started_targets(ctx: Context, deployment_id: str) -> list[Target]:
    deployment = deployment_of(ctx, deployment_id)
    if deployment.started is None and deployment.status not in ENDED:
        raise AwsError("DeploymentNotStartedException", f"The deployment {deployment_id} has not started.")
    return targets_of(ctx, deployment_id)


def _check(values: list[str], known: tuple[str, ...], code: str, what: str) -> None:
    for value in values:
        if value not in known:
            raise AwsError(code, f"The {what} {value} is not valid.")


def _with_status(targets: list[Target], statuses: list[str] | None, labels: list[str] | None) -> list[str]:
    """Instance ids. In place there is no blue and no green: an instance has no label."""
    return [t.instance for t in targets if (not statuses or t.status in statuses) and not labels]


@reads(
    "codedeploy",
    "ListDeploymentTargets",
    authorize=on_deployment("codedeploy:ListDeploymentTargets"),
    acts="deploymentId targetFilters{} nextToken",
    cost="scan",
)
def list_deployment_targets(
    ctx: Context, deployment_id: str, target_filters: dict[str, list[str]] | None = None, next_token: str | None = None
) -> Reply:
    filters = target_filters or {}
    _check(list(filters), ("TargetStatus", "ServerInstanceLabel"), "InvalidTargetFilterNameException", "target filter name")
    _check(filters.get("TargetStatus", []), STATUSES, "InvalidInstanceStatusException", "instance status")
    _check(filters.get("ServerInstanceLabel", []), LABELS, "InvalidInstanceTypeException", "instance type")
    targets = started_targets(ctx, deployment_id)
    names, more = page(_with_status(targets, filters.get("TargetStatus"), filters.get("ServerInstanceLabel")), next_token)
    return {"targetIds": names, **({"nextToken": more} if more else {})}


@reads(
    "codedeploy",
    "ListDeploymentInstances",
    authorize=on_deployment("codedeploy:ListDeploymentInstances"),
    acts="deploymentId instanceStatusFilter[] instanceTypeFilter[] nextToken",
    cost="scan",
)
def list_deployment_instances(
    ctx: Context,
    deployment_id: str,
    instance_status_filter: list[str] | None = None,
    instance_type_filter: list[str] | None = None,
    next_token: str | None = None,
) -> Reply:
    _check(instance_status_filter or [], STATUSES, "InvalidInstanceStatusException", "instance status")
    _check(instance_type_filter or [], LABELS, "InvalidInstanceTypeException", "instance type")
    targets = started_targets(ctx, deployment_id)
    names, more = page(_with_status(targets, instance_status_filter, instance_type_filter), next_token)
    return {"instancesList": names, **({"nextToken": more} if more else {})}


@reads(
    "codedeploy",
    "GetDeploymentTarget",
    authorize=on_deployment("codedeploy:GetDeploymentTarget"),
    acts="deploymentId targetId",
)
def get_deployment_target(ctx: Context, deployment_id: str, target_id: str) -> Reply:
    started_targets(ctx, deployment_id)
    return {"deploymentTarget": _as_target(_target(ctx, deployment_id, target_id, "DeploymentTargetDoesNotExistException"))}


@reads(
    "codedeploy",
    "BatchGetDeploymentTargets",
    authorize=on_deployment("codedeploy:BatchGetDeploymentTargets"),
    acts="deploymentId targetIds[]",
)
def batch_get_deployment_targets(ctx: Context, deployment_id: str, target_ids: list[str]) -> Reply:
    started_targets(ctx, deployment_id)
    if len(target_ids) > 25:
        said = "The maximum number of targets that can be associated with an Amazon ECS or AWS Lambda deployment was exceeded."
        raise AwsError("DeploymentTargetListSizeExceededException", said)
    found = [_target(ctx, deployment_id, name, "DeploymentTargetDoesNotExistException") for name in dict.fromkeys(target_ids)]
    return {"deploymentTargets": [_as_target(target) for target in found]}


@reads(
    "codedeploy",
    "GetDeploymentInstance",
    authorize=on_deployment("codedeploy:GetDeploymentInstance"),
    acts="deploymentId instanceId",
)
def get_deployment_instance(ctx: Context, deployment_id: str, instance_id: str) -> Reply:
    deployment_of(ctx, deployment_id)
    return {"instanceSummary": _as_instance(_target(ctx, deployment_id, instance_id, "InstanceDoesNotExistException"))}


@reads(
    "codedeploy",
    "BatchGetDeploymentInstances",
    authorize=on_deployment("codedeploy:BatchGetDeploymentInstances"),
    acts="deploymentId instanceIds[]",
)
def batch_get_deployment_instances(ctx: Context, deployment_id: str, instance_ids: list[str]) -> Reply:
    deployment_of(ctx, deployment_id)
    names = batch([_instance_id(name) for name in instance_ids], 25, "instances")
    found = [target for name in names if (target := ctx.tx.get(Target, f"{deployment_id}/{name}"))]
    missing = sorted(set(names) - {target.instance for target in found})
    said = f"The instances {', '.join(missing)} do not belong to the deployment {deployment_id}." if missing else ""
    return {"instancesSummary": [_as_instance(target) for target in found], "errorMessage": said}


def _instance_id(name: str) -> str:
    """An instance may be named by its id or by its ARN."""
    return name.rsplit("/", 1)[-1]


def _target(ctx: Context, deployment_id: str, name: str, code: str) -> Target:
    found = ctx.tx.get(Target, f"{deployment_id}/{_instance_id(name)}")
    if found is None:
        raise AwsError(code, f"The instance {name} does not belong to the deployment {deployment_id}")
    return found


def _as_target(target: Target) -> Reply:
    """The DeploymentTarget shape."""
    return {
        "deploymentTargetType": "InstanceTarget",
        "instanceTarget": {
            "deploymentId": target.deployment,
            "targetId": target.instance,
            "targetArn": target.host,
            "status": target.status,
            "lastUpdatedAt": target.updated,
            "lifecycleEvents": [_event(event) for event in target.events],
        },
    }


def _as_instance(target: Target) -> Reply:
    """The InstanceSummary shape; its instanceId is an ARN on AWS."""
    return {
        "deploymentId": target.deployment,
        "instanceId": target.host,
        "status": target.status,
        "lastUpdatedAt": target.updated,
        "lifecycleEvents": [_event(event) for event in target.events],
    }


def _event(event: LifecycleEvent) -> Reply:
    reply: dict[str, Any] = {"lifecycleEventName": event.name, "status": event.status}
    if event.error_code:
        reply["diagnostics"] = {
            "errorCode": event.error_code,
            "scriptName": event.script,
            "message": event.message,
            "logTail": event.log_tail,
        }
    if event.start is not None:
        reply["startTime"] = event.start
    if event.end is not None:
        reply["endTime"] = event.end
    return reply

"""Deployments (CodeDeploy API reference, 2014-10-06)."""

from __future__ import annotations

from typing import Any

from windtunnel.kernel.context import Context, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import reads, writes
from windtunnel.kernel.tags import by_stack
from windtunnel.services.codedeploy import conduct
from windtunnel.services.codedeploy.authorize import on_deployment, on_deployments, on_group
from windtunnel.services.codedeploy.lookups import (
    application_of,
    batch,
    check_deployment_id,
    config_of,
    deployment_of,
    group_of,
    page,
)
from windtunnel.services.codedeploy.model.records import ENDED, Deployment, Location
from windtunnel.services.codedeploy.model.revisions import checked
from windtunnel.services.codedeploy.operations.groups import IN_PLACE, ROLLBACK, checked_rollback
from windtunnel.services.codedeploy.operations.revisions import LOCATION

STATUSES = ("Created", "Queued", "InProgress", "Baking", "Succeeded", "Failed", "Stopped", "Ready")
STOPPED = "No more commands will be scheduled for execution in the deployment instances"
ALARMS_UNUSED = {
    "overrideAlarmConfiguration.enabled": False,
    "overrideAlarmConfiguration.ignorePollAlarmFailure": False,
    "overrideAlarmConfiguration.alarms": [],
}


@writes(
    "codedeploy",
    "CreateDeployment",
    authorize=on_group("codedeploy:CreateDeployment"),
    acts="applicationName deploymentGroupName deploymentConfigName ignoreApplicationStopFailures updateOutdatedInstancesOnly"
    f" fileExistsBehavior {ROLLBACK} {LOCATION}",
    descriptive="description",
    default_only=ALARMS_UNUSED,
)
def create_deployment(
    ctx: Context,
    application_name: str,
    deployment_group_name: str | None = None,
    revision: Location | None = None,
    deployment_config_name: str | None = None,
    description: str = "",
    ignore_application_stop_failures: bool = False,
    update_outdated_instances_only: bool = False,
    file_exists_behavior: str = "DISALLOW",
    auto_rollback_configuration: dict[str, Any] | None = None,
    **_: Any,
) -> Reply:
    application_of(ctx, application_name)
    if deployment_group_name is None:
        raise AwsError("DeploymentGroupNameRequiredException", "The deployment group name was not specified.")
    group = group_of(ctx, application_name, deployment_group_name)
    if revision is None:
        raise AwsError("RevisionRequiredException", "Revision is required.")
    if len(description) > 256:
        raise AwsError("DescriptionTooLongException", "The description of a deployment has at most 256 characters.")
    if file_exists_behavior not in ("DISALLOW", "OVERWRITE", "RETAIN"):
        raise AwsError("InvalidFileExistsBehaviorException", f"The file exists behavior {file_exists_behavior} is not valid.")
    rollback = group.auto_rollback
    if auto_rollback_configuration is not None:
        rollback = checked_rollback(auto_rollback_configuration, "CreateDeployment")
    deployment = conduct.create(
        ctx,
        group,
        config_of(ctx, deployment_config_name or group.config_name),
        checked(revision, "CreateDeployment"),
        creator=_creator(ctx),
        description=description,
        ignore_stop_failures=ignore_application_stop_failures,
        outdated_only=update_outdated_instances_only,
        file_exists=file_exists_behavior,
        auto_rollback=rollback,
    )
    return {"deploymentId": deployment.id}


def _creator(ctx: Context) -> str:
    """CodePipeline's deployments are a user's; CloudFormation's have a creator of their own."""
    return "CloudFormation" if by_stack(ctx) else "user"


@reads("codedeploy", "GetDeployment", authorize=on_deployment("codedeploy:GetDeployment"), acts="deploymentId")
def get_deployment(ctx: Context, deployment_id: str) -> Reply:
    return {"deploymentInfo": described(deployment_of(ctx, deployment_id))}


@reads("codedeploy", "BatchGetDeployments", authorize=on_deployments("codedeploy:BatchGetDeployments"), acts="deploymentIds[]")
def batch_get_deployments(ctx: Context, deployment_ids: list[str]) -> Reply:
    names = batch(deployment_ids, 25, "deployments")
    for name in names:
        check_deployment_id(name)
    return {"deploymentsInfo": [described(found) for name in names if (found := ctx.tx.get(Deployment, name))]}


@reads(
    "codedeploy",
    "ListDeployments",
    authorize=on_group("codedeploy:ListDeployments"),
    acts="applicationName deploymentGroupName includeOnlyStatuses[] createTimeRange.start createTimeRange.end nextToken",
    cost="scan",
)
def list_deployments(
    ctx: Context,
    application_name: str | None = None,
    deployment_group_name: str | None = None,
    include_only_statuses: list[str] | None = None,
    create_time_range: dict[str, float] | None = None,
    next_token: str | None = None,
) -> Reply:
    for status in include_only_statuses or []:
        if status not in STATUSES:
            raise AwsError("InvalidDeploymentStatusException", f"The deployment status {status} is not valid.")
    limits = create_time_range or {}
    start, end = limits.get("start", 0.0), limits.get("end", float("inf"))
    if start > end:
        raise AwsError("InvalidTimeRangeException", "The end time must be greater than or equal to the start time.")
    found = [d for d in _listed(ctx, application_name, deployment_group_name) if start <= d.created <= end]
    if include_only_statuses:
        found = [d for d in found if d.status in include_only_statuses]
    found.sort(key=lambda d: (-d.created, d.id))
    names, more = page([d.id for d in found], next_token)
    return {"deployments": names, **({"nextToken": more} if more else {})}


def _listed(ctx: Context, application: str | None, group: str | None) -> list[Deployment]:
    if application is not None and group is not None:
        return ctx.tx.find(Deployment, "group", group_of(ctx, application, group).id)
    if group is not None:
        raise AwsError("ApplicationNameRequiredException", "The application name must be specified with the deployment group name.")
    if application is not None:
        application_of(ctx, application)
        raise AwsError("DeploymentGroupNameRequiredException", "The deployment group name must be specified with the application name.")
    return ctx.tx.scan(Deployment)


@writes("codedeploy", "StopDeployment", authorize=on_deployment("codedeploy:StopDeployment"), acts="deploymentId autoRollbackEnabled")
def stop_deployment(ctx: Context, deployment_id: str, auto_rollback_enabled: bool | None = None) -> Reply:
    deployment = deployment_of(ctx, deployment_id)
    if deployment.status in ENDED:
        raise AwsError("DeploymentAlreadyCompletedException", f"The deployment {deployment_id} is already completed")
    stopped = conduct.stop(ctx, deployment, auto_rollback_enabled)
    return {"status": "Succeeded" if stopped else "Pending", "statusMessage": STOPPED}


def described(d: Deployment) -> Reply:
    """The DeploymentInfo shape."""
    reply: Reply = {
        "applicationName": d.application,
        "deploymentGroupName": d.group,
        "deploymentConfigName": d.config_name,
        "deploymentId": d.id,
        "revision": d.revision,
        "status": d.status,
        "createTime": d.created,
        "deploymentOverview": d.overview,
        "creator": d.creator,
        "ignoreApplicationStopFailures": d.ignore_stop_failures,
        "updateOutdatedInstancesOnly": d.outdated_only,
        "deploymentStyle": IN_PLACE,
        "instanceTerminationWaitTimeStarted": False,
        "fileExistsBehavior": d.file_exists,
        "deploymentStatusMessages": [],
        "computePlatform": "Server",
    }
    optional = {
        "previousRevision": d.previous_revision,
        "startTime": d.started,
        "completeTime": d.completed,
        "description": d.description or None,
        "autoRollbackConfiguration": d.auto_rollback,
        "errorInformation": {"code": d.error_code, "message": d.error_message} if d.error_code else None,
        "rollbackInfo": _rollback_info(d) or None,
    }
    return {**reply, **{member: value for member, value in optional.items() if value is not None}}


def _rollback_info(d: Deployment) -> Reply:
    found = {"rollbackDeploymentId": d.rollback_id, "rollbackTriggeringDeploymentId": d.rollback_of, "rollbackMessage": d.rollback_message}
    return {member: value for member, value in found.items() if value}

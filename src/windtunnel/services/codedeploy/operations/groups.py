"""Deployment groups (CodeDeploy API reference, 2014-10-06)."""

from __future__ import annotations

from typing import Any

from windtunnel.kernel.context import Context, Reply
from windtunnel.kernel.errors import AwsError, not_built
from windtunnel.kernel.registry import reads, writes
from windtunnel.services.codedeploy.authorize import (
    SERVICE,
    creating_group,
    on_application,
    on_group,
    on_groups,
    updating_group,
)
from windtunnel.services.codedeploy.conduct import forget_group
from windtunnel.services.codedeploy.lookups import (
    application_of,
    batch,
    check_application_name,
    check_group_name,
    config_of,
    group_of,
    page,
)
from windtunnel.services.codedeploy.model.configs import DEFAULT
from windtunnel.services.codedeploy.model.records import Deployment, Group
from windtunnel.services.codedeploy.model.tagfilters import MAX_LISTS, invalid
from windtunnel.services.codedeploy.operations.tags import checked_tags
from windtunnel.services.codedeploy.triggers import checked, shown

IN_PLACE = {"deploymentType": "IN_PLACE", "deploymentOption": "WITHOUT_TRAFFIC_CONTROL"}
ROLLBACK_EVENTS = ("DEPLOYMENT_FAILURE", "DEPLOYMENT_STOP_ON_ALARM", "DEPLOYMENT_STOP_ON_REQUEST")
ROLLBACK = "autoRollbackConfiguration.enabled autoRollbackConfiguration.events[]"
MEMBERS = (
    "deploymentConfigName serviceRoleArn deploymentStyle.deploymentType deploymentStyle.deploymentOption"
    " ec2TagFilters[].Key ec2TagFilters[].Value ec2TagFilters[].Type"
    " ec2TagSet.ec2TagSetList[][].Key ec2TagSet.ec2TagSetList[][].Value ec2TagSet.ec2TagSetList[][].Type " + ROLLBACK + " "
    "triggerConfigurations[].triggerName triggerConfigurations[].triggerTargetArn triggerConfigurations[].triggerEvents[]"
)
UNUSED: dict[str, Any] = {
    "outdatedInstancesStrategy": "UPDATE",
    "terminationHookEnabled": False,
    "alarmConfiguration.enabled": False,
    "alarmConfiguration.ignorePollAlarmFailure": False,
    "alarmConfiguration.alarms": [],
    "autoScalingGroups": [],
    "onPremisesInstanceTagFilters": [],
}
"""What clients send to say that they do not use it."""


@writes(
    "codedeploy",
    "CreateDeploymentGroup",
    authorize=creating_group,
    acts=f"applicationName deploymentGroupName tags[].Key tags[].Value {MEMBERS}",
    default_only=UNUSED,
)
def create_deployment_group(
    ctx: Context,
    application_name: str,
    deployment_group_name: str,
    service_role_arn: str,
    deployment_config_name: str | None = None,
    tags: list[dict[str, str]] | None = None,
    **settings: Any,
) -> Reply:
    application_of(ctx, application_name)
    check_group_name(deployment_group_name)
    _refuse_taken(ctx, application_name, deployment_group_name)
    group = Group(
        application=application_name,
        name=deployment_group_name,
        id=ctx.ids.uuid(),
        config_name=config_of(ctx, deployment_config_name or DEFAULT).name,
        role_arn=checked_role(ctx, service_role_arn),
        tags=checked_tags(tags),
    )
    _apply(group, "CreateDeploymentGroup", **settings)
    ctx.tx.insert(group)
    return {"deploymentGroupId": group.id}


def _refuse_taken(ctx: Context, application: str, name: str) -> None:
    if ctx.tx.get(Group, f"{application}/{name}") is not None:
        said = f"Deployment group name '{name}' already exists for application '{application}'"
        raise AwsError("DeploymentGroupAlreadyExistsException", said)


def checked_role(ctx: Context, role_arn: str) -> str:
    """The service role, if CodeDeploy can assume it."""
    if not role_arn:
        raise AwsError("RoleRequiredException", "The role ID was not specified.")
    if ":role/" not in role_arn or not role_arn.startswith("arn:"):
        raise AwsError("InvalidRoleException", f"The service role ARN is not in a valid format: {role_arn}")
    try:
        ctx.assuming(role_arn, "codedeploy", SERVICE)
    except AwsError as error:
        said = f"AWS CodeDeploy does not have the permissions required to assume the role {role_arn}."
        raise AwsError("InvalidRoleException", said) from error
    return role_arn


def _apply(
    group: Group,
    operation: str,
    ec2_tag_filters: list[dict[str, str]] | None = None,
    ec2_tag_set: dict[str, Any] | None = None,
    auto_rollback_configuration: dict[str, Any] | None = None,
    trigger_configurations: list[dict[str, Any]] | None = None,
    deployment_style: dict[str, str] | None = None,
    **_: Any,
) -> None:
    """Take over the settings that were given; the others stay."""
    for member, wanted in (deployment_style or {}).items():
        if wanted != IN_PLACE.get(member):
            raise not_built("codedeploy", operation, f"deploymentStyle.{member} {wanted}")
    if auto_rollback_configuration is not None:
        group.auto_rollback = checked_rollback(auto_rollback_configuration, operation)
    if trigger_configurations is not None:
        group.triggers = checked(trigger_configurations)
    if ec2_tag_filters and (ec2_tag_set or {}).get("ec2TagSetList"):
        said = "A deployment group can use either ec2TagFilters or ec2TagSet, but not both."
        raise AwsError("InvalidEC2TagCombinationException", said)
    if ec2_tag_filters is not None:
        group.filters, group.tag_set = _checked_filters(ec2_tag_filters), None
    if ec2_tag_set is not None:
        lists = ec2_tag_set.get("ec2TagSetList") or []
        if len(lists) > MAX_LISTS:
            raise AwsError("TagSetListLimitExceededException", f"The number of tag groups in a tag set exceeds {MAX_LISTS}.")
        group.filters, group.tag_set = [], [_checked_filters(filters) for filters in lists] or None


def _checked_filters(filters: list[dict[str, str]]) -> list[dict[str, str]]:
    wrong = invalid(filters)
    if wrong:
        raise AwsError("InvalidEC2TagException", wrong)
    return filters


def checked_rollback(found: dict[str, Any], operation: str) -> dict[str, Any]:
    """An AutoRollbackConfiguration with both its members."""
    events = found.get("events") or []
    enabled = bool(found.get("enabled"))
    if any(event not in ROLLBACK_EVENTS for event in events):
        raise AwsError("InvalidAutoRollbackConfigException", "The automatic rollback configuration has an event that is not valid.")
    if enabled and not events:
        said = "The automatic rollback configuration must name at least one event when it is enabled."
        raise AwsError("InvalidAutoRollbackConfigException", said)
    if enabled and "DEPLOYMENT_STOP_ON_ALARM" in events:
        raise not_built("codedeploy", operation, "autoRollbackConfiguration.events DEPLOYMENT_STOP_ON_ALARM")
    return {"enabled": enabled, "events": list(events)}


@reads(
    "codedeploy",
    "GetDeploymentGroup",
    authorize=on_group("codedeploy:GetDeploymentGroup"),
    acts="applicationName deploymentGroupName",
)
def get_deployment_group(ctx: Context, application_name: str, deployment_group_name: str) -> Reply:
    return {"deploymentGroupInfo": described(ctx, group_of(ctx, application_name, deployment_group_name))}


@reads(
    "codedeploy",
    "BatchGetDeploymentGroups",
    authorize=on_groups("codedeploy:BatchGetDeploymentGroups"),
    acts="applicationName deploymentGroupNames[]",
)
def batch_get_deployment_groups(ctx: Context, application_name: str, deployment_group_names: list[str]) -> Reply:
    application_of(ctx, application_name)
    names = batch(deployment_group_names, 100, "deployment groups")
    found = [group for name in names if (group := ctx.tx.get(Group, f"{application_name}/{name}"))]
    missing = sorted(set(names) - {group.name for group in found})
    said = f"No Deployment Group found for name: {', '.join(missing)}" if missing else ""
    return {"deploymentGroupsInfo": [described(ctx, group) for group in found], "errorMessage": said}


@reads(
    "codedeploy",
    "ListDeploymentGroups",
    authorize=on_application("codedeploy:ListDeploymentGroups"),
    acts="applicationName nextToken",
    cost="scan",
)
def list_deployment_groups(ctx: Context, application_name: str, next_token: str | None = None) -> Reply:
    application_of(ctx, application_name)
    names, more = page([group.name for group in ctx.tx.scan(Group, prefix=f"{application_name}/")], next_token)
    return {"applicationName": application_name, "deploymentGroups": names, **({"nextToken": more} if more else {})}


@writes(
    "codedeploy",
    "UpdateDeploymentGroup",
    authorize=updating_group,
    acts=f"applicationName currentDeploymentGroupName newDeploymentGroupName {MEMBERS}",
    default_only=UNUSED,
)
def update_deployment_group(
    ctx: Context,
    application_name: str,
    current_deployment_group_name: str,
    new_deployment_group_name: str | None = None,
    service_role_arn: str | None = None,
    deployment_config_name: str | None = None,
    **settings: Any,
) -> Reply:
    group = group_of(ctx, application_name, current_deployment_group_name)
    if deployment_config_name is not None:
        group.config_name = config_of(ctx, deployment_config_name).name
    if service_role_arn is not None:
        group.role_arn = checked_role(ctx, service_role_arn)
    _apply(group, "UpdateDeploymentGroup", **settings)
    if new_deployment_group_name is not None and new_deployment_group_name != group.name:
        check_group_name(new_deployment_group_name)
        _refuse_taken(ctx, application_name, new_deployment_group_name)
        _rename(ctx, group, new_deployment_group_name)
    ctx.tx.put(group)
    return {"hooksNotCleanedUp": []}


def _rename(ctx: Context, group: Group, name: str) -> None:
    ctx.tx.delete(Group, group.key())
    group.name = name
    for deployment in ctx.tx.find(Deployment, "group", group.id):
        deployment.group = name
        ctx.tx.put(deployment)


@writes(
    "codedeploy",
    "DeleteDeploymentGroup",
    authorize=on_group("codedeploy:DeleteDeploymentGroup"),
    acts="applicationName deploymentGroupName",
)
def delete_deployment_group(ctx: Context, application_name: str, deployment_group_name: str) -> Reply:
    check_application_name(application_name)
    check_group_name(deployment_group_name)
    group = ctx.tx.get(Group, f"{application_name}/{deployment_group_name}")
    if group is not None:
        forget_group(ctx, group)
    return {"hooksNotCleanedUp": []}


def described(ctx: Context, group: Group) -> Reply:
    """The DeploymentGroupInfo shape."""
    reply: Reply = {
        "applicationName": group.application,
        "deploymentGroupId": group.id,
        "deploymentGroupName": group.name,
        "deploymentConfigName": group.config_name,
        "ec2TagFilters": group.filters,
        "onPremisesInstanceTagFilters": [],
        "autoScalingGroups": [],
        "serviceRoleArn": group.role_arn,
        "triggerConfigurations": shown(group.triggers),
        "deploymentStyle": IN_PLACE,
        "outdatedInstancesStrategy": "UPDATE",
        "computePlatform": "Server",
        "terminationHookEnabled": False,
    }
    if group.tag_set is not None:
        reply["ec2TagSet"] = {"ec2TagSetList": group.tag_set}
    if group.target_revision is not None:
        reply["targetRevision"] = group.target_revision
    if group.auto_rollback is not None:
        reply["autoRollbackConfiguration"] = group.auto_rollback
    for member, deployment_id in (("lastAttemptedDeployment", group.last_attempted), ("lastSuccessfulDeployment", group.last_successful)):
        found = ctx.tx.get(Deployment, deployment_id) if deployment_id else None
        if found is not None:
            reply[member] = _last(found)
    return reply


def _last(deployment: Deployment) -> Reply:
    """The LastDeploymentInfo shape."""
    reply: Reply = {"deploymentId": deployment.id, "status": deployment.status, "createTime": deployment.created}
    if deployment.completed is not None:
        reply["endTime"] = deployment.completed
    return reply

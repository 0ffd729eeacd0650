"""How CodeDeploy words bad input: a code of its own for each member that is missing or malformed."""

from __future__ import annotations

from windtunnel.kernel.registry import MemberErrors, ServiceRules, service_rules

service_rules(
    "codedeploy",
    ServiceRules(
        validation_code="ValidationException",
        members={
            "applicationName": MemberErrors("ApplicationNameRequiredException", "InvalidApplicationNameException"),
            "applicationNames": MemberErrors("ApplicationNameRequiredException", "InvalidApplicationNameException"),
            "newApplicationName": MemberErrors("ApplicationNameRequiredException", "InvalidApplicationNameException"),
            "deploymentGroupName": MemberErrors("DeploymentGroupNameRequiredException", "InvalidDeploymentGroupNameException"),
            "deploymentGroupNames": MemberErrors("DeploymentGroupNameRequiredException", "InvalidDeploymentGroupNameException"),
            "currentDeploymentGroupName": MemberErrors("DeploymentGroupNameRequiredException", "InvalidDeploymentGroupNameException"),
            "newDeploymentGroupName": MemberErrors("DeploymentGroupNameRequiredException", "InvalidDeploymentGroupNameException"),
            "deploymentConfigName": MemberErrors("DeploymentConfigNameRequiredException", "InvalidDeploymentConfigNameException"),
            "minimumHealthyHosts": MemberErrors("InvalidMinimumHealthyHostValueException", "InvalidMinimumHealthyHostValueException"),
            "serviceRoleArn": MemberErrors("RoleRequiredException", "InvalidRoleException"),
            "deploymentId": MemberErrors("DeploymentIdRequiredException", "InvalidDeploymentIdException"),
            "deploymentIds": MemberErrors("DeploymentIdRequiredException", "InvalidDeploymentIdException"),
            "instanceId": MemberErrors("InstanceIdRequiredException", "InvalidInstanceNameException"),
            "instanceIds": MemberErrors("InstanceIdRequiredException", "InvalidInstanceNameException"),
            "targetId": MemberErrors("DeploymentTargetIdRequiredException", "InvalidDeploymentTargetIdException"),
            "targetIds": MemberErrors("DeploymentTargetIdRequiredException", "InvalidDeploymentTargetIdException"),
            "revision": MemberErrors("RevisionRequiredException", "InvalidRevisionException"),
            "revisions": MemberErrors("RevisionRequiredException", "InvalidRevisionException"),
            "ResourceArn": MemberErrors("ResourceArnRequiredException", "InvalidArnException"),
            "Tags": MemberErrors("TagRequiredException", "InvalidTagsToAddException"),
            "tags": MemberErrors("TagRequiredException", "InvalidTagsToAddException"),
            "TagKeys": MemberErrors("TagRequiredException", "InvalidTagsToAddException"),
            "computePlatform": MemberErrors("InvalidComputePlatformException", "InvalidComputePlatformException"),
            "ec2TagFilters": MemberErrors("InvalidEC2TagException", "InvalidEC2TagException"),
            "ec2TagSet": MemberErrors("InvalidEC2TagException", "InvalidEC2TagException"),
            "deploymentStyle": MemberErrors("InvalidDeploymentStyleException", "InvalidDeploymentStyleException"),
            "autoRollbackConfiguration": MemberErrors("InvalidAutoRollbackConfigException", "InvalidAutoRollbackConfigException"),
            "fileExistsBehavior": MemberErrors("InvalidFileExistsBehaviorException", "InvalidFileExistsBehaviorException"),
            "includeOnlyStatuses": MemberErrors("InvalidDeploymentStatusException", "InvalidDeploymentStatusException"),
            "instanceStatusFilter": MemberErrors("InvalidInstanceStatusException", "InvalidInstanceStatusException"),
            "instanceTypeFilter": MemberErrors("InvalidInstanceTypeException", "InvalidInstanceTypeException"),
            "targetFilters": MemberErrors("InvalidTargetFilterNameException", "InvalidTargetFilterNameException"),
            "sortBy": MemberErrors("InvalidSortByException", "InvalidSortByException"),
            "sortOrder": MemberErrors("InvalidSortOrderException", "InvalidSortOrderException"),
            "deployed": MemberErrors("InvalidDeployedStateFilterException", "InvalidDeployedStateFilterException"),
        },
    ),
)
service_rules("codedeploy-commands", ServiceRules(validation_code="ClientException"))

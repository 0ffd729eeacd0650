"""The resource types of the delivery tools (CloudTrail, CodeCommit, CodeBuild, CodePipeline, CodeDeploy): (type, properties, what an update makes of them)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from harness import ACCOUNT, REGION, InProcessCloud

ROLE = f"arn:aws:iam::{ACCOUNT}:role/Deliverer"
OTHER_ROLE = f"arn:aws:iam::{ACCOUNT}:role/Other"
NEWS = f"arn:aws:sns:{REGION}:{ACCOUNT}:news"
GROUP = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:kept:*"
TAGS, OTHER_TAGS = [{"Key": "team", "Value": "blue"}, {"Key": "old", "Value": "x"}], [{"Key": "team", "Value": "red"}]
SERVICES = ("events", "cloudtrail", "codebuild", "codepipeline", "codedeploy")


def world(cloud: InProcessCloud) -> None:
    trust = {"Effect": "Allow", "Principal": {"Service": [f"{name}.amazonaws.com" for name in SERVICES]}, "Action": "sts:AssumeRole"}
    everything = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]})
    for role in ("Deliverer", "Other"):
        document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
        cloud.api("iam", "CreateRole", role_name=role, assume_role_policy_document=document)
        cloud.api("iam", "PutRolePolicy", role_name=role, policy_name="all", policy_document=everything)
    for bucket in ("records", "artifacts", "artifacts-west"):
        cloud.api("s3", "CreateBucket", bucket=bucket)
    cloud.api("s3", "PutBucketVersioning", bucket="artifacts", versioning_configuration={"Status": "Enabled"})
    writing = {"Effect": "Allow", "Principal": {"Service": "cloudtrail.amazonaws.com"}, "Action": "s3:*"}
    statements = [{**writing, "Resource": ["arn:aws:s3:::records", "arn:aws:s3:::records/*"]}]
    cloud.api("s3", "PutBucketPolicy", bucket="records", policy=json.dumps({"Version": "2012-10-17", "Statement": statements}))
    cloud.api("logs", "CreateLogGroup", log_group_name="kept")
    cloud.api("codedeploy", "CreateApplication", application_name="web")


def selector(kind: str) -> dict[str, Any]:
    resources = [{"Type": "AWS::S3::Object", "Values": ["arn:aws:s3:::artifacts/"]}]
    return {"ReadWriteType": kind, "IncludeManagementEvents": True, "DataResources": resources}


def action(name: str, category: str, provider: str, **more: Any) -> dict[str, Any]:
    kind = {"Category": category, "Owner": "AWS", "Provider": provider, "Version": "1"}
    return {"Name": name, "ActionTypeId": kind, "RunOrder": 1, **more}


def stages(key: str, *, extra: bool = False) -> list[dict[str, Any]]:
    configuration = {"S3Bucket": "artifacts", "S3ObjectKey": key, "PollForSourceChanges": False}
    source = action("Get", "Source", "S3", Configuration=configuration, OutputArtifacts=[{"Name": "App"}])
    found = [{"Name": "Source", "Actions": [source]}, {"Name": "Hold", "Actions": [action("Ask", "Approval", "Manual")]}]
    return [*found, {"Name": "More", "Actions": [action("Again", "Approval", "Manual")]}] if extra else found


def store(bucket: str = "artifacts") -> dict[str, str]:
    return {"Type": "S3", "Location": bucket}


FILTER = {"Key": "App", "Value": "web", "Type": "KEY_AND_VALUE"}
LINUX = {"Type": "LINUX_CONTAINER", "Image": "aws/codebuild/standard:7.0", "ComputeType": "BUILD_GENERAL1_SMALL"}
BUILDSPEC = "version: 0.2\nphases: {build: {commands: [echo]}}\n"

CASES: list[Any] = [
    pytest.param(
        "AWS::CloudTrail::Trail",
        {"S3BucketName": "records", "IsLogging": False},
        {"S3BucketName": "records", "IsLogging": True},
        id="trail",
    ),
    pytest.param(
        "AWS::CloudTrail::Trail",
        {
            "TrailName": "whole",
            "S3BucketName": "records",
            "S3KeyPrefix": "all",
            "IsLogging": True,
            "IsMultiRegionTrail": True,
            "IncludeGlobalServiceEvents": True,
            "EnableLogFileValidation": True,
            "CloudWatchLogsLogGroupArn": GROUP,
            "CloudWatchLogsRoleArn": ROLE,
            "EventSelectors": [selector("All")],
            "Tags": TAGS,
        },
        {
            "TrailName": "whole",
            "S3BucketName": "records",
            "IsLogging": False,
            "AdvancedEventSelectors": [{"Name": "management", "FieldSelectors": [{"Field": "eventCategory", "Equals": ["Management"]}]}],
            "Tags": OTHER_TAGS,
        },
        id="trail, whole",
    ),
    pytest.param(
        "AWS::CodeCommit::Repository",
        {"RepositoryName": "first", "RepositoryDescription": "d", "Tags": TAGS},
        {"RepositoryName": "second", "Tags": OTHER_TAGS},
        id="repository, renamed",
    ),
    pytest.param(
        "AWS::CodeCommit::Repository",
        {"RepositoryName": "told", "Triggers": [{"Name": "t", "DestinationArn": NEWS, "Events": ["all"]}]},
        {
            "RepositoryName": "told",
            "Triggers": [
                {"Name": "t", "DestinationArn": NEWS, "Events": ["createReference"], "Branches": ["main"], "CustomData": "x"},
                {"Name": "u", "DestinationArn": NEWS, "Events": ["deleteReference", "updateReference"]},
            ],
        },
        id="repository, triggers",
    ),
    pytest.param(
        "AWS::CodeBuild::Project",
        {
            "ServiceRole": ROLE,
            "Source": {"Type": "NO_SOURCE", "BuildSpec": BUILDSPEC},
            "Artifacts": {"Type": "NO_ARTIFACTS"},
            "Environment": LINUX,
        },
        {
            "ServiceRole": OTHER_ROLE,
            "Source": {"Type": "S3", "Location": "artifacts/src.zip"},
            "Artifacts": {"Type": "NO_ARTIFACTS"},
            "Environment": LINUX,
        },
        id="project",
    ),
    pytest.param(
        "AWS::CodeBuild::Project",
        {
            "Name": "whole",
            "Description": "d",
            "ServiceRole": ROLE,
            "Source": {"Type": "NO_SOURCE", "BuildSpec": BUILDSPEC},
            "SecondarySources": [{"Type": "S3", "Location": "artifacts/more.zip", "SourceIdentifier": "more"}],
            "SecondarySourceVersions": [{"SourceIdentifier": "more", "SourceVersion": "v"}],
            "Artifacts": {"Type": "S3", "Location": "artifacts", "Name": "out", "Packaging": "ZIP", "EncryptionDisabled": True},
            "SecondaryArtifacts": [{"Type": "S3", "Location": "artifacts", "Name": "n", "ArtifactIdentifier": "side"}],
            "Environment": {
                **LINUX,
                "PrivilegedMode": False,
                "EnvironmentVariables": [
                    {"Name": "A", "Value": "1", "Type": "PLAINTEXT"},
                    {"Name": "B", "Value": "/p", "Type": "PARAMETER_STORE"},
                ],
            },
            "Cache": {"Type": "LOCAL", "Modes": ["LOCAL_SOURCE_CACHE"]},
            "TimeoutInMinutes": 10,
            "QueuedTimeoutInMinutes": 20,
            "EncryptionKey": f"arn:aws:kms:{REGION}:{ACCOUNT}:alias/aws/s3",
            "LogsConfig": {"CloudWatchLogs": {"Status": "ENABLED", "GroupName": "kept"}},
            "BadgeEnabled": False,
            "ConcurrentBuildLimit": 2,
            "Triggers": {"Webhook": False},
            "Tags": TAGS,
        },
        {
            "Name": "whole",
            "ServiceRole": ROLE,
            "Source": {"Type": "NO_SOURCE", "BuildSpec": BUILDSPEC},
            "Artifacts": {"Type": "NO_ARTIFACTS"},
            "Environment": LINUX,
            "EncryptionKey": f"arn:aws:kms:{REGION}:{ACCOUNT}:alias/aws/s3",
            "Tags": OTHER_TAGS,
        },
        id="project, whole",
    ),
    pytest.param(
        "AWS::CodePipeline::Pipeline",
        {"RoleArn": ROLE, "ArtifactStore": store(), "Stages": stages("a.zip")},
        {"RoleArn": ROLE, "ArtifactStore": store(), "Stages": stages("b.zip", extra=True)},
        id="pipeline",
    ),
    pytest.param(
        "AWS::CodePipeline::Pipeline",
        {
            "Name": "whole",
            "RoleArn": ROLE,
            "ArtifactStores": [{"Region": REGION, "ArtifactStore": store()}],
            "Stages": stages("a.zip", extra=True),
            "PipelineType": "V2",
            "ExecutionMode": "QUEUED",
            "Variables": [{"Name": "COLOR", "DefaultValue": "red", "Description": "of it"}],
            "DisableInboundStageTransitions": [{"StageName": "Hold", "Reason": "freeze"}, {"StageName": "More", "Reason": "freeze"}],
            "RestartExecutionOnUpdate": False,
            "Tags": TAGS,
        },
        {
            "Name": "whole",
            "RoleArn": OTHER_ROLE,
            "ArtifactStore": store(),
            "Stages": stages("a.zip"),
            "PipelineType": "V2",
            "DisableInboundStageTransitions": [{"StageName": "Hold", "Reason": "thaw"}],
            "Tags": OTHER_TAGS,
        },
        id="pipeline, whole",
    ),
    pytest.param(
        "AWS::CodeDeploy::Application",
        {"ComputePlatform": "Server", "Tags": TAGS},
        {"ComputePlatform": "Server", "Tags": OTHER_TAGS},
        id="application",
    ),
    pytest.param(
        "AWS::CodeDeploy::DeploymentConfig", {"MinimumHealthyHosts": {"Type": "FLEET_PERCENT", "Value": 75}}, None, id="deployment config"
    ),
    pytest.param(
        "AWS::CodeDeploy::DeploymentGroup",
        {"ApplicationName": "web", "ServiceRoleArn": ROLE, "Ec2TagSet": {"Ec2TagSetList": [{"Ec2TagGroup": [FILTER]}]}},
        {"ApplicationName": "web", "ServiceRoleArn": OTHER_ROLE, "Ec2TagFilters": [FILTER]},
        id="deployment group",
    ),
    pytest.param(
        "AWS::CodeDeploy::DeploymentGroup",
        {
            "ApplicationName": "web",
            "DeploymentGroupName": "whole",
            "ServiceRoleArn": ROLE,
            "DeploymentConfigName": "CodeDeployDefault.AllAtOnce",
            "DeploymentStyle": {"DeploymentType": "IN_PLACE", "DeploymentOption": "WITHOUT_TRAFFIC_CONTROL"},
            "Ec2TagFilters": [FILTER],
            "AutoRollbackConfiguration": {"Enabled": True, "Events": ["DEPLOYMENT_FAILURE"]},
            "OutdatedInstancesStrategy": "UPDATE",
            "Tags": TAGS,
        },
        {
            "ApplicationName": "web",
            "DeploymentGroupName": "whole",
            "ServiceRoleArn": ROLE,
            "Ec2TagFilters": [{**FILTER, "Value": "other"}],
            "Tags": OTHER_TAGS,
        },
        id="deployment group, whole",
    ),
]
UNSEEN = {"Triggers", "RestartExecutionOnUpdate"}
"""What no read shows."""
STAYS = {"OutdatedInstancesStrategy", "DeploymentStyle", "ExecutionMode", "IncludeGlobalServiceEvents", "BadgeEnabled", "ComputePlatform"}
"""What has the same value when nothing is said of it."""


def readable(type_name: str, props: dict[str, Any]) -> dict[str, Any]:
    """As a read shows it: an action's configuration is text in the API."""
    shown = {name: value for name, value in props.items() if name not in UNSEEN}
    found: dict[str, Any] = json.loads(json.dumps(shown).replace('"PollForSourceChanges": false', '"PollForSourceChanges": "false"'))
    return found

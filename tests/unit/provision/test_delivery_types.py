"""Resource types of the delivery tools (CloudTrail, CodeCommit, CodeBuild, CodePipeline, CodeDeploy): made, changed, read back, gone.

Each type's life is a row: first properties, then those of an update. What a row does not say of itself is held for all of them below.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from harness import ACCOUNT, REGION, InProcessCloud, until
from stacks_lab import STACK, Lab, differences
from windtunnel.kernel.errors import AwsError
from windtunnel.provision.checking import check
from windtunnel.provision.registry import Resource
from windtunnel.provision.schemas import schema

ROLE = f"arn:aws:iam::{ACCOUNT}:role/Carrier"
OTHER_ROLE = f"arn:aws:iam::{ACCOUNT}:role/Other"
GROUP = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:held:*"
TAGS, OTHER_TAGS = [{"Key": "team", "Value": "blue"}, {"Key": "old", "Value": "x"}], [{"Key": "team", "Value": "red"}]
SERVICES = ("events", "cloudtrail", "codebuild", "codepipeline", "codedeploy")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with InProcessCloud(tmp_path_factory.mktemp("delivery-types")) as cloud:
        trust = {"Effect": "Allow", "Principal": {"Service": [f"{name}.amazonaws.com" for name in SERVICES]}, "Action": "sts:AssumeRole"}
        everything = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]})
        for role in ("Carrier", "Other"):
            document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
            cloud.api("iam", "CreateRole", role_name=role, assume_role_policy_document=document)
            cloud.api("iam", "PutRolePolicy", role_name=role, policy_name="all", policy_document=everything)
        for bucket in ("records", "artifacts", "artifacts-west"):
            cloud.api("s3", "CreateBucket", bucket=bucket)
        cloud.api("s3", "PutBucketVersioning", bucket="artifacts", versioning_configuration={"Status": "Enabled"})
        writing = {"Effect": "Allow", "Principal": {"Service": "cloudtrail.amazonaws.com"}, "Action": "s3:*"}
        statements = [{**writing, "Resource": ["arn:aws:s3:::records", "arn:aws:s3:::records/*"]}]
        cloud.api("s3", "PutBucketPolicy", bucket="records", policy=json.dumps({"Version": "2012-10-17", "Statement": statements}))
        cloud.api("logs", "CreateLogGroup", log_group_name="held")
        cloud.api("codedeploy", "CreateApplication", application_name="web")
        yield Lab(cloud)


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
            "LogsConfig": {"CloudWatchLogs": {"Status": "ENABLED", "GroupName": "held"}},
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
    pytest.param("AWS::CodeDeploy::Application", {"ComputePlatform": "Server", "Tags": TAGS}, {"Tags": OTHER_TAGS}, id="application"),
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


def readable(props: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in props.items() if name not in UNSEEN}


def as_read(value: Any) -> Any:
    """An action's configuration is text in the API: `false`."""
    return json.loads(json.dumps(value).replace('"PollForSourceChanges": false', '"PollForSourceChanges": "false"'))


@pytest.mark.parametrize(("type_name", "first", "second"), CASES)
def test_its_life(lab: Lab, type_name: str, first: dict[str, Any], second: dict[str, Any] | None) -> None:
    known = schema(type_name)
    assert known is not None
    assert check(known, first)[1] == check(known, second or first)[1] == [], "a template may say so"
    before = set(lab.list(type_name))
    made = lab.create(type_name, **first)
    assert differences(as_read(readable(first)), lab.read(made)) == []
    [listed] = set(lab.list(type_name)) - before
    assert made.id in (listed, *listed.split("|"))
    assert made.attributes.keys() == {path[1:] for path in known.read_only if path.count("/") == 1}, "every documented value of GetAtt"
    if second is not None:
        lab.update(made, **second)
        live = lab.read(made) or {}
        assert differences(as_read(readable(second)), live) == []
        for gone in readable(first).keys() - second.keys() - STAYS:
            assert live.get(gone) != first[gone], gone
    lab.delete(made)
    assert lab.read(made) is None
    assert set(lab.list(type_name)) == before
    lab.delete(made)


def test_cloud_control_reads_a_group_by_both_its_names(lab: Lab) -> None:
    made = lab.create("AWS::CodeDeploy::DeploymentGroup", ApplicationName="web", ServiceRoleArn=ROLE)
    [listed] = lab.list("AWS::CodeDeploy::DeploymentGroup")
    alone = Resource(type=made.type, logical_id="", id=listed)
    assert (lab.read(alone) or {})["DeploymentGroupName"] == made.id
    lab.delete(alone)
    assert lab.read(made) is None


def test_a_repository_keeps_its_id_and_not_its_name(lab: Lab) -> None:
    made = lab.create("AWS::CodeCommit::Repository", RepositoryName="one")
    assert lab.ref(made) == made.attributes["RepositoryId"]
    changed = lab.update(made, RepositoryName="two")
    assert (changed.id, changed.attributes["Name"]) == (made.id, "two")
    alone = Resource(type=made.type, logical_id="", id=made.id)
    assert (lab.read(alone) or {})["RepositoryName"] == "two"
    lab.cloud.api("codecommit", "DeleteRepository", repository_name="two")
    theirs = lab.cloud.api("codecommit", "CreateRepository", repository_name="two")["repositoryMetadata"]["repositoryId"]
    lab.delete(changed)
    assert lab.list(made.type) == [theirs], "the one that took its name is another's"
    lab.cloud.api("codecommit", "DeleteRepository", repository_name="two")


def test_a_projects_role_may_be_given_by_its_name(lab: Lab) -> None:
    props = {"Source": {"Type": "NO_SOURCE", "BuildSpec": BUILDSPEC}, "Artifacts": {"Type": "NO_ARTIFACTS"}, "Environment": LINUX}
    made = lab.create("AWS::CodeBuild::Project", ServiceRole="Carrier", **props)
    [project] = lab.cloud.api("codebuild", "BatchGetProjects", names=[made.id])["projects"]
    assert (project["serviceRole"], (lab.read(made) or {})["ServiceRole"]) == (ROLE, "Carrier")
    lab.update(made, ServiceRole="Other", **props)
    assert (lab.read(made) or {})["ServiceRole"] == "Other"
    lab.delete(made)


def test_a_pipeline_starts_again_after_an_update_if_it_is_told_to(lab: Lab) -> None:
    def executions() -> int:
        return len(lab.cloud.api("codepipeline", "ListPipelineExecutions", pipeline_name=made.id)["pipelineExecutionSummaries"])

    props = {"RoleArn": ROLE, "ArtifactStore": store(), "Stages": stages("a.zip"), "RestartExecutionOnUpdate": True}
    made = lab.create("AWS::CodePipeline::Pipeline", **props)
    before = executions()
    version = lab.update(made, **{**props, "Stages": stages("b.zip")}).attributes["Version"]
    assert (version, executions()) == ("2", before + 1)
    lab.update(made, **{**props, "Stages": stages("b.zip"), "Tags": TAGS})
    assert (made.attributes["Version"], executions()) == ("2", before + 1), "tags are no new version"
    lab.delete(made)


def test_a_group_may_begin_with_a_deployment(lab: Lab) -> None:
    props = {"ApplicationName": "web", "ServiceRoleArn": ROLE, "Ec2TagFilters": [FILTER]}
    revision = {"RevisionType": "S3", "S3Location": {"Bucket": "artifacts", "Key": "app.zip", "BundleType": "zip"}}
    made = lab.create("AWS::CodeDeploy::DeploymentGroup", **props, Deployment={"Description": "first", "Revision": revision})
    [begun] = lab.cloud.api("codedeploy", "ListDeployments", application_name="web", deployment_group_name=made.id)["deployments"]
    info = lab.cloud.api("codedeploy", "GetDeployment", deployment_id=begun)["deploymentInfo"]
    assert (info["creator"], info["description"]) == ("CloudFormation", "first")
    lab.delete(made)


def test_what_is_made_tells_its_stack(lab: Lab) -> None:
    trail = lab.create("AWS::CloudTrail::Trail", S3BucketName="records", IsLogging=False)
    repository = lab.create("AWS::CodeCommit::Repository", RepositoryName="marked")
    pipeline = lab.create("AWS::CodePipeline::Pipeline", RoleArn=ROLE, ArtifactStore=store(), Stages=stages("a.zip"))
    arns = [made.attributes["Arn"] for made in (trail, repository, pipeline)]
    tags = [
        {
            tag["Key"]: tag["Value"]
            for tag in lab.cloud.api("cloudtrail", "ListTags", resource_id_list=[arns[0]])["ResourceTagList"][0]["TagsList"]
        },
        lab.cloud.api("codecommit", "ListTagsForResource", resource_arn=arns[1])["tags"],
        {tag["key"]: tag["value"] for tag in lab.cloud.api("codepipeline", "ListTagsForResource", resource_arn=arns[2])["tags"]},
    ]
    assert [found["aws:cloudformation:stack-name"] for found in tags] == [STACK] * 3
    for service, operation, asked in (
        ("cloudtrail", "AddTags", {"resource_id": arns[0], "tags_list": [{"Key": "aws:x", "Value": "y"}]}),
        ("codecommit", "TagResource", {"resource_arn": arns[1], "tags": {"aws:x": "y"}}),
        ("codepipeline", "TagResource", {"resource_arn": arns[2], "tags": [{"key": "aws:x", "value": "y"}]}),
    ):
        with pytest.raises(AwsError, match="aws:"):
            lab.cloud.api(service, operation, **asked)
    for each in (trail, repository, pipeline):
        lab.delete(each)


def refused(lab: Lab, type_name: str, words: str, **props: Any) -> None:
    """Creating it fails in these words, and leaves nothing."""
    before = lab.list(type_name)
    with pytest.raises(AwsError, match=f"(?i){words}"):
        lab.create(type_name, **props)
    assert lab.list(type_name) == before


def test_what_is_refused_leaves_nothing(lab: Lab) -> None:
    trail = {"S3BucketName": "records", "IsLogging": True}
    refused(lab, "AWS::CloudTrail::Trail", "PutInsightSelectors", **trail, InsightSelectors=[{"InsightType": "ApiCallRateInsight"}])
    refused(lab, "AWS::CloudTrail::Trail", "policy", **{**trail, "S3BucketName": "artifacts"})
    trigger = {"Name": "t", "DestinationArn": f"arn:aws:sns:{REGION}:{ACCOUNT}:news", "Events": ["all"]}
    refused(lab, "AWS::CodeCommit::Repository", "PutRepositoryTriggers", RepositoryName="r", Triggers=[trigger])
    refused(lab, "AWS::CodeCommit::Repository", "kmsKeyId", RepositoryName="r", KmsKeyId="k")
    project = {
        "ServiceRole": ROLE,
        "Source": {"Type": "NO_SOURCE", "BuildSpec": BUILDSPEC},
        "Artifacts": {"Type": "NO_ARTIFACTS"},
        "Environment": LINUX,
    }
    refused(lab, "AWS::CodeBuild::Project", "environment.privilegedMode", **{**project, "Environment": {**LINUX, "PrivilegedMode": True}})
    refused(
        lab, "AWS::CodeBuild::Project", "vpcConfig", **project, VpcConfig={"VpcId": "vpc-1", "Subnets": ["s"], "SecurityGroupIds": ["g"]}
    )
    refused(lab, "AWS::CodeBuild::Project", "badgeEnabled", **project, BadgeEnabled=True)
    refused(lab, "AWS::CodeBuild::Project", "CreateWebhook", **project, Triggers={"Webhook": True})
    refused(lab, "AWS::CodeBuild::Project", "UpdateProjectVisibility", **project, Visibility="PUBLIC_READ")
    pipeline = {"RoleArn": ROLE, "ArtifactStore": store(), "Stages": stages("a.zip")}
    unknown = [{"StageName": "None", "Reason": "x"}]
    refused(lab, "AWS::CodePipeline::Pipeline", "does not have a stage", **pipeline, DisableInboundStageTransitions=unknown)
    group = {"ApplicationName": "web", "ServiceRoleArn": ROLE}
    refused(lab, "AWS::CodeDeploy::Application", "computePlatform Lambda", ComputePlatform="Lambda")
    refused(lab, "AWS::CodeDeploy::DeploymentGroup", "loadBalancerInfo", **group, LoadBalancerInfo={"ElbInfoList": [{"Name": "n"}]})
    refused(lab, "AWS::CodeDeploy::DeploymentGroup", "autoScalingGroups", **group, AutoScalingGroups=["a"])
    refused(lab, "AWS::CodeDeploy::DeploymentConfig", "trafficRoutingConfig", TrafficRoutingConfig={"Type": "AllAtOnce"})


def test_a_pipelines_artifacts_are_encrypted_under_its_key(lab: Lab) -> None:
    key = lab.cloud.api("kms", "CreateKey")["KeyMetadata"]["Arn"]
    lab.cloud.api("s3", "PutObject", bucket="artifacts", key="a.zip", body=b"PK")
    encrypted = {**store(), "EncryptionKey": {"Id": key, "Type": "KMS"}}
    made = lab.create("AWS::CodePipeline::Pipeline", RoleArn=ROLE, ArtifactStore=encrypted, Stages=stages("a.zip"))
    assert (lab.read(made) or {})["ArtifactStore"] == encrypted

    def artifacts() -> list[str]:
        found = lab.cloud.api("s3", "ListObjectsV2", bucket="artifacts", prefix=f"{made.id[:20]}/").get("Contents", [])
        return [one["Key"] for one in found]

    until(lambda: len(artifacts()) == 1, what="the source action has written its artifact")
    head = lab.cloud.api("s3", "HeadObject", bucket="artifacts", key=artifacts()[0])
    assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", key)
    lab.delete(made)

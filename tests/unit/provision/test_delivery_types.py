"""Resource types of the delivery tools (CloudTrail, CodeCommit, CodeBuild, CodePipeline, CodeDeploy): made, changed, read back, gone.

Each type's life is a row: first properties, then those of an update. What a row does not say of itself is held for all of them below.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterator
from typing import Any

import pytest

from harness import ACCOUNT, REGION, InProcessCloud, until
from resource_tables.delivery import BUILDSPEC, CASES, FILTER, LINUX, ROLE, STAYS, TAGS, readable, stages, store, world
from stacks_lab import STACK, Lab, differences
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.principal import Principal
from windtunnel.provision.checking import check
from windtunnel.provision.registry import Failed, Resource
from windtunnel.provision.schemas import schema


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with InProcessCloud(tmp_path_factory.mktemp("delivery-types")) as cloud:
        world(cloud)
        yield Lab(cloud)


@pytest.mark.parametrize(("type_name", "first", "second"), CASES)
def test_its_life(lab: Lab, type_name: str, first: dict[str, Any], second: dict[str, Any] | None) -> None:
    known = schema(type_name)
    assert known is not None
    assert check(known, first)[1] == check(known, second or first)[1] == [], "a template may say so"
    before = set(lab.list(type_name))
    made = lab.create(type_name, **first)
    assert differences(readable(type_name, first), lab.read(made)) == []
    [listed] = set(lab.list(type_name)) - before
    assert made.id in (listed, *listed.split("|"))
    assert made.attributes.keys() == {path[1:] for path in known.read_only if path.count("/") == 1}, "every documented value of GetAtt"
    if second is not None:
        lab.update(made, **second)
        live = lab.read(made) or {}
        assert differences(readable(type_name, second), live) == []
        for gone in readable(type_name, first).keys() - second.keys() - STAYS:
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


NOT_THERE = "Not Found (Service: Amazon S3; Status Code: 404; Error Code: 404 Not Found;"
BROKEN = "Code supplied is not a valid .zip archive"


def zipped(*paths: str) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for path in paths:
            archive.writestr(path, "x")
    return made.getvalue()


@pytest.mark.parametrize(
    ("key", "content", "words"),
    [
        pytest.param("absent", None, NOT_THERE, id="no such key"),
        pytest.param("text", b"text", BROKEN, id="no zip"),
        pytest.param("nothing", zipped(), BROKEN, id="no file in it"),
        pytest.param("out", zipped("a", "../b"), BROKEN, id="a path that leads out"),
        pytest.param("git", zipped("a/.Git/config"), BROKEN, id="a path of git's own"),
        pytest.param("both", zipped("a", "a/b"), BROKEN, id="a file that is a folder too"),
        pytest.param("large", bytes(20_000_001), "Code archive supplied cannot be more than 20 MB compressed", id="too large"),
    ],
)
def test_code_that_is_none_leaves_no_repository(lab: Lab, key: str, content: bytes | None, words: str) -> None:
    if content is not None:
        lab.cloud.api("s3", "PutObject", bucket="artifacts", key=key, body=content)
    with pytest.raises(Failed, match=re.escape(words)):
        lab.create("AWS::CodeCommit::Repository", RepositoryName="seeded", Code={"S3": {"Bucket": "artifacts", "Key": key}})
    with pytest.raises(Failed, match=re.escape(NOT_THERE)):
        lab.create("AWS::CodeCommit::Repository", RepositoryName="seeded", Code={"S3": {"Bucket": "no-such-bucket", "Key": key}})
    assert lab.list("AWS::CodeCommit::Repository") == []


def test_code_is_committed_by_whoever_may_read_and_commit_it(lab: Lab) -> None:
    def user(name: str, *actions: str) -> Lab:
        made = lab.cloud.api("iam", "CreateUser", user_name=name)["User"]
        policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": [*actions], "Resource": "*"}]}
        lab.cloud.api("iam", "PutUserPolicy", user_name=name, policy_name="p", policy_document=json.dumps(policy))
        return Lab(lab.cloud, Principal("user", ACCOUNT, made["Arn"], made["Arn"], made["UserId"], name))

    lab.cloud.api("s3", "PutObject", bucket="artifacts", key="app.zip", body=zipped("a"))
    code = {"RepositoryName": "seeded", "Code": {"S3": {"Bucket": "artifacts", "Key": "app.zip"}}}
    with pytest.raises(Failed, match="Forbidden"):
        user("reader", "codecommit:*").create("AWS::CodeCommit::Repository", **code)
    with pytest.raises(AwsError, match="codecommit:CreateCommit"):
        user("committer", "codecommit:CreateRepository", "s3:*").create("AWS::CodeCommit::Repository", **code)
    made = user("both", "codecommit:CreateRepository", "codecommit:CreateCommit", "s3:GetObject").create(
        "AWS::CodeCommit::Repository", **code
    )
    assert lab.cloud.api("codecommit", "GetFile", repository_name="seeded", file_path="a")["fileContent"] == b"x"
    lab.delete(made)


def test_a_projects_role_may_be_given_by_its_name(lab: Lab) -> None:
    props = {"Source": {"Type": "NO_SOURCE", "BuildSpec": BUILDSPEC}, "Artifacts": {"Type": "NO_ARTIFACTS"}, "Environment": LINUX}
    made = lab.create("AWS::CodeBuild::Project", ServiceRole="Deliverer", **props)
    [project] = lab.cloud.api("codebuild", "BatchGetProjects", names=[made.id])["projects"]
    assert (project["serviceRole"], (lab.read(made) or {})["ServiceRole"]) == (ROLE, "Deliverer")
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
        ("cloudtrail", "RemoveTags", {"resource_id": arns[0], "tags_list": [{"Key": "aws:x"}]}),
        ("codecommit", "UntagResource", {"resource_arn": arns[1], "tag_keys": ["aws:x"]}),
        ("codepipeline", "UntagResource", {"resource_arn": arns[2], "tag_keys": ["aws:x"]}),
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
    trigger = {"Name": "t", "DestinationArn": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:f", "Events": ["all"]}
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

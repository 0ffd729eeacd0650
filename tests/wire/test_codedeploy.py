"""CodeDeploy through boto3: what a user sees of applications, groups, revisions, configurations, deployments and their mistakes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from clients import Door
from harness import ACCOUNT, REGION, InProcessCloud, until

ROLE = f"arn:aws:iam::{ACCOUNT}:role/Deployer"
OTHER_ROLE = f"arn:aws:iam::{ACCOUNT}:role/Stranger"
S3 = {"revisionType": "S3", "s3Location": {"bucket": "b", "key": "app.zip", "bundleType": "zip"}}
WEB = [{"Key": "role", "Value": "web", "Type": "KEY_AND_VALUE"}]


def policy(**statement: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]})


def with_roles(door: Door) -> Any:
    """A client; the role Deployer trusts CodeDeploy, Stranger trusts somebody else."""
    iam = door.client("iam")
    for name, service in (("Deployer", "codedeploy"), ("Stranger", "ec2")):
        trust = policy(Principal={"Service": f"{service}.amazonaws.com"}, Action="sts:AssumeRole")
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)
        iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=policy(Action="ec2:*", Resource="*"))
    return door.client("codedeploy")


def with_shop(client: Any) -> Any:
    """With the application `shop` and its group `web`."""
    client.create_application(applicationName="shop")
    client.create_deployment_group(applicationName="shop", deploymentGroupName="web", serviceRoleArn=ROLE, ec2TagFilters=WEB)
    return client


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    with InProcessCloud(tmp_path) as cloud:
        yield Door(cloud)


@pytest.fixture
def deploy(door: Door) -> Any:
    return with_roles(door)


@pytest.fixture
def shop(deploy: Any) -> Any:
    return with_shop(deploy)


@pytest.fixture(scope="module")
def unchanged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """One shop for all calls that are refused: each of them must leave it as it was."""
    with InProcessCloud(tmp_path_factory.mktemp("cloud")) as cloud:
        yield with_shop(with_roles(Door(cloud)))


def refused(call: Any, **args: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**args)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


# -- applications -----------------------------------------------------------------------------------------------------


def test_an_application_from_its_creation_to_its_end(deploy: Any) -> None:
    made = deploy.create_application(applicationName="shop", tags=[{"Key": "team", "Value": "a"}])
    found = deploy.get_application(applicationName="shop")["application"]
    assert found["applicationId"] == made["applicationId"]
    assert (found["computePlatform"], found["linkedToGitHub"]) == ("Server", False)
    assert found["createTime"].tzinfo is not None
    deploy.update_application(applicationName="shop", newApplicationName="store")
    assert deploy.list_applications()["applications"] == ["store"]
    assert deploy.batch_get_applications(applicationNames=["store"])["applicationsInfo"][0]["applicationId"] == made["applicationId"]
    deploy.delete_application(applicationName="store")
    assert refused(deploy.get_application, applicationName="store") == (
        "ApplicationDoesNotExistException",
        "No application found for name: store",
    )


def test_an_update_without_names(shop: Any) -> None:
    assert refused(shop.update_application)[0] == "ApplicationNameRequiredException"
    assert refused(shop.update_application, applicationName="nope")[0] == "ApplicationDoesNotExistException"
    assert refused(shop.update_application, applicationName="shop", newApplicationName="a b")[0] == "InvalidApplicationNameException"


def test_a_renamed_application_keeps_what_it_has(shop: Any) -> None:
    shop.register_application_revision(applicationName="shop", revision=S3)
    shop.update_application(applicationName="shop", newApplicationName="store")
    assert shop.list_deployment_groups(applicationName="store")["deploymentGroups"] == ["web"]
    assert shop.list_application_revisions(applicationName="store")["revisions"] == [S3]


@pytest.mark.parametrize(
    "args, code",
    [
        pytest.param({"applicationName": "shop"}, "ApplicationAlreadyExistsException", id="taken"),
        pytest.param({"applicationName": "no spaces"}, "InvalidApplicationNameException", id="characters"),
        pytest.param({"applicationName": "x" * 101}, "InvalidApplicationNameException", id="too long"),
        pytest.param({"applicationName": ""}, "InvalidApplicationNameException", id="empty"),
        pytest.param({}, "ApplicationNameRequiredException", id="missing"),
        pytest.param({"applicationName": "a", "computePlatform": "Lambda"}, "NotImplemented", id="another platform"),
        pytest.param({"applicationName": "a", "computePlatform": "Mainframe"}, "InvalidComputePlatformException", id="unknown platform"),
        pytest.param({"applicationName": "a", "tags": [{"Key": "aws:x", "Value": ""}]}, "InvalidTagsToAddException", id="reserved tag"),
    ],
)
def test_an_application_that_cannot_be_created(unchanged: Any, args: dict[str, Any], code: str) -> None:
    assert refused(unchanged.create_application, **args)[0] == code
    assert unchanged.list_applications()["applications"] == ["shop"]


def test_lists_come_in_pages(deploy: Any) -> None:
    names = [f"app-{n:03d}" for n in range(101)]
    for name in names:
        deploy.create_application(applicationName=name)
    first = deploy.list_applications()
    assert first["applications"] == names[:100]
    assert deploy.list_applications(nextToken=first["nextToken"])["applications"] == names[100:]
    assert refused(deploy.list_applications, nextToken="nonsense")[0] == "InvalidNextTokenException"


def test_tags(shop: Any) -> None:
    for arn in (f"arn:aws:codedeploy:{REGION}:{ACCOUNT}:{name}" for name in ("application:shop", "deploymentgroup:shop/web")):
        shop.tag_resource(ResourceArn=arn, Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])
        shop.untag_resource(ResourceArn=arn, TagKeys=["a"])
        assert shop.list_tags_for_resource(ResourceArn=arn)["Tags"] == [{"Key": "b", "Value": "2"}]
    config = f"arn:aws:codedeploy:{REGION}:{ACCOUNT}:deploymentconfig:CodeDeployDefault.OneAtATime"
    assert refused(shop.list_tags_for_resource, ResourceArn=config)[0] == "ArnNotSupportedException"
    assert refused(shop.list_tags_for_resource, ResourceArn="shop")[0] == "InvalidArnException"


# -- groups -----------------------------------------------------------------------------------------------------------


def test_a_group_as_it_is_shown(shop: Any) -> None:
    found = shop.get_deployment_group(applicationName="shop", deploymentGroupName="web")["deploymentGroupInfo"]
    assert found.pop("deploymentGroupId")
    assert found == {
        "applicationName": "shop",
        "deploymentGroupName": "web",
        "deploymentConfigName": "CodeDeployDefault.OneAtATime",
        "ec2TagFilters": WEB,
        "onPremisesInstanceTagFilters": [],
        "autoScalingGroups": [],
        "serviceRoleArn": ROLE,
        "triggerConfigurations": [],
        "deploymentStyle": {"deploymentType": "IN_PLACE", "deploymentOption": "WITHOUT_TRAFFIC_CONTROL"},
        "outdatedInstancesStrategy": "UPDATE",
        "computePlatform": "Server",
        "terminationHookEnabled": False,
    }


def test_an_update_changes_what_it_names(shop: Any) -> None:
    lists = [[{"Key": "env", "Type": "KEY_ONLY"}]]
    shop.update_deployment_group(
        applicationName="shop",
        currentDeploymentGroupName="web",
        newDeploymentGroupName="front",
        ec2TagSet={"ec2TagSetList": lists},
        autoRollbackConfiguration={"enabled": True, "events": ["DEPLOYMENT_FAILURE"]},
    )
    found = shop.get_deployment_group(applicationName="shop", deploymentGroupName="front")["deploymentGroupInfo"]
    assert (found["ec2TagSet"], found["ec2TagFilters"], found["serviceRoleArn"]) == ({"ec2TagSetList": lists}, [], ROLE)
    assert found["autoRollbackConfiguration"] == {"enabled": True, "events": ["DEPLOYMENT_FAILURE"]}
    both = shop.batch_get_deployment_groups(applicationName="shop", deploymentGroupNames=["front", "web"])
    assert [group["deploymentGroupName"] for group in both["deploymentGroupsInfo"]] == ["front"]
    assert both["errorMessage"] == "No Deployment Group found for name: web"


GROUP = {"applicationName": "shop", "deploymentGroupName": "new", "serviceRoleArn": ROLE}


@pytest.mark.parametrize(
    "change, code",
    [
        pytest.param({"deploymentGroupName": "web"}, "DeploymentGroupAlreadyExistsException", id="taken"),
        pytest.param({"applicationName": "nope"}, "ApplicationDoesNotExistException", id="no application"),
        pytest.param({"serviceRoleArn": OTHER_ROLE}, "InvalidRoleException", id="a role that does not trust CodeDeploy"),
        pytest.param({"serviceRoleArn": "Deployer"}, "InvalidRoleException", id="not an ARN"),
        pytest.param({"serviceRoleArn": None}, "RoleRequiredException", id="no role"),
        pytest.param({"deploymentConfigName": "nope"}, "DeploymentConfigDoesNotExistException", id="no configuration"),
        pytest.param(
            {"deploymentConfigName": "CodeDeployDefault.LambdaAllAtOnce"},
            "InvalidDeploymentConfigNameException",
            id="Lambda's configuration",
        ),
        pytest.param({"ec2TagFilters": [{"Key": "k", "Type": "SOME"}]}, "InvalidEC2TagException", id="filter type"),
        pytest.param(
            {"ec2TagFilters": WEB, "ec2TagSet": {"ec2TagSetList": [WEB]}}, "InvalidEC2TagCombinationException", id="filters and set"
        ),
        pytest.param({"ec2TagSet": {"ec2TagSetList": [WEB] * 4}}, "TagSetListLimitExceededException", id="four lists"),
        pytest.param({"autoRollbackConfiguration": {"enabled": True}}, "InvalidAutoRollbackConfigException", id="rollback without events"),
        pytest.param({"autoScalingGroups": ["asg"]}, "NotImplemented", id="autoscaling"),
        pytest.param({"alarmConfiguration": {"enabled": True, "alarms": [{"name": "a"}]}}, "NotImplemented", id="alarms"),
        pytest.param({"deploymentStyle": {"deploymentType": "BLUE_GREEN"}}, "NotImplemented", id="blue/green"),
        pytest.param({"loadBalancerInfo": {"targetGroupInfoList": [{"name": "t"}]}}, "NotImplemented", id="load balancer"),
        pytest.param({"outdatedInstancesStrategy": "IGNORE"}, "NotImplemented", id="outdated instances"),
    ],
)
def test_a_group_that_cannot_be_created(unchanged: Any, change: dict[str, Any], code: str) -> None:
    args = {name: value for name, value in {**GROUP, **change}.items() if value is not None}
    assert refused(unchanged.create_deployment_group, **args)[0] == code
    assert unchanged.list_deployment_groups(applicationName="shop")["deploymentGroups"] == ["web"]


def test_what_clients_send_without_using_it_is_accepted(shop: Any) -> None:
    shop.create_deployment_group(
        **GROUP,
        alarmConfiguration={"enabled": False, "ignorePollAlarmFailure": False, "alarms": []},
        autoScalingGroups=[],
        triggerConfigurations=[],
        outdatedInstancesStrategy="UPDATE",
        deploymentStyle={"deploymentType": "IN_PLACE", "deploymentOption": "WITHOUT_TRAFFIC_CONTROL"},
    )
    shop.delete_deployment_group(applicationName="shop", deploymentGroupName="new")
    assert refused(shop.get_deployment_group, applicationName="shop", deploymentGroupName="new") == (
        "DeploymentGroupDoesNotExistException",
        "No Deployment Group found for name: new",
    )


# -- configurations ---------------------------------------------------------------------------------------------------


def test_configurations(shop: Any) -> None:
    names = shop.list_deployment_configs()["deploymentConfigsList"]
    assert {"CodeDeployDefault.AllAtOnce", "CodeDeployDefault.HalfAtATime", "CodeDeployDefault.OneAtATime"} <= set(names)
    half = shop.get_deployment_config(deploymentConfigName="CodeDeployDefault.HalfAtATime")["deploymentConfigInfo"]
    assert half["minimumHealthyHosts"] == {"type": "FLEET_PERCENT", "value": 50}
    shop.create_deployment_config(deploymentConfigName="two", minimumHealthyHosts={"type": "HOST_COUNT", "value": 2})
    assert shop.get_deployment_config(deploymentConfigName="two")["deploymentConfigInfo"]["minimumHealthyHosts"]["value"] == 2
    shop.update_deployment_group(applicationName="shop", currentDeploymentGroupName="web", deploymentConfigName="two")
    assert refused(shop.delete_deployment_config, deploymentConfigName="two")[0] == "DeploymentConfigInUseException"
    shop.delete_deployment_group(applicationName="shop", deploymentGroupName="web")
    shop.delete_deployment_config(deploymentConfigName="two")
    assert refused(shop.get_deployment_config, deploymentConfigName="two")[0] == "DeploymentConfigDoesNotExistException"


@pytest.mark.parametrize(
    "args, code",
    [
        ({"deploymentConfigName": "CodeDeployDefault.Mine"}, "InvalidDeploymentConfigNameException"),
        ({"deploymentConfigName": "x"}, "InvalidMinimumHealthyHostValueException"),
        (
            {"deploymentConfigName": "x", "minimumHealthyHosts": {"type": "FLEET_PERCENT", "value": 100}},
            "InvalidMinimumHealthyHostValueException",
        ),
        ({"deploymentConfigName": "x", "computePlatform": "ECS"}, "NotImplemented"),
        ({"deploymentConfigName": "x", "zonalConfig": {"monitorDurationInSeconds": 1}}, "NotImplemented"),
    ],
    ids=str,
)
def test_a_configuration_that_cannot_be_created(unchanged: Any, args: dict[str, Any], code: str) -> None:
    assert refused(unchanged.create_deployment_config, **args)[0] == code


# -- revisions --------------------------------------------------------------------------------------------------------


def test_revisions(shop: Any) -> None:
    other = {"revisionType": "S3", "s3Location": {"bucket": "c", "key": "x/y.tgz", "bundleType": "tgz", "version": "v1"}}
    shop.register_application_revision(applicationName="shop", revision=S3, description="first")
    shop.register_application_revision(applicationName="shop", revision=other)
    found = shop.get_application_revision(applicationName="shop", revision=S3)
    assert (found["revision"], found["revisionInfo"]["description"]) == (S3, "first")
    assert shop.list_application_revisions(applicationName="shop", s3Bucket="c", s3KeyPrefix="x/")["revisions"] == [other]
    assert shop.list_application_revisions(applicationName="shop", deployed="include")["revisions"] == []
    newest = shop.list_application_revisions(applicationName="shop", sortBy="registerTime", sortOrder="descending")["revisions"]
    assert newest == [other, S3]
    unknown = {"revisionType": "S3", "s3Location": {"bucket": "z", "key": "z", "bundleType": "zip"}}
    batch = shop.batch_get_application_revisions(applicationName="shop", revisions=[S3, unknown])
    assert [entry["revisionLocation"] for entry in batch["revisions"]] == [S3]
    assert refused(shop.get_application_revision, applicationName="shop", revision=unknown)[0] == "RevisionDoesNotExistException"
    assert refused(shop.list_application_revisions, applicationName="shop", s3KeyPrefix="x")[0] == "BucketNameFilterRequiredException"


# -- deployments ------------------------------------------------------------------------------------------------------


def test_a_deployment_without_instances_fails_with_awss_words(shop: Any) -> None:
    made = shop.create_deployment(applicationName="shop", deploymentGroupName="web", revision=S3, description="try")["deploymentId"]
    info = until(lambda: (i := shop.get_deployment(deploymentId=made)["deploymentInfo"])["status"] == "Failed" and i, what="the failure")
    assert info["errorInformation"]["code"] == "NO_INSTANCES"
    assert info["errorInformation"]["message"].startswith(
        "The deployment failed because no instances were found for your deployment group."
    )
    assert (info["description"], info["creator"], info["revision"]) == ("try", "user", S3)
    assert shop.list_deployments(applicationName="shop", deploymentGroupName="web")["deployments"] == [made]
    assert shop.list_deployments(includeOnlyStatuses=["Succeeded"])["deployments"] == []
    assert shop.batch_get_deployments(deploymentIds=[made])["deploymentsInfo"] == [info]
    assert shop.list_deployment_targets(deploymentId=made)["targetIds"] == []
    assert refused(shop.stop_deployment, deploymentId=made) == (
        "DeploymentAlreadyCompletedException",
        f"The deployment {made} is already completed",
    )
    assert refused(shop.get_deployment_target, deploymentId=made, targetId="i-1")[0] == "DeploymentTargetDoesNotExistException"
    assert refused(shop.get_deployment_instance, deploymentId=made, instanceId="i-1")[0] == "InstanceDoesNotExistException"


DEPLOYMENT = {"applicationName": "shop", "deploymentGroupName": "web", "revision": S3}


@pytest.mark.parametrize(
    "change, code",
    [
        pytest.param({"applicationName": None}, "ApplicationNameRequiredException", id="no application"),
        pytest.param({"deploymentGroupName": None}, "DeploymentGroupNameRequiredException", id="no group"),
        pytest.param({"deploymentGroupName": "nope"}, "DeploymentGroupDoesNotExistException", id="unknown group"),
        pytest.param({"revision": None}, "RevisionRequiredException", id="no revision"),
        pytest.param({"revision": {"revisionType": "S3"}}, "InvalidRevisionException", id="no location"),
        pytest.param({"deploymentConfigName": "nope"}, "DeploymentConfigDoesNotExistException", id="unknown configuration"),
        pytest.param({"description": "x" * 257}, "DescriptionTooLongException", id="long description"),
        pytest.param({"fileExistsBehavior": "ASK"}, "InvalidFileExistsBehaviorException", id="file exists behavior"),
        pytest.param({"targetInstances": {"autoScalingGroups": ["a"]}}, "NotImplemented", id="blue/green targets"),
    ],
)
def test_a_deployment_that_cannot_be_created(unchanged: Any, change: dict[str, Any], code: str) -> None:
    args = {name: value for name, value in {**DEPLOYMENT, **change}.items() if value is not None}
    assert refused(unchanged.create_deployment, **args)[0] == code
    assert unchanged.list_deployments()["deployments"] == []


@pytest.mark.parametrize("operation", ["get_deployment", "stop_deployment", "list_deployment_targets", "list_deployment_instances"])
def test_deployment_ids(unchanged: Any, operation: str) -> None:
    call = getattr(unchanged, operation)
    assert refused(call, deploymentId="d-short")[0] == "InvalidDeploymentIdException"
    assert refused(call)[0] == "DeploymentIdRequiredException"
    assert refused(call, deploymentId="d-ABCDEFGH1") == (
        "DeploymentDoesNotExistException",
        "The deployment d-ABCDEFGH1 could not be found",
    )


# -- who may ----------------------------------------------------------------------------------------------------------

GROUP_ARN = f"arn:aws:codedeploy:{REGION}:{ACCOUNT}:deploymentgroup:shop/web"


def test_creating_a_group_needs_the_right_to_pass_its_role(door: Door, shop: Any) -> None:
    iam = door.client("iam")
    iam.create_user(UserName="ann")
    key = iam.create_access_key(UserName="ann")["AccessKey"]
    ann = door.client("codedeploy", (key["AccessKeyId"], key["SecretAccessKey"], ""))
    iam.put_user_policy(UserName="ann", PolicyName="p", PolicyDocument=policy(Action="codedeploy:*", Resource="*"))
    code, message = refused(ann.create_deployment_group, **GROUP)
    assert code == "AccessDeniedException" and "iam:PassRole" in message
    passing = policy(Action=["codedeploy:*", "iam:PassRole"], Resource="*")
    iam.put_user_policy(UserName="ann", PolicyName="p", PolicyDocument=passing)
    ann.create_deployment_group(**GROUP)


def test_a_deployment_is_authorized_on_its_group(door: Door, shop: Any) -> None:
    iam = door.client("iam")
    iam.create_user(UserName="bob")
    key = iam.create_access_key(UserName="bob")["AccessKey"]
    bob = door.client("codedeploy", (key["AccessKeyId"], key["SecretAccessKey"], ""))
    iam.put_user_policy(UserName="bob", PolicyName="p", PolicyDocument=policy(Action="codedeploy:CreateDeployment", Resource=GROUP_ARN))
    shop.create_deployment_group(**GROUP)
    assert refused(bob.create_deployment, **{**DEPLOYMENT, "deploymentGroupName": "new"})[0] == "AccessDeniedException"
    made = bob.create_deployment(**DEPLOYMENT)["deploymentId"]
    assert refused(bob.get_deployment, deploymentId=made)[0] == "AccessDeniedException"
    iam.put_user_policy(UserName="bob", PolicyName="p", PolicyDocument=policy(Action="codedeploy:GetDeployment", Resource=GROUP_ARN))
    assert bob.get_deployment(deploymentId=made)["deploymentInfo"]["deploymentId"] == made

"""Stacks in which IAM, S3, SNS, SQS, KMS and parameters stand on each other: what they are afterwards is read through each service's own API."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from clients import Door
from harness import ACCOUNT, InProcessCloud, until
from stacks import Stacks

IAM: dict[str, Any] = {"Capabilities": ["CAPABILITY_NAMED_IAM"]}


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    with InProcessCloud(tmp_path_factory.mktemp("stack-storage")) as cloud:
        yield Door(cloud)


@pytest.fixture(scope="module")
def stacks(door: Door) -> Stacks:
    return Stacks(door)


def allow(service: str, action: str, resource: Any) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Principal": {"Service": f"{service}.amazonaws.com"}, "Action": action, "Resource": resource}
    return {"Version": "2012-10-17", "Statement": [statement]}


def get(logical: str, attribute: str) -> dict[str, Any]:
    return {"Fn::GetAtt": [logical, attribute]}


PIPE = {
    "Resources": {
        "Inbox": {"Type": "AWS::S3::Bucket", "DependsOn": "Heard", "Properties": {"NotificationConfiguration": {"QueueConfigurations": [
            {"Event": "s3:ObjectCreated:*", "Queue": get("Jobs", "Arn")}]}}},
        "Jobs": {"Type": "AWS::SQS::Queue", "Properties": {"RedrivePolicy": {"deadLetterTargetArn": get("Dead", "Arn"), "maxReceiveCount": 3}}},
        "Dead": {"Type": "AWS::SQS::Queue"},
        "Heard": {"Type": "AWS::SQS::QueuePolicy", "Properties": {
            "Queues": [{"Ref": "Jobs"}], "PolicyDocument": allow("s3", "sqs:SendMessage", get("Jobs", "Arn"))}},
        "News": {"Type": "AWS::SNS::Topic", "Properties": {"Subscription": [{"Protocol": "sqs", "Endpoint": get("Read", "Arn")}]}},
        "Read": {"Type": "AWS::SQS::Queue"},
        "MayTell": {"Type": "AWS::SQS::QueuePolicy", "Properties": {
            "Queues": [{"Ref": "Read"}], "PolicyDocument": allow("sns", "sqs:SendMessage", get("Read", "Arn"))}},
    },
    "Outputs": {name: {"Value": {"Ref": name}} for name in ("Inbox", "Jobs", "News", "Read")},
}  # fmt: skip


def _outputs(stacks: Stacks, name: str) -> dict[str, str]:
    return {output["OutputKey"]: output["OutputValue"] for output in stacks.describe(name)["Outputs"]}


def test_what_a_stack_wires_up_works(door: Door, stacks: Stacks) -> None:
    assert stacks.create("pipe", PIPE) == "CREATE_COMPLETE", stacks.events("pipe")
    out = _outputs(stacks, "pipe")
    sqs = door.client("sqs")

    def heard(url: str, words: str) -> bool:
        messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        return any(words in message["Body"] for message in messages)

    door.client("s3").put_object(Bucket=out["Inbox"], Key="a.txt", Body=b"x")
    door.client("sns").publish(TopicArn=out["News"], Message="something happened")
    until(lambda: heard(out["Jobs"], "a.txt"), what="the queue hears of the object")
    until(lambda: heard(out["Read"], "something happened"), what="the queue hears of the news")
    assert stacks.delete("pipe") == "DELETE_FAILED", "the bucket is not empty"
    failed = [reason for logical, status, reason in stacks.events("pipe") if (logical, status) == ("Inbox", "DELETE_FAILED")]
    assert "The bucket you tried to delete is not empty" in failed[0] and "Service: S3" in failed[0] and "409" in failed[0]
    assert stacks.delete("pipe", RetainResources=["Inbox"]) == "DELETE_COMPLETE"
    door.client("s3").head_bucket(Bucket=out["Inbox"])
    assert "QueueUrls" not in sqs.list_queues()


ROLE = {"AssumeRolePolicyDocument": allow("ec2", "sts:AssumeRole", "*")}
del ROLE["AssumeRolePolicyDocument"]["Statement"][0]["Resource"]


def _app(actions: str, fails: bool = False, **more: Any) -> dict[str, Any]:
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": actions, "Resource": "*"}]}
    resources: dict[str, Any] = {
        "Role": {"Type": "AWS::IAM::Role", "Properties": {**ROLE, "Policies": [{"PolicyName": "in", "PolicyDocument": policy}], **more}},
        "Rights": {"Type": "AWS::IAM::Policy", "Properties": {"PolicyName": "out", "PolicyDocument": policy, "Roles": [{"Ref": "Role"}]}},
        "Shared": {"Type": "AWS::IAM::ManagedPolicy", "Properties": {"PolicyDocument": policy, "Roles": [{"Ref": "Role"}]}},
        "Seat": {"Type": "AWS::IAM::InstanceProfile", "Properties": {"Roles": [{"Ref": "Role"}]}},
        "Key": {"Type": "AWS::KMS::Key", "Properties": {"Description": actions}},
        "Name": {"Type": "AWS::KMS::Alias", "Properties": {"AliasName": "alias/app", "TargetKeyId": {"Ref": "Key"}}},
        "Size": {"Type": "AWS::SSM::Parameter", "Properties": {"Name": "/app/size", "Type": "String", "Value": actions}},
    }
    if fails:
        broken = {"Name": "/app/never", "Type": "String", "Value": "x", "AllowedPattern": "\\d"}
        later = list(resources)
        resources["Broken"] = {"Type": "AWS::SSM::Parameter", "DependsOn": later, "Properties": broken}
    return {"Resources": resources}


def _iam_state(door: Door) -> Any:
    iam = door.client("iam")
    details = iam.get_account_authorization_details(Filter=["Role", "LocalManagedPolicy"])
    roles = {role["RoleName"]: (role["RolePolicyList"], role["AttachedManagedPolicies"]) for role in details["RoleDetailList"]}
    policies = [[version["Document"] for version in p["PolicyVersionList"] if version["IsDefaultVersion"]] for p in details["Policies"]]
    return roles, policies, [profile["InstanceProfileName"] for profile in iam.list_instance_profiles()["InstanceProfiles"]]


def test_an_update_that_fails_is_taken_back_everywhere(door: Door, stacks: Stacks) -> None:
    ssm, kms = door.client("ssm"), door.client("kms")
    assert stacks.create("app", _app("s3:GetObject"), **IAM) == "CREATE_COMPLETE", stacks.events("app")
    before = _iam_state(door)
    changed = _app("sqs:SendMessage", fails=True, MaxSessionDuration=7200, Description="changed")
    assert stacks.update("app", changed, **IAM) == "UPDATE_ROLLBACK_COMPLETE"
    assert _iam_state(door) == before
    role = door.client("iam").get_role(RoleName=stacks.physical("app", "Role"))["Role"]
    assert role["MaxSessionDuration"] == 3600 and role.get("Description", "") == ""
    assert ssm.get_parameter(Name="/app/size")["Parameter"]["Value"] == "s3:GetObject"
    assert kms.describe_key(KeyId="alias/app")["KeyMetadata"]["Description"] == "s3:GetObject"
    assert stacks.update("app", _app("sqs:SendMessage"), **IAM) == "UPDATE_COMPLETE", stacks.events("app")
    assert ssm.get_parameter(Name="/app/size")["Parameter"]["Value"] == "sqs:SendMessage"
    assert stacks.delete("app") == "DELETE_COMPLETE", stacks.events("app")
    assert _iam_state(door) == ({}, [], [])
    assert not [alias for alias in kms.list_aliases()["Aliases"] if alias["AliasName"] == "alias/app"]


def test_a_creation_that_fails_leaves_nothing(door: Door, stacks: Stacks) -> None:
    assert stacks.create("broken", _app("s3:GetObject", fails=True), **IAM) == "ROLLBACK_COMPLETE"
    reason = next(reason for logical, status, reason in stacks.events("broken") if (logical, status) == ("Broken", "CREATE_FAILED"))
    assert "cannot be validated against allowedPattern" in reason
    assert _iam_state(door) == ({}, [], [])
    assert door.client("ssm").describe_parameters()["Parameters"] == []
    assert stacks.delete("broken") == "DELETE_COMPLETE"


def test_a_new_path_replaces_a_role_and_what_depends_on_it_follows(door: Door, stacks: Stacks) -> None:
    assert stacks.create("moving", _app("s3:GetObject", Path="/a/"), **IAM) == "CREATE_COMPLETE"
    old = stacks.physical("moving", "Role")
    assert stacks.update("moving", _app("s3:GetObject", Path="/b/"), **IAM) == "UPDATE_COMPLETE", stacks.events("moving")
    new = stacks.physical("moving", "Role")
    roles, _, _ = _iam_state(door)
    assert old != new and list(roles) == [new]
    assert [policy["PolicyName"] for policy in roles[new][0]] == ["in", "out"] and len(roles[new][1]) == 1
    profile = door.client("iam").get_instance_profile(InstanceProfileName=stacks.physical("moving", "Seat"))["InstanceProfile"]
    assert [role["Path"] for role in profile["Roles"]] == ["/b/"]
    assert stacks.delete("moving") == "DELETE_COMPLETE"


TOOLKIT = {
    "Resources": {
        "StagingBucket": {"Type": "AWS::S3::Bucket", "UpdateReplacePolicy": "Retain", "DeletionPolicy": "Delete", "Properties": {
            "BucketName": {"Fn::Sub": "cdk-assets-${AWS::AccountId}-${AWS::Region}"},
            "AccessControl": "Private",
            "BucketEncryption": {"ServerSideEncryptionConfiguration": [{"ServerSideEncryptionByDefault": {
                "SSEAlgorithm": "aws:kms", "KMSMasterKeyID": {"Ref": "AWS::NoValue"}}}]},
            "PublicAccessBlockConfiguration": dict.fromkeys(("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"), True),
            "VersioningConfiguration": {"Status": "Enabled"},
            "LifecycleConfiguration": {"Rules": [
                {"Id": "CleanupOldVersions", "Status": "Enabled", "NoncurrentVersionExpiration": {"NoncurrentDays": 30}},
                {"Id": "AbortIncompleteMultipartUploads", "Status": "Enabled", "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1}}]},
        }},
        "StagingBucketPolicy": {"Type": "AWS::S3::BucketPolicy", "Properties": {"Bucket": {"Ref": "StagingBucket"}, "PolicyDocument": {
            "Id": "AccessControl", "Version": "2012-10-17", "Statement": [{
                "Sid": "AllowSSLRequestsOnly", "Action": "s3:*", "Effect": "Deny", "Principal": "*",
                "Resource": [{"Fn::Sub": "${StagingBucket.Arn}"}, {"Fn::Sub": "${StagingBucket.Arn}/*"}],
                "Condition": {"Bool": {"aws:SecureTransport": "false"}}}]}}},
        "PublishingRole": {"Type": "AWS::IAM::Role", "Properties": {
            "RoleName": {"Fn::Sub": "cdk-publishing-${AWS::AccountId}-${AWS::Region}"},
            "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [
                {"Action": "sts:AssumeRole", "Effect": "Allow", "Principal": {"AWS": {"Ref": "AWS::AccountId"}}}]},
            "Tags": [{"Key": "aws-cdk:bootstrap-role", "Value": "file-publishing"}]}},
        "Publishing": {"Type": "AWS::IAM::Policy", "Properties": {
            "PolicyName": "publishing", "Roles": [{"Ref": "PublishingRole"}], "PolicyDocument": {"Version": "2012-10-17", "Statement": [
                {"Action": ["s3:GetObject*", "s3:PutObject*"], "Effect": "Allow",
                 "Resource": [{"Fn::Sub": "${StagingBucket.Arn}"}, {"Fn::Sub": "${StagingBucket.Arn}/*"}]}]}}},
        "Version": {"Type": "AWS::SSM::Parameter", "Properties": {"Type": "String", "Name": "/cdk-bootstrap/x/version", "Value": "21"}},
    },
    "Outputs": {"Domain": {"Value": {"Fn::Sub": "${StagingBucket.RegionalDomainName}"}}},
}  # fmt: skip


class Inside:
    """S3 asked from inside of the cloud: the toolkit's bucket takes nothing that does not come by TLS."""

    def __init__(self, door: Door) -> None:
        self._cloud = door._cloud

    def __getattr__(self, name: str) -> Any:
        operation = "".join(word.capitalize() for word in name.split("_"))
        return lambda Bucket: self._cloud.api("s3", operation, bucket=Bucket)


def test_what_a_cdk_toolkit_is_made_of(door: Door, stacks: Stacks) -> None:
    options = {**IAM, "Tags": [{"Key": "owner", "Value": "tools"}]}
    assert stacks.create("CDKToolkit", TOOLKIT, **options) == "CREATE_COMPLETE", stacks.events("CDKToolkit")
    s3, bucket = Inside(door), f"cdk-assets-{ACCOUNT}-us-east-1"
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    rules = s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
    assert {rule["ID"] for rule in rules} == {"CleanupOldVersions", "AbortIncompleteMultipartUploads"}
    tags = {tag["Key"]: tag["Value"] for tag in s3.get_bucket_tagging(Bucket=bucket)["TagSet"]}
    assert tags["owner"] == "tools" and tags["aws:cloudformation:stack-name"] == "CDKToolkit"
    role = door.client("iam").get_role(RoleName=f"cdk-publishing-{ACCOUNT}-us-east-1")["Role"]
    assert {tag["Key"] for tag in role["Tags"]} == {"owner", "aws-cdk:bootstrap-role"}, "IAM's types do not carry the stack's own tags"
    assert json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])["Id"] == "AccessControl"
    changed = json.loads(json.dumps(TOOLKIT).replace('"Value": "21"', '"Value": "22"'))
    assert stacks.update("CDKToolkit", changed, **options) == "UPDATE_COMPLETE"
    assert door.client("ssm").get_parameter(Name="/cdk-bootstrap/x/version")["Parameter"]["Value"] == "22"
    assert stacks.update("CDKToolkit", changed, **IAM, Tags=[{"Key": "owner", "Value": "others"}]) == "UPDATE_COMPLETE"
    tags = {tag["Key"]: tag["Value"] for tag in s3.get_bucket_tagging(Bucket=bucket)["TagSet"]}
    assert tags["owner"] == "others" and tags["aws:cloudformation:stack-name"] == "CDKToolkit"
    assert stacks.delete("CDKToolkit") == "DELETE_COMPLETE"

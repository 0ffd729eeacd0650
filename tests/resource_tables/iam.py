"""IAM's resource types: (type, properties, what an update makes of them), in a world where some entities are."""

from __future__ import annotations

import json
from typing import Any

import pytest

from harness import InProcessCloud

TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
OTHER_TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "codebuild.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
READ_ONLY = "arn:aws:iam::aws:policy/ReadOnlyAccess"
S3_READ = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"


def allow(*actions: str) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": list(actions), "Resource": "*"}]}


def inline(name: str, *actions: str) -> dict[str, Any]:
    return {"PolicyName": name, "PolicyDocument": allow(*actions)}


def world(cloud: InProcessCloud) -> None:
    """The entities that the rows name."""
    for user in ("ann", "bob"):
        cloud.api("iam", "CreateUser", user_name=user)
    for group in ("staff", "guests"):
        cloud.api("iam", "CreateGroup", group_name=group)
    for role in ("carrier", "other-carrier"):
        cloud.api("iam", "CreateRole", role_name=role, assume_role_policy_document=json.dumps(TRUST))


CASES: list[Any] = [
    pytest.param("AWS::IAM::Role", {"AssumeRolePolicyDocument": TRUST}, {"AssumeRolePolicyDocument": OTHER_TRUST}, id="role, minimal"),
    pytest.param(
        "AWS::IAM::Role",
        {
            "RoleName": "whole",
            "Path": "/app/",
            "AssumeRolePolicyDocument": TRUST,
            "Description": "all of it",
            "MaxSessionDuration": 7200,
            "PermissionsBoundary": READ_ONLY,
            "ManagedPolicyArns": [READ_ONLY],
            "Policies": [inline("a", "s3:GetObject"), inline("b", "sqs:SendMessage")],
            "Tags": [{"Key": "team", "Value": "blue"}, {"Key": "old", "Value": "x"}],
        },
        {
            "RoleName": "whole",
            "Path": "/app/",
            "AssumeRolePolicyDocument": OTHER_TRUST,
            "Description": "other",
            "MaxSessionDuration": 3600,
            "ManagedPolicyArns": [S3_READ],
            "Policies": [inline("b", "sqs:*"), inline("c", "sns:Publish")],
            "Tags": [{"Key": "team", "Value": "red"}],
        },
        id="role, whole",
    ),
    pytest.param("AWS::IAM::User", {}, {"Path": "/moved/"}, id="user, minimal"),
    pytest.param(
        "AWS::IAM::User",
        {
            "UserName": "carla",
            "Path": "/people/",
            "Groups": ["staff"],
            "ManagedPolicyArns": [READ_ONLY],
            "PermissionsBoundary": READ_ONLY,
            "Policies": [inline("a", "s3:GetObject")],
            "Tags": [{"Key": "team", "Value": "blue"}],
        },
        {"UserName": "carla", "Path": "/others/", "Groups": ["guests"], "Policies": [inline("a", "s3:*")], "PermissionsBoundary": S3_READ},
        id="user, whole",
    ),
    pytest.param("AWS::IAM::Group", {}, {"Path": "/moved/"}, id="group, minimal"),
    pytest.param(
        "AWS::IAM::Group",
        {"GroupName": "crew", "ManagedPolicyArns": [READ_ONLY], "Policies": [inline("a", "s3:GetObject")]},
        {"GroupName": "crew", "ManagedPolicyArns": [S3_READ, READ_ONLY], "Policies": [inline("b", "s3:GetObject")]},
        id="group, whole",
    ),
    pytest.param(
        "AWS::IAM::Policy",
        {"PolicyName": "p", "PolicyDocument": allow("s3:GetObject"), "Roles": ["carrier"], "Users": ["ann"], "Groups": ["staff"]},
        {"PolicyName": "q", "PolicyDocument": allow("s3:PutObject"), "Roles": ["carrier", "other-carrier"]},
        id="policy of several",
    ),
    pytest.param(
        "AWS::IAM::RolePolicy",
        {"PolicyName": "one", "RoleName": "carrier", "PolicyDocument": allow("s3:GetObject")},
        {"PolicyName": "one", "RoleName": "carrier", "PolicyDocument": allow("s3:PutObject")},
        id="role policy",
    ),
    pytest.param(
        "AWS::IAM::UserPolicy",
        {"PolicyName": "one", "UserName": "ann", "PolicyDocument": allow("s3:GetObject")},
        {"PolicyName": "one", "UserName": "ann", "PolicyDocument": allow("s3:PutObject")},
        id="user policy",
    ),
    pytest.param(
        "AWS::IAM::GroupPolicy",
        {"PolicyName": "one", "GroupName": "staff", "PolicyDocument": allow("s3:GetObject")},
        {"PolicyName": "one", "GroupName": "staff", "PolicyDocument": allow("s3:PutObject")},
        id="group policy",
    ),
    pytest.param(
        "AWS::IAM::ManagedPolicy",
        {
            "ManagedPolicyName": "house",
            "Path": "/app/",
            "Description": "of the house",
            "PolicyDocument": allow("s3:GetObject"),
            "Roles": ["carrier"],
            "Users": ["ann"],
            "Groups": ["staff"],
        },
        {
            "ManagedPolicyName": "house",
            "Path": "/app/",
            "Description": "of the house",
            "PolicyDocument": allow("s3:*"),
            "Roles": ["other-carrier"],
        },
        id="managed policy",
    ),
    pytest.param(
        "AWS::IAM::InstanceProfile",
        {"InstanceProfileName": "seat", "Path": "/app/", "Roles": ["carrier"]},
        {"InstanceProfileName": "seat", "Path": "/app/", "Roles": ["other-carrier"]},
        id="instance profile",
    ),
    pytest.param(
        "AWS::IAM::UserToGroupAddition",
        {"GroupName": "staff", "Users": ["ann"]},
        {"GroupName": "guests", "Users": ["ann", "bob"]},
        id="users to group",
    ),
    pytest.param("AWS::IAM::AccessKey", {"UserName": "ann"}, {"UserName": "ann", "Status": "Inactive"}, id="access key"),
    pytest.param(
        "AWS::IAM::AccessKey",
        {"UserName": "ann", "Status": "Inactive", "Serial": 3},
        {"UserName": "ann", "Serial": 3},
        id="access key, inactive",
    ),
    pytest.param(
        "AWS::IAM::OIDCProvider",
        {
            "Url": "https://token.actions.githubusercontent.com",
            "ClientIdList": ["sts.amazonaws.com"],
            "ThumbprintList": ["a" * 40],
            "Tags": [{"Key": "a", "Value": "b"}],
        },
        {"Url": "https://token.actions.githubusercontent.com", "ClientIdList": ["other"], "ThumbprintList": ["b" * 40]},
        id="OIDC provider",
    ),
    pytest.param(
        "AWS::IAM::VirtualMFADevice", {"Users": ["ann"]}, {"Users": ["bob"], "Tags": [{"Key": "a", "Value": "b"}]}, id="MFA device"
    ),
]

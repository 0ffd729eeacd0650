"""The resource types of KMS, Secrets Manager and Parameter Store: (type, properties, what an update makes of them), in a world with a secret."""

from __future__ import annotations

import json
from typing import Any

import pytest

from harness import ACCOUNT, InProcessCloud

TAGS = [{"Key": "team", "Value": "blue"}]
OTHER_TAGS = [{"Key": "team", "Value": "red"}, {"Key": "a", "Value": "b"}]
ROOT = {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
EXPIRES = {"Type": "Expiration", "Version": "1.0", "Attributes": {"Timestamp": "2090-01-01T00:00:00.000Z"}}


def policy(*actions: str) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": ROOT, "Action": list(actions), "Resource": "*"}]}


def world(cloud: InProcessCloud) -> None:
    cloud.api("secretsmanager", "CreateSecret", name="there", secret_string="x")


LIVES: list[Any] = [
    pytest.param("AWS::KMS::Key", {}, {"Description": "mine"}, id="key, minimal"),
    pytest.param(
        "AWS::KMS::Key",
        {
            "KeyPolicy": policy("kms:*"),
            "Description": "all of it",
            "KeySpec": "SYMMETRIC_DEFAULT",
            "KeyUsage": "ENCRYPT_DECRYPT",
            "MultiRegion": False,
            "EnableKeyRotation": True,
            "RotationPeriodInDays": 100,
            "Enabled": True,
            "Tags": TAGS,
        },
        {
            "KeyPolicy": policy("kms:*", "kms:Decrypt"),
            "KeySpec": "SYMMETRIC_DEFAULT",
            "KeyUsage": "ENCRYPT_DECRYPT",
            "MultiRegion": False,
            "EnableKeyRotation": False,
            "Enabled": False,
            "Tags": OTHER_TAGS,
        },
        id="key, whole",
    ),
    pytest.param("AWS::KMS::Key", {"KeySpec": "ECC_NIST_P256", "KeyUsage": "SIGN_VERIFY", "Enabled": False}, {"KeySpec": "ECC_NIST_P256", "KeyUsage": "SIGN_VERIFY"}, id="key, asymmetric"),
    pytest.param("AWS::SecretsManager::Secret", {}, {"Description": "empty"}, id="secret, minimal"),
    pytest.param(
        "AWS::SecretsManager::Secret",
        {"Name": "app/db", "Description": "of the app", "SecretString": "one", "Tags": TAGS, "ReplicaRegions": [{"Region": "eu-west-1"}]},
        {"Name": "app/db", "SecretString": "two", "Tags": OTHER_TAGS, "ReplicaRegions": [{"Region": "eu-central-1"}], "KmsKeyId": "alias/aws/secretsmanager"},
        id="secret, whole",
    ),
    pytest.param(
        "AWS::SecretsManager::ResourcePolicy",
        {"SecretId": "there", "ResourcePolicy": policy("secretsmanager:GetSecretValue"), "BlockPublicPolicy": True},
        {"SecretId": "there", "ResourcePolicy": policy("secretsmanager:DescribeSecret")},
        id="secret's policy",
    ),
    pytest.param("AWS::SSM::Parameter", {"Type": "String", "Value": "a"}, {"Type": "String", "Value": "b"}, id="parameter, minimal"),
    pytest.param(
        "AWS::SSM::Parameter",
        {
            "Name": "/app/size",
            "Type": "String",
            "Value": "10",
            "Description": "how many",
            "AllowedPattern": "\\d+",
            "Tier": "Advanced",
            "Policies": json.dumps([EXPIRES]),
            "DataType": "text",
            "Tags": {"team": "blue"},
        },
        {"Name": "/app/size", "Type": "String", "Value": "many", "Tier": "Advanced", "Tags": {"team": "red", "a": "b"}},
        id="parameter, whole",
    ),
    pytest.param("AWS::SSM::Parameter", {"Type": "StringList", "Value": "a,b"}, {"Type": "StringList", "Value": "a", "Tier": "Intelligent-Tiering"}, id="parameter, list"),
]  # fmt: skip
WRITE_ONLY = {"SecretString", "BlockPublicPolicy"}
PARAMETER_WRITE_ONLY = {"Description", "Tier", "AllowedPattern", "Policies"}


def readable(type_name: str, props: dict[str, Any]) -> dict[str, Any]:
    """What AWS's schema lets be read again."""
    hidden = WRITE_ONLY | (PARAMETER_WRITE_ONLY if type_name == "AWS::SSM::Parameter" else set())
    return {name: value for name, value in props.items() if name not in hidden}

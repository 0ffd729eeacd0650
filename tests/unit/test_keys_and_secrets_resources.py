"""The resource types of KMS, Secrets Manager and Parameter Store: each property, its update, its end, and what is refused by name."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from harness import ACCOUNT, REGION, InProcessCloud
from resource_tables.keys import EXPIRES, LIVES, TAGS, readable, world
from stacks_lab import Lab, differences
from windtunnel.kernel.errors import AwsError
from windtunnel.provision.registry import Failed


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with InProcessCloud(tmp_path_factory.mktemp("keys-resources")) as cloud:
        world(cloud)
        yield Lab(cloud)


@pytest.fixture(scope="module")
def keys(lab: Lab) -> list[str]:
    return [lab.cloud.api("kms", "CreateKey")["KeyMetadata"]["KeyId"] for _ in range(2)]


def _there(lab: Lab) -> Any:
    secrets = lab.cloud.api("secretsmanager", "ListSecrets", include_planned_deletion=True)["SecretList"]
    parameters = lab.cloud.api("ssm", "DescribeParameters")["Parameters"]
    return [secret["Name"] for secret in secrets], [parameter["Name"] for parameter in parameters], lab.cloud.api("kms", "ListAliases")


@pytest.mark.parametrize(("type_name", "first", "second"), LIVES)
def test_its_life(lab: Lab, type_name: str, first: dict[str, Any], second: dict[str, Any]) -> None:
    before = _there(lab)
    made = lab.create(type_name, **first)
    assert differences(readable(type_name, first), lab.read(made)) == []
    assert made.id in lab.list(type_name)
    lab.update(made, **second)
    live = lab.read(made) or {}
    assert differences(readable(type_name, second), live) == []
    for gone in readable(type_name, first).keys() - second.keys() - {"KeyPolicy", "RotationPeriodInDays", "DataType"}:
        assert live.get(gone) != first[gone], gone
    lab.delete(made)
    assert lab.read(made) is None
    assert _there(lab) == before
    lab.delete(made)


def test_a_key_waits_for_its_end_and_is_gone_for_its_stack(lab: Lab) -> None:
    key = lab.create("AWS::KMS::Key", "Key", PendingWindowInDays=7)
    assert lab.ref(key) == key.attributes["KeyId"] and key.attributes["Arn"] == f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{key.id}"
    with pytest.raises(Failed, match="KeySpec"):
        lab.update(key, KeySpec="RSA_2048", KeyUsage="SIGN_VERIFY")
    key.properties = {"PendingWindowInDays": 7}
    lab.delete(key)
    told = lab.cloud.api("kms", "DescribeKey", key_id=key.id)["KeyMetadata"]
    assert told["KeyState"] == "PendingDeletion" and told["DeletionDate"] - lab.cloud.cloud.clock.now() == pytest.approx(7 * 86400, abs=60)
    lab.delete(key)


def test_an_alias_moves(lab: Lab, keys: list[str]) -> None:
    arn = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{keys[0]}"
    alias = lab.create("AWS::KMS::Alias", AliasName="alias/app", TargetKeyId=arn)
    assert lab.read(alias) == {"AliasName": "alias/app", "TargetKeyId": arn}
    assert lab.ref(alias) == "alias/app" and "alias/app" in lab.list("AWS::KMS::Alias")
    lab.update(alias, AliasName="alias/app", TargetKeyId=keys[1])
    assert lab.cloud.api("kms", "DescribeKey", key_id="alias/app")["KeyMetadata"]["KeyId"] == keys[1]
    with pytest.raises(AwsError, match="already exists"):
        lab.create("AWS::KMS::Alias", AliasName="alias/app", TargetKeyId=keys[0])
    lab.delete(alias)
    assert lab.read(alias) is None
    lab.delete(alias)


def _value(lab: Lab, secret: str) -> str:
    return str(lab.cloud.api("secretsmanager", "GetSecretValue", secret_id=secret)["SecretString"])


def test_generated_values(lab: Lab) -> None:
    plain = lab.create("AWS::SecretsManager::Secret", "Plain", GenerateSecretString={"PasswordLength": 20, "ExcludePunctuation": True})
    assert len(_value(lab, plain.id)) == 20 and _value(lab, plain.id).isalnum()
    assert lab.ref(plain) == plain.attributes["Id"] and ":secret:Plain-RANDOM" in plain.id
    template = {"SecretStringTemplate": '{"username": "admin"}', "GenerateStringKey": "password", "ExcludeCharacters": '"@/\\'}
    whole = lab.create("AWS::SecretsManager::Secret", GenerateSecretString=template)
    first = json.loads(_value(lab, whole.id))
    assert first["username"] == "admin" and len(first["password"]) == 32
    lab.update(whole, GenerateSecretString=template, Description="no new value")
    assert json.loads(_value(lab, whole.id)) == first
    lab.update(whole, GenerateSecretString={**template, "PasswordLength": 40})
    assert len(json.loads(_value(lab, whole.id))["password"]) == 40
    for each in (plain, whole):
        lab.delete(each)
        lab.delete(each)
    again = lab.create("AWS::SecretsManager::Secret", Name="again", SecretString="x")
    lab.delete(again)
    lab.delete(lab.create("AWS::SecretsManager::Secret", Name="again", SecretString="y"))


def test_a_parameters_attributes_follow_its_value(lab: Lab) -> None:
    made = lab.create("AWS::SSM::Parameter", "Size", Type="String", Value="1")
    assert lab.ref(made) == made.id and made.id.startswith("CFN-Size-RANDOM")
    assert made.attributes == {"Type": "String", "Value": "1", "Arn": f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/{made.id}"}
    assert lab.update(made, Type="String", Value="2").attributes["Value"] == "2"
    assert lab.cloud.api("ssm", "GetParameter", name=made.id)["Parameter"]["Version"] == 2
    lab.update(made, Type="String", Value="2", Tags={"only": "tags"})
    assert lab.cloud.api("ssm", "GetParameter", name=made.id)["Parameter"]["Version"] == 2
    lab.delete(made)


def test_secrets_and_parameters_show_their_stack(lab: Lab) -> None:
    secret = lab.create("AWS::SecretsManager::Secret", "S", Tags=TAGS)
    parameter = lab.create("AWS::SSM::Parameter", "P", Type="String", Value="x", Tags={"team": "blue"})
    seen = {tag["Key"]: tag["Value"] for tag in lab.cloud.api("secretsmanager", "DescribeSecret", secret_id=secret.id)["Tags"]}
    assert seen["aws:cloudformation:logical-id"] == "S" and len(seen) == 4
    listed = lab.cloud.api("ssm", "ListTagsForResource", resource_type="Parameter", resource_id=parameter.id)["TagList"]
    assert {"Key": "aws:cloudformation:logical-id", "Value": "P"} in listed and len(listed) == 4
    with pytest.raises(AwsError, match="reserved"):
        lab.cloud.api("secretsmanager", "UntagResource", secret_id=secret.id, tag_keys=["aws:cloudformation:stack-id"])
    with pytest.raises(AwsError, match="reserved"):
        lab.cloud.api(
            "ssm", "RemoveTagsFromResource", resource_type="Parameter", resource_id=parameter.id, tag_keys=["aws:cloudformation:stack-id"]
        )
    lab.delete(secret)
    lab.delete(parameter)


REFUSED: list[Any] = [
    ("AWS::KMS::Key", {"KeySpec": "RSA_2048", "KeyUsage": "SIGN_VERIFY", "EnableKeyRotation": True}, AwsError, "cannot be rotated"),
    ("AWS::KMS::Key", {"KeyPolicy": {"Statement": "no"}}, AwsError, "Malformed"),
    ("AWS::SecretsManager::Secret", {"Name": "there"}, AwsError, "already exists"),
    (
        "AWS::SecretsManager::Secret",
        {"SecretString": "a", "GenerateSecretString": {}},
        Failed,
        "both GenerateSecretString and SecretString",
    ),
    ("AWS::SecretsManager::Secret", {"GenerateSecretString": {"GenerateStringKey": "p"}}, Failed, "SecretStringTemplate"),
    (
        "AWS::SecretsManager::Secret",
        {"GenerateSecretString": {"GenerateStringKey": "p", "SecretStringTemplate": "[]"}},
        Failed,
        "JSON object",
    ),
    ("AWS::SecretsManager::Secret", {"Type": "external"}, AwsError, "secretsmanager:CreateSecret with Type"),
    (
        "AWS::SecretsManager::RotationSchedule",
        {"SecretId": "there", "RotationLambdaARN": "arn:aws:lambda:x"},
        AwsError,
        "RotationLambdaARN",
    ),
    ("AWS::SecretsManager::RotationSchedule", {"SecretId": "there", "HostedRotationLambda": {}}, AwsError, "HostedRotationLambda"),
    ("AWS::SSM::Parameter", {"Type": "String", "Value": "x", "AllowedPattern": "\\d+"}, AwsError, "allowedPattern"),
    ("AWS::SSM::Parameter", {"Type": "String", "Value": "x", "Tags": {"aws:a": "b"}}, Failed, "aws: prefixed"),
]


@pytest.mark.parametrize(("type_name", "props", "error", "words"), REFUSED, ids=[f"{each[0]}-{each[3]}" for each in REFUSED])
def test_what_fails_leaves_nothing(lab: Lab, type_name: str, props: dict[str, Any], error: type[Exception], words: str) -> None:
    before, made = _there(lab), len(lab.list("AWS::KMS::Key"))
    with pytest.raises(error, match=words):
        lab.create(type_name, **props)
    assert (_there(lab), len(lab.list("AWS::KMS::Key"))) == (before, made)


def test_an_asymmetric_keys_pair_is_made_before_the_transaction(lab: Lab) -> None:
    made = lab.create("AWS::KMS::Key", KeySpec="RSA_2048", KeyUsage="SIGN_VERIFY", Tags=TAGS)
    signed = lab.cloud.api("kms", "Sign", key_id=made.id, message=b"hello", signing_algorithm="RSASSA_PKCS1_V1_5_SHA_256")
    assert signed["KeyId"] == made.attributes["Arn"]
    lab.delete(made)


def test_what_a_parameter_does_not_tell_is_set_all_the_same(lab: Lab) -> None:
    policies = json.dumps([EXPIRES])
    given = {"Type": "String", "Value": "1", "Description": "d", "AllowedPattern": "\\d", "Tier": "Advanced", "Policies": policies}
    made = lab.create("AWS::SSM::Parameter", **given)

    def told() -> dict[str, Any]:
        found: dict[str, Any] = lab.cloud.api("ssm", "DescribeParameters", parameter_filters=[{"Key": "Name", "Values": [made.id]}])[
            "Parameters"
        ][0]
        return found

    assert (told()["Description"], told()["AllowedPattern"], told()["Tier"]) == ("d", "\\d", "Advanced")
    assert json.loads(told()["Policies"][0]["PolicyText"]) == EXPIRES
    lab.update(made, Type="String", Value="many", Tier="Advanced")
    assert not told().keys() & {"Description", "AllowedPattern"} and told()["Policies"] == []
    lab.delete(made)

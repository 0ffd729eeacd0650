"""Secrets, versions and labels, deletion, lists, policies and keys, through boto3."""

from __future__ import annotations

import json
import string
import uuid
from collections.abc import Callable
from itertools import combinations, product
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from clients import Door
from harness import ACCOUNT, REGION, InProcessCloud, until
from people import People
from windtunnel.kernel.clock import SystemClock
from windtunnel.services.secretsmanager.model import CURRENT, PREVIOUS, moved

DAY = 86400


def code(call: Callable[..., Any], **args: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**args)
    found: str = caught.value.response["Error"]["Code"]
    return found


def token() -> str:
    return str(uuid.uuid4())


def stages(secrets: Any, name: str) -> dict[str, str]:
    """Label -> version."""
    found = secrets.describe_secret(SecretId=name)["VersionIdsToStages"]
    return {label: version for version, labels in found.items() for label in labels}


def test_a_secret_reads_back_by_each_of_its_names(secrets: Any) -> None:
    made = secrets.create_secret(Name="app/db", SecretString='{"user":"a"}', Description="the database", Tags=[{"Key": "t", "Value": "1"}])
    assert made["ARN"].startswith(f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:app/db-") and len(made["ARN"].rsplit("-", 1)[1]) == 6
    for name in ("app/db", made["ARN"], made["ARN"][:-7]):
        found = secrets.get_secret_value(SecretId=name)
        assert (found["SecretString"], found["VersionId"], found["VersionStages"]) == ('{"user":"a"}', made["VersionId"], [CURRENT])
    described = secrets.describe_secret(SecretId="app/db")
    assert (described["Description"], described["Tags"]) == ("the database", [{"Key": "t", "Value": "1"}])
    assert code(secrets.get_secret_value, SecretId="app/d") == "ResourceNotFoundException"
    assert code(secrets.get_secret_value, SecretId=made["ARN"][:-1] + "!") == "ResourceNotFoundException"
    secrets.create_secret(Name=made["ARN"][made["ARN"].index("app/") :], SecretString="a namesake")
    assert secrets.get_secret_value(SecretId=made["ARN"])["SecretString"] == '{"user":"a"}'
    secrets.create_secret(Name="bytes", SecretBinary=b"\x00\xff")
    assert secrets.get_secret_value(SecretId="bytes")["SecretBinary"] == b"\x00\xff"
    secrets.create_secret(Name="empty")
    assert code(secrets.get_secret_value, SecretId="empty") == "ResourceNotFoundException"


@pytest.mark.parametrize(
    "args, expected",
    [
        ({"Name": "a b"}, "ValidationException"),
        ({"Name": "a", "SecretString": "x", "SecretBinary": b"x"}, "InvalidParameterException"),
        ({"Name": "a", "SecretString": "ü" * 40000}, "InvalidParameterException"),
        ({"Name": "a", "Tags": [{"Key": "aws:x", "Value": ""}]}, "InvalidParameterException"),
        ({"Name": "a", "SecretString": "x", "KmsKeyId": "alias/none"}, "EncryptionFailure"),
        ({"Name": "a", "AddReplicaRegions": [{"Region": REGION}]}, "InvalidParameterException"),
        ({"Name": "there", "SecretString": "other"}, "ResourceExistsException"),
    ],
)
def test_what_cannot_be_created(secrets: Any, args: dict[str, Any], expected: str) -> None:
    secrets.create_secret(Name="there", SecretString="x")
    assert code(secrets.create_secret, **args) == expected
    assert [secret["Name"] for secret in secrets.list_secrets()["SecretList"]] == ["there"]


def test_a_repeated_request_is_done_once(secrets: Any) -> None:
    first = {"Name": "a", "SecretString": "x", "ClientRequestToken": token()}
    made = secrets.create_secret(**first)
    assert secrets.create_secret(**first)["ARN"] == made["ARN"]
    assert code(secrets.create_secret, **{**first, "SecretString": "y"}) == "ResourceExistsException"
    second = {"SecretId": "a", "SecretString": "y", "ClientRequestToken": token()}
    for _ in range(2):
        assert secrets.put_secret_value(**second)["VersionId"] == second["ClientRequestToken"]
    assert code(secrets.put_secret_value, **{**second, "SecretString": "z"}) == "ResourceExistsException"
    assert code(secrets.update_secret, **second) == "ResourceExistsException"
    assert len(secrets.list_secret_version_ids(SecretId="a")["Versions"]) == 2


def test_labels_move_as_values_follow_each_other(secrets: Any) -> None:
    one = secrets.create_secret(Name="a", SecretString="1")["VersionId"]
    two = secrets.put_secret_value(SecretId="a", SecretString="2")["VersionId"]
    assert stages(secrets, "a") == {"AWSCURRENT": two, "AWSPREVIOUS": one}
    three = secrets.update_secret(SecretId="a", SecretString="3")["VersionId"]
    assert stages(secrets, "a") == {"AWSCURRENT": three, "AWSPREVIOUS": two}
    four = secrets.put_secret_value(SecretId="a", SecretString="4", VersionStages=["AWSPENDING", "mine"])["VersionId"]
    assert stages(secrets, "a") == {"AWSCURRENT": three, "AWSPREVIOUS": two, "AWSPENDING": four, "mine": four}
    assert secrets.get_secret_value(SecretId="a", VersionStage="AWSPREVIOUS")["SecretString"] == "2"
    assert secrets.get_secret_value(SecretId="a", VersionId=one)["SecretString"] == "1"
    assert secrets.get_secret_value(SecretId="a", VersionId=four, VersionStage="mine")["SecretString"] == "4"
    assert code(secrets.get_secret_value, SecretId="a", VersionId=one, VersionStage="mine") == "InvalidRequestException"
    assert code(secrets.get_secret_value, SecretId="a", VersionStage="none") == "ResourceNotFoundException"
    shown = {entry["VersionId"] for entry in secrets.list_secret_version_ids(SecretId="a")["Versions"]}
    assert shown == {two, three, four}
    everything = secrets.list_secret_version_ids(SecretId="a", IncludeDeprecated=True)["Versions"]
    assert {entry["VersionId"] for entry in everything} == {one, two, three, four}


def test_a_rotation_function_finishes_by_moving_the_label(secrets: Any) -> None:
    one = secrets.create_secret(Name="a", SecretString="1")["VersionId"]
    two = secrets.put_secret_value(SecretId="a", SecretString="2", VersionStages=["AWSPENDING"])["VersionId"]
    move = {"SecretId": "a", "VersionStage": "AWSCURRENT"}
    assert code(secrets.update_secret_version_stage, **move, MoveToVersionId=two) == "InvalidParameterException"
    assert code(secrets.update_secret_version_stage, **move, RemoveFromVersionId=one) == "InvalidParameterException"
    assert (
        code(secrets.update_secret_version_stage, **move, MoveToVersionId=token(), RemoveFromVersionId=one) == "ResourceNotFoundException"
    )
    secrets.update_secret_version_stage(**move, MoveToVersionId=two, RemoveFromVersionId=one)
    assert stages(secrets, "a") == {"AWSCURRENT": two, "AWSPENDING": two, "AWSPREVIOUS": one}
    secrets.update_secret_version_stage(SecretId="a", VersionStage="AWSPENDING", RemoveFromVersionId=two)
    assert stages(secrets, "a") == {"AWSCURRENT": two, "AWSPREVIOUS": one}
    secrets.update_secret_version_stage(**move, MoveToVersionId=one, RemoveFromVersionId=two)
    assert stages(secrets, "a") == {"AWSCURRENT": one, "AWSPREVIOUS": two}


LABELS = ("AWSCURRENT", "AWSPENDING", "mine")
MOVES = [(list(some), version) for size in (1, 2, 3) for some in combinations(LABELS, size) for version in "abc"]


def test_current_and_previous_never_meet() -> None:
    """Over every way of moving labels three times."""
    for moves in product(MOVES, repeat=3):
        now: dict[str, str] = {}
        for labels, version in moves:
            before = now
            now = moved(before, labels, version)
            assert all(now[label] == version for label in labels)
            assert now.get(CURRENT) is None or now.get(CURRENT) != now.get(PREVIOUS)
            if CURRENT in labels and before.get(CURRENT) not in (None, version):
                assert now[PREVIOUS] == before[CURRENT]


def test_only_a_hundred_versions_are_kept(secrets: Any) -> None:
    one = secrets.create_secret(Name="a", SecretString="0")["VersionId"]
    secrets.update_secret_version_stage(SecretId="a", VersionStage="keep", MoveToVersionId=one)
    for number in range(105):
        secrets.put_secret_value(SecretId="a", SecretString=str(number))
    first = secrets.list_secret_version_ids(SecretId="a", IncludeDeprecated=True, MaxResults=60)
    rest = secrets.list_secret_version_ids(SecretId="a", IncludeDeprecated=True, MaxResults=60, NextToken=first["NextToken"])
    ids = [entry["VersionId"] for entry in first["Versions"] + rest["Versions"]]
    assert len(ids) == len(set(ids)) == 100 and one in ids
    assert secrets.get_secret_value(SecretId="a", VersionStage="keep")["SecretString"] == "0"


def test_a_secret_waits_to_be_deleted_and_can_be_had_back(secrets: Any) -> None:
    secrets.create_secret(Name="a", SecretString="x")
    for wrong in ({"RecoveryWindowInDays": 3}, {"RecoveryWindowInDays": 7, "ForceDeleteWithoutRecovery": True}):
        assert code(secrets.delete_secret, SecretId="a", **wrong) == "InvalidParameterException"
    secrets.delete_secret(SecretId="a", RecoveryWindowInDays=7)
    for call, more in (
        (secrets.get_secret_value, {}),
        (secrets.put_secret_value, {"SecretString": "y"}),
        (secrets.update_secret, {"Description": "y"}),
        (secrets.tag_resource, {"Tags": []}),
        (secrets.delete_secret, {}),
    ):
        assert code(call, SecretId="a", **more) == "InvalidRequestException"
    assert code(secrets.create_secret, Name="a") == "InvalidRequestException"
    assert secrets.describe_secret(SecretId="a")["DeletedDate"]
    assert secrets.list_secrets()["SecretList"] == []
    assert [secret["Name"] for secret in secrets.list_secrets(IncludePlannedDeletion=True)["SecretList"]] == ["a"]
    secrets.restore_secret(SecretId="a")
    assert secrets.get_secret_value(SecretId="a")["SecretString"] == "x"
    secrets.delete_secret(SecretId="a", ForceDeleteWithoutRecovery=True)
    assert code(secrets.describe_secret, SecretId="a") == "ResourceNotFoundException"
    assert secrets.delete_secret(SecretId="a", ForceDeleteWithoutRecovery=True)["Name"] == "a"
    assert code(secrets.delete_secret, SecretId="a") == "ResourceNotFoundException"
    again = secrets.create_secret(Name="a", SecretString="new")
    assert secrets.get_secret_value(SecretId=again["ARN"])["SecretString"] == "new"


def test_a_secret_goes_when_its_window_has_passed(tmp_path: Path) -> None:
    with InProcessCloud(tmp_path, clock=SystemClock(pace=7 * DAY * 20.0)) as cloud:
        secrets = Door(cloud).client("secretsmanager")
        secrets.create_secret(Name="a", SecretString="x")
        secrets.delete_secret(SecretId="a", RecoveryWindowInDays=7)
        until(lambda: not secrets.list_secrets(IncludePlannedDeletion=True)["SecretList"], what="the secret is gone")
        secrets.create_secret(Name="a", SecretString="y")
        assert len(secrets.list_secret_version_ids(SecretId="a", IncludeDeprecated=True)["Versions"]) == 1


def test_the_key_decides_who_reads(secrets: Any, door: Door, person: People) -> None:
    kms = door.client("kms")
    key = kms.create_key()["KeyMetadata"]["Arn"]
    secrets.create_secret(Name="own", SecretString="x", KmsKeyId=key)
    secrets.create_secret(Name="default", SecretString="x")
    ann = person("ann", {"Action": "secretsmanager:*"})
    assert ann.get_secret_value(SecretId="default")["SecretString"] == "x"
    with pytest.raises(ClientError, match="Access to KMS is not allowed"):
        ann.get_secret_value(SecretId="own")
    through = {"StringEquals": {"kms:ViaService": f"secretsmanager.{REGION}.amazonaws.com"}}
    ann = person("ann", {"Action": "secretsmanager:*"}, {"Action": "kms:Decrypt", "Resource": key, "Condition": through})
    assert ann.get_secret_value(SecretId="own")["SecretString"] == "x"
    assert code(ann.put_secret_value, SecretId="own", SecretString="y") == "AccessDeniedException"
    kms.disable_key(KeyId=key)
    assert code(secrets.get_secret_value, SecretId="own") == "DecryptionFailure"
    assert code(secrets.put_secret_value, SecretId="own", SecretString="y") == "EncryptionFailure"
    kms.enable_key(KeyId=key)
    secrets.update_secret(SecretId="own", KmsKeyId="alias/aws/secretsmanager")
    assert person("bob", {"Action": "secretsmanager:GetSecretValue"}).get_secret_value(SecretId="own")["SecretString"] == "x"


def policy(**statement: Any) -> str:
    item = {"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": "*", **statement}
    return json.dumps({"Version": "2012-10-17", "Statement": [item]})


def test_a_resource_policy_grants_and_denies(secrets: Any, person: People) -> None:
    secrets.create_secret(Name="a", SecretString="x")
    ann, arn = person("ann"), f"arn:aws:iam::{ACCOUNT}:user/ann"
    assert code(ann.get_secret_value, SecretId="a") == "AccessDeniedException"
    secrets.put_resource_policy(SecretId="a", ResourcePolicy=policy(Principal={"AWS": arn}))
    assert ann.get_secret_value(SecretId="a")["SecretString"] == "x"
    assert json.loads(secrets.get_resource_policy(SecretId="a")["ResourcePolicy"])["Statement"][0]["Principal"] == {"AWS": arn}
    secrets.put_resource_policy(SecretId="a", ResourcePolicy=policy(Effect="Deny", Principal="*"))
    assert code(secrets.get_secret_value, SecretId="a") == "AccessDeniedException"
    secrets.delete_resource_policy(SecretId="a")
    assert secrets.get_secret_value(SecretId="a")["SecretString"] == "x"
    assert "ResourcePolicy" not in secrets.get_resource_policy(SecretId="a")


@pytest.mark.parametrize(
    "statement, public",
    [
        ({"Principal": "*"}, True),
        ({"Principal": {"AWS": "*"}}, True),
        ({"Principal": {"AWS": "*"}, "Condition": {"StringEquals": {"aws:PrincipalAccount": ACCOUNT}}}, False),
        ({"Principal": {"AWS": "*"}, "Condition": {"StringNotEquals": {"aws:PrincipalAccount": ACCOUNT}}}, True),
        ({"Principal": {"AWS": "*"}, "Condition": {"StringLike": {"aws:PrincipalArn": "*"}}}, True),
        ({"Principal": {"AWS": ACCOUNT}}, False),
        ({"Principal": "*", "Effect": "Deny"}, False),
    ],
)
def test_public_policies_are_known(secrets: Any, statement: dict[str, Any], public: bool) -> None:
    secrets.create_secret(Name="a", SecretString="x")
    document = policy(**statement)
    checked = secrets.validate_resource_policy(SecretId="a", ResourcePolicy=document)
    assert checked["PolicyValidationPassed"] is not public
    if public:
        assert code(secrets.put_resource_policy, SecretId="a", ResourcePolicy=document, BlockPublicPolicy=True) == "PublicPolicyException"
    else:
        secrets.put_resource_policy(SecretId="a", ResourcePolicy=document, BlockPublicPolicy=True)
    assert code(secrets.put_resource_policy, SecretId="a", ResourcePolicy="{}") == "MalformedPolicyDocumentException"
    assert secrets.validate_resource_policy(ResourcePolicy="{}")["ValidationErrors"][0]["CheckName"]


def test_another_account_reads_by_arn_with_both_sides_consent(secrets: Any, cloud: InProcessCloud, door: Door) -> None:
    from windtunnel.kernel.errors import AwsError
    from windtunnel.kernel.principal import Principal

    other = "222222222222"
    root = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "kms:*", "Resource": "*"}
    theirs = {"Effect": "Allow", "Principal": {"AWS": other}, "Action": "kms:Decrypt", "Resource": "*"}
    key = door.client("kms").create_key(Policy=json.dumps({"Version": "2012-10-17", "Statement": [root, theirs]}))["KeyMetadata"]["Arn"]
    arn = secrets.create_secret(Name="a", SecretString="x", KmsKeyId=key)["ARN"]

    def read() -> Any:
        stranger = Principal.root(other)
        return cloud.read(lambda ctx: ctx.in_scope(other, REGION).acting(stranger).call("secretsmanager", "GetSecretValue", secret_id=arn))

    with pytest.raises(AwsError, match="not authorized"):
        read()
    secrets.put_resource_policy(SecretId="a", ResourcePolicy=policy(Principal={"AWS": other}))
    assert read()["SecretString"] == "x"


def test_lists_filter_and_sort(secrets: Any) -> None:
    for name, description, tags in (
        ("app/one", "Main database", {"team": "blue"}),
        ("app/two", "queue", {"team": "red"}),
        ("other", "A Main thing", {"Owner": "blue"}),
    ):
        secrets.create_secret(Name=name, Description=description, Tags=[{"Key": key, "Value": value} for key, value in tags.items()])

    def found(*filters: tuple[str, str], **args: Any) -> list[str]:
        asked = [{"Key": key, "Values": value.split("|")} for key, value in filters]
        return [secret["Name"] for secret in secrets.list_secrets(Filters=asked, **args)["SecretList"]]

    assert found(("name", "app/")) == ["app/one", "app/two"]
    assert found(("name", "!app/")) == ["other"]
    assert found(("name", "App/")) == []
    assert found(("description", "main")) == ["app/one"]
    assert found(("tag-key", "team"), ("tag-value", "blue")) == ["app/one"]
    assert found(("tag-key", "team|Owner")) == ["app/one", "app/two", "other"]
    assert found(("all", "MAIN")) == ["app/one", "other"]
    assert found(SortBy="name", SortOrder="desc") == ["other", "app/two", "app/one"]
    pages = secrets.get_paginator("list_secrets").paginate(SortBy="name", PaginationConfig={"PageSize": 2})
    assert [[secret["Name"] for secret in page["SecretList"]] for page in pages] == [["app/one", "app/two"], ["other"]]
    assert code(secrets.list_secrets, Filters=[{"Key": "name", "Values": ["a*"]}]) == "ValidationException"
    assert code(secrets.list_secrets, NextToken="made up") == "InvalidNextTokenException"


def test_many_at_once(secrets: Any, person: People) -> None:
    for name in ("a", "b", "c"):
        secrets.create_secret(Name=name, SecretString=f"value of {name}")
    secrets.delete_secret(SecretId="c")
    reply = secrets.batch_get_secret_value(SecretIdList=["a", "b", "c", "none"])
    assert [value["SecretString"] for value in reply["SecretValues"]] == ["value of a", "value of b"]
    assert [(error["SecretId"], error["ErrorCode"]) for error in reply["Errors"]] == [
        ("c", "InvalidRequestException"),
        ("none", "ResourceNotFoundException"),
    ]
    first = secrets.batch_get_secret_value(Filters=[{"Key": "name", "Values": ["a", "b"]}], MaxResults=1)
    rest = secrets.batch_get_secret_value(Filters=[{"Key": "name", "Values": ["a", "b"]}], MaxResults=1, NextToken=first["NextToken"])
    assert [value["Name"] for value in first["SecretValues"] + rest["SecretValues"]] == ["a", "b"]
    ann = person("ann", {"Action": "secretsmanager:BatchGetSecretValue"})
    refused = ann.batch_get_secret_value(SecretIdList=["a"])
    assert (refused["SecretValues"], refused["Errors"][0]["ErrorCode"]) == ([], "AccessDeniedException")
    assert code(secrets.batch_get_secret_value) == "InvalidParameterException"


@pytest.mark.parametrize(
    "args, allowed, required",
    [
        ({}, string.ascii_letters + string.digits + string.punctuation, (string.digits, string.punctuation)),
        ({"ExcludePunctuation": True, "PasswordLength": 8}, string.ascii_letters + string.digits, (string.ascii_lowercase,)),
        ({"ExcludeNumbers": True, "ExcludeUppercase": True, "ExcludePunctuation": True}, string.ascii_lowercase, ()),
        ({"ExcludeCharacters": string.ascii_letters, "IncludeSpace": True}, string.digits + string.punctuation + " ", (" ",)),
    ],
)
def test_random_passwords(secrets: Any, args: dict[str, Any], allowed: str, required: tuple[str, ...]) -> None:
    for _ in range(20):
        password = secrets.get_random_password(**args)["RandomPassword"]
        assert len(password) == args.get("PasswordLength", 32)
        assert set(password) <= set(allowed)
        assert all(set(password) & set(kind) for kind in required)
    assert code(secrets.get_random_password, PasswordLength=3) == "InvalidParameterException"


def test_conditions_on_tags_and_stages(secrets: Any, person: People) -> None:
    secrets.create_secret(Name="a", SecretString="x", Tags=[{"Key": "team", "Value": "blue"}])
    tagged = {"Action": "secretsmanager:GetSecretValue", "Condition": {"StringEquals": {"aws:ResourceTag/team": "blue"}}}
    assert person("ann", tagged).get_secret_value(SecretId="a")["SecretString"] == "x"
    staged = {"Action": "secretsmanager:GetSecretValue", "Condition": {"StringEquals": {"secretsmanager:VersionStage": "AWSCURRENT"}}}
    assert person("ann", staged).get_secret_value(SecretId="a")["SecretString"] == "x"
    assert code(person("ann").get_secret_value, SecretId="a", VersionStage="AWSPREVIOUS") == "AccessDeniedException"
    create = {"Action": "secretsmanager:*", "Resource": f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:app/*-??????"}
    assert person("bob", create).create_secret(Name="app/x", SecretString="y")["ARN"]
    assert code(person("bob").create_secret, Name="b", SecretString="y") == "AccessDeniedException"
    secrets.untag_resource(SecretId="a", TagKeys=["team"])
    secrets.tag_resource(SecretId="a", Tags=[{"Key": "k", "Value": "v"}])
    assert secrets.describe_secret(SecretId="a")["Tags"] == [{"Key": "k", "Value": "v"}]


def test_rotation_is_refused_by_name_while_there_is_no_lambda(secrets: Any) -> None:
    secrets.create_secret(Name="a", SecretString="x")
    assert code(secrets.rotate_secret, SecretId="a") == "InvalidRequestException"
    arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:rotate"
    with pytest.raises(ClientError) as caught:
        secrets.rotate_secret(SecretId="a", RotationLambdaARN=arn, RotationRules={"AutomaticallyAfterDays": 7})
    assert caught.value.response["Error"]["Code"] == "NotImplemented"
    assert "RotationEnabled" not in secrets.describe_secret(SecretId="a")

"""No secret, secure parameter or key material stands in any file of the data directory, as it is or in any usual coat."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from clients import Door
from harness import InProcessCloud
from stacks import Stacks
from windtunnel.services.cloudformation.model import Stack
from windtunnel.services.kms import keyring
from windtunnel.services.kms.lookups import find_key
from windtunnel.upkeep.doctor import examine

SECRETS = [f"hush-{kind}-0f9d3c5b7a1e" for kind in ("parameter", "advanced", "secret", "binary", "history", "plaintext", "cloud trail")]


def fill(cloud: InProcessCloud) -> list[bytes]:
    """Uses everything that keeps a secret; the secrets and the key material."""
    door = Door(cloud)
    kms, ssm, secrets = (door.client(name) for name in ("kms", "ssm", "secretsmanager"))
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    ssm.put_parameter(Name="/a", Value=SECRETS[0], Type="SecureString")
    ssm.put_parameter(Name="/a", Value=SECRETS[4], Type="SecureString", Overwrite=True)
    ssm.put_parameter(Name="/b", Value=SECRETS[1], Type="SecureString", Tier="Advanced", KeyId=key)
    ssm.get_parameters(Names=["/a", "/b"], WithDecryption=True)
    secrets.create_secret(Name="a", SecretString=SECRETS[2], KmsKeyId=key)
    secrets.put_secret_value(SecretId="a", SecretBinary=SECRETS[3].encode())
    secrets.get_secret_value(SecretId="a")
    kms.encrypt(KeyId=key, Plaintext=SECRETS[5].encode())
    found = [kms.generate_data_key(KeyId=key, KeySpec="AES_256")["Plaintext"]]
    for spec, usage in (("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT"), ("HMAC_256", "GENERATE_VERIFY_MAC"), ("ECC_NIST_P256", "SIGN_VERIFY")):
        made = kms.create_key(KeySpec=spec, KeyUsage=usage)["KeyMetadata"]["KeyId"]
        found.append(cloud.read(lambda ctx, made=made: keyring.current_material(ctx, find_key(ctx, made))))
    return [*found, *(text.encode() for text in SECRETS), *keys(door), *stack(door)]


def keys(door: Door) -> list[bytes]:
    """Credentials that IAM and STS made."""
    iam, sts = door.client("iam"), door.client("sts")
    iam.create_user(UserName="ann")
    key = iam.create_access_key(UserName="ann")["AccessKey"]
    caller = door.client("sts", keys=(key["AccessKeyId"], key["SecretAccessKey"], "")).get_caller_identity()
    assert caller["Arn"].endswith(":user/ann")
    password = iam.create_service_specific_credential(UserName="ann", ServiceName="codecommit.amazonaws.com")["ServiceSpecificCredential"]
    session = sts.get_session_token()["Credentials"]
    made = (key["SecretAccessKey"], password["ServicePassword"], session["SecretAccessKey"])
    return [text.encode() for text in made]


NO_ECHO, IN_CODE, WRITTEN = (f"Hush-{kind}-0f9d3c5b7a1e!" for kind in ("no echo", "user data", "literal"))
TEMPLATE = {
    "Parameters": {"Password": {"Type": "String", "NoEcho": True}, "Size": {"Type": "String", "Default": "1"}},
    "Resources": {
        "Secret": {"Type": "AWS::SecretsManager::Secret", "Properties": {"Name": "made", "SecretString": WRITTEN}},
        "User": {"Type": "AWS::IAM::User", "Properties": {"LoginProfile": {"Password": {"Ref": "Password"}}}},
        "Key": {"Type": "AWS::IAM::AccessKey", "Properties": {"UserName": {"Ref": "User"}}},
        "Made": {"Type": "AWS::SecretsManager::Secret", "Properties": {"SecretString": {"Fn::GetAtt": ["Key", "SecretAccessKey"]}}},
        "Other": {
            "Type": "AWS::SecretsManager::Secret",
            "Properties": {"SecretString": "{{resolve:secretsmanager:asked:SecretString}}"},
        },
        "Coded": {
            "Type": "AWS::SecretsManager::Secret",
            "Properties": {"SecretString": {"Fn::Base64": {"Fn::Sub": IN_CODE + "${Password}${Size}"}}},
        },
        "Below": {
            "Type": "AWS::CloudFormation::Stack",
            "Properties": {"TemplateURL": "s3://below/t", "Parameters": {"It": {"Ref": "Password"}}},
        },
    },
    "Outputs": {"Made": {"Value": {"Fn::GetAtt": ["Key", "SecretAccessKey"]}}},
}
BELOW = {
    "Parameters": {"It": {"Type": "String"}},
    "Resources": {"Queue": {"Type": "AWS::SQS::Queue", "Metadata": {"It": {"Ref": "It"}}}},
}


def stack(door: Door) -> list[bytes]:
    """A stack with secrets of every kind: created, looked at, changed, turned back."""
    door.client("secretsmanager").create_secret(Name="asked", SecretString=SECRETS[2])
    door.client("s3").create_bucket(Bucket="below")
    door.client("s3").put_object(Bucket="below", Key="t", Body=json.dumps(BELOW).encode())
    stacks = Stacks(door)
    named: dict[str, Any] = {"Capabilities": ["CAPABILITY_NAMED_IAM"]}
    given = [{"ParameterKey": "Password", "ParameterValue": NO_ECHO}]
    assert stacks.create("hushed", TEMPLATE, Parameters=given, **named) == "CREATE_COMPLETE", stacks.events("hushed")
    [output] = stacks.describe("hushed")["Outputs"]
    previous = [{"ParameterKey": "Password", "UsePreviousValue": True}, {"ParameterKey": "Size", "ParameterValue": "2"}]
    stacks.api.create_change_set(StackName="hushed", ChangeSetName="c", TemplateBody=json.dumps(TEMPLATE), Parameters=previous, **named)
    stacks.api.describe_change_set(StackName="hushed", ChangeSetName="c", IncludePropertyValues=True)
    assert stacks.update("hushed", TEMPLATE, Parameters=previous, **named) == "UPDATE_COMPLETE"
    broken = {
        **TEMPLATE,
        "Resources": {**TEMPLATE["Resources"], "Bad": {"Type": "AWS::SQS::Queue", "Properties": {"DelaySeconds": 100000}}},
    }
    three = [previous[0], {"ParameterKey": "Size", "ParameterValue": "3"}]
    assert stacks.update("hushed", broken, Parameters=three, **named) == "UPDATE_ROLLBACK_COMPLETE"
    assert WRITTEN in str(stacks.api.get_template(StackName="hushed")["TemplateBody"]), "it is all there for whoever may read it"
    secret = door.client("secretsmanager").get_secret_value(SecretId=stacks.physical("hushed", "Coded"))["SecretString"]
    assert base64.b64decode(secret).decode() == f"{IN_CODE}{NO_ECHO}2"
    plain = {"Resources": {"Queue": {"Type": "AWS::SQS::Queue"}}}
    assert stacks.create("plain", plain) == "CREATE_COMPLETE"
    return [text.encode() for text in (NO_ECHO, IN_CODE, WRITTEN, output["OutputValue"])]


def coats(secret: bytes) -> list[bytes]:
    """How it could stand in a file. Base64 depends on where the secret begins among three bytes; its ends are left out."""
    shifted = [base64.b64encode(b"\0" * shift + secret).decode()[4:-4].encode() for shift in range(3)]
    return [secret, secret.hex().encode(), json.dumps(secret.decode("latin-1"))[1:-1].encode(), *shifted]


def test_nothing_in_the_clear(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    with InProcessCloud(data) as cloud:
        hidden = fill(cloud)
        assert_hidden(data, hidden)
        sealed = cloud.read(lambda ctx: {stack.name.partition("-Below")[0]: bool(stack.sealed) for stack in ctx.tx.scan(Stack)})
        assert sealed == {"hushed": True, "plain": False}, "what has no secrets costs nothing"
    assert_hidden(data, hidden)
    assert [finding.line() for finding in examine(data, running=False).findings] == [], "shells are enough for the doctor"


def test_the_search_would_find_one(tmp_path: Path) -> None:
    with InProcessCloud(tmp_path) as cloud:
        cloud.api("ssm", "PutParameter", name="/plain", value=SECRETS[0], type="String")
    found: list[Any] = [path for path in tmp_path.rglob("*") if path.is_file() and SECRETS[0].encode() in path.read_bytes()]
    assert found


def assert_hidden(data: Path, hidden: list[bytes]) -> None:
    files = [path for path in data.rglob("*") if path.is_file()]
    assert any(path.name == "cloud.db" for path in files)
    for path in files:
        content = path.read_bytes()
        for number, secret in enumerate(hidden):
            for coat in coats(secret):
                assert coat not in content, f"secret {number} stands in {path.name}"

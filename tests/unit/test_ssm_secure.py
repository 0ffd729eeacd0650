"""SecureString, references to secrets, parameter policies and image parameters, through boto3."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from clients import Door
from harness import ACCOUNT, REGION, InProcessCloud, until
from people import People
from windtunnel.kernel.clock import FixedClock, SystemClock
from windtunnel.kernel.context import Context, Event
from windtunnel.kernel.registry import LISTENERS
from windtunnel.kernel.stock import STOCK_AMI
from windtunnel.services.ssm.policies import parse

DAY = 86400.0


@pytest.fixture()
def cloud(tmp_path: Path) -> Iterator[InProcessCloud]:
    with InProcessCloud(tmp_path / "data") as started:
        yield started


@pytest.fixture()
def ssm(door: Door) -> Any:
    return door.client("ssm")


@pytest.fixture()
def person(cloud: InProcessCloud, door: Door) -> People:
    return People(cloud, door, "ssm")


def code(call: Callable[..., Any], **args: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**args)
    found: str = caught.value.response["Error"]["Code"]
    return found


def value(ssm: Any, name: str, decrypted: bool = True) -> str:
    found: str = ssm.get_parameter(Name=name, WithDecryption=decrypted)["Parameter"]["Value"]
    return found


@pytest.mark.parametrize("tier, text", [("Standard", "hush"), ("Advanced", "h" * 8000), ("Intelligent-Tiering", "h" * 5000)])
def test_a_secure_string_is_a_ciphertext_until_it_is_decrypted(ssm: Any, tier: str, text: str) -> None:
    ssm.put_parameter(Name="/s", Value=text, Type="SecureString", Tier=tier)
    assert value(ssm, "/s") == text
    assert "h" * 4 not in value(ssm, "/s", decrypted=False) and len(value(ssm, "/s", decrypted=False)) > len(text)
    for decrypted in (True, False):
        shown = [
            ssm.get_parameters(Names=["/s"], WithDecryption=decrypted)["Parameters"][0]["Value"],
            ssm.get_parameters_by_path(Path="/", WithDecryption=decrypted)["Parameters"][0]["Value"],
            ssm.get_parameter_history(Name="/s", WithDecryption=decrypted)["Parameters"][0]["Value"],
        ]
        assert [item == text for item in shown] == [decrypted] * 3
    described = ssm.describe_parameters()["Parameters"][0]
    assert (described["KeyId"], described["Type"]) == ("alias/aws/ssm", "SecureString")
    by_key = [{"Key": "KeyId", "Values": ["alias/aws/ssm"]}]
    assert len(ssm.describe_parameters(ParameterFilters=by_key)["Parameters"]) == 1
    assert len(ssm.get_parameters_by_path(Path="/", ParameterFilters=by_key)["Parameters"]) == 1


def test_every_version_of_a_secure_string_opens(ssm: Any) -> None:
    for number in range(3):
        ssm.put_parameter(Name="/s", Value=f"v{number}", Type="SecureString", Overwrite=True)
    history = ssm.get_parameter_history(Name="/s", WithDecryption=True)["Parameters"]
    assert [(entry["Version"], entry["Value"]) for entry in history] == [(1, "v0"), (2, "v1"), (3, "v2")]
    assert value(ssm, "/s:2") == "v1"
    ssm.put_parameter(Name="/s", Value="plain", Type="String", Overwrite=True)
    assert value(ssm, "/s", decrypted=False) == "plain"


def test_the_key_decides_who_reads(ssm: Any, door: Door, person: People) -> None:
    kms = door.client("kms")
    key = kms.create_key()["KeyMetadata"]["Arn"]
    ssm.put_parameter(Name="/own", Value="hush", Type="SecureString", KeyId=key)
    ssm.put_parameter(Name="/default", Value="hush", Type="SecureString")
    ann = person("ann", {"Action": "ssm:*"})
    assert value(ann, "/default") == "hush"
    assert value(ann, "/own", decrypted=False)
    with pytest.raises(ClientError, match="Service: AWSKMS; Status Code: 400; Error Code: AccessDeniedException"):
        value(ann, "/own")
    assert code(ann.get_parameters, Names=["/own"], WithDecryption=True) == "AccessDeniedException"
    put = {"Name": "/own", "Value": "new", "Type": "SecureString", "KeyId": key, "Overwrite": True}
    assert code(ann.put_parameter, **put) == "AccessDeniedException"
    context = {"StringEquals": {"kms:EncryptionContext:PARAMETER_ARN": f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/own"}}
    person("ann", {"Action": "ssm:*"}, {"Action": ["kms:Decrypt", "kms:Encrypt"], "Resource": key, "Condition": context})
    assert value(ann, "/own") == "hush"
    assert ann.put_parameter(**put)["Version"] == 2
    ssm.put_parameter(Name="/own", Value="newer", Overwrite=True)
    assert ssm.get_parameter_history(Name="/own")["Parameters"][-1]["KeyId"] == key, "a new version keeps its key"
    kms.disable_key(KeyId=key)
    assert code(ssm.get_parameter, Name="/own", WithDecryption=True) == "InvalidKeyId"
    assert code(ssm.put_parameter, **put) == "InvalidKeyId"


def test_a_ciphertext_belongs_to_its_parameter(ssm: Any, door: Door) -> None:
    from base64 import b64decode

    kms = door.client("kms")
    key = kms.create_key()["KeyMetadata"]["Arn"]
    ssm.put_parameter(Name="/a", Value="hush", Type="SecureString", KeyId=key)
    blob = b64decode(value(ssm, "/a", decrypted=False))
    context = {"PARAMETER_ARN": f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/a"}
    assert kms.decrypt(CiphertextBlob=blob, EncryptionContext=context)["Plaintext"] == b"hush"
    assert code(kms.decrypt, CiphertextBlob=blob) == "InvalidCiphertextException"


def test_a_secret_is_read_as_a_parameter(ssm: Any, door: Door, person: People) -> None:
    secrets = door.client("secretsmanager")
    made = secrets.create_secret(Name="app/db", SecretString="hush")
    secrets.put_secret_value(SecretId="app/db", SecretString="newer")
    name = "/aws/reference/secretsmanager/app/db"
    found = ssm.get_parameter(Name=name, WithDecryption=True)["Parameter"]
    assert (found["Name"], found["Type"], found["Value"]) == (name, "SecureString", "newer")
    assert json.loads(found["SourceResult"])["ARN"] == made["ARN"]
    assert value(ssm, f"{name}:AWSPREVIOUS") == value(ssm, f"{name}:{made['VersionId']}") == "hush"
    assert [item["Value"] for item in ssm.get_parameters(Names=[name], WithDecryption=True)["Parameters"]] == ["newer"]
    assert code(ssm.get_parameter, Name=name) == "ValidationException"
    assert code(ssm.get_parameter, Name=f"{name}2", WithDecryption=True) == "ParameterNotFound"
    assert code(person("ann", {"Action": "ssm:*"}).get_parameter, Name=name, WithDecryption=True) == "AccessDeniedException"
    both = person("ann", {"Action": ["ssm:GetParameter", "secretsmanager:GetSecretValue"]})
    assert value(both, name) == "newer"


def test_a_label_filter_shows_the_version_that_it_names(ssm: Any) -> None:
    ssm.put_parameter(Name="/l/a", Value="old", Type="String")
    ssm.label_parameter_version(Name="/l/a", Labels=["prod"])
    ssm.put_parameter(Name="/l/a", Value="new", Type="String", Overwrite=True)
    ssm.put_parameter(Name="/l/b", Value="other", Type="String")
    found = ssm.get_parameters_by_path(Path="/l", ParameterFilters=[{"Key": "Label", "Values": ["prod"]}])["Parameters"]
    assert [(item["Name"], item["Value"], item["Version"]) for item in found] == [("/l/a", "old", 1)]


def test_an_image_parameter_names_an_image(ssm: Any, person: People) -> None:
    image = {"Type": "String", "DataType": "aws:ec2:image"}
    ssm.put_parameter(Name="/ami", Value=STOCK_AMI, **image)
    assert ssm.get_parameter(Name="/ami")["Parameter"]["DataType"] == "aws:ec2:image"
    assert code(ssm.put_parameter, Name="/none", Value="ami-0123456789abcdef0", **image) == "ValidationException"
    assert code(ssm.put_parameter, Name="/none", Value=STOCK_AMI, Type="StringList", DataType="aws:ec2:image") == "ValidationException"
    ann = person("ann", {"Action": "ssm:PutParameter"})
    assert code(ann.put_parameter, Name="/ann", Value=STOCK_AMI, **image) == "AccessDeniedException"
    assert len(ssm.describe_parameters(ParameterFilters=[{"Key": "DataType", "Values": ["aws:ec2:image"]}])["Parameters"]) == 1


def test_public_parameters_have_arns_without_an_account(ssm: Any) -> None:
    name = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
    found = ssm.get_parameter(Name=name)["Parameter"]
    assert found["ARN"] == f"arn:aws:ssm:{REGION}::parameter{name}"
    assert value(ssm, found["ARN"]) == STOCK_AMI


def test_the_default_tier_is_a_setting_that_acts(ssm: Any) -> None:
    tier = "/ssm/parameter-store/default-parameter-tier"
    assert ssm.get_service_setting(SettingId=tier)["ServiceSetting"]["SettingValue"] == "Standard"
    large = {"Value": "x" * 5000, "Type": "String"}
    assert code(ssm.put_parameter, Name="/a", **large) == "ValidationException"
    ssm.update_service_setting(SettingId=tier, SettingValue="Intelligent-Tiering")
    shown = ssm.get_service_setting(SettingId=f"arn:aws:ssm:{REGION}:{ACCOUNT}:servicesetting{tier}")["ServiceSetting"]
    assert (shown["SettingValue"], shown["Status"]) == ("Intelligent-Tiering", "Customized")
    assert ssm.put_parameter(Name="/a", **large)["Tier"] == "Advanced"
    assert ssm.put_parameter(Name="/b", Value="x", Type="String")["Tier"] == "Standard"
    assert ssm.reset_service_setting(SettingId=tier)["ServiceSetting"]["Status"] == "Default"
    assert code(ssm.put_parameter, Name="/c", **large) == "ValidationException"
    assert code(ssm.update_service_setting, SettingId=tier, SettingValue="Huge") == "ValidationException"
    assert code(ssm.get_service_setting, SettingId="/ssm/managed-instance/activation-tier") == "NotImplemented"
    assert code(ssm.get_service_setting, SettingId="/none") == "ServiceSettingNotFound"


def test_nothing_is_shared(ssm: Any) -> None:
    ssm.put_parameter(Name="/a", Value="v", Type="String")
    assert ssm.get_resource_policies(ResourceArn=f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/a")["Policies"] == []
    assert code(ssm.get_resource_policies, ResourceArn=f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/b") == "ResourceNotFoundException"
    refused = {"ResourceArn": f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/a", "Policy": "{}"}
    assert code(ssm.put_resource_policy, **refused) == "NotImplemented"


# -- policies ---------------------------------------------------------------------------------------------------------------


def expiration(at: float) -> dict[str, Any]:
    return {"Type": "Expiration", "Version": "1.0", "Attributes": {"Timestamp": datetime.fromtimestamp(at, UTC).isoformat()}}


def notification(before: int) -> dict[str, Any]:
    return {"Type": "ExpirationNotification", "Version": "1.0", "Attributes": {"Before": str(before), "Unit": "Days"}}


def no_change(after: int) -> dict[str, Any]:
    return {"Type": "NoChangeNotification", "Version": "1.0", "Attributes": {"After": str(after), "Unit": "Days"}}


NOW = 1_700_000_000.0


@pytest.mark.parametrize(
    "text, expected",
    [
        ("nonsense", "InvalidPolicyAttributeException"),
        (json.dumps({"Type": "Expiration"}), "InvalidPolicyAttributeException"),
        (json.dumps([{"Type": "Other", "Version": "1.0", "Attributes": {}}]), "InvalidPolicyTypeException"),
        (json.dumps([expiration(NOW - 1)]), "InvalidPolicyAttributeException"),
        (json.dumps([{"Type": "Expiration", "Version": "1.0", "Attributes": {"Timestamp": "soon"}}]), "InvalidPolicyAttributeException"),
        (
            json.dumps([{"Type": "NoChangeNotification", "Version": "1.0", "Attributes": {"After": "-1", "Unit": "Days"}}]),
            "InvalidPolicyAttributeException",
        ),
        (json.dumps([expiration(NOW + DAY), expiration(NOW + DAY)]), "IncompatiblePolicyException"),
        (json.dumps([notification(1)]), "IncompatiblePolicyException"),
        (json.dumps([no_change(1)] * 11), "PoliciesLimitExceededException"),
    ],
)
def test_what_is_no_policy(text: str, expected: str) -> None:
    from windtunnel.kernel.errors import AwsError

    with pytest.raises(AwsError) as caught:
        parse(text, NOW)
    assert caught.value.code == expected


def test_only_an_advanced_parameter_has_policies(ssm: Any) -> None:
    args = {"Name": "/p", "Value": "v", "Type": "String", "Policies": json.dumps([no_change(1)])}
    assert code(ssm.put_parameter, **args) == "ValidationException"
    assert code(ssm.get_parameter, Name="/p") == "ParameterNotFound"
    assert ssm.put_parameter(**args, Tier="Intelligent-Tiering")["Tier"] == "Advanced"
    shown = ssm.describe_parameters()["Parameters"][0]["Policies"]
    assert [(policy["PolicyType"], policy["PolicyStatus"]) for policy in shown] == [("NoChangeNotification", "Pending")]
    ssm.put_parameter(Name="/p", Value="w", Overwrite=True)
    assert ssm.describe_parameters()["Parameters"][0]["Policies"] == shown
    ssm.put_parameter(Name="/p", Value="x", Overwrite=True, Policies="[{}]")
    assert ssm.describe_parameters()["Parameters"][0]["Policies"] == []


@pytest.fixture()
def heard() -> Iterator[list[str]]:
    """What the events of Parameter Store say."""
    said: list[str] = []

    def listen(ctx: Context, event: Event) -> None:
        said.append(event.detail.get("policy-type") or event.detail["operation"])

    LISTENERS.append(("aws.ssm", "*", listen))
    yield said
    LISTENERS.remove(("aws.ssm", "*", listen))


def test_a_parameter_expires_at_its_date_and_somebody_is_told_before(tmp_path: Path, heard: list[str]) -> None:
    clock = FixedClock(NOW)
    policies = json.dumps([expiration(NOW + 10 * DAY), notification(3)])
    with InProcessCloud(tmp_path, clock=clock) as cloud:
        cloud.api("ssm", "PutParameter", name="/p", value="v", type="String", tier="Advanced", policies=policies)
        cloud.settled()
    clock.advance(8 * DAY)
    with InProcessCloud(tmp_path, clock=clock) as cloud:
        until(lambda: statuses(cloud) == ["Pending", "Finished"], what="the notification")
        assert cloud.api("ssm", "GetParameter", name="/p")["Parameter"]["Value"] == "v"
        cloud.settled()
    clock.advance(3 * DAY)
    with InProcessCloud(tmp_path, clock=clock) as cloud:
        until(lambda: cloud.api("ssm", "DescribeParameters")["Parameters"] == [], what="the parameter is gone")
        until(lambda: heard == ["Create", "ExpirationNotification", "Expiration", "Delete"], what=f"each event once: {heard}")


def statuses(cloud: InProcessCloud) -> list[str]:
    return [policy["PolicyStatus"] for policy in cloud.api("ssm", "DescribeParameters")["Parameters"][0]["Policies"]]


def test_a_parameter_that_nobody_changes_is_told_of(tmp_path: Path) -> None:
    with InProcessCloud(tmp_path, clock=SystemClock(pace=20 * DAY * 10.0)) as cloud:
        policies = json.dumps([no_change(20)])
        cloud.api("ssm", "PutParameter", name="/p", value="v", type="String", tier="Advanced", policies=policies)
        until(lambda: statuses(cloud) == ["Finished"], what="the event")
        cloud.api("ssm", "PutParameter", name="/p", value="w", overwrite=True)
        assert statuses(cloud) == ["Pending"], "a change begins the wait anew"
        until(lambda: statuses(cloud) == ["Finished"], what="the second event")

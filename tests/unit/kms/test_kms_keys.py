"""Keys, aliases, policies and what becomes of them, through boto3."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from harness import ACCOUNT, REGION, InProcessCloud, until
from windtunnel.kernel.clock import FixedClock, SystemClock
from windtunnel.services.kms.managed import SERVICES

DAY = 86400
ROOT = f"arn:aws:iam::{ACCOUNT}:root"


def code(call: Callable[..., Any], **args: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**args)
    found: str = caught.value.response["Error"]["Code"]
    return found


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Resource": "*", **item} for item in statements]})


def test_a_key_is_what_was_asked_for(kms: Any) -> None:
    made = kms.create_key(Description="mine", Tags=[{"TagKey": "team", "TagValue": "a"}])["KeyMetadata"]
    assert made["Arn"] == f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{made['KeyId']}"
    assert (made["KeySpec"], made["KeyUsage"], made["Origin"]) == ("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT", "AWS_KMS")
    assert (made["KeyState"], made["Enabled"], made["KeyManager"]) == ("Enabled", True, "CUSTOMER")
    assert made["EncryptionAlgorithms"] == ["SYMMETRIC_DEFAULT"]
    for name in (made["KeyId"], made["Arn"]):
        assert kms.describe_key(KeyId=name)["KeyMetadata"] == made
    kms.update_key_description(KeyId=made["KeyId"], Description="ours")
    assert kms.describe_key(KeyId=made["KeyId"])["KeyMetadata"]["Description"] == "ours"
    assert kms.list_resource_tags(KeyId=made["KeyId"])["Tags"] == [{"TagKey": "team", "TagValue": "a"}]


def test_a_multi_region_key_is_a_primary_without_replicas(kms: Any) -> None:
    made = kms.create_key(MultiRegion=True)["KeyMetadata"]
    assert made["KeyId"].startswith("mrk-") and len(made["KeyId"]) == 36 and made["MultiRegion"] is True
    assert made["MultiRegionConfiguration"] == {
        "MultiRegionKeyType": "PRIMARY",
        "PrimaryKey": {"Arn": made["Arn"], "Region": REGION},
        "ReplicaKeys": [],
    }
    blob = kms.encrypt(KeyId=made["KeyId"], Plaintext=b"hello")["CiphertextBlob"]
    opened = kms.decrypt(CiphertextBlob=blob)
    assert (opened["Plaintext"], opened["KeyId"]) == (b"hello", made["Arn"])
    assert code(kms.replicate_key, KeyId=made["KeyId"], ReplicaRegion="eu-west-1") == "NotImplemented"
    assert "MultiRegionConfiguration" not in kms.create_key()["KeyMetadata"]


@pytest.mark.parametrize(
    "args, expected",
    [
        ({"KeySpec": "RSA_2048"}, "ValidationException"),
        ({"KeySpec": "HMAC_256", "KeyUsage": "SIGN_VERIFY"}, "ValidationException"),
        ({"KeySpec": "RSA_2048", "CustomerMasterKeySpec": "RSA_2048"}, "ValidationException"),
        ({"KeySpec": "SM2", "KeyUsage": "SIGN_VERIFY"}, "NotImplemented"),
        ({"Origin": "AWS_CLOUDHSM"}, "NotImplemented"),
        ({"Policy": "{}"}, "MalformedPolicyDocumentException"),
        ({"Tags": [{"TagKey": "a", "TagValue": "1"}, {"TagKey": "a", "TagValue": "2"}]}, "TagException"),
    ],
)
def test_what_cannot_be_a_key_is_refused(kms: Any, args: dict[str, Any], expected: str) -> None:
    before = len(kms.list_keys()["Keys"])
    assert code(kms.create_key, **args) == expected
    assert len(kms.list_keys()["Keys"]) == before


@pytest.mark.parametrize(
    "name, expected, words",
    [
        ("12345678-1234-1234-1234-123456789012", "NotFoundException", "does not exist"),
        ("nonsense", "NotFoundException", "Invalid keyId 'nonsense'"),
        ("alias/none", "NotFoundException", f"Alias arn:aws:kms:{REGION}:{ACCOUNT}:alias/none is not found."),
        ("alias/aws/none", "NotFoundException", "is not found"),
        (f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/12345678-1234-1234-1234-123456789012", "NotFoundException", "Invalid arn eu-west-1"),
        ("arn:aws:s3:::x", "InvalidArnException", "Invalid arn"),
    ],
)
def test_a_key_that_is_not_there(kms: Any, name: str, expected: str, words: str) -> None:
    with pytest.raises(ClientError) as caught:
        kms.describe_key(KeyId=name)
    assert caught.value.response["Error"]["Code"] == expected
    assert words in caught.value.response["Error"]["Message"]


def test_aliases(kms: Any) -> None:
    first, second = (kms.create_key()["KeyMetadata"]["KeyId"] for _ in range(2))
    kms.create_alias(AliasName="alias/app", TargetKeyId=first)
    assert kms.describe_key(KeyId="alias/app")["KeyMetadata"]["KeyId"] == first
    assert kms.describe_key(KeyId=f"arn:aws:kms:{REGION}:{ACCOUNT}:alias/app")["KeyMetadata"]["KeyId"] == first
    assert code(kms.create_alias, AliasName="alias/app", TargetKeyId=second) == "AlreadyExistsException"
    assert code(kms.create_alias, AliasName="app", TargetKeyId=second) == "ValidationException"
    assert code(kms.create_alias, AliasName="alias/aws/app", TargetKeyId=second) == "InvalidAliasNameException"
    kms.update_alias(AliasName="alias/app", TargetKeyId=second)
    found = kms.list_aliases(KeyId=second)["Aliases"]
    assert [(alias["AliasName"], alias["TargetKeyId"]) for alias in found] == [("alias/app", second)]
    assert code(kms.enable_key, KeyId="alias/app") == "NotFoundException"
    kms.delete_alias(AliasName="alias/app")
    assert code(kms.delete_alias, AliasName="alias/app") == "NotFoundException"
    assert kms.list_aliases(KeyId=second)["Aliases"] == []


def test_lists_are_in_pages(kms: Any) -> None:
    made = {kms.create_key()["KeyMetadata"]["KeyId"] for _ in range(5)}
    pages = list(kms.get_paginator("list_keys").paginate(PaginationConfig={"PageSize": 4}))
    ids = [key["KeyId"] for page in pages for key in page["Keys"]]
    assert len(pages) > 1 and made <= set(ids) and len(ids) == len(set(ids)) == 5 + len(SERVICES)
    assert code(kms.list_keys, Marker="made up") == "InvalidMarkerException"
    names = [alias["AliasName"] for page in kms.get_paginator("list_aliases").paginate() for alias in page["Aliases"]]
    assert "alias/aws/s3" in names


def test_a_managed_key_is_there_from_the_start(kms: Any) -> None:
    found = kms.describe_key(KeyId="alias/aws/s3")["KeyMetadata"]
    assert (found["KeyManager"], found["Enabled"]) == ("AWS", True)
    assert kms.describe_key(KeyId=found["KeyId"])["KeyMetadata"] == found
    assert f"s3.{REGION}.amazonaws.com" in kms.get_key_policy(KeyId=found["KeyId"])["Policy"]
    for call, more in ((kms.disable_key, {}), (kms.schedule_key_deletion, {}), (kms.update_key_description, {"Description": "x"})):
        assert code(call, KeyId=found["KeyId"], **more) == "AccessDeniedException"


def test_a_disabled_key_does_nothing_until_it_is_enabled(kms: Any) -> None:
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    blob = kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    kms.disable_key(KeyId=key)
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "Disabled"
    assert code(kms.encrypt, KeyId=key, Plaintext=b"x") == "DisabledException"
    assert code(kms.decrypt, CiphertextBlob=blob) == "DisabledException"
    kms.enable_key(KeyId=key)
    assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"


def test_a_key_that_is_to_be_deleted_can_be_had_back(kms: Any, cloud: InProcessCloud) -> None:
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    assert code(kms.cancel_key_deletion, KeyId=key) == "KMSInvalidStateException"
    assert code(kms.schedule_key_deletion, KeyId=key, PendingWindowInDays=5) == "ValidationException"
    reply = kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    assert reply["KeyState"] == "PendingDeletion"
    found = kms.describe_key(KeyId=key)["KeyMetadata"]
    assert (found["KeyState"], found["DeletionDate"]) == ("PendingDeletion", reply["DeletionDate"])
    for call, more in ((kms.encrypt, {"Plaintext": b"x"}), (kms.enable_key, {}), (kms.schedule_key_deletion, {})):
        assert code(call, KeyId=key, **more) == "KMSInvalidStateException"
    assert kms.cancel_key_deletion(KeyId=key)["KeyId"].endswith(key)
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "Disabled"

    def ended() -> bool:
        rows = cloud.read(lambda ctx: ctx.tx.connection.execute("SELECT state FROM run WHERE kind='kms.delete'").fetchall())  # type: ignore[attr-defined]
        return rows == [("done",)]

    until(ended, what="the job that was to delete it has ended")
    kms.enable_key(KeyId=key)


def test_a_key_goes_when_its_window_has_passed(tmp_path: Path) -> None:
    from clients import Door

    with InProcessCloud(tmp_path, clock=SystemClock(pace=7 * DAY * 20.0)) as cloud:
        kms = Door(cloud).client("kms")
        key = kms.create_key()["KeyMetadata"]["KeyId"]
        kms.create_alias(AliasName="alias/app", TargetKeyId=key)
        blob = kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
        kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
        until(lambda: not any(found["KeyId"] == key for found in kms.list_keys()["Keys"]), what="the key is gone")
        assert code(kms.describe_key, KeyId=key) == "NotFoundException"
        assert code(kms.describe_key, KeyId="alias/app") == "NotFoundException"
        with pytest.raises(ClientError, match="not authorized to perform: kms:Decrypt on the resource associated with this ciphertext"):
            kms.decrypt(CiphertextBlob=blob)


def test_a_window_that_passes_while_the_cloud_is_down(tmp_path: Path) -> None:
    clock = FixedClock()
    with InProcessCloud(tmp_path, clock=clock) as cloud:
        key = cloud.api("kms", "CreateKey")["KeyMetadata"]["KeyId"]
        at = cloud.api("kms", "ScheduleKeyDeletion", key_id=key, pending_window_in_days=7)["DeletionDate"]
        assert at == clock.now() + 7 * DAY
        cloud.settled()
    clock.advance(8 * DAY)
    with InProcessCloud(tmp_path, clock=clock) as cloud:
        until(lambda: all(found["KeyId"] != key for found in cloud.api("kms", "ListKeys")["Keys"]), what="the key is gone")


def test_the_default_policy_hands_the_key_to_the_account(kms: Any, person: Any) -> None:
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    document = json.loads(kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"])
    assert document["Statement"][0]["Principal"] == {"AWS": ROOT}
    assert kms.list_key_policies(KeyId=key)["PolicyNames"] == ["default"]
    assert code(person("ann").encrypt, KeyId=key, Plaintext=b"x") == "AccessDeniedException"
    assert person("ann", {"Action": "kms:Encrypt"}).encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    assert code(person("ann").describe_key, KeyId=key) == "AccessDeniedException"


def test_without_the_key_policy_iam_policies_do_not_count(kms: Any, person: Any) -> None:
    ann, bob = person("ann"), person("bob", {"Action": "kms:*"})
    only = policy({"Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:user/ann"}, "Action": "kms:*"})
    assert code(kms.create_key, Policy=only) == "MalformedPolicyDocumentException", "root would lock itself out"
    key = kms.create_key(Policy=only, BypassPolicyLockoutSafetyCheck=True)["KeyMetadata"]["KeyId"]
    assert ann.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"], "the key policy alone is enough"
    for other in (kms, bob):
        with pytest.raises(ClientError, match="because no resource-based policy allows the kms:Encrypt action"):
            other.encrypt(KeyId=key, Plaintext=b"x")
    ann.put_key_policy(KeyId=key, Policy=policy({"Principal": {"AWS": [ROOT, f"arn:aws:iam::{ACCOUNT}:user/ann"]}, "Action": "kms:*"}))
    assert bob.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]


@pytest.mark.parametrize("principal", ["user/nobody", "role/nobody", "user/path/ann"])
def test_a_key_policy_names_only_who_is_there(kms: Any, person: Any, principal: str) -> None:
    person("ann")
    named = [{"Principal": {"AWS": [ROOT, f"arn:aws:iam::{ACCOUNT}:{name}"]}, "Action": "kms:*"} for name in ("user/ann", principal)]
    key = kms.create_key(Policy=policy(named[0]))["KeyMetadata"]["KeyId"]
    with pytest.raises(ClientError, match="one or more invalid principals"):
        kms.put_key_policy(KeyId=key, Policy=policy(named[1]))
    assert json.loads(kms.get_key_policy(KeyId=key)["Policy"]) == json.loads(policy(named[0]))


def test_an_explicit_deny_of_the_key_policy_holds_for_everyone(kms: Any, person: Any) -> None:
    statements = [{"Principal": {"AWS": ROOT}, "Action": "kms:*"}, {"Effect": "Deny", "Principal": "*", "Action": "kms:Decrypt"}]
    key = kms.create_key(Policy=policy(*statements))["KeyMetadata"]["KeyId"]
    blob = kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    assert code(kms.decrypt, CiphertextBlob=blob) == "AccessDeniedException"


@pytest.mark.parametrize(
    "condition, allowed",
    [
        ({"StringEquals": {"kms:EncryptionContext:app": "shop"}}, True),
        ({"StringEquals": {"kms:EncryptionContext:app": "other"}}, False),
        ({"ForAllValues:StringEquals": {"kms:EncryptionContextKeys": ["app", "stage"]}}, True),
        ({"StringEquals": {"kms:ViaService": f"s3.{REGION}.amazonaws.com"}}, False),
        ({"StringEquals": {"kms:CallerAccount": ACCOUNT}}, True),
        ({"StringEquals": {"kms:KeySpec": "SYMMETRIC_DEFAULT", "kms:KeyUsage": "ENCRYPT_DECRYPT", "kms:KeyOrigin": "AWS_KMS"}}, True),
        ({"ForAnyValue:StringEquals": {"kms:ResourceAliases": "alias/app"}}, True),
        ({"StringEquals": {"kms:RequestAlias": "alias/app"}}, True),
        ({"StringEquals": {"kms:RequestAlias": "alias/other"}}, False),
        ({"StringEquals": {"aws:ResourceTag/team": "a"}}, True),
        ({"StringEquals": {"kms:EncryptionAlgorithm": "RSAES_OAEP_SHA_256"}}, False),
        ({"Bool": {"kms:MultiRegion": "false"}}, True),
    ],
)
def test_condition_keys(kms: Any, person: Any, condition: dict[str, Any], allowed: bool) -> None:
    key = kms.create_key(Tags=[{"TagKey": "team", "TagValue": "a"}])["KeyMetadata"]["KeyId"]
    kms.create_alias(AliasName="alias/app", TargetKeyId=key)
    ann = person("ann", {"Action": "kms:Encrypt", "Condition": condition})
    args = {"KeyId": "alias/app", "Plaintext": b"x", "EncryptionContext": {"app": "shop"}}
    if allowed:
        assert ann.encrypt(**args)["CiphertextBlob"]
    else:
        assert code(ann.encrypt, **args) == "AccessDeniedException"


def test_an_alias_takes_permission_on_both_sides(kms: Any, person: Any) -> None:
    key = kms.create_key()["KeyMetadata"]
    alias = f"arn:aws:kms:{REGION}:{ACCOUNT}:alias/app"
    ann = person("ann", {"Action": "kms:CreateAlias", "Resource": key["Arn"]})
    assert code(ann.create_alias, AliasName="alias/app", TargetKeyId=key["KeyId"]) == "AccessDeniedException"
    ann = person("ann", {"Action": "kms:CreateAlias", "Resource": alias})
    assert code(ann.create_alias, AliasName="alias/app", TargetKeyId=key["KeyId"]) == "AccessDeniedException"
    person("ann", {"Action": "kms:CreateAlias", "Resource": [alias, key["Arn"]]}).create_alias(
        AliasName="alias/app", TargetKeyId=key["KeyId"]
    )


def test_another_account_needs_both_its_own_policy_and_the_keys(kms: Any, cloud: InProcessCloud) -> None:
    from windtunnel.kernel.principal import Principal

    other = "222222222222"
    stranger = Principal.root(other)
    key = kms.create_key()["KeyMetadata"]

    def encrypt(ctx: Any) -> Any:
        return ctx.in_scope(other, REGION).acting(stranger).call("kms", "Encrypt", key_id=key["Arn"], plaintext=b"x")

    from windtunnel.kernel.errors import AwsError

    with pytest.raises(AwsError, match="not authorized"):
        cloud.read(encrypt, stranger)
    kms.put_key_policy(
        KeyId=key["KeyId"],
        Policy=policy({"Principal": {"AWS": ROOT}, "Action": "kms:*"}, {"Principal": {"AWS": other}, "Action": "kms:Encrypt"}),
    )
    blob = cloud.read(encrypt, stranger)["CiphertextBlob"]
    assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"

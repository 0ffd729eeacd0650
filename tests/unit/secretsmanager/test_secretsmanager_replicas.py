"""Replicas in other regions: they follow their primary, are read like any secret, and changed only through it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from clients import Door

THERE = "eu-west-1"


def code(call: Callable[..., Any], **args: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**args)
    found: str = caught.value.response["Error"]["Code"]
    return found


@pytest.fixture()
def elsewhere(door: Door) -> Any:
    return door.client("secretsmanager", region=THERE)


def test_a_replica_follows_its_primary(secrets: Any, elsewhere: Any) -> None:
    made = secrets.create_secret(Name="a", SecretString="1", AddReplicaRegions=[{"Region": THERE}])
    assert [(item["Region"], item["Status"]) for item in made["ReplicationStatus"]] == [(THERE, "InSync")]
    arn = made["ARN"].replace("us-east-1", THERE)
    found = elsewhere.get_secret_value(SecretId="a")
    assert (found["ARN"], found["SecretString"], found["VersionId"]) == (arn, "1", made["VersionId"])
    secrets.put_secret_value(SecretId="a", SecretString="2")
    secrets.tag_resource(SecretId="a", Tags=[{"Key": "k", "Value": "v"}])
    secrets.update_secret(SecretId="a", Description="both")
    assert elsewhere.get_secret_value(SecretId=arn)["SecretString"] == "2"
    assert elsewhere.get_secret_value(SecretId="a", VersionStage="AWSPREVIOUS")["SecretString"] == "1"
    described = elsewhere.describe_secret(SecretId="a")
    assert (described["PrimaryRegion"], described["Description"], described["Tags"]) == ("us-east-1", "both", [{"Key": "k", "Value": "v"}])
    assert [secret["Name"] for secret in elsewhere.list_secrets(Filters=[{"Key": "primary-region", "Values": ["us-"]}])["SecretList"]] == [
        "a"
    ]


def test_a_replica_is_changed_through_its_primary_only(secrets: Any, elsewhere: Any) -> None:
    secrets.create_secret(Name="a", SecretString="1", AddReplicaRegions=[{"Region": THERE}])
    for call, more in (
        (elsewhere.put_secret_value, {"SecretString": "x"}),
        (elsewhere.update_secret, {"Description": "x"}),
        (elsewhere.tag_resource, {"Tags": []}),
        (elsewhere.delete_secret, {}),
        (elsewhere.replicate_secret_to_regions, {"AddReplicaRegions": [{"Region": "eu-north-1"}]}),
    ):
        assert code(call, SecretId="a", **more) == "InvalidRequestException"
    assert code(secrets.delete_secret, SecretId="a") == "InvalidRequestException"
    assert secrets.remove_regions_from_replication(SecretId="a", RemoveReplicaRegions=[THERE])["ReplicationStatus"] == []
    assert code(elsewhere.describe_secret, SecretId="a") == "ResourceNotFoundException"
    secrets.delete_secret(SecretId="a", ForceDeleteWithoutRecovery=True)


def test_a_replica_can_become_a_secret_of_its_own(secrets: Any, elsewhere: Any) -> None:
    secrets.create_secret(Name="a", SecretString="1")
    secrets.replicate_secret_to_regions(SecretId="a", AddReplicaRegions=[{"Region": THERE}])
    assert code(secrets.stop_replication_to_replica, SecretId="a") == "InvalidRequestException"
    elsewhere.stop_replication_to_replica(SecretId="a")
    elsewhere.put_secret_value(SecretId="a", SecretString="own")
    secrets.put_secret_value(SecretId="a", SecretString="2")
    assert elsewhere.get_secret_value(SecretId="a")["SecretString"] == "own"
    assert "ReplicationStatus" not in secrets.describe_secret(SecretId="a")


def test_a_namesake_stays_unless_it_may_be_overwritten(secrets: Any, elsewhere: Any) -> None:
    elsewhere.create_secret(Name="a", SecretString="other")
    made = secrets.create_secret(Name="a", SecretString="1", AddReplicaRegions=[{"Region": THERE}])["ReplicationStatus"]
    assert (made[0]["Status"], "already exists" in made[0]["StatusMessage"]) == ("Failed", True)
    secrets.put_secret_value(SecretId="a", SecretString="2")
    assert elsewhere.get_secret_value(SecretId="a")["SecretString"] == "other"
    again = {"SecretId": "a", "AddReplicaRegions": [{"Region": THERE}], "ForceOverwriteReplicaSecret": True}
    assert secrets.replicate_secret_to_regions(**again)["ReplicationStatus"][0]["Status"] == "InSync"
    assert elsewhere.get_secret_value(SecretId="a")["SecretString"] == "2"


def test_a_replica_has_a_key_of_its_region(secrets: Any, elsewhere: Any, door: Door) -> None:
    kms = door.client("kms", region=THERE)
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    here = door.client("kms").create_key()["KeyMetadata"]["KeyId"]
    made = secrets.create_secret(Name="a", SecretString="1", KmsKeyId=here, AddReplicaRegions=[{"Region": THERE, "KmsKeyId": key}])
    assert made["ReplicationStatus"] == [{"Region": THERE, "KmsKeyId": key, "Status": "InSync"}]
    kms.disable_key(KeyId=key)
    assert code(elsewhere.get_secret_value, SecretId="a") == "DecryptionFailure"
    secrets.put_secret_value(SecretId="a", SecretString="2")
    assert secrets.describe_secret(SecretId="a")["ReplicationStatus"][0]["Status"] == "Failed"
    kms.enable_key(KeyId=key)
    assert elsewhere.get_secret_value(SecretId="a")["SecretString"] == "1"
    secrets.put_secret_value(SecretId="a", SecretString="3")
    assert elsewhere.get_secret_value(SecretId="a")["SecretString"] == "3"
    bad = secrets.create_secret(Name="b", SecretString="1", AddReplicaRegions=[{"Region": THERE, "KmsKeyId": here}])
    assert bad["ReplicationStatus"][0]["Status"] == "Failed"
    assert code(elsewhere.describe_secret, SecretId="b") == "ResourceNotFoundException"

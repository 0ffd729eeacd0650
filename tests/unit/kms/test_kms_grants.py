"""Grants: permissions beside the policy, within their constraints, until they are retired or revoked."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from harness import ACCOUNT

ANN = f"arn:aws:iam::{ACCOUNT}:user/ann"
BOB = f"arn:aws:iam::{ACCOUNT}:user/bob"


def code(call: Callable[..., Any], **args: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**args)
    found: str = caught.value.response["Error"]["Code"]
    return found


@pytest.fixture()
def key(kms: Any) -> str:
    made: str = kms.create_key()["KeyMetadata"]["KeyId"]
    return made


def test_a_grant_allows_what_it_names_until_it_is_revoked(kms: Any, key: str, person: Any) -> None:
    ann = person("ann")
    assert code(ann.encrypt, KeyId=key, Plaintext=b"x") == "AccessDeniedException"
    grant = kms.create_grant(KeyId=key, GranteePrincipal=ANN, Operations=["Encrypt"])
    blob = ann.encrypt(KeyId=key, Plaintext=b"x", GrantTokens=[grant["GrantToken"]])["CiphertextBlob"]
    assert ann.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    assert code(ann.decrypt, CiphertextBlob=blob) == "AccessDeniedException"
    assert code(person("bob").encrypt, KeyId=key, Plaintext=b"x") == "AccessDeniedException"
    kms.revoke_grant(KeyId=key, GrantId=grant["GrantId"])
    assert code(ann.encrypt, KeyId=key, Plaintext=b"x") == "AccessDeniedException"
    assert code(kms.revoke_grant, KeyId=key, GrantId=grant["GrantId"]) == "NotFoundException"
    assert code(kms.encrypt, KeyId=key, Plaintext=b"x", GrantTokens=["made up"]) == "InvalidGrantTokenException"


@pytest.mark.parametrize(
    "constraint, context, allowed",
    [
        ({"EncryptionContextSubset": {"a": "1"}}, {"a": "1", "b": "2"}, True),
        ({"EncryptionContextSubset": {"a": "1"}}, {"b": "2"}, False),
        ({"EncryptionContextEquals": {"a": "1"}}, {"a": "1"}, True),
        ({"EncryptionContextEquals": {"a": "1"}}, {"a": "1", "b": "2"}, False),
        ({"EncryptionContextEquals": {"a": "1"}, "EncryptionContextSubset": {}}, {"a": "1"}, True),
    ],
)
def test_constraints(kms: Any, key: str, person: Any, constraint: Any, context: dict[str, str], allowed: bool) -> None:
    ann = person("ann")
    kms.create_grant(KeyId=key, GranteePrincipal=ANN, Operations=["Encrypt", "DescribeKey"], Constraints=constraint)
    assert ann.describe_key(KeyId=key)["KeyMetadata"]["KeyId"] == key
    if allowed:
        assert ann.encrypt(KeyId=key, Plaintext=b"x", EncryptionContext=context)["CiphertextBlob"]
    else:
        assert code(ann.encrypt, KeyId=key, Plaintext=b"x", EncryptionContext=context) == "AccessDeniedException"


def test_a_deny_in_the_key_policy_holds_against_a_grant(kms: Any, key: str, person: Any) -> None:
    kms.create_grant(KeyId=key, GranteePrincipal=ANN, Operations=["Encrypt"])
    assert person("ann").encrypt(KeyId=key, Plaintext=b"x")
    document = json.loads(kms.get_key_policy(KeyId=key)["Policy"])
    document["Statement"].append({"Effect": "Deny", "Principal": {"AWS": ANN}, "Action": "kms:Encrypt", "Resource": "*"})
    kms.put_key_policy(KeyId=key, Policy=json.dumps(document))
    assert code(person("ann").encrypt, KeyId=key, Plaintext=b"x") == "AccessDeniedException"


def test_who_may_retire_a_grant(kms: Any, key: str, person: Any) -> None:
    ann, bob = person("ann"), person("bob")
    grant = kms.create_grant(KeyId=key, GranteePrincipal=ANN, RetiringPrincipal=BOB, Operations=["Encrypt"])
    assert code(ann.retire_grant, GrantToken=grant["GrantToken"]) == "AccessDeniedException"
    bob.retire_grant(KeyId=key, GrantId=grant["GrantId"])
    assert kms.list_grants(KeyId=key)["Grants"] == []
    own = kms.create_grant(KeyId=key, GranteePrincipal=ANN, Operations=["Encrypt", "RetireGrant"])
    ann.retire_grant(GrantToken=own["GrantToken"])
    assert code(ann.retire_grant, GrantToken=own["GrantToken"]) == "InvalidGrantTokenException"
    assert code(kms.retire_grant) == "ValidationException"


def test_grants_are_listed_by_key_and_by_who_may_retire_them(kms: Any, key: str) -> None:
    made = [
        kms.create_grant(KeyId=key, GranteePrincipal=ANN, RetiringPrincipal=BOB, Operations=["Encrypt"], Name=f"n{n}") for n in range(3)
    ]
    pages = list(kms.get_paginator("list_grants").paginate(KeyId=key, PaginationConfig={"PageSize": 2}))
    assert [len(page["Grants"]) for page in pages] == [2, 1]
    assert {grant["GrantId"] for page in pages for grant in page["Grants"]} == {grant["GrantId"] for grant in made}
    assert len(kms.list_retirable_grants(RetiringPrincipal=BOB)["Grants"]) == 3
    assert kms.list_grants(KeyId=key, GranteePrincipal=BOB)["Grants"] == []
    one = kms.list_grants(KeyId=key, GrantId=made[1]["GrantId"])["Grants"]
    assert [(grant["Name"], grant["Operations"], grant["GranteePrincipal"]) for grant in one] == [("n1", ["Encrypt"], ANN)]


def test_a_named_grant_that_says_the_same_is_the_same(kms: Any, key: str) -> None:
    args = {"KeyId": key, "GranteePrincipal": ANN, "Operations": ["Encrypt", "Decrypt"], "Name": "app"}
    first = kms.create_grant(**args)
    assert kms.create_grant(**args)["GrantId"] == first["GrantId"]
    assert kms.create_grant(**{**args, "Operations": ["Encrypt"]})["GrantId"] != first["GrantId"]


@pytest.mark.parametrize(
    "args, expected",
    [
        ({"GranteePrincipal": "nobody"}, "InvalidArnException"),
        ({"Operations": ["Sign"]}, "ValidationException"),
        ({"Operations": []}, "ValidationException"),
        ({"KeyId": "alias/aws/s3"}, "NotFoundException"),
        ({"DryRun": True}, "DryRunOperationException"),
    ],
)
def test_what_is_no_grant(kms: Any, key: str, args: dict[str, Any], expected: str) -> None:
    assert code(kms.create_grant, **{"KeyId": key, "GranteePrincipal": ANN, "Operations": ["Encrypt"], **args}) == expected
    assert kms.list_grants(KeyId=key)["Grants"] == []


@pytest.mark.parametrize(
    "condition, allowed",
    [
        ({"Bool": {"kms:GrantIsForAWSResource": "true"}}, False),
        ({"ForAllValues:StringEquals": {"kms:GrantOperations": ["Encrypt", "Decrypt"]}}, True),
        ({"ForAllValues:StringEquals": {"kms:GrantOperations": ["Decrypt"]}}, False),
        ({"StringEquals": {"kms:GranteePrincipal": ANN}}, True),
        ({"StringEquals": {"kms:GrantConstraintType": "EncryptionContextEquals"}}, False),
    ],
)
def test_conditions_of_granting(kms: Any, key: str, person: Any, condition: dict[str, Any], allowed: bool) -> None:
    person("ann")
    bob = person("bob", {"Action": "kms:CreateGrant", "Condition": condition})
    args = {"KeyId": key, "GranteePrincipal": ANN, "Operations": ["Encrypt"]}
    if allowed:
        assert bob.create_grant(**args)["GrantId"]
    else:
        assert code(bob.create_grant, **args) == "AccessDeniedException"


def test_there_are_no_custom_key_stores(kms: Any) -> None:
    assert kms.describe_custom_key_stores()["CustomKeyStores"] == []
    assert code(kms.describe_custom_key_stores, CustomKeyStoreId="cks-1") == "CustomKeyStoreNotFoundException"
    assert code(kms.create_custom_key_store, CustomKeyStoreName="mine") == "NotImplemented"

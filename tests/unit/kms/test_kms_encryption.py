"""What is encrypted under a key: contexts, self-describing ciphertexts, data keys, services on a caller's behalf, material at rest."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from harness import ACCOUNT, REGION, InProcessCloud
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.principal import Principal
from windtunnel.kernel.scope import Scope
from windtunnel.services.kms import ciphertext

HERE = Scope(ACCOUNT, REGION)
ID = "11111111-2222-4333-8444-555555555555"


def code(call: Callable[..., Any], **args: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**args)
    found: str = caught.value.response["Error"]["Code"]
    return found


@pytest.fixture()
def key(kms: Any) -> str:
    made: str = kms.create_key()["KeyMetadata"]["KeyId"]
    return made


def test_a_ciphertext_knows_its_key(kms: Any, key: str) -> None:
    made = kms.encrypt(KeyId=key, Plaintext=b"hello", EncryptionContext={"a": "1", "b": "2"})
    assert made["KeyId"].endswith(f"key/{key}") and made["EncryptionAlgorithm"] == "SYMMETRIC_DEFAULT"
    assert b"hello" not in made["CiphertextBlob"]
    opened = kms.decrypt(CiphertextBlob=made["CiphertextBlob"], EncryptionContext={"b": "2", "a": "1"})
    assert (opened["Plaintext"], opened["KeyId"]) == (b"hello", made["KeyId"])
    assert opened["KeyMaterialId"] == kms.describe_key(KeyId=key)["KeyMetadata"]["CurrentKeyMaterialId"]


def test_nothing_else_opens_it(kms: Any, key: str) -> None:
    blob = kms.encrypt(KeyId=key, Plaintext=b"hello", EncryptionContext={"a": "1"})["CiphertextBlob"]
    other = kms.create_key()["KeyMetadata"]["KeyId"]
    assert code(kms.decrypt, CiphertextBlob=blob) == "InvalidCiphertextException"
    assert code(kms.decrypt, CiphertextBlob=blob, EncryptionContext={"a": "2"}) == "InvalidCiphertextException"
    assert code(kms.decrypt, CiphertextBlob=blob[:-1] + bytes([blob[-1] ^ 1]), EncryptionContext={"a": "1"}) == "InvalidCiphertextException"
    assert code(kms.decrypt, CiphertextBlob=b"made up") == "InvalidCiphertextException"
    assert code(kms.decrypt, CiphertextBlob=blob, KeyId=other, EncryptionContext={"a": "1"}) == "IncorrectKeyException"


def test_re_encryption_keeps_the_plaintext_inside(kms: Any, key: str) -> None:
    other = kms.create_key()["KeyMetadata"]["KeyId"]
    blob = kms.encrypt(KeyId=key, Plaintext=b"hello", EncryptionContext={"a": "1"})["CiphertextBlob"]
    moved = kms.re_encrypt(
        CiphertextBlob=blob, SourceEncryptionContext={"a": "1"}, DestinationKeyId=other, DestinationEncryptionContext={"b": "2"}
    )
    assert (moved["SourceKeyId"][-36:], moved["KeyId"][-36:]) == (key, other) and "Plaintext" not in moved
    assert kms.decrypt(CiphertextBlob=moved["CiphertextBlob"], EncryptionContext={"b": "2"})["Plaintext"] == b"hello"


def test_data_keys(kms: Any, key: str) -> None:
    made = kms.generate_data_key(KeyId=key, KeySpec="AES_256")
    assert len(made["Plaintext"]) == 32
    assert kms.decrypt(CiphertextBlob=made["CiphertextBlob"])["Plaintext"] == made["Plaintext"]
    assert len(kms.generate_data_key(KeyId=key, NumberOfBytes=7)["Plaintext"]) == 7
    assert code(kms.generate_data_key, KeyId=key) == "ValidationException"
    assert code(kms.generate_data_key, KeyId=key, KeySpec="AES_128", NumberOfBytes=16) == "ValidationException"
    hidden = kms.generate_data_key_without_plaintext(KeyId=key, KeySpec="AES_128")
    assert "Plaintext" not in hidden and len(kms.decrypt(CiphertextBlob=hidden["CiphertextBlob"])["Plaintext"]) == 16
    pair = kms.generate_data_key_pair(KeyId=key, KeyPairSpec="ECC_NIST_P256")
    assert kms.decrypt(CiphertextBlob=pair["PrivateKeyCiphertextBlob"])["Plaintext"] == pair["PrivateKeyPlaintext"]
    assert len(kms.generate_random(NumberOfBytes=32)["Plaintext"]) == 32


def test_a_dry_run_says_what_would_be(kms: Any, key: str, person: Any) -> None:
    assert code(kms.encrypt, KeyId=key, Plaintext=b"x", DryRun=True) == "DryRunOperationException"
    assert code(kms.generate_data_key, KeyId=key, KeySpec="AES_256", DryRun=True) == "DryRunOperationException"
    assert code(person("ann").encrypt, KeyId=key, Plaintext=b"x", DryRun=True) == "AccessDeniedException"


def test_a_service_uses_its_managed_key_for_whoever_may_use_the_service(cloud: InProcessCloud, person: Any, kms: Any) -> None:
    person("ann")
    ann = Principal("user", ACCOUNT, f"arn:aws:iam::{ACCOUNT}:user/ann", f"arn:aws:iam::{ACCOUNT}:user/ann", _user_id(cloud, "ann"), "ann")

    def through(service: str, alias: str) -> Callable[[Any], Any]:
        return lambda ctx: ctx.on_behalf(service).call(
            "kms", "GenerateDataKey", key_id=alias, key_spec="AES_256", encryption_context={"a": "1"}
        )

    made = cloud.read(through("s3", "alias/aws/s3"), ann)
    assert made["KeyId"] == kms.describe_key(KeyId="alias/aws/s3")["KeyMetadata"]["Arn"]
    opened = cloud.read(
        lambda ctx: ctx.on_behalf("s3").call("kms", "Decrypt", ciphertext_blob=made["CiphertextBlob"], encryption_context={"a": "1"}), ann
    )
    assert opened["Plaintext"] == made["Plaintext"]
    for service in ("sqs", "s3"):
        with pytest.raises(AwsError, match="not authorized to perform: kms:GenerateDataKey"):
            cloud.read(through(service, "alias/aws/ssm"), ann)
    assert code(kms.encrypt, KeyId="alias/aws/s3", Plaintext=b"x") == "AccessDeniedException", "nobody uses it directly"


def _user_id(cloud: InProcessCloud, name: str) -> str:
    found: str = cloud.api("iam", "GetUser", user_name=name)["User"]["UserId"]
    return found


def test_a_service_acts_on_its_own_where_the_key_policy_lets_it(cloud: InProcessCloud, kms: Any) -> None:
    import json

    source = f"arn:aws:sns:{REGION}:{ACCOUNT}:topic"
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": ["kms:GenerateDataKey*", "kms:Decrypt"],
        "Resource": "*",
        "Condition": {"ArnEquals": {"aws:SourceArn": source}},
    }
    root = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "kms:*", "Resource": "*"}
    key = kms.create_key(Policy=json.dumps({"Version": "2012-10-17", "Statement": [root, statement]}))["KeyMetadata"]["KeyId"]

    def made(service: str, arn: str) -> Any:
        return cloud.read(lambda ctx: ctx.as_service(service, arn).call("kms", "GenerateDataKey", key_id=key, key_spec="AES_256"))

    assert made("sns.amazonaws.com", source)["Plaintext"]
    for service, arn in (("sns.amazonaws.com", source + "2"), ("sqs.amazonaws.com", source)):
        with pytest.raises(AwsError, match="not authorized"):
            made(service, arn)


def test_everything_opens_after_a_restart(tmp_path: Path) -> None:
    from clients import Door

    with InProcessCloud(tmp_path) as cloud:
        kms = Door(cloud).client("kms")
        key = kms.create_key()["KeyMetadata"]["KeyId"]
        blob = kms.encrypt(KeyId=key, Plaintext=b"kept")["CiphertextBlob"]
        managed = cloud.read(lambda ctx: ctx.on_behalf("ssm").call("kms", "Encrypt", key_id="alias/aws/ssm", plaintext=b"kept too"))
    with InProcessCloud(tmp_path) as cloud:
        assert Door(cloud).client("kms").decrypt(CiphertextBlob=blob)["Plaintext"] == b"kept"
        opened = cloud.read(lambda ctx: ctx.on_behalf("ssm").call("kms", "Decrypt", ciphertext_blob=managed["CiphertextBlob"]))
        assert opened["Plaintext"] == b"kept too"


@given(plaintext=st.binary(max_size=64), context=st.dictionaries(st.text(), st.text(), max_size=3), flip=st.integers(min_value=0))
def test_no_altered_ciphertext_opens(plaintext: bytes, context: dict[str, str], flip: int) -> None:
    material = bytes(32)
    blob = ciphertext.encrypt(material, HERE, ID, "ab" * 32, plaintext, context)
    head = ciphertext.read_head(blob)
    assert (head.scope, head.key_id, head.material) == (HERE, ID, "ab" * 8)
    assert ciphertext.decrypt(material, blob, head, context) == plaintext
    at = flip % (len(blob) * 8)
    altered = bytearray(blob)
    altered[at // 8] ^= 1 << at % 8
    with pytest.raises(AwsError):
        again = ciphertext.read_head(bytes(altered))
        ciphertext.decrypt(material, bytes(altered), again, context)


@given(st.binary(max_size=120))
def test_whatever_bytes_are_no_ciphertext(blob: bytes) -> None:
    for text in (blob, b"\x01\x02\x02\x00" + blob):
        with pytest.raises(AwsError):
            head = ciphertext.read_head(text)
            ciphertext.decrypt(bytes(32), text, head, {})

"""SSE-KMS: a key of KMS really stands between the disk and the data, in the caller's own name."""

from __future__ import annotations

import json
from typing import Any

import pytest

from clients import Door
from harness import ACCOUNT

LARGE = b"what nobody may read" * 5000


@pytest.fixture()
def s3(door: Door) -> Any:
    client = door.client("s3")
    client.create_bucket(Bucket="box")
    return client


@pytest.fixture()
def key(door: Door) -> str:
    arn: str = door.client("kms").create_key()["KeyMetadata"]["Arn"]
    return arn


def code(call: Any, **args: Any) -> str:
    from botocore.exceptions import ClientError

    with pytest.raises(ClientError) as caught:
        call(**args)
    found: str = caught.value.response["Error"]["Code"]
    return found


def user(door: Door, *statements: dict[str, Any]) -> Any:
    iam = door.client("iam")
    iam.create_user(UserName="u")
    iam.put_user_policy(UserName="u", PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": list(statements)}))
    made = iam.create_access_key(UserName="u")["AccessKey"]
    return door.client("s3", (made["AccessKeyId"], made["SecretAccessKey"], ""))


def allow(*actions: str, **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": list(actions), "Resource": "*", **more}


@pytest.mark.parametrize("data", [b"", b"small", LARGE], ids=["empty", "in the row", "in a file"])
@pytest.mark.parametrize("bucket_key", [False, True])
def test_an_object_under_a_kms_key(s3: Any, key: str, data: bytes, bucket_key: bool) -> None:
    sse = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key, "BucketKeyEnabled": bucket_key}
    reply = s3.put_object(Bucket="box", Key="k", Body=data, **sse)
    assert (reply["ServerSideEncryption"], reply["SSEKMSKeyId"], reply.get("BucketKeyEnabled", False)) == ("aws:kms", key, bucket_key)
    got = s3.get_object(Bucket="box", Key="k")
    assert (got["Body"].read(), got["SSEKMSKeyId"]) == (data, key)
    assert s3.head_object(Bucket="box", Key="k")["ServerSideEncryption"] == "aws:kms"


def test_a_key_that_is_disabled_closes_its_objects(door: Door, s3: Any, key: str) -> None:
    s3.put_object(Bucket="box", Key="k", Body=LARGE, ServerSideEncryption="aws:kms", SSEKMSKeyId=key)
    kms = door.client("kms")
    kms.disable_key(KeyId=key)
    assert code(s3.get_object, Bucket="box", Key="k") == "KMS.DisabledException"
    assert code(s3.put_object, Bucket="box", Key="n", Body=b"", ServerSideEncryption="aws:kms", SSEKMSKeyId=key) == "KMS.DisabledException"
    kms.enable_key(KeyId=key)
    assert s3.get_object(Bucket="box", Key="k", Range="bytes=70000-70009")["Body"].read() == LARGE[70000:70010]
    nobodys = f"arn:aws:kms:us-east-1:{ACCOUNT}:key/00000000-0000-4000-8000-000000000000"
    assert (
        code(s3.put_object, Bucket="box", Key="n", Body=b"", ServerSideEncryption="aws:kms", SSEKMSKeyId=nobodys) == "KMS.NotFoundException"
    )


def test_the_caller_needs_the_key_too(door: Door, s3: Any, key: str) -> None:
    s3.put_object(Bucket="box", Key="k", Body=b"x", ServerSideEncryption="aws:kms", SSEKMSKeyId=key)
    without = user(door, allow("s3:*"))
    assert code(without.get_object, Bucket="box", Key="k") == "AccessDenied"
    assert without.head_object(Bucket="box", Key="k")["SSEKMSKeyId"] == key
    assert code(without.head_object, Bucket="box", Key="k", ChecksumMode="ENABLED") == "403"
    assert code(without.put_object, Bucket="box", Key="n", Body=b"", ServerSideEncryption="aws:kms", SSEKMSKeyId=key) == "AccessDenied"
    assert code(without.copy_object, Bucket="box", Key="n", CopySource="box/k") == "AccessDenied"
    via = {"StringEquals": {"kms:ViaService": "s3.us-east-1.amazonaws.com", "kms:EncryptionContext:aws:s3:arn": "arn:aws:s3:::box/k"}}
    door.client("iam").put_user_policy(
        UserName="u",
        PolicyName="q",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [allow("kms:Decrypt", Condition=via)]}),
    )
    assert without.get_object(Bucket="box", Key="k")["Body"].read() == b"x"
    s3.put_object(Bucket="box", Key="other", Body=b"x", ServerSideEncryption="aws:kms", SSEKMSKeyId=key)
    assert code(without.get_object, Bucket="box", Key="other") == "AccessDenied"


def test_the_buckets_default_holds_and_copies_change_it(s3: Any, key: str) -> None:
    default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}
    rules = {"Rules": [{"ApplyServerSideEncryptionByDefault": default, "BucketKeyEnabled": True}]}
    s3.put_bucket_encryption(Bucket="box", ServerSideEncryptionConfiguration=rules)
    assert s3.get_bucket_encryption(Bucket="box")["ServerSideEncryptionConfiguration"] == rules
    reply = s3.put_object(Bucket="box", Key="k", Body=LARGE)
    assert (reply["SSEKMSKeyId"], reply["BucketKeyEnabled"]) == (key, True)
    assert s3.put_object(Bucket="box", Key="plain", Body=b"x", ServerSideEncryption="AES256")["ServerSideEncryption"] == "AES256"
    s3.create_bucket(Bucket="other")
    copied = s3.copy_object(Bucket="other", Key="k", CopySource="box/k")
    assert copied["ServerSideEncryption"] == "AES256"
    assert s3.get_object(Bucket="other", Key="k")["Body"].read() == LARGE
    back = s3.copy_object(Bucket="box", Key="back", CopySource="other/k")
    assert back["SSEKMSKeyId"] == key
    assert s3.get_object(Bucket="box", Key="back")["Body"].read() == LARGE
    s3.copy_object(Bucket="box", Key="plain", CopySource="box/plain", ServerSideEncryption="aws:kms")
    assert s3.head_object(Bucket="box", Key="plain")["SSEKMSKeyId"] == key


def test_the_managed_key_needs_no_making(s3: Any) -> None:
    reply = s3.put_object(Bucket="box", Key="k", Body=b"x", ServerSideEncryption="aws:kms")
    assert reply["SSEKMSKeyId"].startswith(f"arn:aws:kms:us-east-1:{ACCOUNT}:key/")
    assert s3.get_object(Bucket="box", Key="k")["Body"].read() == b"x"


def test_parts_under_a_kms_key_are_one_object(door: Door, s3: Any, key: str) -> None:
    part = LARGE * 60
    upload = s3.create_multipart_upload(Bucket="box", Key="m", ServerSideEncryption="aws:kms", SSEKMSKeyId=key)
    named = {"Bucket": "box", "Key": "m", "UploadId": upload["UploadId"]}
    sent = []
    for number, body in enumerate([part, b"end"], 1):
        reply = s3.upload_part(**named, PartNumber=number, Body=body)
        assert reply["SSEKMSKeyId"] == key
        sent.append({"PartNumber": number, "ETag": reply["ETag"], "ChecksumCRC32": reply["ChecksumCRC32"]})
    s3.complete_multipart_upload(**named, MultipartUpload={"Parts": sent})
    assert s3.get_object(Bucket="box", Key="m")["Body"].read() == part + b"end"
    assert s3.get_object(Bucket="box", Key="m", PartNumber=2)["Body"].read() == b"end"
    door.client("kms").disable_key(KeyId=key)
    assert code(s3.get_object, Bucket="box", Key="m") == "KMS.DisabledException"


def test_a_fixed_context_is_part_of_the_encryption(s3: Any, key: str) -> None:
    import base64

    said = base64.b64encode(json.dumps({"team": "red"}).encode()).decode()
    s3.put_object(Bucket="box", Key="k", Body=b"x", ServerSideEncryption="aws:kms", SSEKMSKeyId=key, SSEKMSEncryptionContext=said)
    assert s3.get_object(Bucket="box", Key="k")["Body"].read() == b"x"
    bad = {"ServerSideEncryption": "aws:kms", "SSEKMSEncryptionContext": "%%%"}
    assert code(s3.put_object, Bucket="box", Key="k", Body=b"", **bad) == "InvalidArgument"

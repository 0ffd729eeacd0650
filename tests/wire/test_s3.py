"""S3 through boto3: what the clients send by default is taken, what they check holds, and permissions are S3's own."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError

from clients import Door
from harness import ACCOUNT, InProcessCloud
from windtunnel.kernel.clock import FixedClock

LARGE = bytes(range(256)) * 45_000


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[InProcessCloud]:
    # botocore signs with the machine's time, so the clock must be near it; it stands still all the same.
    with InProcessCloud(tmp_path, clock=FixedClock(float(int(time.time())))) as running:
        yield running


@pytest.fixture
def s3(door: Door) -> Any:
    client = door.client("s3")
    client.create_bucket(Bucket="box")
    return client


def user(door: Door, name: str, *statements: dict[str, Any]) -> Any:
    """An S3 client of a new user who may do what the statements say."""
    iam = door.client("iam")
    iam.create_user(UserName=name)
    if statements:
        iam.put_user_policy(UserName=name, PolicyName="may", PolicyDocument=policy(*statements))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return door.client("s3", (key["AccessKeyId"], key["SecretAccessKey"], ""))


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def allow(*actions: str, resource: str = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": list(actions), "Resource": resource, **more}


def code(call: Any, **args: Any) -> str:
    with pytest.raises(ClientError) as refused:
        call(**args)
    return str(refused.value.response["Error"]["Code"])


def test_an_object_with_everything_that_can_be_said_of_it(s3: Any) -> None:
    said = {
        "ContentType": "text/plain; charset=utf-8",
        "CacheControl": "no-cache",
        "ContentDisposition": 'attachment; filename="a.txt"',
        "ContentLanguage": "de",
        "Metadata": {"colour": "red"},
        "Tagging": "a=1&b=two%20words",
    }
    s3.put_object(Bucket="box", Key="dir/ä b+c.txt", Body=b"hello", **said)
    got = s3.get_object(Bucket="box", Key="dir/ä b+c.txt")
    assert got["Body"].read() == b"hello"
    assert {name: got[name] for name in said if name != "Tagging"} == {name: value for name, value in said.items() if name != "Tagging"}
    assert (got["ETag"], got["ServerSideEncryption"], got["TagCount"]) == ('"5d41402abc4b2a76b9719d911017c592"', "AES256", 2)
    assert got["ChecksumCRC32"] == "NhCmhg=="
    assert s3.get_object_tagging(Bucket="box", Key="dir/ä b+c.txt")["TagSet"] == [
        {"Key": "a", "Value": "1"},
        {"Key": "b", "Value": "two words"},
    ]
    assert [item["Key"] for item in s3.list_objects_v2(Bucket="box", Prefix="dir/ä ")["Contents"]] == ["dir/ä b+c.txt"]
    overridden = s3.get_object(Bucket="box", Key="dir/ä b+c.txt", ResponseContentType="text/html", ResponseContentDisposition="inline")
    assert (overridden["ContentType"], overridden["ContentDisposition"]) == ("text/html", "inline")


def test_when_an_object_expires_is_kept_as_a_header(s3: Any) -> None:
    s3.put_object(Bucket="box", Key="e", Body=b"x", Expires=datetime(2030, 1, 1, tzinfo=UTC))
    s3.copy_object(Bucket="box", Key="f", CopySource="box/e")
    for key in ("e", "f"):
        assert s3.get_object(Bucket="box", Key=key)["ExpiresString"] == "Tue, 01 Jan 2030 00:00:00 GMT"
    overridden = s3.get_object(Bucket="box", Key="e", ResponseExpires=datetime(2031, 1, 1, tzinfo=UTC))
    assert overridden["ExpiresString"] == "Wed, 01 Jan 2031 00:00:00 GMT"


@pytest.mark.parametrize("algorithm", ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"])
@pytest.mark.parametrize("data", [b"", b"hello"], ids=["empty", "some"])
def test_every_checksum_comes_back(s3: Any, algorithm: str, data: bytes) -> None:
    if algorithm in ("CRC32C", "CRC64NVME"):
        from windtunnel.services.s3.checksums import digest, encoded

        said = {f"Checksum{algorithm}": encoded(digest(algorithm, data))}
    else:
        said = {"ChecksumAlgorithm": algorithm}
    put = s3.put_object(Bucket="box", Key="k", Body=data, **said)
    head = s3.head_object(Bucket="box", Key="k", ChecksumMode="ENABLED")
    assert head[f"Checksum{algorithm}"] == put[f"Checksum{algorithm}"]
    assert head["ChecksumType"] == "FULL_OBJECT"


def test_a_wrong_digest_is_refused(s3: Any) -> None:
    assert (
        code(s3.put_object, Bucket="box", Key="k", Body=b"x", ChecksumSHA256="47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=") == "BadDigest"
    )
    assert code(s3.put_object, Bucket="box", Key="k", Body=b"x", ContentMD5="AAAAAAAAAAAAAAAAAAAAAA==") == "BadDigest"
    assert code(s3.get_object, Bucket="box", Key="k") == "NoSuchKey"


def test_parts_of_an_object(s3: Any) -> None:
    s3.put_object(Bucket="box", Key="k", Body=LARGE)
    part = s3.get_object(Bucket="box", Key="k", Range="bytes=1000-1999")
    assert part["ResponseMetadata"]["HTTPStatusCode"] == 206
    assert (part["ContentRange"], part["Body"].read()) == (f"bytes 1000-1999/{len(LARGE)}", LARGE[1000:2000])
    assert s3.head_object(Bucket="box", Key="k", Range="bytes=0-9")["ResponseMetadata"]["HTTPStatusCode"] == 206
    assert s3.get_object(Bucket="box", Key="k")["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert code(s3.get_object, Bucket="box", Key="k", Range="bytes=99999999-") == "InvalidRange"


def test_the_transfer_manager_sends_and_fetches_parts(s3: Any) -> None:
    from boto3.s3.transfer import TransferConfig

    config = TransferConfig(multipart_threshold=5 << 20, multipart_chunksize=5 << 20, use_threads=False)
    s3.upload_fileobj(io.BytesIO(LARGE), "box", "big", Config=config)
    head = s3.head_object(Bucket="box", Key="big")
    assert (head["ContentLength"], head["ETag"].endswith('-3"')) == (len(LARGE), True)
    target = io.BytesIO()
    s3.download_fileobj("box", "big", target, Config=config)
    assert target.getvalue() == LARGE
    s3.copy({"Bucket": "box", "Key": "big"}, "box", "copy", Config=config)
    assert s3.get_object(Bucket="box", Key="copy")["Body"].read() == LARGE


def test_conditions(s3: Any) -> None:
    etag = s3.put_object(Bucket="box", Key="k", Body=b"1", IfNoneMatch="*")["ETag"]
    assert code(s3.put_object, Bucket="box", Key="k", Body=b"2", IfNoneMatch="*") == "PreconditionFailed"
    assert code(s3.get_object, Bucket="box", Key="k", IfNoneMatch=etag) == "304"
    assert code(s3.get_object, Bucket="box", Key="k", IfMatch='"x"') == "PreconditionFailed"
    modified = s3.head_object(Bucket="box", Key="k")["LastModified"]
    assert code(s3.get_object, Bucket="box", Key="k", IfModifiedSince=modified) == "304"
    assert s3.get_object(Bucket="box", Key="k", IfUnmodifiedSince=modified)["Body"].read() == b"1"


def test_error_documents_name_what_is_missing(s3: Any) -> None:
    with pytest.raises(ClientError) as no_bucket:
        s3.list_objects_v2(Bucket="nowhere")
    with pytest.raises(ClientError) as no_key:
        s3.get_object(Bucket="box", Key="none")
    assert no_bucket.value.response["Error"] == {
        "Code": "NoSuchBucket",
        "Message": "The specified bucket does not exist",
        "BucketName": "nowhere",
    }
    assert no_key.value.response["Error"] == {"Code": "NoSuchKey", "Message": "The specified key does not exist.", "Key": "none"}
    assert no_key.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404
    assert code(s3.head_object, Bucket="box", Key="none") == "404"
    assert code(s3.head_bucket, Bucket="nowhere") == "404"


def test_what_is_not_built_names_itself_and_changes_nothing(s3: Any) -> None:
    for refused in (
        {"ServerSideEncryption": "aws:kms:dsse"},
        {"WriteOffsetBytes": 1},
        {"StorageClass": "OUTPOSTS"},
    ):
        assert code(s3.put_object, Bucket="box", Key="k", Body=b"x", **refused) == "NotImplemented"
    topic = {"TopicConfigurations": [{"TopicArn": "arn:aws:sns:us-east-1:123456789012:t", "Events": ["s3:ObjectCreated:*"]}]}
    assert code(s3.put_bucket_notification_configuration, Bucket="box", NotificationConfiguration=topic) == "InvalidArgument"
    assert s3.list_objects_v2(Bucket="box")["KeyCount"] == 0


# --- permissions -----------------------------------------------------------------------------------------------------------

BOX, IN_BOX = "arn:aws:s3:::box", "arn:aws:s3:::box/*"

CALLS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("put_object", {"Key": "k", "Body": b"x"}, allow("s3:PutObject", resource=IN_BOX)),
    ("get_object", {"Key": "old"}, allow("s3:GetObject", resource=IN_BOX)),
    ("head_object", {"Key": "old"}, allow("s3:GetObject", resource=IN_BOX)),
    ("delete_object", {"Key": "old"}, allow("s3:DeleteObject", resource=IN_BOX)),
    ("list_objects_v2", {}, allow("s3:ListBucket", resource=BOX)),
    ("list_object_versions", {}, allow("s3:ListBucketVersions", resource=BOX)),
    ("list_multipart_uploads", {}, allow("s3:ListBucketMultipartUploads", resource=BOX)),
    ("head_bucket", {}, allow("s3:ListBucket", resource=BOX)),
    ("get_bucket_location", {}, allow("s3:GetBucketLocation", resource=BOX)),
    ("get_bucket_versioning", {}, allow("s3:GetBucketVersioning", resource=BOX)),
    ("put_bucket_versioning", {"VersioningConfiguration": {"Status": "Enabled"}}, allow("s3:PutBucketVersioning", resource=BOX)),
    ("get_public_access_block", {}, allow("s3:GetBucketPublicAccessBlock", resource=BOX)),
    ("delete_public_access_block", {}, allow("s3:PutBucketPublicAccessBlock", resource=BOX)),
    ("get_bucket_encryption", {}, allow("s3:GetEncryptionConfiguration", resource=BOX)),
    ("get_bucket_acl", {}, allow("s3:GetBucketAcl", resource=BOX)),
    ("get_object_tagging", {"Key": "old"}, allow("s3:GetObjectTagging", resource=IN_BOX)),
    ("create_multipart_upload", {"Key": "m"}, allow("s3:PutObject", resource=IN_BOX)),
    ("put_bucket_tagging", {"Tagging": {"TagSet": [{"Key": "a", "Value": "b"}]}}, allow("s3:PutBucketTagging", resource=BOX)),
    ("delete_bucket_policy", {}, allow("s3:DeleteBucketPolicy", resource=BOX)),
    (
        "get_object_attributes",
        {"Key": "old", "ObjectAttributes": ["ETag"]},
        allow("s3:GetObject", "s3:GetObjectAttributes", resource=IN_BOX),
    ),
]


@pytest.mark.parametrize("operation, args, permission", CALLS, ids=[call[0] for call in CALLS])
def test_each_operation_takes_exactly_its_action(
    door: Door, s3: Any, operation: str, args: dict[str, Any], permission: dict[str, Any]
) -> None:
    s3.put_object(Bucket="box", Key="old", Body=b"old")
    denied = user(door, "denied", allow("s3:*"), {"Effect": "Deny", "Action": permission["Action"], "Resource": "*"})
    allowed = user(door, "allowed", permission)
    assert code(getattr(denied, operation), Bucket="box", **args) in ("AccessDenied", "403")
    assert [item["Key"] for item in s3.list_objects_v2(Bucket="box")["Contents"]] == ["old"]
    getattr(allowed, operation)(Bucket="box", **args)


def test_a_version_needs_the_action_for_versions(door: Door, s3: Any) -> None:
    s3.put_bucket_versioning(Bucket="box", VersioningConfiguration={"Status": "Enabled"})
    version = s3.put_object(Bucket="box", Key="k", Body=b"x")["VersionId"]
    plain = user(door, "plain", allow("s3:GetObject", "s3:DeleteObject"))
    assert plain.get_object(Bucket="box", Key="k")["Body"].read() == b"x"
    assert code(plain.get_object, Bucket="box", Key="k", VersionId=version) == "AccessDenied"
    assert code(plain.delete_object, Bucket="box", Key="k", VersionId=version) == "AccessDenied"
    reader = user(door, "reader", allow("s3:GetObjectVersion"))
    assert reader.get_object(Bucket="box", Key="k", VersionId=version)["Body"].read() == b"x"


def test_a_missing_key_is_told_only_to_those_who_may_list(door: Door, s3: Any) -> None:
    blind = user(door, "blind", allow("s3:GetObject"))
    seeing = user(door, "seeing", allow("s3:GetObject", "s3:ListBucket"))
    assert code(blind.get_object, Bucket="box", Key="none") == "AccessDenied"
    assert code(seeing.get_object, Bucket="box", Key="none") == "NoSuchKey"


def test_conditions_on_prefix_and_tags(door: Door, s3: Any) -> None:
    s3.put_object(Bucket="box", Key="mine/a", Body=b"x", Tagging="team=blue")
    s3.put_object(Bucket="box", Key="mine/b", Body=b"x", Tagging="team=red")
    client = user(
        door,
        "blue",
        allow("s3:ListBucket", resource=BOX, Condition={"StringLike": {"s3:prefix": "mine/*"}}),
        allow("s3:GetObject", resource=IN_BOX, Condition={"StringEquals": {"s3:ExistingObjectTag/team": "blue"}}),
    )
    assert len(client.list_objects_v2(Bucket="box", Prefix="mine/")["Contents"]) == 2
    assert code(client.list_objects_v2, Bucket="box") == "AccessDenied"
    assert client.get_object(Bucket="box", Key="mine/a")["Body"].read() == b"x"
    assert code(client.get_object, Bucket="box", Key="mine/b") == "AccessDenied"


def test_a_bucket_policy_grants_and_denies(door: Door, s3: Any) -> None:
    s3.put_object(Bucket="box", Key="k", Body=b"x")
    client = user(door, "alice")
    assert code(client.get_object, Bucket="box", Key="k") == "AccessDenied"
    grant = allow("s3:GetObject", resource=IN_BOX, Principal={"AWS": f"arn:aws:iam::{ACCOUNT}:user/alice"})
    s3.put_bucket_policy(Bucket="box", Policy=policy(grant))
    assert client.get_object(Bucket="box", Key="k")["Body"].read() == b"x"
    deny = {"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": IN_BOX}
    s3.put_bucket_policy(Bucket="box", Policy=policy(grant, deny))
    assert code(s3.put_object, Bucket="box", Key="k", Body=b"y") == "AccessDenied"
    s3.delete_bucket_policy(Bucket="box")
    s3.put_object(Bucket="box", Key="k", Body=b"y")


def test_delete_objects_denies_key_by_key(door: Door, s3: Any) -> None:
    for key in ("mine/a", "yours/a"):
        s3.put_object(Bucket="box", Key=key, Body=b"x")
    client = user(door, "cleaner", allow("s3:DeleteObject", resource=f"{BOX}/mine/*"))
    reply = client.delete_objects(Bucket="box", Delete={"Objects": [{"Key": "mine/a"}, {"Key": "yours/a"}]})
    assert [item["Key"] for item in reply["Deleted"]] == ["mine/a"]
    assert [(item["Key"], item["Code"]) for item in reply["Errors"]] == [("yours/a", "AccessDenied")]


def test_tagging_a_new_object_is_an_action_of_its_own(door: Door, s3: Any) -> None:
    client = user(door, "writer", allow("s3:PutObject"))
    client.put_object(Bucket="box", Key="k", Body=b"x")
    assert code(client.put_object, Bucket="box", Key="k", Body=b"y", Tagging="a=1") == "AccessDenied"
    assert s3.get_object(Bucket="box", Key="k")["Body"].read() == b"x"


def test_a_copy_needs_to_read_and_to_write(door: Door, s3: Any) -> None:
    s3.create_bucket(Bucket="other")
    s3.put_object(Bucket="box", Key="k", Body=b"x")
    source = {"Bucket": "box", "Key": "k"}
    writer = user(door, "writer", allow("s3:PutObject"))
    assert code(writer.copy_object, Bucket="other", Key="k", CopySource=source) == "AccessDenied"
    both = user(door, "both", allow("s3:PutObject", resource="arn:aws:s3:::other/*"), allow("s3:GetObject", resource=IN_BOX))
    both.copy_object(Bucket="other", Key="k", CopySource=source)
    assert code(both.copy_object, Bucket="box", Key="k2", CopySource=source) == "AccessDenied"
    assert s3.get_object(Bucket="other", Key="k")["Body"].read() == b"x"


def test_presigned_urls_read_and_write(door: Door, s3: Any, cloud: InProcessCloud) -> None:
    from botocore.awsrequest import AWSRequest

    put = s3.generate_presigned_url("put_object", Params={"Bucket": "box", "Key": "k"})
    get = s3.generate_presigned_url("get_object", Params={"Bucket": "box", "Key": "k", "ResponseContentType": "text/x"})
    assert "Signature=" in put
    assert door._send(AWSRequest("PUT", put, data=b"by url").prepare()).status_code == 200
    answer = door._send(AWSRequest("GET", get).prepare())
    assert (answer.status_code, answer.content, answer.headers["content-type"]) == (200, b"by url", "text/x")
    forged = get.replace("/k?", "/other?")
    assert door._send(AWSRequest("GET", forged).prepare()).status_code == 403
    assert urlsplit(get).path == "/box/k"


def test_presigned_urls_of_version_4(door: Door, s3: Any) -> None:
    import boto3
    from botocore.awsrequest import AWSRequest
    from botocore.config import Config

    s3.put_object(Bucket="box", Key="k", Body=b"0123456789")
    signer = boto3.client(
        "s3",
        region_name="us-east-1",
        endpoint_url=s3.meta.endpoint_url,
        aws_access_key_id=door.root[0],
        aws_secret_access_key=door.root[1],
        config=Config(signature_version="s3v4"),
    )
    get = signer.generate_presigned_url("get_object", Params={"Bucket": "box", "Key": "k"})
    assert "X-Amz-Signature=" in get
    answer = door._send(AWSRequest("GET", get, headers={"range": "bytes=2-4"}).prepare())
    assert (answer.status_code, answer.content, answer.headers["content-range"]) == (206, b"234", "bytes 2-4/10")
    assert door._send(AWSRequest("GET", get.replace("Expires=3600", "Expires=36000")).prepare()).status_code == 403


def test_a_delete_marker_says_that_it_is_one(s3: Any) -> None:
    s3.put_bucket_versioning(Bucket="box", VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(Bucket="box", Key="k", Body=b"x")
    marker = s3.delete_object(Bucket="box", Key="k")["VersionId"]
    for call in (s3.get_object, s3.head_object):
        for version, status in (({}, 404), ({"VersionId": marker}, 405)):
            with pytest.raises(ClientError) as refused:
                call(Bucket="box", Key="k", **version)
            answer = refused.value.response["ResponseMetadata"]
            assert answer["HTTPStatusCode"] == status
            assert (answer["HTTPHeaders"]["x-amz-delete-marker"], answer["HTTPHeaders"]["x-amz-version-id"]) == ("true", marker)
            assert answer["HTTPHeaders"].get("allow") == ("DELETE" if version else None)


def test_everybody_reads_what_a_public_policy_opens(door: Door, s3: Any) -> None:
    from botocore.awsrequest import AWSRequest

    def unsigned() -> int:
        status: int = door._send(AWSRequest("GET", f"{s3.meta.endpoint_url}/box/k").prepare()).status_code
        return status

    s3.put_object(Bucket="box", Key="k", Body=b"x")
    everybody = policy(allow("s3:GetObject", resource=IN_BOX, Principal="*"))
    assert code(s3.put_bucket_policy, Bucket="box", Policy=everybody) == "AccessDenied"
    s3.delete_public_access_block(Bucket="box")
    assert unsigned() == 403
    s3.put_bucket_policy(Bucket="box", Policy=everybody)
    assert unsigned() == 200
    s3.put_public_access_block(Bucket="box", PublicAccessBlockConfiguration={"RestrictPublicBuckets": True})
    assert unsigned() == 403
    assert s3.get_object(Bucket="box", Key="k")["Body"].read() == b"x"


def test_s3_control_is_told_from_s3_by_its_account(door: Door) -> None:
    control = door.client("s3control")
    account = door.client("sts").get_caller_identity()["Account"]
    assert code(control.get_public_access_block, AccountId=account) == "NoSuchPublicAccessBlockConfiguration"
    control.put_public_access_block(AccountId=account, PublicAccessBlockConfiguration={"BlockPublicAcls": True})
    assert control.get_public_access_block(AccountId=account)["PublicAccessBlockConfiguration"]["BlockPublicAcls"] is True
    assert code(control.get_public_access_block, AccountId="999999999999") == "AccessDenied"

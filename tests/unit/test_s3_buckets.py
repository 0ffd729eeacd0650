"""S3 buckets: names, owners, configuration, and AWS's answers for what was never configured."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness import ACCOUNT, InProcessCloud
from windtunnel.kernel.errors import AwsError
from windtunnel.services.s3.buckets import check_bucket_name, home_region
from windtunnel.services.s3.public import is_public


@pytest.fixture()
def cloud(tmp_path: Path) -> Iterator[InProcessCloud]:
    with InProcessCloud(tmp_path) as started:
        started.api("s3", "CreateBucket", bucket="box")
        yield started


def on_box(cloud: InProcessCloud, operation: str, **args: Any) -> Any:
    return cloud.api("s3", operation, bucket="box", **args)


def refusal(cloud: InProcessCloud, operation: str, **args: Any) -> str:
    with pytest.raises(AwsError) as caught:
        cloud.api("s3", operation, **{"bucket": "box", **args})
    return caught.value.code


@pytest.mark.parametrize(
    "name",
    [
        "ab",
        "a" * 64,
        "Upper",
        "under_score",
        "-dash",
        "dash-",
        "two..dots",
        "192.168.5.4",
        "xn--x",
        "sthree-x",
        "x-s3alias",
        "a b",
        "a/b",
        "ü-box",
    ],
)
def test_a_bad_bucket_name_is_refused(name: str) -> None:
    with pytest.raises(AwsError, match="InvalidBucketName"):
        check_bucket_name(name)


@pytest.mark.parametrize("name", ["abc", "a" * 63, "with.dots", "1-2-3", "192.168.5"])
def test_a_good_bucket_name_passes(name: str) -> None:
    check_bucket_name(name)


@pytest.mark.parametrize(
    "constraint, endpoint, expected",
    [
        (None, "us-east-1", "us-east-1"),
        ("eu-west-1", "us-east-1", "eu-west-1"),
        ("EU", "us-east-1", "eu-west-1"),
        ("eu-west-1", "eu-west-1", "eu-west-1"),
        (None, "eu-west-1", "IllegalLocationConstraintException"),
        ("eu-west-2", "eu-west-1", "IllegalLocationConstraintException"),
        ("us-east-1", "us-east-1", "InvalidLocationConstraint"),
        ("moon", "us-east-1", "InvalidLocationConstraint"),
    ],
)
def test_where_a_bucket_is_made(constraint: str | None, endpoint: str, expected: str) -> None:
    try:
        found = home_region(constraint, endpoint)
    except AwsError as error:
        found = error.code
    assert found == expected


def test_making_and_removing(cloud: InProcessCloud) -> None:
    assert on_box(cloud, "CreateBucket") == {"Location": "/box"}
    assert on_box(cloud, "HeadBucket")["BucketRegion"] == "us-east-1"
    assert on_box(cloud, "GetBucketLocation") == {}
    west = {"LocationConstraint": "us-west-2"}
    cloud.api("s3", "CreateBucket", bucket="west", create_bucket_configuration=west)
    assert cloud.api("s3", "GetBucketLocation", bucket="west") == west
    assert refusal(cloud, "CreateBucket", bucket="west", create_bucket_configuration=west) == "BucketAlreadyOwnedByYou"
    on_box(cloud, "PutObject", key="k", body=b"")
    assert refusal(cloud, "DeleteBucket") == "BucketNotEmpty"
    on_box(cloud, "DeleteObject", key="k")
    on_box(cloud, "CreateMultipartUpload", key="k")
    on_box(cloud, "DeleteBucket")
    assert refusal(cloud, "HeadBucket") == "NoSuchBucket"
    on_box(cloud, "CreateBucket")
    assert on_box(cloud, "ListMultipartUploads")["Uploads"] == []


def test_a_name_is_taken_for_every_account(cloud: InProcessCloud) -> None:
    with pytest.raises(AwsError, match="BucketAlreadyExists"):
        cloud.write(lambda ctx: ctx.in_scope("999999999999", "us-east-1").call("s3", "CreateBucket", bucket="box"))


def test_listing_buckets_in_pages(cloud: InProcessCloud) -> None:
    for name in ("cee", "bee", "abc"):
        cloud.api("s3", "CreateBucket", bucket=name)
    plain = cloud.api("s3", "ListBuckets")
    assert [bucket["Name"] for bucket in plain["Buckets"]] == ["abc", "bee", "box", "cee"]
    assert "BucketRegion" not in plain["Buckets"][0]
    first = cloud.api("s3", "ListBuckets", max_buckets=3)
    rest = cloud.api("s3", "ListBuckets", max_buckets=3, continuation_token=first["ContinuationToken"])
    assert [bucket["Name"] for bucket in first["Buckets"] + rest["Buckets"]] == ["abc", "bee", "box", "cee"]
    assert "ContinuationToken" not in rest
    prefixed = cloud.api("s3", "ListBuckets", prefix="b")
    assert [(bucket["Name"], bucket["BucketRegion"]) for bucket in prefixed["Buckets"]] == [("bee", "us-east-1"), ("box", "us-east-1")]


NEVER_SET = {
    "GetBucketPolicy": "NoSuchBucketPolicy",
    "GetBucketPolicyStatus": "NoSuchBucketPolicy",
    "GetBucketTagging": "NoSuchTagSet",
    "GetBucketCors": "NoSuchCORSConfiguration",
    "GetBucketLifecycleConfiguration": "NoSuchLifecycleConfiguration",
    "GetBucketWebsite": "NoSuchWebsiteConfiguration",
    "GetBucketReplication": "ReplicationConfigurationNotFoundError",
    "GetObjectLockConfiguration": "ObjectLockConfigurationNotFoundError",
}


@pytest.mark.parametrize("operation, code", NEVER_SET.items())
def test_what_was_never_set_is_an_error(cloud: InProcessCloud, operation: str, code: str) -> None:
    assert refusal(cloud, operation) == code
    assert refusal(cloud, operation, bucket="nowhere") == "NoSuchBucket"


def test_the_defaults_of_a_new_bucket(cloud: InProcessCloud) -> None:
    assert on_box(cloud, "GetBucketVersioning") == {}
    assert on_box(cloud, "GetBucketLogging") == {}
    assert on_box(cloud, "GetBucketAccelerateConfiguration") == {}
    assert on_box(cloud, "GetBucketNotificationConfiguration") == {}
    assert on_box(cloud, "GetBucketRequestPayment") == {"Payer": "BucketOwner"}
    rule = on_box(cloud, "GetBucketEncryption")["ServerSideEncryptionConfiguration"]["Rules"][0]
    assert rule == {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}, "BucketKeyEnabled": False}
    assert set(on_box(cloud, "GetPublicAccessBlock")["PublicAccessBlockConfiguration"].values()) == {True}
    assert on_box(cloud, "GetBucketOwnershipControls")["OwnershipControls"] == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    acl = on_box(cloud, "GetBucketAcl")
    assert [(grant["Grantee"]["ID"] == acl["Owner"]["ID"], grant["Permission"]) for grant in acl["Grants"]] == [(True, "FULL_CONTROL")]


def test_tags_ownership_and_encryption_are_set_and_removed(cloud: InProcessCloud) -> None:
    tags = [{"Key": "a", "Value": "1"}]
    on_box(cloud, "PutBucketTagging", tagging={"TagSet": tags})
    assert on_box(cloud, "GetBucketTagging")["TagSet"] == tags
    on_box(cloud, "DeleteBucketTagging")
    assert refusal(cloud, "GetBucketTagging") == "NoSuchTagSet"
    assert refusal(cloud, "PutBucketTagging", tagging={"TagSet": tags * 2}) == "InvalidTag"
    assert refusal(cloud, "PutBucketAcl", acl="private") == "AccessControlListNotSupported"
    on_box(cloud, "PutBucketOwnershipControls", ownership_controls={"Rules": [{"ObjectOwnership": "ObjectWriter"}]})
    on_box(cloud, "PutBucketAcl", acl="private")
    assert refusal(cloud, "PutBucketAcl", acl="public-read") == "AccessDenied"
    on_box(cloud, "DeleteBucketOwnershipControls")
    assert refusal(cloud, "GetBucketOwnershipControls") == "OwnershipControlsNotFoundError"
    dsse = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms:dsse"}}]}
    assert refusal(cloud, "PutBucketEncryption", server_side_encryption_configuration=dsse) == "NotImplemented"
    assert refusal(cloud, "PutBucketVersioning", versioning_configuration={}) == "IllegalVersioningConfigurationException"


def statement(**parts: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::box/*", **parts}


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


@pytest.mark.parametrize(
    "parts, public",
    [
        pytest.param({}, True, id="everybody"),
        pytest.param({"Principal": {"AWS": ["*"]}}, True, id="every account"),
        pytest.param({"Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}}, False, id="one account"),
        pytest.param({"Effect": "Deny"}, False, id="a deny"),
        pytest.param({"Condition": {"StringEquals": {"aws:SourceAccount": ACCOUNT}}}, False, id="pinned to an account"),
        pytest.param({"Condition": {"StringLike": {"aws:SourceAccount": "*"}}}, True, id="pinned to nothing"),
        pytest.param({"Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}}, False, id="a network"),
        pytest.param({"Condition": {"IpAddress": {"aws:SourceIp": "0.0.0.0/0"}}}, True, id="every network"),
        pytest.param({"Condition": {"Bool": {"aws:SecureTransport": "true"}}}, True, id="says nothing of who"),
    ],
)
def test_what_makes_a_policy_public(parts: dict[str, Any], public: bool) -> None:
    assert is_public(json.loads(policy(statement(**parts)))) is public


def test_bucket_policies_are_checked_kept_and_removed(cloud: InProcessCloud) -> None:
    assert refusal(cloud, "PutBucketPolicy", policy=policy(statement())) == "AccessDenied"
    assert refusal(cloud, "PutBucketPolicy", policy="{}") == "MalformedPolicy"
    other = policy(statement(Principal={"AWS": ACCOUNT}, Resource="arn:aws:s3:::boxer/*"))
    assert refusal(cloud, "PutBucketPolicy", policy=other) == "MalformedPolicy"
    on_box(cloud, "DeletePublicAccessBlock")
    assert refusal(cloud, "GetPublicAccessBlock") == "NoSuchPublicAccessBlockConfiguration"
    on_box(cloud, "PutBucketPolicy", policy=policy(statement()))
    assert on_box(cloud, "GetBucketPolicy")["Policy"] == policy(statement())
    assert on_box(cloud, "GetBucketPolicyStatus")["PolicyStatus"] == {"IsPublic": True}
    on_box(cloud, "DeleteBucketPolicy")
    assert refusal(cloud, "GetBucketPolicy") == "NoSuchBucketPolicy"
    on_box(cloud, "PutPublicAccessBlock", public_access_block_configuration={"BlockPublicAcls": True})
    assert on_box(cloud, "GetPublicAccessBlock")["PublicAccessBlockConfiguration"] == {
        "BlockPublicAcls": True,
        "IgnorePublicAcls": False,
        "BlockPublicPolicy": False,
        "RestrictPublicBuckets": False,
    }

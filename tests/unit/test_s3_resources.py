"""S3's resource types: every property of a bucket that has an operation, its update and its end; what cannot be done fails by name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from harness import InProcessCloud
from resource_tables.s3 import PROPERTIES, QUEUE, TAGS, encrypted, world
from stacks_lab import Lab, differences
from windtunnel.kernel.errors import AwsError
from windtunnel.provision.registry import Failed
from windtunnel.services.s3.resources import forms


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with InProcessCloud(tmp_path_factory.mktemp("s3-resources")) as cloud:
        world(cloud)
        yield Lab(cloud)


@pytest.mark.parametrize(("name", "first", "second"), PROPERTIES, ids=[f"{number}-{each[0]}" for number, each in enumerate(PROPERTIES)])
def test_each_property_lives(lab: Lab, name: str, first: Any, second: Any) -> None:
    made = lab.create("AWS::S3::Bucket", **{name: first})
    assert differences({name: first}, lab.read(made)) == []
    if name != "LifecycleConfiguration":  # its deprecated forms read as the others when nobody says how they were given
        assert differences({name: first}, lab.read(msgspec.structs.replace(made, properties={}))) == []
    lab.update(made, **{name: second})
    assert differences({name: second}, lab.read(made)) == []
    lab.update(made)
    plain = lab.create("AWS::S3::Bucket")
    left, never = lab.read(made) or {}, lab.read(plain) or {}
    if name in ("VersioningConfiguration", "AccelerateConfiguration"):
        assert "Suspended" in str(left[name])
    elif name not in ("PublicAccessBlockConfiguration", "OwnershipControls"):
        assert left.get(name) == never.get(name)
    lab.delete(made)
    lab.delete(plain)
    assert lab.read(made) is None


def test_the_whole_bucket_at_once(lab: Lab) -> None:
    props = {
        "BucketName": "the-whole-bucket",
        **{name: first for name, first, _ in PROPERTIES if name != "WebsiteConfiguration"},
        "ObjectLockEnabled": True,
        "ObjectLockConfiguration": {"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}}},
    }
    made = lab.create("AWS::S3::Bucket", **props)
    assert differences(props, lab.read(made)) == []
    assert made.id == "the-whole-bucket" and made.id in lab.list("AWS::S3::Bucket")
    left = {"BucketName": "the-whole-bucket", "ObjectLockEnabled": True, "VersioningConfiguration": {"Status": "Enabled"}}
    assert lab.update(made, **left).id == made.id
    lab.delete(made)
    assert "the-whole-bucket" not in lab.list("AWS::S3::Bucket")


def test_names_and_attributes(lab: Lab) -> None:
    made = lab.create("AWS::S3::Bucket", "Site")
    assert lab.ref(made) == made.id and made.id.startswith("demo-site-")
    name = made.id
    assert made.attributes == {
        "Arn": f"arn:aws:s3:::{name}",
        "DomainName": f"{name}.s3.amazonaws.com",
        "DualStackDomainName": f"{name}.s3.dualstack.us-east-1.amazonaws.com",
        "RegionalDomainName": f"{name}.s3.us-east-1.amazonaws.com",
        "WebsiteURL": f"http://{name}.s3-website-us-east-1.localhost:4566",
    }
    lab.delete(made)


def test_public_pages_by_acl_and_by_policy(lab: Lab) -> None:
    opened = {
        "PublicAccessBlockConfiguration": {"BlockPublicAcls": False},
        "OwnershipControls": {"Rules": [{"ObjectOwnership": "ObjectWriter"}]},
    }
    made = lab.create("AWS::S3::Bucket", AccessControl="PublicRead", **opened)
    assert "AllUsers" in str(lab.cloud.api("s3", "GetBucketAcl", bucket=made.id))
    lab.update(made)
    assert "AllUsers" not in str(lab.cloud.api("s3", "GetBucketAcl", bucket=made.id))
    statement = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{made.id}/*"}
    document = {"Version": "2012-10-17", "Statement": [statement]}
    with pytest.raises(AwsError, match="BlockPublicPolicy"):
        blocked = lab.create("AWS::S3::Bucket", PublicAccessBlockConfiguration={"BlockPublicPolicy": True})
        other = {**document, "Statement": [{**statement, "Resource": f"arn:aws:s3:::{blocked.id}/*"}]}
        lab.create("AWS::S3::BucketPolicy", Bucket=blocked.id, PolicyDocument=other)
    policy = lab.create("AWS::S3::BucketPolicy", Bucket=made.id, PolicyDocument=document)
    assert lab.read(policy) == {"Bucket": made.id, "PolicyDocument": document}
    assert lab.ref(policy) == made.id and lab.list("AWS::S3::BucketPolicy") == [made.id]
    with pytest.raises(Failed, match="already exists"):
        lab.create("AWS::S3::BucketPolicy", Bucket=made.id, PolicyDocument=document)
    changed = {**document, "Statement": [{**statement, "Action": "s3:GetObjectVersion"}]}
    lab.update(policy, Bucket=made.id, PolicyDocument=changed)
    assert (lab.read(policy) or {})["PolicyDocument"] == changed
    lab.delete(policy)
    assert lab.read(policy) is None
    lab.delete(made)
    lab.delete(policy)


REFUSED: list[Any] = [
    ("ReplicationConfiguration", {"Role": "r", "Rules": []}, AwsError, "s3:PutBucketReplication"),
    ("MetadataConfiguration", {}, AwsError, "s3:CreateBucketMetadataConfiguration"),
    ("MetadataTableConfiguration", {}, AwsError, "s3:CreateBucketMetadataTableConfiguration"),
    ("AbacStatus", "Enabled", AwsError, "s3:PutBucketAbac"),
    ("BucketNamePrefix", "p", AwsError, "BucketNamePrefix"),
    ("BucketNamespace", "account-regional", AwsError, "BucketNamespace"),
    ("BucketEncryption", encrypted("aws:kms:dsse"), AwsError, "aws:kms:dsse"),
    ("AccessControl", "PublicRead", AwsError, "InvalidBucketAclWithBlockPublicAccessError"),
    ("AccessControl", "LogDeliveryWrite", AwsError, "InvalidBucketAclWithObjectOwnership"),
    ("BucketName", "the-logs", Failed, "with identifier 'the-logs' already exists"),
    ("BucketName", "Not_A_Bucket", AwsError, "InvalidBucketName"),
    ("Tags", [{"Key": "aws:cloudformation:stack-name", "Value": "x"}], Failed, "aws: prefixed"),
    ("LoggingConfiguration", {"DestinationBucketName": "nowhere"}, AwsError, "target bucket for logging does not exist"),
    (
        "NotificationConfiguration",
        {"QueueConfigurations": [{"Event": "s3:ObjectCreated:*", "Queue": f"{QUEUE}-not"}]},
        AwsError,
        "Unable to validate the following destination",
    ),
]


@pytest.mark.parametrize(("name", "value", "error", "words"), REFUSED, ids=[f"{each[0]}-{each[3]}" for each in REFUSED])
def test_what_fails_leaves_nothing(lab: Lab, name: str, value: Any, error: type[Exception], words: str) -> None:
    before = lab.list("AWS::S3::Bucket")
    with pytest.raises(error, match=words):
        lab.create("AWS::S3::Bucket", **{name: value})
    assert lab.list("AWS::S3::Bucket") == before


def test_a_bucket_with_objects_is_not_deleted(lab: Lab) -> None:
    made = lab.create("AWS::S3::Bucket")
    lab.cloud.api("s3", "PutObject", bucket=made.id, key="a", body=b"x")
    with pytest.raises(AwsError, match="The bucket you tried to delete is not empty"):
        lab.delete(made)
    lab.cloud.api("s3", "DeleteObject", bucket=made.id, key="a")
    lab.delete(made)
    lab.delete(made)


def test_the_stacks_tags_are_seen_and_not_for_users_to_change(lab: Lab) -> None:
    made = lab.create("AWS::S3::Bucket", "Tagged", Tags=TAGS)
    shown = {tag["Key"]: tag["Value"] for tag in lab.cloud.api("s3", "GetBucketTagging", bucket=made.id)["TagSet"]}
    assert shown["aws:cloudformation:logical-id"] == "Tagged" and shown["team"] == "blue"
    assert (lab.read(made) or {})["Tags"] == TAGS
    with pytest.raises(AwsError, match="cannot be removed by requester"):
        lab.cloud.api("s3", "PutBucketTagging", bucket=made.id, tagging={"TagSet": TAGS})
    forged = [{"Key": "aws:cloudformation:stack-name", "Value": "forged"}]
    with pytest.raises(AwsError, match="cannot be added/updated by requester"):
        lab.cloud.api("s3", "PutBucketTagging", bucket=made.id, tagging={"TagSet": forged})
    whole = [*({"Key": key, "Value": value} for key, value in shown.items()), {"Key": "more", "Value": "1"}]
    lab.cloud.api("s3", "PutBucketTagging", bucket=made.id, tagging={"TagSet": whole})
    lab.cloud.api("s3", "DeleteBucketTagging", bucket=made.id)
    left = {tag["Key"] for tag in lab.cloud.api("s3", "GetBucketTagging", bucket=made.id)["TagSet"]}
    assert left == {f"aws:cloudformation:{name}" for name in ("stack-name", "stack-id", "logical-id")}
    lab.delete(made)


@pytest.mark.parametrize(
    ("given", "live"),
    [
        ({"Status": "Enabled", "ExpirationInDays": 1}, {"Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 1}}),
        (
            {"Status": "Enabled", "Prefix": "a", "TagFilters": [{"Key": "k", "Value": "v"}], "ExpiredObjectDeleteMarker": True},
            {
                "Status": "Enabled",
                "Filter": {"And": {"Prefix": "a", "Tags": [{"Key": "k", "Value": "v"}]}},
                "Expiration": {"ExpiredObjectDeleteMarker": True},
            },
        ),
        (
            {"Id": "x", "Status": "Enabled", "Transitions": [{"TransitionDate": "2030-01-01T00:00:00Z", "StorageClass": "GLACIER"}]},
            {
                "ID": "x",
                "Status": "Enabled",
                "Filter": {"Prefix": ""},
                "Transitions": [{"Date": 1893456000.0, "StorageClass": "GLACIER"}],
            },
        ),
    ],
)
def test_lifecycle_rules_in_both_forms(given: dict[str, Any], live: dict[str, Any]) -> None:
    assert forms.lifecycle_rule(given) == live
    assert forms.from_lifecycle_rule(live) == given

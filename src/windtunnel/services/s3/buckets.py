"""The bucket's record and the rules for its name, region, tags and ownership. Pure.

Invariant: a bucket's name is unique in the whole cloud (all accounts and regions), so its record lives in no account's scope and
carries its owner; everything that can be configured on a bucket stands in this one record, which each request reads once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Literal

import msgspec

from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.records import Record, RecordScope
from windtunnel.kernel.tags import reserved, users
from windtunnel.services.s3.acl import Grant, canonical_id

_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]\Z")
_IP = re.compile(r"\d{1,3}(\.\d{1,3}){3}\Z")
_RESERVED_STARTS = ("xn--", "sthree-", "amzn-s3-demo-")
_RESERVED_ENDS = ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3")
_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-\d\Z")
MAX_BUCKET_TAGS = 50
_TAG_TEXT = re.compile(r"[\w\s_.:/=+\-@]*\Z")

ENFORCED = "BucketOwnerEnforced"
Versioning = Literal["", "Enabled", "Suspended"]
Ownership = Literal["BucketOwnerEnforced", "BucketOwnerPreferred", "ObjectWriter"]


class AccessBlock(msgspec.Struct, frozen=True, rename="pascal"):
    """The four switches of Block Public Access, under AWS's names. All are on for a new bucket."""

    block_public_acls: bool = True
    ignore_public_acls: bool = True
    block_public_policy: bool = True
    restrict_public_buckets: bool = True


class AccountBlock(Record, kw_only=True):
    """Block Public Access of a whole account (s3control)."""

    KIND: ClassVar[str] = "s3.account-block"
    SCOPE: ClassVar[RecordScope] = "account"

    block: AccessBlock

    def key(self) -> str:
        return "block"


class Bucket(Record, kw_only=True, omit_defaults=True):
    """A bucket with its configuration. versioning: "" until it was first enabled. tags, access_block, ownership: None when deleted."""

    KIND: ClassVar[str] = "s3.bucket"
    SCOPE: ClassVar[RecordScope] = "cloud"
    INDEXES: ClassVar = {"owner": "account"}

    name: str
    account: str
    region: str
    created: float
    versioning: Versioning = ""
    policy: str | None = None
    public: bool = False
    """Whether the policy grants something to everybody."""
    access_block: AccessBlock | None = AccessBlock()
    ownership: Ownership | None = "BucketOwnerEnforced"
    tags: dict[str, str] | None = None
    sse_algorithm: str = "AES256"
    sse_key: str = ""
    """The KMS key of the default encryption as it was given; empty for the AWS managed one."""
    bucket_key: bool = False
    blocks_customer_keys: bool = False
    requester_pays: bool = False
    lifecycle_run: str = ""
    """The run that carries its lifecycle rules out; empty without rules."""
    lock: bool = False
    lock_rule: dict[str, Any] | None = None
    """Object lock, and its default retention."""
    notifies: bool = False
    """Whether it tells topics, queues or functions."""
    acl: list[Grant] | None = None
    """None: its owner may do everything, and nobody else anything by ACL."""
    event_bridge: bool = False

    def key(self) -> str:
        return self.name

    @property
    def arn(self) -> str:
        return f"arn:aws:s3:::{self.name}"


def check_bucket_name(name: str) -> None:
    """AWS's rules for a new general purpose bucket (User Guide, "Bucket naming rules")."""
    if not _NAME.match(name) or ".." in name or _IP.match(name) or name.startswith(_RESERVED_STARTS) or name.endswith(_RESERVED_ENDS):
        raise AwsError("InvalidBucketName", "The specified bucket is not valid.", extra={"BucketName": name})


def home_region(constraint: str | None, endpoint_region: str) -> str:
    """The region in which CreateBucket makes the bucket, from its LocationConstraint and the region of the endpoint."""
    if constraint is None:
        if endpoint_region != "us-east-1":
            raise _incompatible("unspecified")
        return "us-east-1"
    region = "eu-west-1" if constraint == "EU" else constraint
    if region == "us-east-1" or not _REGION.match(region):
        raise AwsError(
            "InvalidLocationConstraint", "The specified location-constraint is not valid", extra={"LocationConstraint": constraint}
        )
    if endpoint_region not in ("us-east-1", region):
        raise _incompatible(constraint)
    return region


def _incompatible(constraint: str) -> AwsError:
    return AwsError(
        "IllegalLocationConstraintException",
        f"The {constraint} location constraint is incompatible for the region specific endpoint this request was sent to.",
    )


def no_such_bucket(name: str) -> AwsError:
    return AwsError("NoSuchBucket", "The specified bucket does not exist", extra={"BucketName": name})


def owner(account: str) -> dict[str, str]:
    """The Owner shape: S3's canonical user id, which here follows from the account."""
    return {"ID": canonical_id(account)}


def tag_map(
    pairs: Iterable[dict[str, Any]], limit: int, too_many: AwsError, kept: Mapping[str, str] | None = None, stack: bool = False
) -> dict[str, str]:
    """A TagSet as a mapping, after AWS's checks. limit: how many a bucket or an object may have.

    kept: AWS's own that are there, which users may only repeat. stack: whether CloudFormation sets them.
    """
    tags: dict[str, str] = {}
    for pair in pairs:
        key, value = pair.get("Key", ""), pair.get("Value", "")
        if key in tags:
            raise AwsError("InvalidTag", "Cannot provide multiple Tags with the same key", extra={"TagKey": key})
        if not 1 <= len(key) <= 128 or not _TAG_TEXT.match(key):
            raise AwsError("InvalidTag", "The TagKey you have provided is invalid", extra={"TagKey": key})
        if len(value) > 256 or not _TAG_TEXT.match(value):
            raise AwsError("InvalidTag", "The TagValue you have provided is invalid", extra={"TagKey": key, "TagValue": value})
        if reserved(key, stack) and (kept or {}).get(key) != value:
            raise AwsError("InvalidTag", "System tags cannot be added/updated by requester", extra={"TagKey": key})
        tags[key] = value
    if len(users(tags)) > limit:
        raise too_many
    lost = [] if stack else [key for key in kept or () if key not in tags]
    if lost:
        raise AwsError("InvalidTag", "System tags cannot be removed by requester", extra={"TagKey": lost[0]})
    return tags


def tag_set(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]

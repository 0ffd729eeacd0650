"""What is set on a bucket: versioning, tags, encryption, ownership, ACL, notifications; and AWS's answers for what never was."""

from __future__ import annotations

from typing import Any

from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.errors import AwsError, not_built
from windtunnel.kernel.registry import reads, writes
from windtunnel.kernel.tags import by_stack, system, users_pairs
from windtunnel.services.s3.acl import is_private
from windtunnel.services.s3.buckets import ENFORCED, MAX_BUCKET_TAGS, tag_map, tag_set
from windtunnel.services.s3.encryption import KMS, S3
from windtunnel.services.s3.guard import on_bucket, the_bucket

PUT = "Bucket ExpectedBucketOwner ContentMD5 ChecksumAlgorithm"
"""Members that every Put…Configuration has; digests are checked by the wire."""
GET = "Bucket ExpectedBucketOwner"
_MALFORMED = "The XML you provided was not well-formed or did not validate against our published schema"


def malformed() -> AwsError:
    return AwsError("MalformedXML", _MALFORMED)


# -- versioning ---------------------------------------------------------------------------------------------------------


@writes(
    "s3",
    "PutBucketVersioning",
    authorize=on_bucket("PutBucketVersioning"),
    acts=f"{PUT} VersioningConfiguration.Status",
    default_only={"VersioningConfiguration.MFADelete": "Disabled"},
)
def put_bucket_versioning(ctx: Context, bucket: str, versioning_configuration: dict[str, Any], **_: Any) -> Reply:
    found = the_bucket(ctx, bucket)
    status = versioning_configuration.get("Status")
    if status not in ("Enabled", "Suspended"):
        raise AwsError("IllegalVersioningConfigurationException", "The Versioning element must be specified")
    if found.lock and status == "Suspended":
        raise AwsError(
            "InvalidBucketState",
            "An Object Lock configuration is present on this bucket, so the versioning state cannot be changed.",
            status=409,
        )
    found.versioning = status
    ctx.tx.put(found)
    return {}


@reads("s3", "GetBucketVersioning", authorize=on_bucket("GetBucketVersioning"), acts=GET)
def get_bucket_versioning(ctx: Context, bucket: str, **_: Any) -> Reply:
    status = the_bucket(ctx, bucket).versioning
    return {"Status": status} if status else {}


# -- tags ---------------------------------------------------------------------------------------------------------------


_tagged = on_bucket("PutBucketTagging")


def on_tags(ctx: Context, tagging: dict[str, Any] | None = None, **args: Any) -> list[Need]:
    """CloudFormation marks a stack's bucket whatever its caller may do."""
    needs = _tagged(ctx, **args)
    return [] if by_stack(ctx) and not users_pairs((tagging or {}).get("TagSet")) else needs


@writes("s3", "PutBucketTagging", authorize=on_tags, acts=f"{PUT} Tagging.TagSet[].Key Tagging.TagSet[].Value")
def put_bucket_tagging(ctx: Context, bucket: str, tagging: dict[str, Any], **_: Any) -> Reply:
    found = the_bucket(ctx, bucket)
    too_many = AwsError("BadRequest", "Bucket tag count cannot be greater than 50")
    found.tags = tag_map(tagging["TagSet"], MAX_BUCKET_TAGS, too_many, system(found.tags or {}), by_stack(ctx))
    ctx.tx.put(found)
    return {}


@reads("s3", "GetBucketTagging", authorize=on_bucket("GetBucketTagging"), acts=GET)
def get_bucket_tagging(ctx: Context, bucket: str, **_: Any) -> Reply:
    tags = the_bucket(ctx, bucket).tags
    if not tags:
        raise AwsError("NoSuchTagSet", "The TagSet does not exist", extra={"BucketName": bucket})
    return {"TagSet": tag_set(tags)}


@writes("s3", "DeleteBucketTagging", authorize=on_bucket("PutBucketTagging"), acts=GET)
def delete_bucket_tagging(ctx: Context, bucket: str, **_: Any) -> Reply:
    found = the_bucket(ctx, bucket)
    found.tags = system(found.tags or {}) or None
    ctx.tx.put(found)
    return {}


# -- default encryption -------------------------------------------------------------------------------------------------

_RULE = "ServerSideEncryptionConfiguration.Rules[]"


@writes(
    "s3",
    "PutBucketEncryption",
    authorize=on_bucket("PutEncryptionConfiguration"),
    acts=f"{PUT} {_RULE}.ApplyServerSideEncryptionByDefault.SSEAlgorithm {_RULE}.ApplyServerSideEncryptionByDefault.KMSMasterKeyID"
    f" {_RULE}.BucketKeyEnabled {_RULE}.BlockedEncryptionTypes.EncryptionType[]",
)
def put_bucket_encryption(ctx: Context, bucket: str, server_side_encryption_configuration: dict[str, Any], **_: Any) -> Reply:
    found = the_bucket(ctx, bucket)
    rules = server_side_encryption_configuration.get("Rules") or []
    if len(rules) != 1:
        raise malformed()
    default = rules[0].get("ApplyServerSideEncryptionByDefault", {})
    algorithm, key = default.get("SSEAlgorithm", S3), default.get("KMSMasterKeyID", "")
    if algorithm in ("aws:kms:dsse", "aws:fsx"):
        raise not_built("s3", "PutBucketEncryption", f"SSEAlgorithm {algorithm}")
    if algorithm not in (S3, KMS):
        raise malformed()
    if key and algorithm != KMS:
        raise AwsError(
            "InvalidArgument",
            "a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms or aws:kms:dsse",
            extra={"ArgumentName": "ApplyServerSideEncryptionByDefault", "ArgumentValue": algorithm},
        )
    found.sse_algorithm, found.sse_key = algorithm, key
    found.bucket_key = bool(rules[0].get("BucketKeyEnabled", False))
    blocked = rules[0].get("BlockedEncryptionTypes", {}).get("EncryptionType") or []
    found.blocks_customer_keys = "SSE-C" in blocked
    ctx.tx.put(found)
    return {}


@reads("s3", "GetBucketEncryption", authorize=on_bucket("GetEncryptionConfiguration"), acts=GET)
def get_bucket_encryption(ctx: Context, bucket: str, **_: Any) -> Reply:
    found = the_bucket(ctx, bucket)
    default = {"SSEAlgorithm": found.sse_algorithm} | ({"KMSMasterKeyID": found.sse_key} if found.sse_key else {})
    rule: Reply = {"ApplyServerSideEncryptionByDefault": default, "BucketKeyEnabled": found.bucket_key}
    if found.blocks_customer_keys:
        rule["BlockedEncryptionTypes"] = {"EncryptionType": ["SSE-C"]}
    return {"ServerSideEncryptionConfiguration": {"Rules": [rule]}}


@writes("s3", "DeleteBucketEncryption", authorize=on_bucket("PutEncryptionConfiguration"), acts=GET)
def delete_bucket_encryption(ctx: Context, bucket: str, **_: Any) -> Reply:
    """Back to the default, which is SSE-S3 for every bucket."""
    found = the_bucket(ctx, bucket)
    found.sse_algorithm, found.sse_key, found.bucket_key, found.blocks_customer_keys = S3, "", False, False
    ctx.tx.put(found)
    return {}


# -- ownership ---------------------------------------------------------------------------


@writes(
    "s3",
    "PutBucketOwnershipControls",
    authorize=on_bucket("PutBucketOwnershipControls"),
    acts=f"{PUT} OwnershipControls.Rules[].ObjectOwnership",
)
def put_bucket_ownership_controls(ctx: Context, bucket: str, ownership_controls: dict[str, Any], **_: Any) -> Reply:
    found = the_bucket(ctx, bucket)
    rules = ownership_controls.get("Rules") or []
    if len(rules) != 1:
        raise malformed()
    wanted = rules[0]["ObjectOwnership"]
    if wanted == ENFORCED and not is_private(found.acl, found.account):
        raise AwsError(
            "InvalidBucketAclWithObjectOwnership", "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting"
        )
    found.ownership = wanted
    ctx.tx.put(found)
    return {}


@reads("s3", "GetBucketOwnershipControls", authorize=on_bucket("GetBucketOwnershipControls"), acts=GET)
def get_bucket_ownership_controls(ctx: Context, bucket: str, **_: Any) -> Reply:
    ownership = the_bucket(ctx, bucket).ownership
    if ownership is None:
        raise AwsError("OwnershipControlsNotFoundError", "The bucket ownership controls were not found", extra={"BucketName": bucket})
    return {"OwnershipControls": {"Rules": [{"ObjectOwnership": ownership}]}}


@writes("s3", "DeleteBucketOwnershipControls", authorize=on_bucket("PutBucketOwnershipControls"), acts=GET)
def delete_bucket_ownership_controls(ctx: Context, bucket: str, **_: Any) -> Reply:
    found = the_bucket(ctx, bucket)
    found.ownership = None
    ctx.tx.put(found)
    return {}


# -- what cannot be configured here reads as AWS answers for a bucket where it never was --------------------------------------


@reads("s3", "GetBucketReplication", authorize=on_bucket("GetReplicationConfiguration"), acts=GET)
def get_bucket_replication(ctx: Context, bucket: str, **_: Any) -> Reply:
    raise AwsError(
        "ReplicationConfigurationNotFoundError",
        "The replication configuration was not found",
        extra={"BucketName": the_bucket(ctx, bucket).name},
    )

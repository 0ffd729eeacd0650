"""Who may use a bucket: its policy and Block Public Access."""

from __future__ import annotations

from typing import Any

from windtunnel.iam.grammar import validate
from windtunnel.iam.policy import statements_of
from windtunnel.iam.principals import listed
from windtunnel.kernel.context import Context, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import reads, writes
from windtunnel.services.s3.buckets import AccessBlock
from windtunnel.services.s3.guard import access_block, on_bucket, the_bucket
from windtunnel.services.s3.operations.configuration import GET, PUT
from windtunnel.services.s3.public import is_public

MAX_POLICY_BYTES = 20 * 1024
_BLOCK = "PublicAccessBlockConfiguration"
_SWITCHES = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")


@writes(
    "s3",
    "PutBucketPolicy",
    authorize=on_bucket("PutBucketPolicy"),
    acts=f"{PUT} Policy",
    default_only={"ConfirmRemoveSelfBucketAccess": False},
)
def put_bucket_policy(ctx: Context, bucket: str, policy: str, **_: Any) -> Reply:
    found = the_bucket(ctx, bucket)
    if len(policy.encode()) > MAX_POLICY_BYTES:
        raise AwsError("PolicyTooLarge", "The policy exceeds the maximum allowed document size.")
    document = validate(policy, "resource", code="MalformedPolicy")
    _check_resources(document, found.arn)
    public = is_public(document)
    if public and access_block(ctx, found).block_public_policy:
        raise AwsError(
            "AccessDenied",
            f"User: {ctx.principal.arn} is not authorized to perform: s3:PutBucketPolicy on resource: {found.arn} because public policies"
            " are prevented by the BlockPublicPolicy setting in S3 Block Public Access.",
        )
    found.policy, found.public = policy, public
    ctx.tx.put(found)
    return {}


def _check_resources(document: Any, arn: str) -> None:
    """A bucket's policy may speak of this bucket and its objects only."""
    for item in statements_of(document):
        for resource in listed(item.get("Resource", item.get("NotResource", ()))):
            if resource != "*" and resource != arn and not resource.startswith(f"{arn}/") and not resource.startswith(f"{arn}*"):
                raise AwsError("MalformedPolicy", "Policy has invalid resource", extra={"Detail": resource})


@reads("s3", "GetBucketPolicy", authorize=on_bucket("GetBucketPolicy"), acts=GET)
def get_bucket_policy(ctx: Context, bucket: str, **_: Any) -> Reply:
    policy = the_bucket(ctx, bucket).policy
    if policy is None:
        raise AwsError("NoSuchBucketPolicy", "The bucket policy does not exist", extra={"BucketName": bucket})
    return {"Policy": policy}


@writes("s3", "DeleteBucketPolicy", authorize=on_bucket("DeleteBucketPolicy"), acts=GET)
def delete_bucket_policy(ctx: Context, bucket: str, **_: Any) -> Reply:
    found = the_bucket(ctx, bucket)
    found.policy, found.public = None, False
    ctx.tx.put(found)
    return {}


@reads("s3", "GetBucketPolicyStatus", authorize=on_bucket("GetBucketPolicyStatus"), acts=GET)
def get_bucket_policy_status(ctx: Context, bucket: str, **_: Any) -> Reply:
    found = the_bucket(ctx, bucket)
    if found.policy is None:
        raise AwsError("NoSuchBucketPolicy", "The bucket policy does not exist", extra={"BucketName": bucket})
    return {"PolicyStatus": {"IsPublic": found.public}}


@writes(
    "s3",
    "PutPublicAccessBlock",
    authorize=on_bucket("PutBucketPublicAccessBlock"),
    acts=" ".join([PUT, *(f"{_BLOCK}.{name}" for name in _SWITCHES)]),
)
def put_public_access_block(ctx: Context, bucket: str, public_access_block_configuration: dict[str, bool], **_: Any) -> Reply:
    found = the_bucket(ctx, bucket)
    found.access_block = AccessBlock(*(bool(public_access_block_configuration.get(name, False)) for name in _SWITCHES))
    ctx.tx.put(found)
    return {}


@reads("s3", "GetPublicAccessBlock", authorize=on_bucket("GetBucketPublicAccessBlock"), acts=GET)
def get_public_access_block(ctx: Context, bucket: str, **_: Any) -> Reply:
    block = the_bucket(ctx, bucket).access_block
    if block is None:
        raise AwsError(
            "NoSuchPublicAccessBlockConfiguration", "The public access block configuration was not found", extra={"BucketName": bucket}
        )
    switches = (block.block_public_acls, block.ignore_public_acls, block.block_public_policy, block.restrict_public_buckets)
    return {"PublicAccessBlockConfiguration": dict(zip(_SWITCHES, switches, strict=True))}


@writes("s3", "DeletePublicAccessBlock", authorize=on_bucket("PutBucketPublicAccessBlock"), acts=GET)
def delete_public_access_block(ctx: Context, bucket: str, **_: Any) -> Reply:
    found = the_bucket(ctx, bucket)
    found.access_block = None
    ctx.tx.put(found)
    return {}

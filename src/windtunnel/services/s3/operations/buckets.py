"""Buckets themselves: making, finding, listing, removing."""

from __future__ import annotations

from base64 import b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from typing import Any

from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import reads, writes
from windtunnel.services.s3 import expiring
from windtunnel.services.s3.acl import GRANT_MEMBERS, asked, is_private, is_public
from windtunnel.services.s3.buckets import ENFORCED, MAX_BUCKET_TAGS, Bucket, Ownership, check_bucket_name, home_region, owner, tag_map
from windtunnel.services.s3.guard import acl_keys, on_bucket, request_tags, the_bucket
from windtunnel.services.s3.objects import ListedCurrent, object_key
from windtunnel.services.s3.settings import drop_settings
from windtunnel.services.s3.uploading import drop_uploads

MAX_LISTED = 10_000


def on_new_bucket(ctx: Context, bucket: str, create_bucket_configuration: dict[str, Any] | None = None, **args: Any) -> list[Need]:
    configuration = create_bucket_configuration or {}
    arn = f"arn:aws:s3:::{bucket}"
    context: dict[str, Any] = {}
    if "LocationConstraint" in configuration:
        context["s3:LocationConstraint"] = configuration["LocationConstraint"]
    needs = [Need("s3:CreateBucket", arn, context)]
    if configuration.get("Tags"):
        needs.append(Need("s3:TagResource", arn, request_tags({tag["Key"]: tag.get("Value", "") for tag in configuration["Tags"]})))
    if args.get("object_lock_enabled_for_bucket"):
        needs += [Need("s3:PutBucketObjectLockConfiguration", arn), Need("s3:PutBucketVersioning", arn)]
    if args.get("object_ownership") is not None:
        needs.append(Need("s3:PutBucketOwnershipControls", arn))
    if acl_keys(args):
        needs.append(Need("s3:PutBucketAcl", arn, acl_keys(args)))
    return needs


def on_all_buckets(ctx: Context, **_: Any) -> list[Need]:
    return [Need("s3:ListAllMyBuckets", "*")]


@writes(
    "s3",
    "CreateBucket",
    authorize=on_new_bucket,
    acts="Bucket CreateBucketConfiguration.LocationConstraint CreateBucketConfiguration.Tags[].Key CreateBucketConfiguration.Tags[].Value"
    f" ObjectOwnership ACL {GRANT_MEMBERS} GrantWrite ObjectLockEnabledForBucket",
    default_only={"BucketNamespace": "global"},
)
def create_bucket(
    ctx: Context,
    bucket: str,
    create_bucket_configuration: dict[str, Any] | None = None,
    object_ownership: Ownership = "BucketOwnerEnforced",
    object_lock_enabled_for_bucket: bool | None = False,
    bucket_namespace: str = "global",
    **said: Any,
) -> Reply:
    configuration = create_bucket_configuration or {}
    check_bucket_name(bucket)
    region = home_region(configuration.get("LocationConstraint"), ctx.scope.region)
    grants = asked(said, ctx.scope.account, ctx.scope.account, of_bucket=True)
    if is_public(grants):
        raise AwsError("InvalidBucketAclWithBlockPublicAccessError", "Bucket cannot have public ACLs set with BlockPublicAccess enabled")
    if object_ownership == ENFORCED and not is_private(grants, ctx.scope.account):
        raise AwsError(
            "InvalidBucketAclWithObjectOwnership", "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting"
        )
    existing = ctx.tx.get(Bucket, bucket)
    if existing is not None:
        _refuse_unless_repeated(existing, ctx.scope.account, region)
        return {"Location": f"/{bucket}"}
    too_many = AwsError("BadRequest", "Bucket tag count cannot be greater than 50")
    tags = tag_map(configuration["Tags"], MAX_BUCKET_TAGS, too_many) if configuration.get("Tags") else None
    ctx.tx.put(
        Bucket(
            name=bucket,
            account=ctx.scope.account,
            region=region,
            created=ctx.now,
            ownership=object_ownership,
            tags=tags,
            acl=grants,
            lock=bool(object_lock_enabled_for_bucket),
            versioning="Enabled" if object_lock_enabled_for_bucket else "",
        ),
    )
    return {"Location": f"/{bucket}" if region == "us-east-1" else f"http://{bucket}.s3.amazonaws.com/"}


def _refuse_unless_repeated(existing: Bucket, account: str, region: str) -> None:
    """In us-east-1 making one's own bucket again succeeds; everywhere else it is an error."""
    if existing.account != account:
        raise AwsError(
            "BucketAlreadyExists",
            "The requested bucket name is not available. The bucket namespace is shared by all users of the system."
            " Please select a different name and try again.",
            extra={"BucketName": existing.name},
        )
    if (existing.region, region) != ("us-east-1", "us-east-1"):
        raise AwsError(
            "BucketAlreadyOwnedByYou",
            "Your previous request to create the named bucket succeeded and you already own it.",
            extra={"BucketName": existing.name},
        )


@reads("s3", "HeadBucket", authorize=on_bucket("ListBucket"), acts="Bucket ExpectedBucketOwner")
def head_bucket(ctx: Context, bucket: str, expected_bucket_owner: str | None = None) -> Reply:
    return {"BucketRegion": the_bucket(ctx, bucket).region, "AccessPointAlias": False}


@writes("s3", "DeleteBucket", authorize=on_bucket("DeleteBucket"), acts="Bucket ExpectedBucketOwner")
def delete_bucket(ctx: Context, bucket: str, expected_bucket_owner: str | None = None) -> Reply:
    found = the_bucket(ctx, bucket)
    if ctx.tx.scan(ListedCurrent, prefix=object_key(bucket, ""), limit=1):
        hint = ". You must delete all versions in the bucket." if found.versioning else ""
        raise AwsError("BucketNotEmpty", f"The bucket you tried to delete is not empty{hint}", extra={"BucketName": bucket})
    drop_uploads(ctx.tx, bucket)
    drop_settings(ctx.tx, bucket)
    if found.lifecycle_run:
        expiring.end(ctx, found)
    ctx.tx.delete(Bucket, bucket)
    return {}


@reads("s3", "ListBuckets", authorize=on_all_buckets, acts="MaxBuckets ContinuationToken Prefix BucketRegion", cost="scan")
def list_buckets(
    ctx: Context,
    max_buckets: int | None = None,
    continuation_token: str | None = None,
    prefix: str | None = None,
    bucket_region: str | None = None,
) -> Reply:
    limit = MAX_LISTED if max_buckets is None else max_buckets
    if not 1 <= limit <= MAX_LISTED:
        raise AwsError("InvalidArgument", f"Argument max-buckets must be an integer between 1 and {MAX_LISTED}")
    after = decode_token(continuation_token) if continuation_token else None
    mine = [
        bucket
        for bucket in ctx.tx.find(Bucket, "owner", ctx.scope.account, after=after)
        if bucket.name.startswith(prefix or "") and bucket_region in (None, bucket.region)
    ]
    page = mine[:limit]
    # AWS tells regions only to callers who gave any parameter.
    regions = any(value is not None for value in (max_buckets, continuation_token, prefix, bucket_region))
    reply: Reply = {
        "Buckets": [
            {"Name": bucket.name, "CreationDate": bucket.created} | ({"BucketRegion": bucket.region} if regions else {}) for bucket in page
        ],
        "Owner": owner(ctx.scope.account),
    }
    if prefix is not None:
        reply["Prefix"] = prefix
    if len(mine) > limit:
        reply["ContinuationToken"] = encode_token(page[-1].name)
    return reply


@reads("s3", "GetBucketLocation", authorize=on_bucket("GetBucketLocation"), acts="Bucket ExpectedBucketOwner")
def get_bucket_location(ctx: Context, bucket: str, expected_bucket_owner: str | None = None) -> Reply:
    region = the_bucket(ctx, bucket).region
    return {} if region == "us-east-1" else {"LocationConstraint": region}


def encode_token(text: str) -> str:
    """An opaque continuation token."""
    return urlsafe_b64encode(text.encode()).decode()


def decode_token(token: str) -> str:
    try:
        return b64decode(token.encode(), altchars=b"-_", validate=True).decode()
    except (Base64Error, ValueError):
        raise AwsError(
            "InvalidArgument", "The continuation token provided is incorrect", extra={"ArgumentName": "continuation-token"}
        ) from None

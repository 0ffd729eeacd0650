"""ACLs of buckets and objects. Buckets that enforce their owner have none, as all new ones do."""

from __future__ import annotations

from typing import Any

import msgspec

from windtunnel.kernel.context import Context, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import reads, writes
from windtunnel.services.s3 import notify
from windtunnel.services.s3.acl import GRANT_MEMBERS, Grant, asked, from_document, is_public, shown
from windtunnel.services.s3.buckets import ENFORCED, Bucket
from windtunnel.services.s3.guard import access_block, acl_keys, on_bucket, on_object, the_bucket
from windtunnel.services.s3.operations.configuration import GET, PUT
from windtunnel.services.s3.operations.reading import visible

_LIST = f"{PUT} ACL {GRANT_MEMBERS} GrantWrite AccessControlPolicy.*"


def _chosen(ctx: Context, bucket: Bucket, account: str, args: dict[str, Any], *, of_bucket: bool) -> list[Grant]:
    """The list that a Put…Acl brings, after what the bucket allows."""
    if bucket.ownership == ENFORCED:
        raise AwsError("AccessControlListNotSupported", "The bucket does not allow ACLs", extra={"BucketName": bucket.name})
    document, grants = args.get("access_control_policy"), asked(args, account, bucket.account, of_bucket=of_bucket)
    if document and grants is not None:
        raise AwsError("UnexpectedContent", "This request does not support content")
    if grants is None:
        if not document:
            raise AwsError("MissingSecurityHeader", "Your request was missing a required header", extra={"MissingHeaderName": "x-amz-acl"})
        grants = from_document(document, account)
    if is_public(grants) and access_block(ctx, bucket).block_public_acls:
        raise AwsError("AccessDenied", "Access Denied", status=403)
    return grants


@reads("s3", "GetBucketAcl", authorize=on_bucket("GetBucketAcl"), acts=GET)
def get_bucket_acl(ctx: Context, bucket: str, **_: Any) -> Reply:
    found = the_bucket(ctx, bucket)
    return shown(None if found.ownership == ENFORCED else found.acl, found.account)


@writes("s3", "PutBucketAcl", authorize=on_bucket("PutBucketAcl", keys_of=acl_keys), acts=_LIST)
def put_bucket_acl(ctx: Context, bucket: str, **args: Any) -> Reply:
    found = the_bucket(ctx, bucket)
    found.acl = _chosen(ctx, found, found.account, args, of_bucket=True)
    ctx.tx.put(found)
    return {}


@reads(
    "s3",
    "GetObjectAcl",
    authorize=on_object("GetObjectAcl", versioned=("GetObjectVersionAcl",)),
    acts=f"{GET} Key VersionId RequestPayer",
)
def get_object_acl(ctx: Context, bucket: str, key: str, version_id: str | None = None, **_: Any) -> Reply:
    home = the_bucket(ctx, bucket)
    version = visible(ctx, home, key, version_id)
    return shown(None if home.ownership == ENFORCED else version.acl, version.account or home.account)


@writes(
    "s3",
    "PutObjectAcl",
    authorize=on_object("PutObjectAcl", versioned=("PutObjectVersionAcl",), keys_of=acl_keys),
    acts=f"{_LIST} Key VersionId RequestPayer",
)
def put_object_acl(ctx: Context, bucket: str, key: str, version_id: str | None = None, **args: Any) -> Reply:
    home = the_bucket(ctx, bucket)
    version = visible(ctx, home, key, version_id)
    grants = _chosen(ctx, home, version.account or home.account, args, of_bucket=False)
    changed = msgspec.structs.replace(version, acl=grants)
    ctx.tx.put(changed)
    notify.acl_changed(ctx, home, changed)
    return {}

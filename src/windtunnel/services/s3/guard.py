"""What a caller must be allowed to do: the actions, resources and condition keys of S3's page in the Service Authorization Reference.

Invariants: every need names the bucket's owner and carries the bucket's policy, so that resource policies and other accounts are
judged the same way for each operation; a bucket that is not there is told before anything is judged, as S3 does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from windtunnel.kernel.context import Authorize, Context, Need
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.lazy import LazyKeys
from windtunnel.kernel.records import Tx
from windtunnel.services.s3.buckets import Bucket, no_such_bucket
from windtunnel.services.s3.objects import NULL, Current, ListedCurrent, ListedNoncurrent, Noncurrent, Version, object_key, version_key


_seen: tuple[Context, Bucket] | None = None
"""The bucket that the last `authorize` read: its handler, which runs right after it in the same context, need not read it again."""


def the_bucket(ctx: Context, name: str) -> Bucket:
    """For a handler: the bucket that its `authorize` saw; NoSuchBucket. Whoever changes it puts it back or raises."""
    global _seen
    seen, _seen = _seen, None
    if seen is not None and seen[0] is ctx and seen[1].name == name:
        return seen[1]
    bucket = ctx.tx.get(Bucket, name)
    if bucket is None:
        raise no_such_bucket(name)
    return bucket


def asked_bucket(ctx: Context, name: str, expected_owner: str | None = None) -> Bucket:
    """For an `authorize`: the bucket, read now; NoSuchBucket, or AccessDenied when it is not the expected account's."""
    global _seen
    bucket = ctx.tx.get(Bucket, name)
    if bucket is None:
        raise no_such_bucket(name)
    if expected_owner is not None and expected_owner != bucket.account:
        raise AwsError("AccessDenied", "Access Denied")
    _seen = (ctx, bucket)
    return bucket


_NO_KEYS: Mapping[str, Any] = {}


def need(ctx: Context, bucket: Bucket, action: str, key: str | None = None, context: Mapping[str, Any] | None = None) -> Need:
    """The need to do `s3:ACTION` to a bucket, or to an object in it."""
    resource = bucket.arn if key is None else f"{bucket.arn}/{key}"
    return Need(f"s3:{action}", resource, _NO_KEYS if context is None else context, effective_policy(ctx, bucket), bucket.account)


def effective_policy(ctx: Context, bucket: Bucket) -> str | None:
    """The bucket policy, unless RestrictPublicBuckets keeps a public one from whoever is not of the owner's account."""
    block = bucket.access_block
    if bucket.public and block is not None and block.restrict_public_buckets and ctx.principal.account != bucket.account:
        return None
    return bucket.policy


def on_bucket(action: str, *keys: tuple[str, str]) -> Authorize:
    """An operation on a bucket. keys: (condition key, argument whose value it has)."""

    def authorize(ctx: Context, bucket: str, expected_bucket_owner: str | None = None, **args: Any) -> list[Need]:
        found = asked_bucket(ctx, bucket, expected_bucket_owner)
        context = {key: str(args[name]) for key, name in keys if args.get(name) is not None}
        return [need(ctx, found, action, context=context)]

    return authorize


def on_object(*actions: str, versioned: tuple[str, ...] = ()) -> Authorize:
    """An operation on an existing object. versioned: the actions instead, when the request names a version."""

    def authorize(
        ctx: Context, bucket: str, key: str, version_id: str | None = None, expected_bucket_owner: str | None = None, **_: Any
    ) -> list[Need]:
        found = asked_bucket(ctx, bucket, expected_bucket_owner)
        named = versioned if version_id is not None and versioned else actions
        context = LazyKeys(lambda: _existing(ctx.tx, bucket, key, version_id))
        return [need(ctx, found, action, key, context) for action in named]

    return authorize


def on_new_object(
    ctx: Context,
    bucket: str,
    key: str,
    expected_bucket_owner: str | None = None,
    tagging: str | None = None,
    acl: str | None = None,
    **args: Any,
) -> list[Need]:
    """PutObject and its kin; tags in the request are an action of their own."""
    found = asked_bucket(ctx, bucket, expected_bucket_owner)
    context: dict[str, Any] = {
        "s3:x-amz-server-side-encryption": args.get("server_side_encryption"),
        "s3:x-amz-server-side-encryption-aws-kms-key-id": args.get("ssekms_key_id"),
        "s3:x-amz-server-side-encryption-customer-algorithm": args.get("sse_customer_algorithm"),
        "s3:x-amz-storage-class": args.get("storage_class"),
        "s3:x-amz-acl": acl,
        "s3:if-match": args.get("if_match"),
        "s3:if-none-match": args.get("if_none_match"),
    }
    context = {name: value for name, value in context.items() if value is not None}
    if tagging:
        context |= request_tags(dict(parse_qsl(tagging, keep_blank_values=True)))
    needs = [need(ctx, found, "PutObject", key, context)]
    if tagging:
        needs.append(need(ctx, found, "PutObjectTagging", key, context))
    if acl is not None and acl != "bucket-owner-full-control":
        needs.append(need(ctx, found, "PutObjectAcl", key, context))
    return needs


def request_tags(tags: Mapping[str, str]) -> dict[str, Any]:
    return {f"s3:RequestObjectTag/{key}": value for key, value in tags.items()} | {"s3:RequestObjectTagKeys": list(tags)}


def _existing(tx: Tx, bucket: str, key: str, version_id: str | None) -> dict[str, Any]:
    """The keys that follow from the object as it is."""
    found = _listed(tx, bucket, key, version_id)
    keys: dict[str, Any] = {} if found is None else {f"s3:ExistingObjectTag/{k}": v for k, v in found.described.tags.items()}
    if version_id is not None:
        keys["s3:VersionId"] = version_id
    return keys


def _listed(tx: Tx, bucket: str, key: str, version_id: str | None) -> ListedCurrent | ListedNoncurrent | None:
    current = tx.get(ListedCurrent, object_key(bucket, key))
    if current is None or version_id is None or current.version_id == version_id:
        return current
    old = tx.find(Noncurrent, "id", version_key(bucket, key, version_id), limit=1)
    return None if not old else tx.get(ListedNoncurrent, old[0].key())


def find_version(tx: Tx, bucket: str, key: str, version_id: str | None) -> Version | None:
    """The version that is asked for: the current one without an id. It may be a delete marker."""
    current = tx.get(Current, object_key(bucket, key))
    if version_id is None or current is None or current.version_id == version_id:
        return current
    old = tx.find(Noncurrent, "id", version_key(bucket, key, version_id), limit=1)
    return old[0] if old else None


def check_version_id(version_id: str | None) -> None:
    """S3 knows whether a version id can be one of its own; ours are 32 letters and digits, or `null`."""
    if version_id is None or version_id == NULL or (len(version_id) == 32 and version_id.isalnum()):
        return
    raise AwsError("InvalidArgument", "Invalid version id specified", extra={"ArgumentName": "versionId", "ArgumentValue": version_id})


def deny_unless_may_list(ctx: Context, bucket: Bucket, missing: AwsError) -> AwsError:
    """What to raise for a key that is not there: 404 only to those who may list the bucket, else AccessDenied (API reference, GetObject)."""
    try:
        ctx.cloud.identity.check(ctx, [need(ctx, bucket, "ListBucket")])
    except AwsError as denied:
        return denied
    return missing

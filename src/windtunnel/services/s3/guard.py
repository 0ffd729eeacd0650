"""What a caller must be allowed to do: the actions, resources and condition keys of S3's page in the Service Authorization Reference.

Invariants: every need names the bucket's owner and carries the bucket's policy, so that resource policies and other accounts are
judged the same way for each operation; a bucket that is not there is told before anything is judged, as S3 does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from windtunnel.kernel.context import Authorize, Context, Need
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.lazy import LazyKeys
from windtunnel.kernel.records import Tx
from windtunnel.services.s3.acl import OF_BUCKET, OF_OBJECT, Grant, allows, is_public
from windtunnel.services.s3.buckets import ENFORCED, AccessBlock, AccountBlock, Bucket, no_such_bucket
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
_NO_BLOCK = AccessBlock(False, False, False, False)


def need(
    ctx: Context,
    bucket: Bucket,
    action: str,
    key: str | None = None,
    context: Mapping[str, Any] | None = None,
    version_id: str | None = None,
) -> Need:
    """The need to do `s3:ACTION` to a bucket, or to an object in it. Where ACLs count, what they grant stands beside the bucket's policy."""
    resource = bucket.arn if key is None else f"{bucket.arn}/{key}"
    keys = _NO_KEYS if context is None else context
    policy = effective_policy(ctx, bucket)
    if bucket.ownership == ENFORCED:
        return Need(f"s3:{action}", resource, keys, policy, bucket.account)
    account = bucket.account
    if key is not None and action in OF_OBJECT:
        version = find_version(ctx.tx, bucket.name, key, version_id)
        if version is not None:
            if version.account not in ("", account):
                # An object of another account: the bucket's owner may remove it, and has no further say.
                account, policy = version.account, None
            policy = _with_grant(ctx, bucket, policy, version.acl, action, OF_OBJECT[action])
    elif action in OF_BUCKET:
        policy = _with_grant(ctx, bucket, policy, bucket.acl, action, OF_BUCKET[action])
    return Need(f"s3:{action}", resource, keys, policy, account)


def _with_grant(ctx: Context, bucket: Bucket, policy: str | None, grants: list[Grant] | None, action: str, permission: str) -> str | None:
    if not grants:
        return policy
    public = not is_public(grants) or not access_block(ctx, bucket).ignore_public_acls
    whom = allows(grants, permission, ctx.principal.account, public=public)
    if whom is None:
        return policy
    principal: Any = "*" if whom == "*" else {"AWS": f"arn:aws:iam::{whom}:root"}
    statement = {"Effect": "Allow", "Principal": principal, "Action": f"s3:{action}", "Resource": "*"}
    document: dict[str, Any] = {"Version": "2012-10-17", "Statement": []} if policy is None else msgspec.json.decode(policy)
    said = document["Statement"]
    document["Statement"] = [*(said if isinstance(said, list) else [said]), statement]
    return msgspec.json.encode(document).decode()


def access_block(ctx: Context, bucket: Bucket) -> AccessBlock:
    """The switches that hold for a bucket: its own, or its account's."""
    own = bucket.access_block or _NO_BLOCK
    whole = ctx.in_scope(bucket.account, bucket.region).tx.get(AccountBlock, "block")
    if whole is None:
        return own
    both = zip(msgspec.structs.astuple(own), msgspec.structs.astuple(whole.block), strict=True)
    return AccessBlock(*(one or other for one, other in both))


def effective_policy(ctx: Context, bucket: Bucket) -> str | None:
    """The bucket policy, unless RestrictPublicBuckets keeps a public one from whoever is not of the owner's account."""
    if bucket.public and ctx.principal.account != bucket.account and ctx.principal.kind != "service":
        return None if access_block(ctx, bucket).restrict_public_buckets else bucket.policy
    return bucket.policy


KeysOf = Callable[[Mapping[str, Any]], Mapping[str, Any]]


def acl_keys(args: Mapping[str, Any]) -> dict[str, Any]:
    """The condition keys of an ACL that a request brings."""
    names = ("acl", "grant_full_control", "grant_read", "grant_write", "grant_read_acp", "grant_write_acp")
    return {f"s3:x-amz-{name.replace('_', '-')}": args[name] for name in names if args.get(name) is not None}


def check_payer(ctx: Context, bucket: Bucket, request_payer: str | None) -> None:
    """A bucket whose requesters pay serves other accounts only when they say that they do."""
    if bucket.requester_pays and ctx.principal.account != bucket.account and request_payer != "requester":
        raise AwsError("AccessDenied", "Access Denied", status=403)


def on_bucket(action: str, *keys: tuple[str, str], keys_of: KeysOf | None = None) -> Authorize:
    """An operation on a bucket. keys: (condition key, argument whose value it has)."""

    def authorize(
        ctx: Context, bucket: str, expected_bucket_owner: str | None = None, request_payer: str | None = None, **args: Any
    ) -> list[Need]:
        found = asked_bucket(ctx, bucket, expected_bucket_owner)
        check_payer(ctx, found, request_payer)
        context = {key: str(args[name]) for key, name in keys if args.get(name) is not None}
        return [need(ctx, found, action, context={**context, **keys_of(args)} if keys_of is not None else context)]

    return authorize


def on_object(*actions: str, versioned: tuple[str, ...] = (), keys_of: KeysOf | None = None) -> Authorize:
    """An operation on an existing object. versioned: the actions instead, when the request names a version."""

    def authorize(
        ctx: Context,
        bucket: str,
        key: str,
        version_id: str | None = None,
        expected_bucket_owner: str | None = None,
        request_payer: str | None = None,
        **args: Any,
    ) -> list[Need]:
        found = asked_bucket(ctx, bucket, expected_bucket_owner)
        check_payer(ctx, found, request_payer)
        named = versioned if version_id is not None and versioned else actions
        said = keys_of(args) if keys_of is not None else {}
        context = LazyKeys(lambda: {**_existing(ctx.tx, bucket, key, version_id), **said})
        return [need(ctx, found, action, key, context, version_id) for action in named]

    return authorize


def on_new_object(
    ctx: Context,
    bucket: str,
    key: str,
    expected_bucket_owner: str | None = None,
    tagging: str | None = None,
    request_payer: str | None = None,
    **args: Any,
) -> list[Need]:
    """PutObject and its kin; tags in the request, an ACL and a lock are actions of their own."""
    found = asked_bucket(ctx, bucket, expected_bucket_owner)
    check_payer(ctx, found, request_payer)
    context: dict[str, Any] = {name: args[argument] for name, argument in _NEW_KEYS if args.get(argument) is not None}
    acl = acl_keys(args)
    if acl:
        context |= acl
    if tagging:
        context |= request_tags(dict(parse_qsl(tagging, keep_blank_values=True)))
    needs = [need(ctx, found, "PutObject", key, context)]
    if tagging:
        needs.append(need(ctx, found, "PutObjectTagging", key, context))
    if acl and acl.get("s3:x-amz-acl") != "bucket-owner-full-control":
        needs.append(need(ctx, found, "PutObjectAcl", key, context))
    if args.get("object_lock_mode") is not None:
        needs.append(need(ctx, found, "PutObjectRetention", key, context))
    if args.get("object_lock_legal_hold_status") is not None:
        needs.append(need(ctx, found, "PutObjectLegalHold", key, context))
    return needs


_NEW_KEYS = (
    ("s3:x-amz-server-side-encryption", "server_side_encryption"),
    ("s3:x-amz-server-side-encryption-aws-kms-key-id", "ssekms_key_id"),
    ("s3:x-amz-server-side-encryption-customer-algorithm", "sse_customer_algorithm"),
    ("s3:x-amz-storage-class", "storage_class"),
    ("s3:x-amz-website-redirect-location", "website_redirect_location"),
    ("s3:object-lock-mode", "object_lock_mode"),
    ("s3:object-lock-legal-hold", "object_lock_legal_hold_status"),
    ("s3:if-match", "if_match"),
    ("s3:if-none-match", "if_none_match"),
)
"""Condition key -> the argument of a new object whose value it has."""


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

"""What clients say of an object beside its bytes, and how it is said back. Pure.

Invariant: requests and answers use the same member names, so a described object reads back as it was written.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from windtunnel.kernel.context import Context
from windtunnel.kernel.errors import AwsError, not_built
from windtunnel.services.s3.acl import GRANT_MEMBERS, Grant, asked, canonical_id, is_private, is_public
from windtunnel.services.s3.buckets import ENFORCED, Bucket, tag_map
from windtunnel.services.s3.encryption import told
from windtunnel.services.s3.guard import access_block
from windtunnel.services.s3.objects import MAX_OBJECT_TAGS, Described, Version, check_metadata
from windtunnel.wire.protocols import timestamps

HEADERS = {
    "content_type": "ContentType",
    "cache_control": "CacheControl",
    "content_disposition": "ContentDisposition",
    "content_encoding": "ContentEncoding",
    "content_language": "ContentLanguage",
}
"""Argument -> member, for what is kept as it came."""
LOCKING = "ObjectLockMode ObjectLockRetainUntilDate ObjectLockLegalHoldStatus"
DESCRIBING = f"ContentType CacheControl ContentDisposition ContentEncoding ContentLanguage Expires Metadata{{}} StorageClass Tagging ACL {GRANT_MEMBERS} {LOCKING} WebsiteRedirectLocation RequestPayer"
"""The members that `described_by` takes, `owned_by`, and `locks.for_new`."""
_DEFAULT_TYPE = "binary/octet-stream"
ARCHIVED = ("GLACIER", "DEEP_ARCHIVE")
"""Storage classes whose objects must be restored before they can be read."""
_CLASSES = frozenset({"STANDARD", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER_IR", "REDUCED_REDUNDANCY", *ARCHIVED})
_ELSEWHERE = frozenset({"OUTPOSTS", "SNOW", "EXPRESS_ONEZONE", "FSX_OPENZFS", "FSX_ONTAP"})


def described_by(args: Mapping[str, Any], operation: str) -> Described:
    """From the arguments of PutObject, CopyObject or CreateMultipartUpload."""
    headers = {member: args[name] for name, member in HEADERS.items() if args.get(name) is not None}
    headers.setdefault("ContentType", _DEFAULT_TYPE)
    metadata = {key.lower(): value for key, value in (args.get("metadata") or {}).items()}
    check_metadata(metadata)
    return Described(
        headers=headers,
        expires=args.get("expires"),
        metadata=metadata,
        tags=tags_of_header(args.get("tagging")),
        storage_class=storage_class(args.get("storage_class"), operation),
    )


def storage_class(named: str | None, operation: str) -> str:
    if named in _ELSEWHERE:
        raise not_built("s3", operation, f"StorageClass {named}")
    if named is not None and named not in _CLASSES:
        raise AwsError("InvalidStorageClass", "The storage class you specified is not valid", extra={"StorageClassRequested": named})
    return named or "STANDARD"


def tags_of_header(tagging: str | None) -> dict[str, str]:
    """`x-amz-tagging: k=v&k2=v2`."""
    if not tagging:
        return {}
    try:
        pairs = parse_qsl(tagging, keep_blank_values=True, strict_parsing=True)
    except ValueError:
        pairs = []
    if not pairs or len(dict(pairs)) != len(pairs):
        raise AwsError(
            "InvalidArgument",
            "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name duplicates.",
            extra={"ArgumentName": "x-amz-tagging", "ArgumentValue": tagging},
        )
    return object_tags([{"Key": key, "Value": value} for key, value in pairs])


def object_tags(pairs: list[dict[str, Any]]) -> dict[str, str]:
    return tag_map(pairs, MAX_OBJECT_TAGS, AwsError("BadRequest", "Object tags cannot be greater than 10"))


class Owned(NamedTuple):
    """Whose a new object is (empty: the bucket's owner's), and its ACL."""

    account: str
    acl: list[Grant] | None


def owned_by(ctx: Context, bucket: Bucket, args: Mapping[str, Any]) -> Owned:
    """From the ACL that a request brings. A bucket that enforces its owner takes none but those that say the same."""
    writer = ctx.principal.account or bucket.account
    if bucket.ownership == ENFORCED:
        grants = asked(args, bucket.account, bucket.account, of_bucket=False)
        if grants is not None and not is_private(grants, bucket.account):
            raise AwsError("AccessControlListNotSupported", "The bucket does not allow ACLs")
        if args.get("acl") == "private":
            raise AwsError("AccessControlListNotSupported", "The bucket does not allow ACLs")
        return Owned("", None)
    handed_over = bucket.ownership == "BucketOwnerPreferred" and args.get("acl") == "bucket-owner-full-control"
    account = bucket.account if handed_over else writer
    grants = asked(args, account, bucket.account, of_bucket=False)
    if is_public(grants) and access_block(ctx, bucket).block_public_acls:
        raise AwsError("AccessDenied", "Access Denied", status=403)
    if grants is None and account != bucket.account:
        grants = [Grant("FULL_CONTROL", canonical_id(account))]
    return Owned("" if account == bucket.account else account, grants)


def version_headers(bucket: Bucket, version: Version) -> dict[str, Any]:
    """VersionId, which buckets that never had versioning do not show."""
    return {"VersionId": version.version_id} if bucket.versioning else {}


def read_headers(bucket: Bucket, version: Version) -> dict[str, Any]:
    """What GetObject and HeadObject say of an object."""
    described = version.described
    reply: dict[str, Any] = {
        "AcceptRanges": "bytes",
        "LastModified": version.modified,
        "ETag": quoted(version.etag),
        **told(version.encryption),
        **described.headers,
        **version_headers(bucket, version),
    }
    if described.metadata:
        reply["Metadata"] = described.metadata
    if described.expires is not None:
        reply["Expires"] = described.expires
    if described.storage_class != "STANDARD":
        reply["StorageClass"] = described.storage_class
    if version.redirect:
        reply["WebsiteRedirectLocation"] = version.redirect
    if version.retention is not None:
        reply |= {"ObjectLockMode": version.retention.mode, "ObjectLockRetainUntilDate": version.retention.until}
    if version.legal_hold is not None:
        reply["ObjectLockLegalHoldStatus"] = "ON" if version.legal_hold else "OFF"
    if version.restored:
        reply["Restore"] = f'ongoing-request="false", expiry-date="{timestamps.render(version.restored, "rfc822")}"'
    return reply


def redirect_of(args: Mapping[str, Any]) -> str:
    """WebsiteRedirectLocation: a path of the same bucket, or a URL."""
    location: str = args.get("website_redirect_location") or ""
    if location and not location.startswith(("/", "http://", "https://")):
        raise AwsError("InvalidRedirectLocation", "The website redirect location must have a prefix of 'http://' or 'https://' or '/'.")
    return location


def quoted(etag: str) -> str:
    return f'"{etag}"'

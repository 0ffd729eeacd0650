"""What clients say of an object beside its bytes, and how it is said back. Pure.

Invariant: requests and answers use the same member names, so a described object reads back as it was written.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from windtunnel.kernel.errors import AwsError, not_built
from windtunnel.services.s3.buckets import Bucket, tag_map
from windtunnel.services.s3.encryption import told
from windtunnel.services.s3.objects import MAX_OBJECT_TAGS, Described, Version, check_metadata

HEADERS = {
    "content_type": "ContentType",
    "cache_control": "CacheControl",
    "content_disposition": "ContentDisposition",
    "content_encoding": "ContentEncoding",
    "content_language": "ContentLanguage",
}
"""Argument -> member, for what is kept as it came."""
DESCRIBING = "ContentType CacheControl ContentDisposition ContentEncoding ContentLanguage Expires Metadata{} StorageClass Tagging ACL"
"""The members that `described_by` takes; ACL is `checked_acl`'s."""
_DEFAULT_TYPE = "binary/octet-stream"
_AT_HAND = frozenset({"STANDARD", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER_IR", "REDUCED_REDUNDANCY"})
"""Storage classes whose objects can be read at once; the others would need restoring."""


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
    if named is not None and named not in _AT_HAND:
        raise not_built("s3", operation, f"StorageClass {named}")
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


def checked_acl(bucket: Bucket, acl: str | None, operation: str) -> None:
    """An object's ACL is its owner's full control; buckets that enforce their owner refuse all others, as AWS does."""
    if acl is None or acl == "bucket-owner-full-control":
        return
    if bucket.ownership == "BucketOwnerEnforced":
        raise AwsError("AccessControlListNotSupported", "The bucket does not allow ACLs")
    if acl != "private":
        raise not_built("s3", operation, f"ACL {acl}")


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
    return reply


def quoted(etag: str) -> str:
    return f'"{etag}"'

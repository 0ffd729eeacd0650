"""GetObject, HeadObject, GetObjectAttributes, GetObjectAcl."""

from __future__ import annotations

from typing import Any

from windtunnel.kernel.context import Context, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import reads
from windtunnel.services.s3 import checksums
from windtunnel.services.s3.buckets import Bucket
from windtunnel.services.s3.conditions import Window, check_read, window
from windtunnel.services.s3.describing import ARCHIVED, read_headers, version_headers
from windtunnel.services.s3.encryption import CUSTOMER_MEMBERS, KMS, customer_key, for_old, readable
from windtunnel.services.s3.guard import check_version_id, deny_unless_may_list, find_version, on_object, the_bucket
from windtunnel.services.s3.objects import Version, cut, no_such_key, no_such_version
from windtunnel.wire.protocols import timestamps

_OVERRIDES = {
    "response_cache_control": "CacheControl",
    "response_content_disposition": "ContentDisposition",
    "response_content_encoding": "ContentEncoding",
    "response_content_language": "ContentLanguage",
    "response_content_type": "ContentType",
}
_ASKED = (
    "Bucket Key VersionId Range PartNumber IfMatch IfNoneMatch IfModifiedSince IfUnmodifiedSince ChecksumMode ExpectedBucketOwner RequestPayer"
    " ResponseCacheControl ResponseContentDisposition ResponseContentEncoding ResponseContentLanguage ResponseContentType ResponseExpires"
)
MAX_PARTS = 1000


def visible(ctx: Context, bucket: Bucket, key: str, version_id: str | None) -> Version:
    """The version that is asked for, or the error that its absence is; a delete marker counts as absence."""
    check_version_id(version_id)
    version = find_version(ctx.tx, bucket.name, key, version_id)
    if version is None:
        missing = no_such_key(key) if version_id is None else no_such_version(key, version_id)
        raise deny_unless_may_list(ctx, bucket, missing)
    if version.marker and version_id is None:
        told = {"x-amz-delete-marker": "true", "x-amz-version-id": version.version_id}
        raise deny_unless_may_list(ctx, bucket, no_such_key(key, told))
    if version.marker:
        raise AwsError(
            "MethodNotAllowed",
            "The specified method is not allowed against this resource.",
            extra={"Method": "GET", "ResourceType": "DeleteMarker"},
            headers={"x-amz-delete-marker": "true", "x-amz-version-id": version.version_id, "allow": "DELETE"},
        )
    return version


@reads("s3", "GetObject", authorize=on_object("GetObject", versioned=("GetObjectVersion",)), acts=f"{_ASKED} {CUSTOMER_MEMBERS}")
def get_object(ctx: Context, bucket: str, key: str, **asked: Any) -> Reply:
    """`Body` is the range of the blob that holds the bytes, or the list of them when there are several (a multipart object)."""
    version, view, reply, data_key = _looked_at(ctx, bucket, key, asked)
    if version.described.storage_class in ARCHIVED and version.restored <= ctx.now:
        raise AwsError(
            "InvalidObjectState",
            "The operation is not valid for the object's storage class",
            status=403,
            extra={"StorageClass": version.described.storage_class},
        )
    content = version.content
    if view.length != version.size or not content:
        content = cut(content, view.start, view.length)
    pieces = readable(ctx, content, data_key)
    reply["Body"] = pieces[0] if len(pieces) == 1 else pieces
    if version.described.tags:
        reply["TagCount"] = len(version.described.tags)
    return reply


@reads("s3", "HeadObject", authorize=on_object("GetObject", versioned=("GetObjectVersion",)), acts=f"{_ASKED} {CUSTOMER_MEMBERS}")
def head_object(ctx: Context, bucket: str, key: str, **asked: Any) -> Reply:
    return _looked_at(ctx, bucket, key, asked, head=True)[2]


def _looked_at(
    ctx: Context, bucket: str, key: str, asked: dict[str, Any], *, head: bool = False
) -> tuple[Version, Window, Reply, bytes | None]:
    """The version, what of it is asked for, the answer but for its body, and the object's data key. A plain request skips what it does not ask."""
    home = the_bucket(ctx, bucket)
    version = visible(ctx, home, key, asked.get("version_id"))
    data_key = None
    guarded = version.encryption is not None or asked.get("sse_customer_algorithm") is not None
    if guarded and head and _by_kms(version):
        # A HEAD tells nothing that KMS keeps, unless it asks for the checksum (API reference, HeadObject).
        guarded = asked.get("checksum_mode") == "ENABLED" and bool(version.checksums)
    if guarded:
        data_key = for_old(ctx, home.region, version.encryption, customer_key(asked)).data_key
    if not asked:
        view = Window(0, version.size, False)
        reply = read_headers(home, version)
        reply["ContentLength"] = version.size
        return version, view, reply, data_key
    check_read(version, asked.get("if_match"), asked.get("if_none_match"), asked.get("if_modified_since"), asked.get("if_unmodified_since"))
    view = window(version, asked.get("range"), asked.get("part_number"))
    reply = read_headers(home, version)
    reply["ContentLength"] = view.length
    for argument in asked.keys() & _OVERRIDES.keys():
        if asked[argument] is not None:
            reply[_OVERRIDES[argument]] = asked[argument]
    if asked.get("response_expires") is not None:
        reply["Expires"] = timestamps.render(asked["response_expires"], "rfc822")
    if view.partial:
        reply["ContentRange"] = view.content_range(version.size)
    if asked.get("part_number") is not None and version.parts:
        reply["PartsCount"] = len(version.parts)
    if asked.get("checksum_mode") == "ENABLED" and version.checksums and view.length == version.size:
        reply |= {**checksums.members(version.checksums), "ChecksumType": version.checksum_type}
    return version, view, reply, data_key


def _by_kms(version: Version) -> bool:
    return version.encryption is not None and version.encryption.kind == KMS


@reads(
    "s3",
    "GetObjectAttributes",
    authorize=on_object("GetObject", "GetObjectAttributes", versioned=("GetObjectVersion", "GetObjectVersionAttributes")),
    acts=f"Bucket Key VersionId MaxParts PartNumberMarker ExpectedBucketOwner ObjectAttributes[] RequestPayer {CUSTOMER_MEMBERS}",
)
def get_object_attributes(
    ctx: Context,
    bucket: str,
    key: str,
    object_attributes: list[str],
    version_id: str | None = None,
    max_parts: int | None = None,
    part_number_marker: str | int | None = None,
    **asked: Any,
) -> Reply:
    home = the_bucket(ctx, bucket)
    version = visible(ctx, home, key, version_id)
    if version.encryption is not None and (not _by_kms(version) or "Checksum" in object_attributes):
        for_old(ctx, home.region, version.encryption, customer_key(asked))
    reply: Reply = {"LastModified": version.modified, **version_headers(home, version)}
    if "ETag" in object_attributes:
        reply["ETag"] = version.etag
    if "Checksum" in object_attributes and version.checksums:
        reply["Checksum"] = {**checksums.members(version.checksums), "ChecksumType": version.checksum_type}
    if "ObjectParts" in object_attributes and version.parts:
        reply["ObjectParts"] = _parts(version, min(max_parts or MAX_PARTS, MAX_PARTS), int(part_number_marker or 0))
    if "StorageClass" in object_attributes:
        reply["StorageClass"] = version.described.storage_class
    if "ObjectSize" in object_attributes:
        reply["ObjectSize"] = version.size
    return reply


def _parts(version: Version, limit: int, marker: int) -> Reply:
    """The parts that have checksums are told one by one; of others only how many there are."""
    reply: Reply = {"TotalPartsCount": len(version.parts)}
    if not version.checksums:
        return reply
    following = [part for part in version.parts if part.number > marker]
    page = following[:limit]
    return reply | {
        "PartNumberMarker": marker,
        "NextPartNumberMarker": page[-1].number if page else 0,
        "MaxParts": limit,
        "IsTruncated": len(following) > limit,
        "Parts": [{"PartNumber": part.number, "Size": part.size, **checksums.members(part.checksums)} for part in page],
    }

"""CopyObject and UploadPartCopy. No byte is copied: the copy refers to the source's blobs.

So the ETag of a copied multipart object stays the source's, and that of a copied part which is no whole blob is a name of the range
and not its md5; S3 promises of neither that it is one.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any, NamedTuple
from urllib.parse import unquote

from windtunnel.kernel.cloud import BlobRange
from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.errors import AwsError, not_built
from windtunnel.kernel.registry import writes
from windtunnel.services.s3 import checksums, notify
from windtunnel.services.s3.conditions import check_read, check_write
from windtunnel.services.s3.describing import (
    DESCRIBING,
    described_by,
    owned_by,
    quoted,
    redirect_of,
    storage_class,
    tags_of_header,
    version_headers,
)
from windtunnel.services.s3.encryption import CUSTOMER_MEMBERS, SSE_MEMBERS, customer_key, for_new, for_old, readable, rewrapped, told
from windtunnel.services.s3.guard import asked_bucket, find_version, need, on_new_object, on_object, the_bucket
from windtunnel.services.s3.locks import for_new as for_new_lock
from windtunnel.services.s3.objects import Current, Described, Encryption, Version, check_key, cut, object_key
from windtunnel.services.s3.operations.reading import visible
from windtunnel.services.s3.uploading import Part, check_part_number, the_upload
from windtunnel.services.s3.versions import put_version

_SOURCE = (
    "Bucket Key CopySource CopySourceIfMatch CopySourceIfNoneMatch CopySourceIfModifiedSince CopySourceIfUnmodifiedSince"
    " ExpectedBucketOwner ExpectedSourceBucketOwner"
)
_SOURCE_KEY = " ".join(f"CopySource{member}" for member in CUSTOMER_MEMBERS.split())
_RANGE = re.compile(r"bytes=([0-9]{1,19})-([0-9]{1,19})\Z")
_REENCRYPTING = (
    "server_side_encryption",
    "ssekms_key_id",
    "sse_customer_algorithm",
    "bucket_key_enabled",
    "storage_class",
    "website_redirect_location",
)
MAX_COPY = 5 * 1024**3


class Source(NamedTuple):
    bucket: str
    key: str
    version_id: str | None


class Opened(NamedTuple):
    """A source that may be copied. data_key: of its encryption; told: what the answer says of it."""

    source: Source
    version: Version
    data_key: bytes | None
    told: Reply


def source_of(copy_source: str) -> Source:
    """`/bucket/key?versionId=…`, percent-encoded, with or without the first slash."""
    if copy_source.startswith("arn:"):
        raise not_built("s3", "CopyObject", "CopySource of an access point")
    path, _, query = copy_source.partition("?versionId=")
    bucket, _, key = unquote(path).removeprefix("/").partition("/")
    if not bucket or not key:
        raise AwsError(
            "InvalidArgument",
            "Copy Source must mention the source bucket and key: sourcebucket/sourcekey",
            extra={"ArgumentName": "x-amz-copy-source", "ArgumentValue": copy_source},
        )
    return Source(bucket, key, unquote(query) or None)


def from_source(ctx: Context, copy_source: str, expected_source_bucket_owner: str | None, *, tags: bool) -> list[Need]:
    """To read the source; its tags too, when there are any and they are copied."""
    source = source_of(copy_source)
    bucket = asked_bucket(ctx, source.bucket, expected_source_bucket_owner)
    needs = [need(ctx, bucket, "GetObject" if source.version_id is None else "GetObjectVersion", source.key)]
    if tags:
        version = find_version(ctx.tx, source.bucket, source.key, source.version_id)
        if version is not None and version.described.tags:
            action = "GetObjectTagging" if source.version_id is None else "GetObjectVersionTagging"
            needs.append(need(ctx, bucket, action, source.key))
    return needs


def on_copy(ctx: Context, copy_source: str, expected_source_bucket_owner: str | None = None, **args: Any) -> list[Need]:
    tags_come_along = args.get("tagging_directive") != "REPLACE"
    context = {"s3:x-amz-copy-source": unquote(copy_source).removeprefix("/")}
    if args.get("metadata_directive") is not None:
        context["s3:x-amz-metadata-directive"] = args["metadata_directive"]
    writing = [wanted._replace(context={**wanted.context, **context}) for wanted in on_new_object(ctx, **args)]
    return from_source(ctx, copy_source, expected_source_bucket_owner, tags=tags_come_along) + writing


def on_part_copy(ctx: Context, copy_source: str, expected_source_bucket_owner: str | None = None, **args: Any) -> list[Need]:
    return from_source(ctx, copy_source, expected_source_bucket_owner, tags=False) + on_object("PutObject")(ctx, **args)


def read_source(ctx: Context, copy_source: str, asked: dict[str, Any]) -> Opened:
    """The version to copy after its conditions, and what the answer says of it."""
    source = source_of(copy_source)
    home = the_bucket(ctx, source.bucket)
    version = visible(ctx, home, source.key, source.version_id)
    check_read(
        version,
        asked.get("copy_source_if_match"),
        asked.get("copy_source_if_none_match"),
        asked.get("copy_source_if_modified_since"),
        asked.get("copy_source_if_unmodified_since"),
        copying=True,
    )
    key = for_old(ctx, home.region, version.encryption, customer_key(asked, "copy_source_")).data_key
    return Opened(source, version, key, {"CopySourceVersionId": version.version_id} if home.versioning else {})


@writes(
    "s3",
    "CopyObject",
    authorize=on_copy,
    acts=f"{_SOURCE} {DESCRIBING} {SSE_MEMBERS} {_SOURCE_KEY} MetadataDirective TaggingDirective ChecksumAlgorithm IfMatch IfNoneMatch",
)
def copy_object(
    ctx: Context,
    bucket: str,
    key: str,
    copy_source: str,
    checksum_algorithm: str | None = None,
    if_match: str | None = None,
    if_none_match: str | None = None,
    **said: Any,
) -> Reply:
    home = the_bucket(ctx, bucket)
    check_key(key)
    whose = owned_by(ctx, home, said)
    retention, hold = for_new_lock(home, said, ctx.now)
    source, version, old_key, reply = read_source(ctx, copy_source, said)
    if version.size > MAX_COPY:
        raise AwsError(
            "InvalidRequest", f"The specified copy source is larger than the maximum allowable size for a copy source: {MAX_COPY}"
        )
    described = _described(version, said)
    encryption, new_key = for_new(ctx, home, key, said, "CopyObject")
    to_itself = source == Source(bucket, key, None) and said.get("metadata_directive") != "REPLACE"
    if to_itself and not any(said.get(name) is not None for name in _REENCRYPTING):
        _refuse_copy_to_itself(version.described, described)
    check_write(key, ctx.tx.get(Current, object_key(bucket, key)), if_match, if_none_match)
    content = rewrapped(ctx, version.content, old_key, new_key)
    copy = put_version(
        ctx,
        home,
        Current(
            bucket=bucket,
            name=key,
            number=0,
            modified=ctx.now,
            size=version.size,
            etag=_etag(version, content, encryption),
            described=described,
            checksums=_checksums(ctx, version, content, new_key, checksum_algorithm),
            content=content,
            encryption=encryption,
            account=whose.account,
            acl=whose.acl,
            retention=retention,
            legal_hold=hold,
            redirect=redirect_of(said),
        ),
    )
    notify.created(ctx, home, copy, "CopyObject")
    result: Reply = {"ETag": quoted(copy.etag), "LastModified": copy.modified}
    if copy.checksums:
        result |= {**checksums.members(copy.checksums), "ChecksumType": copy.checksum_type}
    return {"CopyObjectResult": result, **told(encryption), **reply, **version_headers(home, copy)}


def _described(version: Version, said: dict[str, Any]) -> Described:
    """The source's metadata and tags, each unless its directive says REPLACE; the storage class never comes along."""
    old = version.described
    named = storage_class(said.get("storage_class"), "CopyObject")
    fresh = described_by({**said, "tagging": None}, "CopyObject") if said.get("metadata_directive") == "REPLACE" else old
    tags = tags_of_header(said.get("tagging")) if said.get("tagging_directive") == "REPLACE" else old.tags
    return Described(headers=fresh.headers, expires=fresh.expires, metadata=fresh.metadata, tags=tags, storage_class=named)


def _refuse_copy_to_itself(old: Described, new: Described) -> None:
    if old == new:
        raise AwsError(
            "InvalidRequest",
            "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata,"
            " storage class, website redirect location or encryption attributes.",
        )


def _etag(version: Version, content: list[BlobRange], encryption: Encryption | None) -> str:
    """The source's, unless either is encrypted in a way by which it would be none of this content."""
    if encryption is None and version.encryption is None:
        return version.etag
    if encryption is None and len(content) == 1 and content[0].ref.md5:
        return content[0].ref.md5
    return hashlib.md5(b"".join(piece.ref.inline or piece.ref.key for piece in content), usedforsecurity=False).hexdigest()


def _checksums(ctx: Context, version: Version, content: list[BlobRange], data_key: bytes | None, algorithm: str | None) -> dict[str, str]:
    """The source's, where they are of the whole object; another algorithm would need the bytes to be read."""
    kept = version.checksums if version.checksum_type == "FULL_OBJECT" else {}
    if algorithm is None or algorithm in kept:
        return kept
    inline = [piece.ref.inline for piece in readable(ctx, content[:2], data_key)]
    if algorithm not in checksums.ALGORITHMS or len(inline) != 1 or inline[0] is None or len(inline[0]) != version.size:
        raise not_built("s3", "CopyObject", f"ChecksumAlgorithm {algorithm} for an object that has no such checksum")
    return {algorithm: checksums.encoded(checksums.digest(algorithm, inline[0]))}


@writes(
    "s3",
    "UploadPartCopy",
    authorize=on_part_copy,
    acts=f"{_SOURCE} {CUSTOMER_MEMBERS} {_SOURCE_KEY} CopySourceRange PartNumber UploadId RequestPayer",
)
def upload_part_copy(
    ctx: Context,
    bucket: str,
    key: str,
    copy_source: str,
    upload_id: str,
    part_number: int,
    copy_source_range: str | None = None,
    **said: Any,
) -> Reply:
    check_part_number(part_number)
    upload = the_upload(ctx.tx, bucket, key, upload_id)
    _, version, old_key, reply = read_source(ctx, copy_source, said)
    home = the_bucket(ctx, bucket)
    new_key = for_old(ctx, home.region, upload.encryption, customer_key(said), writing=True).data_key
    start, size = _part_range(version, copy_source_range)
    content = rewrapped(ctx, cut(version.content, start, size), old_key, new_key)
    entire = len(content) == 1 and content[0].length == content[0].ref.size
    etag = (
        content[0].ref.md5
        if entire and content[0].ref.md5
        else hashlib.md5(f"{version.etag}:{start}+{size}".encode(), usedforsecurity=False).hexdigest()
    )
    part = Part(upload=upload.id, number=part_number, size=size, etag=etag, modified=ctx.now, content=content)
    ctx.tx.put(part)
    result = {"ETag": quoted(etag), "LastModified": part.modified}
    return {"CopyPartResult": result, **told(upload.encryption), **reply}


def _part_range(version: Version, copy_source_range: str | None) -> tuple[int, int]:
    """(start, length) of what to copy."""
    if copy_source_range is None:
        return 0, version.size
    match = _RANGE.match(copy_source_range)
    first, last = (int(match[1]), int(match[2])) if match else (0, -1)
    if last < first:
        raise AwsError(
            "InvalidArgument",
            "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the zero-based offsets"
            " of the first and last bytes to copy",
            extra={"ArgumentName": "x-amz-copy-source-range", "ArgumentValue": copy_source_range},
        )
    if last >= version.size:
        raise AwsError(
            "InvalidRange",
            f"Range specified is not valid for source object of size: {version.size}",
            extra={"RangeRequested": copy_source_range, "ActualObjectSize": str(version.size)},
        )
    return first, last - first + 1

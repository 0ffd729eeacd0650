"""ListObjectsV2, ListObjects and ListObjectVersions."""

from __future__ import annotations

from itertools import islice
from typing import Any, NamedTuple

from windtunnel.kernel.context import Context, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import reads
from windtunnel.services.s3.buckets import Bucket, owner
from windtunnel.services.s3.describing import quoted
from windtunnel.services.s3.guard import on_bucket, the_bucket
from windtunnel.services.s3.objects import Listed, ListedCurrent, ListedNoncurrent, object_key, older_than
from windtunnel.services.s3.operations.buckets import decode_token, encode_token
from windtunnel.services.s3.walk import MAX_KEYS, CommonPrefix, Encoded, page_size, walk

_KEYS = (("s3:prefix", "prefix"), ("s3:delimiter", "delimiter"), ("s3:max-keys", "max_keys"))
_LIST = "Bucket Prefix Delimiter MaxKeys EncodingType ExpectedBucketOwner RequestPayer"


class Page(NamedTuple):
    objects: list[Listed]
    prefixes: list[CommonPrefix]
    last: str
    """The last key or prefix on the page, from which to go on."""
    more: bool


def page_of(ctx: Context, bucket: str, prefix: str, delimiter: str, after: str, limit: int) -> Page:
    if limit == 0:
        return Page([], [], "", False)
    found = list(islice(walk(ctx.tx, ListedCurrent, bucket, prefix, delimiter, after, limit + 1), limit + 1))
    shown = found[:limit]
    last = shown[-1] if shown else ""
    return Page(
        [entry for entry in shown if isinstance(entry, Listed)],
        [entry for entry in shown if isinstance(entry, CommonPrefix)],
        last.name if isinstance(last, Listed) else str(last),
        len(found) > limit,
    )


def described(entry: Listed, encoded: Encoded) -> Reply:
    """An element of Contents."""
    item: Reply = {
        "Key": encoded(entry.name),
        "LastModified": entry.modified,
        "ETag": quoted(entry.etag),
        "Size": entry.size,
        "StorageClass": entry.described.storage_class,
    }
    if entry.checksums:
        item |= {"ChecksumAlgorithm": sorted(entry.checksums), "ChecksumType": entry.checksum_type}
    return item


@reads(
    "s3",
    "ListObjectsV2",
    authorize=on_bucket("ListBucket", *_KEYS),
    acts=f"{_LIST} ContinuationToken FetchOwner StartAfter",
    cost="scan",
)
def list_objects_v2(
    ctx: Context,
    bucket: str,
    prefix: str = "",
    delimiter: str = "",
    max_keys: int | None = None,
    encoding_type: str | None = None,
    continuation_token: str | None = None,
    fetch_owner: bool = False,
    start_after: str | None = None,
    **_: Any,
) -> Reply:
    home = the_bucket(ctx, bucket)
    encoded, limit = Encoded(encoding_type), page_size(max_keys, "max-keys")
    after = decode_token(continuation_token) if continuation_token is not None else start_after or ""
    page = page_of(ctx, bucket, prefix, delimiter, after, limit)
    reply: Reply = {
        "Name": bucket,
        "MaxKeys": limit if max_keys is None else max_keys,
        "KeyCount": len(page.objects) + len(page.prefixes),
        "IsTruncated": page.more,
        "Contents": [described(entry, encoded) | _owner_if(fetch_owner, home) for entry in page.objects],
        "CommonPrefixes": [{"Prefix": encoded(group)} for group in page.prefixes],
        **encoded.echo(Prefix=prefix, Delimiter=delimiter or None, StartAfter=start_after),
    }
    if continuation_token is not None:
        reply["ContinuationToken"] = continuation_token
    if page.more:
        reply["NextContinuationToken"] = encode_token(page.last)
    return reply


def _owner_if(wanted: bool, bucket: Bucket) -> Reply:
    return {"Owner": owner(bucket.account)} if wanted else {}


@reads("s3", "ListObjects", authorize=on_bucket("ListBucket", *_KEYS), acts=f"{_LIST} Marker", cost="scan")
def list_objects(
    ctx: Context,
    bucket: str,
    prefix: str = "",
    delimiter: str = "",
    max_keys: int | None = None,
    encoding_type: str | None = None,
    marker: str = "",
    **_: Any,
) -> Reply:
    home = the_bucket(ctx, bucket)
    encoded, limit = Encoded(encoding_type), page_size(max_keys, "max-keys")
    page = page_of(ctx, bucket, prefix, delimiter, marker, limit)
    reply: Reply = {
        "Name": bucket,
        "MaxKeys": limit if max_keys is None else max_keys,
        "IsTruncated": page.more,
        "Contents": [described(entry, encoded) | {"Owner": owner(home.account)} for entry in page.objects],
        "CommonPrefixes": [{"Prefix": encoded(group)} for group in page.prefixes],
        **encoded.echo(Prefix=prefix, Marker=marker, Delimiter=delimiter or None),
    }
    if page.more and delimiter:
        reply["NextMarker"] = encoded(page.last)
    return reply


@reads(
    "s3",
    "ListObjectVersions",
    authorize=on_bucket("ListBucketVersions", *_KEYS),
    acts=f"{_LIST} KeyMarker VersionIdMarker",
    cost="scan",
)
def list_object_versions(
    ctx: Context,
    bucket: str,
    prefix: str = "",
    delimiter: str = "",
    max_keys: int | None = None,
    encoding_type: str | None = None,
    key_marker: str = "",
    version_id_marker: str | None = None,
    **_: Any,
) -> Reply:
    home = the_bucket(ctx, bucket)
    encoded, limit = Encoded(encoding_type), page_size(max_keys, "max-keys")
    if version_id_marker and not key_marker:
        raise AwsError(
            "InvalidArgument",
            "A version-id marker cannot be specified without a key marker.",
            extra={"ArgumentName": "version-id-marker", "ArgumentValue": version_id_marker},
        )
    found = _versions(ctx, bucket, prefix, delimiter, key_marker, version_id_marker, limit + 1)
    shown = found[:limit]
    versions = [_version(entry, latest, home, encoded) for entry, latest in shown if isinstance(entry, Listed) and not entry.marker]
    markers = [_version(entry, latest, home, encoded) for entry, latest in shown if isinstance(entry, Listed) and entry.marker]
    reply: Reply = {
        "Name": bucket,
        "MaxKeys": limit if max_keys is None else max_keys,
        "IsTruncated": bool(shown) and len(found) > limit,
        "Versions": versions,
        "DeleteMarkers": markers,
        "CommonPrefixes": [{"Prefix": encoded(entry)} for entry, _ in shown if isinstance(entry, CommonPrefix)],
        **encoded.echo(Prefix=prefix, KeyMarker=key_marker, Delimiter=delimiter or None),
        "VersionIdMarker": version_id_marker or "",
    }
    if reply["IsTruncated"]:
        last = shown[-1][0]
        reply["NextKeyMarker"] = encoded(last.name if isinstance(last, Listed) else last)
        if isinstance(last, Listed):
            reply["NextVersionIdMarker"] = last.version_id
    return reply


def _versions(
    ctx: Context, bucket: str, prefix: str, delimiter: str, key_marker: str, version_marker: str | None, limit: int
) -> list[tuple[Listed | CommonPrefix, bool]]:
    """(entry, is it the latest) after the markers. Every key has a current version, so the walk goes over those."""
    found: list[tuple[Listed | CommonPrefix, bool]] = []
    if version_marker and key_marker.startswith(prefix):
        every = _of_key(ctx, bucket, key_marker)
        at = next((n for n, (entry, _) in enumerate(every) if isinstance(entry, Listed) and entry.version_id == version_marker), len(every))
        found += every[at + 1 :]
    for entry in walk(ctx.tx, ListedCurrent, bucket, prefix, delimiter, key_marker, min(limit, MAX_KEYS), markers=True):
        if len(found) >= limit:
            break
        if isinstance(entry, CommonPrefix):
            found.append((entry, False))
        else:
            found.append((entry, True))
            found += [(old, False) for old in ctx.tx.scan(ListedNoncurrent, prefix=older_than(bucket, entry.name), limit=limit)]
    return found[:limit]


def _of_key(ctx: Context, bucket: str, key: str) -> list[tuple[Listed | CommonPrefix, bool]]:
    """All versions of one key, newest first."""
    current = ctx.tx.get(ListedCurrent, object_key(bucket, key))
    if current is None:
        return []
    return [(current, True), *((old, False) for old in ctx.tx.scan(ListedNoncurrent, prefix=older_than(bucket, key)))]


def _version(entry: Listed, latest: bool, bucket: Bucket, encoded: Encoded) -> Reply:
    item: Reply = {
        "Key": encoded(entry.name),
        "VersionId": entry.version_id,
        "IsLatest": latest,
        "LastModified": entry.modified,
        "Owner": owner(bucket.account),
    }
    return item if entry.marker else {**described(entry, encoded), **item}

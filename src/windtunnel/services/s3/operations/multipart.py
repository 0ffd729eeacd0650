"""Listing what is being uploaded: ListParts and ListMultipartUploads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from windtunnel.kernel.context import Context, Reply
from windtunnel.kernel.records import Tx
from windtunnel.kernel.registry import reads
from windtunnel.services.s3 import checksums
from windtunnel.services.s3.buckets import Bucket, owner
from windtunnel.services.s3.describing import quoted
from windtunnel.services.s3.encryption import CUSTOMER_MEMBERS
from windtunnel.services.s3.guard import on_bucket, on_object, the_bucket
from windtunnel.services.s3.objects import object_key
from windtunnel.services.s3.uploading import Part, Upload, the_upload, upload_key
from windtunnel.services.s3.walk import LAST, CommonPrefix, Encoded, page_size, past_group


@reads(
    "s3",
    "ListParts",
    authorize=on_object("ListMultipartUploadParts"),
    acts=f"Bucket Key UploadId MaxParts PartNumberMarker ExpectedBucketOwner RequestPayer {CUSTOMER_MEMBERS}",
    cost="scan",
)
def list_parts(
    ctx: Context,
    bucket: str,
    key: str,
    upload_id: str,
    max_parts: int | None = None,
    part_number_marker: str | int | None = None,
    **_: Any,
) -> Reply:
    home = the_bucket(ctx, bucket)
    upload = the_upload(ctx.tx, bucket, key, upload_id)
    limit, marker = page_size(max_parts, "max-parts"), int(part_number_marker or 0)
    found = ctx.tx.scan(Part, prefix=f"{upload.id}/", after=f"{upload.id}/{marker:05d}", limit=limit + 1)
    page = found[:limit]
    reply: Reply = {
        "Bucket": bucket,
        "Key": key,
        "UploadId": upload_id,
        "PartNumberMarker": marker,
        "NextPartNumberMarker": page[-1].number if page else 0,
        "MaxParts": limit,
        "IsTruncated": bool(page) and len(found) > limit,
        "Parts": [
            {
                "PartNumber": part.number,
                "LastModified": part.modified,
                "ETag": quoted(part.etag),
                "Size": part.size,
                **checksums.members(part.checksums),
            }
            for part in page
        ],
        **_who(home, upload),
    }
    return reply


def _who(bucket: Bucket, upload: Upload) -> Reply:
    """What both listings say of an upload."""
    who: Reply = {
        "Initiator": {"ID": upload.initiator, "DisplayName": upload.initiator.rpartition("/")[2]},
        "Owner": owner(bucket.account),
        "StorageClass": upload.described.storage_class,
    }
    return who | ({"ChecksumAlgorithm": upload.algorithm, "ChecksumType": upload.checksum_type} if upload.algorithm else {})


@reads(
    "s3",
    "ListMultipartUploads",
    authorize=on_bucket("ListBucketMultipartUploads"),
    acts="Bucket Prefix Delimiter KeyMarker UploadIdMarker MaxUploads EncodingType ExpectedBucketOwner RequestPayer",
    cost="scan",
)
def list_multipart_uploads(
    ctx: Context,
    bucket: str,
    prefix: str = "",
    delimiter: str = "",
    key_marker: str = "",
    upload_id_marker: str | None = None,
    max_uploads: int | None = None,
    encoding_type: str | None = None,
    **_: Any,
) -> Reply:
    home = the_bucket(ctx, bucket)
    encoded, limit = Encoded(encoding_type), page_size(max_uploads, "max-uploads")
    found: list[Upload | CommonPrefix] = []
    for entry in _uploads(ctx.tx, bucket, prefix, delimiter, key_marker, upload_id_marker):
        found.append(entry)
        if len(found) > limit:
            break
    shown = found[:limit]
    reply: Reply = {
        "Bucket": bucket,
        "MaxUploads": limit,
        "IsTruncated": bool(shown) and len(found) > limit,
        "Uploads": [
            {"UploadId": entry.id, "Key": encoded(entry.name), "Initiated": entry.initiated, **_who(home, entry)}
            for entry in shown
            if isinstance(entry, Upload)
        ],
        "CommonPrefixes": [{"Prefix": encoded(entry)} for entry in shown if isinstance(entry, CommonPrefix)],
        **encoded.echo(Prefix=prefix or None, KeyMarker=key_marker, Delimiter=delimiter or None),
        "UploadIdMarker": upload_id_marker or "",
    }
    if reply["IsTruncated"]:
        last = shown[-1]
        reply["NextKeyMarker"] = encoded(last.name if isinstance(last, Upload) else last)
        reply["NextUploadIdMarker"] = last.id if isinstance(last, Upload) else ""
    return reply


def _uploads(
    tx: Tx, bucket: str, prefix: str, delimiter: str, key_marker: str, upload_marker: str | None
) -> Iterator[Upload | CommonPrefix]:
    """By key, and for one key by the time of their start. Uploads in progress are few, so they are read at once."""
    if key_marker and upload_marker:
        after = upload_key(bucket, key_marker, upload_marker)
    else:
        after = object_key(bucket, past_group(key_marker, prefix, delimiter)) + ("\x00" + LAST if key_marker else "")
    group: CommonPrefix | None = None
    for upload in tx.scan(Upload, prefix=object_key(bucket, prefix), after=after):
        if group is not None and upload.name.startswith(group):
            continue
        end = upload.name.find(delimiter, len(prefix)) if delimiter else -1
        group = CommonPrefix(upload.name[: end + len(delimiter)]) if end >= 0 else None
        yield upload if group is None else group

"""Multipart uploads in progress: their records, and how parts become an object. No byte is copied: an object is a list of ranges.

Invariant: an upload's record is there from Create until Complete or Abort; parts are found under its id, in order of their number,
and go with it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, ClassVar

from windtunnel.kernel.cloud import BlobRange
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.records import Record, RecordScope, Tx
from windtunnel.services.s3 import checksums
from windtunnel.services.s3.acl import Grant
from windtunnel.services.s3.objects import ChecksumType, Described, Encryption, PartInfo, Retention, blob_names

MIN_PART = 5 * 1024 * 1024
MAX_PART_NUMBER = 10_000


class Upload(Record, kw_only=True, omit_defaults=True):
    """What CreateMultipartUpload said. id begins with its time, so that the uploads of a key are kept in order of their start."""

    KIND: ClassVar[str] = "s3.upload"
    SCOPE: ClassVar[RecordScope] = "cloud"

    id: str
    bucket: str
    name: str
    initiated: float
    initiator: str
    described: Described
    algorithm: str = ""
    checksum_type: ChecksumType = "FULL_OBJECT"
    encryption: Encryption | None = None
    account: str = ""
    acl: list[Grant] | None = None
    retention: Retention | None = None
    legal_hold: bool | None = None
    redirect: str = ""

    def key(self) -> str:
        return upload_key(self.bucket, self.name, self.id)


class Part(Record, kw_only=True, omit_defaults=True):
    """An uploaded part. etag: without quotes."""

    KIND: ClassVar[str] = "s3.part"
    SCOPE: ClassVar[RecordScope] = "cloud"
    INDEXES: ClassVar = {"blob": blob_names}

    upload: str
    number: int
    size: int
    etag: str
    modified: float
    checksums: dict[str, str] = {}
    content: list[BlobRange]

    def key(self) -> str:
        return f"{self.upload}/{self.number:05d}"


def upload_key(bucket: str, name: str, upload_id: str) -> str:
    return f"{bucket}/{name}\x00{upload_id}"


def the_upload(tx: Tx, bucket: str, name: str, upload_id: str) -> Upload:
    upload = tx.get(Upload, upload_key(bucket, name, upload_id))
    if upload is None:
        raise no_such_upload(upload_id)
    return upload


def no_such_upload(upload_id: str) -> AwsError:
    return AwsError(
        "NoSuchUpload",
        "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.",
        extra={"UploadId": upload_id},
    )


def parts_of(tx: Tx, upload_id: str) -> list[Part]:
    return tx.scan(Part, prefix=f"{upload_id}/")


def drop_upload(tx: Tx, upload: Upload) -> None:
    for part in parts_of(tx, upload.id):
        tx.delete(Part, part.key())
    tx.delete(Upload, upload.key())


def drop_uploads(tx: Tx, bucket: str) -> None:
    """All that were begun in a bucket that goes."""
    for upload in tx.scan(Upload, prefix=f"{bucket}/"):
        drop_upload(tx, upload)


def check_part_number(number: int) -> None:
    if not 1 <= number <= MAX_PART_NUMBER:
        raise AwsError(
            "InvalidArgument",
            "Part number must be an integer between 1 and 10000, inclusive",
            extra={"ArgumentName": "partNumber", "ArgumentValue": str(number)},
        )


def chosen_parts(uploaded: Sequence[Part], named: Sequence[dict[str, Any]], upload: Upload) -> list[Part]:
    """The parts that CompleteMultipartUpload names, after its checks: order, presence, ETag, checksums, size."""
    by_number = {part.number: part for part in uploaded}
    numbers = [item.get("PartNumber", 0) for item in named]
    if any(later <= earlier for earlier, later in zip(numbers, numbers[1:], strict=False)):
        raise AwsError(
            "InvalidPartOrder",
            "The list of parts was not in ascending order. Parts must be ordered by part number.",
            extra={"UploadId": upload.id},
        )
    chosen = []
    for number, item in zip(numbers, named, strict=True):
        part = by_number.get(number)
        if part is None or item.get("ETag", "").strip('"') != part.etag or not _agrees(part, item):
            raise AwsError(
                "InvalidPart",
                "One or more of the specified parts could not be found.  The part may not have been uploaded, or the specified entity"
                " tag may not match the part's entity tag.",
                extra={"UploadId": upload.id, "PartNumber": str(number), "ETag": item.get("ETag", "")},
            )
        _check_named(upload, part, item)
        chosen.append(part)
    for part in chosen[:-1]:
        if part.size < MIN_PART:
            raise AwsError(
                "EntityTooSmall",
                "Your proposed upload is smaller than the minimum allowed size",
                extra={
                    "ProposedSize": str(part.size),
                    "MinSizeAllowed": str(MIN_PART),
                    "PartNumber": str(part.number),
                    "ETag": part.etag,
                },
            )
    return chosen


def _check_named(upload: Upload, part: Part, item: dict[str, Any]) -> None:
    """A composite checksum is made of what the client names: each part that has one must be named with it."""
    if upload.checksum_type == "COMPOSITE" and upload.algorithm in part.checksums and item.get(f"Checksum{upload.algorithm}") is None:
        raise AwsError(
            "InvalidRequest",
            f"The upload was created using a {upload.algorithm.lower()} checksum. The complete request must include the checksum for each"
            f" part. It was missing for part {part.number} in the request.",
        )


def _agrees(part: Part, item: dict[str, Any]) -> bool:
    return all(
        item.get(member) in (None, part.checksums.get(name)) for name, member in zip(checksums.ALGORITHMS, checksums.MEMBERS, strict=True)
    )


def multipart_etag(parts: Sequence[Part]) -> str:
    """The md5 of the parts' md5s, and how many there are."""
    joined = b"".join(bytes.fromhex(part.etag) for part in parts)
    return f"{hashlib.md5(joined, usedforsecurity=False).hexdigest()}-{len(parts)}"


def object_checksums(upload: Upload, parts: Sequence[Part]) -> dict[str, str]:
    """The object's checksum in the upload's algorithm; none when a part has none (copied parts, say)."""
    values = [(part.checksums.get(upload.algorithm), part.size) for part in parts]
    known = [(value, size) for value, size in values if value is not None]
    if not upload.algorithm or len(known) != len(parts):
        return {}
    return {upload.algorithm: checksums.combined(upload.algorithm, upload.checksum_type, known)}


def part_infos(parts: Sequence[Part]) -> list[PartInfo]:
    return [PartInfo(part.number, part.size, part.checksums) for part in parts]

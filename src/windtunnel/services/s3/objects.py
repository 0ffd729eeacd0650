"""Object versions: their records, and how they take each other's place. Pure, but for the records' own store.

Invariants: a key that has any version has exactly one current one (kind `s3.object`; it may be a delete marker), so that reading
an object is one point read and listing is one range; `number` grows with each version of a key, so the current one has the
greatest. Older versions (kind `s3.noncurrent`) are keyed newest first.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Literal

import msgspec

from windtunnel.kernel.cloud import BlobRange, BlobRef
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.records import Record, RecordScope
from windtunnel.services.s3.acl import Grant

MAX_KEY_BYTES = 1024
MAX_METADATA_BYTES = 2048
MAX_OBJECT_TAGS = 10
NULL = "null"
_LAST_NUMBER = 10**12


class Encryption(msgspec.Struct, frozen=True, omit_defaults=True):
    """How an object is encrypted when not by SSE-S3 alone. kind: `aws:kms` or `customer`; key: the KMS key's ARN, or the customer key's MD5.

    wrapped: the data key, by KMS or under the customer's key. context: what the client added to KMS's encryption context.
    """

    kind: str
    key: str
    wrapped: bytes
    arn: str = ""
    """The `aws:s3:arn` of the encryption context: the object's, or the bucket's with a bucket key."""
    context: dict[str, str] = {}
    bucket_key: bool = False

    @property
    def kms_context(self) -> dict[str, str]:
        return {**self.context, "aws:s3:arn": self.arn}


ChecksumType = Literal["FULL_OBJECT", "COMPOSITE"]


class Retention(msgspec.Struct, frozen=True):
    """Until when a version is kept from removal. mode: GOVERNANCE or COMPLIANCE; until: epoch seconds."""

    mode: str
    until: float


class PartInfo(msgspec.Struct, frozen=True, omit_defaults=True):
    """A part of a multipart object: where it ends follows from the sizes of those before it. checksums: base64 by algorithm."""

    number: int
    size: int
    checksums: dict[str, str] = {}


class Described(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True):
    """What a client says of an object beside its bytes.

    headers: the model's member names (`ContentType`, …); expires: the header as it was sent.
    """

    headers: dict[str, str] = {}
    expires: str | None = None
    metadata: dict[str, str] = {}
    tags: dict[str, str] = {}
    storage_class: str = "STANDARD"


class Version(Record, kw_only=True, omit_defaults=True):
    """One version of an object, or a delete marker.

    content: the bytes, as ranges of blobs in order. etag: without its quotes. checksums: base64 by algorithm (`CRC32`).
    upload: the multipart upload that made it, so that completing it again gives the same answer.
    """

    SCOPE: ClassVar[RecordScope] = "cloud"

    bucket: str
    name: str
    number: int
    version_id: str = NULL
    modified: float
    marker: bool = False
    size: int = 0
    etag: str = ""
    described: Described = Described()
    checksums: dict[str, str] = {}
    checksum_type: ChecksumType = "FULL_OBJECT"
    parts: list[PartInfo] = []
    content: list[BlobRange] = []
    upload: str = ""
    encryption: Encryption | None = None
    """None: by SSE-S3 alone, as every object is at least."""
    retention: Retention | None = None
    legal_hold: bool | None = None
    """None when it was never set."""
    redirect: str = ""
    """WebsiteRedirectLocation."""
    restored: float = 0.0
    """Until when the copy of an archived object can be read."""
    replaced: float = 0.0
    """When a newer version took its place."""
    account: str = ""
    """The account that owns the object, where that is not the bucket's."""
    acl: list[Grant] | None = None
    """None: its owner may do everything, and nobody else anything by ACL."""

    def key(self) -> str:
        raise TypeError("a version is stored as current or noncurrent")


def blob_names(version: Any) -> Iterable[str]:
    """The blob files that a record refers to: the index `blob`, which the sweep at start reads."""
    return {piece.ref.sha256 for piece in version.content if piece.ref.inline is None}


class Current(Version, kw_only=True, omit_defaults=True):
    """The version that a plain GET sees."""

    KIND: ClassVar[str] = "s3.object"
    INDEXES: ClassVar = {"blob": blob_names}

    def key(self) -> str:
        return object_key(self.bucket, self.name)


class Noncurrent(Version, kw_only=True, omit_defaults=True):
    """A version that a newer one has replaced."""

    KIND: ClassVar[str] = "s3.noncurrent"
    INDEXES: ClassVar = {"blob": blob_names, "id": lambda version: (version_key(version.bucket, version.name, version.version_id),)}

    def key(self) -> str:
        return f"{older_than(self.bucket, self.name)}{_LAST_NUMBER - self.number:012d}"


class Listed(Record, kw_only=True):
    """What a listing needs of a version, whichever kind: the same documents, read without their bytes. Never written."""

    SCOPE: ClassVar[RecordScope] = "cloud"

    bucket: str
    name: str
    version_id: str = NULL
    modified: float
    marker: bool = False
    size: int = 0
    etag: str = ""
    checksums: dict[str, str] = {}
    checksum_type: ChecksumType = "FULL_OBJECT"
    described: Described = Described()


class ListedCurrent(Listed, kw_only=True):
    KIND: ClassVar[str] = "s3.object"


class ListedNoncurrent(Listed, kw_only=True):
    KIND: ClassVar[str] = "s3.noncurrent"


def object_key(bucket: str, name: str) -> str:
    return f"{bucket}/{name}"


def older_than(bucket: str, name: str) -> str:
    """The prefix of the record keys of an object's noncurrent versions."""
    return f"{bucket}/{name}\x00"


def version_key(bucket: str, name: str, version_id: str) -> str:
    """The value under which the index `id` finds a noncurrent version."""
    return f"{bucket}/{name}\x00{version_id}"


def check_key(name: str) -> None:
    if len(name.encode()) > MAX_KEY_BYTES:
        raise AwsError(
            "KeyTooLongError", "Your key is too long", extra={"Size": str(len(name.encode())), "MaxSizeAllowed": str(MAX_KEY_BYTES)}
        )
    if "\x00" in name:
        raise AwsError("InvalidArgument", "Object keys with a NUL character are not taken here.", extra={"ArgumentName": "key"})


def check_metadata(metadata: dict[str, str]) -> None:
    size = sum(len(key.encode()) + len(value.encode()) for key, value in metadata.items())
    if size > MAX_METADATA_BYTES:
        raise AwsError(
            "MetadataTooLarge",
            "Your metadata headers exceed the maximum allowed metadata size",
            extra={"Size": str(size), "MaxSizeAllowed": str(MAX_METADATA_BYTES)},
        )


def no_such_key(name: str, headers: Mapping[str, str] | None = None) -> AwsError:
    return AwsError("NoSuchKey", "The specified key does not exist.", extra={"Key": name}, headers=headers)


def no_such_version(name: str, version_id: str) -> AwsError:
    return AwsError("NoSuchVersion", "The specified version does not exist.", extra={"Key": name, "VersionId": version_id})


def whole(ref: BlobRef) -> BlobRange:
    return BlobRange(ref, 0, ref.size)


def cut(content: list[BlobRange], start: int, length: int) -> list[BlobRange]:
    """The ranges that hold `length` bytes from `start` on. One empty range when there is nothing, so that a body is never missing."""
    pieces: list[BlobRange] = []
    for piece in content:
        if length <= 0:
            break
        if start >= piece.length:
            start -= piece.length
            continue
        taken = min(piece.length - start, length)
        pieces.append(BlobRange(piece.ref, piece.offset + start, taken))
        start, length = 0, length - taken
    return pieces or [BlobRange(EMPTY, 0, 0)]


EMPTY = BlobRef(hashlib.sha256().hexdigest(), 0, hashlib.md5(usedforsecurity=False).hexdigest(), b"")

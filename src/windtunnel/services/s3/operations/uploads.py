"""Multipart uploads: beginning, uploading parts, completing, aborting."""

from __future__ import annotations

from typing import Any

from windtunnel.kernel.cloud import Body
from windtunnel.kernel.context import Context, Reply
from windtunnel.kernel.errors import AwsError, not_built
from windtunnel.kernel.registry import writes
from windtunnel.services.s3 import checksums, notify
from windtunnel.services.s3.buckets import Bucket
from windtunnel.services.s3.conditions import check_write
from windtunnel.services.s3.describing import DESCRIBING, described_by, owned_by, quoted, redirect_of, version_headers
from windtunnel.services.s3.encryption import CUSTOMER_MEMBERS, SSE_MEMBERS, customer_key, etag_of, for_new, for_old, kept, told
from windtunnel.services.s3.guard import on_new_object, on_object, the_bucket
from windtunnel.services.s3.locks import for_new as for_new_lock
from windtunnel.services.s3.objects import EMPTY, ChecksumType, Current, Version, check_key, object_key, whole
from windtunnel.services.s3.operations.configuration import malformed
from windtunnel.services.s3.operations.writing import BODY
from windtunnel.services.s3.uploading import (
    Part,
    Upload,
    check_part_number,
    chosen_parts,
    drop_upload,
    multipart_etag,
    no_such_upload,
    object_checksums,
    part_infos,
    parts_of,
    the_upload,
    upload_key,
)
from windtunnel.services.s3.versions import put_version


@writes(
    "s3",
    "CreateMultipartUpload",
    authorize=on_new_object,
    acts=f"Bucket Key ExpectedBucketOwner {DESCRIBING} {SSE_MEMBERS} ChecksumAlgorithm ChecksumType",
)
def create_multipart_upload(
    ctx: Context,
    bucket: str,
    key: str,
    checksum_algorithm: str | None = None,
    checksum_type: ChecksumType | None = None,
    **said: Any,
) -> Reply:
    home = the_bucket(ctx, bucket)
    check_key(key)
    whose = owned_by(ctx, home, said)
    retention, hold = for_new_lock(home, said, ctx.now)
    algorithm, kind = _checksum_plan(checksum_algorithm, checksum_type)
    upload = Upload(
        id=f"{int(ctx.now * 1000):012x}{ctx.ids.alnum(52)}",
        bucket=bucket,
        name=key,
        initiated=ctx.now,
        initiator=ctx.principal.arn,
        described=described_by(said, "CreateMultipartUpload"),
        algorithm=algorithm,
        checksum_type=kind,
        account=whose.account,
        acl=whose.acl,
        retention=retention,
        legal_hold=hold,
        redirect=redirect_of(said),
        encryption=for_new(ctx, home, key, said, "CreateMultipartUpload").encryption,
    )
    ctx.tx.put(upload)
    reply: Reply = {"Bucket": bucket, "Key": key, "UploadId": upload.id, **told(upload.encryption)}
    return reply | ({"ChecksumAlgorithm": algorithm, "ChecksumType": kind} if algorithm else {})


def _checksum_plan(algorithm: str | None, kind: ChecksumType | None) -> tuple[str, ChecksumType]:
    if algorithm is None:
        if kind is not None:
            raise AwsError("InvalidRequest", "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.")
        return "", "FULL_OBJECT"
    if algorithm not in checksums.ALGORITHMS:
        raise not_built("s3", "CreateMultipartUpload", f"ChecksumAlgorithm {algorithm}")
    chosen = kind or checksums.default_type(algorithm)
    checksums.check_type(algorithm, chosen)
    return algorithm, chosen


@writes(
    "s3",
    "UploadPart",
    authorize=on_object("PutObject"),
    acts=f"{BODY} PartNumber UploadId RequestPayer {CUSTOMER_MEMBERS}",
    body="stage",
)
def upload_part(
    ctx: Context,
    bucket: str,
    key: str,
    upload_id: str,
    part_number: int,
    body: Body | None = None,
    **said: Any,
) -> Reply:
    home = the_bucket(ctx, bucket)
    check_part_number(part_number)
    upload = the_upload(ctx.tx, bucket, key, upload_id)
    staged = body or Body(EMPTY)
    verified = checksums.of_body(staged)
    if upload.algorithm and verified and upload.algorithm not in verified:
        raise AwsError(
            "InvalidRequest",
            f"Checksum Type mismatch occurred, expected checksum Type: {upload.algorithm.lower()},"
            f" actual checksum Type: {next(iter(verified)).lower()}",
        )
    ref = kept(ctx, staged.ref, for_old(ctx, home.region, upload.encryption, customer_key(said), writing=True).data_key)
    part = Part(
        upload=upload.id,
        number=part_number,
        size=ref.size,
        etag=etag_of(ref, upload.encryption),
        modified=ctx.now,
        checksums=verified,
        content=[whole(ref)],
    )
    ctx.tx.put(part)
    return {"ETag": quoted(part.etag), **told(upload.encryption), **checksums.members(verified)}


_PART = "MultipartUpload.Parts[]"


@writes(
    "s3",
    "CompleteMultipartUpload",
    authorize=on_new_object,
    acts=" ".join(
        [
            f"Bucket Key UploadId ExpectedBucketOwner RequestPayer IfMatch IfNoneMatch MpuObjectSize ChecksumType {_PART}.PartNumber {_PART}.ETag",
            *(f"{_PART}.{member}" for member in checksums.MEMBERS),
            *checksums.MEMBERS,
        ]
    ),
)
def complete_multipart_upload(
    ctx: Context,
    bucket: str,
    key: str,
    upload_id: str,
    multipart_upload: dict[str, Any] | None = None,
    mpu_object_size: int | None = None,
    checksum_type: ChecksumType | None = None,
    if_match: str | None = None,
    if_none_match: str | None = None,
    **said: Any,
) -> Reply:
    home = the_bucket(ctx, bucket)
    upload = ctx.tx.get(Upload, upload_key(bucket, key, upload_id))
    current = ctx.tx.get(Current, object_key(bucket, key))
    if upload is None:
        # A client whose answer was lost asks again: the object that this upload became is the answer.
        if current is not None and current.upload == upload_id:
            return _completed(ctx, home, current)
        raise no_such_upload(upload_id)
    check_write(key, current, if_match, if_none_match)
    if checksum_type not in (None, upload.checksum_type):
        raise AwsError(
            "InvalidRequest",
            f"The upload was created using the {upload.checksum_type} checksum mode. The complete request must use the same checksum mode.",
        )
    named = (multipart_upload or {}).get("Parts") or []
    if not named:
        raise malformed()
    parts = chosen_parts(parts_of(ctx.tx, upload.id), named, upload)
    version = _assembled(ctx, upload, parts)
    if mpu_object_size not in (None, version.size):
        raise AwsError("InvalidRequest", "The provided 'x-amz-mp-object-size' header value does not match what was computed.")
    _check_promised(said, version)
    put_version(ctx, home, version)
    drop_upload(ctx.tx, upload)
    notify.created(ctx, home, version, "CompleteMultipartUpload")
    return _completed(ctx, home, version)


def _assembled(ctx: Context, upload: Upload, parts: list[Part]) -> Current:
    return Current(
        bucket=upload.bucket,
        name=upload.name,
        number=0,
        modified=ctx.now,
        size=sum(part.size for part in parts),
        etag=multipart_etag(parts),
        described=upload.described,
        checksums=object_checksums(upload, parts),
        checksum_type=upload.checksum_type,
        parts=part_infos(parts),
        content=[piece for part in parts for piece in part.content if piece.length],
        upload=upload.id,
        encryption=upload.encryption,
        account=upload.account,
        acl=upload.acl,
        retention=upload.retention,
        legal_hold=upload.legal_hold,
        redirect=upload.redirect,
    )


def _check_promised(said: dict[str, Any], version: Version) -> None:
    """A checksum of the whole object in the request must be the one that the parts add up to."""
    for name, argument in checksums.ARGUMENTS.items():
        promised = said.get(argument)
        if promised is not None and name in version.checksums and promised != version.checksums[name]:
            raise AwsError("BadDigest", f"The {name.lower()} you specified did not match the calculated checksum.")


def _completed(ctx: Context, bucket: Bucket, version: Version) -> Reply:
    reply: Reply = {
        "Location": f"{ctx.cloud.endpoint}/{bucket.name}/{version.name}",
        "Bucket": bucket.name,
        "Key": version.name,
        "ETag": quoted(version.etag),
        "ServerSideEncryption": "AES256",
        **version_headers(bucket, version),
    }
    if version.checksums:
        reply |= {**checksums.members(version.checksums), "ChecksumType": version.checksum_type}
    return reply


@writes(
    "s3",
    "AbortMultipartUpload",
    authorize=on_object("AbortMultipartUpload"),
    acts="Bucket Key UploadId ExpectedBucketOwner RequestPayer",
)
def abort_multipart_upload(ctx: Context, bucket: str, key: str, upload_id: str, **_: Any) -> Reply:
    drop_upload(ctx.tx, the_upload(ctx.tx, bucket, key, upload_id))
    return {}

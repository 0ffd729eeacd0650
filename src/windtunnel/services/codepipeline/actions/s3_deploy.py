"""Deploy/S3: the input artifact into a bucket, as it is or its zip's files one by one."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec

from windtunnel.jobs import Run
from windtunnel.kernel.cloud import BlobRange, BlobRef, Cloud
from windtunnel.kernel.context import Context
from windtunnel.kernel.errors import AwsError
from windtunnel.services.codepipeline.acting import DENIED, artifact_denied, in_role
from windtunnel.services.codepipeline.catalog import Configuration, action_type
from windtunnel.services.codepipeline.model import Act, ActionFailed, Outcome

if TYPE_CHECKING:
    import zipfile

CHUNK = 1 << 20
MAX_FILES = 10_000
MAX_BYTES = 10 << 30
BATCH = 32
ACLS = [
    "private",
    "public-read",
    "public-read-write",
    "authenticated-read",
    "aws-exec-read",
    "bucket-owner-read",
    "bucket-owner-full-control",
    "log-delivery-write",
]


class Unpacked(msgspec.Struct, frozen=True):
    """A file of the zip, as a blob that an object may refer to."""

    name: str
    content: BlobRef


def check(configuration: Configuration) -> None:
    extract = configuration["Extract"].lower()
    if extract not in ("true", "false"):
        raise ValueError("Extract must be true or false")
    if extract == "false" and "ObjectKey" not in configuration:
        raise ValueError("ObjectKey is required when Extract is false")
    if configuration.get("CannedACL", "private") not in ACLS:
        raise ValueError(f"CannedACL must be one of {', '.join(ACLS)}")


@action_type(
    "Deploy",
    "S3",
    inputs=(1, 1),
    required="BucketName Extract",
    optional="ObjectKey KMSEncryptionKeyARN CannedACL CacheControl",
    timeout=90 * 60.0,
    check=check,
)
def deploy(run: Run, act: Act) -> Outcome:
    bucket, key = act.configuration["BucketName"], act.configuration.get("ObjectKey", "")
    if act.configuration["Extract"].lower() == "false":
        run.tx("copy", copy, act)
        return Outcome(summary=f"Deployed to s3://{bucket}/{key}")
    files = run.effect("unpack", unpack, run, act, returns=list[Unpacked])
    for first in range(0, len(files), BATCH):
        run.tx(f"put[{first}]", put, act, files[first : first + BATCH])
    return Outcome(summary=f"Deployed {len(files)} files to s3://{bucket}/{key}")


def copy(ctx: Context, act: Act) -> None:
    artifact = act.inputs[0]
    source = f"{artifact.bucket}/{quote(artifact.key)}"
    _calling(ctx, act, "CopyObject", key=act.configuration["ObjectKey"], copy_source=source)


def put(ctx: Context, act: Act, files: list[Unpacked]) -> None:
    import mimetypes

    prefix = act.configuration.get("ObjectKey", "").strip("/")
    more = {"cache_control": act.configuration["CacheControl"]} if "CacheControl" in act.configuration else {}
    for file in files:
        kind = mimetypes.guess_type(file.name)[0] or "binary/octet-stream"
        _calling(ctx, act, "PutObject", key=f"{prefix}/{file.name}" if prefix else file.name, body=file.content, content_type=kind, **more)


def _calling(ctx: Context, act: Act, operation: str, **args: Any) -> None:
    """An S3 operation on the target bucket as the action's role. Raises ActionFailed."""
    bucket = act.configuration["BucketName"]
    if "CannedACL" in act.configuration:
        args["acl"] = act.configuration["CannedACL"]
    if "KMSEncryptionKeyARN" in act.configuration:
        args |= {"server_side_encryption": "aws:kms", "ssekms_key_id": act.configuration["KMSEncryptionKeyARN"]}
    try:
        in_role(ctx, act).call("s3", operation, bucket=bucket, **args)
    except AwsError as error:
        if error.code in DENIED:
            raise artifact_denied(act, bucket) from error
        raise ActionFailed("ConfigurationError", f"Deployment to the S3 bucket {bucket} failed: {error.code}: {error.message}") from error


def unpack(run: Run, act: Act, token: str) -> list[Unpacked]:
    """The artifact's files as blobs. A repeat makes the same blobs."""
    import tempfile
    import zipfile
    import zlib

    body = run.read(read_artifact, act)
    with tempfile.TemporaryFile() as file:
        for piece in body if isinstance(body, list) else [body]:
            _copy_piece(run.cloud, piece, file)
        try:
            with zipfile.ZipFile(file) as zipped:
                return _files(run.cloud, act, zipped)
        except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError) as error:
            raise ActionFailed("JobFailed", f"The input artifact {act.inputs[0].name} could not be extracted: {error}") from error


def read_artifact(ctx: Context, act: Act) -> BlobRange | list[BlobRange]:
    artifact = act.inputs[0]
    try:
        body: BlobRange | list[BlobRange] = in_role(ctx, act).call("s3", "GetObject", bucket=artifact.bucket, key=artifact.key)["Body"]
    except AwsError as error:
        if error.code in DENIED:
            raise artifact_denied(act, artifact.bucket) from error
        raise
    return body


def _copy_piece(cloud: Cloud, piece: BlobRange, file: IO[bytes]) -> None:
    for offset in range(0, piece.length, CHUNK):
        file.write(cloud.blobs.read(piece.ref, piece.offset + offset, min(CHUNK, piece.length - offset)))


def _files(cloud: Cloud, act: Act, zipped: zipfile.ZipFile) -> list[Unpacked]:
    entries = [entry for entry in zipped.infolist() if not entry.is_dir()]
    if len(entries) > MAX_FILES or sum(entry.file_size for entry in entries) > MAX_BYTES:
        raise ActionFailed(
            "JobFailed", f"The input artifact {act.inputs[0].name} has more than {MAX_FILES} files or {MAX_BYTES >> 30} GiB."
        )
    return [Unpacked(entry.filename, _blob(cloud, zipped, entry)) for entry in entries]


def _blob(cloud: Cloud, zipped: zipfile.ZipFile, entry: zipfile.ZipInfo) -> BlobRef:
    """One entry as a blob. zipfile reads no more of it than its header promised, so that MAX_BYTES holds."""
    writer = cloud.blobs.writer()
    try:
        with zipped.open(entry) as content:
            while data := content.read(CHUNK):
                writer.write(data)
    except BaseException:
        writer.discard()
        raise
    return writer.finish()

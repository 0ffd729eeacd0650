"""Export to S3: a durable run writes a group's events as gzip files, one stream after the other.

Invariants: a file and the mark of how far the export has come commit together, so a crash neither loses nor doubles an event; the bucket's
own policy decides, for everything is put as `logs.REGION.amazonaws.com`.
"""

from __future__ import annotations

import gzip
from datetime import UTC, datetime
from typing import Any, ClassVar, NamedTuple

from windtunnel.jobs import Run, job
from windtunnel.kernel.cloud import BlobRef
from windtunnel.kernel.context import Context
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.records import Record
from windtunnel.services.logs.model import LogStream, group_arn, stream_key
from windtunnel.services.logs.reading import stream_events

MAX_FILE_EVENTS = 10_000
MAX_FILE_BYTES = 8 << 20
ACTIVE = ("PENDING", "RUNNING", "PENDING_CANCEL")


class Export(Record, kw_only=True):
    """An export task. begins, ends: the events' times, ms, `ends` not included; created, completed: epoch ms."""

    KIND: ClassVar[str] = "logs.export"

    id: str
    name: str
    group: str
    prefix: str
    begins: int
    ends: int
    bucket: str
    bucket_prefix: str
    code: str = "PENDING"
    message: str = ""
    created: int
    completed: int | None = None
    stream: str = ""
    """The stream that is being written, and what of it is already in the bucket."""
    position: int = -1
    files: int = 0

    def key(self) -> str:
        return self.id

    def described(self) -> dict[str, Any]:
        execution = {"creationTime": self.created} | ({"completionTime": self.completed} if self.completed else {})
        return {
            "taskId": self.id,
            "taskName": self.name,
            "logGroupName": self.group,
            "from": self.begins,
            "to": self.ends,
            "destination": self.bucket,
            "destinationPrefix": self.bucket_prefix,
            "status": {"code": self.code} | ({"message": self.message} if self.message else {}),
            "executionInfo": execution,
        }


def _put(ctx: Context, task: Export, key: str, body: bytes | BlobRef) -> None:
    service = ctx.as_service("logs.amazonaws.com", f"{group_arn(ctx.scope, task.group)}:*")
    service.call("s3", "PutObject", bucket=task.bucket, key=f"{task.bucket_prefix}/{key}", body=body, acl="bucket-owner-full-control")


def check(ctx: Context, task: Export) -> None:
    """As AWS does before it takes a task: look at the bucket and write a test file into it."""
    service = ctx.as_service("logs.amazonaws.com", f"{group_arn(ctx.scope, task.group)}:*")
    try:
        service.call("s3", "GetBucketAcl", bucket=task.bucket)
    except AwsError as error:
        if error.code == "NoSuchBucket":
            raise AwsError("InvalidParameterException", "The given bucket does not exist. Please check the bucket name.") from error
        raise AwsError("InvalidParameterException", f"GetBucketAcl call on the given bucket failed. {_WHY}") from error
    try:
        _put(ctx, task, "aws-logs-write-test", b"Permission Check Successful")
    except AwsError as error:
        raise AwsError("InvalidParameterException", f"PutObject call on the given bucket failed. {_WHY}") from error


_WHY = "Please check if CloudWatch Logs has been granted permission to perform this operation."


@job("logs.export", failed=lambda ctx, message, task: _end(ctx, task, "FAILED", message))
def export(run: Run, task: str) -> None:
    if not run.tx("begin", begin, task):
        return
    for nth in range(1 << 30):
        packed = run.read(pack, task)
        if packed is None:
            break
        if not run.tx(f"put {nth}", put_file, task, packed, run.cloud.blobs.put(packed.body)):
            return
    run.tx("finish", finish, task)


def begin(ctx: Context, task_id: str) -> bool:
    task = ctx.tx.get(Export, task_id)
    if task is None or task.code != "PENDING":
        return bool(task is not None and task.code == "RUNNING") or _cancelled(ctx, task)
    task.code = "RUNNING"
    ctx.tx.put(task)
    return True


class Packed(NamedTuple):
    """The next file: of a stream, up to a position."""

    stream: str
    position: int
    body: bytes
    key: str


def pack(ctx: Context, task_id: str) -> Packed | None:
    """The next file of a task, None at the end."""
    task = ctx.tx.get(Export, task_id)
    if task is None or task.code != "RUNNING":
        return None
    after = task.position
    current = [ctx.tx.get(LogStream, stream_key(task.group, task.stream))] if task.stream else []
    later = ctx.tx.scan(
        LogStream, prefix=stream_key(task.group, task.prefix), after=stream_key(task.group, task.stream) if task.stream else None
    )
    for stream in [*current, *later]:
        if stream is None:
            continue
        lines: list[str] = []
        size, last = 0, after
        for position, at, _, message in stream_events(ctx, stream, start=task.begins, end=task.ends, after=after):
            lines.append(f"{datetime.fromtimestamp(at / 1000, UTC).strftime('%Y-%m-%dT%H:%M:%S')}.{at % 1000:03d}Z {message}\n")
            size, last = size + len(message), position
            if len(lines) >= MAX_FILE_EVENTS or size >= MAX_FILE_BYTES:
                break
        if lines:
            number = task.files if stream.name == task.stream else 0
            key = f"{task.id}/{stream.name.replace('/', '-')}/{number:06d}.gz"
            return Packed(stream.name, last, gzip.compress("".join(lines).encode("utf-8", "surrogatepass"), 6, mtime=0), key)
        after = -1
    return None


def put_file(ctx: Context, task_id: str, packed: Packed, blob: BlobRef) -> bool:
    """Put a file and move on. False when the task was cancelled, or its bucket refused."""
    task = ctx.tx.get(Export, task_id)
    if task is None or task.code != "RUNNING":
        return _cancelled(ctx, task)
    try:
        _put(ctx, task, packed.key, blob)
    except AwsError as error:
        _end(ctx, task_id, "FAILED", f"{error.code}: {error.message}"[:500])
        return False
    task.files = task.files + 1 if packed.stream == task.stream else 1
    task.stream, task.position = packed.stream, packed.position
    ctx.tx.put(task)
    return True


def _cancelled(ctx: Context, task: Export | None) -> bool:
    if task is not None and task.code == "PENDING_CANCEL":
        _end(ctx, task.id, "CANCELLED", "Export task was cancelled.")
    return False


def finish(ctx: Context, task_id: str) -> None:
    task = ctx.tx.get(Export, task_id)
    if task is not None and task.code == "RUNNING":
        _end(ctx, task_id, "COMPLETED", "Completed successfully")
    else:
        _cancelled(ctx, task)


def _end(ctx: Context, task_id: str, code: str, message: str) -> None:
    task = ctx.tx.get(Export, task_id)
    if task is not None:
        task.code, task.message, task.completed = code, message, int(ctx.now * 1000)
        ctx.tx.put(task)

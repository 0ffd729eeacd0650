"""A build's log in CloudWatch Logs, written as the build's own service role.

Invariant: what the role may not write is not written; the build then says so (`log_trouble`) and does not succeed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from windtunnel.kernel.context import Context
from windtunnel.kernel.errors import AwsError
from windtunnel.services.codebuild.model import SERVICE, Build, build_arn, project_arn, session_name

Line = tuple[int, str]
MAX_EVENTS = 5_000
MAX_BYTES = 900_000


def as_role(ctx: Context, build: Build) -> Context:
    """This transaction as the build's session of its service role. AwsError AccessDenied when the role does not trust CodeBuild."""
    return ctx.assuming(build.settings["serviceRole"], session_name(build), SERVICE, project_arn(ctx.scope, build.project))


def open_log(ctx: Context, build: Build) -> str:
    """Make the build's group (if need be) and stream. Returns why it could not, in AWS's words, or ""."""
    if not build.logged:
        return ""
    prefix = build.settings.get("logsConfig", {}).get("cloudWatchLogs", {}).get("streamName") or ""
    stream = f"{prefix}/{build.uuid}" if prefix else build.uuid
    try:
        role = as_role(ctx, build)
        _create_stream(role, build.group, stream)
    except AwsError as error:
        return _denied(ctx, build, error)
    build.stream = stream
    return ""


def _create_stream(role: Context, group: str, stream: str) -> None:
    try:
        role.call("logs", "CreateLogStream", log_group_name=group, log_stream_name=stream)
    except AwsError as error:
        if error.code == "ResourceAlreadyExistsException":
            return
        if error.code != "ResourceNotFoundException":
            raise
        role.call("logs", "CreateLogGroup", log_group_name=group)
        role.call("logs", "CreateLogStream", log_group_name=group, log_stream_name=stream)


def _denied(ctx: Context, build: Build, error: AwsError) -> str:
    if not error.code.startswith("AccessDenied"):
        return f"The log of build {build_arn(ctx.scope, build.id)} could not be written. Error message: {error}"
    return (
        f"Service role {build.settings['serviceRole']} does not allow AWS CodeBuild to create Amazon CloudWatch Logs log streams "
        f"for build {build_arn(ctx.scope, build.id)}. Error message: {error.message}"
    )


def write_log(ctx: Context, build: Build, lines: Sequence[Line]) -> None:
    """Append (milliseconds, text) to the build's log. A refusal is kept in `build.log_trouble` and ends the writing."""
    if not lines or build.stream is None or build.log_trouble:
        return
    try:
        role = as_role(ctx, build)
        for events in _batches(lines):
            role.call("logs", "PutLogEvents", log_group_name=build.group, log_stream_name=build.stream, log_events=events)
    except AwsError as error:
        build.log_trouble = _denied(ctx, build, error)


def _batches(lines: Sequence[Line]) -> Iterator[list[dict[str, Any]]]:
    """Within what PutLogEvents takes at once; every message ends its line, as CodeBuild's do."""
    batch: list[dict[str, Any]] = []
    size = 0
    for at, text in lines:
        length = len(text) * 4 + 32
        if batch and (len(batch) >= MAX_EVENTS or size + length > MAX_BYTES):
            yield batch
            batch, size = [], 0
        batch.append({"timestamp": at, "message": text + "\n"})
        size += length
    if batch:
        yield batch

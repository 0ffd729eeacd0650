"""Log streams: create, delete, describe."""

from __future__ import annotations

from typing import Any

from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import reads, writes
from windtunnel.services.logs.model import (
    LogStream,
    group_name,
    group_or_error,
    need,
    page_token,
    parse_page_token,
    stream_key,
    stream_or_error,
)


def on_stream(action: str) -> Any:
    def authorize(ctx: Context, log_group_name: str, log_stream_name: str, **_: Any) -> list[Need]:
        return need(ctx, action, log_group_name, log_stream_name)

    return authorize


def on_streams_of_group(ctx: Context, log_group_name: str | None = None, log_group_identifier: str | None = None, **_: Any) -> list[Need]:
    return need(ctx, "DescribeLogStreams", group_name(log_group_name, log_group_identifier))


@writes("logs", "CreateLogStream", authorize=on_stream("CreateLogStream"), acts="logGroupName logStreamName")
def create_log_stream(ctx: Context, log_group_name: str, log_stream_name: str) -> Reply:
    group_or_error(ctx, log_group_name)
    if ctx.tx.get(LogStream, stream_key(log_group_name, log_stream_name)) is not None:
        raise AwsError("ResourceAlreadyExistsException", "The specified log stream already exists")
    ctx.tx.insert(LogStream(group=log_group_name, name=log_stream_name, created=int(ctx.now * 1000), span=0))
    return {}


@writes("logs", "DeleteLogStream", authorize=on_stream("DeleteLogStream"), acts="logGroupName logStreamName")
def delete_log_stream(ctx: Context, log_group_name: str, log_stream_name: str) -> Reply:
    stream = stream_or_error(ctx, log_group_name, log_stream_name)
    ctx.tx.drop_logs(log_group_name, log_stream_name)
    ctx.tx.delete(LogStream, stream.key())
    return {}


@reads(
    "logs",
    "DescribeLogStreams",
    authorize=on_streams_of_group,
    acts="logGroupName logGroupIdentifier logStreamNamePrefix orderBy descending nextToken limit",
    cost="scan",
)
def describe_log_streams(
    ctx: Context,
    log_group_name: str | None = None,
    log_group_identifier: str | None = None,
    log_stream_name_prefix: str = "",
    order_by: str = "LogStreamName",
    descending: bool = False,
    next_token: str | None = None,
    limit: int = 50,
) -> Reply:
    if order_by == "LastEventTime" and log_stream_name_prefix:
        raise AwsError("InvalidParameterException", "Cannot order by LastEventTime with a logStreamNamePrefix.")
    group = group_or_error(ctx, group_name(log_group_name, log_group_identifier)).name
    streams = ctx.tx.scan(LogStream, prefix=stream_key(group, log_stream_name_prefix))

    def place(stream: LogStream) -> tuple[int, str]:
        return (stream.last or 0 if order_by == "LastEventTime" else 0, stream.name)

    streams.sort(key=place, reverse=descending)
    if next_token:
        last = tuple(parse_page_token(next_token, int, str))
        streams = [stream for stream in streams if (place(stream) < last if descending else place(stream) > last)]
    reply: Reply = {"logStreams": [stream.described(ctx.scope) for stream in streams[:limit]]}
    if len(streams) > limit:
        reply["nextToken"] = page_token(*place(streams[limit - 1]))
    return reply

"""Export tasks (exporting.py writes the files)."""

from __future__ import annotations

from typing import Any

from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import reads, writes
from windtunnel.services.logs.exporting import ACTIVE, Export, check
from windtunnel.services.logs.model import LogStream, group_or_error, need, page_token, parse_page_token, stream_key


def on_create(ctx: Context, log_group_name: str, **_: Any) -> list[Need]:
    return need(ctx, "CreateExportTask", log_group_name)


def on_all(action: str) -> Any:
    def authorize(ctx: Context, **_: Any) -> list[Need]:
        return [Need(f"logs:{action}", "*")]

    return authorize


@writes(
    "logs",
    "CreateExportTask",
    authorize=on_create,
    acts="taskName logGroupName logStreamNamePrefix from to destination destinationPrefix",
)
def create_export_task(
    ctx: Context,
    log_group_name: str,
    to: int,
    destination: str,
    task_name: str = "",
    log_stream_name_prefix: str = "",
    destination_prefix: str = "exportedlogs",
    **said: int,
) -> Reply:
    group = group_or_error(ctx, log_group_name)
    if group.log_class != "STANDARD":
        raise AwsError("InvalidParameterException", f"Export to S3 is not supported for the log group class {group.log_class}.")
    begins = said["from"]
    if begins >= to:
        raise AwsError("InvalidParameterException", "The 'from' time must be before the 'to' time.")
    if log_stream_name_prefix and not ctx.tx.scan(LogStream, prefix=stream_key(log_group_name, log_stream_name_prefix), limit=1):
        raise AwsError("ResourceNotFoundException", "The specified log stream does not exist.")
    if any(task.code in ACTIVE for task in ctx.tx.scan(Export)):
        raise AwsError("LimitExceededException", "Resource limit exceeded.")
    task = Export(
        id=ctx.ids.uuid(),
        name=task_name,
        group=log_group_name,
        prefix=log_stream_name_prefix,
        begins=begins,
        ends=to,
        bucket=destination,
        bucket_prefix=destination_prefix.strip("/") or "exportedlogs",
        created=int(ctx.now * 1000),
    )
    check(ctx, task)
    ctx.tx.insert(task)
    ctx.start_job("logs.export", f"logs.export/{task.id}", task=task.id)
    return {"taskId": task.id}


@reads("logs", "DescribeExportTasks", authorize=on_all("DescribeExportTasks"), acts="taskId statusCode nextToken limit", cost="scan")
def describe_export_tasks(ctx: Context, task_id: str = "", status_code: str = "", next_token: str | None = None, limit: int = 50) -> Reply:
    after = parse_page_token(next_token, str)[0] if next_token else None
    found = [
        task
        for task in ctx.tx.scan(Export, after=after)
        if (not task_id or task.id == task_id) and (not status_code or task.code == status_code)
    ]
    reply: Reply = {"exportTasks": [task.described() for task in found[:limit]]}
    if len(found) > limit:
        reply["nextToken"] = page_token(found[limit - 1].id)
    return reply


@writes("logs", "CancelExportTask", authorize=on_all("CancelExportTask"), acts="taskId")
def cancel_export_task(ctx: Context, task_id: str) -> Reply:
    task = ctx.tx.get(Export, task_id)
    if task is None:
        raise AwsError("ResourceNotFoundException", "The specified export task does not exist.")
    if task.code not in ("PENDING", "RUNNING"):
        raise AwsError("InvalidOperationException", "The specified export task has already finished.")
    task.code = "PENDING_CANCEL"
    ctx.tx.put(task)
    return {}

"""Archives of a bus's events."""

from __future__ import annotations

from typing import Any

import msgspec

from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import reads, writes
from windtunnel.kernel.scope import Arn
from windtunnel.services.events.archiving import begin_sweep
from windtunnel.services.events.lookups import bus_name, invalid, on_everything, page, the_bus
from windtunnel.services.events.model import Archive, Tally, bus_arn
from windtunnel.services.events.operations.rules import checked_pattern
from windtunnel.services.events.rulesets import changed

MAX_ARCHIVES = 100


def on_archive(action: str) -> Any:
    def authorize(ctx: Context, archive_name: str, event_source_arn: str | None = None, **_: Any) -> list[Need]:
        needs = [Need(f"events:{action}", ctx.arn("events", f"archive/{archive_name}"))]
        return [*needs, Need(f"events:{action}", event_source_arn)] if event_source_arn else needs

    return authorize


def the_archive(ctx: Context, name: str) -> Archive:
    archive = ctx.tx.get(Archive, name)
    if archive is None:
        raise AwsError("ResourceNotFoundException", f"Archive {name} does not exist.")
    return archive


def _source(ctx: Context, arn: str) -> str:
    """The bus behind an archive's source."""
    parsed = Arn.parse(arn)
    if parsed is None or not parsed.resource.startswith("event-bus/"):
        raise invalid("Parameter EventSourceArn is not valid. Reason: Must contain an event bus ARN.")
    return the_bus(ctx, bus_name(ctx, arn, "CreateArchive")).name


def _answer(ctx: Context, archive: Archive) -> Reply:
    return {"ArchiveArn": archive.arn(ctx.scope), "State": "ENABLED", "CreationTime": archive.created}


@writes(
    "events",
    "CreateArchive",
    authorize=on_archive("CreateArchive"),
    acts="ArchiveName EventSourceArn EventPattern RetentionDays",
    descriptive="Description",
)
def create_archive(
    ctx: Context, archive_name: str, event_source_arn: str, event_pattern: str = "", retention_days: int = 0, description: str = ""
) -> Reply:
    if ctx.tx.get(Archive, archive_name) is not None:
        raise AwsError("ResourceAlreadyExistsException", f"Archive {archive_name} already exists.")
    bus = _source(ctx, event_source_arn)
    if event_pattern:
        checked_pattern(event_pattern)
    if ctx.tx.count(Archive) >= MAX_ARCHIVES:
        raise AwsError("LimitExceededException", "The requested resource exceeds the maximum number allowed.")
    archive = Archive(
        name=archive_name,
        id=ctx.ids.hex(16),
        bus=bus,
        created=ctx.now,
        pattern=event_pattern,
        description=description,
        retention=retention_days,
    )
    ctx.tx.put(begin_sweep(ctx, archive))
    changed(ctx)
    return _answer(ctx, archive)


@writes(
    "events",
    "UpdateArchive",
    authorize=on_archive("UpdateArchive"),
    acts="ArchiveName EventPattern RetentionDays",
    descriptive="Description",
)
def update_archive(
    ctx: Context, archive_name: str, event_pattern: str | None = None, retention_days: int | None = None, description: str | None = None
) -> Reply:
    """What is not given stays."""
    old = the_archive(ctx, archive_name)
    if event_pattern:
        checked_pattern(event_pattern)
    archive = msgspec.structs.replace(
        old,
        pattern=old.pattern if event_pattern is None else event_pattern,
        retention=old.retention if retention_days is None else retention_days,
        description=old.description if description is None else description,
    )
    ctx.tx.put(begin_sweep(ctx, archive))
    changed(ctx)
    return _answer(ctx, archive)


@writes("events", "DeleteArchive", authorize=on_archive("DeleteArchive"), acts="ArchiveName")
def delete_archive(ctx: Context, archive_name: str) -> Reply:
    archive = the_archive(ctx, archive_name)
    begin_sweep(ctx, msgspec.structs.replace(archive, retention=0))
    ctx.tx.delete(Archive, archive_name)
    ctx.tx.delete(Tally, archive.id)
    ctx.start_job("events.forget", f"events.forget/{archive.id}", archive=archive.id)
    changed(ctx)
    return {}


def _shown(ctx: Context, archive: Archive) -> dict[str, Any]:
    """The Archive shape."""
    tally = ctx.tx.get(Tally, archive.id) or Tally(archive=archive.id)
    return {
        "ArchiveName": archive.name,
        "EventSourceArn": bus_arn(ctx.scope, archive.bus),
        "State": "ENABLED",
        "RetentionDays": archive.retention,
        "SizeBytes": tally.size,
        "EventCount": tally.count,
        "CreationTime": archive.created,
    }


@reads("events", "DescribeArchive", authorize=on_archive("DescribeArchive"), acts="ArchiveName")
def describe_archive(ctx: Context, archive_name: str) -> Reply:
    archive = the_archive(ctx, archive_name)
    more = {"Description": archive.description, "EventPattern": archive.pattern}
    return {"ArchiveArn": archive.arn(ctx.scope), **_shown(ctx, archive), **{name: value for name, value in more.items() if value}}


@reads(
    "events",
    "ListArchives",
    authorize=on_everything("ListArchives"),
    acts="NamePrefix EventSourceArn State NextToken Limit",
    cost="scan",
)
def list_archives(
    ctx: Context,
    name_prefix: str = "",
    event_source_arn: str = "",
    state: str = "",
    next_token: str | None = None,
    limit: int = 100,
) -> Reply:
    if sum(map(bool, (name_prefix, event_source_arn, state))) > 1:
        raise invalid("At most one filter is allowed for ListArchives. Use either : State, EventSourceArn, or NamePrefix.")
    found = [
        archive
        for archive in ctx.tx.scan(Archive, prefix=name_prefix, after=next_token)
        if event_source_arn in ("", bus_arn(ctx.scope, archive.bus)) and state in ("", "ENABLED")
    ]
    return page(found, limit, "Archives", lambda archive: _shown(ctx, archive), Archive.key)

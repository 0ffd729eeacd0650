"""AWS::Events::Archive."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from windtunnel.kernel.context import Context
from windtunnel.provision.handling import Direct
from windtunnel.provision.registry import Created, Name, Properties, Resource, Wanted, resource_type
from windtunnel.provision.showing import some
from windtunnel.services.events.resources.shared import MISSING, as_text, events, every, found

_NOTHING = {"Description": "", "RetentionDays": 0, "EventPattern": ""}


def _settings(props: Properties) -> dict[str, Any]:
    return {
        "Description": props.get("Description"),
        "RetentionDays": props.get("RetentionDays"),
        "KmsKeyIdentifier": props.get("KmsKeyIdentifier"),
        "EventPattern": as_text(props.get("EventPattern")),
    }


@resource_type("AWS::Events::Archive")
class ArchiveType(Direct):
    service = "events"
    calls = "CreateArchive UpdateArchive DeleteArchive"
    name = Name("ArchiveName", limit=48)
    missing = MISSING

    def create(self, ctx: Context, props: Properties, wanted: Wanted) -> Created:
        made = events(ctx, "CreateArchive", ArchiveName=wanted.name, EventSourceArn=props["SourceArn"], **_settings(props))
        return Created(id=wanted.name, attributes={"Arn": made["ArchiveArn"]})

    def read(self, ctx: Context, resource: Resource) -> Properties | None:
        archive = found(ctx, "DescribeArchive", ArchiveName=resource.id)
        if archive is None:
            return None
        shown = some(archive, "ArchiveName", "Description", "RetentionDays")
        shown |= {"SourceArn": archive["EventSourceArn"], "Arn": archive["ArchiveArn"]}
        return shown | ({"EventPattern": json.loads(archive["EventPattern"])} if archive.get("EventPattern") else {})

    def update(self, ctx: Context, resource: Resource, new: Properties, wanted: Wanted) -> Created | None:
        """UpdateArchive keeps what is not given, so that what is gone has to be said."""
        said = {name: value for name, value in _settings(new).items() if value is not None}
        gone = {name: value for name, value in _NOTHING.items() if name in resource.properties}
        events(ctx, "UpdateArchive", ArchiveName=resource.id, **{**gone, **said})
        return None

    def delete(self, ctx: Context, resource: Resource) -> bool | None:
        found(ctx, "DeleteArchive", ArchiveName=resource.id)
        return True

    def list(self, ctx: Context) -> Iterator[str]:
        return (archive["ArchiveName"] for archive in every(ctx, "ListArchives", "Archives"))

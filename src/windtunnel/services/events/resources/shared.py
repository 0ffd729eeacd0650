"""What the types of this service have in common."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from windtunnel.kernel.context import Context
from windtunnel.provision.calling import perform
from windtunnel.provision.handling import attempt, listed, tag_changes
from windtunnel.provision.registry import Properties
from windtunnel.provision.showing import tags_shown

MISSING = frozenset({"ResourceNotFoundException"})


def events(ctx: Context, operation: str, **members: Any) -> Any:
    return perform(ctx, "events", operation, **members)


def found(ctx: Context, operation: str, **members: Any) -> Any:
    return attempt(ctx, MISSING, "events", operation, **members)


def every(ctx: Context, operation: str, member: str, **asked: Any) -> Iterator[dict[str, Any]]:
    return listed(ctx, "events", operation, member, **asked)


def tags_of(ctx: Context, arn: str) -> Properties:
    return tags_shown(events(ctx, "ListTagsForResource", ResourceARN=arn)["Tags"])


def retag(ctx: Context, arn: str, old: Properties, new: Properties) -> None:
    added, gone = tag_changes(old.get("Tags"), new.get("Tags"))
    if gone:
        events(ctx, "UntagResource", ResourceARN=arn, TagKeys=gone)
    if added:
        events(ctx, "TagResource", ResourceARN=arn, Tags=added)


def as_text(document: Any) -> Any:
    """A JSON property as the text that the API takes; None stays."""
    return document if document is None or isinstance(document, str) else json.dumps(document, separators=(",", ":"))

"""Batches: up to ten entries, each of which succeeds or fails on its own."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from windtunnel.kernel.context import Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.services.sqs.words import QUERY_CODES

MAX_ENTRIES = 10
_ID = re.compile(r"[A-Za-z0-9_-]{1,80}\Z")


def check_batch(noun: str, entries: list[Mapping[str, Any]] | list[dict[str, Any]]) -> None:
    """What is wrong with the batch as a whole. noun: the entries' shape."""
    if not entries:
        raise AwsError("EmptyBatchRequest", f"There should be at least one {noun} in the request.")
    if len(entries) > MAX_ENTRIES:
        raise AwsError(
            "TooManyEntriesInBatchRequest", f"Maximum number of entries per request are {MAX_ENTRIES}. You have sent {len(entries)}."
        )
    seen: set[str] = set()
    for entry in entries:
        if not _ID.match(entry["Id"]):
            raise AwsError(
                "InvalidBatchEntryId",
                "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most 80 letters long.",
            )
        if entry["Id"] in seen:
            raise AwsError("BatchEntryIdsNotDistinct", f"Id {entry['Id']} repeated.")
        seen.add(entry["Id"])


def each(entries: list[dict[str, Any]], act: Callable[[dict[str, Any]], Mapping[str, Any] | None]) -> Reply:
    """Act on every entry; an error is the entry's own. An entry's action must have changed nothing when it raises."""
    successful: list[dict[str, Any]] = []
    failed: list[dict[str, Any]] = []
    for entry in entries:
        try:
            successful.append({"Id": entry["Id"], **(act(entry) or {})})
        except AwsError as error:
            if error.status == 501 or error.code.startswith("Kms"):
                raise
            code = QUERY_CODES.get(error.code, error.code)
            failed.append({"Id": entry["Id"], "SenderFault": True, "Code": code, "Message": error.message})
    return {"Successful": successful} | ({"Failed": failed} if failed else {})

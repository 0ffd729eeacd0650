"""Publish and PublishBatch."""

from __future__ import annotations

import re
from typing import Any

from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.errors import AwsError, not_built
from windtunnel.kernel.registry import writes
from windtunnel.services.sns.guard import looked_up, need, on_topic, the_topic
from windtunnel.services.sns.model import invalid
from windtunnel.services.sns.publishing import MAX_BYTES, Message, publish, size_of

MAX_ENTRIES = 10
_ID = re.compile(r"[A-Za-z0-9_-]{1,80}\Z")


def _message(prefix: str) -> str:
    plain = ("Message", "Subject", "MessageStructure", "MessageDeduplicationId", "MessageGroupId")
    nested = (f"MessageAttributes{{}}.{value}" for value in ("DataType", "StringValue", "BinaryValue"))
    return " ".join(f"{prefix}{name}" for name in (*plain, *nested))


def target(topic_arn: str | None, target_arn: str | None) -> str:
    """The topic that is meant. An endpoint of a mobile application is not built."""
    if topic_arn and target_arn:
        raise invalid("TopicArn or TargetArn Reason: Only one of them can be specified")
    found = topic_arn or target_arn
    if not found:
        raise invalid("TopicArn or TargetArn Reason: no value for required parameter")
    if ":endpoint/" in found:
        raise not_built("sns", "Publish", "TargetArn of a platform endpoint")
    return found


def on_publish(ctx: Context, topic_arn: str | None = None, target_arn: str | None = None, **_: Any) -> list[Need]:
    return [need(ctx, looked_up(ctx, target(topic_arn, target_arn)), "Publish")]


@writes("sns", "Publish", authorize=on_publish, acts=f"TopicArn TargetArn {_message('')}")
def publish_one(
    ctx: Context,
    message: str,
    topic_arn: str | None = None,
    target_arn: str | None = None,
    subject: str | None = None,
    message_structure: str | None = None,
    message_attributes: dict[str, dict[str, Any]] | None = None,
    message_deduplication_id: str = "",
    message_group_id: str = "",
) -> Reply:
    topic = the_topic(ctx, target(topic_arn, target_arn))
    given = Message(message, subject, message_structure, message_attributes or {}, message_group_id, message_deduplication_id)
    return publish(ctx, topic, given)


_BATCH = "PublishBatchRequestEntries[]."


@writes("sns", "PublishBatch", authorize=on_topic("Publish"), acts=f"TopicArn {_BATCH}Id {_message(_BATCH)}")
def publish_batch(ctx: Context, topic_arn: str, publish_batch_request_entries: list[dict[str, Any]]) -> Reply:
    topic, entries = the_topic(ctx, topic_arn), publish_batch_request_entries
    _check(entries)
    successful: list[dict[str, Any]] = []
    failed: list[dict[str, Any]] = []
    for entry in entries:
        try:
            successful.append({"Id": entry["Id"], **publish(ctx, topic, Message.of(entry))})
        except AwsError as error:
            if error.status == 501 or error.code.startswith("KMS"):
                raise
            failed.append({"Id": entry["Id"], "Code": error.code, "Message": error.message, "SenderFault": True})
    return {"Successful": successful, "Failed": failed}


def _check(entries: list[dict[str, Any]]) -> None:
    if not entries:
        raise AwsError("EmptyBatchRequest", "The batch request doesn't contain any entries.")
    if len(entries) > MAX_ENTRIES:
        raise AwsError("TooManyEntriesInBatchRequest", "The batch request contains more entries than permissible.")
    ids = [entry["Id"] for entry in entries]
    if any(not _ID.match(one) for one in ids):
        raise AwsError("InvalidBatchEntryId", "The Id of a batch entry in a batch request doesn't abide by the specification.")
    if len(set(ids)) < len(ids):
        raise AwsError("BatchEntryIdsNotDistinct", "Two or more batch entries in the request have the same Id.")
    if sum(size_of(Message.of(entry)) for entry in entries) > MAX_BYTES:
        raise AwsError("BatchRequestTooLong", "The length of all the batch messages put together is more than the limit.")

"""CloudFormation's types of SQS: AWS::SQS::Queue, QueuePolicy (of several queues) and QueueInlinePolicy (of one)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from windtunnel.kernel.context import Context, Reply
from windtunnel.provision.calling import perform
from windtunnel.provision.handling import Direct, already_exists, attempt, checked_tags, listed, parsed, tag_changes, text, without_none
from windtunnel.provision.policy_types import Policies, PolicyOfMany, PolicyOfOne
from windtunnel.provision.registry import Created, Name, Properties, Resource, Wanted, resource_type
from windtunnel.services.sqs.model import DEFAULTS, FIFO_DEFAULTS, Queue

_MISSING = frozenset({"QueueDoesNotExist"})
_NUMBERS = (
    "DelaySeconds",
    "KmsDataKeyReusePeriodSeconds",
    "MaximumMessageSize",
    "MessageRetentionPeriod",
    "ReceiveMessageWaitTimeSeconds",
    "VisibilityTimeout",
)
_SWITCHES = ("ContentBasedDeduplication", "SqsManagedSseEnabled")
_DOCUMENTS = ("RedrivePolicy", "RedriveAllowPolicy")
_ATTRIBUTES = (*_NUMBERS, *_SWITCHES, *_DOCUMENTS, "DeduplicationScope", "FifoThroughputLimit", "KmsMasterKeyId")
_UNSET = {**DEFAULTS, **FIFO_DEFAULTS, "KmsDataKeyReusePeriodSeconds": "300"}
"""What an attribute is again when its property is taken out of the template; documents and keys are emptied."""
_FIFO = ".fifo"


def _sqs(ctx: Context, operation: str, **members: Any) -> Reply:
    return perform(ctx, "sqs", operation, **members)


def _attribute(value: Any) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value) if isinstance(value, int) else text(value)


def _attributes(props: Properties) -> dict[str, str]:
    return {name: _attribute(props[name]) for name in _ATTRIBUTES if name in props}


def _property(name: str, value: str) -> Any:
    if name in _NUMBERS:
        return int(value)
    return value == "true" if name in _SWITCHES else parsed(value) if name in _DOCUMENTS else value


def _tags(props: Properties) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in checked_tags(props.get("Tags"))}


def _arn(ctx: Context, url: str) -> str:
    arn: str = _sqs(ctx, "GetQueueAttributes", QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    return arn


@resource_type("AWS::SQS::Queue")
class QueueType(Direct):
    service = "sqs"
    calls = "CreateQueue DeleteQueue SetQueueAttributes TagQueue UntagQueue"
    name = Name("QueueName", 80)
    missing = _MISSING

    def create(self, ctx: Context, props: Properties, wanted: Wanted) -> Created:
        fifo = bool(props.get("FifoQueue"))
        name = wanted.name
        if fifo and "QueueName" not in props:
            name = name[: 80 - len(_FIFO)] + _FIFO
        if ctx.tx.get(Queue, name) is not None:
            raise already_exists(self.type, f"{ctx.cloud.endpoint}/{ctx.scope.account}/{name}")
        given = _attributes(props) | ({"FifoQueue": "true"} if fifo else {})
        url = _sqs(ctx, "CreateQueue", QueueName=name, Attributes=given or None, tags=_tags(props) or None)["QueueUrl"]
        return Created(id=url, attributes={"Arn": ctx.arn("sqs", name), "QueueName": name, "QueueUrl": url})

    def read(self, ctx: Context, resource: Resource) -> Properties | None:
        url, given = resource.id, resource.properties
        reply = attempt(ctx, _MISSING, "sqs", "GetQueueAttributes", QueueUrl=url, AttributeNames=["All"])
        if reply is None:
            return None
        live = reply["Attributes"]
        tags = _sqs(ctx, "ListQueueTags", QueueUrl=url).get("Tags") or {}
        told = {
            name: given[name] if name in given and _attribute(given[name]) == live[name] else _property(name, live[name])
            for name in _ATTRIBUTES
            if name in live
        }
        return without_none(
            {
                "QueueName": url.rpartition("/")[2],
                "FifoQueue": True if live.get("FifoQueue") == "true" else resource.properties.get("FifoQueue"),
                **told,
                "Tags": [{"Key": key, "Value": value} for key, value in tags.items()] or None,
                "Arn": live["QueueArn"],
                "QueueUrl": url,
            }
        )

    def update(self, ctx: Context, resource: Resource, new: Properties, wanted: Wanted) -> Created | None:
        url, old = resource.id, resource.properties
        before, after = _attributes(old), _attributes(new)
        changes = {
            name: after.get(name, _UNSET.get(name, ""))
            for name in _ATTRIBUTES
            if before.get(name) != after.get(name) and (name in after or name not in _encryption_left(after))
        }
        if changes.get("KmsMasterKeyId") == "":
            changes.setdefault("SqsManagedSseEnabled", "true")  # as a new queue has it
        if changes:
            _sqs(ctx, "SetQueueAttributes", QueueUrl=url, Attributes=changes)
        put, gone = tag_changes(old.get("Tags"), new.get("Tags"))
        if gone:
            _sqs(ctx, "UntagQueue", QueueUrl=url, TagKeys=gone)
        if put:
            _sqs(ctx, "TagQueue", QueueUrl=url, Tags={tag["Key"]: tag["Value"] for tag in put})
        return None

    def delete(self, ctx: Context, resource: Resource) -> bool | None:
        _sqs(ctx, "DeleteQueue", QueueUrl=resource.id)
        return None

    def list(self, ctx: Context) -> Iterable[str]:
        return listed(ctx, "sqs", "ListQueues", "QueueUrls", MaxResults=1000)


def _encryption_left(after: dict[str, str]) -> frozenset[str]:
    """What is not set back by itself: a key of one's own turns SQS's off, and SQS's own turns the key off."""
    if after.get("KmsMasterKeyId"):
        return frozenset({"SqsManagedSseEnabled"})
    return frozenset({"KmsMasterKeyId", "KmsDataKeyReusePeriodSeconds"}) if after.get("SqsManagedSseEnabled") == "true" else frozenset()


# --- policies ------------------------------------------------------------------------------------------------------------------


class QueuePolicies(Policies):
    service = "sqs"
    calls = "GetQueueAttributes SetQueueAttributes"
    missing = _MISSING

    def put(self, ctx: Context, identifier: str, document: object) -> None:
        _sqs(ctx, "SetQueueAttributes", QueueUrl=identifier, Attributes={"Policy": text(document)})

    def take(self, ctx: Context, identifier: str) -> None:
        attempt(ctx, _MISSING, "sqs", "SetQueueAttributes", QueueUrl=identifier, Attributes={"Policy": ""})

    def told(self, ctx: Context, identifier: str) -> object | None:
        reply = attempt(ctx, _MISSING, "sqs", "GetQueueAttributes", QueueUrl=identifier, AttributeNames=["Policy"])
        policy = ((reply or {}).get("Attributes") or {}).get("Policy")
        return None if policy is None else parsed(policy)


@resource_type("AWS::SQS::QueuePolicy")
class QueuePolicyType(QueuePolicies, PolicyOfMany):
    thing = "Queues"


@resource_type("AWS::SQS::QueueInlinePolicy")
class QueueInlinePolicyType(QueuePolicies, PolicyOfOne):
    thing = "Queue"

    def list(self, ctx: Context) -> Iterable[str]:
        return (url for url in listed(ctx, "sqs", "ListQueues", "QueueUrls", MaxResults=1000) if self.has(ctx, url))

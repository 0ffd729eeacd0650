"""AWS::SNS::Topic."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from windtunnel.kernel.context import Context
from windtunnel.kernel.errors import not_built
from windtunnel.provision.handling import (
    Direct,
    already_exists,
    listed,
    set_changes,
    shown_tags,
    tag_changes,
    with_stack_tags,
    without_none,
)
from windtunnel.provision.registry import Created, Name, Properties, Resource, Wanted, resource_type
from windtunnel.services.sns import signing
from windtunnel.services.sns.model import Topic
from windtunnel.services.sns.resources.shared import MISSING, attribute, attributes, shown, sns, sns_if_there

_ATTRIBUTES = (
    "DisplayName",
    "KmsMasterKeyId",
    "ContentBasedDeduplication",
    "FifoThroughputScope",
    "SignatureVersion",
    "TracingConfig",
    "ArchivePolicy",
)
_UNSET = {"ContentBasedDeduplication": "false", "FifoThroughputScope": "Topic", "SignatureVersion": "1", "TracingConfig": "PassThrough"}
"""What an attribute is again when its property is taken out of the template; the others are emptied."""
_LOGGED = {"http/s": "HTTP", "sqs": "SQS", "lambda": "Lambda", "firehose": "Firehose", "application": "Application"}
_FIFO = ".fifo"


def _logging(props: Properties) -> dict[str, str]:
    """DeliveryStatusLogging as the attributes that it is in the API."""
    found: dict[str, str] = {}
    for item in props.get("DeliveryStatusLogging") or ():
        kind = _LOGGED.get(item["Protocol"], item["Protocol"])
        for name in ("SuccessFeedbackRoleArn", "SuccessFeedbackSampleRate", "FailureFeedbackRoleArn"):
            if name in item:
                found[f"{kind}{name}"] = str(item[name])
    return found


def _protect(ctx: Context, arn: str, old: Properties, new: Properties) -> None:
    wanted = new.get("DataProtectionPolicy")
    if wanted != old.get("DataProtectionPolicy"):
        sns(ctx, "PutDataProtectionPolicy", ResourceArn=arn, DataProtectionPolicy=attribute(wanted or {}))


@resource_type("AWS::SNS::Topic")
class TopicType(Direct):
    service = "sns"
    calls = "CreateTopic DeleteTopic SetTopicAttributes Subscribe Unsubscribe ListSubscriptionsByTopic TagResource UntagResource"
    name = Name("TopicName", 250)
    missing = MISSING
    slow = True

    def prepare(self, ctx: Context, props: Properties, wanted: Wanted) -> Any:
        """The keys by which messages are signed: made once in a cloud's life."""
        return signing.make(ctx)

    def create(self, ctx: Context, props: Properties, wanted: Wanted) -> Created:
        fifo = bool(props.get("FifoTopic"))
        name = wanted.name if not fifo or "TopicName" in props else wanted.name + _FIFO
        if "MaximumMessageSize" in props:
            raise not_built("sns", "CreateTopic", "MaximumMessageSize")
        arn = ctx.arn("sns", name)
        if ctx.tx.get(Topic, name) is not None:
            raise already_exists(self.type, arn)
        given = attributes(props, _ATTRIBUTES) | _logging(props) | ({"FifoTopic": "true"} if fifo else {})
        signing.keep(ctx, ctx.found.get("prepared"))
        sns(ctx, "CreateTopic", Name=name, Attributes=given or None, Tags=with_stack_tags(props.get("Tags"), wanted) or None)
        _protect(ctx, arn, {}, props)
        for item in props.get("Subscription") or ():
            sns(ctx, "Subscribe", TopicArn=arn, Protocol=item["Protocol"], Endpoint=item["Endpoint"])
        return Created(id=arn, attributes={"TopicArn": arn, "TopicName": name})

    def read(self, ctx: Context, resource: Resource) -> Properties | None:
        arn, given = resource.id, resource.properties
        reply = sns_if_there(ctx, "GetTopicAttributes", TopicArn=arn)
        if reply is None:
            return None
        live = reply["Attributes"]
        tags = sns(ctx, "ListTagsForResource", ResourceArn=arn)["Tags"]
        subscriptions = [
            {"Protocol": each["Protocol"], "Endpoint": each["Endpoint"]}
            for each in listed(ctx, "sns", "ListSubscriptionsByTopic", "Subscriptions", TopicArn=arn)
        ]
        told = {name: shown(live[name], given.get(name)) for name in _ATTRIBUTES if name in live and (live[name] or name in given)}
        return without_none(
            {
                "TopicName": arn.rpartition(":")[2],
                "FifoTopic": True if live.get("FifoTopic") == "true" else given.get("FifoTopic"),
                **told,
                "Subscription": self._subscriptions(given.get("Subscription"), subscriptions),
                "Tags": shown_tags(tags),
                "TopicArn": arn,
            }
        )

    def _subscriptions(self, given: list[dict[str, str]] | None, live: list[dict[str, str]]) -> list[dict[str, str]] | None:
        """Of a topic whose template names some: those of them that live. Others may be resources of their own."""
        return live or None if given is None else [each for each in given if each in live]

    def update(self, ctx: Context, resource: Resource, new: Properties, wanted: Wanted) -> Created | None:
        arn, old = resource.id, resource.properties
        if "MaximumMessageSize" in new:
            raise not_built("sns", "SetTopicAttributes", "MaximumMessageSize")
        before, after = attributes(old, _ATTRIBUTES) | _logging(old), attributes(new, _ATTRIBUTES) | _logging(new)
        for name in sorted(before.keys() | after.keys()):
            value = after.get(name, _UNSET.get(name, ""))
            if before.get(name) != after.get(name):
                sns(ctx, "SetTopicAttributes", TopicArn=arn, AttributeName=name, AttributeValue=value)
        _protect(ctx, arn, old, new)
        self._subscribe(ctx, arn, old, new)
        put, gone = tag_changes(old.get("Tags"), new.get("Tags"))
        if gone:
            sns(ctx, "UntagResource", ResourceArn=arn, TagKeys=gone)
        if put:
            sns(ctx, "TagResource", ResourceArn=arn, Tags=put)
        return None

    def _subscribe(self, ctx: Context, arn: str, old: Properties, new: Properties) -> None:
        came, went = set_changes(old.get("Subscription"), new.get("Subscription"))
        if went:
            for each in list(listed(ctx, "sns", "ListSubscriptionsByTopic", "Subscriptions", TopicArn=arn)):
                if {"Protocol": each["Protocol"], "Endpoint": each["Endpoint"]} in went and each["SubscriptionArn"].startswith("arn:"):
                    sns_if_there(ctx, "Unsubscribe", SubscriptionArn=each["SubscriptionArn"])
        for item in came:
            sns(ctx, "Subscribe", TopicArn=arn, Protocol=item["Protocol"], Endpoint=item["Endpoint"])

    def delete(self, ctx: Context, resource: Resource) -> bool | None:
        """With its subscriptions, as SNS deletes a topic."""
        sns(ctx, "DeleteTopic", TopicArn=resource.id)
        return None

    def list(self, ctx: Context) -> Iterable[str]:
        return (topic["TopicArn"] for topic in listed(ctx, "sns", "ListTopics", "Topics"))

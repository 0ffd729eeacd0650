"""AWS::SNS::TopicPolicy, of several topics, and AWS::SNS::TopicInlinePolicy, of one. A topic without one has SNS's default policy again."""

from __future__ import annotations

from collections.abc import Iterable

from windtunnel.kernel.context import Context
from windtunnel.provision.handling import Direct, already_exists, listed, parsed, text
from windtunnel.provision.registry import Created, Name, Properties, Resource, Wanted, resource_type
from windtunnel.services.sns.model import Topic, topic_arn
from windtunnel.services.sns.resources.shared import MISSING, sns, sns_if_there


def _put(ctx: Context, arn: str, document: object) -> None:
    sns(ctx, "SetTopicAttributes", TopicArn=arn, AttributeName="Policy", AttributeValue=text(document))


def _take(ctx: Context, arn: str) -> None:
    sns_if_there(ctx, "SetTopicAttributes", TopicArn=arn, AttributeName="Policy", AttributeValue="")


def _own(ctx: Context, arn: str) -> bool:
    """Whether the topic has a policy that it was given."""
    topic = ctx.tx.get(Topic, topic_arn(arn).resource)
    return topic is not None and topic.arn == arn and "Policy" in topic.attributes


def _told(ctx: Context, arn: str) -> object | None:
    reply = sns_if_there(ctx, "GetTopicAttributes", TopicArn=arn)
    return parsed(reply["Attributes"]["Policy"]) if reply is not None and _own(ctx, arn) else None


@resource_type("AWS::SNS::TopicPolicy")
class TopicPolicyType(Direct):
    service = "sns"
    calls = "SetTopicAttributes"
    name = Name("Id")
    missing = MISSING

    def create(self, ctx: Context, props: Properties, wanted: Wanted) -> Created:
        for arn in props["Topics"]:
            _put(ctx, arn, props["PolicyDocument"])
        return Created(id=wanted.name, attributes={"Id": wanted.name})

    def read(self, ctx: Context, resource: Resource) -> Properties | None:
        found = {arn: told for arn in resource.properties.get("Topics") or () if (told := _told(ctx, arn)) is not None}
        if not found:
            return None
        other = [told for told in found.values() if told != resource.properties.get("PolicyDocument")]
        return {"Topics": list(found), "PolicyDocument": (other or list(found.values()))[0], "Id": resource.id}

    def update(self, ctx: Context, resource: Resource, new: Properties, wanted: Wanted) -> Created | None:
        for arn in resource.properties["Topics"]:
            if arn not in new["Topics"]:
                _take(ctx, arn)
        for arn in new["Topics"]:
            _put(ctx, arn, new["PolicyDocument"])
        return None

    def delete(self, ctx: Context, resource: Resource) -> bool | None:
        for arn in resource.properties["Topics"]:
            _take(ctx, arn)
        return None

    def list(self, ctx: Context) -> Iterable[str]:
        return ()


@resource_type("AWS::SNS::TopicInlinePolicy")
class TopicInlinePolicyType(Direct):
    service = "sns"
    calls = "SetTopicAttributes"
    missing = MISSING

    def create(self, ctx: Context, props: Properties, wanted: Wanted) -> Created:
        arn = props["TopicArn"]
        if _own(ctx, arn):
            raise already_exists(self.type, arn)
        _put(ctx, arn, props["PolicyDocument"])
        return Created(id=arn)

    def read(self, ctx: Context, resource: Resource) -> Properties | None:
        told = _told(ctx, resource.id)
        return None if told is None else {"TopicArn": resource.id, "PolicyDocument": told}

    def update(self, ctx: Context, resource: Resource, new: Properties, wanted: Wanted) -> Created | None:
        _put(ctx, resource.id, new["PolicyDocument"])
        return None

    def delete(self, ctx: Context, resource: Resource) -> bool | None:
        _take(ctx, resource.id)
        return None

    def list(self, ctx: Context) -> Iterable[str]:
        return (topic["TopicArn"] for topic in listed(ctx, "sns", "ListTopics", "Topics") if _own(ctx, topic["TopicArn"]))

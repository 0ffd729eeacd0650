"""AWS::SNS::TopicPolicy, of several topics, and AWS::SNS::TopicInlinePolicy, of one. A topic without one has SNS's default policy again."""

from __future__ import annotations

from collections.abc import Iterable

from windtunnel.kernel.context import Context
from windtunnel.provision.handling import listed, parsed, text
from windtunnel.provision.policy_types import Policies, PolicyOfMany, PolicyOfOne
from windtunnel.provision.registry import resource_type
from windtunnel.services.sns.model import Topic, topic_arn
from windtunnel.services.sns.resources.shared import MISSING, sns, sns_if_there


class TopicPolicies(Policies):
    service = "sns"
    calls = "SetTopicAttributes"
    missing = MISSING

    def put(self, ctx: Context, identifier: str, document: object) -> None:
        sns(ctx, "SetTopicAttributes", TopicArn=identifier, AttributeName="Policy", AttributeValue=text(document))

    def take(self, ctx: Context, identifier: str) -> None:
        sns_if_there(ctx, "SetTopicAttributes", TopicArn=identifier, AttributeName="Policy", AttributeValue="")

    def has(self, ctx: Context, identifier: str) -> bool:
        """Whether the topic has a policy that it was given: the default one is shown like any other."""
        topic = ctx.tx.get(Topic, topic_arn(identifier).resource)
        return topic is not None and topic.arn == identifier and "Policy" in topic.attributes

    def told(self, ctx: Context, identifier: str) -> object | None:
        reply = sns_if_there(ctx, "GetTopicAttributes", TopicArn=identifier)
        return parsed(reply["Attributes"]["Policy"]) if reply is not None and self.has(ctx, identifier) else None


@resource_type("AWS::SNS::TopicPolicy")
class TopicPolicyType(TopicPolicies, PolicyOfMany):
    thing = "Topics"


@resource_type("AWS::SNS::TopicInlinePolicy")
class TopicInlinePolicyType(TopicPolicies, PolicyOfOne):
    thing = "TopicArn"

    def list(self, ctx: Context) -> Iterable[str]:
        return (topic["TopicArn"] for topic in listed(ctx, "sns", "ListTopics", "Topics") if self.has(ctx, topic["TopicArn"]))

"""Topics and subscriptions: their records, names and attributes. Pure.

Invariant: a subscription is kept where its topic is, whoever owns it, so that publishing looks in one place.
"""

from __future__ import annotations

import re
from typing import Any, ClassVar

import msgspec

from windtunnel.kernel.errors import AwsError, not_built
from windtunnel.kernel.records import Record
from windtunnel.kernel.scope import Arn
from windtunnel.services.sns.retries import effective, parse_policy

_NAME = re.compile(r"[A-Za-z0-9_-]{1,256}\Z")
_FIFO_NAME = re.compile(r"[A-Za-z0-9_-]{1,251}\.fifo\Z")
PENDING_SECONDS = 2 * 86_400.0
SETTABLE = frozenset(
    {"DisplayName", "Policy", "DeliveryPolicy", "KmsMasterKeyId", "SignatureVersion", "TracingConfig", "ContentBasedDeduplication"}
    | {"FifoThroughputScope"}
)
NOT_BUILT = frozenset(
    {f"{kind}{what}" for kind in ("HTTP", "Firehose", "Lambda", "Application", "SQS") for what in (
        "SuccessFeedbackRoleArn", "SuccessFeedbackSampleRate", "FailureFeedbackRoleArn"
    )}
    | {"ArchivePolicy", "DataProtectionPolicy"}
)  # fmt: skip
FIFO_ONLY = frozenset({"ContentBasedDeduplication", "FifoThroughputScope"})
OWNERS_ACTIONS = (
    "GetTopicAttributes", "SetTopicAttributes", "AddPermission", "RemovePermission", "DeleteTopic", "Subscribe",
    "ListSubscriptionsByTopic", "Publish",
)  # fmt: skip
SUBSCRIPTION_ATTRIBUTES = ("DeliveryPolicy", "FilterPolicy", "FilterPolicyScope", "RawMessageDelivery", "RedrivePolicy")


def invalid(what: str) -> AwsError:
    return AwsError("InvalidParameter", f"Invalid parameter: {what}")


class Topic(Record, kw_only=True):
    """attributes: what was set; deleted: how many subscriptions were removed; sequence: the last number of a FIFO topic's message."""

    KIND: ClassVar[str] = "sns.topic"

    name: str
    account: str
    region: str
    id: int
    attributes: dict[str, str] = {}
    tags: dict[str, str] = {}
    deleted: int = 0
    sequence: int = 0

    def key(self) -> str:
        return self.name

    @property
    def arn(self) -> str:
        return f"arn:aws:sns:{self.region}:{self.account}:{self.name}"

    @property
    def fifo(self) -> bool:
        return self.name.endswith(".fifo")

    @property
    def policy(self) -> str:
        return self.attributes.get("Policy") or default_policy(self.arn, self.account)

    @property
    def kms_key(self) -> str:
        return self.attributes.get("KmsMasterKeyId", "")

    def described(self, confirmed: int, pending: int) -> dict[str, str]:
        """GetTopicAttributes' answer."""
        shown = {
            "TopicArn": self.arn,
            "Owner": self.account,
            "Policy": self.policy,
            "DisplayName": "",
            "SubscriptionsConfirmed": str(confirmed),
            "SubscriptionsPending": str(pending),
            "SubscriptionsDeleted": str(self.deleted),
            "EffectiveDeliveryPolicy": msgspec.json.encode(effective(self.attributes.get("DeliveryPolicy"))).decode(),
        }
        if self.fifo:
            shown |= {"FifoTopic": "true", "ContentBasedDeduplication": "false", "FifoThroughputScope": "Topic"}
        return shown | self.attributes


class Subscription(Record, kw_only=True):
    """token: what confirms it, "" once confirmed; authenticated: only its owner or the topic's may end it; principal: who made it."""

    KIND: ClassVar[str] = "sns.subscription"
    INDEXES: ClassVar = {"topic": "topic", "token": "token"}

    id: str
    topic: str
    protocol: str
    endpoint: str
    owner: str
    principal: str
    created: float
    token: str = ""
    authenticated: bool = False
    confirmed_by_signature: bool = False
    attributes: dict[str, str] = {}
    next_turn: float = 0.0

    def key(self) -> str:
        return f"{self.topic}:{self.id}"

    @property
    def arn(self) -> str:
        return f"{self.topic}:{self.id}"

    @property
    def pending(self) -> bool:
        return self.token != ""

    @property
    def raw(self) -> bool:
        return self.attributes.get("RawMessageDelivery") == "true"

    def listed(self) -> dict[str, str]:
        return {
            "SubscriptionArn": "PendingConfirmation" if self.pending else self.arn,
            "Owner": self.owner,
            "Protocol": self.protocol,
            "Endpoint": self.endpoint,
            "TopicArn": self.topic,
        }

    def described(self, topic_policy: str | None) -> dict[str, str]:
        """GetSubscriptionAttributes' answer."""
        shown = {
            "SubscriptionArn": self.arn,
            "TopicArn": self.topic,
            "Protocol": self.protocol,
            "Endpoint": self.endpoint,
            "Owner": self.owner,
            "PendingConfirmation": "true" if self.pending else "false",
            "ConfirmationWasAuthenticated": "true" if self.confirmed_by_signature else "false",
            "RawMessageDelivery": "false",
            "SubscriptionPrincipal": self.principal,
        }
        if "FilterPolicy" in self.attributes:
            shown["FilterPolicyScope"] = "MessageAttributes"
        if self.protocol in ("http", "https"):
            policy = effective(topic_policy, self.attributes.get("DeliveryPolicy"))["http"]
            healthy = {"healthyRetryPolicy": policy["defaultHealthyRetryPolicy"], "requestPolicy": policy["defaultRequestPolicy"]}
            if "defaultThrottlePolicy" in policy:
                healthy["throttlePolicy"] = policy["defaultThrottlePolicy"]
            shown["EffectiveDeliveryPolicy"] = msgspec.json.encode(healthy).decode()
        return shown | self.attributes


class SubscriptionElsewhere(Record, kw_only=True):
    """In the account of whoever made a subscription to another account's topic: that there is one."""

    KIND: ClassVar[str] = "sns.subscription-elsewhere"

    arn: str

    def key(self) -> str:
        return self.arn


class EndedSubscription(Record, kw_only=True):
    """What somebody ended by a link without signing: its endpoint was sent a token, by which it is restored within two days."""

    KIND: ClassVar[str] = "sns.ended"

    token: str
    was: Subscription

    def key(self) -> str:
        return self.token


def default_policy(arn: str, account: str) -> str:
    """What a topic has until it is given a policy: services of its own account, and nobody else, may use it."""
    statement = {
        "Sid": "__default_statement_ID",
        "Effect": "Allow",
        "Principal": {"AWS": "*"},
        "Action": [f"SNS:{action}" for action in OWNERS_ACTIONS],
        "Resource": arn,
        "Condition": {"StringEquals": {"AWS:SourceOwner": account}},
    }
    return msgspec.json.encode({"Version": "2008-10-17", "Id": "__default_policy_ID", "Statement": [statement]}).decode()


def check_topic_name(name: str, fifo: bool) -> None:
    if fifo and not _FIFO_NAME.match(name):
        raise invalid("Fifo Topic names must end with .fifo and must be made up of only uppercase and lowercase ASCII letters, numbers,"
                      " underscores, and hyphens, and must be between 1 and 256 characters long.")  # fmt: skip
    if not fifo and not _NAME.match(name):
        raise invalid("Topic Name")


def topic_arn(text: str | None) -> Arn:
    """The parts of a topic's ARN; InvalidParameter otherwise."""
    arn = Arn.parse(text or "")
    if arn is None or arn.service != "sns" or len(arn.account) != 12 or not arn.resource or ":" in arn.resource:
        raise invalid("TopicArn Reason: An ARN must have at least 6 elements, not " + str((text or "").count(":") + 1)
                      if arn is None else "TopicArn")  # fmt: skip
    return arn


def subscription_arn(text: str) -> Arn:
    """The parts of a subscription's ARN (`TOPIC:ID` is its resource); InvalidParameter otherwise."""
    arn = Arn.parse(text)
    if arn is None or arn.service != "sns" or len(arn.account) != 12 or arn.resource.count(":") != 1:
        raise invalid(f"SubscriptionArn Reason: An ARN must have at least 7 elements, not {text.count(':') + 1}")
    return arn


def check_topic_attribute(operation: str, name: str, value: str, fifo: bool) -> str:
    """The value as it is kept."""
    if name in NOT_BUILT:
        # Terraform sends these defaults with each topic: no delivery is logged.
        if value == "" or (name.endswith("SampleRate") and value == "0"):
            return ""
        raise not_built("sns", operation, f"the attribute {name}")
    if name not in SETTABLE or (name in FIFO_ONLY and not fifo):
        raise invalid("AttributeName")
    if name == "DisplayName" and len(value) > 100:
        raise invalid("DisplayName: must be at most 100 characters long")
    if name == "SignatureVersion" and value not in ("1", "2"):
        raise invalid("SignatureVersion: must be 1 or 2")
    if name == "ContentBasedDeduplication":
        return _flag(name, value)
    if name == "FifoThroughputScope" and value not in ("Topic", "MessageGroup"):
        raise invalid("FifoThroughputScope: must be Topic or MessageGroup")
    if name == "TracingConfig":
        if value == "Active":
            raise not_built("sns", operation, "TracingConfig Active")
        if value != "PassThrough":
            raise invalid("TracingConfig: must be PassThrough or Active")
    if name == "DeliveryPolicy" and value:
        parse_policy(value, topic=True)
    return value


def _flag(name: str, value: str) -> str:
    if value.lower() not in ("true", "false"):
        raise invalid(f"{name}: must be true or false")
    return value.lower()


def check_subscription_attribute(operation: str, protocol: str, name: str, value: str) -> str:
    """The value as it is kept; what depends on other resources is looked at elsewhere."""
    if name in ("ReplayPolicy", "SubscriptionRoleArn"):
        raise not_built("sns", operation, f"the attribute {name}")
    if name not in SUBSCRIPTION_ATTRIBUTES:
        raise invalid("AttributeName")
    if name == "RawMessageDelivery":
        flag = _flag(name, value)
        if flag == "true" and protocol not in ("sqs", "http", "https"):
            raise invalid(f"Attributes Reason: RawMessageDelivery: Delivery protocol [{protocol}] does not support raw message delivery.")
        return flag
    if name == "FilterPolicyScope" and value not in ("MessageAttributes", "MessageBody"):
        raise invalid(f"FilterPolicyScope: Invalid value [{value}]. Please use either MessageBody or MessageAttributes")
    if name == "DeliveryPolicy" and value:
        parse_policy(value, topic=False)
    if name == "RedrivePolicy" and value:
        dead_letter_arn(value)
    return value


def dead_letter_arn(policy: str) -> str:
    """The queue that a RedrivePolicy names."""
    decoded = json_object("RedrivePolicy", policy)
    arn = Arn.parse(str(decoded.get("deadLetterTargetArn", "")))
    if arn is None or arn.service != "sqs" or set(decoded) != {"deadLetterTargetArn"}:
        raise invalid("RedrivePolicy: deadLetterTargetArn is invalid")
    return str(decoded["deadLetterTargetArn"])


def json_object(name: str, text: str) -> dict[str, Any]:
    try:
        decoded = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        decoded = None
    if not isinstance(decoded, dict):
        raise invalid(f"{name}: failed to parse JSON.")
    return decoded

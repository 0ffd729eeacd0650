"""AWS::SNS::Subscription."""

from __future__ import annotations

from collections.abc import Iterable

from windtunnel.kernel.context import Context
from windtunnel.kernel.scope import Arn
from windtunnel.provision.handling import Direct, listed, without_none
from windtunnel.provision.registry import Created, Properties, Resource, Wanted, resource_type
from windtunnel.services.sns.resources.shared import MISSING, attributes, shown, sns, sns_if_there

_ATTRIBUTES = (
    "RawMessageDelivery",
    "FilterPolicyScope",
    "FilterPolicy",
    "DeliveryPolicy",
    "RedrivePolicy",
    "ReplayPolicy",
    "SubscriptionRoleArn",
)
_UNSET = {"RawMessageDelivery": "false", "FilterPolicyScope": "MessageAttributes"}


def _there(ctx: Context, region: str | None) -> Context:
    """The topic's region, where a subscription may be made from another one."""
    return ctx if region in (None, ctx.scope.region) else ctx.in_scope(ctx.scope.account, str(region))


def _home(ctx: Context, arn: str) -> Context:
    parts = Arn.parse(arn)
    return ctx if parts is None else _there(ctx, parts.region)


@resource_type("AWS::SNS::Subscription")
class SubscriptionType(Direct):
    """One that is to be confirmed by its endpoint is made when it was asked for, as on AWS."""

    service = "sns"
    calls = "Subscribe Unsubscribe GetSubscriptionAttributes SetSubscriptionAttributes"
    missing = MISSING

    def create(self, ctx: Context, props: Properties, wanted: Wanted) -> Created:
        arn = sns(
            _there(ctx, props.get("Region")),
            "Subscribe",
            TopicArn=props["TopicArn"],
            Protocol=props["Protocol"],
            Endpoint=props.get("Endpoint"),
            Attributes=attributes(props, _ATTRIBUTES) or None,
            ReturnSubscriptionArn=True,
        )["SubscriptionArn"]
        return Created(id=arn, attributes={"Arn": arn})

    def read(self, ctx: Context, resource: Resource) -> Properties | None:
        given = resource.properties
        reply = sns_if_there(_home(ctx, resource.id), "GetSubscriptionAttributes", SubscriptionArn=resource.id)
        if reply is None:
            return None
        live = reply["Attributes"]
        return without_none(
            {
                "TopicArn": live["TopicArn"],
                "Protocol": live["Protocol"],
                "Endpoint": live["Endpoint"],
                **{name: shown(live[name], given.get(name)) for name in _ATTRIBUTES if name in live},
                "Region": given.get("Region"),
                "Arn": resource.id,
            }
        )

    def update(self, ctx: Context, resource: Resource, new: Properties, wanted: Wanted) -> Created | None:
        there = _home(ctx, resource.id)
        before, after = attributes(resource.properties, _ATTRIBUTES), attributes(new, _ATTRIBUTES)
        for name in _ATTRIBUTES:
            if before.get(name) != after.get(name):
                value = after.get(name, _UNSET.get(name, ""))
                sns(there, "SetSubscriptionAttributes", SubscriptionArn=resource.id, AttributeName=name, AttributeValue=value)
        return None

    def delete(self, ctx: Context, resource: Resource) -> bool | None:
        """One that nobody has confirmed cannot be ended; SNS forgets it by itself after two days."""
        there = _home(ctx, resource.id)
        live = sns(there, "GetSubscriptionAttributes", SubscriptionArn=resource.id)["Attributes"]
        if live["PendingConfirmation"] != "true":
            sns(there, "Unsubscribe", SubscriptionArn=resource.id)
        return None

    def list(self, ctx: Context) -> Iterable[str]:
        found = listed(ctx, "sns", "ListSubscriptions", "Subscriptions")
        return (each["SubscriptionArn"] for each in found if each["SubscriptionArn"].startswith("arn:"))

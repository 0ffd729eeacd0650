"""Tags of rules."""

from __future__ import annotations

from typing import Any

import msgspec

from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import reads, writes
from windtunnel.kernel.scope import Arn
from windtunnel.services.events.lookups import request_tags, tags_of
from windtunnel.services.events.model import Rule
from windtunnel.services.events.operations.rules import invalid

MAX_TAGS = 50


def on_arn(action: str) -> Any:
    def authorize(
        ctx: Context, resource_arn: str, tags: list[dict[str, str]] | None = None, tag_keys: list[str] | None = None, **_: Any
    ) -> list[Need]:
        context = {**tags_of(ctx, resource_arn.rsplit("/", 1)[-1]), **request_tags(tags)}
        if tag_keys:
            context["aws:TagKeys"] = tag_keys
        return [Need(f"events:{action}", resource_arn, context)]

    return authorize


def tagged_rule(ctx: Context, resource_arn: str) -> Rule:
    arn = Arn.parse(resource_arn)
    ours = arn is not None and arn.service == "events" and (arn.account, arn.region) == (ctx.scope.account, ctx.scope.region)
    if arn is None or not ours or not arn.resource.startswith("rule/"):
        raise invalid(f"Parameter {resource_arn} is not valid. Reason: Provided Arn is not in correct format.")
    name = arn.resource.removeprefix("rule/").removeprefix("default/")
    rule = ctx.tx.get(Rule, name)
    if rule is None:
        raise AwsError("ResourceNotFoundException", f"Rule {name} does not exist on EventBus default.")
    return rule


@writes("events", "TagResource", authorize=on_arn("TagResource"), acts="ResourceARN Tags[].Key Tags[].Value")
def tag_resource(ctx: Context, resource_arn: str, tags: list[dict[str, str]]) -> Reply:
    rule = tagged_rule(ctx, resource_arn)
    merged = {**rule.tags, **{tag["Key"]: tag["Value"] for tag in tags}}
    if len(merged) > MAX_TAGS:
        raise invalid("The number of tags exceeds the limit of 50 for a resource.")
    ctx.tx.put(msgspec.structs.replace(rule, tags=merged))
    return {}


@writes("events", "UntagResource", authorize=on_arn("UntagResource"), acts="ResourceARN TagKeys[]")
def untag_resource(ctx: Context, resource_arn: str, tag_keys: list[str]) -> Reply:
    rule = tagged_rule(ctx, resource_arn)
    ctx.tx.put(msgspec.structs.replace(rule, tags={key: value for key, value in rule.tags.items() if key not in tag_keys}))
    return {}


@reads("events", "ListTagsForResource", authorize=on_arn("ListTagsForResource"), acts="ResourceARN")
def list_tags_for_resource(ctx: Context, resource_arn: str) -> Reply:
    rule = tagged_rule(ctx, resource_arn)
    return {"Tags": [{"Key": key, "Value": rule.tags[key]} for key in sorted(rule.tags)]}

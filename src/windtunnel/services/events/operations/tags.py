"""Tags of rules and buses."""

from __future__ import annotations

from typing import Any

import msgspec

from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import reads, writes
from windtunnel.kernel.scope import Arn
from windtunnel.services.events.lookups import check_keys, checked_tags, invalid, request_tags, resource_tags
from windtunnel.services.events.model import DEFAULT_BUS, Bus, Rule, rule_key


def on_arn(action: str) -> Any:
    def authorize(
        ctx: Context, resource_arn: str, tags: list[dict[str, str]] | None = None, tag_keys: list[str] | None = None, **_: Any
    ) -> list[Need]:
        found = _found(ctx, resource_arn)
        context = {**(resource_tags(found.tags) if found is not None else {}), **request_tags(tags)}
        if tag_keys:
            context["aws:TagKeys"] = tag_keys
        return [Need(f"events:{action}", resource_arn, context)]

    return authorize


def _found(ctx: Context, resource_arn: str) -> Rule | Bus | None:
    """The rule or bus of this account and region behind an ARN, if it is there. Raises AWS's error for what has no tags."""
    arn = Arn.parse(resource_arn)
    ours = arn is not None and arn.service == "events" and (arn.account, arn.region) == (ctx.scope.account, ctx.scope.region)
    kind, _, name = arn.resource.partition("/") if arn is not None else ("", "", "")
    if not ours or kind not in ("rule", "event-bus"):
        raise invalid(f"Parameter {resource_arn} is not valid. Reason: Provided Arn is not in correct format.")
    if kind == "event-bus":
        return ctx.tx.get(Bus, name) or (Bus(name=DEFAULT_BUS) if name == DEFAULT_BUS else None)
    bus, _, rule = name.rpartition("/")
    return ctx.tx.get(Rule, rule_key(rule, bus or DEFAULT_BUS))


def tagged(ctx: Context, resource_arn: str) -> Rule | Bus:
    found = _found(ctx, resource_arn)
    if found is None:
        kind, _, name = resource_arn.split(":", 5)[5].partition("/")
        bus, _, rule = name.rpartition("/")
        missing = f"Rule {rule} does not exist on EventBus {bus or DEFAULT_BUS}." if kind == "rule" else f"Event bus {name} does not exist."
        raise AwsError("ResourceNotFoundException", missing)
    return found


@writes("events", "TagResource", authorize=on_arn("TagResource"), acts="ResourceARN Tags[].Key Tags[].Value")
def tag_resource(ctx: Context, resource_arn: str, tags: list[dict[str, str]]) -> Reply:
    found = tagged(ctx, resource_arn)
    ctx.tx.put(msgspec.structs.replace(found, tags=checked_tags(ctx, found.tags, tags)))
    return {}


@writes("events", "UntagResource", authorize=on_arn("UntagResource"), acts="ResourceARN TagKeys[]")
def untag_resource(ctx: Context, resource_arn: str, tag_keys: list[str]) -> Reply:
    check_keys(ctx, tag_keys)
    found = tagged(ctx, resource_arn)
    ctx.tx.put(msgspec.structs.replace(found, tags={key: value for key, value in found.tags.items() if key not in tag_keys}))
    return {}


@reads("events", "ListTagsForResource", authorize=on_arn("ListTagsForResource"), acts="ResourceARN")
def list_tags_for_resource(ctx: Context, resource_arn: str) -> Reply:
    found = tagged(ctx, resource_arn)
    return {"Tags": [{"Key": key, "Value": found.tags[key]} for key in sorted(found.tags)]}

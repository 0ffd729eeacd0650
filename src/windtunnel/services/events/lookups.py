"""What every operation looks up: the bus, the rule, a page's beginning; and who may do what to a rule."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from windtunnel.kernel.context import Context, Need
from windtunnel.kernel.errors import AwsError
from windtunnel.services.events.model import DEFAULT_BUS, Rule, bus_arn, rule_arn

_MARK = "wt1:"


def check_bus(ctx: Context, name: str | None) -> None:
    """Only the default bus exists. Raises AWS's error for another name or ARN."""
    if name not in (None, DEFAULT_BUS, bus_arn(ctx.scope)):
        raise AwsError("ResourceNotFoundException", f"Event bus {str(name).rsplit('/', 1)[-1]} does not exist.")


def the_rule(ctx: Context, name: str, bus: str | None) -> Rule:
    check_bus(ctx, bus)
    rule = ctx.tx.get(Rule, name)
    if rule is None:
        raise AwsError("ResourceNotFoundException", f"Rule {name} does not exist on EventBus {DEFAULT_BUS}.")
    return rule


def tags_of(ctx: Context, name: str) -> dict[str, str]:
    rule = ctx.tx.get(Rule, name)
    return {f"aws:ResourceTag/{key}": value for key, value in rule.tags.items()} if rule is not None else {}


def request_tags(tags: list[dict[str, str]] | None) -> dict[str, Any]:
    if not tags:
        return {}
    return {**{f"aws:RequestTag/{tag['Key']}": tag["Value"] for tag in tags}, "aws:TagKeys": [tag["Key"] for tag in tags]}


def on_rule(action: str, argument: str = "name") -> Any:
    """authorize= for an operation on the rule that this argument names."""

    def authorize(ctx: Context, **args: Any) -> list[Need]:
        name = args[argument]
        return [Need(f"events:{action}", rule_arn(ctx.scope, name), tags_of(ctx, name))]

    return authorize


def on_everything(action: str) -> Any:
    def authorize(ctx: Context, **_: Any) -> list[Need]:
        return [Need(f"events:{action}")]

    return authorize


def token_after(key: str) -> str:
    return base64.urlsafe_b64encode((_MARK + key).encode()).decode()


def key_of(token: str | None) -> str | None:
    """The key that a page's token stands for. Raises AWS's error for one that we never gave."""
    if token is None:
        return None
    try:
        text = base64.urlsafe_b64decode(token.encode()).decode()
    except (binascii.Error, UnicodeError, ValueError):
        text = ""
    if not text.startswith(_MARK):
        raise AwsError("ValidationException", "Parameter NextToken is not valid.", status=400)
    return text[len(_MARK) :]

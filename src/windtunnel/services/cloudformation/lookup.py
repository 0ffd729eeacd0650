"""Finding a stack, by name or by ARN, and what a caller must be allowed to do with it.

Invariant: a name means a stack that is there; a deleted one is found by its ARN only. Each operation has AWS's own words for "there is none".
"""

from __future__ import annotations

from typing import Any, Literal

from windtunnel.kernel.context import Authorize, Context, Need
from windtunnel.kernel.errors import AwsError
from windtunnel.services.cloudformation.model import SHOWN, Stack, stack_arn, stack_of_arn

Words = Literal["id", "brackets", "quotes"]
"""How an operation says that a stack is not there: DescribeStacks and GetTemplate by `id`, changes and events in brackets, resources in quotes."""


def find(ctx: Context, name: str) -> Stack | None:
    """By name, by ARN, or by the UUID in it."""
    parsed = stack_of_arn(name)
    if parsed is not None:
        stack = ctx.tx.get(Stack, parsed[1])
        return stack if stack is not None and stack.name == parsed[0] and _shown(ctx, stack) else None
    found = ctx.tx.find(Stack, "name", name)
    return found[0] if found else None


def _shown(ctx: Context, stack: Stack) -> bool:
    return stack.deleted is None or ctx.now - stack.deleted < SHOWN


def absent(name: str, words: Words) -> AwsError:
    said = {
        "id": f"Stack with id {name} does not exist",
        "brackets": f"Stack [{name}] does not exist",
        "quotes": f"Stack '{name}' does not exist",
    }
    return AwsError("ValidationError", said[words])


def the_stack(ctx: Context, name: str, words: Words = "brackets") -> Stack:
    stack = find(ctx, name)
    if stack is None:
        raise absent(name, words)
    return stack


def arn_for_policies(ctx: Context, name: str | None) -> str:
    """The ARN that policies see: the stack's whole one when there is one, else with a star for its id."""
    if not name:
        return "*"
    stack = find(ctx, name)
    if stack is not None:
        return stack.arn(ctx.scope)
    return name if name.startswith("arn:") else stack_arn(ctx.scope, name, "*")


def on_stack(action: str) -> Authorize:
    """authorize= for an operation on one stack, `stack_name`."""

    def authorize(ctx: Context, stack_name: str | None = None, role_arn: str | None = None, **_: Any) -> list[Need]:
        keys: dict[str, Any] = {"cloudformation:RoleArn": role_arn} if role_arn else {}
        needs = [Need(f"cloudformation:{action}", arn_for_policies(ctx, stack_name), keys)]
        if role_arn:
            needs.append(Need("iam:PassRole", role_arn, {"iam:PassedToService": "cloudformation.amazonaws.com"}))
        return needs

    return authorize


def on_everything(action: str) -> Authorize:
    def authorize(ctx: Context, **_: Any) -> list[Need]:
        return [Need(f"cloudformation:{action}")]

    return authorize

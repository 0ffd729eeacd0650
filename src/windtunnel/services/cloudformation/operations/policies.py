"""Stack policies, written and read."""

from __future__ import annotations

from typing import Any

from windtunnel.kernel.context import Context, Reply
from windtunnel.kernel.registry import reads, writes
from windtunnel.services.cloudformation.lookup import on_stack, the_stack
from windtunnel.services.cloudformation.operations.stacks import stack_policy
from windtunnel.services.cloudformation.submitting import invalid


def prepare_policy(ctx: Context, args: dict[str, Any]) -> dict[str, Any]:
    """A policy by URL is fetched before the transaction."""
    if args.get("stack_policy_body") is None and args.get("stack_policy_url") is None:
        raise invalid("Either StackPolicyURL or StackPolicyBody must be specified.")
    return {**args, "prepared": stack_policy(ctx, args.get("stack_policy_body"), args.get("stack_policy_url"))}


@writes(
    "cloudformation",
    "SetStackPolicy",
    authorize=on_stack("SetStackPolicy"),
    acts="StackName StackPolicyBody StackPolicyURL",
    prepare=prepare_policy,
)
def set_stack_policy(
    ctx: Context, stack_name: str, stack_policy_body: str | None = None, stack_policy_url: str | None = None, prepared: str = ""
) -> Reply:
    stack = the_stack(ctx, stack_name)
    stack.policy = prepared
    ctx.tx.put(stack)
    return {}


@reads("cloudformation", "GetStackPolicy", authorize=on_stack("GetStackPolicy"), acts="StackName")
def get_stack_policy(ctx: Context, stack_name: str) -> Reply:
    stack = the_stack(ctx, stack_name)
    return {"StackPolicyBody": stack.policy} if stack.policy else {}

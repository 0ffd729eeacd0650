"""Stacks and their history, read."""

from __future__ import annotations

from typing import Any

from windtunnel.kernel.context import Context, Need, Reply, Wait
from windtunnel.kernel.registry import reads
from windtunnel.services.cloudformation import shapes
from windtunnel.services.cloudformation.lookup import arn_for_policies, find, on_everything, on_stack, the_stack
from windtunnel.services.cloudformation.model import SHOWN, Operation, Stack, StackEvent, arrival, in_progress
from windtunnel.services.cloudformation.submitting import invalid

PAGE, FEW = 100, 10
MOMENT, BEGINNING = 1.0, 1.5
"""Seconds for which the answer about a stack waits for its arrival, and how long after an operation's start."""


def has_just_begun(ctx: Context, stack: Stack) -> bool:
    """Most stacks arrive within a moment, and AWS's clients, who see one that goes on, look again only after thirty seconds."""
    operation = ctx.tx.get(Operation, stack.operation) if stack.operation and in_progress(stack.status) else None
    return operation is not None and 0 <= ctx.now - operation.started < BEGINNING


def to_describe(ctx: Context, stack_name: str | None = None, **_: Any) -> list[Need]:
    return [Need("cloudformation:DescribeStacks", arn_for_policies(ctx, stack_name))]


def one_or_few(ctx: Context, stack_name: str | None = None, next_token: str | None = None) -> bool:
    """Whether DescribeStacks takes no longer than a point read: it is what everyone who waits asks for, again and again."""
    if stack_name:
        return True
    ctx.found[Stack] = stacks = ctx.tx.scan(Stack, limit=FEW + 1)
    return len(stacks) <= FEW


@reads("cloudformation", "DescribeStacks", authorize=to_describe, acts="StackName NextToken", cost="scan", few=one_or_few)
def describe_stacks(ctx: Context, stack_name: str | None = None, next_token: str | None = None) -> Reply | Wait:
    if stack_name:
        stack = the_stack(ctx, stack_name, "id")
        reply: Reply = {"Stacks": [shapes.stack(ctx.scope, stack)]}
        return Wait(arrival(stack.id), MOMENT, reply) if has_just_begun(ctx, stack) else reply
    found = _newest(ctx, next_token, lambda stack: stack.status != "DELETE_COMPLETE")
    return _page("Stacks", [shapes.stack(ctx.scope, stack) for stack in found[:PAGE]], found)


def _newest(ctx: Context, after: str | None, wanted: Any) -> list[Stack]:
    """Stacks from the newest on, one more than a page; `after` is a position."""
    found = ctx.found.get(Stack) or ctx.tx.scan(Stack)
    stacks = [stack for stack in found if wanted(stack)]
    stacks.sort(key=lambda stack: (-stack.created, stack.id))
    if after is None:
        return stacks[: PAGE + 1]
    created, _, stack_id = after.partition("/")
    return [stack for stack in stacks if (-stack.created, stack.id) > (-float(created), stack_id)][: PAGE + 1]


def _page(member: str, shown: list[Any], found: list[Stack]) -> Reply:
    reply: Reply = {member: shown}
    if len(found) > PAGE:
        last = found[PAGE - 1]
        reply["NextToken"] = f"{last.created!r}/{last.id}"
    return reply


@reads("cloudformation", "ListStacks", authorize=on_everything("ListStacks"), acts="NextToken StackStatusFilter[]", cost="scan")
def list_stacks(ctx: Context, next_token: str | None = None, stack_status_filter: list[str] | None = None) -> Reply:
    def wanted(stack: Stack) -> bool:
        if stack.deleted is not None and ctx.now - stack.deleted >= SHOWN:
            return False
        return not stack_status_filter or stack.status in stack_status_filter

    found = _newest(ctx, next_token, wanted)
    return _page("StackSummaries", [shapes.summary(ctx.scope, stack) for stack in found[:PAGE]], found)


@reads("cloudformation", "DescribeStackEvents", authorize=on_stack("DescribeStackEvents"), acts="StackName NextToken", cost="scan")
def describe_stack_events(ctx: Context, stack_name: str, next_token: str | None = None) -> Reply:
    stack = the_stack(ctx, stack_name)
    prefix = f"{stack.id}/"
    before = None if next_token is None else f"{prefix}{int(next_token):012d}"
    found = ctx.tx.scan_back(StackEvent, prefix=prefix, before=before, limit=PAGE + 1)
    reply: Reply = {"StackEvents": [shapes.event(ctx.scope, stack, event) for event in found[:PAGE]]}
    if len(found) > PAGE:
        reply["NextToken"] = str(found[PAGE - 1].seq)
    return reply


LIMITS = {"StackLimit": 2000, "StackOutputsLimit": 200, "ConcurrentResourcesLimit": 2500}


@reads("cloudformation", "DescribeAccountLimits", authorize=on_everything("DescribeAccountLimits"), acts="NextToken")
def describe_account_limits(ctx: Context, next_token: str | None = None) -> Reply:
    return {"AccountLimits": [{"Name": name, "Value": value} for name, value in LIMITS.items()]}


def one_of(ctx: Context, stack_name: str | None) -> Stack:
    """For operations that take a stack's name though their model does not require it."""
    if not stack_name:
        raise invalid("StackName is a required parameter.")
    stack = find(ctx, stack_name)
    if stack is None:
        raise invalid(f"Stack with id {stack_name} does not exist")
    return stack

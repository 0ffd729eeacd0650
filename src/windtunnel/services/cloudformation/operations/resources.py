"""The resources of a stack, read."""

from __future__ import annotations

from typing import Any

from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.registry import reads
from windtunnel.services.cloudformation import shapes
from windtunnel.services.cloudformation.lookup import arn_for_policies, find, on_stack, the_stack
from windtunnel.services.cloudformation.model import Stack, StackResource
from windtunnel.services.cloudformation.submitting import invalid

PAGE = 100


def shown_resources(ctx: Context, stack: Stack) -> list[StackResource]:
    """What the stack has, or, of a deleted one, had; in the order of their names."""
    return [found for found in ctx.tx.scan(StackResource, prefix=f"{stack.id}/") if found.status]


@reads(
    "cloudformation",
    "DescribeStackResource",
    authorize=on_stack("DescribeStackResource"),
    acts="StackName LogicalResourceId",
)
def describe_stack_resource(ctx: Context, stack_name: str, logical_resource_id: str) -> Reply:
    stack = the_stack(ctx, stack_name, "quotes")
    found = ctx.tx.get(StackResource, f"{stack.id}/{logical_resource_id}")
    if found is None or not found.status:
        raise invalid(f"Resource {logical_resource_id} does not exist for stack {stack.name}")
    return {"StackResourceDetail": shapes.detail(ctx.scope, stack, found)}


def to_describe(ctx: Context, stack_name: str | None = None, physical_resource_id: str | None = None, **_: Any) -> list[Need]:
    if not stack_name and physical_resource_id:
        found = ctx.tx.find(StackResource, "physical", physical_resource_id, limit=1)
        stack = ctx.tx.get(Stack, found[0].stack) if found else None
        return [Need("cloudformation:DescribeStackResources", stack.arn(ctx.scope) if stack else "*")]
    return [Need("cloudformation:DescribeStackResources", arn_for_policies(ctx, stack_name))]


@reads(
    "cloudformation",
    "DescribeStackResources",
    authorize=to_describe,
    acts="StackName LogicalResourceId PhysicalResourceId",
    cost="scan",
)
def describe_stack_resources(
    ctx: Context, stack_name: str | None = None, logical_resource_id: str | None = None, physical_resource_id: str | None = None
) -> Reply:
    if bool(stack_name) == bool(physical_resource_id):
        if stack_name:
            raise invalid("Both StackName and PhysicalResourceId cannot be specified.")
        raise invalid("Either StackName or PhysicalResourceId must be specified.")
    if stack_name:
        stack = the_stack(ctx, stack_name, "id")
        return {"StackResources": _of(ctx, stack, logical_resource_id)}
    found = ctx.tx.find(StackResource, "physical", physical_resource_id or "", limit=1)
    owner = ctx.tx.get(Stack, found[0].stack) if found else None
    if owner is None:
        raise invalid(f"Stack for {physical_resource_id} does not exist")
    return {"StackResources": _of(ctx, owner, logical_resource_id)}


def _of(ctx: Context, stack: Stack, logical: str | None) -> list[dict[str, Any]]:
    chosen = [found for found in shown_resources(ctx, stack) if not logical or found.logical == logical]
    named = {"StackName": stack.name, "StackId": stack.arn(ctx.scope)}
    return [named | shapes.resource(ctx.scope, stack, found, "Timestamp") for found in chosen[:PAGE]]


@reads("cloudformation", "ListStackResources", authorize=on_stack("ListStackResources"), acts="StackName NextToken", cost="scan")
def list_stack_resources(ctx: Context, stack_name: str, next_token: str | None = None) -> Reply:
    stack = find(ctx, stack_name)
    if stack is None:
        raise invalid(f"Stack with id {stack_name} does not exist")
    all_of_it = [found for found in shown_resources(ctx, stack) if next_token is None or found.logical > next_token]
    reply: Reply = {
        "StackResourceSummaries": [shapes.resource(ctx.scope, stack, found, "LastUpdatedTimestamp") for found in all_of_it[:PAGE]]
    }
    if len(all_of_it) > PAGE:
        reply["NextToken"] = all_of_it[PAGE - 1].logical
    return reply

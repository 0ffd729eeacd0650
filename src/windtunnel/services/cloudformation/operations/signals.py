"""SignalResource: what a CreationPolicy waits for."""

from __future__ import annotations

from typing import Literal

from windtunnel.kernel.context import Context, Reply
from windtunnel.kernel.registry import writes
from windtunnel.services.cloudformation.lookup import on_stack, the_stack
from windtunnel.services.cloudformation.model import Signal, StackResource, run_id
from windtunnel.services.cloudformation.submitting import invalid


@writes("cloudformation", "SignalResource", authorize=on_stack("SignalResource"), acts="StackName LogicalResourceId UniqueId Status")
def signal_resource(
    ctx: Context, stack_name: str, logical_resource_id: str, unique_id: str, status: Literal["SUCCESS", "FAILURE"]
) -> Reply:
    stack = the_stack(ctx, stack_name)
    resource = ctx.tx.get(StackResource, f"{stack.id}/{logical_resource_id}")
    if resource is None or not resource.status:
        raise invalid(f"Resource {logical_resource_id} does not exist for stack {stack.name}")
    if not resource.status.endswith("_IN_PROGRESS"):
        raise invalid(f"Resource {logical_resource_id} is in {resource.status} state and cannot be signaled")
    signal = Signal(stack=stack.id, logical=logical_resource_id, unique=unique_id, status=status, at=ctx.now)
    earlier = ctx.tx.get(Signal, signal.key())
    if earlier is not None:
        if earlier.status == status:
            return {}
        raise (
            invalid(
                f"Signal with ID {unique_id} for resource {logical_resource_id} already exists. Signals may only be updated with a FAILURE."
            )
            if status == "SUCCESS"
            else _worse(ctx, earlier)
        )
    ctx.tx.put(signal)
    ctx.cloud.wake(ctx, run_id(stack.operation))
    return {}


def _worse(ctx: Context, earlier: Signal) -> Exception:
    return invalid(f"Signal with ID {earlier.unique} for resource {earlier.logical} already exists.")

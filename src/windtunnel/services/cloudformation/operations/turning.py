"""Turning an operation back, and going on after a rollback that failed: CancelUpdateStack, ContinueUpdateRollback, RollbackStack."""

from __future__ import annotations

from windtunnel.kernel.context import Context, Reply
from windtunnel.kernel.registry import writes
from windtunnel.services.cloudformation import starting
from windtunnel.services.cloudformation.lookup import on_stack, the_stack
from windtunnel.services.cloudformation.model import STACK_TYPE, Operation, Options, Stack, StackResource, run_id, stack_of_arn
from windtunnel.services.cloudformation.submitting import invalid


def check_root(stack: Stack, action: str) -> None:
    """Turning back concerns a whole family of stacks, and is begun at its root. action: as AWS calls it, which is not always the operation."""
    if stack.parent:
        raise invalid(f"{action} cannot be invoked on child stacks")


def check_skipped(ctx: Context, root: Stack, name: str) -> None:
    """ResourcesToSkip names resources of the stack, and `STACK-NAME.LogicalId` of stacks nested in it (API reference, ContinueUpdateRollback)."""
    owner, _, logical = name.rpartition(".")
    stack = the_stack(ctx, owner) if owner else root
    resource = ctx.tx.get(StackResource, f"{stack.id}/{logical}")
    if resource is None or (stack is not root and stack.root != f"{root.name}/{root.id}"):
        raise invalid(f"Resource {name} does not belong to stack {root.name}")
    if resource.type == STACK_TYPE:
        child = ctx.tx.get(Stack, (stack_of_arn(resource.now.physical) or ("", ""))[1]) if resource.now is not None else None
        if child is not None and not child.status.startswith("DELETE_"):
            raise invalid("Nested stacks could not be skipped")
    if resource.status != "UPDATE_FAILED":
        raise invalid("Only the resources failed during UpdateRollback are allowed to be skipped")


@writes("cloudformation", "CancelUpdateStack", authorize=on_stack("CancelUpdateStack"), acts="StackName ClientRequestToken")
def cancel_update_stack(ctx: Context, stack_name: str, client_request_token: str = "") -> Reply:
    stack = the_stack(ctx, stack_name)
    operation = ctx.tx.get(Operation, stack.operation) if stack.operation else None
    if operation is not None and operation.nested:
        check_root(stack, "CancelUpdateStack")
    if stack.status != "UPDATE_IN_PROGRESS" or operation is None:
        raise invalid(f"CancelUpdateStack cannot be called from current stack status {stack.status}")
    operation.cancelled = True
    ctx.tx.put(operation)
    ctx.cloud.wake(ctx, run_id(operation.id))
    return {}


@writes(
    "cloudformation",
    "ContinueUpdateRollback",
    authorize=on_stack("ContinueUpdateRollback"),
    acts="StackName RoleARN ResourcesToSkip[] ClientRequestToken",
)
def continue_update_rollback(
    ctx: Context, stack_name: str, role_arn: str = "", resources_to_skip: list[str] | None = None, client_request_token: str = ""
) -> Reply:
    stack = the_stack(ctx, stack_name)
    if starting.check_token(ctx, stack, client_request_token):
        return {}
    check_root(stack, "RollbackUpdatedStack")
    if stack.status != "UPDATE_ROLLBACK_FAILED":
        raise invalid(f"Stack:{stack.arn(ctx.scope)} is in {stack.status} state and can not continue rollback.")
    for name in resources_to_skip or []:
        check_skipped(ctx, stack, name)
    starting.check_role(ctx, role_arn, stack.arn(ctx.scope))
    starting.roll_update_back(ctx, stack, Options(skip=resources_to_skip or []), client_request_token, role_arn or stack.role_arn)
    return {}


@writes(
    "cloudformation",
    "RollbackStack",
    authorize=on_stack("RollbackStack"),
    acts="StackName RoleARN ClientRequestToken RetainExceptOnCreate",
)
def rollback_stack(
    ctx: Context, stack_name: str, role_arn: str = "", client_request_token: str = "", retain_except_on_create: bool = False
) -> Reply:
    stack = the_stack(ctx, stack_name)
    if starting.check_token(ctx, stack, client_request_token):
        return {"StackId": stack.arn(ctx.scope), "OperationId": stack.operation}
    check_root(stack, "RollbackStack")
    if stack.status not in ("CREATE_FAILED", "UPDATE_FAILED"):
        raise invalid(f"Stack:{stack.arn(ctx.scope)} is in {stack.status} state and can not be rolled back.")
    starting.check_role(ctx, role_arn, stack.arn(ctx.scope))
    options = Options(retain_except_on_create=retain_except_on_create)
    if stack.status == "UPDATE_FAILED":
        operation = starting.roll_update_back(ctx, stack, options, client_request_token, role_arn or stack.role_arn)
    else:
        operation = starting.begin(
            ctx,
            stack,
            "rollback",
            "ROLLBACK_IN_PROGRESS",
            phase="unmake",
            options=options,
            token=client_request_token,
            role_arn=role_arn or stack.role_arn,
        )
    return {"StackId": stack.arn(ctx.scope), "OperationId": operation.id}

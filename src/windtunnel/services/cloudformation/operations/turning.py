"""Turning an operation back, and going on after a rollback that failed: CancelUpdateStack, ContinueUpdateRollback, RollbackStack."""

from __future__ import annotations

from windtunnel.kernel.context import Context, Reply
from windtunnel.kernel.registry import writes
from windtunnel.services.cloudformation import starting
from windtunnel.services.cloudformation.lookup import on_stack, the_stack
from windtunnel.services.cloudformation.model import Operation, Options, Stack, StackResource, Template, run_id
from windtunnel.services.cloudformation.submitting import invalid


@writes("cloudformation", "CancelUpdateStack", authorize=on_stack("CancelUpdateStack"), acts="StackName ClientRequestToken")
def cancel_update_stack(ctx: Context, stack_name: str, client_request_token: str = "") -> Reply:
    stack = the_stack(ctx, stack_name)
    operation = ctx.tx.get(Operation, stack.operation) if stack.operation else None
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
    if stack.status != "UPDATE_ROLLBACK_FAILED":
        raise invalid(f"Stack:{stack.arn(ctx.scope)} is in {stack.status} state and can not continue rollback.")
    for name in resources_to_skip or []:
        resource = ctx.tx.get(StackResource, f"{stack.id}/{name}")
        if resource is None:
            raise invalid(f"Resources specified to be skipped do not exist in stack {stack.name}: [{name}]")
        if resource.status != "UPDATE_FAILED":
            raise invalid(f"Resource {name} is in {resource.status} state and cannot be skipped: only UPDATE_FAILED resources can.")
    starting.check_role(ctx, role_arn, stack.arn(ctx.scope))
    _roll_update_back(ctx, stack, Options(skip=resources_to_skip or []), client_request_token, role_arn or stack.role_arn)
    return {}


def _roll_update_back(ctx: Context, stack: Stack, options: Options, token: str, role_arn: str) -> Operation:
    """From wherever the update stopped, to what the stack was."""
    back = ctx.tx.get(Template, f"{stack.id}/{stack.made:06d}")
    if back is not None:
        stack.parameters, stack.tags = back.given, back.tags
    return starting.begin(
        ctx,
        stack,
        "update-rollback",
        "UPDATE_ROLLBACK_IN_PROGRESS",
        made=stack.made,
        back_to=stack.made,
        phase="restore",
        options=options,
        token=token,
        role_arn=role_arn,
    )


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
    if stack.status not in ("CREATE_FAILED", "UPDATE_FAILED"):
        raise invalid(f"Stack:{stack.arn(ctx.scope)} is in {stack.status} state and can not be rolled back.")
    starting.check_role(ctx, role_arn, stack.arn(ctx.scope))
    options = Options(retain_except_on_create=retain_except_on_create)
    if stack.status == "UPDATE_FAILED":
        operation = _roll_update_back(ctx, stack, options, client_request_token, role_arn or stack.role_arn)
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

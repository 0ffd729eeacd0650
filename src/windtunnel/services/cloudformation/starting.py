"""Beginning an operation on a stack: its record, the stack's new status, the first event and the run, in one transaction.

Invariants: one operation at a time; a request token that was used before for the same is answered as before, for another is refused.
"""

from __future__ import annotations

from typing import Any

from windtunnel.kernel.context import Context
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.principal import Principal
from windtunnel.kernel.trail import trail
from windtunnel.services.cloudformation import happening
from windtunnel.services.cloudformation.model import (
    PRESERVED,
    STACK_TYPE,
    UPDATABLE,
    ChangeSet,
    Kind,
    Operation,
    Options,
    Stack,
    StackResource,
    Template,
    in_progress,
    run_id,
)
from windtunnel.services.cloudformation.submitting import Submission, invalid

INITIATED = "User Initiated"
STACK_LIMIT = 2000


def check_role(ctx: Context, role_arn: str, stack_arn: str) -> None:
    """A role is given only if CloudFormation can act with it."""
    if not role_arn:
        return
    try:
        ctx.assuming(role_arn, "AWSCloudFormation", "cloudformation.amazonaws.com", stack_arn)
    except AwsError:
        raise invalid(f"Role {role_arn} is invalid or cannot be assumed") from None


def keep_template(ctx: Context, stack: Stack, submission: Submission, tags: dict[str, str]) -> int:
    """The template's version number. A stack that has told of secrets once is sealed from then on."""
    stack.sealed = bool(stack.sealed or submission.secret)
    version = stack.next_version
    stack.next_version += 1
    ctx.tx.put(
        Template(
            sealed=stack.sealed,
            stack=stack.id,
            version=version,
            text=submission.text,
            processed=submission.processed,
            parameters=submission.parameters,
            conditions=submission.conditions,
            needs=submission.needs,
            given=submission.given,
            hidden=submission.hidden,
            transforms=submission.transforms,
            tags=tags,
            zones=submission.zones,
            significant=submission.significant,
            types=submission.types,
        )
    )
    return version


def begin(
    ctx: Context,
    stack: Stack,
    kind: Kind,
    status: str,
    *,
    made: int = 0,
    back_to: int = 0,
    phase: Any = "make",
    options: Options | None = None,
    token: str = "",
    reason: str = INITIATED,
    trouble: str = "",
    principal: Principal | None = None,
    role_arn: str | None = None,
    nested: bool = False,
    change_set: str = "",
) -> Operation:
    """Record the operation and start its run."""
    operation = Operation(
        sealed=stack.sealed,
        id=ctx.ids.uuid(),
        stack=stack.id,
        kind=kind,
        principal=principal or ctx.principal,
        started=ctx.now,
        role_arn=stack.role_arn if role_arn is None else role_arn,
        token=token,
        made=made,
        back_to=back_to,
        phase=phase,
        options=options or Options(),
        reason=trouble,
        cancelled=bool(trouble),
        nested=nested,
        change_set=change_set,
    )
    stack.operation, stack.token = operation.id, token
    happening.of_stack(ctx, stack, operation, status, reason)
    ctx.tx.put(operation)
    ctx.tx.put(stack)
    trail(ctx, [stack.name, stack.arn(ctx.scope)], f"stack {stack.name}: {kind} begins, asked for by {ctx.principal.arn}")
    ctx.start_job("cloudformation.operation", run_id(operation.id), stack_id=stack.id, operation_id=operation.id, doing=kind)
    return operation


def supersede(ctx: Context, stack: Stack) -> None:
    """The operation that goes on is the stack's no more: its run ends at its next batch, which is told at once."""
    if stack.operation:
        ctx.cloud.wake(ctx, run_id(stack.operation))


def begin_create(
    ctx: Context, stack: Stack, version: int, *, options: Options, token: str, trouble: str, nested: bool = False, change_set: str = ""
) -> Operation:
    return begin(
        ctx,
        stack,
        "create",
        "CREATE_IN_PROGRESS",
        made=version,
        options=options,
        token=token,
        trouble=trouble,
        nested=nested,
        change_set=change_set,
    )


def check_updatable(ctx: Context, stack: Stack, disable_rollback: bool) -> None:
    """What a failure left behind goes on with `--disable-rollback` or is turned back, but never both."""
    if stack.status in PRESERVED and not disable_rollback:
        raise invalid(
            f"This stack is currently in a non-terminal [{stack.status}] state. To update the stack from this state, please use the"
            " disable-rollback parameter with update-stack API. To rollback to the last known good state, use the rollback-stack API"
        )
    if stack.status not in UPDATABLE | PRESERVED:
        arn = stack.arn(ctx.scope)
        raise invalid(f"Stack:{arn} is in {stack.status} state and can not be updated.")


def unchanged(
    ctx: Context, stack: Stack, submission: Submission, tags: dict[str, str], made: int | None = None, *, within: bool = True
) -> bool:
    """Whether an update would change nothing that AWS calls a change. made: compared with this version, not with the one in force.

    Nested stacks may have changed behind the same address, so a stack that has some can always be updated; within=False: they are looked at elsewhere.
    """
    if stack.status in PRESERVED:
        return False
    old = ctx.tx.get(Template, f"{stack.id}/{stack.made if made is None else made:06d}")
    if old is None or (within and STACK_TYPE in submission.types.values()):
        return False
    same = (old.parameters, old.conditions, stack.tags, old.zones) == (submission.parameters, submission.conditions, tags, submission.zones)
    return same and old.significant == submission.significant


def begin_update(
    ctx: Context,
    stack: Stack,
    version: int,
    *,
    description: str,
    options: Options,
    token: str,
    trouble: str,
    nested: bool = False,
    change_set: str = "",
) -> Operation:
    """Make a kept version of the template true; the stack says at once what it says."""
    template = ctx.tx.get(Template, f"{stack.id}/{version:06d}")
    assert template is not None
    stack.parameters, stack.tags, stack.updated, stack.description = template.given, template.tags, ctx.now, description
    for plan in ctx.tx.scan(ChangeSet, prefix=f"{stack.id}/"):
        if plan.execution == "AVAILABLE" or (plan.parent and plan.execution == "UNAVAILABLE" and plan.id != change_set):
            # It was planned against what the stack is no more.
            plan.execution = "OBSOLETE"
            ctx.tx.put(plan)
    return begin(
        ctx,
        stack,
        "update",
        "UPDATE_IN_PROGRESS",
        made=version,
        back_to=stack.made,
        options=options,
        token=token,
        trouble=trouble,
        nested=nested,
        change_set=change_set,
    )


def roll_update_back(
    ctx: Context, stack: Stack, options: Options, token: str, role_arn: str | None = None, *, nested: bool = False
) -> Operation:
    """From wherever the update stopped, to what the stack was."""
    back = ctx.tx.get(Template, f"{stack.id}/{stack.made:06d}")
    if back is not None:
        stack.parameters, stack.tags = back.given, back.tags
    return begin(
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
        nested=nested,
    )


def types_changed(ctx: Context, stack: Stack, types: dict[str, str]) -> list[str]:
    """Resources whose type would become another one, which AWS refuses. What the template in force has with the same type needs no look."""
    old = ctx.tx.get(Template, f"{stack.id}/{stack.made:06d}")
    had = old.types if old is not None else {}
    changed = []
    for logical, type_name in types.items():
        if had.get(logical) == type_name:
            continue
        resource = ctx.tx.get(StackResource, f"{stack.id}/{logical}")
        if resource is not None and resource.now is not None and resource.type != type_name:
            changed.append(logical)
    return changed


def types_refusal(changed: list[str]) -> str:
    return (
        "Update of resource type is not permitted. The new template modifies resource type of the following resources: "
        f"[{', '.join(changed)}]"
    )


def check_token(ctx: Context, stack: Stack, token: str) -> bool:
    """Whether this very request was made before and goes on."""
    if token and stack.token == token:
        if in_progress(stack.status):
            return True
        raise AwsError("TokenAlreadyExistsException", f"Token {token} has already been used.")
    return False

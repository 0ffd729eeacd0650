"""Change sets: what an operation would do, looked at before it is done, and then done exactly so."""

from __future__ import annotations

from typing import Any

from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.errors import AwsError, not_built
from windtunnel.kernel.registry import reads, writes
from windtunnel.services.cloudformation import happening, shapes, starting
from windtunnel.services.cloudformation.families import FROM_ROOT, LIMIT, NOTHING, Family, Plan, keep, look_into
from windtunnel.services.cloudformation.forgetting import forget, forget_all
from windtunnel.services.cloudformation.importing import refuse_existing
from windtunnel.services.cloudformation.lookup import absent, arn_for_policies, find, on_stack, the_stack
from windtunnel.services.cloudformation.model import ChangeSet, Operation, Options, Stack, Template, stack_arn
from windtunnel.services.cloudformation.operations.stacks import (
    GIVEN,
    NO_TRIGGERS,
    Tags,
    check_types,
    checked_name,
    checked_tags,
    checked_topics,
    update_text,
)
from windtunnel.services.cloudformation.planning import shown
from windtunnel.services.cloudformation.previewing import previewed
from windtunnel.services.cloudformation.submitting import Submission, invalid, submit, text_of
from windtunnel.services.cloudformation.veiling import veiled

PAGE = 100


def change_set_of_arn(text: str) -> str | None:
    """The UUID in a change set's ARN."""
    parts = text.split("/")
    return parts[2] if text.startswith("arn:") and ":changeSet/" in text and len(parts) == 3 else None


def find_change_set(ctx: Context, name: str, stack_name: str | None) -> tuple[Stack, ChangeSet]:
    """By ARN, or by name and stack. Raises ChangeSetNotFound, or the stack's absence."""
    change_set_id = change_set_of_arn(name)
    if change_set_id is not None:
        found = ctx.tx.find(ChangeSet, "id", change_set_id, limit=1)
        owner = ctx.tx.get(Stack, found[0].stack) if found else None
        if not found or owner is None:
            raise missing(name)
        return owner, found[0]
    if not stack_name:
        raise invalid("StackName must be specified if ChangeSetName is not specified as an ARN.")
    stack = the_stack(ctx, stack_name)
    change_set = ctx.tx.get(ChangeSet, f"{stack.id}/{name}")
    if change_set is None:
        raise missing(name)
    return stack, change_set


def missing(name: str) -> AwsError:
    return AwsError("ChangeSetNotFound", f"ChangeSet [{name}] does not exist")


def on_change_set(action: str) -> Any:
    def authorize(ctx: Context, change_set_name: str | None = None, stack_name: str | None = None, **_: Any) -> list[Need]:
        keys = {"cloudformation:ChangeSetName": change_set_name} if change_set_name else {}
        change_set_id = change_set_of_arn(change_set_name or "")
        if change_set_id is not None and not stack_name:
            found = ctx.tx.find(ChangeSet, "id", change_set_id, limit=1)
            owner = ctx.tx.get(Stack, found[0].stack) if found else None
            return [Need(f"cloudformation:{action}", owner.arn(ctx.scope) if owner else "*", keys)]
        return [Need(f"cloudformation:{action}", arn_for_policies(ctx, stack_name), keys)]

    return authorize


# -- create -----------------------------------------------------------------------------------------------------------


def prepare_create(ctx: Context, args: dict[str, Any]) -> dict[str, Any]:
    """The template made ready, and what it would change, on a snapshot: nothing of the stack is locked while it is thought about."""
    name, kind = args["stack_name"], args.get("change_set_type", "UPDATE")
    if kind == "IMPORT" or args.get("resources_to_import"):
        raise not_built("cloudformation", "CreateChangeSet", "ChangeSetType IMPORT")
    stack = find(ctx, name)
    if kind == "CREATE":
        if stack is None:
            checked_name(name)
            text = text_of(ctx, args.get("template_body"), args.get("template_url"))
        elif stack.status == "REVIEW_IN_PROGRESS":
            text = update_text(ctx, stack, args.get("use_previous_template"), args.get("template_body"), args.get("template_url"))
        else:
            arn = stack.arn(ctx.scope)
            raise invalid(f"Stack [{arn}] already exists and cannot be created again with the changeSet [{args['change_set_name']}].")
    else:
        if stack is None:
            raise absent(name, "brackets")
        text = update_text(ctx, stack, args.get("use_previous_template"), args.get("template_body"), args.get("template_url"))
    stack_id = stack.id if stack is not None else ctx.ids.uuid()
    submission = submit(
        ctx,
        text,
        args.get("parameters") or [],
        stack_name=stack.name if stack is not None else name,
        stack_arn=stack_arn(ctx.scope, stack.name if stack is not None else name, stack_id),
        previous=stack.parameters if stack is not None else None,
        notification_arns=checked_topics(args.get("notification_arns")) or (stack.notification_arns if stack is not None else []),
        capabilities=args.get("capabilities") or [],
        expands_without_capability=True,
    )
    tags = checked_tags(args.get("tags")) if args.get("tags") is not None else (stack.tags if stack is not None else {})
    plans: dict[str, Plan] = {}
    if args.get("include_nested_stacks"):
        role = args.get("role_arn") or (stack.role_arn if stack is not None else "")
        asked = args.get("capabilities") or (stack.capabilities if stack is not None else [])
        family = Family(stack, stack_id, stack.name if stack is not None else name, asked, role)
        changes, plans = look_into(ctx, family, submission, tags)
    else:
        changes = previewed(ctx, stack, submission, tags)
    if args.get("import_existing_resources"):
        refuse_existing(ctx, changes)
    return {**args, "prepared": (stack_id, submission, tags, veiled(ctx, stack, submission, changes), plans)}


@writes(
    "cloudformation",
    "CreateChangeSet",
    authorize=on_stack("CreateChangeSet"),
    acts="StackName TemplateBody TemplateURL UsePreviousTemplate Capabilities[] ResourceTypes[] RoleARN NotificationARNs[] Tags[].Key Tags[].Value"
    f" ChangeSetName ClientToken Description ChangeSetType OnStackFailure IncludeNestedStacks ImportExistingResources"
    f" {GIVEN}",
    default_only=NO_TRIGGERS,
    prepare=prepare_create,
)
def create_change_set(
    ctx: Context,
    stack_name: str,
    change_set_name: str,
    template_body: str | None = None,
    template_url: str | None = None,
    use_previous_template: bool = False,
    parameters: list[dict[str, Any]] | None = None,
    capabilities: list[str] | None = None,
    resource_types: list[str] | None = None,
    role_arn: str = "",
    rollback_configuration: dict[str, Any] | None = None,
    notification_arns: list[str] | None = None,
    tags: Tags | None = None,
    client_token: str = "",
    description: str = "",
    change_set_type: str = "UPDATE",
    include_nested_stacks: bool = False,
    on_stack_failure: str = "",
    import_existing_resources: bool = False,
    prepared: tuple[str, Submission, dict[str, str], list[dict[str, Any]], dict[str, Plan]] | None = None,
) -> Reply:
    assert prepared is not None
    stack_id, submission, wanted, changes, plans = prepared
    first = change_set_type == "CREATE"
    stack = find(ctx, stack_name)
    if stack is not None and stack.id != stack_id:
        raise invalid(f"Stack [{stack.arn(ctx.scope)}] already exists and cannot be created again with the changeSet [{change_set_name}].")
    if on_stack_failure == "DELETE" and not first:
        raise invalid("OnStackFailure DELETE can only be specified for a change set of type CREATE.")
    if stack is None:
        stack = _reviewed(ctx, stack_id, stack_name, wanted, submission, role_arn)
    earlier = ctx.tx.get(ChangeSet, f"{stack.id}/{change_set_name}")
    if earlier is not None:
        if client_token and earlier.token == client_token:
            return {"Id": earlier.arn(ctx.scope), "StackId": stack.arn(ctx.scope)}
        raise AwsError("AlreadyExistsException", f"ChangeSet {change_set_name} already exists")
    if ctx.tx.count(ChangeSet, prefix=f"{stack.id}/") >= LIMIT:
        raise AwsError("LimitExceededException", f"ChangeSet limit exceeded for stack {stack.name}")
    if not first:
        starting.check_updatable(ctx, stack, disable_rollback=True)
    check_types(submission, resource_types)
    starting.check_role(ctx, role_arn, stack.arn(ctx.scope))
    nothing = not first and starting.unchanged(ctx, stack, submission, wanted, within=not include_nested_stacks)
    nothing = nothing and not (include_nested_stacks and changes)
    nothing = nothing and (notification_arns is None or notification_arns == stack.notification_arns)
    failed = NOTHING if nothing else submission.trouble if not submission.types else ""
    change_set = ChangeSet(
        sealed=bool(stack.sealed or submission.secret),
        stack=stack.id,
        name=change_set_name,
        id=ctx.ids.uuid(),
        created=ctx.now,
        status="CREATE_COMPLETE",
        execution="AVAILABLE",
        description=description,
        first=first,
        changes=changes,
        trouble=submission.trouble,
        about=submission.description,
        role_arn=role_arn,
        tags=wanted,
        given=submission.given,
        capabilities=capabilities or [],
        notification_arns=notification_arns,
        on_failure=on_stack_failure,
        nested=include_nested_stacks,
        imports=import_existing_resources,
        token=client_token,
    )
    failed = failed or keep(ctx, stack, change_set, plans)
    if failed:
        change_set.status, change_set.execution, change_set.reason, change_set.changes = "FAILED", "UNAVAILABLE", failed, []
    else:
        change_set.version = starting.keep_template(ctx, stack, submission, wanted)
    ctx.tx.put(stack)
    ctx.tx.put(change_set)
    return {"Id": change_set.arn(ctx.scope), "StackId": stack.arn(ctx.scope)}


def _reviewed(ctx: Context, stack_id: str, name: str, tags: dict[str, str], submission: Submission, role_arn: str) -> Stack:
    """The stack that a first change set is for: it has a name and an id, and nothing else yet."""
    stack = Stack(
        id=stack_id,
        name=name,
        status="",
        created=ctx.now,
        description=submission.description,
        parameters=submission.given,
        tags=tags,
        role_arn=role_arn,
    )
    happening.of_stack(ctx, stack, None, "REVIEW_IN_PROGRESS", starting.INITIATED)
    return stack


# -- read -------------------------------------------------------------------------------------------------------------


def summary(ctx: Context, stack: Stack, found: ChangeSet) -> dict[str, Any]:
    told: dict[str, Any] = {
        "StackId": stack.arn(ctx.scope),
        "StackName": stack.name,
        "ChangeSetId": found.arn(ctx.scope),
        "ChangeSetName": found.name,
        "ExecutionStatus": found.execution,
        "Status": found.status,
        "CreationTime": found.created,
        "IncludeNestedStacks": found.nested,
        "ImportExistingResources": found.imports,
    }
    optional = {"StatusReason": found.reason, "Description": found.description}
    return told | found.family(ctx.scope) | {name: value for name, value in optional.items() if value}


@reads(
    "cloudformation",
    "DescribeChangeSet",
    authorize=on_change_set("DescribeChangeSet"),
    acts="ChangeSetName StackName NextToken IncludePropertyValues",
    cost="scan",
)
def describe_change_set(
    ctx: Context,
    change_set_name: str,
    stack_name: str | None = None,
    next_token: str | None = None,
    include_property_values: bool = False,
) -> Reply:
    stack, found = find_change_set(ctx, change_set_name, stack_name)
    start = int(next_token or 0)
    page = found.changes[start : start + PAGE]
    told = summary(ctx, stack, found) | {
        "NotificationARNs": found.notification_arns or stack.notification_arns,
        "RollbackConfiguration": {},
        "Capabilities": found.capabilities,
        "Changes": [{"Type": "Resource", "ResourceChange": shown(change, values=include_property_values)} for change in page],
    }
    if found.given:
        told["Parameters"] = [shapes.parameter(name, value) for name, value in found.given.items()]
    if found.tags:
        told["Tags"] = shapes.tag_list(found.tags)
    if found.on_failure:
        told["OnStackFailure"] = found.on_failure
    if start + PAGE < len(found.changes):
        told["NextToken"] = str(start + PAGE)
    return told


@reads(
    "cloudformation",
    "DescribeChangeSetHooks",
    authorize=on_change_set("DescribeChangeSetHooks"),
    acts="ChangeSetName StackName NextToken LogicalResourceId",
)
def describe_change_set_hooks(
    ctx: Context,
    change_set_name: str,
    stack_name: str | None = None,
    next_token: str | None = None,
    logical_resource_id: str | None = None,
) -> Reply:
    """No hooks run here, so there are none to plan."""
    stack, found = find_change_set(ctx, change_set_name, stack_name)
    return {
        "ChangeSetId": found.arn(ctx.scope),
        "ChangeSetName": found.name,
        "Hooks": [],
        "Status": "UNAVAILABLE" if found.status == "FAILED" else "PLANNED",
        "StackId": stack.arn(ctx.scope),
        "StackName": stack.name,
    }


@reads("cloudformation", "ListChangeSets", authorize=on_stack("ListChangeSets"), acts="StackName NextToken", cost="scan")
def list_change_sets(ctx: Context, stack_name: str, next_token: str | None = None) -> Reply:
    stack = the_stack(ctx, stack_name)
    return {"Summaries": [summary(ctx, stack, found) for found in ctx.tx.scan(ChangeSet, prefix=f"{stack.id}/")]}


# -- execute and delete -----------------------------------------------------------------------------------------------


@writes(
    "cloudformation",
    "ExecuteChangeSet",
    authorize=on_change_set("ExecuteChangeSet"),
    acts="ChangeSetName StackName ClientRequestToken DisableRollback RetainExceptOnCreate",
)
def execute_change_set(
    ctx: Context,
    change_set_name: str,
    stack_name: str | None = None,
    client_request_token: str = "",
    disable_rollback: bool | None = None,
    retain_except_on_create: bool = False,
) -> Reply:
    stack, found = find_change_set(ctx, change_set_name, stack_name)
    if starting.check_token(ctx, stack, client_request_token):
        return {}
    if found.parent:
        said = f"ChangeSet [{found.arn(ctx.scope)}] cannot be executed in its current execution status of [{found.execution}]"
        raise AwsError("InvalidChangeSetStatus", f"{said}. {FROM_ROOT} [{found.family(ctx.scope)['RootChangeSetId']}]")
    if found.execution != "AVAILABLE":
        status = found.status if found.execution == "UNAVAILABLE" else found.execution
        raise AwsError(
            "InvalidChangeSetStatus", f"ChangeSet [{found.arn(ctx.scope)}] cannot be executed in its current status of [{status}]"
        )
    if disable_rollback and found.on_failure:
        raise invalid("DisableRollback cannot be specified when the change set has OnStackFailure.")
    if not found.first:
        starting.check_updatable(ctx, stack, bool(disable_rollback))
    template = ctx.tx.get(Template, f"{stack.id}/{found.version:06d}")
    changed = starting.types_changed(ctx, stack, template.types if template is not None else {})
    if changed:
        raise invalid(starting.types_refusal(changed))
    _begin(ctx, stack, found, client_request_token, bool(disable_rollback), retain_except_on_create)
    found.execution = "EXECUTE_COMPLETE"
    ctx.tx.put(found)
    forget_all(ctx, stack.id, but=found.id)
    return {}


def _begin(ctx: Context, stack: Stack, found: ChangeSet, token: str, disable_rollback: bool, retain: bool) -> Operation:
    stack.change_set = found.arn(ctx.scope)
    stack.role_arn = found.role_arn or stack.role_arn
    stack.capabilities = found.capabilities or stack.capabilities
    stack.disable_rollback = disable_rollback
    if found.notification_arns is not None:
        stack.notification_arns = found.notification_arns
    wish: Any = "DO_NOTHING" if disable_rollback else (found.on_failure or "ROLLBACK")
    options = Options(on_failure=wish, retain_except_on_create=retain)
    if found.first:
        stack.parameters, stack.tags, stack.description = found.given, found.tags, found.about
        return starting.begin_create(ctx, stack, found.version, options=options, token=token, trouble=found.trouble, change_set=found.id)
    return starting.begin_update(
        ctx, stack, found.version, description=found.about, options=options, token=token, trouble=found.trouble, change_set=found.id
    )


@writes("cloudformation", "DeleteChangeSet", authorize=on_change_set("DeleteChangeSet"), acts="ChangeSetName StackName")
def delete_change_set(ctx: Context, change_set_name: str, stack_name: str | None = None) -> Reply:
    """Deleting what is not there is success."""
    try:
        _, found = find_change_set(ctx, change_set_name, stack_name)
    except AwsError as error:
        if error.code != "ChangeSetNotFound":
            raise
        return {}
    root = found.root.split("/")[-1]
    if root and ctx.tx.find(ChangeSet, "id", root, limit=1):
        raise invalid(f"The operation is only allowed on root change set [{found.family(ctx.scope)['RootChangeSetId']}]")
    forget(ctx, found)
    return {}

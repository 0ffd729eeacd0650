"""CreateStack, UpdateStack, DeleteStack, and termination protection."""

from __future__ import annotations

from typing import Any

from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import writes
from windtunnel.kernel.scope import Arn
from windtunnel.services.cloudformation import happening, policies, starting
from windtunnel.services.cloudformation.executing.outputs import exports_in_use
from windtunnel.services.cloudformation.forgetting import forget_all
from windtunnel.services.cloudformation.lookup import find, on_stack, the_stack
from windtunnel.services.cloudformation.model import (
    STACK_NAME,
    Options,
    Stack,
    StackResource,
    Template,
    in_progress,
    stack_arn,
)
from windtunnel.services.cloudformation.submitting import Submission, fetched, invalid, submit, text_of

Tags = list[dict[str, str]]
GIVEN = "Parameters[].ParameterKey Parameters[].ParameterValue Parameters[].UsePreviousValue"
NO_TRIGGERS: dict[str, Any] = {"RollbackConfiguration.MonitoringTimeInMinutes": 0}


def checked_name(name: str) -> str:
    if len(name) > 128:
        raise invalid(
            f"1 validation error detected: Value '{name}' at 'stackName' failed to satisfy constraint: "
            "Member must have length less than or equal to 128"
        )
    if not STACK_NAME.match(name):
        raise invalid(
            f"1 validation error detected: Value '{name}' at 'stackName' failed to satisfy constraint: "
            "Member must satisfy regular expression pattern: [a-zA-Z][-a-zA-Z0-9]*"
        )
    return name


def checked_tags(tags: Tags | None) -> dict[str, str]:
    found: dict[str, str] = {}
    for tag in tags or []:
        if tag["Key"].lower().startswith("aws:"):
            raise invalid("Tag keys cannot start with aws: as they are reserved for internal AWS use.")
        if tag["Key"] in found:
            raise invalid(f"Duplicate tag keys found: {tag['Key']}")
        found[tag["Key"]] = tag["Value"]
    if len(found) > 50:
        raise invalid("Tags cannot exceed 50.")
    return found


def checked_topics(arns: list[str] | None) -> list[str]:
    """Notification topics are ARNs of SNS."""
    for arn in arns or []:
        parsed = Arn.parse(arn)
        if parsed is None or parsed.service != "sns" or not parsed.resource:
            raise invalid(f"Template validation error: {arn} is not a valid SNS topic ARN")
    return arns or []


def check_types(submission: Submission, allowed: list[str] | None) -> None:
    """ResourceTypes narrows what a template may make."""
    if not allowed:
        return
    for type_name in submission.types.values():
        if not any(policies.wildcard(pattern, type_name) for pattern in allowed):
            raise invalid(f"Resource type {type_name} is not allowed by parameter ResourceTypes {starting_list(allowed)}")


def starting_list(values: list[str]) -> str:
    return "[" + ", ".join(values) + "]"


def stack_policy(ctx: Context, body: str | None, url: str | None, what: str = "StackPolicy") -> str:
    """A policy as given, "" for none."""
    if body is not None and url is not None:
        raise invalid(f"You cannot specify both {what}URL and {what}Body")
    text = fetched(ctx, url) if url is not None else body
    if text is None:
        return ""
    policies.check(text)
    return text


# -- create -----------------------------------------------------------------------------------------------------------


def prepare_create(ctx: Context, args: dict[str, Any]) -> dict[str, Any]:
    name = checked_name(args["stack_name"])
    if find(ctx, name) is not None:
        return args
    text = text_of(ctx, args.get("template_body"), args.get("template_url"))
    stack_id = ctx.ids.uuid()
    submission = submit(
        ctx,
        text,
        args.get("parameters") or [],
        stack_name=name,
        stack_arn=stack_arn(ctx.scope, name, stack_id),
        notification_arns=checked_topics(args.get("notification_arns")),
        capabilities=args.get("capabilities") or [],
    )
    policy = stack_policy(ctx, args.get("stack_policy_body"), args.get("stack_policy_url"))
    return {**args, "prepared": (stack_id, submission, policy)}


@writes(
    "cloudformation",
    "CreateStack",
    authorize=on_stack("CreateStack"),
    acts="StackName TemplateBody TemplateURL DisableRollback TimeoutInMinutes NotificationARNs[] Capabilities[] ResourceTypes[] RoleARN OnFailure"
    f" StackPolicyBody StackPolicyURL Tags[].Key Tags[].Value ClientRequestToken EnableTerminationProtection RetainExceptOnCreate {GIVEN}",
    default_only=NO_TRIGGERS,
    prepare=prepare_create,
)
def create_stack(
    ctx: Context,
    stack_name: str,
    template_body: str | None = None,
    template_url: str | None = None,
    parameters: list[dict[str, Any]] | None = None,
    disable_rollback: bool | None = None,
    rollback_configuration: dict[str, Any] | None = None,
    timeout_in_minutes: int | None = None,
    notification_arns: list[str] | None = None,
    capabilities: list[str] | None = None,
    resource_types: list[str] | None = None,
    role_arn: str = "",
    on_failure: Any = None,
    stack_policy_body: str | None = None,
    stack_policy_url: str | None = None,
    tags: Tags | None = None,
    client_request_token: str = "",
    enable_termination_protection: bool = False,
    retain_except_on_create: bool = False,
    prepared: tuple[str, Submission, str] | None = None,
) -> Reply:
    existing = find(ctx, checked_name(stack_name))
    if existing is not None or prepared is None:
        if existing is not None and client_request_token and existing.token == client_request_token:
            first = ctx.tx.get(Template, f"{existing.id}/000001")
            if template_body is not None and first is not None and first.text != template_body:
                raise AwsError("TokenAlreadyExistsException", f"Token {client_request_token} has already been used for another request.")
            return {"StackId": existing.arn(ctx.scope)} | ({"OperationId": existing.operation} if existing.operation else {})
        raise AwsError("AlreadyExistsException", f"Stack [{stack_name}] already exists")
    if on_failure is not None and disable_rollback is not None:
        raise invalid("Either DisableRollback or OnFailure can be specified, not both.")
    if ctx.tx.count(Stack, index="name") >= starting.STACK_LIMIT:
        raise AwsError("LimitExceededException", f"Limit for stack has been exceeded: {starting.STACK_LIMIT}")
    stack_id, submission, policy = prepared
    check_types(submission, resource_types)
    stack = Stack(
        id=stack_id,
        name=stack_name,
        status="",
        created=ctx.now,
        description=submission.description,
        parameters=submission.given,
        tags=checked_tags(tags),
        capabilities=capabilities or [],
        role_arn=role_arn,
        notification_arns=notification_arns or [],
        timeout_minutes=timeout_in_minutes,
        disable_rollback=bool(disable_rollback),
        protected=enable_termination_protection,
        policy=policy,
        retain_except_on_create=retain_except_on_create,
    )
    starting.check_role(ctx, role_arn, stack.arn(ctx.scope))
    options = Options(
        on_failure="DO_NOTHING" if disable_rollback else (on_failure or "ROLLBACK"),
        timeout_minutes=timeout_in_minutes,
        retain_except_on_create=retain_except_on_create,
    )
    version = starting.keep_template(ctx, stack, submission, stack.tags)
    operation = starting.begin_create(ctx, stack, version, options=options, token=client_request_token, trouble=submission.trouble)
    return {"StackId": stack.arn(ctx.scope), "OperationId": operation.id}


# -- update -----------------------------------------------------------------------------------------------------------


def prepare_update(ctx: Context, args: dict[str, Any]) -> dict[str, Any]:
    stack = the_stack(ctx, args["stack_name"])
    if stack.operation:
        return args
    text = update_text(ctx, stack, args.get("use_previous_template"), args.get("template_body"), args.get("template_url"))
    topics = args.get("notification_arns")
    checked_topics(topics)
    submission = submit(
        ctx,
        text,
        args.get("parameters") or [],
        stack_name=stack.name,
        stack_arn=stack.arn(ctx.scope),
        previous=stack.parameters,
        notification_arns=stack.notification_arns if topics is None else topics,
        capabilities=args.get("capabilities") or [],
    )
    lasting = stack_policy(ctx, args.get("stack_policy_body"), args.get("stack_policy_url"))
    during = stack_policy(
        ctx, args.get("stack_policy_during_update_body"), args.get("stack_policy_during_update_url"), "StackPolicyDuringUpdate"
    )
    return {**args, "prepared": (stack.id, submission, lasting, during)}


def update_text(ctx: Context, stack: Stack, use_previous: bool | None, body: str | None, url: str | None) -> str:
    if not use_previous:
        return text_of(ctx, body, url)
    if body is not None or url is not None:
        raise invalid("Template body or URL cannot be specified together with UsePreviousTemplate.")
    version = stack.made or stack.next_version - 1
    template = ctx.tx.get(Template, f"{stack.id}/{version:06d}")
    if template is None:
        raise invalid("No previous template: the stack has none.")
    return template.text


@writes(
    "cloudformation",
    "UpdateStack",
    authorize=on_stack("UpdateStack"),
    acts="StackName TemplateBody TemplateURL UsePreviousTemplate StackPolicyDuringUpdateBody StackPolicyDuringUpdateURL Capabilities[] ResourceTypes[]"
    " RoleARN StackPolicyBody StackPolicyURL NotificationARNs[] Tags[].Key Tags[].Value DisableRollback ClientRequestToken RetainExceptOnCreate"
    f" {GIVEN}",
    default_only=NO_TRIGGERS,
    prepare=prepare_update,
)
def update_stack(
    ctx: Context,
    stack_name: str,
    template_body: str | None = None,
    template_url: str | None = None,
    use_previous_template: bool = False,
    stack_policy_during_update_body: str | None = None,
    stack_policy_during_update_url: str | None = None,
    parameters: list[dict[str, Any]] | None = None,
    capabilities: list[str] | None = None,
    resource_types: list[str] | None = None,
    role_arn: str = "",
    rollback_configuration: dict[str, Any] | None = None,
    stack_policy_body: str | None = None,
    stack_policy_url: str | None = None,
    notification_arns: list[str] | None = None,
    tags: Tags | None = None,
    disable_rollback: bool = False,
    client_request_token: str = "",
    retain_except_on_create: bool = False,
    prepared: tuple[str, Submission, str, str] | None = None,
) -> Reply:
    stack = the_stack(ctx, stack_name)
    if starting.check_token(ctx, stack, client_request_token):
        return {"StackId": stack.arn(ctx.scope), "OperationId": stack.operation}
    starting.check_updatable(ctx, stack, disable_rollback)
    if prepared is None or prepared[0] != stack.id:
        # It was being worked on, or was another one, when the template was looked at.
        raise invalid(f"Stack:{stack.arn(ctx.scope)} is in UPDATE_IN_PROGRESS state and can not be updated.")
    _, submission, lasting, during = prepared
    check_types(submission, resource_types)
    starting.check_role(ctx, role_arn, stack.arn(ctx.scope))
    wanted = stack.tags if tags is None else checked_tags(tags)
    nothing = starting.unchanged(ctx, stack, submission, wanted)
    if nothing and not lasting and (notification_arns is None or notification_arns == stack.notification_arns):
        raise invalid("No updates are to be performed.")
    changed = starting.types_changed(ctx, stack, submission.types)
    if changed:
        raise invalid(starting.types_refusal(changed))
    stack.role_arn = role_arn or stack.role_arn
    stack.policy = lasting or stack.policy
    stack.disable_rollback = disable_rollback
    if notification_arns is not None:
        stack.notification_arns = notification_arns
    if capabilities is not None:
        stack.capabilities = capabilities
    options = Options(
        on_failure="DO_NOTHING" if disable_rollback else "ROLLBACK", retain_except_on_create=retain_except_on_create, policy=during
    )
    version = starting.keep_template(ctx, stack, submission, wanted)
    operation = starting.begin_update(
        ctx,
        stack,
        version,
        description=submission.description,
        options=options,
        token=client_request_token,
        trouble=submission.trouble,
    )
    return {"StackId": stack.arn(ctx.scope), "OperationId": operation.id}


# -- delete -----------------------------------------------------------------------------------------------------------


def to_delete(ctx: Context, stack_name: str, role_arn: str | None = None, **_: Any) -> list[Need]:
    return on_stack("DeleteStack")(ctx, stack_name=stack_name, role_arn=role_arn)


@writes(
    "cloudformation",
    "DeleteStack",
    authorize=to_delete,
    acts="StackName RetainResources[] RoleARN ClientRequestToken DeletionMode",
)
def delete_stack(
    ctx: Context,
    stack_name: str,
    retain_resources: list[str] | None = None,
    role_arn: str = "",
    client_request_token: str = "",
    deletion_mode: str = "STANDARD",
) -> Reply:
    stack = find(ctx, stack_name)
    if stack is None or stack.status == "DELETE_COMPLETE" or stack.status == "DELETE_IN_PROGRESS":
        return {}
    if stack.protected:
        raise invalid(f"Stack [{stack.name}] cannot be deleted while TerminationProtection is enabled")
    if in_progress(stack.status) and stack.status not in ("CREATE_IN_PROGRESS", "ROLLBACK_IN_PROGRESS", "REVIEW_IN_PROGRESS"):
        raise invalid(f"Stack [{stack.name}] cannot be deleted while in status {stack.status}")
    if retain_resources and stack.status != "DELETE_FAILED":
        raise invalid(
            f"Invalid operation on stack [{stack.arn(ctx.scope)}]. RetainResources is only applicable for stacks in DELETE_FAILED state"
        )
    unknown = [name for name in retain_resources or [] if ctx.tx.get(StackResource, f"{stack.id}/{name}") is None]
    if unknown:
        raise invalid(f"Resources to retain {starting_list(unknown)} do not exist in stack {stack.name}.")
    in_use = exports_in_use(ctx, stack.id)
    if in_use:
        if stack.status != "DELETE_FAILED":
            happening.of_stack(ctx, stack, None, "DELETE_FAILED", in_use)
            ctx.tx.put(stack)
        return {}
    starting.check_role(ctx, role_arn, stack.arn(ctx.scope))
    forget_all(ctx, stack.id)
    starting.supersede(ctx, stack)
    options = Options(
        retain=retain_resources or [],
        force=deletion_mode == "FORCE_DELETE_STACK",
        retain_except_on_create=stack.retain_except_on_create,
    )
    starting.begin(
        ctx,
        stack,
        "delete",
        "DELETE_IN_PROGRESS",
        phase="unmake",
        options=options,
        token=client_request_token,
        role_arn=role_arn or stack.role_arn,
    )
    return {}


@writes(
    "cloudformation",
    "UpdateTerminationProtection",
    authorize=on_stack("UpdateTerminationProtection"),
    acts="EnableTerminationProtection StackName",
)
def update_termination_protection(ctx: Context, enable_termination_protection: bool, stack_name: str) -> Reply:
    stack = the_stack(ctx, stack_name, "brackets")
    if stack.parent:
        raise invalid(f"Termination protection cannot be changed on a nested stack: {stack.name}. Change it on the root stack.")
    stack.protected = enable_termination_protection
    ctx.tx.put(stack)
    return {"StackId": stack.arn(ctx.scope)}

"""Nested stacks (AWS::CloudFormation::Stack).

Invariants: a child is a stack like any other, operated on by its parent; a child that was changed in an operation that turns back is turned back too,
one that was not is left alone. A creation that fails is not undone by the child: its parent deletes it, or leaves it, as its own options say. The
order of events and the words are AWS's, as published logs of its stacks show them.
"""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

from windtunnel.kernel.context import Context
from windtunnel.provision.registry import Created, Failed, Name, Properties, Resource, ResourceType, Wanted, resource_type
from windtunnel.services.cloudformation import happening, starting
from windtunnel.services.cloudformation.executing import nesting
from windtunnel.services.cloudformation.executing.outputs import exports_in_use
from windtunnel.services.cloudformation.families import as_parameter, planned_for
from windtunnel.services.cloudformation.forgetting import forget_all
from windtunnel.services.cloudformation.model import (
    ChangeSet,
    Operation,
    Options,
    Stack,
    StackResource,
    Template,
    in_progress,
    stack_arn,
    stack_of_arn,
)
from windtunnel.services.cloudformation.submitting import Submission, fetched, submit


class Prepared(NamedTuple):
    """A child's template, made ready for the name and id that the child has, or will have. planned: the change set that is executed with it."""

    id: str
    name: str
    submission: Submission
    planned: ChangeSet | None


def _id(arn: str) -> str:
    found = stack_of_arn(arn)
    return found[1] if found is not None else ""


def _parent(ctx: Context, arn: str) -> Stack:
    parent = ctx.tx.get(Stack, _id(arn))
    if parent is None:
        raise Failed(f"Stack {arn} does not exist", "")
    return parent


def _parameters(props: Properties) -> list[dict[str, Any]]:
    return [{"ParameterKey": name, "ParameterValue": as_parameter(value)} for name, value in (props.get("Parameters") or {}).items()]


def _tags(props: Properties) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in props.get("Tags") or []}


@resource_type("AWS::CloudFormation::Stack")
class NestedStack(ResourceType):
    name = Name("StackName", 128)
    slow: ClassVar[bool] = True
    always: ClassVar[bool] = True

    def prepare(self, ctx: Context, props: Properties, wanted: Wanted) -> Prepared:
        parent = _parent(ctx, wanted.stack_id)
        resource = ctx.tx.get(StackResource, f"{parent.id}/{wanted.logical_id}")
        child = ctx.tx.get(Stack, _id(resource.now.physical)) if resource is not None and resource.now is not None else None
        operation = ctx.tx.get(Operation, parent.operation)
        planned = planned_for(ctx, operation.change_set, wanted.logical_id) if operation is not None and operation.change_set else None
        if child is None and planned is not None:
            child = ctx.tx.get(Stack, planned.stack)
        name, child_id = (child.name, child.id) if child is not None else (wanted.name, ctx.ids.uuid())
        text = _planned_text(ctx, planned, child) if planned is not None else fetched(ctx, str(props["TemplateURL"]))
        submission = submit(
            ctx,
            text,
            _parameters(props),
            stack_name=name,
            stack_arn=stack_arn(ctx.scope, name, child_id),
            previous=None,
            notification_arns=props.get("NotificationARNs") or [],
            capabilities=parent.capabilities,
        )
        return Prepared(child_id, name, submission, planned)

    def create(self, ctx: Context, props: Properties, wanted: Wanted) -> Created:
        parent, prepared = _parent(ctx, wanted.stack_id), ctx.found["prepared"]
        child = Stack(
            sealed=parent.sealed,
            id=prepared.id,
            name=prepared.name,
            status="",
            created=ctx.now,
            description=prepared.submission.description,
            parameters=prepared.submission.given,
            tags=_tags(props),
            capabilities=parent.capabilities,
            role_arn=parent.role_arn,
            notification_arns=props.get("NotificationARNs") or [],
            timeout_minutes=props.get("TimeoutInMinutes"),
            disable_rollback=parent.disable_rollback,
            parent=f"{parent.name}/{parent.id}",
            root=parent.root or f"{parent.name}/{parent.id}",
        )
        reviewed = ctx.tx.get(Stack, child.id)
        if reviewed is not None:
            child.created, child.next_event, child.next_version = reviewed.created, reviewed.next_event, reviewed.next_version
        version = starting.keep_template(ctx, child, prepared.submission, child.tags)
        options = Options(on_failure="DO_NOTHING", timeout_minutes=props.get("TimeoutInMinutes"))
        trouble = prepared.submission.trouble
        change_set = _executed(ctx, child, prepared.planned)
        starting.begin_create(ctx, child, version, options=options, token=parent.token, trouble=trouble, nested=True, change_set=change_set)
        return Created(id=child.arn(ctx.scope), ready=False)

    def settled(self, ctx: Context, resource: Resource) -> bool | Created:
        child = ctx.tx.get(Stack, _id(resource.id))
        if child is None:
            raise Failed(f"Embedded stack {resource.id} does not exist", "")
        operation = nesting.under_way(ctx, child)
        parent = _parent(ctx, resource.stack_id)
        if parent.status.endswith("CLEANUP_IN_PROGRESS"):
            arrived = not in_progress(child.status)
        elif parent.status.startswith("UPDATE_ROLLBACK"):
            arrived = operation.phase == "held-restored" if operation is not None else not in_progress(child.status)
            if child.status in ("UPDATE_ROLLBACK_FAILED", "DELETE_FAILED"):
                raise Failed(_not_updated(resource.id, child.status, child.reason), "")
        else:
            arrived = self._made(resource.id, child, operation)
        if not arrived:
            return False
        return Created(id=resource.id, attributes={f"Outputs.{output['OutputKey']}": output["OutputValue"] for output in child.outputs})

    def _made(self, arn: str, child: Stack, operation: Operation | None) -> bool:
        """Whether the child is what the parent wants it to be. Raises Failed as soon as it will not become that."""
        if operation is not None and operation.turned:
            raise Failed(_not_updated(arn, "UPDATE_ROLLBACK_IN_PROGRESS", operation.turned), "")
        if child.status in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
            return True
        if in_progress(child.status):
            return operation is not None and operation.phase == "held"
        if child.status in ("CREATE_FAILED", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED"):
            reason = f": {child.reason}" if child.reason else f". Currently in {child.status}"
            raise Failed(f"Embedded stack {arn} was not successfully created{reason}", "")
        raise Failed(_not_updated(arn, child.status, child.reason), "")

    def read(self, ctx: Context, resource: Resource) -> Properties | None:
        child = ctx.tx.get(Stack, _id(resource.id))
        return None if child is None or child.status == "DELETE_COMPLETE" else dict(resource.properties)

    def update(self, ctx: Context, resource: Resource, new: Properties, wanted: Wanted) -> Created | None:
        parent, child = _parent(ctx, wanted.stack_id), ctx.tx.get(Stack, _id(resource.id))
        if child is None:
            raise Failed(f"Embedded stack {resource.id} does not exist", "")
        prepared = ctx.found.get("prepared")
        if prepared is None:
            return self._turn_back(ctx, resource, parent, child)
        tags = _tags(new)
        held = nesting.held(ctx, child)
        waits = held is not None and held.phase == "held"
        if starting.unchanged(ctx, child, prepared.submission, tags, held.made if held is not None and waits else None):
            return None
        if waits:
            # The parent failed, was left as it was, and is updated again before it ever cleaned up.
            starting.supersede(ctx, child)
        else:
            starting.check_updatable(ctx, child, parent.disable_rollback)
        changed = starting.types_changed(ctx, child, prepared.submission.types)
        if changed:
            raise Failed(starting.types_refusal(changed), "")
        child.sealed = bool(child.sealed or parent.sealed)
        child.capabilities, child.disable_rollback = parent.capabilities, parent.disable_rollback
        version = starting.keep_template(ctx, child, prepared.submission, tags)
        starting.begin_update(
            ctx,
            child,
            version,
            description=prepared.submission.description,
            options=Options(on_failure="DO_NOTHING" if parent.disable_rollback else "ROLLBACK"),
            token=parent.token,
            trouble=prepared.submission.trouble,
            nested=True,
            change_set=_executed(ctx, child, prepared.planned),
        )
        return Created(id=resource.id, attributes=resource.attributes, ready=False)

    def _turn_back(self, ctx: Context, resource: Resource, parent: Stack, child: Stack) -> Created | None:
        """The parent turns back. A child that turned back by itself, or that this operation never changed, is as it was."""
        operation = ctx.tx.get(Operation, parent.operation)
        if nesting.turn_back(ctx, child, operation.options.skip if operation is not None else [], parent.token):
            return None
        return Created(id=resource.id, attributes=resource.attributes, ready=False)

    def delete(self, ctx: Context, resource: Resource) -> bool | None:
        child = ctx.tx.get(Stack, _id(resource.id))
        if child is None or child.status == "DELETE_COMPLETE":
            return True
        if child.status == "DELETE_IN_PROGRESS":
            return False
        in_use = exports_in_use(ctx, child.id)
        if in_use:
            happening.of_stack(ctx, child, None, "DELETE_FAILED", in_use)
            ctx.tx.put(child)
            return False
        forget_all(ctx, child.id)
        starting.supersede(ctx, child)
        parent = _parent(ctx, resource.stack_id)
        operation = ctx.tx.get(Operation, parent.operation)
        options = Options(retain_except_on_create=parent.retain_except_on_create, force=operation is not None and operation.options.force)
        starting.begin(ctx, child, "delete", "DELETE_IN_PROGRESS", phase="unmake", options=options, token=parent.token, nested=True)
        return False

    def gone(self, ctx: Context, resource: Resource) -> bool:
        child = ctx.tx.get(Stack, _id(resource.id))
        if child is None or child.status == "DELETE_COMPLETE":
            return True
        if child.status == "DELETE_FAILED":
            raise Failed(f"Embedded stack {resource.id} was not successfully deleted: {child.reason}", "")
        return False


def _planned_text(ctx: Context, planned: ChangeSet, child: Stack | None) -> str:
    """The template as it was reviewed, whatever is at its address now."""
    if planned.status != "FAILED":
        version = planned.version
    else:
        # Nothing was to change in it, or its parent could not be executed.
        version = child.made if child is not None else 0
    template = ctx.tx.get(Template, f"{planned.stack}/{version:06d}")
    if template is None or planned.execution == "OBSOLETE":
        raise Failed(f"ChangeSet [{planned.arn(ctx.scope)}] cannot be executed in its current execution status of [OBSOLETE]", "")
    return template.text


def _executed(ctx: Context, child: Stack, planned: ChangeSet | None) -> str:
    """The child's own change set is being executed: its id."""
    planned = ctx.tx.get(ChangeSet, planned.key()) if planned is not None else None
    if planned is None:
        return ""
    if planned.version:
        ctx.tx.delete(Template, f"{child.id}/{planned.version:06d}")
    planned.execution, planned.version, planned.reason = "EXECUTE_COMPLETE", child.next_version - 1, ""
    ctx.tx.put(planned)
    child.change_set = planned.arn(ctx.scope)
    forget_all(ctx, child.id, but=planned.id)
    return planned.id


def _not_updated(arn: str, status: str, reason: str) -> str:
    return f"Embedded stack {arn} was not successfully updated. Currently in {status} with reason: {reason}"

"""Nested stacks (AWS::CloudFormation::Stack).

Invariants: a child is a stack like any other, operated on by its parent; a child that was changed in an operation that turns back is turned back too,
one that was not is left alone.
"""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

from windtunnel.kernel.context import Context
from windtunnel.provision.registry import Created, Failed, Name, Properties, Resource, ResourceType, Wanted, resource_type
from windtunnel.services.cloudformation import starting
from windtunnel.services.cloudformation.model import Options, Stack, StackResource, in_progress, stack_arn, stack_of_arn
from windtunnel.services.cloudformation.submitting import Submission, fetched, submit


class Prepared(NamedTuple):
    """A child's template, made ready for the name and id that the child has, or will have."""

    id: str
    name: str
    submission: Submission


def _id(arn: str) -> str:
    found = stack_of_arn(arn)
    return found[1] if found is not None else ""


def _parent(ctx: Context, arn: str) -> Stack:
    parent = ctx.tx.get(Stack, _id(arn))
    if parent is None:
        raise Failed(f"Stack {arn} does not exist", "")
    return parent


def _parameters(props: Properties) -> list[dict[str, Any]]:
    return [
        {"ParameterKey": name, "ParameterValue": ",".join(map(str, value)) if isinstance(value, list) else str(value)}
        for name, value in (props.get("Parameters") or {}).items()
    ]


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
        name, child_id = (child.name, child.id) if child is not None else (wanted.name, ctx.ids.uuid())
        text = fetched(ctx, str(props["TemplateURL"]))
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
        return Prepared(child_id, name, submission)

    def create(self, ctx: Context, props: Properties, wanted: Wanted) -> Created:
        parent, prepared = _parent(ctx, wanted.stack_id), ctx.found["prepared"]
        child = Stack(
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
        version = starting.keep_template(ctx, child, prepared.submission, child.tags)
        options = Options(on_failure="DO_NOTHING" if parent.disable_rollback else "ROLLBACK", timeout_minutes=props.get("TimeoutInMinutes"))
        trouble = prepared.submission.trouble
        starting.begin_create(ctx, child, version, options=options, token=parent.operation, trouble=trouble)
        return Created(id=child.arn(ctx.scope), ready=False)

    def settled(self, ctx: Context, resource: Resource) -> bool | Created:
        child = ctx.tx.get(Stack, _id(resource.id))
        if child is None:
            raise Failed(f"Embedded stack {resource.id} does not exist", "")
        if in_progress(child.status):
            return False
        if child.status in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
            outputs = {f"Outputs.{output['OutputKey']}": output["OutputValue"] for output in child.outputs}
            return Created(id=resource.id, attributes=outputs)
        if child.status == "UPDATE_ROLLBACK_COMPLETE" and self._turned_back(ctx, resource):
            outputs = {f"Outputs.{output['OutputKey']}": output["OutputValue"] for output in child.outputs}
            return Created(id=resource.id, attributes=outputs)
        done = "created" if child.status in ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED") else "updated"
        reason = f": {child.reason}" if child.reason else f". Currently in {child.status}"
        raise Failed(f"Embedded stack {resource.id} was not successfully {done}{reason}", "")

    def _turned_back(self, ctx: Context, resource: Resource) -> bool:
        """Whether the parent itself is turning back: then that is what was wanted."""
        return _parent(ctx, resource.stack_id).status.startswith("UPDATE_ROLLBACK")

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
        if starting.unchanged(ctx, child, prepared.submission, tags):
            return None
        starting.check_updatable(ctx, child, parent.disable_rollback)
        child.capabilities, child.disable_rollback = parent.capabilities, parent.disable_rollback
        version = starting.keep_template(ctx, child, prepared.submission, tags)
        starting.begin_update(
            ctx,
            child,
            version,
            description=prepared.submission.description,
            options=Options(on_failure="DO_NOTHING" if parent.disable_rollback else "ROLLBACK"),
            token=parent.operation,
            trouble=prepared.submission.trouble,
        )
        return Created(id=resource.id, attributes=resource.attributes, ready=False)

    def _turn_back(self, ctx: Context, resource: Resource, parent: Stack, child: Stack) -> Created | None:
        """The parent turns back. A child that turned back by itself, or that this operation never changed, is as it was."""
        if child.status != "UPDATE_COMPLETE" or child.token != parent.operation or not child.previous:
            return None
        options = Options(on_failure="ROLLBACK")
        starting.begin_update(
            ctx, child, child.previous, description=child.description, options=options, token=parent.operation, trouble=""
        )
        return Created(id=resource.id, attributes=resource.attributes, ready=False)

    def delete(self, ctx: Context, resource: Resource) -> bool | None:
        child = ctx.tx.get(Stack, _id(resource.id))
        if child is None or child.status == "DELETE_COMPLETE":
            return True
        if child.status != "DELETE_IN_PROGRESS":
            starting.supersede(ctx, child)
            parent = _parent(ctx, resource.stack_id)
            options = Options(retain_except_on_create=parent.retain_except_on_create)
            starting.begin(ctx, child, "delete", "DELETE_IN_PROGRESS", phase="unmake", options=options, token=parent.operation)
        return False

    def gone(self, ctx: Context, resource: Resource) -> bool:
        child = ctx.tx.get(Stack, _id(resource.id))
        if child is None or child.status == "DELETE_COMPLETE":
            return True
        if child.status == "DELETE_FAILED":
            raise Failed(f"Embedded stack {resource.id} was not successfully deleted: {child.reason}", "")
        return False

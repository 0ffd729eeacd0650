"""The world that a change set's plan is made against: what the stack's records say of it."""

from __future__ import annotations

from typing import Any

import msgspec

from windtunnel.kernel.context import Context
from windtunnel.provision import schemas
from windtunnel.services.cloudformation.executing.handling import attribute, handler_of, merged, referred
from windtunnel.services.cloudformation.language.environment import Environment
from windtunnel.services.cloudformation.language.scope import UNKNOWN
from windtunnel.services.cloudformation.model import Export, Stack, StackResource, State, Template
from windtunnel.services.cloudformation.planning import Side, World, preview
from windtunnel.services.cloudformation.submitting import Submission


def previewed(ctx: Context, stack: Stack | None, submission: Submission, tags: dict[str, str]) -> list[dict[str, Any]]:
    """What the submission would change of the stack as it is (in a thread, on a snapshot)."""
    resources = {found.logical: found for found in ctx.tx.scan(StackResource, prefix=f"{stack.id}/")} if stack is not None else {}
    exists: dict[str, State] = {}
    for logical, resource in resources.items():
        if resource.now is not None:
            resource.now.type = resource.type
            exists[logical] = resource.now
    new = Side(
        processed=submission.template,
        parameters=submission.parameters,
        conditions=submission.conditions,
        needs=submission.needs,
        tags=tags,
    )

    def imported(name: str) -> Any:
        export = ctx.tx.get(Export, name)
        return UNKNOWN if export is None else export.value

    def replaces(type_name: str, old: dict[str, Any], after: dict[str, Any], changed: frozenset[str]) -> bool:
        return handler_of(type_name).replaces(old, after, changed)

    world = World(
        exists=exists,
        env=Environment(
            account=ctx.scope.account,
            region=ctx.scope.region,
            stack_name=stack.name if stack is not None else "",
            stack_id=stack.arn(ctx.scope) if stack is not None else "",
            partition=ctx.scope.partition,
            notification_arns=stack.notification_arns if stack is not None else [],
            zones=submission.zones,
        ),
        schema=schemas.schema,
        merged=lambda name, properties, wanted: merged(name, properties, dict(wanted)),
        ref=lambda logical: referred(resources[logical]),
        attribute=lambda logical, name: attribute(resources[logical], name),
        imports=imported,
        replaces=replaces,
    )
    return preview(_old_side(ctx, stack), new, world)


def _old_side(ctx: Context, stack: Stack | None) -> Side | None:
    template = ctx.tx.get(Template, f"{stack.id}/{stack.made:06d}") if stack is not None else None
    if template is None or stack is None:
        return None
    return Side(
        processed=msgspec.json.decode(template.processed),
        parameters=template.parameters,
        conditions=template.conditions,
        needs=template.needs,
        tags=stack.tags,
    )

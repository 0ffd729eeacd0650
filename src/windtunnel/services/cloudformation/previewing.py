"""The world that a change set's plan is made against: what the stack's records say of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import structs

from windtunnel.kernel.context import Context
from windtunnel.kernel.typed import convert
from windtunnel.provision import schemas
from windtunnel.provision.registry import Failed, ResourceType
from windtunnel.services.cloudformation.apart import apart
from windtunnel.services.cloudformation.executing.handling import attribute, handler_of, merged, referred
from windtunnel.services.cloudformation.language.environment import Environment
from windtunnel.services.cloudformation.language.scope import UNKNOWN
from windtunnel.services.cloudformation.model import Export, Stack, StackResource, State, Template
from windtunnel.services.cloudformation.planning import Side, World, preview
from windtunnel.services.cloudformation.submitting import Submission


def previewed(
    ctx: Context,
    stack: Stack | None,
    submission: Submission,
    tags: dict[str, str],
    *,
    calm: Sequence[str] = (),
    unknown: Sequence[str] = (),
) -> list[dict[str, Any]]:
    """What the submission would change of the stack as it is (in a thread, on a snapshot; in a helper process when it is much).

    calm: nested stacks in which nothing changes. unknown: parameters whose values something else must be made for.
    """
    exists: dict[str, State] = {}
    for resource in ctx.tx.scan(StackResource, prefix=f"{stack.id}/") if stack is not None else ():
        if resource.now is not None:
            resource.now.type = resource.type
            exists[resource.logical] = resource.now
    seen = Seen(
        old=_old_side(ctx, stack),
        new=Side(
            processed=submission.template,
            parameters=submission.parameters,
            conditions=submission.conditions,
            needs=submission.needs,
            tags=tags,
        ),
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
        imports={export.name: export.value for export in ctx.tx.scan(Export)} if "Fn::ImportValue" in submission.processed else {},
        calm=list(calm),
        unknown=list(unknown),
        deciding=[name for name in {state.type for state in exists.values()} if _decides(name)],
    )
    if len(exists) + len(submission.needs) <= FEW:
        return planned(seen)
    found: list[dict[str, Any]] = apart(ctx, "windtunnel.services.cloudformation.previewing:planned_apart", seen)
    return found


FEW = 60
"""Resources up to which a plan is made here: a few milliseconds."""


class Seen(msgspec.Struct, kw_only=True):
    """Everything that a plan is made of, as plain data. deciding: the types whose handlers say by themselves what needs a replacement."""

    old: Side | None
    new: Side
    exists: dict[str, State]
    env: Environment
    imports: dict[str, str]
    deciding: list[str]
    calm: list[str] = []
    unknown: list[str] = []


def _decides(type_name: str) -> bool:
    try:
        return type(handler_of(type_name)).replaces is not ResourceType.replaces
    except Failed:
        return False


def planned_apart(seen: dict[str, Any]) -> list[dict[str, Any]]:
    return planned(convert(seen, Seen))


def planned(seen: Seen) -> list[dict[str, Any]]:
    """Pure but for the types' own decisions, which are."""
    resources = {
        logical: StackResource(stack="", logical=logical, type=state.type, status="", at=0.0, now=state)
        for logical, state in seen.exists.items()
    }

    def replaces(type_name: str, old: dict[str, Any], after: dict[str, Any], changed: frozenset[str]) -> bool:
        return type_name in seen.deciding and handler_of(type_name).replaces(old, after, changed)

    new = seen.new
    if seen.unknown:
        new = structs.replace(new, parameters={**new.parameters, **dict.fromkeys(seen.unknown, UNKNOWN)})
    world = World(
        exists=seen.exists,
        env=seen.env,
        schema=schemas.schema,
        merged=lambda name, properties, wanted: merged(name, properties, dict(wanted)),
        ref=lambda logical: referred(resources[logical]),
        attribute=lambda logical, name: attribute(resources[logical], name),
        imports=lambda name: seen.imports.get(name, UNKNOWN),
        calm=seen.calm,
        replaces=replaces,
    )
    return preview(seen.old, new, world)


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

"""Change sets of whole families of stacks (IncludeNestedStacks): a plan for every nested stack, made as its own change set would be.

Invariants: nothing is written while it is planned; a nested stack in which nothing changes is not named by its parent, and what depends on its outputs
knows their values. What a nested stack is given that is known only after something was made is told as such; when its template cannot be read
without it, the stack is named without a plan, and looked at when its turn comes.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from windtunnel.kernel.context import Context
from windtunnel.kernel.errors import AwsError
from windtunnel.provision.names import physical_name
from windtunnel.provision.registry import Name
from windtunnel.services.cloudformation import happening, starting
from windtunnel.services.cloudformation.executing.handling import SERVICE, merged
from windtunnel.services.cloudformation.forgetting import within
from windtunnel.services.cloudformation.language.scalars import text_of
from windtunnel.services.cloudformation.model import PRESERVED, STACK_TYPE, UPDATABLE, ChangeSet, Stack, Value, stack_arn, stack_of_arn
from windtunnel.services.cloudformation.planning import AFTER_APPLY
from windtunnel.services.cloudformation.previewing import previewed
from windtunnel.services.cloudformation.submitting import Submission, fetched, submit
from windtunnel.services.cloudformation.veiling import veiled

NOTHING = "The submitted information didn't contain changes. Submit different information to create a change set."
FROM_ROOT = "Executable from root change set"
LIMIT = 100
STACK_NAME, CHANGE_SET_NAME = Name("StackName", 128), Name("ChangeSetName", 128)
Changes = list[dict[str, Any]]


class Family(NamedTuple):
    """A stack that is planned. stack: None as long as there is none; role: as whom its operations act, "" for whoever asks."""

    stack: Stack | None
    id: str
    name: str
    capabilities: list[str]
    role_arn: str


class Plan(NamedTuple):
    """What would become of a nested stack. refused: why it cannot be planned at all; calm: nothing changes in it."""

    family: Family
    submission: Submission | None
    tags: dict[str, str]
    changes: Changes
    plans: dict[str, Plan]
    notification_arns: list[str]
    refused: str = ""
    calm: bool = False


def look_into(
    ctx: Context, family: Family, submission: Submission, tags: dict[str, str], unknown: list[str] | None = None
) -> tuple[Changes, dict[str, Plan]]:
    """(changes of the stack, plans of those nested in it by logical id); in a thread, on a snapshot.

    Once a nested stack turns out calm its outputs are known, so those that use them are planned again.
    """
    calm: dict[str, Plan] = {}
    known: dict[tuple[str, str], Plan | None] = {}
    while True:
        changes = previewed(ctx, family.stack, submission, tags, calm=list(calm), unknown=unknown or [])
        plans: dict[str, Plan] = {}
        for change in changes:
            if change["ResourceType"] != STACK_TYPE or change["Action"] == "Remove":
                continue
            key = change["LogicalResourceId"], change["AfterContext"]
            if key not in known:
                known[key] = _planned(ctx, family, tags, change)
            plan = known[key]
            if plan is not None:
                plans[key[0]] = plan
        fresh = {logical: plan for logical, plan in plans.items() if plan.calm and logical not in calm}
        if not fresh:
            # Calm ones have a plan too: that nothing is to happen to them, whatever comes to stand at their templates' addresses.
            return changes, calm | plans
        calm |= fresh


def _planned(ctx: Context, parent: Family, tags: dict[str, str], change: dict[str, Any]) -> Plan | None:
    """None: what it would be is known only after something else was made."""
    written = msgspec.json.decode(change["AfterContext"]).get("Properties") or {}
    props = merged(STACK_TYPE, written, tags)
    url, given = str(props.get("TemplateURL", "")), dict(props.get("Parameters") or {})
    if AFTER_APPLY in url:
        return None
    unknown = [name for name, value in given.items() if AFTER_APPLY in str(value)]
    child = _existing(ctx, change)
    if child is not None:
        family = Family(child, child.id, child.name, parent.capabilities, parent.role_arn)
        # What is not known yet stands in as it was.
        given |= {name: child.parameters[name].value for name in unknown if name in child.parameters}
    else:
        name = physical_name(STACK_NAME, parent.name, change["LogicalResourceId"], ctx.ids.upper(12))
        family = Family(None, ctx.ids.uuid(), name, parent.capabilities, parent.role_arn)
    topics, own = props.get("NotificationARNs") or [], {tag["Key"]: tag["Value"] for tag in props.get("Tags") or []}
    refused = Plan(family, None, own, [], {}, topics)
    if child is not None and child.status not in UPDATABLE | PRESERVED:
        return refused._replace(refused=f"Stack:{child.arn(ctx.scope)} is in {child.status} state and can not be updated.")
    try:
        submission = submit(
            ctx,
            fetched(_acting(ctx, parent), url),
            [{"ParameterKey": name, "ParameterValue": as_parameter(value)} for name, value in given.items()],
            stack_name=family.name,
            stack_arn=stack_arn(ctx.scope, family.name, family.id),
            previous=None,
            notification_arns=topics,
            capabilities=parent.capabilities,
        )
    except AwsError as error:
        return None if unknown else refused._replace(refused=error.message)
    if submission.trouble and unknown:
        return None
    if child is not None:
        types = starting.types_changed(ctx, child, submission.types)
        if types:
            return refused._replace(refused=starting.types_refusal(types))
    changes, plans = look_into(ctx, family, submission, own, unknown)
    changes = veiled(ctx, child, submission, changes)
    later = {name: Value(value=AFTER_APPLY) for name in unknown}
    submission = submission._replace(given={**submission.given, **later})
    same = child is not None and not unknown and starting.unchanged(ctx, child, submission, own, within=False)
    return Plan(family, submission, own, changes, plans, topics, calm=same and not changes)


def _existing(ctx: Context, change: dict[str, Any]) -> Stack | None:
    found = stack_of_arn(change.get("PhysicalResourceId", ""))
    return ctx.tx.get(Stack, found[1]) if found is not None else None


def _acting(ctx: Context, family: Family) -> Context:
    """As whom the nested template will be read when its turn comes."""
    if not family.role_arn:
        return ctx
    return ctx.assuming(family.role_arn, "AWSCloudFormation", SERVICE, stack_arn(ctx.scope, family.name, family.id))


def as_parameter(value: Any) -> str:
    """A nested stack's parameter is a text, whatever the parent's template has there."""
    return ",".join(map(text_of, value)) if isinstance(value, list) else text_of(value)


# -- keeping it -------------------------------------------------------------------------------------------------------


def keep(ctx: Context, owner: Stack, holder: ChangeSet, plans: dict[str, Plan]) -> str:
    """Write the nested change sets, and name them in their parent's changes. Why the parent's cannot be executed, "" when it can."""
    failures = []
    by_logical = {change["LogicalResourceId"]: change for change in holder.changes}
    for logical, plan in plans.items():
        if plan.refused or plan.submission is None:
            failures.append(plan.refused)
            continue
        child = ctx.tx.get(Stack, plan.family.id) or _reviewed(ctx, owner, plan, bool(holder.sealed or plan.submission.secret))
        if ctx.tx.count(ChangeSet, prefix=f"{child.id}/") >= LIMIT:
            failures.append(f"ChangeSet limit exceeded for stack {child.arn(ctx.scope)}")
            continue
        found = _kept(ctx, child, holder, logical, plan)
        if logical in by_logical:
            by_logical[logical]["ChangeSetId"] = found.arn(ctx.scope)
        if found.status == "FAILED" and not plan.calm:
            failures.append(f"Nested change set {found.arn(ctx.scope)} was not successfully created: Currently in FAILED.")
    return failures[0] if failures else ""


def _kept(ctx: Context, child: Stack, holder: ChangeSet, logical: str, plan: Plan) -> ChangeSet:
    assert plan.submission is not None
    root = holder.root or f"{holder.name}/{holder.id}"
    child.sealed = bool(child.sealed or holder.sealed or plan.submission.secret)
    name = physical_name(CHANGE_SET_NAME, root.split("/")[0], logical, ctx.ids.upper(12))
    found = ChangeSet(
        sealed=child.sealed,
        stack=child.id,
        name=name,
        id=ctx.ids.uuid(),
        created=ctx.now,
        status="CREATE_COMPLETE",
        execution="UNAVAILABLE",
        reason=FROM_ROOT,
        description=holder.description,
        first=plan.family.stack is None,
        changes=plan.changes,
        trouble=plan.submission.trouble,
        about=plan.submission.description,
        role_arn=holder.role_arn,
        tags=plan.tags,
        given=plan.submission.given,
        capabilities=holder.capabilities,
        notification_arns=plan.notification_arns,
        nested=True,
        imports=holder.imports,
        parent=f"{holder.name}/{holder.id}",
        root=root,
        logical=logical,
    )
    failure = keep(ctx, child, found, plan.plans)
    if plan.calm:
        failure = NOTHING
    elif plan.submission.trouble and not plan.submission.types:
        failure = plan.submission.trouble
    if failure:
        found.status, found.reason, found.changes = "FAILED", failure, []
    else:
        found.version = starting.keep_template(ctx, child, plan.submission, plan.tags)
    ctx.tx.put(child)
    ctx.tx.put(found)
    return found


def _reviewed(ctx: Context, owner: Stack, plan: Plan, sealed: bool) -> Stack:
    """A nested stack that is there only to be looked at."""
    assert plan.submission is not None
    child = Stack(
        sealed=sealed,
        id=plan.family.id,
        name=plan.family.name,
        status="",
        created=ctx.now,
        description=plan.submission.description,
        parameters=plan.submission.given,
        tags=plan.tags,
        parent=f"{owner.name}/{owner.id}",
        root=owner.root or f"{owner.name}/{owner.id}",
    )
    happening.of_stack(ctx, child, None, "REVIEW_IN_PROGRESS", starting.INITIATED)
    return child


def planned_for(ctx: Context, change_set_id: str, logical: str) -> ChangeSet | None:
    """What was planned for a nested stack in the change set that is executed."""
    return next((found for found in within(ctx, change_set_id) if found.logical == logical), None)

"""What `windtunnel explain STACK` asks: why the last operation on a stack failed, down to the resource, the denied action or bad property, and the line.

Invariant: the first cause is the earliest failure of that operation which is not itself the consequence of another (a cancelled resource), and of a
nested stack it is the nested stack's. Where no resource failed, it is what turned the stack itself back: an output, a parameter, a time that was over.
"""

from __future__ import annotations

import re
from typing import Any

from windtunnel.kernel.context import Context, Reply
from windtunnel.kernel.registry import control
from windtunnel.services.cloudformation.language.lines import line_of
from windtunnel.services.cloudformation.lookup import find
from windtunnel.services.cloudformation.model import STACK_TYPE, Stack, StackEvent, Template
from windtunnel.services.cloudformation.starting import INITIATED

CONSEQUENCES = ("Resource creation cancelled", "Resource update cancelled")
DENIED = re.compile(r"not authorized to perform: (?P<action>[\w-]+:\w+)(?: on resource: (?P<resource>[^\s\"]+))?")
AT = re.compile(r"^(?P<path>#[^:\n]*): ", re.MULTILINE)
KEYS = re.compile(r"(?:extraneous|required) key \[(?P<key>[^\]]+)\]")
OLD_PROPERTY = re.compile(r"propert(?:y|ies)(?: in)? \{(?P<path>/[^}]*)\}(?:: \[(?P<key>\w+))?")
PARAMETER = re.compile(r"for parameter name (?P<name>\w+)")
EXPORT = re.compile(r"^Export (?:with name )?(?P<name>\S+) ")
TURNED = ("ROLLBACK_IN_PROGRESS", "UPDATE_ROLLBACK_IN_PROGRESS", "DELETE_IN_PROGRESS")
DEEPEST = 8


@control("explain.stack", "read")
def explain_stack(ctx: Context, what: str) -> Reply:
    """{"stack": None} when there is no such stack."""
    stack = find(ctx, what) or last_deleted(ctx, what)
    if stack is None:
        return {"stack": None}
    return {"stack": told(ctx, stack)}


def last_deleted(ctx: Context, name: str) -> Stack | None:
    """A stack that failed may have deleted itself: the last that had the name."""
    found = [stack for stack in ctx.tx.scan(Stack) if stack.name == name]
    return max(found, key=lambda stack: stack.created, default=None)


def told(ctx: Context, stack: Stack, depth: int = 0, until: float | None = None) -> dict[str, Any]:
    """What the last operation came to, or the last before a moment (of a nested stack: when its parent gave it up). cause: None when nothing failed."""
    shown: dict[str, Any] = {"name": stack.name, "id": stack.arn(ctx.scope), "status": stack.status, "reason": stack.reason, "cause": None}
    failure = first_cause(last_operation(ctx, stack, until), stack.name)
    if failure is None:
        return shown
    if failure.type == STACK_TYPE and failure.logical != stack.name and depth < DEEPEST:
        child = find(ctx, failure.physical)
        if child is not None:
            below = told(ctx, child, depth + 1, failure.at)
            if below["cause"] is not None:
                return shown | {"cause": below["cause"], "in": below["name"]}
    return shown | {"cause": cause(ctx, stack, failure)}


def last_operation(ctx: Context, stack: Stack, until: float | None = None) -> list[StackEvent]:
    """Its events, oldest first; a rollback that was asked for later belongs to what it rolls back."""
    found: list[StackEvent] = []
    began = False
    for event in ctx.tx.scan_back(StackEvent, prefix=f"{stack.id}/", limit=5000):
        if until is not None and event.at > until:
            continue
        if began and event.operation != found[-1].operation:
            break
        found.append(event)
        own = event.type == STACK_TYPE and event.logical == stack.name
        began = own and event.status in ("CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "DELETE_IN_PROGRESS")
    return found[::-1]


def first_cause(events: list[StackEvent], name: str) -> StackEvent | None:
    """name: the stack's."""
    for event in events:
        own = event.type == STACK_TYPE and event.logical == name
        if event.status.endswith("_FAILED") and event.reason not in CONSEQUENCES:
            return event
        if own and event.status in TURNED and event.reason not in ("", INITIATED):
            return event
    return None


def cause(ctx: Context, stack: Stack, failure: StackEvent) -> dict[str, Any]:
    """The failure in parts: those that its words name."""
    shown: dict[str, Any] = {
        "at": failure.at,
        "resource": failure.logical,
        "type": failure.type,
        "status": failure.status,
        "reason": failure.reason,
    }
    denied = DENIED.search(failure.reason)
    if denied is not None:
        shown["denied"] = {"action": denied["action"], "resource": denied["resource"] or "*"}
    path = property_path(failure.reason)
    if path:
        shown["property"] = "/".join(path)
    text = _text(ctx, stack)
    line = _line(text, stack, failure, path) if text else None
    if line is not None:
        shown["line"] = line
        shown["says"] = text.splitlines()[line - 1].strip()[:200]
    return shown


def _line(text: str, stack: Stack, failure: StackEvent, path: tuple[str, ...]) -> int | None:
    if failure.type != STACK_TYPE or failure.logical != stack.name:
        within = ("Properties", *path) if path or AT.search(failure.reason) else ()
        return line_of(text, ("Resources", failure.logical, *within))
    parameter, export = PARAMETER.search(failure.reason), EXPORT.search(failure.reason)
    if parameter is not None:
        return line_of(text, ("Parameters", parameter["name"]))
    if export is None:
        return None
    return next((number for number, line in enumerate(text.splitlines(), 1) if export["name"] in line), line_of(text, ("Outputs",)))


def property_path(reason: str) -> tuple[str, ...]:
    """The property that a reason names, `("Tags", "0", "Key")`; empty when it names none. Pure."""
    found, key = AT.search(reason), KEYS.search(reason)
    if found is not None:
        steps = [step for step in found["path"].removeprefix("#").split("/") if step]
        return (*steps, key["key"]) if key is not None and "extraneous" in reason else tuple(steps)
    old = OLD_PROPERTY.search(reason)
    if old is None:
        return ()
    steps = [step for step in old["path"].split("/") if step]
    return (*steps, old["key"]) if old["key"] else tuple(steps)


def _text(ctx: Context, stack: Stack) -> str:
    """The template that failed: the newest that is kept."""
    kept = ctx.tx.scan_back(Template, prefix=f"{stack.id}/", limit=1)
    return kept[0].text if kept else ""

"""A stack's outputs and exports, evaluated when all its resources are there.

Invariant: an export's name is one stack's in an account and region, and does not change or go while another stack imports it.
"""

from __future__ import annotations

import json
from typing import Any

from windtunnel.kernel.context import Context
from windtunnel.services.cloudformation.executing.live import Live
from windtunnel.services.cloudformation.language.errors import TemplateError
from windtunnel.services.cloudformation.language.resolve import resolve
from windtunnel.services.cloudformation.model import Export, Import, Stack


def write_outputs(ctx: Context, live: Live) -> None:
    """Evaluate, and export. Raises TemplateError, by which the operation fails."""
    scope = live.scope(ctx)
    outputs: list[dict[str, str]] = []
    exports: dict[str, str] = {}
    for name, spec in (live.processed.get("Outputs") or {}).items():
        condition = spec.get("Condition")
        if condition is not None and live.template is not None and not live.template.conditions.get(condition):
            continue
        output = {"OutputKey": name, "OutputValue": as_text(resolve(spec["Value"], scope), name)}
        if "Description" in spec:
            output["Description"] = str(spec["Description"])
        if "Export" in spec:
            exported = as_text(resolve(spec["Export"]["Name"], scope), name)
            output["ExportName"] = exported
            exports[exported] = output["OutputValue"]
        outputs.append(output)
    _write_exports(ctx, live, exports)
    live.stack.outputs = outputs


def as_text(value: Any, name: str) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return json.dumps(value)
    raise TemplateError(f"Template format error: The Value field of every Outputs member must evaluate to a String. (Output {name})")


def _write_exports(ctx: Context, live: Live, wanted: dict[str, str]) -> None:
    arn, had = live.arn, {export.name: export for export in ctx.tx.find(Export, "stack", live.stack.id)}
    for name, export in had.items():
        if wanted.get(name) != export.value:
            users = importers(ctx, name)
            if users:
                what = "updated" if name in wanted else "deleted"
                raise TemplateError(f"Export {name} cannot be {what} as it is in use by {' and '.join(users)}")
            if name not in wanted:
                ctx.tx.delete(Export, name)
    for name, value in wanted.items():
        other = ctx.tx.get(Export, name)
        if other is not None and other.stack != live.stack.id:
            raise TemplateError(f"Export with name {name} is already exported by stack {other.stack_arn.split('/')[1]}")
        ctx.tx.put(Export(name=name, value=value, stack=live.stack.id, stack_arn=arn))


def write_back(ctx: Context, stack: Stack, outputs: list[dict[str, str]]) -> None:
    """A nested stack turns back after its outputs were written: they and its exports are again what they were, but for an export that someone
    has imported meanwhile."""
    stack.outputs = outputs
    wanted = {output["ExportName"]: output["OutputValue"] for output in outputs if "ExportName" in output}
    for export in ctx.tx.find(Export, "stack", stack.id):
        if export.name not in wanted and not importers(ctx, export.name):
            ctx.tx.delete(Export, export.name)
    for name, value in wanted.items():
        other = ctx.tx.get(Export, name)
        if other is None or other.stack == stack.id:
            ctx.tx.put(Export(name=name, value=value, stack=stack.id, stack_arn=stack.arn(ctx.scope)))


def importers(ctx: Context, export: str) -> list[str]:
    """The names of the stacks that import it."""
    return [found.stack_name for found in ctx.tx.scan(Import, prefix=f"{export}/")]


def exports_in_use(ctx: Context, stack_id: str) -> str:
    """Why a stack cannot go, "" when nothing of it is imported."""
    for export in ctx.tx.find(Export, "stack", stack_id):
        users = importers(ctx, export.name)
        if users:
            return f"Export {export.name} cannot be deleted as it is in use by {' and '.join(users)}"
    return ""


def forget_imports(ctx: Context, stack_id: str, but: set[str]) -> None:
    """An operation has ended: what it did not import is not held any more."""
    for found in ctx.tx.find(Import, "stack", stack_id):
        if found.export not in but:
            ctx.tx.delete(Import, found.key())


def forget_exports(ctx: Context, stack_id: str) -> None:
    for export in ctx.tx.find(Export, "stack", stack_id):
        ctx.tx.delete(Export, export.name)

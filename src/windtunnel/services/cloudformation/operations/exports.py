"""Exports and who imports them."""

from __future__ import annotations

from windtunnel.kernel.context import Context, Reply
from windtunnel.kernel.registry import reads
from windtunnel.services.cloudformation.lookup import on_everything
from windtunnel.services.cloudformation.model import Export, Import
from windtunnel.services.cloudformation.submitting import invalid

PAGE = 100


@reads("cloudformation", "ListExports", authorize=on_everything("ListExports"), acts="NextToken", cost="scan")
def list_exports(ctx: Context, next_token: str | None = None) -> Reply:
    found = ctx.tx.scan(Export, after=next_token, limit=PAGE + 1)
    reply: Reply = {"Exports": [{"ExportingStackId": e.stack_arn, "Name": e.name, "Value": e.value} for e in found[:PAGE]]}
    if len(found) > PAGE:
        reply["NextToken"] = found[PAGE - 1].name
    return reply


@reads("cloudformation", "ListImports", authorize=on_everything("ListImports"), acts="ExportName NextToken", cost="scan")
def list_imports(ctx: Context, export_name: str, next_token: str | None = None) -> Reply:
    found = ctx.tx.scan(Import, prefix=f"{export_name}/")
    if not found:
        raise invalid(f"Export '{export_name}' is not imported by any stack.")
    names = sorted(item.stack_name for item in found)
    names = [name for name in names if next_token is None or name > next_token]
    reply: Reply = {"Imports": names[:PAGE]}
    if len(names) > PAGE:
        reply["NextToken"] = names[PAGE - 1]
    return reply

"""ImportExistingResources: whether a resource that a change set would make is there already, under its custom name.

Invariant: what would have to be imported is refused by name before anything is written; where nothing is there, importing it is nothing to do.
"""

from __future__ import annotations

from typing import Any

import msgspec

from windtunnel.kernel.context import Context
from windtunnel.kernel.errors import not_built
from windtunnel.provision import identity, registry, schemas


def refuse_existing(ctx: Context, changes: list[dict[str, Any]]) -> None:
    """Raise 501 for the first resource that is to be added and exists (in a thread, on a snapshot). changes: a change set's, with their contexts."""
    for told in changes:
        if told["Action"] != "Add":
            continue
        name = _custom_name(told)
        handler, schema = registry.handler(told["ResourceType"]), schemas.schema(told["ResourceType"])
        if name is not None and handler is not None and schema is not None and identity.look(ctx, handler, schema, name, {}) is not None:
            what = f"ImportExistingResources for {told['LogicalResourceId']}, since the {told['ResourceType']} {name} exists"
            raise not_built("cloudformation", "CreateChangeSet", what)


def _custom_name(told: dict[str, Any]) -> str | None:
    """The name that the template gives, as far as it is known before anything is made."""
    handler = registry.handler(told["ResourceType"])
    if handler is None or handler.name is None or "AfterContext" not in told:
        return None
    properties = msgspec.json.decode(told["AfterContext"]).get("Properties") or {}
    name = properties.get(handler.name.property)
    return name if isinstance(name, str) and "{{changeSet:" not in name else None

"""What the generated contract tests cannot know of a service: one file a service (`-` is `_` in its name), found by discovery.

A file may have
- NAMES: lower-case member name -> a value that exists (seeded), for members of the input's top level; `above.name` for one below `above`;
- ALSO: operation -> the members, blank-separated, without which a call ends before it has begun although the model does not say so;
- SEEDS: (operation, snake_case arguments) that make one of each thing, in order (`s3:CreateBucket`: another service's); AFTER: the services, blank-separated, seeded before;
- place(ctx): puts records under fixed ids, in a write transaction after all seeds, where an operation would draw an id;
- ACTIONS: operation -> the actions that it takes, in the order in which they are missed, where that is not its own name;
- BY_ITEM: operations that answer item by item, with refusals inside a 200; what else holds them is said beside it;
- FOR_EVERYONE: operation -> why no permission guards it;
- ERRORS: codes that AWS documents outside its model.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from types import ModuleType
from typing import Any

from windtunnel.kernel.context import Context

_FILES: dict[str, ModuleType] = {
    found.name.replace("_", "-"): importlib.import_module(f"tables.{found.name}")
    for found in sorted(pkgutil.iter_modules(__path__), key=lambda found: found.name)
    if found.name != "shared"
}


def _merged(table: str, separator: str) -> dict[str, Any]:
    return {f"{service}{separator}{name}": value for service, file in _FILES.items() for name, value in getattr(file, table, {}).items()}


NAMES: dict[str, Any] = _merged("NAMES", ".")
ALSO: dict[str, str] = _merged("ALSO", ".")
ACTIONS: dict[str, list[str]] = _merged("ACTIONS", ":")
FOR_EVERYONE: dict[str, str] = _merged("FOR_EVERYONE", ":")
ERRORS: dict[str, set[str]] = {service: set(file.ERRORS) for service, file in _FILES.items() if hasattr(file, "ERRORS")}
BY_ITEM = {f"{service}:{name}" for service, file in _FILES.items() for name in getattr(file, "BY_ITEM", ())}


def placers() -> list[Callable[[Context], None]]:
    return [file.place for file in _FILES.values() if hasattr(file, "place")]


def seeds() -> list[tuple[str, str, dict[str, Any]]]:
    """(service, operation, arguments) of all services, each after those that it names."""
    ordered: list[str] = []

    def place(service: str) -> None:
        if service in ordered:
            return
        for earlier in getattr(_FILES[service], "AFTER", "").split():
            place(earlier)
        ordered.append(service)

    for service in _FILES:
        place(service)
    found = [(service, operation, args) for service in ordered for operation, args in getattr(_FILES[service], "SEEDS", ())]
    return [(*operation.split(":"), args) if ":" in operation else (service, operation, args) for service, operation, args in found]

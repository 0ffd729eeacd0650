"""`coverage --types [FOLDER]`: which CloudFormation types run, service by service; with a folder of templates, which share of what they hold does.

Invariant: read from the registry of handlers, from AWS's list of types and from the templates, never from a list kept by hand.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from windtunnel.app import load_services
from windtunnel.kernel.registry import OPERATIONS
from windtunnel.provision import registry, schemas
from windtunnel.services.cloudformation.language.errors import TemplateError
from windtunnel.services.cloudformation.language.parse import parse

SUFFIXES = (".json", ".yaml", ".yml", ".template")


class Row(NamedTuple):
    """One service's types. run: types with a handler; known: types that AWS has; used, made: resource instances in templates, and those that run."""

    service: str
    run: list[str]
    known: int
    used: Counter[str]

    @property
    def instances(self) -> int:
        return sum(self.used.values())

    @property
    def made(self) -> int:
        return sum(count for name, count in self.used.items() if name in self.run)

    @property
    def lacking(self) -> list[tuple[str, int]]:
        """Types that templates use and that do not run, the most used first."""
        return [(name, count) for name, count in self.used.most_common() if name not in self.run]


def service_of(type_name: str) -> str:
    """`AWS::SecretsManager::Secret` is secretsmanager's."""
    steps = type_name.split("::")
    return steps[1].lower() if len(steps) > 2 and steps[0] == "AWS" else ""


def rows(used: Counter[str]) -> list[Row]:
    """A row for each service that runs here and has types, by name."""
    load_services()
    here = {service for service, _ in OPERATIONS}
    known = Counter(service_of(name) for name in schemas.all_types())
    run = registry.types()
    return [
        Row(
            service,
            [name for name in run if service_of(name) == service],
            known[service],
            Counter({name: count for name, count in used.items() if service_of(name) == service}),
        )
        for service in sorted(here)
        if known[service]
    ]


def count(folder: Path) -> tuple[Counter[str], list[Path]]:
    """(instances of each type in all templates below a folder, the files that look like templates and cannot be read)."""
    used: Counter[str] = Counter()
    unread: list[Path] = []
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in SUFFIXES and path.is_file():
            text = path.read_text(errors="replace")
            try:
                used.update(_types(parse(text)))
            except TemplateError:
                if "Resources" in text and "::" in text:
                    unread.append(path)
    return used, unread


def _types(template: dict[str, Any]) -> Iterator[str]:
    resources = template.get("Resources")
    for resource in resources.values() if isinstance(resources, dict) else ():
        kind = resource.get("Type") if isinstance(resource, dict) else None
        if isinstance(kind, str):
            yield kind


def table(found: Iterable[Row], *, templates: bool) -> str:
    """As text. templates: with the columns about what templates hold."""
    found = list(found)
    lines = [f"{'service':<16}{'types that run':>15}{'of':>6}" + (f"{'in templates':>14}{'run':>8}{'share':>8}" if templates else "")]
    for row in found:
        lines.append(f"{row.service:<16}{len(row.run):>15}{row.known:>6}" + (_shares(row.instances, row.made) if templates else ""))
        lines += [f"    {name}" for name in row.run] if not templates else []
    instances, made = sum(row.instances for row in found), sum(row.made for row in found)
    run, known = sum(len(row.run) for row in found), sum(row.known for row in found)
    lines.append(f"{'all':<16}{run:>15}{known:>6}" + (_shares(instances, made) if templates else ""))
    if templates:
        lacking = sorted((one for row in found for one in row.lacking), key=lambda one: (-one[1], one[0]))
        lines += ["", "used by these templates and not run:"] if lacking else []
        lines += [f"  {count:>5}  {name}" for name, count in lacking]
    return "\n".join(lines)


def _shares(instances: int, made: int) -> str:
    return f"{instances:>14}{made:>8}{f'{made / instances:.1%}' if instances else '-':>8}"


def show(folder: Path | None) -> int:
    if folder is None:
        print(table(rows(Counter()), templates=False))
        return 0
    used, unread = count(folder)
    found = rows(used)
    print(table(found, templates=True))
    elsewhere = sum(used.values()) - sum(row.instances for row in found)
    print(f"\n{sum(used.values())} resources in all; {elsewhere} are of services that are not here, or of no service (custom, serverless).")
    if unread:
        print(
            f"{len(unread)} files look like templates and are none that CloudFormation would take: {', '.join(path.name for path in unread)}"
        )
    return 0

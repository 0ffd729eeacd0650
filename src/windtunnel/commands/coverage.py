"""`coverage [SERVICE…] [--markdown [--write]] [--types [FOLDER]]`: what is built, operation by operation, and what each does with its input members.

Invariant: read from what is registered and from AWS's models, never from a list kept by hand. `--markdown` is the README's table;
`--write` puts it there. `--types` is about CloudFormation's types instead (see resource_types).
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from windtunnel.app import load_services
from windtunnel.kernel.registry import OPERATIONS
from windtunnel.wire import coverage
from windtunnel.wire.models import OWN_MODELS, load_service

KINDS = ("acts", "descriptive", "default-only", "refused")
START, END = "<!-- coverage: written by `./windtunnel coverage --markdown --write` -->", "<!-- /coverage -->"
README = Path(__file__).parents[3] / "README.md"


class Service(NamedTuple):
    """A service's operations that are built, and how many its model has. operations: name -> paths by kind."""

    name: str
    title: str
    operations: dict[str, list[coverage.Member]]
    modelled: int

    def members(self) -> Counter[str]:
        return Counter(member.kind for members in self.operations.values() for member in members)


def main(options: argparse.Namespace) -> int:
    if options.types is not None:
        from windtunnel.commands import resource_types

        return resource_types.show(Path(options.types) if options.types else None)
    services = built()
    unknown = sorted(set(options.services) - {service.name for service in services})
    if unknown:
        print(f"windtunnel: nothing is built of {', '.join(unknown)}; built: {', '.join(s.name for s in services)}", file=sys.stderr)
        return 1
    if options.markdown:
        table = markdown(services)
        if options.write:
            README.write_text(with_table(README.read_text(), table))
        else:
            print(table, end="")
        return 0
    chosen = [service for service in services if service.name in options.services or not options.services]
    print("\n\n".join(as_text(service, named=bool(options.services)) for service in chosen))
    return 0


def built() -> list[Service]:
    """Every service with an operation, by name."""
    load_services()
    found = []
    for name in sorted({service for service, _ in OPERATIONS}):
        model = load_service(name)
        operations = {
            operation: coverage.coverage(model, operation, registered.declared)
            for (service, operation), registered in sorted(OPERATIONS.items())
            if service == name
        }
        found.append(Service(name, model.service_id or name, operations, len(model.operation_names)))
    return found


def as_text(service: Service, *, named: bool) -> str:
    """A line for each operation; when the service was asked for by name, also the paths that do not act."""
    lines = [f"{service.name}: {len(service.operations)} of {service.modelled} operations; {_counts(service.members())}"]
    for operation, members in service.operations.items():
        lines.append(f"  {operation:<36} {_counts(Counter(member.kind for member in members))}")
        if named:
            lines += [f"      {kind:<13}{path}" for kind in KINDS[1:] for path, found in members if found == kind]
    return "\n".join(lines)


def _counts(counted: Counter[str]) -> str:
    return ", ".join(f"{counted[kind]} {kind}" for kind in KINDS if counted[kind]) or "no input"


def markdown(services: list[Service]) -> str:
    """The table, a row for each service that clients call."""
    rows = ["| Service | `aws …` | operations that run | of |", "|---|---|---:|---:|"]
    services = [service for service in services if not (OWN_MODELS / f"{service.name}.json").exists()]
    rows += [f"| {s.title} | `{s.name}` | {len(s.operations)} | {s.modelled} |" for s in services]
    rows.append(f"| **all** | | **{sum(len(s.operations) for s in services)}** | **{sum(s.modelled for s in services)}** |")
    return "\n".join(rows) + "\n"


def with_table(text: str, table: str) -> str:
    """The README with the table between its marks. Raises ValueError when it has none."""
    before, start, rest = text.partition(START)
    _, end, after = rest.partition(END)
    if not start or not end:
        raise ValueError(f"the README needs the lines {START} and {END}")
    return f"{before}{START}\n{table}{END}{after}"

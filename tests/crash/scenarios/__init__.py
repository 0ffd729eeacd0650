"""What passes through the jobs that no release passes through: one file a service, found by discovery.

A file has
- JOBS: the registered kinds that its scenario passes through (a kind that no file names must be passed by the releases of `release.py`);
- `class Scenario` with `__init__(self, cloud: DoomedCloud)`, `set_up(self)`, run once and undisturbed, and `go(self, nonce)`: one pass through all of JOBS
  with names of its own (`nonce`), every call through `patiently`, which ends by asserting that all happened, and happened once.
- PACE (optional, 60): how many times faster intended waiting passes.

Each is run calmly once, which finds the boundaries, and then once for each boundary, at which the cloud is killed.
"""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType

SCENARIOS: dict[str, ModuleType] = {
    found.name: importlib.import_module(f"scenarios.{found.name}") for found in sorted(pkgutil.iter_modules(__path__), key=lambda f: f.name)
}
"""By service."""
ELSEWHERE: frozenset[str] = frozenset(job for file in SCENARIOS.values() for job in file.JOBS)
"""The jobs that are not the releases' to pass through."""

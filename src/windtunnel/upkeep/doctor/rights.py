"""Secrets are their owner's alone."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from windtunnel.upkeep.doctor.findings import REPAIR, Case
from windtunnel.upkeep.layout import SECRET


def look(case: Case) -> None:
    """The data directory is 0700, and what is secret 0600."""
    secrets = [case.data / name for name in SECRET] + sorted((case.data / "tls").glob("*.key"))
    for path, wanted in [(case.data, 0o700), *((secret, 0o600) for secret in secrets)]:
        try:
            mode = path.stat().st_mode & 0o777
        except FileNotFoundError:
            continue
        if mode & ~wanted:
            case.warning("rights", str(path), f"others than its owner may use it ({mode:04o})", REPAIR, partial(_restrict, path, wanted))


def _restrict(path: Path, mode: int) -> None:
    path.chmod(mode)

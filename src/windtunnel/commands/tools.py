"""The tools that hold the house to its rules, run one after another; the tests come last, so that pytest has the last word."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[3]
LINTERS = [["ruff", "check", "."], ["ruff", "format", "--check", "."], ["mypy"]]


def run_all(*pytest: str) -> int:
    """Every linter, then pytest with these arguments; 0 if all are content. Says what runs, and how long it took."""
    if not (ROOT / "tests").is_dir():
        print("windtunnel: the tests are in the source checkout, and this is an installed copy", file=sys.stderr)
        return 1
    failed = [" ".join(linter) for linter in LINTERS if _linted(linter) != 0]
    if failed:
        _say(f"not content, whatever the tests say: {', '.join(failed)}")
        if "-x" in pytest or "--exitfirst" in pytest:
            return 1
    return _run(["pytest", *pytest]) or int(bool(failed))


def _linted(command: list[str]) -> int:
    started = time.monotonic()
    code = _run(command)
    _say(f"{' '.join(command)}: {'content' if code == 0 else f'exit status {code}'}, {time.monotonic() - started:.1f} s")
    return code


def _run(command: list[str]) -> int:
    _say("$ " + " ".join(command))
    return subprocess.run([sys.executable, "-m", *command], cwd=ROOT).returncode


def _say(line: str) -> None:
    print(f"windtunnel: {line}", file=sys.stderr, flush=True)

"""The tools that hold the house to its rules, run one after another; the tests come last, so that pytest has the last word."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[3]
LINTERS = [["ruff", "check", "."], ["ruff", "format", "--check", "."], ["mypy"]]


def run_all(*pytest: str) -> int:
    """Every linter, then pytest with these arguments; 0 if all are content. Says what runs, and how long each took."""
    if not (ROOT / "tests").is_dir():
        print("windtunnel: the tests are in the source checkout, and this is an installed copy", file=sys.stderr)
        return 1
    started = time.monotonic()
    failed = [" ".join(command) for command in LINTERS if _run(command) != 0]
    if failed and ("-x" in pytest or "--exitfirst" in pytest):
        return 1
    if failed:
        _say(f"not content: {', '.join(failed)} (see above)")
    code = _run(["pytest", *pytest], quiet=True)
    _say(f"{'all' if code == 0 and not failed else 'not all'} is well, {time.monotonic() - started:.1f} s in all")
    return code or int(bool(failed))


def _run(command: list[str], *, quiet: bool = False) -> int:
    """quiet: nothing is said after it on stdout's terms; pytest times itself."""
    _say("$ " + " ".join(command))
    started = time.monotonic()
    code = subprocess.run([sys.executable, "-m", *command], cwd=ROOT).returncode
    if not quiet:
        _say(f"{' '.join(command)}: {'content' if code == 0 else f'exit status {code}'}, {time.monotonic() - started:.1f} s")
    return code


def _say(line: str) -> None:
    print(f"windtunnel: {line}", file=sys.stderr, flush=True)

"""`bench`: the measurements of tests/bench, from a checkout."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def main(options: argparse.Namespace) -> int:
    bench = ROOT / "tests" / "bench"
    if not bench.is_dir():
        print("windtunnel: bench runs from a checkout, which has tests/bench", file=sys.stderr)
        return 1
    return subprocess.run([sys.executable, str(bench), *options.rest]).returncode

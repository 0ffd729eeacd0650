"""`test [PYTEST ARGUMENTS…]`: everything: ruff, mypy, every test. What CI runs."""

from __future__ import annotations

import argparse

from windtunnel.commands.tools import run_all


def main(options: argparse.Namespace) -> int:
    return run_all("-q", "--durations=40", "--durations-min=10", *options.rest)

"""`check [PYTEST ARGUMENTS…]`: ruff, mypy and the tests that start no sandbox: what to run before every commit."""

from __future__ import annotations

import argparse

from windtunnel.commands.tools import run_all


def main(options: argparse.Namespace) -> int:
    return run_all("-q", "-m", "not slow", *options.rest)

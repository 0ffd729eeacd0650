"""Clients that are no part of this repository, installed once per machine by the tests that try them, from the machine's own registries.

They lie below `~/.cache/windtunnel-tests` (WINDTUNNEL_TEST_CACHE names another place), each in a directory that carries its version, and are made
whole or not at all. Where a client cannot be had, its test skips and says why.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

SECONDS = 600


def cache() -> Path:
    given = os.environ.get("WINDTUNNEL_TEST_CACHE")
    return Path(given) if given else Path.home() / ".cache" / "windtunnel-tests"


def installed(name: str, install: Callable[[Path], None]) -> Path:
    """The directory of that name, made by `install` when it is not there. Skips with the installer's own words when that fails."""
    found = cache() / name
    if not (found / ".whole").exists():
        cache().mkdir(parents=True, exist_ok=True)
        shutil.rmtree(found, ignore_errors=True)
        install(found)
        (found / ".whole").touch()
    return found


def run(*command: str, cwd: Path) -> None:
    try:
        done = subprocess.run(command, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        pytest.skip(f"{' '.join(command[:3])} did not run: {error}")
    if done.returncode != 0:
        pytest.skip(f"{' '.join(command[:3])} failed: {(done.stderr or done.stdout)[-400:]}")


def cdk() -> Path:
    """A directory with node_modules/.bin/cdk and the libraries of CDK applications."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            pytest.skip(f"no {program} on this machine")
    packages = ("aws-cdk@2.1148.1", "aws-cdk-lib@2.276.0", "constructs@10.8.1")

    def install(directory: Path) -> None:
        directory.mkdir()
        (directory / "package.json").write_text('{"private": true}\n')
        run("npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", *packages, cwd=directory)

    return installed("cdk-2.1148.1", install)


def sam() -> Path:
    """The program `sam`, in a virtual environment of its own."""

    def install(directory: Path) -> None:
        with tempfile.TemporaryDirectory() as elsewhere:
            run(sys.executable, "-m", "venv", str(directory), cwd=Path(elsewhere))
            run(str(directory / "bin" / "python"), "-m", "pip", "install", "-q", "aws-sam-cli==1.170.0", cwd=Path(elsewhere))

    return installed("sam-1.170.0", install) / "bin" / "sam"

"""The root script `windtunnel`, with a Python that only pretends: what is installed when, and that interruptions leave nothing half done."""

from __future__ import annotations

import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

PYTHON = r"""#!/bin/sh
# Stands for python3 and for .venv/bin/python. Says what it is asked to do in $CALLS.
case "$*" in
    -c*) exit 0 ;;
    "-m venv --clear "*)
        echo "venv" >>"$CALLS"
        rm -rf "$4"
        mkdir -p "$4/bin"
        cp "$0" "$4/bin/python" ;;
    "-m pip "*)
        echo "pip $*" | sed 's/ .*-e/ -e/' >>"$CALLS"
        [ ! -e "$FAIL" ] ;;
    "-P -m windtunnel"*) echo "run $*" ;;
esac
"""


class Checkout:
    """A clone's root with the script, and how often what was called."""

    def __init__(self, base: Path) -> None:
        self.root = base / "a check out"
        self.root.mkdir(parents=True)
        for name in ("windtunnel", "constraints.txt", "pyproject.toml"):
            shutil.copy(ROOT / name, self.root / name)
        self.fail, self._calls, self._tools = base / "fail", base / "calls", base / "tools"
        self._tools.mkdir()
        tools = ("python3", "git", "curl", "runc", "mmdebstrap", "nft", "ip", "zstd", "apt-get")
        for name in tools:
            (self._tools / name).write_text(PYTHON)
            (self._tools / name).chmod(0o755)

    def start(self, *arguments: str, script: Path | None = None) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": f"{self._tools}:{os.environ['PATH']}", "CALLS": str(self._calls), "FAIL": str(self.fail)}
        return subprocess.run(
            [str(script or self.root / "windtunnel"), *arguments], env=environment, capture_output=True, text=True, timeout=30
        )

    def calls(self) -> list[str]:
        """What was installed since the last look."""
        found = self._calls.read_text().splitlines() if self._calls.exists() else []
        self._calls.unlink(missing_ok=True)
        return found


RUN = ["venv", "pip -e .[clients]"]


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def test_the_first_start_installs_and_the_second_only_starts(checkout: Checkout) -> None:
    first = checkout.start("env", "--json")
    assert (first.returncode, first.stdout) == (0, "run -P -m windtunnel env --json\n"), first.stderr
    assert checkout.calls() == RUN
    second = checkout.start("env")
    assert (second.stdout, second.stderr) == ("run -P -m windtunnel env\n", "")
    assert checkout.calls() == []


def test_what_tests_need_is_added_to_the_same_venv(checkout: Checkout) -> None:
    checkout.start("up")
    checkout.start("test")
    checkout.start("check")
    assert checkout.calls() == [*RUN, "pip -e .[clients,dev]"]


def test_a_failed_installation_says_so_and_is_begun_anew(checkout: Checkout) -> None:
    checkout.fail.touch()
    failed = checkout.start("up")
    assert (failed.returncode, failed.stdout) == (1, "")
    assert "could not be installed" in failed.stderr
    checkout.fail.unlink()
    assert checkout.start("up").returncode == 0
    assert checkout.calls() == [*RUN, *RUN]


def test_other_constraints_are_installed_into_the_same_venv(checkout: Checkout) -> None:
    checkout.start("up")
    with (checkout.root / "constraints.txt").open("a") as constraints:
        constraints.write("another==1\n")
    checkout.start("up")
    assert checkout.calls() == [*RUN, RUN[1]]


def test_a_checkout_that_was_moved_gets_a_venv_of_its_own(checkout: Checkout) -> None:
    checkout.start("up")
    checkout.root = checkout.root.rename(checkout.root.with_name("elsewhere"))
    checkout.start("up")
    assert checkout.calls() == [*RUN, *RUN]


def test_a_link_on_the_path_leads_to_the_checkout(checkout: Checkout, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(checkout.root / "windtunnel")
    assert checkout.start("up", script=link).returncode == 0
    assert (checkout.root / ".venv").is_dir()
    assert not (tmp_path / ".venv").exists()


def test_first_starts_at_the_same_time_install_once(checkout: Checkout) -> None:
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(checkout.start, ["up", "env", "status", "why"]))
    assert [each.returncode for each in done] == [0, 0, 0, 0]
    assert checkout.calls() == RUN

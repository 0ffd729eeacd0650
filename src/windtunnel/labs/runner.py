"""Runs a lab's blocks in one bash, as a person pasting them would, and prints each assertion with its time.

Invariant: a block that fails ends the lab; the lab passes only if every block and every assertion did.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from windtunnel.labs.cloud import LabCloud, client_path, tail
from windtunnel.labs.document import Block, blocks

BLOCK_SECONDS = 600.0
_ANSI = re.compile(r"\x1b\[[0-9;]*m")


class Outcome:
    """What a run of a lab gave: assertions that held, the block that failed (None when all passed), seconds."""

    def __init__(self, lab: str) -> None:
        self.lab = lab
        self.held = 0
        self.failed: Block | None = None
        self.seconds = 0.0
        self.reason = ""

    @property
    def passed(self) -> bool:
        return self.failed is None and not self.reason


class Shell:
    """One bash that runs blocks one after the other; its output comes back line by line."""

    def __init__(self, environment: Mapping[str, str], directory: Path) -> None:
        self._directory = directory
        self._number = 0
        self._process = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            cwd=directory, env=dict(environment), text=True, bufsize=1, start_new_session=True,
        )  # fmt: skip

    def run(self, text: str, on_line: object) -> bool:
        """True when the block came to its end without a failing command."""
        stdin, stdout = self._pipes()
        self._number += 1
        script = self._directory / f"block-{self._number}.sh"
        script.write_text(text)
        mark = f"__windtunnel_block_{self._number}_done__"
        timer = threading.Timer(BLOCK_SECONDS, self._process.kill)
        timer.start()
        try:
            stdin.write(f"set -e; source '{script}'; echo {mark}\n")
            stdin.flush()
            for line in stdout:
                if line.strip() == mark:
                    return True
                if callable(on_line):
                    on_line(line.rstrip("\n"))
            return False
        except BrokenPipeError:
            return False
        finally:
            timer.cancel()

    def _pipes(self) -> tuple[IO[str], IO[str]]:
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("the shell has no pipes")
        return self._process.stdin, self._process.stdout

    def close(self) -> None:
        stdin, stdout = self._pipes()
        try:
            stdin.close()
        except BrokenPipeError:
            pass
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        stdout.close()


def document(lab: str) -> Path:
    """The lab's text. Raises FileNotFoundError for a lab that is not there."""
    path = Path(__file__).parent / lab / "lab.md"
    if not path.is_file():
        raise FileNotFoundError(f"there is no lab {lab!r}; there are: {', '.join(names())}")
    return path


def names() -> list[str]:
    return sorted(path.parent.name for path in Path(__file__).parent.glob("*/lab.md"))


def run_lab(lab: str, *, crash: bool, keep: bool, settings: Mapping[str, str] | None = None) -> Outcome:
    """Run a lab in a cloud of its own. crash: also kill -9 that cloud where the document says so. settings: names to change (APP, PORT, …)."""
    outcome = Outcome(lab + (" with kill -9" if crash else ""))
    home = Path(tempfile.mkdtemp(prefix=f"windtunnel-lab-{lab}-"))
    cloud = LabCloud(home / "data", home / "cloud.log")
    began = time.monotonic()
    print(f"\n== lab {outcome.lab} ==", flush=True)
    try:
        cloud.start()
        _run_blocks(lab, cloud, home, crash, outcome, {**(settings or {}), **({"PAUSE": "4"} if crash else {})})
    except RuntimeError as error:
        outcome.reason = str(error)
        print(f"not ok: {error}", flush=True)
    finally:
        outcome.seconds = time.monotonic() - began
        if not outcome.passed:
            print(f"-- the cloud {cloud.condition}; its log ends with:\n{tail(cloud.log)}", flush=True)
        if keep:
            print(f"the cloud goes on: pid {cloud.pid}, data {cloud.data}; end it with: windtunnel down --data {cloud.data}", flush=True)
        else:
            cloud.stop()
            if outcome.passed:
                shutil.rmtree(home, ignore_errors=True)
            else:
                print(
                    f"its data, its log and the lab's files are kept in {home}; look at them with: windtunnel up --data {cloud.data}",
                    flush=True,
                )
    word = "passed" if outcome.passed else "FAILED"
    print(f"== lab {outcome.lab}: {word}, {outcome.held} assertions held, {outcome.seconds:.1f} s ==", flush=True)
    return outcome


def _run_blocks(lab: str, cloud: LabCloud, home: Path, crash: bool, outcome: Outcome, settings: dict[str, str]) -> None:
    work = home / "work"
    work.mkdir()
    path = document(lab)
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "GIT_CONFIG"))},
        **cloud.environment(),
        "PATH": client_path(),
        "LAB_APP": str(path.parent / "app"),
        "WORK": str(work),
        "HOME": str(work),
        **settings,
    }
    shell = Shell(environment, home)
    try:
        shell.run(_helpers(cloud), None)
        for block in blocks(path.read_text()):
            if block.crash and not crash:
                continue
            if not _run_block(shell, block, cloud, outcome):
                outcome.failed = block
                return
    finally:
        shell.close()


def _helpers(cloud: LabCloud) -> str:
    """What a person has by hand: the `windtunnel` command for this cloud; and pulling its plug."""
    return (
        f"windtunnel() {{ local command=$1; shift; '{sys.executable}' -m windtunnel \"$command\" --data '{cloud.data}' \"$@\"; }}\n"
        'crash_cloud() { echo "__windtunnel_crash__"; while [ -z "$(cat "$WORK/../crashed" 2>/dev/null)" ]; do sleep 0.05; done; rm "$WORK/../crashed"; }\n'
    )


def _run_block(shell: Shell, block: Block, cloud: LabCloud, outcome: Outcome) -> bool:
    print(f"\n[{block.number}] {block.title}", flush=True)
    began = last = time.monotonic()
    recent: list[str] = []

    def on_line(line: str) -> None:
        nonlocal last
        line = _ANSI.sub("", line)
        if line == "__windtunnel_crash__":
            _crash(cloud)
            return
        if line.startswith("ok: "):
            outcome.held += 1
            now = time.monotonic()
            print(f"  ok {now - last:6.2f} s  {line[4:]}", flush=True)
            last = now
        else:
            recent.append(line)

    done = shell.run(block.text, on_line)
    print(f"  {'done' if done else 'FAILED'} after {time.monotonic() - began:.2f} s", flush=True)
    if not done:
        print("\n".join(f"  | {line}" for line in recent[-40:]), flush=True)
    return done


def _crash(cloud: LabCloud) -> None:
    """kill -9 and start again; the shell goes on when the cloud answers."""
    print("  kill -9 of the cloud", flush=True)
    cloud.kill()
    began = time.monotonic()
    cloud.start()
    print(f"  started again, {time.monotonic() - began:.2f} s", flush=True)
    (cloud.data.parent / "crashed").write_text("yes")

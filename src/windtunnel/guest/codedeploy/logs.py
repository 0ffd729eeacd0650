"""The agent's log files, in the formats of AWS's agent.

Invariant: a line is written whole and flushed at once, so that `tail -f` shows what happens while it happens.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path

LIMIT = 8 << 20
"""Bytes after which a log file is kept as `.1` and begun anew."""


class LogFile:
    """A log file that several threads append to. echo: also write to standard error (the service's journal)."""

    def __init__(self, path: Path, echo: bool = False) -> None:
        self._path = path
        self._echo = echo
        self._lock = threading.Lock()

    def write(self, line: str) -> None:
        with self._lock:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            if self._path.exists() and self._path.stat().st_size > LIMIT:
                self._path.replace(self._path.with_name(self._path.name + ".1"))
            with self._path.open("a", errors="replace") as file:
                file.write(line + "\n")
            if self._echo:
                print(line, file=sys.stderr, flush=True)


class AgentLog:
    """codedeploy-agent.log."""

    def __init__(self, log_dir: Path) -> None:
        self._file = LogFile(log_dir / "codedeploy-agent.log", echo=True)

    def say(self, level: str, text: str) -> None:
        """level: INFO, WARN or ERROR."""
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S")
        self._file.write(f"{stamp} {level:<5} [codedeploy-agent({os.getpid()})]: {text}")


def stamp() -> str:
    """The time as scripts.log shows it."""
    return time.strftime("%Y-%m-%d %H:%M:%S")


def precise_stamp() -> str:
    """The time as the deployments log shows it, with milliseconds."""
    now = time.time()
    return f"{time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(now))}.{int(now * 1000) % 1000:03d}"

"""The agent's memory of the commands it took: on disk, so that no hook runs twice, however agent, instance or cloud end.

A command is `taken` before it is acknowledged, `running` before anything of it is carried out, `done` with its result before the
result is reported, and forgotten some time after the cloud has heard it.

Invariant: a command that is `running` or `done` is never carried out again: its result is reported instead.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, NamedTuple

from windtunnel.guest.codedeploy.settings import write_whole

KEPT = 100
"""Reported commands that are remembered."""


class Result(NamedTuple):
    """How a command ended, in the terms of PutHostCommandComplete's diagnostics. code 0 is success."""

    code: int
    message: str
    script: str = ""
    log: str = ""

    @property
    def status(self) -> str:
        return "Failed" if self.code else "Succeeded"

    def payload(self) -> str:
        return json.dumps({"error_code": self.code, "script_name": self.script, "message": self.message, "log": self.log})


class Entry(NamedTuple):
    """command: as PollHostCommand gave it. state: taken, running, done or reported; result when done."""

    command: dict[str, Any]
    state: str
    result: Result | None = None


class Ledger:
    """One file a command, in `directory`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def find(self, identifier: str) -> Entry | None:
        return self._read(self._path(identifier))

    def write(self, entry: Entry) -> None:
        found = {"command": entry.command, "state": entry.state, "result": entry.result}
        write_whole(self._path(entry.command["HostCommandIdentifier"]), json.dumps(found))

    def forget(self, identifier: str) -> None:
        self._path(identifier).unlink(missing_ok=True)

    def unfinished(self) -> list[Entry]:
        """What an earlier life of this agent had in hand, oldest first."""
        return [entry for entry in map(self._read, self._files()) if entry is not None and entry.state != "reported"]

    def prune(self) -> None:
        """Forget all but the last reported commands."""
        reported = [path for path in self._files() if (entry := self._read(path)) is None or entry.state == "reported"]
        for path in reported[:-KEPT]:
            path.unlink(missing_ok=True)

    def _files(self) -> list[Path]:
        if not self._directory.is_dir():
            return []
        return sorted(self._directory.glob("*.json"), key=lambda path: path.stat().st_mtime_ns)

    def _path(self, identifier: str) -> Path:
        return self._directory / f"{hashlib.sha256(identifier.encode()).hexdigest()[:32]}.json"

    def _read(self, path: Path) -> Entry | None:
        try:
            found = json.loads(path.read_text())
        except FileNotFoundError:
            return None
        return Entry(found["command"], found["state"], Result(*found["result"]) if found["result"] else None)

"""Running a hook's scripts, with their output in the deployment's log as it comes.

Invariants: a script that outlives its timeout is ended with everything in its process group; a child that a script leaves behind
does not hold the event up once it has let go of the output, and fails it if it does not within the timeout (as AWS's agent has it).
"""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from windtunnel.guest.codedeploy.appspec import Script
from windtunnel.guest.codedeploy.logs import LogFile, precise_stamp, stamp

MISSING, NOT_EXECUTABLE, TIMED_OUT, FAILED, UNKNOWN, OUTPUT_LEFT_OPEN, AFTER_RESTART = range(1, 8)
TAIL = 2048
GRACE = 5.0
"""Seconds between asking a timed out script to end and ending it."""


class ScriptError(Exception):
    """A hook failed. code: the agent's number for it; script: its location in the appspec."""

    def __init__(self, code: int, script: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.script = script
        self.message = message


class Output:
    """Where a hook's lines go: scripts.log, the deployments log, and the tail that is reported."""

    def __init__(self, directory: Path, deployments_log: LogFile, deployment_id: str) -> None:
        self._scripts = LogFile(directory / "logs" / "scripts.log")
        self._deployments = deployments_log
        self._deployment_id = deployment_id
        self._lines: deque[str] = deque()
        self._size = 0
        self._lock = threading.Lock()

    def add(self, line: str) -> None:
        """line: without its line break."""
        with self._lock:
            self._lines.append(line + "\n")
            self._size += len(line) + 1
            while self._size - len(self._lines[0]) > TAIL:
                self._size -= len(self._lines.popleft())
        self._scripts.write(f"{stamp()} {line}")
        self._deployments.write(f"[{precise_stamp()}] [{self._deployment_id}]{line}")

    def tail(self) -> str:
        """The last 2048 characters."""
        with self._lock:
            return "".join(self._lines)[-TAIL:]


def run_all(event: str, scripts: tuple[Script, ...], archive: Path, home: Path, environment: Mapping[str, str], output: Output) -> None:
    """Run an event's scripts in order; the first that fails raises ScriptError. home: their working directory."""
    output.add(f"LifecycleEvent - {event}")
    for script in scripts:
        path = archive / script.location
        _make_ready(script, path)
        output.add(f"Script - {script.location}")
        _run(script, path, home, environment, output)


def _make_ready(script: Script, path: Path) -> None:
    if not path.is_file():
        raise ScriptError(MISSING, script.location, f"Script does not exist at specified location: {path}")
    if not os.access(path, os.X_OK):
        try:
            path.chmod(path.stat().st_mode | 0o111)
        except OSError as error:
            said = f"Unable to set script at specified location: {script.location} as executable"
            raise ScriptError(NOT_EXECUTABLE, script.location, said) from error


def command(script: Script, path: Path) -> list[str]:
    """With runas the script runs as that user, with sudo through sudo."""
    prefix = ["sudo"] if script.sudo else []
    if script.runas:
        return [*prefix, "su", script.runas, "-c", str(path)]
    return [*prefix, str(path)]


def _run(script: Script, path: Path, home: Path, environment: Mapping[str, str], output: Output) -> None:
    process = _start(command(script, path), home, environment)
    assert process.stdout is not None and process.stderr is not None
    readers = [_follow(process.stdout, "[stdout]", output), _follow(process.stderr, "[stderr]", output)]
    try:
        status = process.wait(script.timeout)
    except subprocess.TimeoutExpired:
        _end_group(process)
        said = f"Script at specified location: {script.location} failed to complete in {script.timeout} seconds"
        raise ScriptError(TIMED_OUT, script.location, said) from None
    for name, reader in zip(("STDOUT", "STDERR"), readers, strict=True):
        reader.join(script.timeout)
        if reader.is_alive():
            said = f"Script at specified location: {script.location} failed to close {name}"
            raise ScriptError(OUTPUT_LEFT_OPEN, script.location, said)
    if status != 0:
        user = f" run as user {script.runas}" if script.runas else ""
        code = status if status > 0 else 128 - status
        said = f"Script at specified location: {script.location}{user} failed with exit code {code}"
        raise ScriptError(FAILED, script.location, said)


def _start(words: list[str], home: Path, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    try:
        return _popen(words, home, environment)
    except OSError as error:
        if error.errno == errno.ENOEXEC:  # a script without a first line that names its interpreter is the shell's
            return _popen(["/bin/sh", *words], home, environment)
        raise


def _popen(words: list[str], home: Path, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        words,
        cwd=home if home.is_dir() else "/",
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def _follow(pipe: IO[bytes], label: str, output: Output) -> threading.Thread:
    def read() -> None:
        with pipe:
            while line := pipe.readline(65536):
                output.add(label + line.decode("utf-8", "replace").rstrip("\r\n"))

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    return thread


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """TERM to the script's process group, as AWS's agent does it; what does not heed it is killed a little later."""
    _signal_group(process, signal.SIGTERM)
    deadline = time.monotonic() + GRACE
    while process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    _signal_group(process, signal.SIGKILL)
    process.wait()


def _signal_group(process: subprocess.Popen[bytes], number: int) -> None:
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return

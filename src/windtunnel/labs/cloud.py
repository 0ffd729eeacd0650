"""A cloud of a lab's own: started as a user starts one, in a fresh data directory, on free ports; killed and started again on demand."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

from windtunnel.commands.env import exports
from windtunnel.commands.running import credentials, run_file

START_SECONDS = 60.0
IMAGE_SECONDS = 1500.0


class LabCloud:
    """`windtunnel up` as a child process. The port stays the same over restarts, so that URLs do."""

    def __init__(self, data: Path, log: Path) -> None:
        self.data = data
        self.log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._ports: tuple[int, int] = (0, 0)

    @property
    def pid(self) -> int:
        if self._process is None:
            raise RuntimeError("the cloud is not started")
        return self._process.pid

    def command(self, port: int, tls_port: int) -> list[str]:
        ports = ["--port", str(port), "--tls-port", str(tls_port)]
        return [sys.executable, "-m", "windtunnel", "up", "--data", str(self.data), *ports]

    def start(self) -> None:
        """Return when it answers. Raises RuntimeError, with the end of its log, when it does not."""
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                self.command(*self._ports), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, start_new_session=True
            )
        self._process = process
        if process.stdout is None:
            raise RuntimeError("no standard output")
        readable, _, _ = select.select([process.stdout], [], [], START_SECONDS)
        line = process.stdout.readline().decode() if readable else ""
        process.stdout.close()
        if not line.startswith("ready "):
            self.kill()
            raise RuntimeError(f"the cloud did not start:\n{tail(self.log)}")
        running = run_file(self.data)
        if running is None:
            raise RuntimeError("the cloud has no run file")
        self._ports = (running.port, running.tls_port)

    @property
    def condition(self) -> str:
        """Whether it still runs, and how it ended."""
        status = self._process.poll() if self._process is not None else None
        return "runs" if status is None else f"ended with status {status}"

    def environment(self) -> dict[str, str]:
        running, keys = run_file(self.data), credentials(self.data)
        if running is None or keys is None:
            raise RuntimeError("the cloud is not running")
        return exports(running, keys, self.data)

    def kill(self) -> None:
        """kill -9, as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def stop(self) -> None:
        """SIGTERM, and wait until it and its sandboxes have ended."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(90)
        except subprocess.TimeoutExpired:
            self.kill()


def tail(path: Path, lines: int = 30) -> str:
    try:
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])
    except FileNotFoundError:
        return ""


def ensure_image() -> None:
    """Build the stock image before the clock of a lab runs; with progress, once per machine."""
    done = subprocess.run(
        [sys.executable, "-m", "windtunnel.compute.image"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, timeout=IMAGE_SECONDS
    )
    if done.returncode != 0:
        raise RuntimeError("the stock image could not be built; its messages are above")


def client_path() -> str:
    """PATH with this installation's clients first: the aws CLI and git-remote-codecommit that the labs were written with."""
    return os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "/usr/bin:/bin")])

"""The servers under the same load: ours as `up` starts it, ministack and moto_server from a venv of their own, and two bare limits."""

from __future__ import annotations

import json
import os
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).parents[2]
OTHERS = ROOT / ".venv-bench" / "bin"
TICKS = os.sysconf("SC_CLK_TCK")


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


class Server:
    """A server process. endpoint; key and secret to sign with."""

    name = ""
    key, secret = "test", "test"
    account = "000000000000"

    def __init__(self) -> None:
        self.port = free_port()
        self.directory = Path(tempfile.mkdtemp(prefix="windtunnel-bench-"))
        self.process = self.launch()
        self.wait()
        self.ready = time.monotonic()

    def launch(self) -> subprocess.Popen[bytes]:
        raise NotImplementedError

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def spawn(self, *command: str, **environment: str) -> subprocess.Popen[bytes]:
        with (self.directory / "log").open("wb") as log:
            return subprocess.Popen(
                command, env={**os.environ, **environment}, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.directory
            )

    def wait(self, seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self.port), 0.2).close()
                return
            except OSError:
                select.select([], [], [], 0.02)
        raise SystemExit(f"{self.name} did not start: {(self.directory / 'log').read_text()[-800:]}")

    def pids(self) -> list[int]:
        """The process and its descendants."""
        found, todo = [], [self.process.pid]
        while todo:
            pid = todo.pop()
            found.append(pid)
            for task in Path(f"/proc/{pid}/task").glob("*/children"):
                with suppress(FileNotFoundError, ProcessLookupError):  # a thread that has ended since
                    todo += [int(child) for child in task.read_text().split()]
        return found

    def cpu(self) -> float:
        """CPU seconds used so far by the process tree."""
        total = 0
        for pid in self.pids():
            try:
                fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            except (ProcessLookupError, FileNotFoundError):
                continue
            total += int(fields[11]) + int(fields[12])
        return total / TICKS

    def memory(self) -> float:
        """MiB (PSS) of the process tree."""
        total = 0
        for pid in self.pids():
            try:
                text = Path(f"/proc/{pid}/smaps_rollup").read_text()
            except (ProcessLookupError, FileNotFoundError):
                continue  # it has ended since it was listed
            total += sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:"))
        return total / 1024

    def close(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)


class Windtunnel(Server):
    name = "windtunnel"

    def launch(self) -> subprocess.Popen[bytes]:
        self.data = self.directory / "data"
        self.data.mkdir(mode=0o700)
        return self.spawn(sys.executable, "-m", "windtunnel", "up", "--data", str(self.data), "--port", str(self.port), "--tls-port", "0")

    def wait(self, seconds: float = 60) -> None:
        super().wait(seconds)
        deadline = time.monotonic() + seconds
        while not (self.data / "run.json").exists() and time.monotonic() < deadline:
            select.select([], [], [], 0.01)
        keys = json.loads((self.data / "credentials.json").read_text())
        self.key, self.secret = keys["access_key_id"], keys["secret_access_key"]


class Ministack(Server):
    name = "ministack"

    def launch(self) -> subprocess.Popen[bytes]:
        return self.spawn(str(OTHERS / "ministack"), GATEWAY_PORT=str(self.port))


class Moto(Server):
    name = "moto_server"

    def launch(self) -> subprocess.Popen[bytes]:
        return self.spawn(str(OTHERS / "moto_server"), "-H", "127.0.0.1", "-p", str(self.port))


class EmptyApp(Server):
    """An ASGI application that answers 200 and nothing else, on the same uvicorn: what HTTP alone costs here."""

    name = "empty ASGI app"

    def launch(self) -> subprocess.Popen[bytes]:
        (self.directory / "empty.py").write_text(
            "async def app(scope, receive, send):\n"
            "    if scope['type'] != 'http': return\n"
            "    await receive()\n"
            "    await send({'type': 'http.response.start', 'status': 200, 'headers': [(b'content-length', b'2')]})\n"
            "    await send({'type': 'http.response.body', 'body': b'{}'})\n"
        )
        return self.spawn(
            sys.executable,
            "-m",
            "uvicorn",
            "--loop",
            "uvloop",
            "--http",
            "httptools",
            "--no-access-log",
            "--lifespan",
            "off",
            "--port",
            str(self.port),
            "empty:app",
        )
